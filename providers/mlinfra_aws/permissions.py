"""What credentials must be allowed for the steps of a plan: an IAM policy, from the calls of each resource type. Pure.

`CALLS` says which calls a type makes for which action, in the API's names; `permissions_scopes` what they are about. A type that is
added adds its lines; every apply of the tests compares what the emulator saw with what its policy allows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from mlinfra.sdk.provider import Place, Step
from mlinfra_aws.names import name
from mlinfra_aws.permissions_calls import SERVICES, Calls
from mlinfra_aws.permissions_cloudcontrol import handled
from mlinfra_aws.permissions_sagemaker import SAGEMAKER
from mlinfra_aws.permissions_scopes import BESIDES, EVERYWHERE, LINKED, PASSES, SCOPES
from mlinfra_aws.shapes import absent

CALLS: Final[Calls] = {**SERVICES, **SAGEMAKER}
"""Type → action → calls."""
ALWAYS: Final = ("resourcegroupstaggingapi.GetResources",)
"""Whatever is done."""

PREFIXES: Final[Mapping[str, str]] = {
    "resourcegroupstaggingapi": "tag",
    "stepfunctions": "states",
    "efs": "elasticfilesystem",
    "cloudcontrol": "cloudformation",
}
"""Services whose permissions begin with another word."""

OTHERWISE: Final[Mapping[str, tuple[str, ...]]] = {
    "s3.HeadBucket": ("s3:ListBucket",),
    "s3.ListObjectsV2": ("s3:ListBucket",),
    "s3.ListObjectVersions": ("s3:ListBucketVersions",),
    "s3.DeleteObjects": ("s3:DeleteObject", "s3:DeleteObjectVersion"),
    "s3.GetBucketEncryption": ("s3:GetEncryptionConfiguration",),
    "s3.PutBucketEncryption": ("s3:PutEncryptionConfiguration",),
    "s3.DeleteBucketEncryption": ("s3:PutEncryptionConfiguration",),
    "s3.GetBucketLifecycleConfiguration": ("s3:GetLifecycleConfiguration",),
    "s3.PutBucketLifecycleConfiguration": ("s3:PutLifecycleConfiguration",),
    "s3.DeleteBucketLifecycle": ("s3:PutLifecycleConfiguration",),
    "s3.GetPublicAccessBlock": ("s3:GetBucketPublicAccessBlock",),
    "s3.PutPublicAccessBlock": ("s3:PutBucketPublicAccessBlock",),
    "s3.DeleteBucketOwnershipControls": ("s3:PutBucketOwnershipControls",),
    "s3.GetObjectLockConfiguration": ("s3:GetBucketObjectLockConfiguration",),
    "s3.PutObjectLockConfiguration": ("s3:PutBucketObjectLockConfiguration",),
    "sts.GetCallerIdentity": (),
}
"""Calls whose permission is called otherwise (the service authorization reference), or that need none."""

ACTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    # What a lost reply left behind is found, and made as it shall be.
    "create": ("read", "write", "create", "update"),
    "replace": ("read", "write", "create", "update", "delete"),
    "update": ("read", "write", "update"),
    "delete": ("read", "delete"),
    "run": ("read", "run"),
}
"""A plan's action → which of a type's calls it takes; any other one only reads."""


CHANGING: Final = ("create", "replace", "update", "run")
"""Actions that hand on roles, and what fields take besides."""
PASS: Final = "iam:PassRole"
ROLE: Final = re.compile(r"arn:[a-z-]+:iam::\d{12}:role/[\w+=,.@/-]+")


def permitted(call: str) -> tuple[str, ...]:
    """The permissions for a call (``s3.HeadBucket``)."""
    service, _, operation = call.partition(".")
    return OTHERWISE.get(call, (f"{PREFIXES.get(service, service)}:{operation}",))


def policy(steps: Iterable[Step], place: Place) -> tuple[Mapping[str, Any], list[str]]:
    """The policy for steps, a statement for each service and what it is about, and the types of which the calls are not known.

    Objects whose names begin as mlinfra names them are told by that beginning, so that the policy stays short.
    """
    asked = list(steps)
    missing = {step.type for step in asked} - CALLS.keys()
    where = _Where(place)
    about: dict[str, set[str]] = {}
    for call in ALWAYS:
        _add(about, call, ("*",))
    for step in asked:
        known = CALLS.get(step.type, {})
        objects = where.objects(step)
        for part in ACTIONS.get(step.action, ("read",)):
            for call in known.get(part, ()):
                _add(about, call, objects)
        if step.type == "aws.cloudcontrol":
            behind = _behind(step)
            missing |= {f"{step.type} {step.fields.get('type_name')}"} if behind is None else set()
            for one in (behind or set()) - {PASS}:
                about.setdefault(one, set()).add("*")
        if step.action in CHANGING:
            for (type_name, field), calls in BESIDES.items():
                if type_name == step.type and _given(step.fields.get(field)):
                    for call in calls:
                        _add(about, call, ("*",))
    roles = [arn for step in asked if step.type == "aws.iam_role" for arn in where.objects(step)]
    changing = [step for step in asked if step.action in CHANGING]
    statements = [*_statements(about), *_passed(changing, roles), *_linked(changing, where)]
    return {"Version": "2012-10-17", "Statement": statements}, sorted(missing)


class _Where:
    """How the ARNs of an environment's objects are written."""

    def __init__(self, place: Place) -> None:
        self.region = str(place.settings.get("region") or "*")
        self.account = str(place.settings.get("account") or "*")
        start = self.region.partition("-")[0]
        self.partition = "aws-cn" if start == "cn" else "aws-us-gov" if self.region.startswith("us-gov-") else "aws"
        self.start = name(place, "") + "-"

    def objects(self, step: Step) -> Sequence[str]:
        """The ARNs of what a step is about; all (``*``) if they cannot be told."""
        fields, forms = SCOPES.get(step.type, ((), ()))
        names = [step.fields.get(field) for field in fields]
        if not names or not all(isinstance(one, str) and one for one in names):
            return ("*",)
        return [self._arn(form, str(one), step) for form in forms for one in names]

    def _arn(self, form: str, name: str, step: Step) -> str:
        short = f"{self.start}*" if name.startswith(self.start) else name
        if form.endswith("/{}"):  # a parameter's own first slash stands only once
            short = short.removeprefix("/")
        if form.startswith("sagemaker:"):  # whose ARNs are in small letters
            short = short.lower()
        path = str(step.fields.get("path") or "/")
        told = form.format(short, region=self.region, account=self.account, path=path)
        return f"arn:{self.partition}:{told}".replace("**", "*")


def _behind(step: Step) -> set[str] | None:
    """What the handlers of a type of CloudFormation ask for, or None if nobody knows."""
    known = handled(str(step.fields.get("type_name")))
    if known is None:
        return None
    return {one for part in ACTIONS.get(step.action, ("read",)) for one in known.get(part, ())}


def _given(value: Any) -> bool:
    return not absent(value) and value is not False


def _add(about: dict[str, set[str]], call: str, objects: Sequence[str]) -> None:
    service = call.partition(".")[0]
    for one in permitted(call):
        mine = [arn for arn in objects if arn.split(":")[2:3] == [PREFIXES.get(service, service)]]
        about.setdefault(one, set()).update(mine if mine and one not in EVERYWHERE else ("*",))


def _statements(about: Mapping[str, set[str]]) -> Iterator[dict[str, Any]]:
    """Permissions of a service that are about the same objects stand together."""
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for one in sorted(about):
        objects = ("*",) if "*" in about[one] else tuple(sorted(about[one]))
        groups.setdefault((one.partition(":")[0], objects), []).append(one)
    seen: dict[str, int] = {}
    for (service, objects), actions in groups.items():
        seen[service] = seen.get(service, 0) + 1
        word = "".join(part.capitalize() for part in service.split("-"))
        sid = word if seen[service] == 1 else f"{word}{seen[service]}"
        yield {
            "Sid": sid,
            "Effect": "Allow",
            "Action": actions,
            "Resource": "*" if objects == ("*",) else list(objects),
        }


def _passed(steps: Sequence[Step], own: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Roles are handed to the services that take them, and to no other; those of generic objects to whatever their type is of."""
    passing = {
        step.type: _handed([one for one in steps if one.type == step.type], own)
        for step in steps
        if step.type in PASSES
    }
    services = sorted({service for type_name, roles in passing.items() if roles for service in PASSES[type_name]})
    if services:
        told = _pass("PassRole", {*own, *(role for roles in passing.values() for role in roles)})
        yield {**told, "Condition": {"StringEquals": {"iam:PassedToService": services}}}
    generic = [step for step in steps if step.type == "aws.cloudcontrol" and PASS in (_behind(step) or ())]
    if roles := _handed(generic, own):
        yield _pass("PassRoleBehind", roles)


def _handed(steps: Iterable[Step], own: Sequence[str]) -> set[str]:
    """The ARNs of the roles that steps name. One that is not known yet is one of the blueprint's own; an instance profile does not
    tell its role."""
    found: set[str] = set()
    for value in (one for step in steps for one in _roles(step.fields)):
        found.update((ROLE.findall(value) if isinstance(value, str) else own) or ("*",))
    return found


def _pass(sid: str, roles: set[str]) -> dict[str, Any]:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": [PASS],
        "Resource": "*" if "*" in roles else sorted(_shortest(roles)),
    }


def _roles(value: Any, word: str = "") -> Iterator[Any]:
    """What stands under keys that name a role."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _roles(item, str(key))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _roles(item, word)
    elif "role" in word.lower() and not absent(value):
        yield value


def _shortest(arns: Iterable[str]) -> Iterator[str]:
    """Without those that another, which ends in ``*``, has in it."""
    every = set(arns)
    for arn in every:
        if not any(other != arn and other.endswith("*") and arn.startswith(other[:-1]) for other in every):
            yield arn


def _linked(steps: Iterable[Step], where: _Where) -> Iterator[dict[str, Any]]:
    services = {
        LINKED[step.type].format(service_namespace=step.fields.get("service_namespace", "*"))
        for step in steps
        if step.type in LINKED and step.action != "update"
    }
    if services:
        yield {
            "Sid": "ServiceLinkedRole",
            "Effect": "Allow",
            "Action": ["iam:CreateServiceLinkedRole"],
            "Resource": [f"arn:{where.partition}:iam::*:role/aws-service-role/{one}/*" for one in sorted(services)],
            "Condition": {"StringLike": {"iam:AWSServiceName": sorted(services)}},
        }
