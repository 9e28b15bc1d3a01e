"""SageMaker, one file a resource type."""
