"""The recipe for kind ``training``: a SageMaker pipeline of a training job and the registration of its model.

A pipeline is a training that anybody can start, a rule of EventBridge too, and not only mlinfra: it makes the job, and registers
what the job made with the mark of its alias. The job runs the user's command with `trainer` around it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from mlinfra.kinds.kind import opaque
from mlinfra.kinds.units import ModelRef
from mlinfra.sdk.diagnostics import fail
from mlinfra.sdk.lowering import Handle, Lowering, Outputs
from mlinfra.sdk.refs import has_token
from mlinfra.sdk.workload import JobHandle
from mlinfra_aws.kinds import buckets, roles
from mlinfra_aws.kinds.images import Image, image
from mlinfra_aws.kinds.instances import INSTANCES, instance
from mlinfra_aws.kinds.registry import ARTIFACTS, MODELS, Declared
from mlinfra_aws.kinds.trainer import packed
from mlinfra_aws.names import name
from mlinfra_aws.sagemaker.model_alias import KEY

if TYPE_CHECKING:
    from mlinfra.kinds.training import Training

STEP: Final = "train"
LOGS: Final = "/aws/sagemaker/TrainingJobs"
"""Where all training jobs of an account log to. It belongs to no blueprint."""
LONGEST: Final = 28 * 86400
"""Seconds that AWS lets a job run."""
USUAL: Final = 86400
"""Seconds that it may run where the blueprint sets no limit: AWS wants one."""
DISK: Final = 30
"""GB."""
LOADER: Final = (
    "import json,base64,zlib;h=json.load(open('/opt/ml/input/config/hyperparameters.json'));"
    "exec(zlib.decompress(base64.b64decode(''.join(h[k] for k in sorted(h) if k.startswith('mlinfra_program')))))"
)
"""Starts the program that the hyperparameters carry. A word of an entrypoint has 256 characters at most."""
VALUE: Final = 2500
"""Characters of a hyperparameter at most."""
REGISTERED: Final = ("text/csv", "application/json", "application/jsonlines")
"""What a registered model takes and gives, as far as SageMaker wants to know."""


def lower(training: Training, lowering: Lowering) -> Outputs:
    """Role, source and pipeline of one training.

    Errors: DiagnosticError for models of several registries, or that only an apply could name.
    """
    called = lowering.component.partition(".")[2]
    model = _model(training, lowering)
    registry = training.registry or (model.component if model is not None else None)
    bucket = lowering.shared(registry, ARTIFACTS) if registry is not None else None
    if not isinstance(bucket, Handle):
        bucket = buckets.own(lowering, ARTIFACTS)
    runs = image(lowering, "training", registry)
    served = image(lowering, "serving", registry) if model is not None else None
    prefix = f"trainings/{called}/"
    source = lowering.resource(
        "aws.s3_objects",
        "source",
        {"bucket": bucket.ref("bucket"), "prefix": f"{prefix}source/", "source": training.source},
        label="source",
    )
    _tell_unsupported(training, lowering)
    role = _role(training, lowering, bucket, prefix, runs, model)
    place = f"s3://{bucket.ref('bucket')}/{prefix}"
    steps = [_job(training, lowering, role, runs, place, model)]
    declared = _declared(model, lowering)
    if model is not None and served is not None:
        steps.append(_registration(model, declared, served))
    pipeline = lowering.resource(
        "aws.sagemaker_pipeline",
        STEP,
        {
            "pipeline_name": name(lowering.place, lowering.component, limit=200),
            "pipeline_description": f"{lowering.component} of {lowering.place.blueprint}",
            "pipeline_definition": {"Version": "2020-12-01", "Metadata": {}, "Parameters": [], "Steps": steps},
            "role_arn": role.ref("arn"),
        },
        after=(source.address, *((declared.group.address,) if declared is not None else ())),
        label="training pipeline",
    )
    job = JobHandle(pipeline.address, (), pipeline)
    held = declared.aliases.get(model.alias or "") if model is not None and declared is not None else None
    if held is not None and declared is not None and declared.approval == "auto":
        lowering.produced(held.address, job)
    lowering.share("job", job)
    return {"experiment": training.experiment or called, "job": pipeline.address}


def _model(training: Training, lowering: Lowering) -> ModelRef | None:
    """What a run makes a version of."""
    named = list(training.produces)
    if any(opaque(one) for one in named):
        raise fail(
            "value-not-known",
            "Value not known while planning",
            'A model in "produces" comes from a value that only an apply can tell.',
            "Write it out: registry.NAME/MODEL@ALIAS.",
        )
    registries = dict.fromkeys([*([training.registry] if training.registry else []), *(one.component for one in named)])
    if len(registries) > 1:
        raise fail(
            "registries-differ",
            "More than one registry",
            f"A run logs to one registry, and this training names {' and '.join(registries)}.",
            "Produce models of one registry, or make a training of its own for each.",
        )
    for further in named[1:]:
        lowering.unsupported("produces", f"a job makes one model here: no version of {further} is registered")
    return named[0] if named else None


def _declared(model: ModelRef | None, lowering: Lowering) -> Declared | None:
    """How its registry declares a model."""
    if model is None:
        return None
    declared: Mapping[str, Declared] = lowering.shared(model.component, MODELS) or {}
    if model.model not in declared:
        raise fail(
            "model-unknown",
            "Unknown model",
            f'{model.component} has no model "{model.model}", and on AWS a version needs its group first.',
            f"It declares: {', '.join(sorted(declared)) or 'none'}. Add it to {model.component}, or correct the name.",
        )
    return declared[model.model]


def _job(
    training: Training, lowering: Lowering, role: Handle, runs: Image, place: str, model: ModelRef | None
) -> dict[str, Any]:
    """The training job, in the words of CreateTrainingJob."""
    if roles.secret(lowering, [list(training.run), dict(training.inputs), list(training.requirements)]):
        raise fail(
            "secret-exposed",
            "Secret would be exposed",
            "The command, the inputs or the requirements hold a secret, and whoever may describe a job would read it.",
            "Put it into `secrets`.",
        )
    task = {
        "run": list(training.run),
        "requirements": list(training.requirements),
        "env": _env(training, lowering, model),
        "model": model.model if model is not None else "",
    }
    # Tokens are characters that JSON would escape unless told not to.
    told = json.dumps(task, ensure_ascii=False, separators=(",", ":"))
    if len(told) > VALUE and not has_token(told):
        raise fail(
            "too-long",
            "Too long for AWS",
            f"Command, requirements and variables have {len(told)} characters together; a job of SageMaker is given {VALUE}.",
            "Put requirements into the image, or settings into a file of its source.",
        )
    limit = USUAL if training.timeout is None or opaque(training.timeout) else min(training.timeout, LONGEST)
    arguments: dict[str, Any] = {
        "AlgorithmSpecification": {
            "TrainingImage": runs.uri,
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["python3", "-c", LOADER],
        },
        "HyperParameters": {"mlinfra_task": told, **packed(_program())},
        "InputDataConfig": [
            {
                "ChannelName": "source",
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": f"{place}source/",
                        "S3DataDistributionType": "FullyReplicated",
                    }
                },
            }
        ],
        "OutputDataConfig": {"S3OutputPath": f"{place}models"},
        "ResourceConfig": {
            "InstanceCount": 1,
            "InstanceType": instance(training.resources, lowering),
            "VolumeSizeInGB": DISK,
        },
        "RoleArn": role.ref("arn"),
        "StoppingCondition": {"MaxRuntimeInSeconds": int(limit)},
    }
    if training.spot is True:
        arguments["EnableManagedSpotTraining"] = True
        arguments["StoppingCondition"]["MaxWaitTimeInSeconds"] = int(min(limit * 2, LONGEST))
    if training.checkpoints is not None:
        arguments["CheckpointConfig"] = {
            "S3Uri": training.checkpoints.url or f"{place}checkpoints",
            "LocalPath": "/opt/ml/checkpoints",
        }
    step: dict[str, Any] = {"Name": STEP, "Type": "Training", "Arguments": arguments}
    if training.retries:
        step["RetryPolicies"] = [
            {
                "ExceptionType": ["SageMaker.JOB_INTERNAL_ERROR", "SageMaker.CAPACITY_ERROR"],
                "IntervalSeconds": 30,
                "BackoffRate": 2.0,
                "MaxAttempts": training.retries,
            }
        ]
    return step


def _env(training: Training, lowering: Lowering, model: ModelRef | None) -> dict[str, str]:
    """The variables of a run, as every runtime sets them.

    Errors: DiagnosticError for one that the blueprint and mlinfra both set, or two inputs of one name.
    """
    ours = {"MLINFRA_TRAINING": lowering.component}
    ours["MLFLOW_EXPERIMENT_NAME"] = training.experiment or lowering.component.partition(".")[2]
    if model is not None:
        ours |= {"MLINFRA_MODEL_NAME": model.model, "MLINFRA_MODEL_NAMES": model.model}
    if training.features is not None:
        ours["FEATURE_STORE_URL"] = lowering.outputs(training.features)["url"]
        ours["FEATURE_STORE_NAME"] = lowering.outputs(training.features)["name"]
    for called, where in training.inputs.items():
        variable = f"MLINFRA_INPUT_{called.upper()}"
        if variable in ours:
            raise _twice(variable, f'two of its "inputs" are called {called}, but for capital letters', "Rename one.")
        ours[variable] = where
    if training.checkpoints is not None:
        ours["MLINFRA_CHECKPOINTS"] = "/opt/ml/checkpoints"
    env = roles.plain_env(lowering, training.env, "put it into `secrets`")
    for called in env:
        if called in ours:
            raise _twice(called, 'it stands in "env", and mlinfra sets it', 'Remove it from "env", or rename it.')
    return {**env, **ours}


def _twice(variable: str, why: str, remedy: str) -> Exception:
    return fail("variable-set-twice", "Variable set twice", f"{variable} cannot have two values: {why}.", remedy)


def _registration(model: ModelRef, declared: Declared | None, served: Image) -> dict[str, Any]:
    """The step that makes what the job made a version of the model, in the words of CreateModelPackage. Approved versions with its
    mark hold the alias; a person approves those of a model with manual approval."""
    assert declared is not None
    arguments: dict[str, Any] = {
        "ModelPackageGroupName": declared.name,
        "ModelApprovalStatus": "Approved" if declared.approval == "auto" else "PendingManualApproval",
        "InferenceSpecification": {
            "Containers": [
                {"Image": served.uri, "ModelDataUrl": {"Get": f"Steps.{STEP}.ModelArtifacts.S3ModelArtifacts"}}
            ],
            "SupportedContentTypes": list(REGISTERED),
            "SupportedResponseMIMETypes": list(REGISTERED),
            "SupportedRealtimeInferenceInstanceTypes": [one.type for one in INSTANCES],
        },
    }
    if model.alias is not None:
        arguments["CustomerMetadataProperties"] = {f"{KEY}{model.alias}": "true"}
    return {"Name": "register", "Type": "RegisterModel", "Arguments": arguments}


def _role(
    training: Training, lowering: Lowering, bucket: Handle, prefix: str, runs: Image, model: ModelRef | None
) -> Handle:
    """What the job has, and the pipeline that starts it: its inputs to read, its own place to write, its logs."""
    own = roles.arn(lowering, "sagemaker", "training-job/pipelines-*")
    pass_role = {
        "Effect": "Allow",
        "Action": "iam:PassRole",
        "Resource": f"arn:aws:iam::{lowering.place.settings.get('account') or '*'}:role/"
        + name(lowering.place, lowering.component, "job", limit=64),
        "Condition": {"StringEquals": {"iam:PassedToService": roles.SAGEMAKER}},
    }
    starts: list[roles.Statement] = [
        {
            "Effect": "Allow",
            "Action": [
                "sagemaker:CreateTrainingJob",
                "sagemaker:DescribeTrainingJob",
                "sagemaker:StopTrainingJob",
                "sagemaker:AddTags",
            ],
            "Resource": own,
        },
        pass_role,
    ]
    declared = _declared(model, lowering)
    if declared is not None:
        starts.append(
            {
                "Effect": "Allow",
                "Action": ["sagemaker:CreateModelPackage", "sagemaker:DescribeModelPackageGroup"],
                "Resource": [
                    declared.group.ref("arn"),
                    roles.arn(lowering, "sagemaker", f"model-package/{declared.name}/*"),
                ],
            }
        )
    checkpoints = training.checkpoints.url if training.checkpoints is not None else None
    data = roles.touches(lowering, dict(training.inputs))
    data += roles.touches(lowering, [dict(training.env), list(training.run), checkpoints], write=True)
    data += roles.touches(lowering, dict(training.secrets))
    if training.features is not None:
        data += lowering.shared(training.features, "readers") or []
    return roles.role(
        lowering,
        "job",
        {
            "own": [*roles.reads(bucket, prefix), *roles.writes(bucket, prefix)],
            "data": data,
            "image": roles.pulls(runs.repository),
            "logs": [*roles.logs(lowering, LOGS), *roles.metrics()],
            "pipeline": starts,
        },
    )


def _tell_unsupported(training: Training, lowering: Lowering) -> None:
    if training.secrets:
        lowering.unsupported(
            "secrets", "a job is given no files: its role may read them, so let the code ask Secrets Manager"
        )
    if "experiment" in training.model_fields_set:
        lowering.unsupported("experiment", "runs are not logged to a server; SageMaker lists the pipeline's executions")
    if opaque(training.timeout):
        lowering.unsupported("timeout", "it must be known when it is planned")
    elif training.timeout is not None and training.timeout > LONGEST:
        lowering.unsupported("timeout", "a job runs 28 days at most")
    if training.retries:
        lowering.unsupported("retries", "what AWS fails at is tried again; a command that fails is not")
    if training.checkpoints is not None and training.checkpoints.keep is not None:
        lowering.unsupported("checkpoints.keep", "none of them is removed")


def _program() -> str:
    return (resources.files("mlinfra_aws.kinds") / "trainer.py").read_text("utf-8")
