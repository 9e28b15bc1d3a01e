"""Writes what `aws.cloudcontrol` knows of CloudFormation's public types, from the schemas that cfn-lint carries (MIT-0, as AWS
publishes them). Run it after an update of cfn-lint; the product itself never imports that."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mlinfra_aws.cloudformation import TABLE, kept


def schemas() -> Iterator[dict[str, Any]]:
    """All schemas. They are read as files: importing cfn-lint takes seconds."""
    spec = find_spec("cfnlint")
    if spec is None or spec.origin is None:
        raise SystemExit("cfn-lint is not installed: pip install cfn-lint")
    for path in sorted((Path(spec.origin).parent / "data" / "schemas" / "resources").glob("*.json")):
        yield json.loads(path.read_text("utf-8"))


def table() -> str:
    """A line for each type: its name and what is kept of it."""
    lines = {schema["typeName"]: kept(schema) for schema in schemas()}
    return "".join(
        f"{json.dumps([name, told], separators=(',', ':'), sort_keys=True)}\n" for name, told in sorted(lines.items())
    )


if __name__ == "__main__":
    text = table()
    TABLE.write_text(text, "utf-8")
    sys.stdout.write(f"{TABLE.name}: {text.count(chr(10))} types, {len(text) // 1024} KiB\n")
