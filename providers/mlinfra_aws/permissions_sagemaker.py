"""Which calls each resource type of SageMaker makes for which action. Data only; see `permissions_calls` for its form."""

from __future__ import annotations

from typing import Final

from mlinfra_aws.permissions_calls import Calls

_TAGS: Final = ("sagemaker.AddTags", "sagemaker.DeleteTags")
_SCALED: Final = (
    "application-autoscaling.DescribeScalableTargets", "application-autoscaling.DescribeScalingPolicies",
    "application-autoscaling.ListTagsForResource", "application-autoscaling.DeregisterScalableTarget",
    "application-autoscaling.RegisterScalableTarget", "application-autoscaling.TagResource",
    "application-autoscaling.PutScalingPolicy", "cloudwatch.DescribeAlarms", "cloudwatch.PutMetricAlarm",
    "cloudwatch.DeleteAlarms",
)  # fmt: skip
"""What scales an endpoint's variants is taken away and put back around some updates (`sagemaker.scaled`)."""

SAGEMAKER: Final[Calls] = {
    "aws.sagemaker_model": {
        "read": ("sagemaker.ListTags", "sagemaker.DescribeModel", "sagemaker.ListModels"),
        "write": _TAGS,
        "create": ("sagemaker.CreateModel",),
        "delete": ("sagemaker.DeleteModel",),
    },
    "aws.sagemaker_endpoint_configuration": {
        "read": ("sagemaker.ListTags", "sagemaker.DescribeEndpointConfig", "sagemaker.ListEndpointConfigs"),
        "write": _TAGS,
        "create": ("sagemaker.CreateEndpointConfig",),
        "delete": ("sagemaker.DeleteEndpointConfig",),
    },
    "aws.sagemaker_endpoint": {
        "read": ("sagemaker.ListTags", "sagemaker.DescribeEndpoint", "sagemaker.ListEndpoints"),
        "write": _TAGS,
        "create": ("sagemaker.CreateEndpoint",),
        "update": ("sagemaker.UpdateEndpoint", *_SCALED),
        # What scales it goes with it, with the caller's permissions.
        "delete": ("sagemaker.DeleteEndpoint", "application-autoscaling.DeregisterScalableTarget"),
    },
    "aws.sagemaker_feature_group": {
        "read": ("sagemaker.ListTags", "sagemaker.DescribeFeatureGroup",),
        "write": _TAGS,
        "create": ("sagemaker.CreateFeatureGroup",),
        "update": ("sagemaker.UpdateFeatureGroup",),
        "delete": ("sagemaker.DeleteFeatureGroup",),
    },
    "aws.sagemaker_model_package_group": {
        "read": (
            "sagemaker.ListTags", "sagemaker.DescribeModelPackageGroup", "sagemaker.ListModelPackageGroups",
            "sagemaker.ListModelPackages",
        ),
        "write": _TAGS,
        "create": ("sagemaker.CreateModelPackageGroup",),
        "delete": ("sagemaker.DeleteModelPackageGroup", "sagemaker.DeleteModelPackage"),
    },
    "aws.sagemaker_model_alias": {
        "read": ("sagemaker.ListModelPackages", "sagemaker.DescribeModelPackage"),
        "create": ("sagemaker.UpdateModelPackage",),
        "delete": ("sagemaker.UpdateModelPackage",),
    },
    "aws.sagemaker_pipeline": {
        "read": ("sagemaker.ListTags", "sagemaker.DescribePipeline", "sagemaker.ListPipelines"),
        "write": _TAGS,
        "create": ("sagemaker.CreatePipeline",),
        "update": ("sagemaker.UpdatePipeline",),
        "delete": ("sagemaker.DeletePipeline",),
        "run": (
            "sagemaker.StartPipelineExecution", "sagemaker.DescribePipelineExecution", "sagemaker.ListPipelineExecutions",
            "sagemaker.ListPipelineExecutionSteps",
        ),
    },
    "aws.sagemaker_training_job": {
        "read": ("sagemaker.ListTags", "sagemaker.DescribeTrainingJob", "sagemaker.ListTrainingJobs"),
        "write": _TAGS,
        "create": ("sagemaker.CreateTrainingJob",),
        "delete": ("sagemaker.StopTrainingJob", "sagemaker.DeleteTrainingJob"),
        "run": ("sagemaker.CreateTrainingJob", "sagemaker.StopTrainingJob", *_TAGS),
    },
    "aws.sagemaker_processing_job": {
        "read": ("sagemaker.ListTags", "sagemaker.DescribeProcessingJob", "sagemaker.ListProcessingJobs"),
        "write": _TAGS,
        "create": ("sagemaker.CreateProcessingJob",),
        "delete": ("sagemaker.StopProcessingJob", "sagemaker.DeleteProcessingJob"),
        "run": ("sagemaker.CreateProcessingJob", "sagemaker.StopProcessingJob", *_TAGS),
    },
    "aws.sagemaker_data_quality_job_definition": {
        "read": ("sagemaker.ListTags", "sagemaker.DescribeDataQualityJobDefinition",),
        "write": _TAGS,
        "create": ("sagemaker.CreateDataQualityJobDefinition",),
        "delete": ("sagemaker.DeleteDataQualityJobDefinition",),
    },
    "aws.sagemaker_monitoring_schedule": {
        "read": ("sagemaker.ListTags", "sagemaker.DescribeMonitoringSchedule", "sagemaker.ListMonitoringSchedules"),
        "write": _TAGS,
        "create": ("sagemaker.CreateMonitoringSchedule",),
        "update": ("sagemaker.UpdateMonitoringSchedule",),
        "delete": ("sagemaker.DeleteMonitoringSchedule",),
    },
    "aws.sagemaker_mlflow_tracking_server": {
        "read": ("sagemaker.ListTags", "sagemaker.DescribeMlflowTrackingServer",),
        "write": _TAGS,
        "create": ("sagemaker.CreateMlflowTrackingServer",),
        "update": ("sagemaker.UpdateMlflowTrackingServer",),
        "delete": ("sagemaker.DeleteMlflowTrackingServer",),
    },
    "aws.sagemaker_notebook_instance": {
        "read": ("sagemaker.ListTags", "sagemaker.DescribeNotebookInstance", "sagemaker.ListNotebookInstances"),
        "write": (*_TAGS, "sagemaker.StartNotebookInstance", "sagemaker.StopNotebookInstance"),
        "create": ("sagemaker.CreateNotebookInstance",),
        "update": ("sagemaker.UpdateNotebookInstance",),
        "delete": ("sagemaker.StopNotebookInstance", "sagemaker.DeleteNotebookInstance"),
    },
    "aws.sagemaker_domain": {
        "read": ("sagemaker.ListTags", "sagemaker.DescribeDomain", "sagemaker.ListDomains"),
        "write": _TAGS,
        "create": ("sagemaker.CreateDomain",),
        "update": ("sagemaker.UpdateDomain",),
        "delete": ("sagemaker.DeleteDomain",),
    },
}  # fmt: skip
