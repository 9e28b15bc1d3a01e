"""Measure the engine on the in-memory provider: ``python -m benchmarks.engine [N ...]`` (default 100 1000 10000).

Each size and shape runs three times in processes of their own, phase by phase: validate, plan from nothing, apply, no-op
plan, plan after 1 % changed, destroy. Told are medians: CPU seconds of each phase, peak memory of the process, the ratio to a
floor measured in the same process (the same work as bare Python: parse, follow references, compare, write once); and the
slope of log cost over log N, fitted to all sizes by least squares.
"""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
from typing import Any

SHAPES = ("independent", "layered")
RUNS = 3


def main() -> None:
    """Run all sizes and print one table a shape."""
    sizes = [int(text) for text in sys.argv[1:]] or [100, 1_000, 10_000]
    for shape in SHAPES:
        rows = {size: _median([_measure(size, shape) for _ in range(RUNS)]) for size in sizes}
        _print(shape, rows)


def _measure(size: int, shape: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.engine.phases", str(size), shape],
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _median(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The median of each figure of several runs."""

    def of(figures: list[dict[str, float]]) -> dict[str, float]:
        return {name: statistics.median(each[name] for each in figures) for name in figures[0]}

    return {
        "phases": of([run["phases"] for run in runs]),
        "floors": of([run["floors"] for run in runs]),
        "peak_mb": statistics.median(run["peak_mb"] for run in runs),
    }


def _print(shape: str, rows: dict[int, dict[str, Any]]) -> None:
    sizes = sorted(rows)
    print(f"\n{shape}: CPU seconds (ratio to the floor)")
    print(f"{'phase':<18}" + "".join(f"{size:>20,}" for size in sizes) + f"{'slope':>8}")
    for phase in rows[sizes[0]]["phases"]:
        cells = ""
        for size in sizes:
            cpu = rows[size]["phases"][phase]
            floor = rows[size]["floors"][phase]
            cells += f"{cpu:>11.3f} ({cpu / floor:>4.1f} x)"
        print(f"{phase:<18}{cells}{_slope(sizes, [rows[size]['phases'][phase] for size in sizes]):>8.2f}")
    print(f"{'peak memory, MB':<18}" + "".join(f"{rows[size]['peak_mb']:>20.0f}" for size in sizes))


def _slope(sizes: list[int], costs: list[float]) -> float:
    """The exponent of cost over size: 1 is linear."""
    if len(sizes) < 2:
        return float("nan")
    fitted = statistics.linear_regression([math.log(size) for size in sizes], [math.log(cost) for cost in costs])
    return fitted.slope


if __name__ == "__main__":
    main()
