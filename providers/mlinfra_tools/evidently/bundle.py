"""Makes one script of the monitor's modules, so that a workload needs one file and nothing of mlinfra.

The script holds the modules' text and a small importer that gives them back as the package ``driftmonitor``, with their
lines in tracebacks. Must not import the monitor.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

PACKAGE = "driftmonitor"

_IMPORTER = '''

import importlib.util
import linecache
import sys


class Bundled:
    """Finds and executes the modules above."""

    def find_spec(self, name, path=None, target=None):
        if name not in SOURCES:
            return None
        return importlib.util.spec_from_loader(name, self, is_package=name == PACKAGE)

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        name = module.__name__
        text = SOURCES[name]
        label = f"<{name}>"
        linecache.cache[label] = (len(text), None, text.splitlines(True), label)
        exec(compile(text, label, "exec"), module.__dict__)


sys.meta_path.insert(0, Bundled())

if __name__ == "__main__":
    from driftmonitor.main import main

    sys.exit(main([sys.executable, __file__]))
'''


@cache
def monitor_script() -> str:
    """The text of the script."""
    parts = [
        '"""Watches an endpoint with Evidently. Made from the modules of mlinfra\'s monitor: do not edit."""\n',
        f'PACKAGE = "{PACKAGE}"',
        "SOURCES = {}",
    ]
    folder = resources.files("mlinfra_tools.evidently") / "monitor"
    for item in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if not item.name.endswith(".py"):
            continue
        stem = item.name.removesuffix(".py")
        name = PACKAGE if stem == "__init__" else f"{PACKAGE}.{stem}"
        text = item.read_text("utf-8").replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
        parts.append(f'SOURCES["{name}"] = """{text}"""')
    return "\n".join(parts) + _IMPORTER
