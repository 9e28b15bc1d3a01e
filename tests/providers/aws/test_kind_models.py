"""Registries and trainings on AWS: what they become, who holds an alias, and what is told instead."""

from __future__ import annotations

from typing import Any

from tests.providers.aws.lab import Lab

GROUP = "lab-test-registry-models-fraud"
PIPELINE = "lab-test-training-fraud"


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


def held(lab: Lab) -> str:
    return lab.boto("secretsmanager").get_secret_value(SecretId="copy")["SecretString"]


def test_a_training_runs_once_where_nobody_holds_its_alias(lab: Lab) -> None:
    lab.write(follower(lab), registry=models(), training=training(lab))
    lab.converge()
    assert held(lab) == "1"
    lab.converge()
    (version,) = lab.boto("sagemaker").list_model_packages(ModelPackageGroupName=GROUP)["ModelPackageSummaryList"]
    assert version["ModelApprovalStatus"] == "Approved"
    lab.converge(destroy=True)
    assert lab.tagged() == []
