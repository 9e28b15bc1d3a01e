"""`Catalog`: which providers there are, and the resource types, recipes and runtimes they offer.

Built-in providers stand in a static table, since reading entry points costs more than all else that a start does; the
entry-point group ``mlinfra.providers`` is looked at only for a name that is not built in. A provider's module is imported
when it is first needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mlinfra.sdk.diagnostics import DiagnosticError, did_you_mean, fail
from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.provider import Place, Provider, load
from mlinfra.sdk.resource import Resource

ENTRY_POINTS = "mlinfra.providers"

BUILT_IN: Mapping[str, str] = {
    "aws": "mlinfra_aws:PROVIDER",
    "docker": "mlinfra_docker:PROVIDER",
    "local": "mlinfra_local:PROVIDER",
    "tools": "mlinfra_tools:PROVIDER",
}
NAMESPACES: Mapping[str, str] = {
    "aws": "aws",
    "docker": "docker",
    "local": "local",
    "mlflow": "tools",
    "feast": "tools",
}
"""The first word of a resource type → the provider that has it, for built-in ones."""

TOOLS = "tools"
"""The provider whose recipes are used for kinds that an environment's own provider has no recipe for."""

Recipe = Callable[[Any, Any], Mapping[str, Any]]


class Catalog:
    """Looks providers up. Give ``extra`` ones (by name) in tests and embeddings; they win over built-in ones."""

    def __init__(self, extra: Iterable[Provider] = ()) -> None:
        self._loaded: dict[str, Provider] = {provider.name: provider for provider in extra}
        self._types: dict[str, type[Resource]] = {}
        self._owners: dict[str, Provider] = {}
        self._recipes: dict[tuple[str, str], Recipe] = {}

    def names(self) -> list[str]:
        """The names of all providers, installed ones of third parties included."""
        return sorted({*BUILT_IN, *self._loaded, *(entry.name for entry in _entry_points())})

    def provider(self, name: str) -> Provider:
        """A provider by its name.

        Errors: DiagnosticError for one that is not installed.
        """
        found = self._loaded.get(name)
        if found is None:
            found = self._load(name)
            self._loaded[name] = found
        return found

    def settings(self, name: str) -> Any:
        """The pydantic model of the environment keys that a provider knows; None if it names none or is not installed."""
        try:
            target = self.provider(name).settings
        except DiagnosticError:
            return None
        return load(target) if target is not None else None

    def _load(self, name: str) -> Provider:
        if name in BUILT_IN:
            provider: Provider = load(BUILT_IN[name])
            return provider
        for entry in _entry_points():
            if entry.name == name:
                installed: Provider = entry.load()
                return installed
        raise fail(
            "provider-unknown",
            "Unknown provider",
            f'There is no provider "{name}".{did_you_mean(name, self.names())}',
            f"Installed are: {', '.join(self.names())}.",
        )

    def resource_type(self, name: str) -> type[Resource]:
        """A resource type's class by its name (``local.folder``).

        Errors: DiagnosticError for an unknown one, with the closest name.
        """
        found = self._types.get(name)
        if found is None:
            provider = self.owner(name)
            loaded: type[Resource] = load(provider.resources[name])
            found = self._types[name] = loaded
        return found

    def owner(self, type_name: str) -> Provider:
        """The provider that has a resource type.

        Errors: DiagnosticError as `resource_type`.
        """
        known = self._owners.get(type_name)
        if known is not None:
            return known
        namespace = type_name.partition(".")[0]
        for provider in self._candidates(namespace):
            if type_name in provider.resources:
                self._owners[type_name] = provider
                return provider
        types = self.types()
        raise fail(
            "resource-type-unknown",
            "Unknown resource type",
            f'There is no resource type "{type_name}".{did_you_mean(type_name, types)}',
            "`mlinfra providers` lists the types of each provider.",
        )

    def _candidates(self, namespace: str) -> Iterable[Provider]:
        yield from list(self._loaded.values())
        if namespace in NAMESPACES:
            yield self.provider(NAMESPACES[namespace])
        elif namespace in self.names():
            yield self.provider(namespace)

    def types(self) -> list[str]:
        """The names of all resource types of all providers."""
        return sorted(type_name for name in self.names() for type_name in self.provider(name).resources)

    def recipe(self, kind: str, provider: str) -> Recipe:
        """The recipe that turns a kind into resources in an environment of ``provider``.

        Errors: DiagnosticError if neither the provider nor the tools have one.
        """
        key = (kind, provider)
        if key not in self._recipes:
            table = self.provider(provider)
            target = table.recipes.get(kind)
            if target is None and table.runtime is not None:
                target = self.provider(TOOLS).recipes.get(kind)
            if target is None:
                raise fail(
                    "kind-unsupported",
                    "Kind not supported here",
                    f'The provider "{provider}" cannot make a {kind}.',
                    "Choose another environment with -e, or remove the component there with an override of null.",
                )
            self._recipes[key] = load(target)
        return self._recipes[key]


class Clients:
    """The clients of one run, one a provider, connected on first use."""

    def __init__(self, catalog: Catalog, place: Place) -> None:
        self._catalog = catalog
        self._place = place
        self._clients: dict[str, Any] = {}

    def of(self, type_name: str) -> Any:
        """The client for a resource type's functions.

        Errors: DiagnosticError if what the provider connects to cannot be reached.
        """
        provider = self._catalog.owner(type_name)
        if provider.name not in self._clients:
            connect = load(provider.connect) if provider.connect else None
            try:
                self._clients[provider.name] = connect(self._place) if connect else None
            except ProviderError as error:
                raise fail("provider-unreachable", "Provider cannot be reached", str(error), error.remedy) from error
        return self._clients[provider.name]

    def close(self) -> None:
        """Close the clients that can be closed."""
        for client in self._clients.values():
            close = getattr(client, "close", None)
            if close is not None:
                close()
        self._clients.clear()


def _entry_points() -> Iterable[Any]:
    from importlib.metadata import entry_points

    return entry_points(group=ENTRY_POINTS)
