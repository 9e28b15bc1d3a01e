"""Variables: what a blueprint declares, and the value each gets from the places that may give one.

Later ones win: default < environment block < ``MLINFRA_VAR_x`` < ``*.auto.vars.yaml`` < ``--var-file`` and ``--var`` in order.
A value of a sensitive variable is never told in a diagnostic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from mlinfra.blueprint.declarations import KEYS, MISSING, TYPES, Declaration, refused_key
from mlinfra.blueprint.names import checked
from mlinfra.blueprint.problems import Problems
from mlinfra.blueprint.source import Source, odd, plain, read
from mlinfra.sdk.diagnostics import DiagnosticError, Position, did_you_mean
from mlinfra.sdk.refs import Sensitive, slot

PREFIX: Final = "MLINFRA_VAR_"
AUTO: Final = (".auto.vars.yaml", ".auto.vars.yml")
UNSET: Final = slot("unset")
"""Stands for a value that a mistake keeps from being known: a token, so that nothing complains about it again."""
_Place = Callable[[], Position] | None


@dataclass(frozen=True, slots=True)
class _Given:
    """Values from one place. ``where`` gives the position of one of them; ``texts`` says that they are to be parsed."""

    label: str
    values: Mapping[str, Any]
    path: tuple[str, ...] | None = None
    source: Source | None = None
    texts: bool = False


@dataclass(slots=True)
class Variables:
    """The variables of one blueprint in one environment."""

    problems: Problems
    declared: dict[str, Declaration] = field(default_factory=dict)
    _refused: set[str] = field(default_factory=set)
    """Those about which something was told already."""

    def declare(self, section: Mapping[str, Any]) -> None:
        """Read the section ``variables``."""
        for name, spec in section.items():
            path = ("variables", name)
            if not checked(name, "a variable", path, self.problems):
                continue
            if spec is None:
                spec = {}
            if not isinstance(spec, dict):
                self.problems.add(
                    "value-type",
                    "Wrong type of value",
                    f'The declaration of the variable "{name}" must be a mapping, and it is {plain(spec)}.',
                    f"Write {name}: {{ default: VALUE }}.",
                    path,
                )
                spec = {}
                self._refused.add(name)
            self.declared[name] = self._declaration(name, spec, path)

    def _declaration(self, name: str, spec: Mapping[str, Any], path: tuple[str, ...]) -> Declaration:
        good: dict[str, Any] = {}
        for key, value in spec.items():
            if key not in KEYS:
                self.problems.add(
                    "key-unknown",
                    "Unknown key",
                    f'A variable has no key "{key}".{did_you_mean(key, KEYS)}',
                    f"Its keys are: {', '.join(KEYS)}.",
                    (*path, key),
                    at="key",
                )
                self._refused.add(name)
            elif wrong := refused_key(key, value):
                self._refused.add(name)
                remedy = f"Types are: {', '.join(TYPES)}." if key == "type" else "Correct the value."
                self.problems.add("value-type", "Wrong type of value", f'"{key}" {wrong}.', remedy, (*path, key))
            elif key != "description":
                good[key] = tuple(value) if key == "enum" else value
        made = Declaration(name, **good)
        if made.sensitive and made.type in ("integer", "number", "boolean"):
            self.problems.add(
                "variable-sensitive",
                "Type cannot be sensitive",
                f'The variable "{name}" is sensitive, and only text, alone or in lists and maps, can be kept secret.',
                "Make it a string.",
                (*path, "sensitive"),
            )
        if made.default is not MISSING and made.default is not None:
            self._accept(made, made.default, lambda: self.problems.locate((*path, "default")), "its default", True)
        return made

    def values(
        self,
        environments: Mapping[str, Mapping[str, Any]],
        environment: str,
        environ: Mapping[str, str],
        folder: Path,
        given: Sequence[str | Path],
    ) -> dict[str, Any]:
        """The value of each variable; what is wrong goes to ``problems``. ``given`` is the command line's, in its order."""
        found: dict[str, Any] = {}
        for declaration in self.declared.values():
            if declaration.default is not MISSING:
                found[declaration.name] = declaration.default
        for name, values in environments.items():
            accepted = self._take(_Given(f"environment {name}", values, ("environments", name, "variables")))
            if name == environment:
                found.update(accepted)
        outside = {key.removeprefix(PREFIX): text for key, text in environ.items() if key.startswith(PREFIX)}
        known = {name: text for name, text in outside.items() if name in self.declared}
        found.update(self._take(_Given("MLINFRA_VAR_", known, texts=True)))
        for item in (*_auto(folder), *given):
            found.update(self._take(one) if (one := self._given(item)) is not None else {})
        for name in self.declared:
            if name in found:
                continue
            found[name] = UNSET
            if name not in self._refused:
                self.problems.add(
                    "variable-missing",
                    "Missing value of a variable",
                    f'The variable "{name}" has no default and no value.',
                    f"Give it one: --var {name}=VALUE, {PREFIX}{name}=VALUE in the environment, a line in a --var-file, "
                    f"`variables: {{ {name}: VALUE }}` in an environment of the blueprint, or a default.",
                    ("variables", name),
                    at="key",
                )
        return {
            name: _secret(value) if self.declared[name].sensitive and value is not UNSET else value
            for name, value in found.items()
            if name in self.declared
        }

    def _given(self, item: str | Path) -> _Given | None:
        if isinstance(item, Path):
            try:
                source = read(item, "variables")
            except DiagnosticError as error:
                if any(d.code == "file-empty" for d in error.diagnostics):
                    return None
                self.problems.take(error)
                return None
            return _Given(str(item), source.data, source=source)
        name, equals, text = item.partition("=")
        if not equals:
            self.problems.add(
                "variable-syntax",
                "Variable without a value",
                f'"--var {item}" gives no value.',
                "Write --var NAME=VALUE.",
            )
            return None
        return _Given("--var", {name.strip(): text}, texts=True)

    def _take(self, given: _Given) -> dict[str, Any]:
        """The values of one place that are accepted."""
        accepted: dict[str, Any] = {}
        for name, value in given.values.items():
            declaration = self.declared.get(name)
            place = self._place(given, name)
            if declaration is None:
                self.problems.add(
                    "variable-unknown",
                    "Unknown variable",
                    f'There is no variable "{name}" ({given.label}).{did_you_mean(str(name), self.declared)}',
                    f'Declare it under "variables:". Declared are: {", ".join(self.declared) or "none"}.',
                    position=place,
                )
                continue
            label = f"from {PREFIX}{name}" if given.label == PREFIX else f"from {given.label}"
            if given.texts:
                try:
                    value = declaration.parsed(value)
                except ValueError as error:
                    self._refuse(declaration, f"cannot be read as YAML ({error})", place, label)
                    continue
            if self._accept(declaration, value, place, label, given.path is not None):
                accepted[name] = value
        return accepted

    def _place(self, given: _Given, name: str) -> _Place:
        if given.path is not None:
            path = (*given.path, name)
            return lambda: self.problems.locate(path)
        if given.source is not None:
            source = given.source
            return lambda: source.position((name,))
        return None

    def _accept(
        self, declaration: Declaration, value: Any, place: _Place, label: str, in_blueprint: bool = False
    ) -> bool:
        refusal = declaration.refusal(value)
        strange = next(odd(value, ()), None)
        if not refusal and strange is not None:
            refusal = f"cannot be used: {strange[2][0].lower()}{strange[2][1:].rstrip('.')}"
        if not refusal and in_blueprint and _anywhere(value, lambda text: "${" in text):
            refusal = "must be plain: ${...} is not resolved in variables (in a variables file it may stand as text)"
        if refusal:
            got = "" if declaration.sensitive else f", and it is {plain(value)}"
            self._refuse(declaration, f"{refusal}{got}", place, label)
        return not refusal

    def _refuse(self, declaration: Declaration, clause: str, place: _Place, label: str) -> None:
        self._refused.add(declaration.name)
        self.problems.add(
            "variable-invalid",
            "Invalid value of a variable",
            f'The variable "{declaration.name}" ({label}) {clause}.',
            "Give it another value, or change its declaration.",
            position=place,
        )


def _auto(folder: Path) -> Iterator[Path]:
    try:
        yield from sorted(path for path in folder.iterdir() if path.name.endswith(AUTO))
    except OSError:
        return


def _anywhere(value: Any, test: Callable[[str], bool]) -> bool:
    if isinstance(value, str):
        return test(value)
    if isinstance(value, dict):
        return any(_anywhere(key, test) or _anywhere(item, test) for key, item in value.items())
    return isinstance(value, list) and any(_anywhere(item, test) for item in value)


def _secret(value: Any) -> Any:
    if isinstance(value, str):
        return Sensitive(value)
    if isinstance(value, dict):
        return {key: _secret(item) for key, item in value.items()}
    return [_secret(item) for item in value] if isinstance(value, list) else value
