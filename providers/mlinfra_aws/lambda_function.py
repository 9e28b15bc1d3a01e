"""`aws.lambda_function`."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.fields import COMPUTED, REPLACE, UNORDERED, WRITE_ONLY
from mlinfra.sdk.resource import Created, Fields, Known, Operation, Status
from mlinfra_aws.client import AwsClient
from mlinfra_aws.errors import Rule
from mlinfra_aws.regular import Regular
from mlinfra_aws.resource import Part, Tagged
from mlinfra_aws.tags import TagCalls, shown
from mlinfra_aws.waits import until

LAMBDA_TAGS = TagCalls("lambda", "ListTags", "TagResource", "UntagResource", "Resource", key="")
TIMEOUT: Final = 10 * 60.0
"""Seconds for a function to be put in place."""
CODE: Final = ("filename", "s3_bucket", "s3_key", "s3_object_version", "image_uri", "source_code_hash", "architectures")
"""Fields that say what code it has."""
LARGEST: Final = 50 * 1024 * 1024
"""Bytes that AWS takes with a call; more come from a bucket."""


class Environment(Part):
    """Environment variables."""

    variables: dict[str, str] = {}


class Network(Part):
    """The network that it is in."""

    subnet_ids: Annotated[list[str], UNORDERED] = Field([], max_length=16)
    security_group_ids: Annotated[list[str], UNORDERED] = Field([], max_length=5)


class TracingConfig(Part):
    """Whether calls are traced by X-Ray."""

    mode: Literal["Active", "PassThrough"]


class DeadLetters(Part):
    """The queue or topic for events that it failed at."""

    target_arn: str


class Storage(Part):
    """The room in ``/tmp``, in MB."""

    size: int = Field(ge=512, le=10240)


class Function(Regular, Tagged):
    """A function. Its code is a zip file of the blueprint, an object in a bucket or an image.

    Example::

        resource:
          scorer:
            type: aws.lambda_function
            function_name: scorer
            role: ${resource.scorer_role.arn}
            runtime: python3.12
            handler: app.handle
            filename: dist/scorer.zip
    """

    type: ClassVar[str] = "aws.lambda_function"
    noun: ClassVar[str] = "function"
    looks_outside: ClassVar[bool] = True
    service: ClassVar[str] = "lambda"
    words: ClassVar[Mapping[str, str]] = {
        "arn": "FunctionArn",
        "source_code_hash": "CodeSha256",
        "kms_key_arn": "KMSKeyArn",
        "layers": "",
    }
    exists_if: ClassVar[tuple[Rule, ...]] = (Rule("ResourceConflictException", operation="CreateFunction"),)
    tag_calls: ClassVar[TagCalls | None] = LAMBDA_TAGS

    function_name: Annotated[str, REPLACE] = Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")
    """Its name."""
    package_type: Annotated[Literal["Zip", "Image"], REPLACE] = "Zip"
    """What its code is."""
    role: str = Field(pattern=r"^arn:aws[a-z-]*:iam::\d{12}:role/.+$")
    """The ARN of the role that it has."""
    runtime: str | None = None
    """What it runs in: ``python3.12``."""
    handler: str | None = Field(None, max_length=128, pattern=r"^\S+$")
    """What of its code is called: ``module.function``."""
    filename: Annotated[str | None, WRITE_ONLY] = None
    """The zip file with its code, in the blueprint's folder."""
    s3_bucket: Annotated[str | None, WRITE_ONLY] = None
    """The bucket with its code."""
    s3_key: Annotated[str | None, WRITE_ONLY] = None
    """The key of the object with its code."""
    s3_object_version: Annotated[str | None, WRITE_ONLY] = None
    """The version of that object."""
    image_uri: str | None = None
    """The image with its code."""
    source_code_hash: str | None = None
    """The SHA-256 of its zip file, in base 64; told by ``filename`` if that is given."""
    architectures: list[Literal["x86_64", "arm64"]] = Field(["x86_64"], min_length=1, max_length=1)
    """What it runs on."""
    description: str = Field("", max_length=256)
    """What it is for."""
    timeout: int = Field(3, ge=1, le=900)
    """Seconds that a call may take."""
    memory_size: int = Field(128, ge=128, le=10240)
    """MB of memory, and processors in proportion."""
    environment: Environment | None = None
    """Environment variables. No secrets: the state and the console show them."""
    layers: list[str] = Field([], max_length=5)
    """ARNs of layers with more code."""
    vpc_config: Network | None = None
    """The network that it is in."""
    tracing_config: TracingConfig | None = None
    """Whether calls are traced."""
    dead_letter_config: DeadLetters | None = None
    """Where events go that it failed at."""
    ephemeral_storage: Storage | None = None
    """The room in ``/tmp``."""
    kms_key_arn: str | None = None
    """The key that encrypts its environment variables."""
    reserved_concurrent_executions: int | None = Field(None, ge=0)
    """How many calls at a time are kept for it, and are allowed to it."""
    invoke_arn: Annotated[str | None, COMPUTED] = None
    """The ARN that API Gateway calls it by."""

    def object_id(self) -> str:
        return self.function_name

    @classmethod
    def normalise(cls, fields: Fields, place: Any) -> Fields:
        given = [name for name in ("filename", "s3_bucket", "image_uri") if fields[name] is not None]
        if len(given) != 1:
            raise ProviderError(
                f"the code of the function {fields['function_name']} is given by {' and by '.join(given) or 'nothing'}",
                remedy='Give one of "filename", "s3_bucket" (with "s3_key") and "image_uri".',
            )
        if (fields["package_type"] == "Image") != (fields["image_uri"] is not None):
            raise ProviderError(
                f"the function {fields['function_name']} and its package_type do not go together",
                remedy='Give "image_uri" with package_type Image, and not otherwise.',
            )
        found = super().normalise(fields, place)
        if fields["filename"] is not None:
            found["source_code_hash"] = _hash(_zip(place.root, fields["filename"]))
        return found

    # -- reading --------------------------------------------------------------------------------------------------------

    @classmethod
    def look(cls, client: AwsClient, known: Sequence[Known]) -> Mapping[str, Fields | None]:
        return {item.address: cls._one(client, item) for item in known}

    @classmethod
    def _one(cls, client: AwsClient, known: Known) -> Fields | None:
        answer = cls.found(client, "GetFunction", FunctionName=known.id)
        if answer is None:
            return None
        told = answer["Configuration"]
        shape = client.shape("lambda", "GetFunction", output=True).members["Configuration"]
        live = {"description": "", "package_type": "Zip", "architectures": ["x86_64"], **cls.told(shape, told)}
        live["layers"] = [one["Arn"] for one in told.get("Layers", [])]
        live["image_uri"] = answer.get("Code", {}).get("ImageUri")
        live["reserved_concurrent_executions"] = answer.get("Concurrency", {}).get("ReservedConcurrentExecutions")
        live["tags"] = shown(answer.get("Tags", {}))
        if live.get("vpc_config"):
            live["vpc_config"].pop("vpc_id", None)
        arn = live["arn"]
        live["invoke_arn"] = (
            f"arn:{arn.split(':')[1]}:apigateway:{client.region}:lambda:path/2015-03-31/functions/{arn}/invocations"
        )
        return live

    # -- changing -------------------------------------------------------------------------------------------------------

    def make(self, client: AwsClient, op: Operation) -> Created:
        self.call(
            client,
            "CreateFunction",
            op=op,
            FunctionName=self.function_name,
            PackageType=self.package_type,
            Architectures=self.architectures,
            Code=self._code(op, client),
            Tags=self.owned(op),
            **{name: value for name, value in self._configuration().items() if value not in ("", [], {})},
        )
        if self.reserved_concurrent_executions is not None:
            self._settled(client, self.function_name, op)
            self._reserve(client, op)
        return Created(self.function_name)

    def change(self, client: AwsClient, known: Known, changed: set[str], op: Operation) -> Fields | None:
        # The zip file's name, or where it lies, alone is no change of the code; its hash is.
        if changed & (set(CODE) - {"filename"}):
            code = self._code(op, client)
            self.call(
                client,
                "UpdateFunctionCode",
                op=op,
                FunctionName=known.id,
                Architectures=self.architectures,
                **code,
            )
            self._settled(client, known.id, op)
        if changed - {*CODE, "reserved_concurrent_executions"}:
            self.call(client, "UpdateFunctionConfiguration", op=op, FunctionName=known.id, **self._configuration())
            self._settled(client, known.id, op)
        if "reserved_concurrent_executions" in changed:
            self._reserve(client, op)
        return None

    def _configuration(self) -> dict[str, Any]:
        """All that is no code. What is not given is named with what AWS takes for nothing."""
        network = self.vpc_config or Network(subnet_ids=[], security_group_ids=[])
        found: dict[str, Any] = {
            "Role": self.role,
            "Description": self.description,
            "Timeout": self.timeout,
            "MemorySize": self.memory_size,
            "Environment": {"Variables": self.environment.variables if self.environment else {}},
            "VpcConfig": {"SubnetIds": network.subnet_ids, "SecurityGroupIds": network.security_group_ids},
            "TracingConfig": {"Mode": self.tracing_config.mode if self.tracing_config else "PassThrough"},
            "DeadLetterConfig": {"TargetArn": self.dead_letter_config.target_arn if self.dead_letter_config else ""},
            "EphemeralStorage": {"Size": self.ephemeral_storage.size if self.ephemeral_storage else 512},
            "KMSKeyArn": self.kms_key_arn or "",
        }
        if self.package_type == "Zip":
            found |= {"Layers": self.layers}
            found |= {"Runtime": self.runtime} if self.runtime else {}
            found |= {"Handler": self.handler} if self.handler else {}
        return found

    def _code(self, op: Operation, client: AwsClient) -> dict[str, Any]:
        if self.filename is not None:
            return {"ZipFile": _zip(client.place.root, self.filename)}
        told = {
            "ImageUri": self.image_uri,
            "S3Bucket": self.s3_bucket,
            "S3Key": self.s3_key,
            "S3ObjectVersion": self.s3_object_version,
        }
        return {name: value for name, value in told.items() if value is not None}

    def _reserve(self, client: AwsClient, op: Operation) -> None:
        if self.reserved_concurrent_executions is None:
            self.call(client, "DeleteFunctionConcurrency", op=op, FunctionName=self.function_name)
        else:
            self.call(
                client,
                "PutFunctionConcurrency",
                op=op,
                FunctionName=self.function_name,
                ReservedConcurrentExecutions=self.reserved_concurrent_executions,
            )

    @classmethod
    def _settled(cls, client: AwsClient, name: str, op: Operation) -> None:
        """Wait for what is under way: another change is refused meanwhile."""

        def look() -> tuple[str, str]:
            told = cls.call(client, "GetFunctionConfiguration", FunctionName=name)
            if told.get("LastUpdateStatus", "Successful") != "Successful":
                return str(told["LastUpdateStatus"]), str(told.get("LastUpdateStatusReason", ""))
            return str(told.get("State", "Active")), str(told.get("StateReason", ""))

        until(
            client,
            op,
            f"the function {name}",
            look,
            # An inactive one is started by the next call.
            ready=("Active", "Inactive"),
            working=("Pending", "InProgress"),
            timeout=TIMEOUT,
        )

    @classmethod
    def ready(cls, client: AwsClient, known: Known, op: Operation) -> None:
        cls._settled(client, known.id, op)

    @classmethod
    def delete(cls, client: AwsClient, known: Known, op: Operation) -> None:
        cls.found(client, "DeleteFunction", op=op, FunctionName=known.id)

    @classmethod
    def status(cls, client: AwsClient, known: Known) -> Status | None:
        told = cls.found(client, "GetFunctionConfiguration", FunctionName=known.id)
        if told is None:
            return None
        state = str(told.get("State", "Active"))
        return Status("failed" if state == "Failed" else "ready", str(told.get("StateReason", "")) or state)


def _zip(root: Any, name: str) -> bytes:
    """The zip file's bytes.

    Errors: ProviderError if it is not there, too large, or not the blueprint's.
    """
    path = Path(root, name).resolve()
    if not path.is_relative_to(Path(root).resolve()):
        raise ProviderError(f"{name} lies outside of the blueprint's folder", remedy="Move it there.")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ProviderError(
            f"the file {name} cannot be read", remedy="Build it before you plan, or correct the path."
        ) from error
    if len(data) > LARGEST:
        raise ProviderError(f"{name} has more than 50 MB", remedy='Put it into a bucket: "s3_bucket" and "s3_key".')
    return data


def _hash(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()
