"""Which objects of tools' servers carry our tags. Only servers that the blueprint names are asked; one that it has no more goes
with all that it holds. Reads only.
"""

from __future__ import annotations

from collections.abc import Iterator

from mlinfra.sdk.discovery import Found, Scope
from mlinfra.sdk.errors import Unreachable
from mlinfra_tools.client import ToolsClient
from mlinfra_tools.mlflow.rest import Mlflow, tags_of


def discover(client: ToolsClient, scope: Scope) -> Iterator[Found]:
    """Registered models and experiments of an environment. Aliases carry no tags, and go with their models."""
    wanted = (item for item in scope.wanted.values() if item.type.startswith("mlflow."))
    for uri in sorted({str(item.fields["tracking_uri"]) for item in wanted if item.fields.get("tracking_uri")}):
        try:
            yield from _of(Mlflow(client, uri), uri, scope)
        except Unreachable:
            continue  # what the blueprint wants of it is told as not found, with the reason


def _of(server: Mlflow, uri: str, scope: Scope) -> Iterator[Found]:
    told = {"tracking_uri": uri}
    for model in server.pages("GET", "registered-models/search", {"max_results": 1000}, "registered_models"):
        if scope.mine(tags_of(model)):
            made = f"{int(model.get('creation_timestamp', 0)):015d}"
            yield Found("mlflow.registered_model", model["name"], tags_of(model)["mlinfra:address"], made, told)
    query = {"view_type": "ACTIVE_ONLY", "max_results": 1000}
    for live in server.pages("POST", "experiments/search", query, "experiments"):
        if scope.mine(tags_of(live)):
            made = f"{int(live.get('creation_time', 0)):015d}"
            yield Found("mlflow.experiment", live["name"], tags_of(live)["mlinfra:address"], made, told)
