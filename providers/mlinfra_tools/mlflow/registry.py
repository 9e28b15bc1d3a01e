"""The recipe for kind ``registry``: an MLflow server with its database and files in one volume, its models and aliases.

The server is a workload that any runtime realises; the models are objects behind its REST API. Must not know a runtime.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.lowering import CheckResult, Lowering, Outputs
from mlinfra.sdk.refs import slot
from mlinfra.sdk.workload import Limits, Mount, Port, Probe, Service, Volume, VolumeHandle
from mlinfra_tools.client import ToolsClient
from mlinfra_tools.mlflow.rest import Mlflow
from mlinfra_tools.versions import software

if TYPE_CHECKING:
    from mlinfra.kinds.registry import Registry

INSIDE: Final = 5000
"""MLflow's own port."""
START_SECONDS: Final = 300.0
"""A first start makes the database: 20 to 50 s on two cores, more where the disk is slow."""
LOCAL_HOSTS: Final = ("localhost", "localhost:*", "127.0.0.1", "127.0.0.1:*", "[::1]", "[[]::1]:*")
"""Host headers that the server takes. MLflow matches those with a star as shell patterns, so a bracket is escaped there."""
ENVIRONMENT: Final = {
    # Four job workers and a huey queue take 1.3 GB for prompt and evaluation jobs that no component here uses.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
}


def lower(registry: Registry, lowering: Lowering) -> Outputs:
    """Server, models and aliases of one registry."""
    # A runtime that offers "postgresql" gets the database as a service of its own; the files stay in the volume.
    data = lowering.volume(Volume("data", data=True))
    server = lowering.service(server_service(data))
    uri = server.urls["http"]
    held: dict[str, dict[str, str]] = {}
    for name, model in registry.models.items():
        declared = lowering.resource(
            "mlflow.registered_model",
            name,
            {
                "tracking_uri": uri,
                "name": name,
                "description": model.description,
                "tags": dict(model.tags),
                "approval": model.approval,
            },
            after=(server.address,),
            label=f"model {name}",
        )
        held[name] = {}
        for alias in model.aliases:
            handle = lowering.resource(
                "mlflow.model_alias",
                f"{name}@{alias}",
                {"tracking_uri": uri, "model": name, "alias": alias},
                after=(declared.address,),
                label=f"{name}@{alias}",
            )
            held[name][alias] = handle.ref("version")
    lowering.check("models", "mlinfra_tools.mlflow.registry:read_models", uri=uri, models=list(registry.models))
    return {"url": uri, "models": held}


def server_service(data: VolumeHandle, limits: Limits = Limits(), number: int | None = None) -> Service:
    """The MLflow server that keeps everything in ``data``. ``number`` fixes its port."""
    folder = slot("path:data")
    hosts = ",".join(LOCAL_HOSTS)
    return Service(
        name="server",
        software=software("mlflow"),
        command=(
            *(slot("python"), "-m", "mlflow", "server"),
            *("--host", slot("host"), "--port", slot("port:http"), "--workers", "1"),
            *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db"),
            *("--serve-artifacts", "--artifacts-destination", f"{folder}/artifacts"),
            *("--allowed-hosts", hosts),
        ),
        ports={"http": Port(INSIDE, number=number)},
        probe=Probe("http", "/health", timeout=START_SECONDS),
        env=ENVIRONMENT,
        mounts=(Mount("data", data),),
        limits=limits,
    )


def read_models(uri: str, models: list[str]) -> CheckResult:
    """Whether the registry can be read and has these models; tells each with where its aliases point."""
    client = ToolsClient()
    try:
        found = Mlflow(client, uri).models(models)
    except ProviderError as error:
        return CheckResult(False, str(error))
    finally:
        client.close()
    aliases = {
        name: {item["alias"]: int(item["version"]) for item in found[name].get("aliases", ())} for name in sorted(found)
    }
    missing = sorted(set(models) - set(found))
    if missing:
        return CheckResult(False, f"not in the registry: {', '.join(missing)}", {"models": aliases})
    told = "; ".join(
        f"{name} ({', '.join(f'{alias} → {version}' for alias, version in held.items()) or 'no alias'})"
        for name, held in aliases.items()
    )
    return CheckResult(True, told or "the registry answers; no model is declared", {"models": aliases})
