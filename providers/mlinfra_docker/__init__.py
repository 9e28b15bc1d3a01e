"""A Docker engine as a provider: networks, volumes, images, containers, and workloads made of them. The table, nothing else."""

from mlinfra.sdk.provider import Provider

PROVIDER = Provider(
    name="docker",
    version="0.1.0",
    resources={
        "docker.network": "mlinfra_docker.network:DockerNetwork",
        "docker.volume": "mlinfra_docker.volume:DockerVolume",
        "docker.image": "mlinfra_docker.images.image:DockerImage",
        "docker.container": "mlinfra_docker.containers.container:DockerContainer",
        "docker.generated_image": "mlinfra_docker.images.generated_image:DockerGeneratedImage",
        "docker.host_port": "mlinfra_docker.host_port:DockerHostPort",
        "docker.contents": "mlinfra_docker.contents:DockerContents",
        "docker.secret": "mlinfra_docker.secret:DockerSecret",
        "docker.server": "mlinfra_docker.gateway.server:DockerServer",
        "docker.route": "mlinfra_docker.gateway.routing:DockerRoute",
        "docker.job": "mlinfra_docker.containers.job:DockerJob",
    },
    recipes={
        "storage": "mlinfra_docker.kinds.storage:lower",
        "secret": "mlinfra_docker.kinds.secret:lower",
    },
    runtime="mlinfra_docker.runtime:DockerRuntime",
    connect="mlinfra_docker.connecting:connect",
    settings="mlinfra_docker.settings:Settings",
    discover="mlinfra_docker.discovery:discover",
    about="networks, volumes, images and containers of a Docker engine, here or elsewhere",
)
