"""Makes one script of the server's modules, so that a workload needs one file and nothing of mlinfra.

The script holds the modules' text and a small importer that gives them back as the package ``modelserver``, with their
lines in tracebacks. Must not import the server.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

PACKAGE = "modelserver"

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
    from modelserver.main import main

    sys.exit(main())
'''


@cache
def server_script() -> str:
    """The text of the script."""
    parts = [
        '"""Serves one version of an MLflow model. Made from the modules of mlinfra\'s model server: do not edit."""\n',
        f'PACKAGE = "{PACKAGE}"',
        "SOURCES = {}",
    ]
    folder = resources.files("mlinfra_tools.modelserver") / "server"
    for item in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if not item.name.endswith(".py"):
            continue
        stem = item.name.removesuffix(".py")
        name = PACKAGE if stem == "__init__" else f"{PACKAGE}.{stem}"
        text = item.read_text("utf-8").replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
        parts.append(f'SOURCES["{name}"] = """{text}"""')
    return "\n".join(parts) + _IMPORTER
