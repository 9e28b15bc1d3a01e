"""The way in: ``--version`` without importing anything, then the command line."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    if sys.argv[1:] == ["--version"]:
        from mlinfra import __version__

        sys.stdout.write(f"mlinfra {__version__}\n")
        return
    from mlinfra.cli.app import run

    sys.exit(run())


if __name__ == "__main__":
    main()
