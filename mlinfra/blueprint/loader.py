"""`load`: from a blueprint's files to a `Blueprint`, or to all its mistakes together. Pure but for reading files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlinfra.blueprint.components import RAW, Assembly, Component, KindOf, RawResource
from mlinfra.blueprint.digest import digest
from mlinfra.blueprint.documents import Documents, open_documents
from mlinfra.blueprint.environments import Environment, check_settings, choose, read_environments
from mlinfra.blueprint.names import checked
from mlinfra.blueprint.order import ordered
from mlinfra.blueprint.problems import Problems
from mlinfra.blueprint.references import Resolver, Scope
from mlinfra.blueprint.sections import check_overrides, effective, kind_models, mapping, removal
from mlinfra.blueprint.source import plain
from mlinfra.blueprint.variables import Variables
from mlinfra.sdk.diagnostics import DiagnosticError, Position, fail

if TYPE_CHECKING:
    from mlinfra.kinds.kind import Kind

__all__ = ["Blueprint", "Component", "Environment", "RawResource", "load"]

_EDGES_TOLD: Final = 100


@dataclass(frozen=True)
class Blueprint:
    """A blueprint in one environment, without mistakes that can be told without a provider.

    ``order`` has the addresses of components and raw resources, what is needed first. ``producers`` maps a model reference
    (``registry.models/fraud@champion``) to the training that makes it. ``digest`` changes with anything that was resolved.
    """

    name: str
    root: Path
    environment: Environment
    environments: Mapping[str, Environment]
    variables: Mapping[str, Any]
    components: Mapping[str, Component]
    resources: Mapping[str, RawResource]
    order: Sequence[str]
    producers: Mapping[str, str]
    digest: str
    _documents: Documents = field(repr=False, compare=False)
    _kinds: KindOf = field(repr=False, compare=False)

    @property
    def nodes(self) -> Mapping[str, Component | RawResource]:
        """Components and raw resources by address."""
        return {**self.components, **self.resources}

    def position(self, path: Sequence[str | int], key: bool = True) -> Position:
        """The place of a path, ``("endpoint", "fraud", "variants")``, or of its closest parent; of the key, or of the value."""
        return self._documents.locate(path, "key" if key else "value")

    def validated(self, component: Component, fields: Mapping[str, Any]) -> Kind:
        """The model of a component with other fields, as they are when references in them have been replaced.

        Errors: DiagnosticError at the fields that its kind refuses.
        """
        from pydantic import ValidationError

        from mlinfra.blueprint.validation import report

        model = self._kinds(component.kind)
        assert model is not None  # the component was loaded with it
        try:
            return model.model_validate(fields)
        except ValidationError as error:
            problems = Problems(self._documents.locate)
            path = (component.kind, component.address.partition(".")[2])
            report(error, model, fields, path, component.kind, problems, component.address)
            problems.raise_any()
            raise


def load(
    path: Path,
    *,
    environment: str | None = None,
    variables: Sequence[str | Path] = (),
    variable_files: Sequence[Path] = (),
    environ: Mapping[str, str],
    kinds: KindOf,
    kind_names: Sequence[str] | None = None,
    environment_settings: Callable[[str], Any] | None = None,
) -> Blueprint:
    """Load the blueprint at a path: a file, or a folder of YAML files.

    ``variables`` holds ``name=value`` and paths of variable files in the order of the command line; ``variable_files`` come
    before them. ``kinds`` gives a kind's model by name; ``kind_names`` are the known ones (default: those of `mlinfra.kinds`).
    ``environment_settings`` gives a pydantic model of a provider's environment keys, or None.

    Errors: DiagnosticError with all mistakes, in the order of the file.
    """
    try:
        return _load(
            path,
            environment,
            (*variable_files, *variables),
            environ,
            kinds,
            _kind_names() if kind_names is None else kind_names,
            environment_settings,
        )
    except RecursionError:
        raise fail(
            "yaml-depth",
            "Nested too deeply",
            f'Values in "{path}" are nested deeper than mlinfra reads.',
            "Use fewer levels.",
        ) from None


def _kind_names() -> Sequence[str]:
    from mlinfra.kinds import KINDS

    return tuple(KINDS)


def _load(
    path: Path,
    wanted: str | None,
    given: Sequence[str | Path],
    environ: Mapping[str, str],
    kinds: KindOf,
    kind_names: Sequence[str],
    environment_settings: Callable[[str], Any] | None,
) -> Blueprint:
    documents = open_documents(path)
    tree = documents.tree
    problems = Problems(documents.locate, [source.file for source in documents.sources])
    models = kind_models(tree, kinds, kind_names, problems)
    name = _name(tree, problems)
    declared = tree.get("environments")
    environments = read_environments(declared, problems)
    for each in environments.values():
        check_overrides(each, kinds, kind_names, problems)
    chosen = (
        choose(environments, wanted, environ, declared if isinstance(declared, dict) else {}, problems)
        if environments
        else None
    )
    holder = Variables(problems)
    holder.declare(mapping(tree, "variables", problems))
    values = holder.values(
        {each.name: each.variables for each in environments.values()},
        chosen.name if chosen is not None else "",
        environ,
        documents.root,
        given,
    )
    if chosen is not None:
        chosen = _settled(chosen, name, values, environment_settings, problems)
        documents.environment = chosen.name
    sections = effective(tree, chosen, problems)
    for kind in sections:
        if kind != RAW and kind not in models and (model := kinds(kind)) is not None:
            models[kind] = model
    removed = removal(tree, sections, chosen)
    scope = Scope(
        _values(name, values, chosen),
        {kind: sections.get(kind, {}) for kind in dict.fromkeys((*kind_names, *models, *sections))},
        lambda kind: models[kind].outputs if kind in models else {},
        removed,
    )
    resolver = Resolver(scope, problems)
    assembly = Assembly(resolver, problems, kinds)
    resolver.edge = assembly.edge
    for kind, section in sections.items():
        if kind == RAW:
            assembly.add_resources(section)
        elif kind in models:
            assembly.add_kind(kind, models[kind], section)
    assembly.link(sections, removed)
    order, cycles = ordered(assembly.edges)
    for cycle in cycles:
        _cycle(cycle, assembly, problems)
    problems.raise_any()
    assert chosen is not None  # else a problem was raised
    return Blueprint(
        name=name,
        root=documents.root,
        environment=chosen,
        environments=environments,
        variables=values,
        components=assembly.components,
        resources=assembly.resources,
        order=order,
        producers=assembly.producers,
        digest=digest(name, chosen, values, assembly),
        _documents=documents,
        _kinds=kinds,
    )


def _name(tree: Mapping[str, Any], problems: Problems) -> str:
    if "blueprint" not in tree:
        problems.add(
            "key-missing",
            "Missing key",
            "The blueprint has no name.",
            "Write as its first line, for example: blueprint: fraud",
            (),
        )
        return ""
    name = tree["blueprint"]
    if not isinstance(name, str):
        problems.add(
            "value-type",
            "Wrong type of value",
            f'"blueprint" must be the name of the blueprint, and it is {plain(name)}.',
            "Write, for example: blueprint: fraud",
            ("blueprint",),
        )
        return ""
    checked(name, "a blueprint", ("blueprint",), problems, key=False)
    return name


def _settled(
    environment: Environment,
    name: str,
    values: Mapping[str, Any],
    environment_settings: Callable[[str], Any] | None,
    problems: Problems,
) -> Environment:
    """The chosen environment with references in its settings resolved and its provider's keys checked."""
    here = {"name": environment.name, "provider": environment.provider}
    resolver = Resolver(Scope({"var": values, "env": here, "blueprint": {"name": name}}), problems)
    path = ("environments", environment.name)
    settings = resolver.resolve(dict(environment.settings), path)
    state = resolver.resolve(environment.state, (*path, "state"))
    settled = Environment(
        name=environment.name,
        provider=environment.provider,
        default=environment.default,
        disposable=environment.disposable,
        protect=environment.protect,
        state=state if isinstance(state, str) or state is None else str(state),
        settings=settings,
        variables=environment.variables,
        overrides=environment.overrides,
    )
    if environment_settings is not None and environment.provider:
        try:
            check_settings(settled, environment_settings(environment.provider), problems)
        except DiagnosticError as error:
            for each in error.diagnostics:
                problems.add(each.code, each.summary, each.detail, each.remedy, (*path, "provider"))
    return settled


def _values(name: str, values: Mapping[str, Any], chosen: Environment | None) -> dict[str, Any]:
    """What ``var``, ``env`` and ``blueprint`` stand for."""
    env: dict[str, Any] = {}
    if chosen is not None:
        env = {
            **chosen.settings,
            "name": chosen.name,
            "provider": chosen.provider,
            "disposable": chosen.disposable,
            "protect": chosen.protect,
        }
    return {"var": values, "env": env, "blueprint": {"name": name}}


def _cycle(cycle: Sequence[str], assembly: Assembly, problems: Problems) -> None:
    steps = []
    for number, address in enumerate(cycle):
        target = cycle[(number + 1) % len(cycle)]
        path = assembly.paths[address, target]
        steps.append(f"{address} → {target} (by {'.'.join(map(str, path[2:]))})")
    if len(steps) > _EDGES_TOLD:
        steps[_EDGES_TOLD:] = [f"and {len(steps) - _EDGES_TOLD} more, back to {cycle[0]}"]
    problems.add(
        "cycle",
        "Cycle of references",
        f"{'It refers to itself' if len(cycle) == 1 else 'These need each other'}: {', '.join(steps)}.",
        "Remove one of the references.",
        assembly.paths[cycle[0], cycle[1 % len(cycle)]],
        address=cycle[0],
    )
