"""Components and raw resources: from the resolved sections to typed models and the edges between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from mlinfra.blueprint.names import checked
from mlinfra.blueprint.problems import Problems
from mlinfra.blueprint.references import Resolver
from mlinfra.blueprint.source import plain
from mlinfra.sdk.diagnostics import did_you_mean

if TYPE_CHECKING:
    from mlinfra.kinds.kind import Kind, Link

RAW: Final = "resource"
LATER: Final[Mapping[str, str]] = {
    "policy": "Policies",
    "moved": "Moves",
    "for_each": "Repetition",
    "use": "Modules",
}
"""Keys that the language reserves."""

KindOf = Callable[[str], "type[Kind] | None"]


@dataclass(frozen=True, slots=True)
class Component:
    """A component. ``fields`` may hold tokens; ``model`` is its validated kind. ``edges``: the address of each component or
    raw resource that it needs → the field that says so (``fraud.variants.champion.model``)."""

    address: str
    kind: str
    fields: Mapping[str, Any]
    model: Kind | None
    edges: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RawResource:
    """A resource of any provider, as the section ``resource`` gives it. ``fields`` may hold tokens."""

    address: str
    type: str
    fields: Mapping[str, Any]
    edges: Mapping[str, str]


@dataclass(slots=True)
class Assembly:
    """Collects the components and raw resources of a blueprint, then the edges that their models tell."""

    resolver: Resolver
    problems: Problems
    kinds: KindOf
    components: dict[str, Component] = field(default_factory=dict)
    resources: dict[str, RawResource] = field(default_factory=dict)
    edges: dict[str, dict[str, str]] = field(default_factory=dict)
    paths: dict[tuple[str, str], tuple[Any, ...]] = field(default_factory=dict)
    """(address, needed address) → the path of the field that says so."""
    producers: dict[str, str] = field(default_factory=dict)

    def edge(self, path: tuple[Any, ...], target: str) -> None:
        """Note that what stands at a path needs ``target``; the first reason is kept."""
        address = f"{path[0]}.{path[1]}"
        edges = self.edges[address]
        if target not in edges:
            edges[target] = ".".join(map(str, path[1:]))
            self.paths[address, target] = path

    def add_resources(self, section: Mapping[str, Any]) -> None:
        """Add the raw resources."""
        for name, given in section.items():
            path = (RAW, name)
            if not checked(name, "a resource", path, self.problems):
                continue
            address = f"{RAW}.{name}"
            if not isinstance(given, dict):
                self._not_mapping(f'The resource "{name}"', given, path, f"{name}: {{ type: PROVIDER.TYPE }}", address)
                continue
            self._reserved(given, path, address)
            type_name = given.get("type")
            if not isinstance(type_name, str) or "." not in type_name.strip("."):
                self._untyped(name, type_name, "type" in given, path, address)
                continue
            self.edges[address] = {}
            fields = self.resolver.resolve(given, path, address)
            fields = {key: value for key, value in fields.items() if key != "type"}
            self.resources[address] = RawResource(address, type_name, fields, self.edges[address])

    def add_kind(self, kind: str, model: type[Kind], section: Mapping[str, Any]) -> None:
        """Add the components of one kind."""
        from pydantic import ValidationError

        from mlinfra.blueprint.validation import report

        for name, given in section.items():
            path = (kind, name)
            if not checked(name, f"a {kind}", path, self.problems):
                continue
            address = f"{kind}.{name}"
            if given is None:
                given = {}
            if not isinstance(given, dict):
                self._not_mapping(f'"{address}"', given, path, f"{name}: {{ ... }}", address)
                continue
            own = model.model_fields
            reserved = self._reserved({key: None for key in given if key not in own}, path, address)
            self.edges[address] = {}
            fields = self.resolver.resolve(given, path, address)
            if reserved:
                fields = {key: value for key, value in fields.items() if key not in reserved}
            made: Kind | None = None
            try:
                made = model.model_validate(fields)
            except ValidationError as error:
                report(error, model, fields, path, kind, self.problems, address)
            self.components[address] = Component(address, kind, fields, made, self.edges[address])

    def link(self, sections: Mapping[str, Mapping[str, Any]], removed: Callable[[str, str], str]) -> None:
        """Check what the models link to, and add an edge for each link; one for what produces a model, too."""
        links = [
            (component, link)
            for component in self.components.values()
            if component.model is not None
            for link in component.model.links()
        ]
        made_by: dict[str, list[str]] = {}
        for component, link in links:
            if link.role == "produces" and link.model is not None:
                text = model_text(link)
                made_by.setdefault(text, []).append(component.address)
                self.producers.setdefault(text, component.address)
        for component, link in links:
            path = link_path(component, link)
            if not self._exists(component, link, path, sections, removed):
                continue
            self.edge(path, link.component)
            if link.model is not None:
                self._declared(component, link, path)
                for producer in made_by.get(model_text(link), ()) if link.role == "uses" else ():
                    if producer != component.address:
                        self.edge(path, producer)

    def _exists(
        self,
        component: Component,
        link: Link,
        path: tuple[Any, ...],
        sections: Mapping[str, Mapping[str, Any]],
        removed: Callable[[str, str], str],
    ) -> bool:
        kind, _, name = link.component.partition(".")
        if link.model is not None and kind != "registry":
            self.problems.add(
                "reference-kind",
                "Reference to the wrong kind",
                f'"{link.component}" is a {kind}, and models are kept by a registry.',
                "Write registry.NAME/MODEL@ALIAS.",
                path,
                needle=link.component,
                address=component.address,
            )
            return False
        if name in sections.get(kind, ()):
            return True
        known = [f"{kind}.{name}" for kind, names in sections.items() if kind != RAW for name in names]
        same = [address for address in known if address.startswith(f"{kind}.")]
        why = removed(kind, name) or did_you_mean(link.component, same) or did_you_mean(link.component, known)
        self.problems.add(
            "reference-unknown",
            "Unknown component",
            f'There is no component "{link.component}".{why}',
            f"Declared are: {', '.join((same or known)[:10]) or 'none'}.",
            path,
            needle=link.component,
            address=component.address,
        )
        return False

    def _declared(self, component: Component, link: Link, path: tuple[Any, ...]) -> None:
        """Whether the registry that is linked to declares the model and its alias, as far as its kind tells."""
        target = self.components.get(link.component)
        models = getattr(target.model, "models", None) if target is not None else None
        if link.model is None or not isinstance(models, Mapping) or not models:
            return
        word, known, what = link.model.model, list(models), f'The registry "{link.component}" declares no model'
        if word in models:
            aliases = getattr(models[word], "aliases", None)
            alias = getattr(link.model, "alias", None)
            if not alias or not isinstance(aliases, list | tuple) or not aliases or alias in aliases:
                return
            word, known, what = alias, [str(each) for each in aliases], f'The model "{word}" declares no alias'
        self.problems.add(
            "model-unknown",
            "Unknown model or alias",
            f'{what} "{word}".{did_you_mean(word, known)}',
            f"Declared are: {', '.join(map(str, known))}.",
            path,
            address=component.address,
        )

    def _reserved(self, fields: Iterable[str], path: tuple[Any, ...], address: str) -> list[str]:
        found = [key for key in ("for_each", "use") if key in fields]
        for key in found:
            not_yet(key, (*path, key), self.problems, address)
        return found

    def _untyped(self, name: str, type_name: Any, given: bool, path: tuple[Any, ...], address: str) -> None:
        self.problems.add(
            "value-type" if given else "key-missing",
            "Wrong type of value" if given else "Missing key",
            f'"type" must be a resource type, and it is {plain(type_name)}.'
            if given
            else f'The resource "{name}" does not say its type.',
            "Write type: PROVIDER.TYPE (local.folder); `mlinfra providers` lists them.",
            (*path, "type") if given else path,
            at="value" if given else "key",
            address=address,
        )

    def _not_mapping(self, label: str, given: Any, path: tuple[Any, ...], example: str, address: str) -> None:
        self.problems.add(
            "value-type",
            "Wrong type of value",
            f"{label} must be a mapping, and it is {plain(given)}.",
            f"Write {example}.",
            path,
            address=address,
        )


def not_yet(key: str, path: tuple[Any, ...], problems: Problems, address: str = "") -> None:
    """Say that a reserved key means nothing yet."""
    problems.add(
        "not-supported-yet",
        "Not supported yet",
        f'{LATER[key]} ("{key}") are not supported by this version of mlinfra.'
        if LATER[key].endswith("s")
        else f'{LATER[key]} ("{key}") is not supported by this version of mlinfra.',
        "Remove the key.",
        path,
        at="key",
        address=address,
    )


def link_path(component: Component, link: Link) -> tuple[Any, ...]:
    """The path of the field that a link stands in. Its keys are joined by dots, and a key may hold dots itself."""
    found: list[Any] = [component.kind, component.address.partition(".")[2]]
    value: Any = component.fields
    rest = link.field
    while rest:
        if isinstance(value, list):
            head, _, rest = rest.partition(".")
            step: Any = int(head) if head.isdecimal() else head
        else:
            keys = value if isinstance(value, Mapping) else ()
            fitting = [key for key in keys if rest == key or rest.startswith(f"{key}.")]
            step = max(fitting, key=len) if fitting else rest.partition(".")[0]
            rest = rest[len(step) + 1 :]
        found.append(step)
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            value = None
    return tuple(found)


def model_text(link: Link) -> str:
    """A model reference as it is written: ``registry.models/fraud@champion``."""
    model = link.model
    if model is None:
        return ""
    version = getattr(model, "version", None)
    end = f"@{model.alias}" if getattr(model, "alias", None) else f":{version}" if version is not None else ""
    return f"{model.component}/{model.model}{end}"
