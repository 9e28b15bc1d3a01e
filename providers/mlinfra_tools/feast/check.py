"""The proof that a feature store works: features of an entity that is online are read as any client reads them."""

from __future__ import annotations

from typing import Any

from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.lowering import CheckResult
from mlinfra_tools.client import ToolsClient
from mlinfra_tools.feast.server_api import FeatureServer


def read_features(url: str, client: ToolsClient | None = None) -> CheckResult:
    """Read every feature of one online entity of each view of the feature server at ``url``."""
    own = client or ToolsClient()
    try:
        return _read(FeatureServer(own, url))
    except ProviderError as error:
        return CheckResult(False, str(error))
    finally:
        if client is None:
            own.close()


def _read(server: FeatureServer) -> CheckResult:
    told = server.repository()
    if told is None:
        return CheckResult(False, "no feature repository is applied")
    if told["store"] != "ready":
        return CheckResult(False, told["store"])
    missing = told.get("missing", {})
    if not told.get("online", True):
        if missing:
            return CheckResult(False, "; ".join(f"{view}: {why}" for view, why in missing.items()))
        return CheckResult(
            True, f"not online; history of {', '.join(told['views']) or 'no view'}", {"views": told["views"]}
        )
    lines, detail = [], {}
    for view, definition in told["views"].items():
        entity = server.sample(view)
        if entity is None:
            why = missing.get(view, f"its source: {definition['source']}")
            return CheckResult(False, f"no entity of {view} is online ({why})")
        found = server.features(view, list(definition["features"]), entity)
        missing = [name for name in definition["features"] if name not in found]
        if missing:
            return CheckResult(False, f"{view}: the server does not answer {', '.join(missing)}")
        features = {name: found[name] for name in definition["features"]}
        if all(value is None for value in features.values()):
            return CheckResult(False, f"{view}: no feature of {_pairs(entity)} has a value")
        detail[view] = {"entity": entity, "features": features}
        lines.append(f"{_pairs(entity)}: {_pairs(features)}")
    if not lines:
        return CheckResult(False, "the repository has no view")
    return CheckResult(True, "; ".join(lines), detail)


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}={_short(value)}" for name, value in values.items())


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
