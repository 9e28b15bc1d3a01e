"""What Prometheus reads at ``/metrics``. Must not decide anything."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.process_collector import ProcessCollector

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """The counters of one server. All carry ``endpoint`` and ``variant``."""

    def __init__(self, endpoint: str, variant: str) -> None:
        disable_created_metrics()
        self._registry = CollectorRegistry()
        self._place = (endpoint, variant)
        where = ("endpoint", "variant")
        registry = self._registry
        ProcessCollector(registry=registry)
        self._requests = Counter(
            "mlinfra_model_requests",
            "Predictions asked for.",
            (*where, "protocol", "version", "code"),
            registry=registry,
        )
        self._seconds = Histogram(
            "mlinfra_model_request_seconds", "Time to answer.", (*where, "protocol"), buckets=BUCKETS, registry=registry
        )
        self._rows = Counter("mlinfra_model_rows", "Rows predicted.", (*where, "version"), registry=registry)
        self._model = Gauge(
            "mlinfra_model_info", "1 for the version in force.", (*where, "model", "version"), registry=registry
        )
        self._failures = Counter("mlinfra_model_load_failures", "Loads that failed.", where, registry=registry)
        self._cached = Counter("mlinfra_model_cache", "Look-ups in the cache.", (*where, "result"), registry=registry)
        self._batch = Histogram(
            "mlinfra_model_batch_rows",
            "Rows a joined call.",
            where,
            buckets=(1, 2, 4, 8, 16, 32, 64, 128),
            registry=registry,
        )
        self._flight = Gauge("mlinfra_model_in_flight", "Requests being answered.", where, registry=registry)
        self._captured = Counter("mlinfra_model_captured_rows", "Rows captured.", (*where, "result"), registry=registry)
        self._captured_seen = {"written": 0, "dropped": 0}
        self._capture: Callable[[], tuple[int, int]] = lambda: (0, 0)

    def request(self, protocol: str, version: str, code: int, seconds: float) -> None:
        """A prediction was answered with an HTTP status."""
        self._requests.labels(*self._place, protocol, version, str(code)).inc()
        self._seconds.labels(*self._place, protocol).observe(seconds)

    def rows(self, version: str, count: int) -> None:
        """Rows were predicted by the model."""
        self._rows.labels(*self._place, version).inc(count)

    def in_force(self, model: str, version: str) -> None:
        """From now on this version serves."""
        self._model.clear()
        self._model.labels(*self._place, model, version).set(1)

    def load_failed(self) -> None:
        """A version could not be loaded."""
        self._failures.labels(*self._place).inc()

    def cache(self, hit: bool) -> None:
        """The cache was asked."""
        self._cached.labels(*self._place, "hit" if hit else "miss").inc()

    def batch(self, rows: int) -> None:
        """A joined call was made."""
        self._batch.labels(*self._place).observe(rows)

    def flight(self, change: int) -> None:
        """A request came (1) or was answered (-1)."""
        self._flight.labels(*self._place).inc(change)

    def watch_capture(self, read: Callable[[], tuple[int, int]]) -> None:
        """``read`` gives how many rows were written and dropped so far."""
        self._capture = read
        self._captured_seen = {"written": 0, "dropped": 0}

    def text(self) -> bytes:
        """The page for Prometheus."""
        for result, total in zip(("written", "dropped"), self._capture(), strict=True):
            self._captured.labels(*self._place, result).inc(max(0, total - self._captured_seen[result]))
            self._captured_seen[result] = total
        page: bytes = generate_latest(self._registry)
        return page
