"""Reading one YAML file: bytes → text → a JSON value. Every way in which a file can be unreadable is a diagnostic.

The Rust parser does the work; places in the file are worked out by `positions` when a diagnostic asks for them. The parser
follows YAML 1.2: ``yes`` and ``on`` are text, dates are text, ``<<`` is not a merge.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from mlinfra.blueprint.positions import Index, index
from mlinfra.blueprint.syntax import mistakes
from mlinfra.sdk.diagnostics import Diagnostic, DiagnosticError, Position
from mlinfra.sdk.refs import CLOSE, OPEN

LARGEST: Final = 32 * 1024 * 1024
"""Bytes of a file above which it is refused: a blueprint of 100,000 resources has about 15 MB."""
_REPLAYED: Final = 200_000
_NESTED_ALIASES: Final = 8
_LARGEST_INT: Final = 10**300
_LINE: Final = 500
"""Characters of a line that are shown."""
_OLD_BREAKS: Final = re.compile("[\x85\u2028\u2029]")
_FORBIDDEN: Final = re.compile(f"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f{OPEN}{CLOSE}]")

At = Literal["key", "value"]
Path_ = tuple[str | int, ...]


@dataclass(slots=True)
class Source:
    """One file: its name as the user gave it, its text and its value."""

    file: str
    text: str
    data: Any = None
    _index: Index | None = field(default=None, repr=False)
    _lines: list[str] | None = field(default=None, repr=False)

    @property
    def index(self) -> Index:
        """The places of its keys and values, worked out on first use."""
        if self._index is None:
            # What YAML 1.1 takes for line breaks and YAML 1.2 does not: the index must count lines as the parser does.
            self._index = index(_OLD_BREAKS.sub(" ", self.text))
        return self._index

    def depth(self, path: Sequence[Any]) -> int:
        """How many steps of a path exist in this file."""
        value, depth = self.data, 0
        for step in path:
            if (isinstance(value, dict) and step in value) or (
                isinstance(value, list) and isinstance(step, int) and step < len(value)
            ):
                value = value[step]
            else:
                break
            depth += 1
        return depth

    def position(self, path: Sequence[Any], at: At = "value", needle: str = "") -> Position:
        """The place of the value (or key) at a path, or of the closest parent that exists; within a one-line value that of
        ``needle``."""
        depth, place = self.index.find(path)
        if place is None:
            return self.at(1, 1)
        if place.key_line and (at == "key" or depth < len(path)):
            return self.at(place.key_line, place.key_column)
        if needle:
            column = self.line(place.line).find(needle, place.column - 1)
            if column >= 0:
                return self.at(place.line, column + 1)
        return self.at(place.line, place.column)

    def at(self, line: int, column: int) -> Position:
        """A position in this file."""
        return Position(self.file, line, column, self.line(line) if column <= _LINE else "")

    def line(self, number: int) -> str:
        """The text of a line, cut where it is very long."""
        if self._lines is None:
            self._lines = self.text.split("\n")
        lines = self._lines
        return lines[number - 1][:_LINE] if 0 < number <= len(lines) else ""


def read(path: Path, what: str = "blueprint") -> Source:
    """Read and parse one file; its value is a mapping with text keys.

    Errors: DiagnosticError with everything wrong in it that can be told.
    """
    source = Source(str(path), _text(path, what))
    found = _forbidden(source)
    if found:
        raise DiagnosticError(found)
    source.data = _parse(source)
    if source.data is None:
        raise _fail(
            "file-empty",
            "Empty file",
            f'"{path}" has no content.',
            "Write a blueprint into it; `mlinfra init` makes a first one." if what == "blueprint" else "Remove it.",
            source.at(1, 1),
        )
    if not isinstance(source.data, dict):
        raise DiagnosticError([_top(source)])
    found = [
        Diagnostic("yaml-value", "Value not allowed", detail, remedy, source.position(where, at))
        for where, at, detail, remedy in odd(source.data, ())
    ]
    if found:
        raise DiagnosticError(found)
    return source


def _fail(code: str, summary: str, detail: str, remedy: str, position: Position | None = None) -> DiagnosticError:
    return DiagnosticError([Diagnostic(code, summary, detail, remedy, position)])


def _text(path: Path, what: str) -> str:
    try:
        if path.stat().st_size > LARGEST:
            raise _fail(
                "file-too-large",
                "File too large",
                f'"{path}" is larger than {LARGEST // 1024 // 1024} MB.',
                "Split it into files of one folder.",
                Position(str(path), 1, 1),
            )
        raw = path.read_bytes()
    except FileNotFoundError:
        remedy = f"Name the {what} file or its folder."
        if what == "blueprint":
            remedy = "Name the blueprint with -f, change to its folder, or make a first one with `mlinfra init`."
        raise _fail("file-missing", "File not found", f'There is no file "{path}".', remedy) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise _fail(
            "file-unreadable",
            "File cannot be read",
            f'"{path}" cannot be read: {reason}.',
            "Check the path and its permissions.",
        ) from None
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        end = raw.find(b"\n", error.start)
        shown = raw[before.rfind(b"\n") + 1 : end if end >= 0 else None].decode("utf-8", "replace")[:500]
        hint = " It looks like UTF-16." if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        raise _fail(
            "file-not-utf8",
            "File is not UTF-8",
            f"Byte {error.start} (0x{raw[error.start]:02x}) on line {line} is not valid UTF-8.{hint}",
            "Save the file as UTF-8.",
            Position(str(path), line, column, shown if not hint else ""),
        ) from None


def _forbidden(source: Source) -> list[Diagnostic]:
    found = []
    for match in _FORBIDDEN.finditer(source.text):
        before = source.text[: match.start()]
        line, column = before.count("\n") + 1, match.start() - before.rfind("\n")
        found.append(
            Diagnostic(
                "character-forbidden",
                "Character not allowed",
                f"The character U+{ord(match[0]):04X} may not stand in a YAML file that mlinfra reads.",
                "Remove it.",
                source.at(line, column),
            )
        )
        if len(found) == 20:
            break
    return found


def parse_value(text: str) -> Any:
    """The YAML value of a short text, as given on a command line.

    Errors: ValueError with a one-line reason.
    """
    import yaml_rs

    try:
        return yaml_rs.loads(text, parse_datetime=False, alias_limits=_limits())
    except Exception as error:  # The parser has no one exception for everything it refuses.
        raise ValueError(str(error).splitlines()[-1]) from None


def _limits() -> Any:
    import yaml_rs

    return yaml_rs.AliasLimits(max_total_replayed_events=_REPLAYED, max_replay_stack_depth=_NESTED_ALIASES)


def _parse(source: Source) -> Any:
    import yaml_rs

    try:
        return yaml_rs.loads(source.text, parse_datetime=False, alias_limits=_limits())
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # A panic of the Rust parser is no Exception.
        raise DiagnosticError(mistakes(source, str(error))) from None


def _top(source: Source) -> Diagnostic:
    if len(source.index.documents) > 1:
        return Diagnostic(
            "yaml-documents",
            "Several documents in one file",
            'A file holds one YAML document; a line "---" starts another here.',
            "Remove the line, or put the parts into files of one folder.",
            source.at(source.index.documents[1], 1),
        )
    return Diagnostic(
        "yaml-top",
        "Not a mapping",
        f"The file must be a mapping (key: value) at its top, and this is {plain(source.data)}.",
        "Start with a line like `blueprint: name`.",
        source.position(()),
    )


def odd(value: Any, path: Path_) -> Iterator[tuple[Path_, At, str, str]]:
    """What YAML can say and a blueprint cannot: (path, key or value, what, remedy)."""
    if isinstance(value, dict):
        for key, item in value.items():
            if type(key) is not str:
                shown = plain(key) if not isinstance(key, tuple) else "not a single word"
                yield (*path, key), "key", f"A key must be text, and this one is {shown}.", "Put the key in quotes."
            elif key == "<<":
                yield (*path, key), "key", "The merge key << is not part of YAML 1.2.", "Write the keys out."
            elif OPEN in key or CLOSE in key:
                yield (*path, key), "key", "The characters U+E000 and U+E001 are not allowed.", "Remove them."
            kind = type(item)
            if kind is str:
                if OPEN in item or CLOSE in item:
                    yield (*path, key), "value", "The characters U+E000 and U+E001 are not allowed.", "Remove them."
            elif kind is not bool and item is not None and (kind is not int or not -_LARGEST_INT < item < _LARGEST_INT):
                yield from odd(item, (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from odd(item, (*path, number))
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield path, "value", "A number must be finite.", "Write a number."
    elif isinstance(value, str):
        if OPEN in value or CLOSE in value:
            yield path, "value", "The characters U+E000 and U+E001 are not allowed.", "Remove them."
    elif isinstance(value, int):
        if not -_LARGEST_INT < value < _LARGEST_INT:
            yield (
                path,
                "value",
                "A whole number may have 300 digits.",
                "Write a smaller number, or put it in quotes as text.",
            )
    elif value is not None:
        yield path, "value", "Sets and other special YAML types cannot be used.", "Write a list or a mapping."


def plain(value: Any) -> str:
    """What a value is, in words: ``the number 3``, ``the text "a"``, ``a list``."""
    from mlinfra.sdk.refs import Sensitive, has_token

    if isinstance(value, Sensitive):
        return "a sensitive text"
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {value!r}" if abs(value) < 10**40 else "a very large number"
    if isinstance(value, str):
        if has_token(value):
            return "a reference"
        return f'the text "{value if len(value) <= 60 else value[:57] + "..."}"'
    return "a list" if isinstance(value, list | tuple) else "a mapping" if isinstance(value, dict) else "another value"
