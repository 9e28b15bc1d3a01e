"""Where each key and value of a YAML text stands. Worked out only when a diagnostic needs it, since it costs far more than parsing.

It follows parser events without recursion and expands no alias, so that no text can make it slow or deep. It judges nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Place:
    """A node: line and column (1-based) of its value and, within a mapping, of its key."""

    line: int
    column: int
    key_line: int = 0
    key_column: int = 0
    children: dict[str | int, Place] | None = None


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A key that stands twice in one mapping: where it stands again, and the line of the first."""

    key: str
    line: int
    column: int
    first_line: int


@dataclass(slots=True)
class Index:
    """The places of a text. ``documents`` are the lines at which its documents start."""

    root: Place | None = None
    documents: list[int] = field(default_factory=list)
    duplicates: list[Duplicate] = field(default_factory=list)
    aliases: list[tuple[int, int]] = field(default_factory=list)

    def find(self, path: Iterable[str | int]) -> tuple[int, Place | None]:
        """How many steps of the path exist, and the place of the last one that does."""
        place, depth = self.root, 0
        for step in path:
            children = place.children if place is not None else None
            if children is None:
                break
            following = next((children[name] for name in _spellings(step) if name in children), None)
            if following is None:
                break
            place, depth = following, depth + 1
        return depth, place


def _spellings(step: Any) -> list[str | int]:
    """How a key may be written: ``True`` as ``true``, ``None`` as ``~``."""
    if isinstance(step, str) or (isinstance(step, int) and not isinstance(step, bool)):
        return [step, str(step)]
    text = str(step)
    return [text, text.lower(), text.upper(), "null", "~", ""] if step is None else [text, text.lower(), text.upper()]


@dataclass(slots=True)
class _Frame:
    place: Place
    mapping: bool
    is_key: bool = False
    key: tuple[str, int, int] | None = None
    anchor: str | None = None


def index(text: str) -> Index:
    """The places of a YAML text; of one that does not parse, those before the mistake."""
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    composer = _Composer()
    try:
        for event in yaml.parse(text, Loader=loader):
            composer.take(event, yaml)
    except yaml.YAMLError:
        pass  # The Rust parser told what is wrong; here only places are wanted.
    return composer.index


class _Composer:
    """Builds an `Index` event by event."""

    def __init__(self) -> None:
        self.index = Index()
        self._stack: list[_Frame] = []
        self._anchors: dict[str, Place] = {}

    def take(self, event: Any, yaml: Any) -> None:
        mark = event.start_mark
        if isinstance(event, yaml.DocumentStartEvent):
            self.index.documents.append(mark.line + 1)
            return
        if isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            frame = self._stack.pop()
            if frame.is_key:
                self._stack[-1].key = ("?", frame.place.line, frame.place.column)
            return
        if not isinstance(event, yaml.NodeEvent):
            return
        place = Place(mark.line + 1, mark.column + 1)
        if isinstance(event, yaml.AliasEvent):
            self.index.aliases.append((place.line, place.column))
            known = self._anchors.get(event.anchor)
            place.children = known.children if known is not None else None
        elif event.anchor:
            self._anchors[event.anchor] = place
        top = self._stack[-1] if self._stack else None
        is_key = top is not None and top.mapping and top.key is None
        if isinstance(event, yaml.CollectionStartEvent):
            place.children = {}
            if not is_key:
                self._attach(top, place)
            self._stack.append(_Frame(place, isinstance(event, yaml.MappingStartEvent), is_key))
        elif is_key and top is not None:
            top.key = (getattr(event, "value", "*"), place.line, place.column)
        else:
            self._attach(top, place)

    def _attach(self, top: _Frame | None, place: Place) -> None:
        if top is None:
            if self.index.root is None:
                self.index.root = place
            return
        children = top.place.children
        if children is None:
            return
        if not top.mapping:
            children[len(children)] = place
            return
        assert top.key is not None
        name, place.key_line, place.key_column = top.key
        top.key = None
        first = children.get(name)
        if first is None:
            children[name] = place
        elif name != "?":
            self.index.duplicates.append(Duplicate(name, place.key_line, place.key_column, first.key_line))
