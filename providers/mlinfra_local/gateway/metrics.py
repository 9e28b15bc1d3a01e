"""Counts of what went through the gateway, as Prometheus text."""

from __future__ import annotations

from collections import Counter

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """Requests by target and code, their durations, copies, and requests that wait."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str]] = Counter()
        self.copies: Counter[tuple[str, str]] = Counter()
        self.waiting = 0
        self._buckets: Counter[tuple[str, float]] = Counter()
        self._seconds: Counter[str] = Counter()
        self._count: Counter[str] = Counter()

    def answered(self, target: str, code: int, seconds: float) -> None:
        """A request was answered; ``target`` is empty for one that no target took."""
        self.requests[target, str(code)] += 1
        self._count[target] += 1
        self._seconds[target] += seconds  # type: ignore[assignment]
        for bound in BUCKETS:
            if seconds <= bound:
                self._buckets[target, bound] += 1

    def text(self, healthy: dict[str, bool]) -> str:
        """Everything, in Prometheus' text format."""
        lines = ["# TYPE mlinfra_route_requests_total counter"]
        for (target, code), count in sorted(self.requests.items()):
            lines.append(f'mlinfra_route_requests_total{{target="{_safe(target)}",code="{code}"}} {count}')
        lines.append("# TYPE mlinfra_route_request_seconds histogram")
        for target, count in sorted(self._count.items()):
            name = _safe(target)
            for bound in BUCKETS:
                inside = self._buckets[target, bound]
                lines.append(f'mlinfra_route_request_seconds_bucket{{target="{name}",le="{bound}"}} {inside}')
            lines.append(f'mlinfra_route_request_seconds_bucket{{target="{name}",le="+Inf"}} {count}')
            lines.append(f'mlinfra_route_request_seconds_sum{{target="{name}"}} {self._seconds[target]:.6f}')
            lines.append(f'mlinfra_route_request_seconds_count{{target="{name}"}} {count}')
        lines.append("# TYPE mlinfra_route_shadow_total counter")
        for (target, result), count in sorted(self.copies.items()):
            lines.append(f'mlinfra_route_shadow_total{{target="{_safe(target)}",result="{result}"}} {count}')
        lines.append("# TYPE mlinfra_route_target_healthy gauge")
        for target, state in sorted(healthy.items()):
            lines.append(f'mlinfra_route_target_healthy{{target="{_safe(target)}"}} {int(state)}')
        lines.append("# TYPE mlinfra_route_waiting gauge")
        lines.append(f"mlinfra_route_waiting {self.waiting}")
        return "\n".join(lines) + "\n"


def _safe(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
