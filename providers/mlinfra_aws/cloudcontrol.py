"""`aws.cloudcontrol`: an object of any type that CloudFormation has, by the Cloud Control API.

Every change there is a request that goes on by itself and is looked at until it is through (`cloudcontrol_requests`). What a type's
properties may be, and which of them are fixed, its schema says (`cloudformation`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, ClassVar, Final

from pydantic import Field

from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.fields import COMPUTED, REPLACE, SECRET, VOLATILE, WRITE_ONLY
from mlinfra.sdk.resource import Created, FieldChange, Fields, Known, Operation
from mlinfra_aws.client import AwsClient
from mlinfra_aws.cloudcontrol_requests import Requests
from mlinfra_aws.cloudformation import Schema, problems, schema, with_known
from mlinfra_aws.cloudformation_account import described
from mlinfra_aws.errors import AwsError
from mlinfra_aws.patches import compared, patch
from mlinfra_aws.regular import Answering
from mlinfra_aws.resource import AwsResource, Tagged
from mlinfra_aws.tags import ours, pairs, set_and_removed, shown, unpaired

EXISTS: Final = ("AlreadyExistsException", "AlreadyExists")
"""What Cloud Control says of a name that is taken: at once, or as the end of a request."""
KIND: Final = "mlinfra:type"
"""The tag that says what an object is: by its ARN it may look like one of a type that mlinfra has itself."""
MOST: Final = 46
"""How many tags a user can give: one fewer than of other objects."""
STORES: Final = frozenset(
    {
        "Backup", "Cassandra", "CodeArtifact", "CodeCommit", "Cognito", "DocDB", "DocDBElastic", "DSQL", "DynamoDB", "EC2", "ECR",
        "EFS", "Elasticsearch", "ElastiCache", "FSx", "Glue", "HealthLake", "IoTAnalytics", "IVS", "KMS", "Kinesis", "Lightsail",
        "Logs", "MSK", "MemoryDB", "Neptune", "NeptuneGraph", "OpenSearchServerless", "OpenSearchService", "QLDB", "RDS",
        "Redshift", "RedshiftServerless", "S3", "S3Express", "S3Outposts", "S3Tables", "S3Vectors", "SageMaker", "SDB", "SQS",
        "SecretsManager", "Timestream", "WorkSpaces",
    }
)  # fmt: skip
"""Services whose objects may hold what nobody can make again. Of a generic type no more can be told, so all of theirs count."""


class CloudControl(Answering, Tagged):
    """An object of any type of CloudFormation that Cloud Control handles. Where mlinfra has a type of its own, that knows more.

    Example::

        resource:
          jobs:
            type: aws.cloudcontrol
            type_name: AWS::SQS::Queue
            desired_state: { QueueName: jobs, VisibilityTimeout: 60 }
    """

    type: ClassVar[str] = "aws.cloudcontrol"
    noun: ClassVar[str] = "object"
    holds_data: ClassVar[bool] = True
    service: ClassVar[str] = "cloudcontrol"

    type_name: Annotated[str, REPLACE] = Field(pattern=r"^[A-Za-z0-9]{2,64}::[A-Za-z0-9]{2,64}::[A-Za-z0-9]{2,64}$")
    """What it is: ``AWS::SQS::Queue``."""
    desired_state: dict[str, Any] = {}
    """Its properties, in the words of its type's schema."""
    schema_check: Annotated[bool, WRITE_ONLY] = True
    """Whether properties are checked by the schema that mlinfra has; off for what is newer than that."""
    create_only: Annotated[dict[str, Any], SECRET] = {}
    """Filled in by mlinfra: those of its properties that are fixed once it is made. Another value makes it anew."""
    identifier: Annotated[str | None, COMPUTED] = None
    """What Cloud Control calls it."""
    attributes: Annotated[dict[str, Any], VOLATILE] = {}
    """What only AWS tells of it: ARNs, addresses."""

    # -- planning -------------------------------------------------------------------------------------------------------

    @classmethod
    def normalise(cls, fields: Fields, place: Any) -> Fields:
        name, state, found = fields["type_name"], dict(fields["desired_state"]), schema(fields["type_name"])
        if found is None:
            return {**super().normalise(fields, place), "desired_state": state, "create_only": {}}
        if not found.handled:
            raise ProviderError(
                f"Cloud Control cannot make objects of the type {name}",
                remedy="Use another type, or make it in a CloudFormation stack of your own.",
            )
        wrong = problems(found, state) if fields["schema_check"] else []
        if fields["tags"] and not found.tags:
            wrong.append("objects of this type carry no tags")
        if len(fields["tags"]) > MOST:
            wrong.append(f"{len(fields['tags'])} tags are too many: {MOST} are allowed")
        if wrong:
            raise ProviderError(
                f"the desired_state of {name} is refused: {'; '.join(wrong)}",
                remedy="Correct it. If AWS has them and mlinfra's copy of the schema does not yet: schema_check: false.",
            )
        tagged = super().normalise(fields, place) if found.tags else fields
        return {**tagged, "desired_state": state, "create_only": found.fixed(state, tagged["tags"])}

    @classmethod
    def replaces(cls, changes: Sequence[FieldChange]) -> Sequence[str]:
        """What is fixed once it is made. The field ``create_only`` says which properties that are."""
        fixed = [
            path for one in changes if one.path == "create_only" for path in {**(one.old or {}), **(one.new or {})}
        ]
        return [one.path for one in changes if any(_touches(one.path, path) for path in fixed)]

    # -- reading --------------------------------------------------------------------------------------------------------

    @classmethod
    def look(cls, client: AwsClient, known: Sequence[Known]) -> Mapping[str, Fields | None]:
        # No call tells several of them whole.
        schemas = {name: _schema(client, name) for name in {str(item.fields["type_name"]) for item in known}}
        with ThreadPoolExecutor(max_workers=8) as pool:
            found = pool.map(lambda item: cls._one(client, item, schemas[str(item.fields["type_name"])]), known)
            return dict(zip((item.address for item in known), found, strict=True))

    @classmethod
    def _one(cls, client: AwsClient, known: Known, found: Schema) -> Fields | None:
        live = cls._properties(client, str(known.fields["type_name"]), known.id)
        if live is None:
            return None
        wanted = known.fields.get("desired_state") or {}
        tags = _tags(found, live.get(found.tags)) if found.tags else known.fields.get("tags", {})
        told = {
            head: value for path in found.read_only if (value := live.get(head := path.partition(".")[0])) is not None
        }
        for path in found.write_only:
            live = with_known(live, wanted, path)
        state = compared(found, live, wanted)
        return {
            "type_name": known.fields["type_name"],
            "desired_state": state,
            "create_only": found.fixed(state, shown(tags)),
            "identifier": known.id,
            "attributes": told,
            "tags": shown(tags),
            # That of a log group ends in what stands for its streams; where ARNs are compared it does not.
            "arn": next((str(value).removesuffix(":*") for name, value in told.items() if name.endswith("Arn")), None),
        }

    @classmethod
    def _properties(cls, client: AwsClient, name: str, id: str) -> dict[str, Any] | None:
        """All that AWS tells of it."""
        answer = cls.found(client, "GetResource", TypeName=name, Identifier=id)
        if answer is None:
            return None
        found: dict[str, Any] = json.loads(answer["ResourceDescription"]["Properties"])
        return found

    # -- finding --------------------------------------------------------------------------------------------------------

    def object_id(self) -> str:
        raise AssertionError("ids are told by AWS, or found by `locate`")

    def locate(self, client: AwsClient, op: Operation) -> str | None:
        found = _schema(client, self.type_name)
        known = found.identified(self.desired_state)
        if known is not None:
            live = self._live(client, known, op)
            return known if live is not None and self.held(client, known, live, op) else None
        return self._listed(client, op, found)

    def _listed(self, client: AwsClient, op: Operation, found: Schema) -> str | None:
        """The one among all of its type whose tags say that it is this one."""
        if not found.tags:
            return None
        listed = self.listed(client, self.type_name, self.desired_state)
        mine = (one for one, tags in listed if ours(tags, op.owner))
        return next(mine, None)

    @classmethod
    def listed(
        cls, client: AwsClient, name: str, inside: Mapping[str, Any] | None = None
    ) -> Iterator[tuple[str, Mapping[str, str]]]:
        """The identifiers and tags of all objects of a type. Lists mostly do not tell tags. Of some types only those within
        something else are listed, a cluster say: ``inside`` are properties that tell it."""
        found = _schema(client, name)
        for one in cls._descriptions(client, name, inside):
            live = cls._properties(client, name, one["Identifier"])
            if live is not None:
                yield str(one["Identifier"]), _tags(found, live.get(found.tags))

    @classmethod
    def _descriptions(cls, client: AwsClient, name: str, inside: Mapping[str, Any] | None) -> list[Any]:
        asked: dict[str, Any] = {"TypeName": name}
        try:
            return list(client.pages("cloudcontrol", "ListResources", "ResourceDescriptions", **asked))
        except AwsError as error:
            if not inside or error.code != "InvalidRequestException":
                raise
            asked["ResourceModel"] = json.dumps(inside)
            return list(client.pages("cloudcontrol", "ListResources", "ResourceDescriptions", **asked))

    def held(self, client: AwsClient, id: str, live: Mapping[str, Any], op: Operation) -> bool:
        return _as(client, self.type_name).held(self, client, id, live, op)

    def whose(self, client: AwsClient, id: str, live: Mapping[str, Any]) -> str:
        return _as(client, self.type_name).whose(self, client, id, live)

    # -- changing -------------------------------------------------------------------------------------------------------

    def create(self, client: AwsClient, op: Operation) -> Created:
        try:
            return self.make(client, op)
        except AwsError as error:
            if error.code not in EXISTS:
                raise
            found = _schema(client, self.type_name)
            known = found.identified(self.desired_state) or self._listed(client, op, found)
            live = self._live(client, known, op) if known is not None else None
            if known is None or live is None:
                raise
            return self._taken(client, known, live, op)

    def make(self, client: AwsClient, op: Operation) -> Created:
        found = _schema(client, self.type_name)
        state = dict(self.desired_state)
        if found.tags:
            state[found.tags] = _written(found, self.owned(op))
        named = found.identified(state) is not None
        requests = Requests(client, op, self.type_name)
        return Created(requests.begun("CreateResource", op.token, named=named, DesiredState=json.dumps(state)))

    def owned(self, op: Operation) -> dict[str, str]:
        return {**super().owned(op), KIND: self.type_name}

    def _converged(self, client: AwsClient, known: Known, op: Operation) -> Created:
        found = _schema(client, self.type_name)
        tags = self.all_tags(client, known.id, known.fields)
        if found.tags and not ours(tags, op.owner):
            self._write(client, op, known.id, found, [], {**tags, **op.owner, KIND: self.type_name})
        there = {**known.fields, "tags": shown(tags)} if found.tags else known.fields
        return AwsResource._converged(self, client, Known(known.address, known.id, there), op)

    @classmethod
    def ready(cls, client: AwsClient, known: Known, op: Operation) -> None:
        Requests(client, op, str(known.fields["type_name"])).calm(known.id)

    def update(self, client: AwsClient, known: Known, changes: Sequence[FieldChange], op: Operation) -> Fields | None:
        put, gone = set_and_removed(self.tags, changes)
        found = _schema(client, self.type_name)
        before = known.fields.get("desired_state") or {}
        steps = patch(before, self.desired_state)
        stays = {**found.fixed(before, known.fields.get("tags") or {}), **found.fixed(self.desired_state, self.tags)}
        self._refuse(stays, [*(step["path"] for step in steps), *(["tags"] if put or gone else [])], op)
        tags = {**self.all_tags(client, known.id, {"type_name": self.type_name}), **put} if put or gone else {}
        left = {key: value for key, value in tags.items() if key in put or key not in gone}
        self._write(client, op, known.id, found, steps, left)
        return None

    def _write(
        self,
        client: AwsClient,
        op: Operation,
        id: str,
        found: Schema,
        steps: list[dict[str, Any]],
        tags: Mapping[str, str],
    ) -> None:
        if tags:
            steps = [*steps, {"op": "add", "path": f"/{found.tags}", "value": _written(found, tags)}]
        if not steps:
            return
        # What AWS does not tell it forgets with an update that does not say it again.
        said = {step["path"].split("/")[1] for step in steps}
        heads = {path.partition(".")[0] for path in found.write_only} - said
        steps += [
            {"op": "add", "path": f"/{head}", "value": self.desired_state[head]}
            for head in sorted(heads)
            if head in self.desired_state
        ]
        Requests(client, op, self.type_name).through("UpdateResource", Identifier=id, PatchDocument=json.dumps(steps))

    def _refuse(self, stays: Iterable[str], paths: Iterable[str], op: Operation) -> None:
        """Of what was not known when it was planned."""
        changed = [path if path == "tags" else f"desired_state{path.replace('/', '.')}" for path in paths]
        fixed = [path for path in stays if any(_touches(one, path) for one in changed)]
        if fixed:
            raise ProviderError(
                f"{', '.join(fixed)} of {self.type_name} cannot be changed once it is made",
                remedy=f"Make it anew: mlinfra apply --replace {op.address}",
            )

    @classmethod
    def delete(cls, client: AwsClient, known: Known, op: Operation) -> None:
        requests = Requests(client, op, str(known.fields["type_name"]))
        try:
            requests.through("DeleteResource", Identifier=known.id)
        except AwsError as error:
            if not error.gone and error.code != "NotFound":
                raise

    @classmethod
    def would_lose(cls, client: AwsClient, known: Known) -> str | None:
        service = str(known.fields["type_name"]).split("::")[1]
        return f"what the {known.fields['type_name']} holds, if anything" if service in STORES else None

    # -- tags -----------------------------------------------------------------------------------------------------------

    @classmethod
    def all_tags(cls, client: AwsClient, id: str, live: Mapping[str, Any]) -> dict[str, str]:
        found = _schema(client, str(live["type_name"]))
        properties = cls._properties(client, str(live["type_name"]), id) if found.tags else None
        return _tags(found, (properties or {}).get(found.tags))


def _schema(client: AwsClient, name: str) -> Schema:
    return schema(name) or described(client, name)


def _as(client: AwsClient, name: str) -> type[AwsResource]:
    """What its objects are: some types carry tags, and some do not."""
    return Tagged if _schema(client, name).tags else AwsResource


def _tags(found: Schema, told: Any) -> dict[str, str]:
    return unpaired(told or []) if found.pairs else dict(told or {})


def _written(found: Schema, tags: Mapping[str, str]) -> Any:
    return pairs(tags) if found.pairs else dict(tags)


def _touches(path: str, pointer: str) -> bool:
    """Whether a changed field is at, within or around what a pointer is about: lists are changed as a whole."""
    fixed = "tags." if pointer == "tags" else f"desired_state.{pointer.partition('.*')[0]}."
    return path not in ("desired_state", "create_only") and (
        f"{path}.".startswith(fixed) or fixed.startswith(f"{path}.")
    )
