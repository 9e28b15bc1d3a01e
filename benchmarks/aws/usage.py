"""Runs a command and tells what it took, as JSON. A small process between: a child's peak memory counts from its fork on."""

from __future__ import annotations

import json
import resource
import subprocess
import sys


def main() -> None:
    """Run the command of the arguments; its own output is thrown away unless it fails."""
    done = subprocess.run(
        [sys.executable, *sys.argv[1:]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        sys.exit(done.stdout.decode())
    json.dump({"cpu": used.ru_utime + used.ru_stime, "memory": used.ru_maxrss / 1024}, sys.stdout)


if __name__ == "__main__":
    main()
