"""Resolving the tokens in a resource's fields against what is known of other resources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlinfra.engine.catalog import Catalog
from mlinfra.engine.values import MISSING, at_path
from mlinfra.sdk.diagnostics import did_you_mean, fail
from mlinfra.sdk.fields import policies
from mlinfra.sdk.refs import UNKNOWN, Reference, resolve


@dataclass(slots=True)
class Views:
    """What each resource will look like, as far as it is known: address → fields. ``partial`` are those whose missing
    fields are still to be told by the provider."""

    catalog: Catalog
    types: dict[str, str] = field(default_factory=dict)
    fields: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    partial: set[str] = field(default_factory=set)

    def put(self, address: str, type_name: str, fields: Mapping[str, Any], *, partial: bool = False) -> None:
        """Set what is known of a resource."""
        self.types[address] = type_name
        self.fields[address] = fields
        if partial:
            self.partial.add(address)
        else:
            self.partial.discard(address)

    def lookup(self, reference: Reference) -> Any:
        """The value of a reference, or `UNKNOWN`.

        Errors: DiagnosticError for a resource or a field that does not exist.
        """
        fields = self.fields.get(reference.address)
        if fields is None:
            raise fail(
                "reference-unknown",
                "Unknown reference",
                f'There is no resource "{reference.address}".{did_you_mean(reference.address, self.fields)}',
                "Correct the reference.",
            )
        value = at_path(fields, reference.path)
        if value is not MISSING:
            return value
        if reference.address in self.partial:
            head = reference.path.partition(".")[0]
            model = self.catalog.resource_type(self.types[reference.address])
            if head in model.model_fields:
                policy = policies(model)[head]
                return UNKNOWN if policy.computed or policy.owned or policy.secret else None
        return self._absent(reference)

    def _absent(self, reference: Reference) -> Any:
        model = self.catalog.resource_type(self.types[reference.address])
        head, _, rest = reference.path.partition(".")
        if head in model.model_fields and not rest:
            return None
        names = list(model.model_fields)
        raise fail(
            "field-unknown",
            "Unknown field",
            f'"{reference.address}" ({model.type}) has no field "{reference.path}".{did_you_mean(head, names)}',
            f"Its fields are: {', '.join(names)}.",
        )

    def resolve(self, value: Any) -> Any:
        """A value with its tokens replaced, `UNKNOWN` where only the apply can tell."""
        return resolve(value, self.lookup, _evaluate)


def _evaluate(source: str, bindings: Mapping[str, Any]) -> Any:
    from mlinfra.blueprint.expressions import evaluate

    return evaluate(source, bindings)
