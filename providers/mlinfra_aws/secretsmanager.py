"""`aws.secretsmanager_secret`: a secret with its value. The value reaches only the service; the state knows a fingerprint."""

from __future__ import annotations

import os
import secrets
import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.fields import REPLACE, SECRET, WRITE_ONLY
from mlinfra.sdk.resource import Created, FieldChange, Fields, Known, Operation
from mlinfra_aws.client import AwsClient
from mlinfra_aws.errors import AwsError
from mlinfra_aws.resource import Part, Tagged, missing
from mlinfra_aws.tags import SECRETS, TagCalls, pairs, shown, unpaired


class Generate(Part):
    """How to make a value: ``length`` characters drawn from ``alphabet``."""

    length: int = Field(32, ge=8, le=4096)
    alphabet: str = Field(string.ascii_letters + string.digits, min_length=2)


class Secret(Tagged):
    """A secret in Secrets Manager.

    Example::

        resource:
          token: { type: aws.secretsmanager_secret, name: fraud/token, generate: { length: 40 } }
    """

    type: ClassVar[str] = "aws.secretsmanager_secret"
    noun: ClassVar[str] = "secret"
    looks_outside: ClassVar[bool] = True
    tag_calls: ClassVar[TagCalls | None] = SECRETS
    tagged_by: ClassVar[str] = "id"

    name: Annotated[str, REPLACE] = Field(pattern=r"^[A-Za-z0-9/_+=.@-]{1,512}$")
    """Its name."""
    description: str = Field("", max_length=2048)
    """What it is for."""
    kms_key_id: str | None = None
    """The key that encrypts it; the account's own one for secrets if not given."""
    secret_string: Annotated[str | None, SECRET] = Field(None, max_length=65536)
    """The value, if it is given. Otherwise one of the next three says where it comes from."""
    generate: Annotated[Generate | None, WRITE_ONLY] = None
    """Make one when the secret is created; it stays the same afterwards."""
    env: Annotated[str | None, WRITE_ONLY] = None
    """The environment variable of the command line to take it from."""
    from_file: Annotated[str | None, WRITE_ONLY] = None
    """The file of the blueprint to take it from, without the line end at its end."""
    recovery_window_in_days: Annotated[int, WRITE_ONLY] = Field(7, ge=0, le=30)
    """How long a delete can be called off; 0: not at all."""

    def object_id(self) -> str:
        return self.name

    @classmethod
    def normalise(cls, fields: Fields, place: Any) -> Fields:
        given = [name for name in ("secret_string", "generate", "env", "from_file") if fields[name] is not None]
        if len(given) != 1:
            told = f"by {' and by '.join(given)}" if given else "by nothing"
            raise ProviderError(
                f"the value of the secret {fields['name']} is given {told}",
                remedy='Give one of "secret_string", "generate", "env" and "from_file".',
            )
        return super().normalise({**fields, "secret_string": _outside(fields, place)}, place)

    # -- reading --------------------------------------------------------------------------------------------------------

    @classmethod
    def look(cls, client: AwsClient, known: Sequence[Known]) -> Mapping[str, Fields | None]:
        return {item.address: cls._one(client, item) for item in known}

    @classmethod
    def _one(cls, client: AwsClient, known: Known) -> Fields | None:
        try:
            told = client.call("secretsmanager", "DescribeSecret", SecretId=known.id)
            if told.get("DeletedDate") is not None:
                return None
            live: Fields = {
                "name": told["Name"],
                "description": told.get("Description", ""),
                "kms_key_id": told.get("KmsKeyId"),
                "arn": told["ARN"],
                "tags": shown(unpaired(told.get("Tags", []))),
                # No call tells it, and the delete needs it.
                "recovery_window_in_days": known.fields.get("recovery_window_in_days"),
            }
        except AwsError as error:
            missing(error)
            return None
        try:
            live["secret_string"] = client.call("secretsmanager", "GetSecretValue", SecretId=known.id).get(
                "SecretString"
            )
        except AwsError as error:
            missing(error)  # it has no value yet
        return live

    # -- changing -------------------------------------------------------------------------------------------------------

    def create(self, client: AwsClient, op: Operation) -> Created:
        try:
            return super().create(client, op)
        except AwsError as error:
            # A name whose secret waits for its deletion cannot be used; what is ours is called back.
            if "scheduled for deletion" not in error.text:
                raise
            if not self._held_back(client, op):
                raise
            client.call("secretsmanager", "RestoreSecret", op=op, SecretId=self.name)
            live = self._live(client, self.name, op)
            return self._taken(client, self.name, live or {}, op)

    def _held_back(self, client: AwsClient, op: Operation) -> bool:
        tags = unpaired(client.call("secretsmanager", "DescribeSecret", SecretId=self.name).get("Tags", []))
        return op.adopt or all(tags.get(key) == value for key, value in op.owner.items())

    def make(self, client: AwsClient, op: Operation) -> Created:
        more: dict[str, Any] = {"KmsKeyId": self.kms_key_id} if self.kms_key_id else {}
        value = self._value()
        told = client.call(
            "secretsmanager",
            "CreateSecret",
            op=op,
            Name=self.name,
            Description=self.description,
            SecretString=value,
            # The same step twice is one secret, though its value was made anew.
            ClientRequestToken=op.token.ljust(32, "0"),
            Tags=pairs(self.owned(op)),
            **more,
        )
        return Created(self.name, self.fields(arn=told["ARN"], secret_string=value))

    def change(self, client: AwsClient, known: Known, changed: set[str], op: Operation) -> Fields | None:
        if changed & {"description", "kms_key_id"}:
            client.call(
                "secretsmanager",
                "UpdateSecret",
                op=op,
                SecretId=known.id,
                Description=self.description,
                KmsKeyId=self.kms_key_id or "alias/aws/secretsmanager",
            )
        # How it is made changes nothing; where it comes from does.
        if "secret_string" in changed and (self.secret_string is not None or self.generate is not None):
            value = self._value()
            client.call("secretsmanager", "PutSecretValue", op=op, SecretId=known.id, SecretString=value)
        return None

    def _value(self) -> str:
        if self.secret_string is not None:
            return self.secret_string
        if self.generate is not None:
            return "".join(secrets.choice(self.generate.alphabet) for _ in range(self.generate.length))
        what = f"the environment variable {self.env} is not set" if self.env else f"{self.from_file} cannot be read"
        raise ProviderError(what, remedy="Set it, then run the command again.")

    @classmethod
    def delete(cls, client: AwsClient, known: Known, op: Operation) -> None:
        days = known.fields.get("recovery_window_in_days")
        days = 7 if days is None else days
        how: dict[str, Any] = {"RecoveryWindowInDays": int(days)} if days else {"ForceDeleteWithoutRecovery": True}
        try:
            client.call("secretsmanager", "DeleteSecret", op=op, SecretId=known.id, **how)
        except AwsError as error:
            if error.code != "InvalidRequestException" or cls._one(client, known) is not None:
                missing(error)

    @classmethod
    def explain(cls, changes: Sequence[FieldChange]) -> str | None:
        paths = {change.path.partition(".")[0] for change in changes}
        return "how it would be made changes; the value stays" if paths == {"generate"} else None


def _outside(fields: Fields, place: Any) -> str | None:
    """The value that is given, or stands in an environment variable or a file; None if it is to be made.

    Errors: ProviderError if it is not where it shall come from.
    """
    if fields["env"] is not None:
        value = os.environ.get(fields["env"])
        if value is None:
            raise ProviderError(
                f"the environment variable {fields['env']} is not set", remedy=f"Set it: export {fields['env']}=…"
            )
        return value
    if fields["from_file"] is not None:
        path = Path(place.root, fields["from_file"]).resolve()
        if not path.is_relative_to(Path(place.root).resolve()):
            raise ProviderError(
                f"{fields['from_file']} lies outside of the blueprint's folder", remedy="Move it there."
            )
        try:
            return path.read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ProviderError(
                f"the file {fields['from_file']} cannot be read", remedy="Create it with the secret as its text."
            ) from error
    value = fields["secret_string"]
    return None if value is None else str(value)
