"""A blueprint of raw AWS resources, the emulator, and the engine between them."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from botocore.config import Config

from mlinfra.engine.apply import Outcome
from mlinfra.engine.catalog import Catalog
from mlinfra.engine.events import Event, NodeProgress
from mlinfra.engine.permissions import permissions
from mlinfra.engine.plan import Node, Plan
from mlinfra.engine.planner import Options
from mlinfra.engine.workspace import Selection, Workspace
from mlinfra.sdk.provider import Place
from mlinfra.sdk.resource import Operation
from mlinfra_aws import PROVIDER
from mlinfra_aws.client import AwsClient, Clock
from tests.emulator.calls import Call
from tests.emulator.server import Emulator
from tests.providers.aws.policies import refused

ACCOUNT = "111111111111"
REGION = "eu-west-1"
Fields = Mapping[str, Any]


@dataclass
class FastTime:
    """Time that passes only by waiting, and then at once."""

    now: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def wait(self, op: Operation | None, seconds: float) -> None:
        if op is not None:
            op.wait(0.0)
        with self.lock:
            self.now += seconds

    @property
    def clock(self) -> Clock:
        return Clock(now=lambda: self.now, wait=self.wait)


@dataclass
class Lab:
    """``settings`` are further keys of the environment; ``session`` is the boto3 session that its clients are made with."""

    folder: Path
    emulator: Emulator
    session: Any
    blueprint: str = "lab"
    settings: dict[str, Any] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    time: FastTime = field(default_factory=FastTime)
    clients: dict[str, Any] = field(default_factory=dict)

    # -- AWS behind mlinfra's back --------------------------------------------------------------------------------------

    def boto(self, service: str) -> Any:
        """A client of a service, as somebody else would use it."""
        if service not in self.clients:
            config = Config(retries={"total_max_attempts": 1})
            self.clients[service] = self.session.client(
                service, region_name=REGION, endpoint_url=self.emulator.url, config=config
            )
        return self.clients[service]

    def tagged(self) -> list[str]:
        """The ARNs of all that carries this blueprint's tag."""
        filters = [{"Key": "mlinfra:blueprint", "Values": [self.blueprint]}]
        found = self.boto("resourcegroupstaggingapi").get_resources(TagFilters=filters)
        return [item["ResourceARN"] for item in found["ResourceTagMappingList"] if not self.dying(item["ResourceARN"])]

    def dying(self, arn: str) -> bool:
        """Whether it is a key or a secret whose deletion only waits for its day."""
        if ":kms:" in arn:
            state: str = self.boto("kms").describe_key(KeyId=arn)["KeyMetadata"]["KeyState"]
            return state == "PendingDeletion"
        return ":secretsmanager:" in arn and "DeletedDate" in self.boto("secretsmanager").describe_secret(SecretId=arn)

    # -- mlinfra --------------------------------------------------------------------------------------------------------

    def write(self, resources: Mapping[str, Fields], **sections: Any) -> None:
        """Make the blueprint anew."""
        environment = {
            "provider": "aws",
            "region": REGION,
            "account": ACCOUNT,
            "endpoint_url": self.emulator.url,
            "disposable": True,
            **self.settings,
        }
        blueprint = {
            "blueprint": self.blueprint,
            "environments": {"test": environment},
            **({"resource": {name: dict(fields) for name, fields in resources.items()}} if resources else {}),
            **sections,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "blueprint.yaml").write_text(yaml.safe_dump(blueprint, sort_keys=False), "utf-8")

    @cached_property
    def catalog(self) -> Catalog:
        return Catalog([replace(PROVIDER, connect=self.connect)])

    def client(self) -> AwsClient:
        """A client as resource types are given it."""
        with self.open() as workspace:
            return self.connect(workspace.place)

    def connect(self, place: Place) -> AwsClient:
        """What the provider does, but that time passes at once, and service models are loaded once for all tests."""
        return AwsClient(place, clock=self.time.clock, session=self.session)

    def open(self) -> Workspace:
        return Workspace.open(Selection(self.folder / "blueprint.yaml", environ={}), self.catalog)

    @property
    def place(self) -> Place:
        with self.open() as workspace:
            return workspace.place

    def operation(self, address: str, **more: Any) -> Operation:
        owner = {"mlinfra:blueprint": self.blueprint, "mlinfra:environment": "test", "mlinfra:address": address}
        return Operation(address, owner, "t" * 32, self.folder, **more)

    def plan(self, **options: Any) -> Plan:
        with self.open() as workspace:
            return workspace.plan(Options(**options), self.events.append)

    def apply(self, *, allow: tuple[str, ...] = (), **options: Any) -> Outcome | None:
        """Apply, as far as it goes."""
        with self.open() as workspace:
            start = len(self.emulator.calls.calls)
            plan, outcome = workspace.apply(
                Options(**options), emit=self.events.append, allow_data_loss=allow, wait_timeout=0.0
            )
            self.permitted(workspace, plan, self.emulator.calls.calls[start:])
            return outcome

    def policy(self, workspace: Workspace, plan: Plan) -> Mapping[str, Any]:
        """What `plan --permissions` prints."""
        documents, unknown = permissions(plan, workspace.desire, workspace.catalog, workspace.place)
        assert unknown == []
        return documents.get("aws", {"Statement": []})

    def permitted(self, workspace: Workspace, plan: Plan, calls: list[Call]) -> None:
        """Nothing was called that the plan's policy does not allow."""
        found = refused(self.policy(workspace, plan), calls)
        assert found == [], f"not in the policy of plan --permissions: {found}"

    def converge(self, *, allow: tuple[str, ...] = (), **options: Any) -> None:
        """Apply; everything must succeed, and nothing be left to do."""
        outcome = self.apply(allow=allow, **options)
        assert outcome is None or outcome.succeeded, [str(d.detail) for d in outcome.failed]
        left = self.plan(**options)
        assert left.empty, [(node.action, node.address, node.changes) for node in left.nodes]

    def node(self, address: str, **options: Any) -> Node:
        """The one node of the plan for an address that is not half of a replacement."""
        found = [node for node in self.plan(**options).shown() if node.address == address]
        assert len(found) == 1, found
        return found[0]

    def failures(self) -> list[str]:
        """Apply, and what it failed at."""
        outcome = self.apply()
        return [f"{d.detail} {d.remedy}" for d in outcome.failed] if outcome else []

    def said(self) -> list[str]:
        """The progress lines."""
        return [event.text for event in self.events if isinstance(event, NodeProgress)]
