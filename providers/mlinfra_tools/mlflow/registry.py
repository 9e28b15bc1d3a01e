"""The recipe for kind ``registry``: an MLflow server with its database and files in one volume, its models and aliases.

The server is a workload that any runtime realises; the models are objects behind its REST API. Must not know a runtime.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from mlinfra.kinds.kind import opaque
from mlinfra.sdk.diagnostics import fail
from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.lowering import CheckResult, Lowering, Outputs
from mlinfra.sdk.refs import slot
from mlinfra.sdk.workload import Limits, Mount, Port, Probe, Service, Volume, VolumeHandle
from mlinfra_tools.client import ToolsClient
from mlinfra_tools.mlflow.limits import limits
from mlinfra_tools.mlflow.rest import Mlflow
from mlinfra_tools.versions import POSTGRESQL, software

if TYPE_CHECKING:
    from mlinfra.kinds.registry import Registry

SHARED: Final = "models"
"""Under this name the recipe shares what it declares: a model's name → `Declared`."""
INSIDE: Final = 5000
"""MLflow's own port."""
OWN_PORT: Final = Port(INSIDE)
NO_LIMITS: Final = Limits()
FOLDER: Final = "/var/lib/postgresql/data"
"""Where PostgreSQL's image declares a volume: one of ours there, so that the engine makes none without a name, which would stay."""
USER: Final = "mlflow"
"""The user of the database, and its name."""
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


@dataclass(frozen=True, slots=True)
class Declared:
    """A model as the registry declares it: the address of its resource, those of its aliases, and how a new version comes to
    an alias (``auto``, ``manual``, or a token for one of them). Empty for a model that is not declared."""

    model: str = ""
    aliases: Mapping[str, str] = field(default_factory=dict)
    approval: str = "auto"


@dataclass(frozen=True, slots=True)
class Database:
    """A PostgreSQL: where it answers, and the line of a password file for it (a secret)."""

    url: str
    passfile: str


def lower(registry: Registry, lowering: Lowering) -> Outputs:
    """Server, models and aliases of one registry.

    Errors: DiagnosticError for names that only an apply could tell.
    """
    data = lowering.volume(Volume("data", data=True))
    database = None
    if {"postgresql", "passwords"} <= lowering.capabilities:
        database = postgresql(lowering)
    port = Port(INSIDE, number=registry.port, exposed=registry.expose)
    # Where services have names in a network of their own, the recipe cannot know by which of them the server is called.
    anyone = registry.expose or "images" in lowering.capabilities
    bounds = limits(registry.resources, lowering)
    server = lowering.service(server_service(data, bounds, port, anyone=anyone, database=database))
    uri = server.urls["http"]
    held: dict[str, dict[str, str]] = {}
    shared: dict[str, Declared] = {}
    for name, model in registry.models.items():
        _known(f'The model "{name}"', model)
        _known(f'An alias of the model "{name}"', model.aliases, *model.aliases)
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
        held[name], addresses = {}, {}
        for alias in model.aliases:
            handle = lowering.resource(
                "mlflow.model_alias",
                f"{name}@{alias}",
                {"tracking_uri": uri, "model": name, "alias": alias},
                after=(declared.address,),
                label=f"{name}@{alias}" + (" (set by a person)" if model.approval == "manual" else ""),
            )
            held[name][alias] = handle.ref("version")
            addresses[alias] = handle.address
        shared[name] = Declared(declared.address, addresses, model.approval)
    lowering.share(SHARED, shared)
    lowering.check("models", "mlinfra_tools.mlflow.registry:read_models", uri=uri, models=list(registry.models))
    return {"url": uri, "models": held}


def _known(what: str, *values: Any) -> None:
    """Errors: DiagnosticError if one of the values can be told only by an apply: names must be known before."""
    if any(opaque(value) for value in values):
        raise fail(
            "value-not-known",
            "Value not known while planning",
            f"{what} comes from a value that only an apply can tell.",
            "Write it out, or take it from a variable.",
        )


def postgresql(lowering: Lowering) -> Database:
    """A PostgreSQL of the registry's own, which only its server reaches, with a password that nobody chose."""
    password = lowering.password("password")
    volume = lowering.volume(Volume("database", data=True))
    service = lowering.service(
        Service(
            name="database",
            software=POSTGRESQL,
            command=(),
            ports={"sql": Port(5432, private=True, scheme="postgresql+psycopg2")},
            # By network: while its first start fills the folder, it answers on its socket only.
            probe=Probe("sql", "", command=("pg_isready", "-q", "-h", "127.0.0.1", "-U", USER), timeout=START_SECONDS),
            env={
                "POSTGRES_USER": USER,
                "POSTGRES_DB": USER,
                "POSTGRES_PASSWORD_FILE": slot("secret:password"),
                "PGDATA": f"{slot('path:database')}/pgdata",
            },
            secrets={"password": password},
            mounts=(Mount("database", volume, at=FOLDER),),
        )
    )
    return Database(service.urls["sql"], f"*:*:*:{USER}:{password}")


def server_service(
    data: VolumeHandle,
    limits: Limits = NO_LIMITS,
    port: Port = OWN_PORT,
    *,
    anyone: bool = False,
    database: Database | None = None,
) -> Service:
    """The MLflow server that keeps everything in ``data``, or only its files, and the rest in a ``database``. ``anyone``: it
    answers under whatever name it is called."""
    folder = slot("path:data")
    number = slot("port:http")
    store, secrets = f"sqlite:///{folder}/mlflow.db", {}
    if database is not None:
        # The password is read from a file by PostgreSQL's own library: it is in no command line and no variable.
        store = f"{database.url}/{USER}?user={USER}&passfile={slot('secret:pgpass')}"
        secrets = {"pgpass": database.passfile}
    hosts = ("*",) if anyone else LOCAL_HOSTS
    access = ["--allowed-hosts", ",".join(hosts)]
    if port.exposed:
        # The pages of its own site send their origin with each search, and MLflow takes only origins that it is told.
        # Sites of others rarely stand on the same port.
        numbers = dict.fromkeys(str(each) for each in (number, port.number) if each is not None)
        access += ["--cors-allowed-origins", ",".join(f"http://*:{each}" for each in numbers)]
    return Service(
        name="server",
        software=software("mlflow"),
        command=(
            *(slot("python"), "-m", "mlflow", "server"),
            *("--host", slot("host"), "--port", number, "--workers", "1"),
            *("--backend-store-uri", store),
            *("--serve-artifacts", "--artifacts-destination", f"{folder}/artifacts"),
            *access,
        ),
        ports={"http": port},
        probe=Probe("http", "/health", timeout=START_SECONDS),
        env=ENVIRONMENT,
        secrets=secrets,
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
