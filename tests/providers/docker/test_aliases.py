"""What an engine tells of a container's networks, without an engine."""

from __future__ import annotations

from mlinfra_docker.containers.container_live import _endpoints


def test_the_short_id_is_left_out_and_an_alias_that_begins_it_is_not() -> None:
    container = "a1b2c3d4e5f6" + "0" * 52
    endpoint = {"NetworkID": "n1", "Aliases": ["a", "www", container[:12]]}
    found = {
        "Id": container,
        "HostConfig": {"NetworkMode": "front"},
        "NetworkSettings": {"Networks": {"front": endpoint}},
    }
    assert list(_endpoints(found, {})) == [{"name": "front", "aliases": ["a", "www"], "ipv4_address": None}]
