"""Kinds on AWS: what they become, that it converges, and what is told instead."""

from __future__ import annotations

import pytest

from tests.providers.aws.lab import ACCOUNT, Lab

BUCKET = f"lab-test-storage-lake-{ACCOUNT}"


def test_a_storage_is_a_bucket_that_nobody_else_gets_at(lab: Lab) -> None:
    lab.write({}, storage={"lake": {}})
    lab.converge()
    s3 = lab.boto("s3")
    assert [one["Name"] for one in s3.list_buckets()["Buckets"]] == [BUCKET]
    block = s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"]
    assert set(block.values()) == {True}
    with lab.open() as workspace:
        assert "path" not in workspace.desire.outputs["storage.lake"]
        assert not workspace.desire.notes


def test_a_storage_with_all_its_fields(lab: Lab) -> None:
    (lab.folder / "data").mkdir(parents=True)
    (lab.folder / "data" / "a.csv").write_text("a\n")
    lake = {
        "versioning": True,
        "encryption": "kms",
        "lifecycle": [
            {"prefix": "tmp/", "expire": "7d"},
            {"archive": "30d", "expire": "90d", "expire_versions": "36h"},
        ],
        "contents": "./data",
    }
    lab.write({}, storage={"lake": lake})
    lab.converge()
    s3 = lab.boto("s3")
    assert s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    rules = s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
    assert [rule.get("Expiration", {}).get("Days") for rule in rules] == [7, 90, None]
    assert rules[1]["Transitions"] == [{"Days": 30, "StorageClass": "GLACIER_IR"}]
    assert rules[1]["NoncurrentVersionExpiration"]["NoncurrentDays"] == 2
    encryption = s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"][0]
    (key,) = lab.boto("kms").list_keys()["Keys"]
    assert encryption["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] == key["KeyArn"]
    assert s3.get_object(Bucket=BUCKET, Key="a.csv")["Body"].read() == b"a\n"
    lab.converge(destroy=True)
    assert lab.tagged() == []


def test_a_key_that_is_given_is_used(lab: Lab) -> None:
    lab.write({}, storage={"lake": {"encryption": "kms", "key": "alias/ours"}})
    lab.converge()
    assert lab.boto("kms").list_keys()["Keys"] == []


@pytest.mark.parametrize("characters", ["letters", "hex", "printable"])
def test_a_secret_is_generated_and_can_be_referred_to(lab: Lab, characters: str) -> None:
    secret = {"generate": {"length": 40, "characters": characters}}
    lab.write(
        {"copy": {"type": "aws.secretsmanager_secret", "name": "copy", "secret_string": "${secret.token.value}"}},
        secret={"token": secret},
    )
    lab.converge()
    manager = lab.boto("secretsmanager")
    made = manager.get_secret_value(SecretId="lab-test-secret-token")["SecretString"]
    assert len(made) == 40
    assert manager.get_secret_value(SecretId="copy")["SecretString"] == made
    lab.converge(destroy=True)
    assert lab.tagged() == []
