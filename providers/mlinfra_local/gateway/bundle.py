"""Makes one script of the gateway's modules, so that its process needs one file and nothing of mlinfra.

The script holds the modules' text and a small importer that gives them back as the package ``gateway``. Must not import them.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Final

MODULES: Final = ("__init__", "config", "metrics", "targets", "proxy", "main")

_IMPORTER: Final = '''

import importlib.util
import linecache
import sys


class Bundled:
    """Finds and executes the modules above."""

    def find_spec(self, name, path=None, target=None):
        if name not in SOURCES:
            return None
        return importlib.util.spec_from_loader(name, self, is_package=name == "gateway")

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        name = module.__name__
        label = f"<{name}>"
        linecache.cache[label] = (len(SOURCES[name]), None, SOURCES[name].splitlines(True), label)
        exec(compile(SOURCES[name], label, "exec"), module.__dict__)


sys.meta_path.insert(0, Bundled())

if __name__ == "__main__":
    from gateway.main import main

    sys.exit(main())
'''


@cache
def gateway_script() -> str:
    """The text of the script."""
    parts = ['"""Made from the modules of mlinfra\'s gateway: do not edit."""\n', "SOURCES = {}"]
    folder = resources.files("mlinfra_local") / "gateway"
    for stem in MODULES:
        name = "gateway" if stem == "__init__" else f"gateway.{stem}"
        text = (folder / f"{stem}.py").read_text("utf-8").replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
        parts.append(f'SOURCES["{name}"] = """{text}"""')
    return "\n".join(parts) + _IMPORTER


@cache
def gateway_lock() -> str:
    """What the gateway's environment is made from: pinned and hashed."""
    return (resources.files("mlinfra_local") / "gateway" / "gateway.lock").read_text("utf-8")
