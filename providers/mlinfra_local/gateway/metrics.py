"""Counts of what went through the gateway, as Prometheus text."""

from __future__ import annotations

from collections import Counter, defaultdict

from .exposition import safe

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """Requests by target and code, their durations, copies, repeats, and requests that wait."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str]] = Counter()
        self.copies: Counter[tuple[str, str]] = Counter()
        self.repeats: Counter[str] = Counter()
        self.waiting = 0
        self._buckets: Counter[tuple[str, float]] = Counter()
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._count: Counter[str] = Counter()

    def answered(self, target: str, code: int, seconds: float) -> None:
        """A request was answered; ``target`` is empty for one that no target took. Code 499: its caller went away."""
        self.requests[target, str(code)] += 1
        self._count[target] += 1
        self._seconds[target] += seconds
        for bound in BUCKETS:
            if seconds <= bound:
                self._buckets[target, bound] += 1

    def text(self, healthy: dict[str, bool]) -> str:
        """Everything, in Prometheus' text format."""
        lines = ["# TYPE mlinfra_route_requests_total counter"]
        for (target, code), count in sorted(self.requests.items()):
            lines.append(f'mlinfra_route_requests_total{{target="{safe(target)}",code="{code}"}} {count}')
        lines.append("# TYPE mlinfra_route_request_seconds histogram")
        for target, count in sorted(self._count.items()):
            name = safe(target)
            for bound in BUCKETS:
                inside = self._buckets[target, bound]
                lines.append(f'mlinfra_route_request_seconds_bucket{{target="{name}",le="{bound}"}} {inside}')
            lines.append(f'mlinfra_route_request_seconds_bucket{{target="{name}",le="+Inf"}} {count}')
            lines.append(f'mlinfra_route_request_seconds_sum{{target="{name}"}} {self._seconds[target]:.6f}')
            lines.append(f'mlinfra_route_request_seconds_count{{target="{name}"}} {count}')
        lines.append("# TYPE mlinfra_route_repeats_total counter")
        for target, count in sorted(self.repeats.items()):
            lines.append(f'mlinfra_route_repeats_total{{target="{safe(target)}"}} {count}')
        lines.append("# TYPE mlinfra_route_shadow_total counter")
        for (target, result), count in sorted(self.copies.items()):
            lines.append(f'mlinfra_route_shadow_total{{target="{safe(target)}",result="{result}"}} {count}')
        lines.append("# TYPE mlinfra_route_target_healthy gauge")
        for target, state in sorted(healthy.items()):
            lines.append(f'mlinfra_route_target_healthy{{target="{safe(target)}"}} {int(state)}')
        lines.append("# TYPE mlinfra_route_waiting gauge")
        lines.append(f"mlinfra_route_waiting {self.waiting}")
        return "\n".join(lines) + "\n"
