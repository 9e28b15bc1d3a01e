"""The recipe for kind ``feature_store``: a volume that is a Feast repository, a feature server over it, and what it serves.

The server is a workload that any runtime realises; the repository is applied through it. Must not know a runtime.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from mlinfra.kinds.kind import opaque
from mlinfra.sdk.diagnostics import fail
from mlinfra.sdk.lowering import Lowering, Outputs
from mlinfra.sdk.refs import references
from mlinfra.sdk.workload import Limits, Mount, Volume
from mlinfra_tools.feast.redis import redis
from mlinfra_tools.feast.service import server_service

if TYPE_CHECKING:
    from mlinfra.kinds.feature_store import FeatureStore

ENTITY: Final = ("join_key", "type", "description")
VIEW: Final = ("entities", "source", "timestamp_field", "created_field", "ttl", "features", "description")
MATERIALISE: Final = ("on_apply", "start", "every", "cron", "window")
RESOURCES: Final = ("cpu", "memory")
PARTS: Final = ("entities", "views", "online", "materialise", "port", "expose", "resources")
"""What of each part of the kind is done here. Anything else that a blueprint sets is reported as unsupported."""
WHY: Final = {
    "resources.gpu": "a feature server uses none",
    "resources.instance": "it runs in this environment, which has no instance types",
}


def lower(store: FeatureStore, lowering: Lowering) -> Outputs:
    """Volume, server, repository, and a check that reads features."""
    given = _given("", store, PARTS, lowering)
    materialise = _given("materialise.", given.get("materialise"), MATERIALISE, lowering)
    limits = Limits(**_given("resources.", given.get("resources"), RESOURCES, lowering))
    online = given.get("online", True)
    if online is False and set(materialise) - {"on_apply"}:
        lowering.unsupported("materialise", "nothing goes online with `online: false`")
    entities = {
        name: _entity(name, told, lowering) for name, told in _seen("entities", given.get("entities", {})).items()
    }
    views = {name: _view(name, told, lowering) for name, told in _seen("views", given.get("views", {})).items()}
    project = _project(lowering.component.partition(".")[2])
    # Not marked as data: what a delete would lose is told by the repository, which can say what of it can be made again.
    volume = lowering.volume(Volume("store"))
    lowering.share("volume", volume)
    own = online and {"redis", "passwords"} <= lowering.capabilities
    server = lowering.service(
        server_service(
            volume,
            _sources(views.values(), lowering),
            port=given.get("port"),
            exposed=given.get("expose", False),
            limits=limits,
            online=redis(lowering) if own else None,
        )
    )
    url = server.urls["http"]
    repository = lowering.resource(
        "feast.repository",
        project,
        {
            "url": url,
            "project": project,
            "entities": entities,
            "views": views,
            "online": online,
            "materialise": materialise,
        },
        after=(server.address,),
    )
    lowering.check("features", "mlinfra_tools.feast.check:read_features", url=url)
    # By way of the repository: who reads features needs them applied, not just a server that answers.
    return {"url": repository.ref("url"), "name": project}


def _project(name: str) -> str:
    """A component's name as the name of a Feast project, which becomes a part of names of tables."""
    plain = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return plain if plain[:1].isalpha() else f"p{plain}"


def _entity(name: str, told: Any, lowering: Lowering) -> dict[str, Any]:
    return _given(f"entities.{name}.", told, ENTITY, lowering)


def _view(name: str, told: Any, lowering: Lowering) -> dict[str, Any]:
    view = _given(f"views.{name}.", told, (*VIEW, "entity"), lowering)
    if "entity" in view:
        view["entities"] = [view.pop("entity")]
    view["entities"] = list(_seen(f"views.{name}.entities", view.get("entities", ())))
    view["features"] = dict(_seen(f"views.{name}.features", view["features"]))
    return view


def _seen(where: str, value: Any) -> Any:
    """A value whose keys or items have to be known before an apply.

    Errors: DiagnosticError.
    """
    if opaque(value):
        raise fail(
            "value-not-known",
            "Value not known while planning",
            f"What stands in {where} can only be told by an apply, and Feast's files are made of it before.",
            "Write its keys out; their values may be references.",
        )
    return value


def _given(prefix: str, model: Any, known: Iterable[str], lowering: Lowering) -> dict[str, Any]:
    """The values of a part of the kind; what a blueprint set and Feast is not given here is reported."""
    if model is None:
        return {}
    values: dict[str, Any] = {}
    fields: Mapping[str, Any] = type(_seen(prefix.removesuffix("."), model)).model_fields
    for field in fields:
        value = getattr(model, field)
        if field in known:
            if value is not None:
                values[field] = value
        elif field in model.model_fields_set and value not in (None, 0, False):
            lowering.unsupported(prefix + field, WHY.get(prefix + field, ""))
    return values


def _sources(views: Iterable[Mapping[str, Any]], lowering: Lowering) -> list[Mount]:
    """The volumes that sources stand on, so that the server sees their files."""
    mounts: dict[str, Mount] = {}
    for view in views:
        for reference in references(view["source"]):
            component = reference.address.partition("/")[0]
            volume = lowering.shared(component, "volume")
            if volume is not None:
                mounts[component] = Mount(component.replace(".", "-"), volume, read_only=True)
    return list(mounts.values())
