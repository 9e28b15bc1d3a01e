"""``python -m <this package> PORT``: run the emulator until its standard input ends; its URL is its first line.

Whoever started it holds the other end: it goes with them, however they end.
"""

from __future__ import annotations

import contextlib
import sys

from .server import Emulator


def main() -> None:
    """Run it."""
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    with Emulator(port=port, check=False) as emulator:
        sys.stdout.write(f"{emulator.url}\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            sys.stdin.read()


if __name__ == "__main__":
    main()
