"""A Docker engine as a provider: networks, volumes, images, containers. The table, nothing else."""

from mlinfra.sdk.provider import Provider

PROVIDER = Provider(
    name="docker",
    version="0.1.0",
    resources={
        "docker.network": "mlinfra_docker.network:DockerNetwork",
        "docker.volume": "mlinfra_docker.volume:DockerVolume",
        "docker.image": "mlinfra_docker.image:DockerImage",
        "docker.container": "mlinfra_docker.container:DockerContainer",
    },
    connect="mlinfra_docker.connecting:connect",
    settings="mlinfra_docker.settings:Settings",
    about="networks, volumes, images and containers of a Docker engine, here or elsewhere",
)
