"""Samples of Lambda."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from typing import Any

from tests.providers.aws.conformance import Outside, Sample
from tests.providers.aws.lab import ACCOUNT, REGION, Lab
from tests.providers.aws.samples.iam import role

KEYS = [f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{letter * 8}-0000-4000-8000-000000000000" for letter in "abc"]
QUEUES = [f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}" for name in ("first", "second", "third")]
ROLES = {"role": role("scorer", "lambda"), "other_role": role("other-scorer", "lambda")}


def code(text: str) -> bytes:
    """A zip file with one module."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(
            zipfile.ZipInfo("app.py", (2020, 1, 1, 0, 0, 0)), f"def handle(event, context):\n    return {text!r}\n"
        )
    return packed.getvalue()


def start(lab: Lab) -> None:
    lab.folder.mkdir(parents=True, exist_ok=True)
    for name in ("first", "second"):
        (lab.folder / f"{name}.zip").write_bytes(code(name))
        (lab.folder / f"copy-of-{name}.zip").write_bytes(code(name))
    s3 = lab.boto("s3")
    if not s3.list_buckets()["Buckets"]:
        for bucket in ("lab-code", "lab-other-code"):
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
            for name in ("first", "second"):
                s3.put_object(Bucket=bucket, Key=f"{name}.zip", Body=code(name))


def update(**told: Any) -> Outside:
    """Somebody changes a function."""
    return lambda lab, id: lab.boto("lambda").update_function_configuration(FunctionName=id, **told)


def recoded(lab: Lab, id: str) -> None:
    lab.boto("lambda").update_function_code(FunctionName=id, ZipFile=code("mine"))


FIELDS = {
    "function_name": "scorer",
    "package_type": "Zip",
    "role": "${resource.role.arn}",
    "runtime": "python3.11",
    "handler": "app.handle",
    "filename": "first.zip",
    "architectures": ["x86_64"],
    "description": "scores",
    "timeout": 10,
    "memory_size": 256,
    "environment": {"variables": {"STAGE": "test"}},
    "tracing_config": {"mode": "Active"},
    "dead_letter_config": {"target_arn": QUEUES[0]},
    "ephemeral_storage": {"size": 1024},
    "kms_key_arn": KEYS[0],
    "reserved_concurrent_executions": 5,
    "tags": {"team": "fraud"},
}
SAMPLES = [
    Sample(
        "aws.lambda_function",
        FIELDS,
        updates={
            "role": "${resource.other_role.arn}",
            "runtime": "python3.12",
            "handler": "app.other",
            "filename": "copy-of-first.zip",
            "architectures": ["arm64"],
            "description": "scores more",
            "timeout": 20,
            "memory_size": 512,
            "environment": {"variables": {"STAGE": "production", "MORE": "1"}},
            "tracing_config": {"mode": "PassThrough"},
            "dead_letter_config": {"target_arn": QUEUES[1]},
            "ephemeral_storage": {"size": 2048},
            "kms_key_arn": KEYS[1],
            "reserved_concurrent_executions": 7,
            "tags": {"team": "risk", "more": "tags"},
        },
        replaces={"function_name": "other"},
        resets={
            "description": None,
            "environment": None,
            "dead_letter_config": None,
            "kms_key_arn": None,
            "reserved_concurrent_executions": None,
            "tags": None,
        },
        untried={
            "package_type": "images are not run by the emulator, and it looks for them in a registry of its own",
            "image_uri": "the same",
            "s3_bucket": "instead of filename: tried in the sample after this",
            "s3_key": "the same",
            "s3_object_version": "the same",
            "source_code_hash": "told by the file: tried in the sample after this",
            "layers": "need layers that exist: tried in test_more_services",
            "vpc_config": "needs a network: tried in test_more_services",
            "architectures": "somebody else's change comes with the code's",
        },
        outside={
            "role": update(Role=f"arn:aws:iam::{ACCOUNT}:role/other-scorer"),
            "runtime": update(Runtime="python3.10"),
            "handler": update(Handler="mine.handle"),
            "description": update(Description="mine"),
            "timeout": update(Timeout=60),
            "memory_size": update(MemorySize=1024),
            "environment": update(Environment={"Variables": {"STAGE": "mine"}}),
            "tracing_config": update(TracingConfig={"Mode": "PassThrough"}),
            "dead_letter_config": update(DeadLetterConfig={"TargetArn": QUEUES[2]}),
            "ephemeral_storage": update(EphemeralStorage={"Size": 4096}),
            "kms_key_arn": update(KMSKeyArn=KEYS[2]),
            "reserved_concurrent_executions": lambda lab, id: lab.boto("lambda").put_function_concurrency(
                FunctionName=id, ReservedConcurrentExecutions=1
            ),
            "tags": lambda lab, id: lab.boto("lambda").tag_resource(
                Resource=f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{id}", Tags={"team": "someone"}
            ),
        },
        needs=ROLES,
        before=start,
        remove=lambda lab, id: lab.boto("lambda").delete_function(FunctionName=id),
        name="function_name",
        noop_calls=5,
    ),
    Sample(
        "aws.lambda_function",
        {
            "function_name": "packed",
            "role": "${resource.role.arn}",
            "runtime": "python3.11",
            "handler": "app.handle",
            "s3_bucket": "lab-code",
            "s3_key": "first.zip",
            "source_code_hash": base64.b64encode(hashlib.sha256(code("first")).digest()).decode(),
        },
        updates={"s3_bucket": "lab-other-code"},
        untried=dict.fromkeys(
            (*FIELDS, "image_uri", "layers", "vpc_config"), "tried in the sample before this, or in test_services"
        )
        | {
            "s3_key": "changes with the hash of what lies there",
            "s3_object_version": "the same",
            "source_code_hash": "changes with the object: somebody else's change of it is seen",
        },
        outside={"source_code_hash": recoded},
        needs=ROLES,
        before=start,
        name="function_name",
        noop_calls=5,
    ),
]
