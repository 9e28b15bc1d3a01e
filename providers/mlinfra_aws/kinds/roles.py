"""Roles of components, with no more rights than what they use of one another. Pure: statements of policies from handles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from mlinfra.sdk.lowering import Handle, Lowering
from mlinfra.sdk.refs import Sensitive, has_token, references
from mlinfra_aws.names import name

Statement = Mapping[str, Any]
SAGEMAKER: Final = "sagemaker.amazonaws.com"
_S3: Final = "s3://"


def role(
    lowering: Lowering, called: str, policies: Mapping[str, Iterable[Statement]], service: str = SAGEMAKER
) -> Handle:
    """A role that only ``service`` takes on, for this account's own things. ``policies``: a policy's name → its statements; one
    without statements is left out."""
    place = lowering.place
    trust: dict[str, Any] = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    if place.settings.get("account"):
        trust["Condition"] = {"StringEquals": {"aws:SourceAccount": str(place.settings["account"])}}
    inline: list[dict[str, Any]] = [
        {"name": title, "policy": {"Statement": list(told)}} for title, told in policies.items()
    ]
    return lowering.resource(
        "aws.iam_role",
        called,
        {
            "name": name(place, lowering.component, called, limit=64),
            "description": f"{called} of {lowering.component} of {place.blueprint} in {place.environment}",
            "assume_role_policy": {"Statement": [trust]},
            "inline_policy": [one for one in inline if one["policy"]["Statement"]],
        },
        label=f"role: {called}",
    )


def arn(lowering: Lowering, service: str, what: str) -> str:
    """An ARN in this environment's region and account; any account where the environment names none."""
    settings = lowering.place.settings
    return f"arn:aws:{service}:{settings.get('region', '*')}:{settings.get('account') or '*'}:{what}"


def reads(bucket: Handle, prefix: str = "") -> list[Statement]:
    """To list and read what is below ``prefix``."""
    listing: dict[str, Any] = {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetBucketLocation"]}
    if prefix:
        listing = {"Effect": "Allow", "Action": ["s3:ListBucket"]}
        listing["Condition"] = {"StringLike": {"s3:prefix": [f"{prefix}*"]}}
    listing["Resource"] = bucket.ref("arn")
    return [listing, {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"{bucket.ref('arn')}/{prefix}*"}]


def writes(bucket: Handle, prefix: str = "") -> list[Statement]:
    """To put what is below ``prefix``, uploads in parts included."""
    return [
        {
            "Effect": "Allow",
            "Action": ["s3:PutObject", "s3:AbortMultipartUpload"],
            "Resource": f"{bucket.ref('arn')}/{prefix}*",
        }
    ]


def unlocks(key: str | None, *, write: bool = False) -> list[Statement]:
    """To use the key that a bucket is encrypted with, if it has one. A key is a token, or named by the blueprint; one that is
    named by an alias is known by that alone."""
    if key is None:
        return []
    actions = ["kms:Decrypt", *(["kms:GenerateDataKey"] if write else [])]
    if has_token(key) or (key.startswith("arn:aws:kms:") and ":key/" in key):
        return [{"Effect": "Allow", "Action": actions, "Resource": key}]
    alias = key.rpartition(":")[2]
    if alias.startswith("alias/"):
        condition = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": alias}}
        return [{"Effect": "Allow", "Action": actions, "Resource": "*", "Condition": condition}]
    return [{"Effect": "Allow", "Action": actions, "Resource": f"arn:aws:kms:*:*:key/{key}"}]


def logs(lowering: Lowering, group: str) -> list[Statement]:
    """To write to a log group, and to make it where nobody has."""
    where = arn(lowering, "logs", f"log-group:{group}")
    actions = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    return [{"Effect": "Allow", "Action": actions, "Resource": [where, f"{where}:*"]}]


def metrics() -> list[Statement]:
    """To tell metrics of SageMaker's own namespaces."""
    condition = {"StringLike": {"cloudwatch:namespace": ["/aws/sagemaker/*", "aws/sagemaker/*"]}}
    return [{"Effect": "Allow", "Action": "cloudwatch:PutMetricData", "Resource": "*", "Condition": condition}]


def pulls(repository: str | None) -> list[Statement]:
    """To fetch images: of one repository if it is ours (its ARN), else of any, since whose it is the policy of that decides."""
    actions = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    return [
        {"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"},
        {"Effect": "Allow", "Action": actions, "Resource": repository or "arn:aws:ecr:*:*:repository/*"},
    ]


def touches(lowering: Lowering, values: Any, *, write: bool = False) -> list[Statement]:
    """What the components need that ``values`` (a JSON value) refer to: buckets are read, or written as well; secrets are read.
    Buckets that a value names by URL and that are not of this blueprint are treated the same."""
    found: list[Statement] = []
    for component in sorted({reference.address.partition("/")[0] for reference in references(values)}):
        bucket = lowering.shared(component, "bucket")
        if isinstance(bucket, Handle):
            found += reads(bucket)
            found += writes(bucket) if write else []
            found += unlocks(lowering.shared(component, "key"), write=write)
        secret = lowering.shared(component, "secret")
        if isinstance(secret, Handle):
            found.append({"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": secret.ref("arn")})
    for url in sorted(_foreign(values)):
        other, _, key = url.removeprefix(_S3).partition("/")
        actions = ["s3:GetObject", *(["s3:PutObject", "s3:AbortMultipartUpload"] if write else [])]
        found.append({"Effect": "Allow", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{other}"})
        found.append({"Effect": "Allow", "Action": actions, "Resource": f"arn:aws:s3:::{other}/{key}*"})
    return found


def secret(lowering: Lowering, values: Any) -> bool:
    """Whether a JSON value holds a secret, or refers to one: it must not stand where AWS shows it to whoever may describe."""
    if isinstance(values, Sensitive):
        return True
    if isinstance(values, str):
        components = {reference.address.partition("/")[0] for reference in references(values)}
        return any(lowering.shared(component, "secret") is not None for component in components)
    items = values.values() if isinstance(values, Mapping) else values if isinstance(values, list | tuple) else ()
    return any(secret(lowering, item) for item in items)


def plain_env(lowering: Lowering, env: Mapping[str, str], instead: str) -> dict[str, str]:
    """Environment variables without those that hold a secret, which are told. ``instead``: what to do with them."""
    kept = {}
    for called, value in env.items():
        if secret(lowering, value):
            lowering.unsupported(f"env.{called}", f"whoever may describe it would read the secret: {instead}")
        else:
            kept[called] = value
    return kept


def _foreign(values: Any) -> set[str]:
    """The s3:// URLs in a JSON value that refer to no resource."""
    if isinstance(values, str):
        return {values} if values.startswith(_S3) and not has_token(values) else set()
    items = values.values() if isinstance(values, Mapping) else values if isinstance(values, list | tuple) else ()
    return set().union(*(_foreign(item) for item in items))
