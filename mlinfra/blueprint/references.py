"""``${...}``: finding references in the values of a blueprint and putting values or tokens in their place.

A plain dotted name is looked up without a template engine. A whole-string reference keeps the type of its value; within a
longer text it is put in as text. ``$${`` stands for a literal ``${``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from mlinfra.blueprint import expressions
from mlinfra.blueprint.expressions import PARTS, SECRET, Chain, ExpressionError, text_of
from mlinfra.blueprint.problems import Problems
from mlinfra.blueprint.variables import UNSET
from mlinfra.sdk.diagnostics import did_you_mean
from mlinfra.sdk.refs import Sensitive, expression, has_token, ref

_PLAIN: Final = re.compile(r"\s*([A-Za-z_][\w-]*(?:\.[\w-]+)*)\s*")
_WHOLE: Final = re.compile(r"\$\{" + _PLAIN.pattern + r"\}")
_WORDS: Final = ("true", "false", "none", "True", "False", "None")
_FUNCTIONS: Final = ("range",)


@dataclass(slots=True)
class Scope:
    """What references may name: ``values`` by first word (``var``, ``env``, ``blueprint``), components and raw resources by
    section and name. ``outputs`` gives the outputs of a kind by name, empty if any goes."""

    values: Mapping[str, Any]
    sections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    outputs: Callable[[str], Mapping[str, str]] = lambda kind: {}
    removed: Callable[[str, str], str] = lambda kind, name: ""
    """A sentence that tells why a component is not there, if there is more to say."""


@dataclass(eq=False)
class _Wrong(Exception):
    code: str
    summary: str
    detail: str
    remedy: str


@dataclass(slots=True)
class Resolver:
    """Resolves the values of one blueprint. ``edge`` is called with (path, target address) for each token made."""

    scope: Scope
    problems: Problems
    edge: Callable[[tuple[Any, ...], str], None] = lambda path, target: None
    _known: dict[str, tuple[Any, tuple[str, ...]]] = field(default_factory=dict)
    _at: str = ""
    """The source between braces that is being looked at."""

    def resolve(self, value: Any, path: tuple[Any, ...], address: str = "") -> Any:
        """A value with its references replaced; mistakes go to ``problems``. Values without any are not copied."""
        kind = type(value)
        if kind is str:
            return self._text(value, path, address) if "${" in value else value
        if kind is dict:
            made = None
            for key, item in value.items():
                if item.__class__ in _SCALARS or (item.__class__ is str and "${" not in item):
                    continue
                fresh = self.resolve(item, (*path, key), address)
                if fresh is not item:
                    if made is None:
                        made = dict(value)
                    made[key] = fresh
            return value if made is None else made
        if kind is list:
            fresh_items = [self.resolve(item, (*path, number), address) for number, item in enumerate(value)]
            return fresh_items if any(a is not b for a, b in zip(fresh_items, value, strict=True)) else value
        return value

    def _text(self, text: str, path: tuple[Any, ...], address: str) -> Any:
        known = self._known.get(text)
        if known is None:
            try:
                known = self._known[text] = self._composed(text)
            except (_Wrong, ExpressionError) as error:
                if isinstance(error, ExpressionError):
                    error = _Wrong(
                        "expression-invalid",
                        "Invalid expression",
                        f'"{_short(text)}": {error}.',
                        "Correct the expression; a literal ${ is written $${.",
                    )
                needle = self._at.strip() or "${"
                self.problems.add(
                    error.code, error.summary, error.detail, error.remedy, path, needle=needle, address=address
                )
                return UNSET
        value, targets = known
        for target in targets:
            self.edge(path, target)
        return value

    def _composed(self, text: str) -> tuple[Any, tuple[str, ...]]:
        parts: list[Any] = []
        targets: list[str] = []
        self._at = ""
        whole = _WHOLE.fullmatch(text)
        if whole and whole[1] not in _WORDS:
            self._at = whole[1]
            return self._named(tuple(whole[1].split(".")), targets), tuple(targets)
        for literal, part in _parts(text):
            if not literal:
                self._at = part
            parts.append(part if literal else self._one(part, targets))
        if len(parts) == 1:
            return parts[0], tuple(dict.fromkeys(targets))
        if not any(isinstance(part, Sensitive) for part in parts):
            return "".join(map(text_of, parts)), tuple(dict.fromkeys(targets))
        texts = [text_of(part) for part in parts]
        if has_token(texts):
            return Sensitive(expression("", {PARTS: texts, SECRET: True})), tuple(dict.fromkeys(targets))
        return Sensitive("".join(texts)), ()

    def _one(self, source: str, targets: list[str]) -> Any:
        plain = _PLAIN.fullmatch(source)
        if plain and plain[1] not in _WORDS:
            return self._named(tuple(plain[1].split(".")), targets)
        if not source.strip():
            raise ExpressionError("there is nothing between the braces")
        bindings: dict[str, Any] = {}
        for chain in sorted(expressions.chains(source), key=len):
            if len(chain) == 1 and chain[0] in _FUNCTIONS:
                continue
            if chain[0] in self.scope.values:
                # Only what is named: a secret that an expression does not use must not make its value one.
                _bind(bindings, chain[:2], self._value(chain[:2]))
            else:
                steps = tuple(map(str, chain))
                _bind(bindings, steps, self._named(steps, targets))
        if not has_token(bindings):
            return expressions.value_of(source.strip(), bindings)
        if _holds_secret(bindings):
            return Sensitive(expression(source.strip(), {**bindings, SECRET: True}))
        return expression(source.strip(), bindings)

    def _named(self, steps: Sequence[str], targets: list[str]) -> Any:
        if steps[0] in self.scope.values:
            return self._value(steps)
        section = self.scope.sections.get(steps[0])
        if section is None:
            known = [*self.scope.values, *self.scope.sections]
            raise _Wrong(
                "reference-unknown",
                "Unknown reference",
                f'"{".".join(steps)}" starts with "{steps[0]}", which is nothing that can be referred to.'
                f"{did_you_mean(steps[0], known)}",
                f"A reference starts with one of: {', '.join(known)}. A literal ${{ is written $${{.",
            )
        if len(steps) == 1 or steps[1] not in section:
            name = steps[1] if len(steps) > 1 else ""
            if not name:
                raise _Wrong(
                    "reference-incomplete",
                    "Incomplete reference",
                    f'"{steps[0]}" is a section, not a value.',
                    f"Write ${{{steps[0]}.NAME.OUTPUT}}.",
                )
            why = self.scope.removed(steps[0], name)
            raise _Wrong(
                "reference-unknown",
                "Unknown reference",
                f'There is no "{steps[0]}.{name}".{why or did_you_mean(name, section)}',
                f"Declared in {steps[0]} are: {', '.join(list(section)[:10]) or 'none'}.",
            )
        address = f"{steps[0]}.{steps[1]}"
        outputs = self.scope.outputs(steps[0])
        if len(steps) == 2:
            offered = f" It offers: {', '.join(outputs)}." if outputs else ""
            raise _Wrong(
                "reference-incomplete",
                "Incomplete reference",
                f'"{address}" is a component or resource, not a value.{offered}',
                f"Add what you want of it: ${{{address}.{next(iter(outputs), 'FIELD')}}}.",
            )
        if outputs and steps[2] not in outputs:
            raise _Wrong(
                "output-unknown",
                "Unknown output",
                f'A {steps[0]} has no output "{steps[2]}".{did_you_mean(steps[2], outputs)}',
                "Its outputs are: " + ", ".join(outputs) + ".",
            )
        targets.append(address)
        return ref(address, ".".join(steps[2:]))

    def _value(self, steps: Sequence[str | int]) -> Any:
        value: Any = self.scope.values
        for number, step in enumerate(steps):
            if isinstance(value, Mapping) and step in value:
                value = value[step]
            elif isinstance(value, list) and str(step).isdecimal() and int(step) < len(value):
                value = value[int(step)]
            else:
                raise self._absent(value, steps, number)
        return value

    def _absent(self, value: Any, steps: Sequence[str | int], number: int) -> _Wrong:
        parent, step = ".".join(map(str, steps[:number])), str(steps[number])
        known = [str(key) for key in value] if isinstance(value, Mapping) else []
        if number == 1 and steps[0] == "var":
            return _Wrong(
                "variable-unknown",
                "Unknown variable",
                f'There is no variable "{step}".{did_you_mean(step, known)}',
                f'Declare it under "variables:". Declared are: {", ".join(known) or "none"}.',
            )
        offered = f" It has: {', '.join(known[:20])}." if known else ""
        return _Wrong(
            "reference-unknown",
            "Unknown reference",
            f'"{parent}" has no "{step}".{did_you_mean(step, known)}',
            f"Correct the reference.{offered}",
        )


_SCALARS: Final = frozenset((int, float, bool, type(None)))


def _bind(bindings: dict[str, Any], chain: Chain, value: Any) -> None:
    """Put a value at a path of nested mappings; a shorter path that has a value already holds this one too."""
    place: Any = bindings
    for step in chain[:-1]:
        place = place.setdefault(step, {}) if isinstance(place, dict) else None
    if isinstance(place, dict):
        place.setdefault(chain[-1], value)


def _parts(text: str) -> Iterator[tuple[bool, str]]:
    """The parts of a text: (literal?, text or source). Errors: ExpressionError for a brace that is not closed."""
    at, literal = 0, []
    while (start := text.find("${", at)) >= 0:
        if start > at and text[start - 1] == "$":
            literal.append(text[at : start - 1] + "${")
            at = start + 2
            continue
        literal.append(text[at:start])
        end = _end(text, start + 2)
        if end < 0:
            raise ExpressionError('a "${" is not closed by "}"')
        if joined := "".join(literal):
            yield True, joined
        literal = []
        yield False, text[start + 2 : end]
        at = end + 1
    literal.append(text[at:])
    if joined := "".join(literal):
        yield True, joined


def _end(text: str, at: int) -> int:
    """Where the brace is closed, beyond nested braces and quoted text; -1 if it is not."""
    depth, quote = 0, ""
    while at < len(text):
        letter = text[at]
        if quote:
            if letter == "\\":
                at += 1
            elif letter == quote:
                quote = ""
        elif letter in "'\"":
            quote = letter
        elif letter == "{":
            depth += 1
        elif letter == "}":
            if depth == 0:
                return at
            depth -= 1
        at += 1
    return -1


def _holds_secret(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_holds_secret, value.values()))
    return any(map(_holds_secret, value)) if isinstance(value, list) else isinstance(value, Sensitive)


def _short(text: str) -> str:
    return text if len(text) <= 120 else text[:117] + "..."
