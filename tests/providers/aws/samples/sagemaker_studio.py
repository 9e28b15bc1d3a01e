"""Samples of SageMaker: notebook instances and domains."""

from __future__ import annotations

from typing import Any

from tests.providers.aws.conformance import Outside, Sample
from tests.providers.aws.lab import ACCOUNT, Lab
from tests.providers.aws.samples.sagemaker import KEY, OTHER_ROLE, OTHER_TAGS, ROLE, ROLES, TAGS, tag


def notebook(**told: Any) -> Outside:
    """Somebody stops a machine, changes it, and starts it again."""

    def change(lab: Lab, id: str) -> None:
        sagemaker = lab.boto("sagemaker")
        sagemaker.stop_notebook_instance(NotebookInstanceName=id)
        sagemaker.update_notebook_instance(NotebookInstanceName=id, **told)
        sagemaker.start_notebook_instance(NotebookInstanceName=id)

    return change


def remove(lab: Lab, id: str) -> None:
    lab.boto("sagemaker").stop_notebook_instance(NotebookInstanceName=id)
    lab.boto("sagemaker").delete_notebook_instance(NotebookInstanceName=id)


def update(**told: Any) -> Outside:
    """Somebody changes a domain."""
    return lambda lab, id: lab.boto("sagemaker").update_domain(DomainId=id, **told)


MINE = f"arn:aws:iam::{ACCOUNT}:role/mine"
SAMPLES = [
    Sample(
        "aws.sagemaker_notebook_instance",
        {
            "name": "desk",
            "role_arn": ROLE,
            "instance_type": "ml.t3.medium",
            "volume_size": 10,
            "subnet_id": "subnet-1",
            "security_groups": ["sg-1"],
            "direct_internet_access": "Enabled",
            "root_access": "Enabled",
            "kms_key_id": KEY,
            "platform_identifier": "notebook-al2-v2",
            "lifecycle_config_name": "first",
            "default_code_repository": "https://example.com/first",
            "additional_code_repositories": ["https://example.com/more"],
            "instance_metadata_service_configuration": {"minimum_instance_metadata_service_version": "1"},
            **TAGS,
        },
        updates={
            "role_arn": OTHER_ROLE,
            "instance_type": "ml.t3.large",
            "volume_size": 20,
            "root_access": "Disabled",
            "lifecycle_config_name": "second",
            "default_code_repository": "https://example.com/second",
            "additional_code_repositories": ["https://example.com/more", "https://example.com/most"],
            "instance_metadata_service_configuration": {"minimum_instance_metadata_service_version": "2"},
            **OTHER_TAGS,
        },
        replaces={
            "name": "other",
            "subnet_id": "subnet-2",
            "security_groups": ["sg-2"],
            "direct_internet_access": "Disabled",
            "kms_key_id": "alias/other",
            "platform_identifier": "notebook-al2-v3",
        },
        resets={
            "lifecycle_config_name": None,
            "default_code_repository": None,
            "additional_code_repositories": None,
            "tags": None,
        },
        outside={
            "role_arn": notebook(RoleArn=MINE),
            "instance_type": notebook(InstanceType="ml.t3.xlarge"),
            "volume_size": notebook(VolumeSizeInGB=99),
            "root_access": notebook(RootAccess="Disabled"),
            "lifecycle_config_name": notebook(LifecycleConfigName="mine"),
            "default_code_repository": notebook(DefaultCodeRepository="https://example.com/mine"),
            "additional_code_repositories": notebook(AdditionalCodeRepositories=["https://example.com/mine"]),
            "instance_metadata_service_configuration": notebook(
                InstanceMetadataServiceConfiguration={"MinimumInstanceMetadataServiceVersion": "2"}
            ),
            "tags": tag("notebook-instance"),
        },
        needs=ROLES,
        remove=remove,
        noop_calls=2,
    ),
    Sample(
        "aws.sagemaker_domain",
        {
            "domain_name": "fraud",
            "auth_mode": "IAM",
            "vpc_id": "vpc-1",
            "subnet_ids": ["subnet-1", "subnet-2"],
            "app_network_access_type": "PublicInternetOnly",
            "kms_key_id": KEY,
            "default_user_settings": {"execution_role": ROLE, "security_groups": ["sg-1"]},
            "default_space_settings": {"execution_role": ROLE},
            "tag_propagation": "DISABLED",
            "retention_policy": {"home_efs_file_system": "Retain"},
            **TAGS,
        },
        updates={
            "subnet_ids": ["subnet-3"],
            "app_network_access_type": "VpcOnly",
            "default_user_settings": {"execution_role": OTHER_ROLE, "security_groups": ["sg-2"]},
            "default_space_settings": {"execution_role": OTHER_ROLE},
            "tag_propagation": "ENABLED",
            "retention_policy": {"home_efs_file_system": "Delete"},
            **OTHER_TAGS,
        },
        replaces={"domain_name": "other", "auth_mode": "SSO", "vpc_id": "vpc-2", "kms_key_id": "alias/other"},
        resets={"tags": None},
        outside={
            "subnet_ids": update(SubnetIds=["subnet-9"]),
            "app_network_access_type": update(AppNetworkAccessType="VpcOnly"),
            "default_user_settings": update(DefaultUserSettings={"ExecutionRole": MINE, "SecurityGroups": ["sg-1"]}),
            "default_space_settings": update(DefaultSpaceSettings={"ExecutionRole": MINE}),
            "tag_propagation": update(TagPropagation="ENABLED"),
            "tags": tag("domain"),
        },
        needs=ROLES,
        remove=lambda lab, id: lab.boto("sagemaker").delete_domain(DomainId=id),
        name="domain_name",
        noop_calls=6,
    ),
]
