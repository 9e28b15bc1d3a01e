"""AWS as a provider: managed services. The table, nothing else."""

from mlinfra.sdk.provider import Provider

PROVIDER = Provider(
    name="aws",
    version="0.1.0",
    resources={
        "aws.s3_bucket": "mlinfra_aws.s3:S3Bucket",
        "aws.s3_objects": "mlinfra_aws.s3_objects:S3Objects",
        "aws.kms_key": "mlinfra_aws.kms:KmsKey",
        "aws.kms_alias": "mlinfra_aws.kms:KmsAlias",
        "aws.iam_role": "mlinfra_aws.iam:IamRole",
        "aws.ecr_repository": "mlinfra_aws.ecr:EcrRepository",
        "aws.cloudwatch_log_group": "mlinfra_aws.logs:LogGroup",
        "aws.secretsmanager_secret": "mlinfra_aws.secretsmanager:Secret",
        "aws.sagemaker_model": "mlinfra_aws.sagemaker.model:Model",
        "aws.sagemaker_endpoint_configuration": "mlinfra_aws.sagemaker.endpoint_config:EndpointConfiguration",
        "aws.sagemaker_endpoint": "mlinfra_aws.sagemaker.endpoint:Endpoint",
        "aws.sagemaker_feature_group": "mlinfra_aws.sagemaker.feature_group:FeatureGroup",
        "aws.sagemaker_model_package_group": "mlinfra_aws.sagemaker.model_package_group:ModelPackageGroup",
        "aws.sagemaker_model_alias": "mlinfra_aws.sagemaker.model_alias:ModelAlias",
        "aws.sagemaker_pipeline": "mlinfra_aws.sagemaker.pipeline:Pipeline",
        "aws.sns_topic": "mlinfra_aws.sns:Topic",
        "aws.scheduler_schedule": "mlinfra_aws.scheduler:Schedule",
        "aws.ssm_parameter": "mlinfra_aws.ssm:Parameter",
        "aws.dynamodb_table": "mlinfra_aws.dynamodb:Table",
        "aws.lambda_function": "mlinfra_aws.lambda_function:Function",
    },
    recipes={
        "storage": "mlinfra_aws.kinds.storage:lower",
        "secret": "mlinfra_aws.kinds.secret:lower",
        "registry": "mlinfra_aws.kinds.registry:lower",
        "feature_store": "mlinfra_aws.kinds.feature_store:lower",
        "training": "mlinfra_aws.kinds.training:lower",
        "endpoint": "mlinfra_aws.kinds.endpoint:lower",
        "monitor": "mlinfra_aws.kinds.monitor:lower",
    },
    connect="mlinfra_aws.client:connect",
    settings="mlinfra_aws.settings:AwsSettings",
    permissions="mlinfra_aws.permissions:policy",
    about="managed services of AWS: S3, KMS, IAM, ECR, CloudWatch Logs, Secrets Manager, SageMaker",
)
