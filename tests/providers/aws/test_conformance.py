"""Every resource type of AWS, through every check of `conformance`."""

from __future__ import annotations

import pkgutil
import runpy
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from mlinfra_aws import PROVIDER
from tests.providers.aws import samples
from tests.providers.aws.conformance import CHECKS, Sample, Trial
from tests.providers.aws.lab import Lab

ROOT = Path(__file__).resolve().parents[3]
SAMPLES: list[Sample] = [
    sample
    for module in pkgutil.iter_modules(samples.__path__)
    for sample in import_module(f"{samples.__name__}.{module.name}").SAMPLES
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_conforms(lab: Lab, sample: Sample, check: Callable[[Trial], None]) -> None:
    check(Trial(lab, sample))


ELSEWHERE = {"aws.sagemaker_model_alias"}
"""Made by nobody but a training or a person, so that the harness cannot create it: see test_kind_models.py."""


def test_every_type_has_a_sample() -> None:
    assert {sample.type for sample in SAMPLES} | ELSEWHERE == set(PROVIDER.resources)


def test_the_table_in_the_docs_is_up_to_date() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "aws_fields.py"))
    page = (ROOT / "docs" / "aws.md").read_text("utf-8")
    assert script["filled"](page) == page
