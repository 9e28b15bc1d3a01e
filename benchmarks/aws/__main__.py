"""Measure mlinfra on AWS against boto3 with 16 threads: ``python -m benchmarks.aws [CELLS [ROUNDS]]`` (default 50, 3).

AWS is the emulator, in this process; what is measured are processes of their own, as users start them: apply, a plan with nothing
to do, destroy. Told are the medians of the rounds: seconds, CPU seconds, peak memory, calls, and the ratio to the floor.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.aws.cells import ACCOUNT, blueprint
from tests.emulator.server import Emulator

MOST_CALLS = 260
"""What a plan with nothing to do of 50 cells may call."""
MOST_MEMORY = 250.0
"""MB that the command line may take."""
TERRAFORM = {"apply": (1850, 20.0, 1 / 2), "plan": (1300, 20.0, 1 / 5), "destroy": (1700, 31.0, 1 / 2)}
"""Calls and seconds of Terraform with its AWS provider for the same 50 cells on the same emulator, measured once, and the share of
them that is allowed. Seconds are another day's: they tell the order, and only the calls and the memory are judged. Its plan took
18 CPU seconds and 400 MB."""
OURS = {
    "apply": ("-m", "mlinfra", "apply", "--auto-approve"),
    "plan": ("-m", "mlinfra", "plan", "--detailed-exitcode"),
    "destroy": ("-m", "mlinfra", "destroy", "--auto-approve"),
}
FLOOR = {"apply": "make", "plan": "read", "destroy": "remove"}


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process took: seconds, CPU seconds, MB at its peak, calls."""

    seconds: float
    cpu: float
    memory: float
    calls: int


def measured(emulator: Emulator, words: tuple[str, ...], folder: Path) -> Cost:
    """Run Python with these words; it must succeed."""
    environ = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "MLINFRA_"))},
        "AWS_ENDPOINT_URL": emulator.url,
        "AWS_ACCESS_KEY_ID": f"AKIA{ACCOUNT}TEST",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    before, started = len(emulator.calls.calls), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.aws.usage", *words],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        sys.exit(f"{' '.join(words)} failed:\n{done.stderr}")
    used = json.loads(done.stdout)
    return Cost(seconds, used["cpu"], used["memory"], len(emulator.calls.calls) - before)


def median(costs: list[Cost]) -> Cost:
    """Of each figure."""
    return Cost(
        statistics.median(one.seconds for one in costs),
        statistics.median(one.cpu for one in costs),
        statistics.median(one.memory for one in costs),
        round(statistics.median(one.calls for one in costs)),
    )


def main() -> None:
    """Measure and print."""
    count, rounds = (int(word) for word in (*sys.argv[1:], *("50", "3")[len(sys.argv) - 1 :]))
    ours: dict[str, list[Cost]] = {phase: [] for phase in OURS}
    floor: dict[str, list[Cost]] = {phase: [] for phase in OURS}
    with Emulator(check=False) as emulator:
        for _ in range(rounds):
            emulator.reset()
            with tempfile.TemporaryDirectory(prefix="mlinfra-bench-") as name:
                folder = Path(name)
                (folder / "blueprint.yaml").write_text(blueprint(count), "utf-8")
                for phase, words in OURS.items():
                    ours[phase].append(measured(emulator, words, folder))
                emulator.reset()
                for phase, verb in FLOOR.items():
                    words = ("-m", "benchmarks.aws.floor", verb, str(count))
                    floor[phase].append(measured(emulator, words, folder))
    print(f"{count} cells, medians of {rounds} rounds; in brackets the ratio to boto3 with 16 threads")
    print(f"{'phase':<10}{'seconds':>18}{'CPU seconds':>18}{'peak MB':>18}{'calls':>18}")
    for phase in OURS:
        mine, least = median(ours[phase]), median(floor[phase])
        cells = "".join(
            f"{f'{a:.{digits}f} ({a / b:.2f} x)':>18}"
            for a, b, digits in (
                (mine.seconds, least.seconds, 2),
                (mine.cpu, least.cpu, 2),
                (mine.memory, least.memory, 0),
                (mine.calls, least.calls, 0),
            )
        )
        print(f"{phase:<10}{cells}")
    if count == 50:
        sys.exit(0 if holds({phase: median(ours[phase]) for phase in OURS}) else 1)


def holds(mine: dict[str, Cost]) -> bool:
    """Print what Terraform took, and whether the limits hold that do not depend on the machine."""
    for phase, (calls, seconds, share) in TERRAFORM.items():
        cost = mine[phase]
        print(
            f"{phase}: {cost.calls} calls of Terraform's {calls} ({cost.calls / calls:.2f} x), "
            f"{cost.seconds:.1f} s of its {seconds:.0f} ({cost.seconds / seconds:.2f} x); at most {share:.2f} x"
        )
    limits = {phase: calls * share for phase, (calls, _, share) in TERRAFORM.items()} | {"plan": MOST_CALLS}
    memory = max(cost.memory for cost in mine.values())
    print(
        f"At most {MOST_CALLS} calls for a plan with nothing to do, and {MOST_MEMORY:.0f} MB: {memory:.0f} MB were taken."
    )
    return memory < MOST_MEMORY and all(mine[phase].calls <= most for phase, most in limits.items())


if __name__ == "__main__":
    main()
