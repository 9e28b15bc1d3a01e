"""Registries and trainings on AWS: what they become, who holds an alias, and what is told instead."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from mlinfra.sdk.diagnostics import DiagnosticError
from mlinfra_aws.kinds.trainer import packed
from mlinfra_aws.kinds.training import LOADER
from tests.providers.aws.lab import ACCOUNT, Lab

GROUP = "lab-test-registry-models-fraud"
PIPELINE = "lab-test-training-fraud"
ENDPOINT = {"fraud": {"variants": {"champion": {"model": "registry.models/fraud@champion"}}}}


def models(**more: Any) -> dict[str, Any]:
    return {"models": {"models": {"fraud": {"aliases": ["champion"], **more}}}}


def training(lab: Lab, **more: Any) -> dict[str, Any]:
    source = lab.folder / "code"
    source.mkdir(parents=True, exist_ok=True)
    (source / "train.py").write_text("print('trained')\n")
    return {"fraud": {"source": "code", "run": "python train.py", "produces": "registry.models/fraud@champion", **more}}


def noted(lab: Lab) -> list[str]:
    with lab.open() as workspace:
        return [note.text for note in workspace.desire.notes]


def follower(lab: Lab) -> dict[str, Any]:
    """Something that needs the version which the alias stands for."""
    return {
        "copy": {
            "type": "aws.secretsmanager_secret",
            "name": "copy",
            "secret_string": "${registry.models.models.fraud.champion}",
        }
    }


def running(lab: Lab) -> str:
    """The version that the endpoint runs: its ARN."""
    sagemaker = lab.boto("sagemaker")
    name = sagemaker.describe_endpoint(EndpointName="lab-test-endpoint-fraud")["EndpointConfigName"]
    (variant,) = sagemaker.describe_endpoint_config(EndpointConfigName=name)["ProductionVariants"]
    found: str = sagemaker.describe_model(ModelName=variant["ModelName"])["PrimaryContainer"]["ModelPackageName"]
    return found


def held(lab: Lab) -> str:
    found: str = lab.boto("secretsmanager").get_secret_value(SecretId="copy")["SecretString"]
    return found


def test_a_training_runs_once_where_nobody_holds_its_alias(lab: Lab) -> None:
    lab.write(follower(lab), registry=models(), training=training(lab))
    lab.converge()
    assert held(lab) == "1"
    lab.converge()
    (version,) = lab.boto("sagemaker").list_model_packages(ModelPackageGroupName=GROUP)["ModelPackageSummaryList"]
    assert version["ModelApprovalStatus"] == "Approved"
    lab.converge(destroy=True)
    assert lab.tagged() == []


def test_a_rejected_version_gives_its_alias_back_and_the_endpoint_follows(lab: Lab) -> None:
    lab.write({}, registry=models(), training=training(lab), endpoint=ENDPOINT)
    lab.converge()
    first = running(lab)
    sagemaker = lab.boto("sagemaker")
    begun = sagemaker.start_pipeline_execution(
        PipelineName=PIPELINE, ClientRequestToken="somebody-else-starts-it-as-they-may"
    )
    assert begun["PipelineExecutionArn"]
    lab.emulator.calls.clear()
    lab.converge()
    # The endpoint goes over to the new version before what it ran goes.
    about = re.compile("(Create|Update|Delete)(Model|Endpoint|EndpointConfig)")
    order = [call.operation for call in lab.emulator.calls.of("sagemaker") if about.fullmatch(call.operation)]
    assert order == ["CreateModel", "CreateEndpointConfig", "UpdateEndpoint", "DeleteEndpointConfig", "DeleteModel"]
    second = running(lab)
    assert (first.rpartition("/")[2], second.rpartition("/")[2]) == ("1", "2")
    sagemaker.update_model_package(ModelPackageArn=second, ModelApprovalStatus="Rejected")
    lab.converge()
    assert running(lab) == first


def test_with_manual_approval_the_alias_waits_for_a_person(lab: Lab) -> None:
    lab.write({}, registry=models(approval="manual"), training=training(lab), endpoint=ENDPOINT)
    (told,) = lab.failures()
    assert "nobody holds fraud@champion (approved by a person) yet" in told
    sagemaker = lab.boto("sagemaker")
    sagemaker.start_pipeline_execution(PipelineName=PIPELINE, ClientRequestToken="somebody-else-starts-it-as-they-may")
    assert lab.failures()
    (version,) = sagemaker.list_model_packages(ModelPackageGroupName=GROUP)["ModelPackageSummaryList"]
    assert version["ModelApprovalStatus"] == "PendingManualApproval"
    sagemaker.update_model_package(ModelPackageArn=version["ModelPackageArn"], ModelApprovalStatus="Approved")
    lab.converge()
    assert running(lab) == version["ModelPackageArn"]


def test_an_alias_that_was_taken_away_is_put_back(lab: Lab) -> None:
    lab.write({}, registry=models(), training=training(lab), endpoint=ENDPOINT)
    lab.converge()
    version = running(lab)
    sagemaker = lab.boto("sagemaker")
    sagemaker.update_model_package(
        ModelPackageArn=version, CustomerMetadataPropertiesToRemove=["mlinfra:alias:champion"]
    )
    lab.converge()
    metadata = sagemaker.describe_model_package(ModelPackageName=version)["CustomerMetadataProperties"]
    assert metadata == {"mlinfra:alias:champion": "true"}
    sagemaker.update_model_package(ModelPackageArn=version, ModelApprovalStatus="Rejected")
    (told,) = [one for one in lab.failures() if "not approved any more" in one]
    assert "update-model-package" in told


def test_what_a_registry_has_no_place_for_is_told(lab: Lab) -> None:
    lab.write(
        {},
        registry={
            "models": {
                "models": {"fraud": {"description": "what?"}},
                "port": 5000,
                "expose": True,
                "resources": {"cpu": 1},
            }
        },
    )
    told = " ".join(noted(lab))
    for field in ("models.fraud.description", "port", "expose", "resources"):
        assert f"not on aws: {field} " in told


def test_a_training_is_told_all_that_it_needs(lab: Lab) -> None:
    lab.write(
        {},
        storage={"lake": {}},
        secret={"db": {"generate": True}},
        registry=models(),
        training=training(
            lab,
            requirements=["pandas>=2"],
            env={"DEPTH": 3},
            inputs={"rows": "${storage.lake.url}/rows.csv"},
            resources={"gpu": 1, "memory": "20Gi"},
            timeout="2h",
            retries=2,
            spot=True,
            checkpoints=True,
            secrets={"DB": "${secret.db.value}"},
            experiment="spring",
        ),
    )
    lab.converge()
    job, register = json.loads(lab.boto("sagemaker").describe_pipeline(PipelineName=PIPELINE)["PipelineDefinition"])[
        "Steps"
    ]
    arguments = job["Arguments"]
    task = json.loads(arguments["HyperParameters"]["mlinfra_task"])
    assert task["env"] == {
        "DEPTH": "3",
        "MLINFRA_TRAINING": "training.fraud",
        "MLFLOW_EXPERIMENT_NAME": "spring",
        "MLINFRA_MODEL_NAME": "fraud",
        "MLINFRA_MODEL_NAMES": "fraud",
        "MLINFRA_INPUT_ROWS": f"s3://lab-test-storage-lake-{ACCOUNT}/rows.csv",
        "MLINFRA_CHECKPOINTS": "/opt/ml/checkpoints",
    }
    assert task["requirements"] == ["pandas>=2"]
    assert arguments["ResourceConfig"]["InstanceType"] == "ml.g4dn.2xlarge"
    assert arguments["StoppingCondition"] == {"MaxRuntimeInSeconds": 7200, "MaxWaitTimeInSeconds": 14400}
    assert arguments["EnableManagedSpotTraining"] is True
    assert job["RetryPolicies"][0]["MaxAttempts"] == 2
    assert register["Arguments"]["CustomerMetadataProperties"] == {"mlinfra:alias:champion": "true"}
    told = " ".join(noted(lab))
    assert "not on aws: secrets " in told
    assert "not on aws: retries " in told
    assert "not on aws: experiment " in told
    words = [*arguments["AlgorithmSpecification"]["ContainerEntrypoint"]]
    assert max(map(len, words)) <= 256
    assert max(map(len, arguments["HyperParameters"].values())) <= 2500


def test_a_role_gets_what_its_training_uses_and_no_more(lab: Lab) -> None:
    lab.write(
        {},
        storage={"lake": {"encryption": "kms"}, "other": {}},
        secret={"db": {"generate": True}, "api": {"generate": True}},
        registry=models(),
        training=training(lab, inputs={"rows": "${storage.lake.url}/rows.csv"}, secrets={"DB": "${secret.db.value}"}),
    )
    lab.converge()
    iam = lab.boto("iam")
    name = "lab-test-training-fraud-job"
    data = iam.get_role_policy(RoleName=name, PolicyName="data")["PolicyDocument"]["Statement"]
    allowed = {(action, where) for one in data for action in one["Action"] for where in one["Resource"]}
    lake = f"arn:aws:s3:::lab-test-storage-lake-{ACCOUNT}"
    (key,) = lab.boto("kms").list_keys()["Keys"]
    secret = lab.boto("secretsmanager").describe_secret(SecretId="lab-test-secret-db")["ARN"]
    assert allowed == {
        ("s3:ListBucket", lake),
        ("s3:GetBucketLocation", lake),
        ("s3:GetObject", f"{lake}/*"),
        ("kms:Decrypt", key["KeyArn"]),
        ("secretsmanager:GetSecretValue", secret),
    }
    trust = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]["Statement"][0]
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": [ACCOUNT]}}


def test_a_secret_does_not_stand_where_others_can_read_it(lab: Lab) -> None:
    lab.write(
        {},
        secret={"db": {"generate": True}},
        registry=models(),
        training=training(lab, env={"DB": "${secret.db.value}", "PLAIN": "yes"}),
        endpoint={"fraud": {**ENDPOINT["fraud"], "env": {"URL": "postgres://${secret.db.value}@db"}}},
    )
    lab.converge()
    value = lab.boto("secretsmanager").get_secret_value(SecretId="lab-test-secret-db")["SecretString"]
    definition = lab.boto("sagemaker").describe_pipeline(PipelineName=PIPELINE)["PipelineDefinition"]
    assert value not in definition
    assert "PLAIN" in definition
    for path in (lab.folder / ".mlinfra").rglob("*"):
        assert path.is_dir() or value.encode() not in path.read_bytes()
    told = " ".join(noted(lab))
    assert "not on aws: env.DB " in told
    assert "not on aws: env.URL " in told
    lab.write(
        {},
        secret={"db": {"generate": True}},
        registry=models(),
        training=training(lab, run="python train.py ${secret.db.value}"),
    )
    with pytest.raises(DiagnosticError, match="hold a secret"):
        lab.plan()


# -- the program in the container --------------------------------------------------------------------------------------------


def container(
    root: Path, run: list[str], files: dict[str, str], model: str = "fraud"
) -> subprocess.CompletedProcess[str]:
    """What a container of SageMaker does: the program from its hyperparameters, in a root of a test's own."""
    task = {"run": run, "requirements": [], "env": {"DEPTH": "3"}, "model": model}
    program = (
        resources.files("mlinfra_aws.kinds").joinpath("trainer.py").read_text("utf-8").replace("/opt/ml", str(root))
    )
    (root / "input" / "config").mkdir(parents=True)
    (root / "input" / "config" / "hyperparameters.json").write_text(
        json.dumps({"mlinfra_task": json.dumps(task), **packed(program)})
    )
    (root / "input" / "data" / "source").mkdir(parents=True)
    for name, text in files.items():
        (root / "input" / "data" / "source" / name).write_text(text)
    loader = LOADER.replace("/opt/ml", str(root))
    return subprocess.run([sys.executable, "-c", loader], capture_output=True, text=True, check=False, timeout=60)


def test_the_program_runs_the_command_and_leaves_its_model(tmp_path: Path) -> None:
    code = "import os\nopen(os.environ['SM_MODEL_DIR'] + '/MLmodel', 'w').write(os.environ['DEPTH'])\n"
    done = container(tmp_path / "ml", ["python", "train.py"], {"train.py": code})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "ml" / "model" / "MLmodel").read_text() == "3"


def test_the_program_takes_the_version_that_the_command_registered(tmp_path: Path) -> None:
    """MLflow's client is stood in for by a module of its interface, which keeps its versions in files."""
    code = "import os\nassert os.environ['MLFLOW_TRACKING_URI'].endswith('/mlflow.db')\n"
    stand_in = (
        "class MlflowClient:\n"
        "    def search_model_versions(self, query):\n"
        "        assert query == \"name='fraud'\"\n"
        "        return [type('V', (), {'version': n})() for n in ('9', '10')]\n"
        "class artifacts:\n"
        "    @staticmethod\n"
        "    def download_artifacts(artifact_uri, dst_path):\n"
        "        open(dst_path + '/MLmodel', 'w').write(artifact_uri)\n"
    )
    done = container(tmp_path / "ml", ["python", "train.py"], {"train.py": code, "mlflow.py": stand_in})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "ml" / "model" / "MLmodel").read_text() == "models:/fraud/10"


def test_a_command_that_fails_tells_sagemaker_why(tmp_path: Path) -> None:
    done = container(tmp_path / "ml", ["python", "train.py"], {"train.py": "raise SystemExit(7)\n"})
    assert done.returncode == 1
    assert "exit status 7" in (tmp_path / "ml" / "output" / "failure").read_text()
