"""Tools of the field as workloads and objects: the provider's table, and nothing else."""

from mlinfra.sdk.provider import Provider

PROVIDER = Provider(
    name="tools",
    version="0.1.0",
    resources={
        "mlflow.registered_model": "mlinfra_tools.mlflow.registered_model:RegisteredModel",
        "mlflow.model_alias": "mlinfra_tools.mlflow.model_alias:ModelAlias",
        "mlflow.experiment": "mlinfra_tools.mlflow.experiment:Experiment",
        "feast.repository": "mlinfra_tools.feast.repository:FeastRepository",
        "modelserver.deployment": "mlinfra_tools.modelserver.deployment:Deployment",
        "prometheus.rules": "mlinfra_tools.prometheus.rules:Rules",
    },
    recipes={
        "registry": "mlinfra_tools.mlflow.registry:lower",
        "training": "mlinfra_tools.mlflow.training:lower",
        "feature_store": "mlinfra_tools.feast.recipe:lower",
        "endpoint": "mlinfra_tools.modelserver.recipe:lower",
        "monitor": "mlinfra_tools.evidently.recipe:lower",
    },
    connect="mlinfra_tools.client:connect",
    discover="mlinfra_tools.discovery:discover",
    about="MLflow, Feast, Evidently, Prometheus and a model server, run by any runtime",
)
