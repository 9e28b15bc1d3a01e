"""Writes the table of AWS resource types and their fields into docs/aws.md. A test fails if it is out of date."""

from __future__ import annotations

import sys
from pathlib import Path

from mlinfra.sdk.fields import FieldPolicy, policies
from mlinfra.sdk.provider import load
from mlinfra_aws import PROVIDER

DOCS = Path(__file__).resolve().parents[1] / "docs" / "aws.md"
BEGIN, END = "<!-- fields: made by scripts/aws_fields.py -->", "<!-- end -->"


def does(policy: FieldPolicy) -> str:
    """What a change of a field does, in a word or two."""
    if policy.computed:
        return "told"
    word = "replace" if policy.replace else "kept as found" if policy.owned else "in place"
    return f"{word}, not read" if policy.write_only else f"{word}, secret" if policy.secret else word


def table() -> str:
    """All types, each with its fields."""
    lines = ["| type | field | a change is |", "|---|---|---|"]
    for name, target in PROVIDER.resources.items():
        for index, (field, policy) in enumerate(policies(load(target)).items()):
            lines.append(f"| {f'`{name}`' if not index else ''} | `{field}` | {does(policy)} |")
    return "\n".join(lines)


def filled(text: str) -> str:
    """The page with its table."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{table()}\n\n{END}{tail}"


if __name__ == "__main__":
    before = DOCS.read_text("utf-8")
    DOCS.write_text(filled(before), "utf-8")
    sys.stdout.write(f"{DOCS.name}: {'changed' if DOCS.read_text('utf-8') != before else 'up to date'}\n")
