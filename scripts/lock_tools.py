"""Makes the lock text of every tool in ``mlinfra_tools.versions`` anew: ``python scripts/lock_tools.py [TOOL ...]``.

Run it after a change of the table. It asks the package index; nothing in the product calls it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "providers" / "mlinfra_tools"
sys.path[:0] = [str(PACKAGE.parent), str(PACKAGE.parent.parent)]

from mlinfra_tools.versions import TOOLS, Tool  # noqa: E402 - importable from a plain clone

OPTIONS = ("--universal", "--generate-hashes", "--no-header", "--no-annotate", "--quiet", "--upgrade")


def compile_lock(tool: Tool) -> None:
    """Resolve one row for all platforms and write its lock text.

    Errors: CalledProcessError if the row cannot be resolved.
    """
    target = PACKAGE / tool.lock
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [
            sys.executable,
            "-m",
            "uv",
            "pip",
            "compile",
            *OPTIONS,
            "--python-version",
            tool.python,
            "-o",
            str(target),
            "-",
        ],
        input="\n".join(tool.requirements),
        text=True,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    sys.stdout.write(f"{tool.lock}: {target.read_text().count('==')} packages\n")


def main(names: list[str]) -> int:
    """Lock the named tools, or all."""
    unknown = sorted(set(names) - set(TOOLS))
    if unknown:
        sys.stderr.write(f"not in the table: {', '.join(unknown)}; there are: {', '.join(TOOLS)}\n")
        return 1
    for name in names or list(TOOLS):
        compile_lock(TOOLS[name])
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
