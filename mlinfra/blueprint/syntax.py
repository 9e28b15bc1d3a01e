"""What the YAML parser's messages mean, in our words and at the right place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mlinfra.sdk.diagnostics import Diagnostic

if TYPE_CHECKING:
    from mlinfra.blueprint.source import Source

_TABBED: Final = re.compile(r" *\t\s*\S")
_PLACED: Final = re.compile(r"line (\d+), column (\d+)")


def mistakes(source: Source, message: str) -> list[Diagnostic]:
    """What is wrong with a file that the parser refused with a message."""
    if message.startswith("duplicate mapping key"):
        found = [
            Diagnostic(
                "key-duplicate",
                "Duplicate key",
                f'The key "{item.key}" already stands on line {item.first_line}.',
                "Keep one of the two, or give them different names.",
                source.at(item.line, item.column),
            )
            for item in source.index.duplicates
        ]
        if found:
            return found
    if "alias" in message and ("limit" in message or "exceed" in message or "depth" in message):
        line, column = source.index.aliases[0] if source.index.aliases else (1, 1)
        return [
            Diagnostic(
                "alias-bomb",
                "Aliases expand without bound",
                "The aliases (*name) of this file expand to more values than any blueprint needs, so it was not read.",
                "Write the values out, or use fewer aliases.",
                source.at(line, column),
            )
        ]
    match = _PLACED.search(message)
    line, column = (int(match[1]), int(match[2])) if match else _named_in(source, message)
    reason = message.splitlines()[-1].strip() if message else "it does not parse"
    if source.line(line)[max(column - 2, 0) : column] == "${":
        return [
            Diagnostic(
                "yaml-reference",
                "Reference without quotes",
                "Within { } and [ ] YAML reads the brace of ${...} as the start of a mapping.",
                'Put the whole text in quotes: "${...}".',
                source.at(line, column - 1),
            )
        ]
    tabbed = next((number for number in (line, line + 1, line - 1) if _TABBED.match(source.line(number))), 0)
    if "tabs disallowed" in message or tabbed:
        if tabbed:
            line, column = tabbed, source.line(tabbed).index("\t") + 1
        return [
            Diagnostic(
                "yaml-tab",
                "Tab in the indentation",
                "YAML does not allow tabs for indentation.",
                "Indent with spaces.",
                source.at(line, column),
            )
        ]
    return [
        Diagnostic(
            "yaml-syntax",
            "Not valid YAML",
            f"The file cannot be parsed: {reason}.",
            "Correct the line shown or the one before it; text with special characters goes in quotes.",
            source.at(line, column),
        )
    ]


def _named_in(source: Source, message: str) -> tuple[int, int]:
    """The place of what a message without a place quotes."""
    quoted = re.search(r"'([^']+)'", message)
    at = source.text.find(quoted[1]) if quoted else -1
    if at < 0:
        return 1, 1
    before = source.text[:at]
    return before.count("\n") + 1, at - before.rfind("\n")
