"""The laptop as a provider: folders, files, secrets, Python environments, processes, jobs, routes. The table, nothing else."""

from mlinfra.sdk.provider import Provider

PROVIDER = Provider(
    name="local",
    version="0.1.0",
    resources={
        "local.folder": "mlinfra_local.folder:LocalFolder",
        "local.file": "mlinfra_local.file:LocalFile",
        "local.secret_file": "mlinfra_local.secret_file:LocalSecretFile",
        "local.python_env": "mlinfra_local.python_env:LocalPythonEnv",
        "local.process": "mlinfra_local.process:LocalProcess",
        "local.job": "mlinfra_local.job:LocalJob",
        "local.route": "mlinfra_local.route:LocalRoute",
    },
    recipes={
        "storage": "mlinfra_local.kinds.storage:lower",
        "secret": "mlinfra_local.kinds.secret:lower",
    },
    runtime="mlinfra_local.runtime:LocalRuntime",
    connect="mlinfra_local.client:connect",
    discover="mlinfra_local.discovery:discover",
    about="folders, files and processes of this machine; needs no Docker and no cloud",
)
