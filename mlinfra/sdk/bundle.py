"""Makes one script of a package's modules, so that a program which runs elsewhere needs one file and nothing of mlinfra.

The script holds the modules' text and a small importer that gives them back as a package, with their lines in tracebacks.
Must not import what it bundles: its imports are there only where the script runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Final

_IMPORTER: Final = '''

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
'''


@cache
def bundled(package: str, anchor: str, folder: str) -> str:
    """The modules in ``folder`` beside the package ``anchor``, as a script in which they are the package ``package``.

    Run as a program it calls ``main()`` of ``<package>.main`` and exits with what that returns. A second script of the same
    modules has the same text: it may be compared to tell whether the program changed.
    """
    sources = {}
    for item in sorted((resources.files(anchor) / folder).iterdir(), key=lambda entry: entry.name):
        if item.name.endswith(".py"):
            stem = item.name.removesuffix(".py")
            sources[package if stem == "__init__" else f"{package}.{stem}"] = item.read_text("utf-8")
    return script(package, sources)


def script(package: str, sources: Mapping[str, str]) -> str:
    """The script of modules whose text is given by their full names."""
    parts = [
        f'"""The program {package}, made of the modules below: do not edit."""\n',
        f'PACKAGE = "{package}"',
        "SOURCES = {}",
        *(f'SOURCES["{name}"] = {_literal(text)}' for name, text in sources.items()),
    ]
    start = f'\nif __name__ == "__main__":\n    from {package}.main import main\n\n    sys.exit(main())\n'
    return "\n".join(parts) + _IMPORTER + start


def _literal(text: str) -> str:
    """A Python literal that keeps the lines of ``text``."""
    inner = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    return f'"""{inner}"""'
