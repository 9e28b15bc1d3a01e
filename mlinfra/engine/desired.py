"""From the fields of a desired resource to the form that is compared and applied: resolved, validated, normalised.

Where a value is not known yet only the known fields are validated; the rest follows when the apply knows them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from mlinfra.engine.values import absent, conceal, conceal_all, decode, is_unknown, restored, reveal, stand_in
from mlinfra.sdk.diagnostics import Diagnostic, DiagnosticError, did_you_mean
from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.fields import policies
from mlinfra.sdk.provider import Place
from mlinfra.sdk.refs import UNKNOWN
from mlinfra.sdk.resource import Fields, Resource
from mlinfra.state.snapshot import ResourceState

Locate = Callable[[tuple[str, ...]], Any]


@dataclass(frozen=True, slots=True)
class Form:
    """``fields`` is what the resource shall be, absent values left out, secrets `Sensitive`, unknowns `UNKNOWN`."""

    fields: Fields
    known: bool


def form(model: type[Resource], resolved: Mapping[str, Any], place: Place, address: str) -> Form:
    """The comparable form of resolved fields.

    Errors: DiagnosticError naming each field that the type refuses.
    """
    unknown = {name: value for name, value in resolved.items() if is_unknown(value)}
    plain = {name: reveal(stand_in(value)) for name, value in resolved.items() if name not in unknown}
    try:
        values = _dump(instance(model, plain, address)) if not unknown else _partial(model, plain, unknown, address)
        if not unknown:
            values = model.normalise(values, place)
    except ProviderError as error:
        raise DiagnosticError(
            [Diagnostic("resource-invalid", "Invalid resource", str(error), error.remedy, address=address)]
        ) from error
    fields: Fields = {}
    for name, found in values.items():
        value = restored(found, resolved.get(name))
        if absent(value):
            continue
        policy = policies(model).get(name)
        if policy is not None and policy.secret and value is not UNKNOWN:
            fields[name] = conceal_all(value)
        else:
            fields[name] = conceal(value, resolved.get(name))
    return Form(fields, not unknown)


def applied(model: type[Resource], entry: ResourceState, place: Place) -> Fields:
    """What was last applied, in the form that is compared: what the state recorded as desired. Secrets are fingerprints."""
    stored: Fields = decode(entry.desired)
    try:
        found = form(model, stored, place, entry.address).fields
        if model.looks_outside:  # what its fields mean now need not be what they meant then: that was read afterwards
            then = decode(entry.fields)
            return {name: then.get(name, value) for name, value in found.items()}
        return found
    except DiagnosticError:
        return (
            stored  # its type refuses now what it took then; or a secret's stand-in, where it checks the secret's form
        )


def instance(model: type[Resource], fields: Mapping[str, Any], address: str) -> Resource:
    """The resource as its model; fields in plain text.

    Errors: DiagnosticError naming each field that the type refuses.
    """
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise DiagnosticError([_diagnostic(model, item, address) for item in error.errors()]) from error


def _partial(
    model: type[Resource], plain: Mapping[str, Any], unknown: Mapping[str, Any], address: str
) -> dict[str, Any]:
    """Known fields validated, unknown ones as they are: a field that holds an unknown somewhere is unknown as a whole."""
    values: dict[str, Any] = {}
    try:
        values = _dump(model.model_validate(plain))
    except ValidationError as error:
        missing = [e for e in error.errors() if not (e["loc"] and e["loc"][0] in unknown) and e["loc"]]
        if missing:
            raise DiagnosticError([_diagnostic(model, item, address) for item in missing]) from error
        values = dict(plain)
    for name in unknown:
        if name not in model.model_fields:
            raise DiagnosticError(
                [_diagnostic(model, {"type": "extra_forbidden", "loc": (name,), "msg": "", "input": None}, address)]
            )
        values[name] = UNKNOWN
    return values


def _dump(resource: Resource) -> dict[str, Any]:
    fields = type(resource).model_fields
    dumped = resource.model_dump(mode="json")
    return {name: dumped[name] for name in fields}


def _diagnostic(model: type[Resource], error: Any, address: str) -> Diagnostic:
    location = tuple(error["loc"])
    path = ".".join(str(part) for part in location)
    if error["type"] == "extra_forbidden":
        names = [name for name, policy in policies(model).items() if not policy.computed]
        return Diagnostic(
            "field-unknown",
            "Unknown field",
            f'{model.type} has no field "{path}".{did_you_mean(path, names)}',
            f"Its fields are: {', '.join(names)}.",
            address=address,
            path=location,
        )
    if error["type"] == "missing":
        return Diagnostic(
            "field-missing",
            "Missing field",
            f'{model.type} needs the field "{path}".',
            f'Add "{path}:" to the resource.',
            address=address,
            path=location,
        )
    text = str(error["msg"])
    return Diagnostic(
        "field-invalid",
        "Invalid value",
        f'The field "{path}" of {model.type} cannot be {error.get("input")!r}: {text[:1].lower()}{text[1:]}.',
        "Correct the value.",
        address=address,
        path=location,
    )
