"""`Regular`: a resource type that speaks the words of one service: its fields are the members of that service's operations.

A type says the service, the members that are called otherwise than its fields, and which errors say "gone" and "exists". Knows no
service itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from mlinfra.sdk.resource import Created, Fields, Known, Operation
from mlinfra_aws.client import AwsClient
from mlinfra_aws.errors import AwsError, Rule
from mlinfra_aws.resource import AwsResource
from mlinfra_aws.shapes import absent, from_api, snake, to_api


class Answering(AwsResource):
    """A type that says what its service's errors mean, where `errors` does not."""

    service: ClassVar[str]
    """The service, as botocore calls it."""
    gone_if: ClassVar[tuple[Rule, ...]] = ()
    """Errors that say that the object does not exist, besides those that `errors` knows."""
    exists_if: ClassVar[tuple[Rule, ...]] = ()
    """Errors that say that one of that name exists, besides those that `errors` knows."""

    @classmethod
    def call(
        cls, client: AwsClient, operation: str, /, *, op: Operation | None = None, **params: Any
    ) -> dict[str, Any]:
        """A call of its service."""
        return client.call(cls.service, operation, op=op, **params)

    @classmethod
    def found(
        cls, client: AwsClient, operation: str, /, *, op: Operation | None = None, **params: Any
    ) -> dict[str, Any] | None:
        """A call about an object; None if it does not exist."""
        try:
            return client.call(cls.service, operation, op=op, **params)
        except AwsError as error:
            if not cls.says_gone(error):
                raise
            return None

    @classmethod
    def says_gone(cls, error: AwsError) -> bool:
        """Whether the error says that the object does not exist."""
        return error.gone or _fits(cls.gone_if, error)

    def create(self, client: AwsClient, op: Operation) -> Created:
        try:
            return super().create(client, op)
        except AwsError as error:
            if error.exists or not _fits(self.exists_if, error):
                raise
            live = self._live(client, self.object_id(), op)
            if live is None:
                raise
            return self._taken(client, self.object_id(), live, op)


class Regular(Answering):
    """A type of one service. Mixed in before `Tagged` where its objects carry tags."""

    words: ClassVar[Mapping[str, str]] = {}
    """Fields that the API calls otherwise than by the field's name in capitals: ``name`` → ``AlarmName``."""
    inner: ClassVar[Mapping[str, str]] = {}
    """Keys within fields that the API calls otherwise than by the key's name: ours → the API's in small letters."""

    @classmethod
    def member(cls, field: str, shape: Any) -> str | None:
        """The member of a structure for a field, or None if it has none."""
        wanted = cls.words.get(field)
        if wanted is not None:
            return wanted if wanted in shape.members else None
        return next((name for name in shape.members if snake(name) == field), None)

    @classmethod
    def told(cls, shape: Any, answer: Mapping[str, Any]) -> Fields:
        """The fields of a structure that a call answered."""
        live: Fields = {}
        for field in cls.model_fields:
            member = cls.member(field, shape) if field != "tags" else None
            if member is not None and not absent(answer.get(member)):
                back = {theirs: ours for ours, theirs in cls.inner.items()}
                live[field] = _renamed(from_api(shape.members[member], answer[member]), back)
        return live

    def asked(self, client: AwsClient, operation: str) -> dict[str, Any]:
        """Its fields as the parameters of an operation; what is not given is left out."""
        shape = client.shape(self.service, operation)
        found: dict[str, Any] = {}
        for field, value in self.fields().items():
            member = self.member(field, shape) if field != "tags" else None
            if member is not None:
                found[member] = to_api(shape.members[member], _renamed(value, self.inner))
        return found


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if not names:
        return value
    if isinstance(value, Mapping):
        return {names.get(key, key): _renamed(item, names) for key, item in value.items()}
    return [_renamed(item, names) for item in value] if isinstance(value, list) else value


def _fits(rules: tuple[Rule, ...], error: AwsError) -> bool:
    return any(rule.fits(error.service, error.operation, error.code, error.text) for rule in rules)


def arn_of(client: AwsClient, service: str, rest: str) -> str:
    """The ARN of an object in the environment's region and account, for calls that want one before any told it."""
    region = client.region
    partition = "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"
    account = client.settings.account or client.call("sts", "GetCallerIdentity")["Account"]
    return f"arn:{partition}:{service}:{region}:{account}:{rest}"


def batches(known: list[Known], size: int) -> list[list[Known]]:
    """In parts of so many at most."""
    return [known[start : start + size] for start in range(0, len(known), size)]
