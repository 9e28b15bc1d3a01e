"""The recipe for kind ``secret`` on this machine: a file that its user only can read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlinfra.sdk.lowering import Lowering, Outputs
from mlinfra_local.client import absolute

if TYPE_CHECKING:
    from mlinfra.kinds.secret import Secret


def lower(secret: Secret, lowering: Lowering) -> Outputs:
    """A file with the value that is given, taken from outside, or made once."""
    name = lowering.component.partition(".")[2]
    given: dict[str, Any] = secret.model_dump(mode="json")
    fields: dict[str, Any] = {
        "path": str(absolute(lowering.place.work) / "secrets" / name),
        "value": given.get("value"),
        "env": given.get("env"),
        "from_file": given.get("file") or given.get("from_file"),
    }
    if not any(fields[source] for source in ("value", "env", "from_file")):
        fields["generate"] = _generate(given)
    handle = lowering.resource("local.secret_file", "secret", fields, label="secret")
    return {"value": handle.ref("value"), "path": handle.ref("path")}


def _generate(given: dict[str, Any]) -> dict[str, Any]:
    """How to make the value, as far as the blueprint says it."""
    told = given.get("generate")
    wishes = told if isinstance(told, dict) else given
    return {field: wishes[field] for field in ("length", "alphabet") if wishes.get(field) is not None}
