"""Writes what the handlers of CloudFormation's public types ask of the caller's permissions, from the schemas that cfn-lint carries
(MIT-0, as AWS publishes them). Run it after an update of cfn-lint; the product itself never imports that."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mlinfra_aws.permissions_cloudcontrol import LETTERS, TABLE


def lines() -> Iterator[tuple[str, dict[str, str]]]:
    """Types with their permissions, and for which actions each is needed. Schemas are read as files: importing cfn-lint takes
    seconds."""
    spec = find_spec("cfnlint")
    if spec is None or spec.origin is None:
        raise SystemExit("cfn-lint is not installed: pip install cfn-lint")
    for path in sorted((Path(spec.origin).parent / "data" / "schemas" / "resources").glob("*.json")):
        schema: dict[str, Any] = json.loads(path.read_text("utf-8"))
        found: dict[str, str] = {}
        for action, letter in LETTERS.items():
            for one in schema.get("handlers", {}).get(action, {}).get("permissions", []):
                if ":" in one and letter not in found.get(one, ""):
                    found[one] = found.get(one, "") + letter
        if found:
            yield schema["typeName"], dict(sorted(found.items()))


if __name__ == "__main__":
    text = "".join(f"{json.dumps(line, separators=(',', ':'))}\n" for line in sorted(lines()))
    TABLE.write_text(text, "utf-8")
    sys.stdout.write(f"{TABLE.name}: {text.count(chr(10))} types, {len(text) // 1024} KiB\n")
