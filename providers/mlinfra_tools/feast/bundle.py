"""Makes one script of the feature server's modules and templates, so that a workload needs one file and nothing of mlinfra.

The script holds the modules' text and a small importer that gives them back as the package ``featureserver``, with their
lines in tracebacks. Must not import the server.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

PACKAGE = "featureserver"

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
    from featureserver.main import main

    sys.exit(main(TEMPLATES))
'''


@cache
def templates() -> dict[str, str]:
    """The templates of the repository's files by their names."""
    folder = resources.files("mlinfra_tools.feast") / "templates"
    return {item.name: item.read_text("utf-8") for item in folder.iterdir() if item.name.endswith(".j2")}


@cache
def server_script() -> str:
    """The text of the script."""
    parts = [
        '"""Serves a Feast repository. Made from the modules of mlinfra\'s feature server: do not edit."""\n',
        f'PACKAGE = "{PACKAGE}"',
        "SOURCES = {}",
        "TEMPLATES = {}",
    ]
    folder = resources.files("mlinfra_tools.feast") / "server"
    for item in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if item.name.endswith(".py"):
            stem = item.name.removesuffix(".py")
            name = PACKAGE if stem == "__init__" else f"{PACKAGE}.{stem}"
            parts.append(f'SOURCES["{name}"] = {_quoted(item.read_text("utf-8"))}')
    parts += [f'TEMPLATES["{name}"] = {_quoted(text)}' for name, text in sorted(templates().items())]
    return "\n".join(parts) + _IMPORTER


def _quoted(text: str) -> str:
    """A Python literal that keeps the lines of ``text``."""
    inner = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    return f'"""{inner}"""'
