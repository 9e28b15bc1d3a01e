"""The pure parts: forms of fields, what an engine's memory proves, archives of files, words of an engine."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

import pytest

from mlinfra_docker.containers.container import DockerContainer
from mlinfra_docker.containers.container_files import Placed, account, archive, folders
from mlinfra_docker.containers.container_live import memory, nanoseconds
from mlinfra_docker.containers.container_run import lines
from mlinfra_docker.failures import explained
from mlinfra_docker.images.image import split, tagged


def container(**fields: Any) -> DockerContainer:
    return DockerContainer.model_validate({"name": "web", "image": "busybox", **fields})


class TestForms:
    @pytest.mark.parametrize(
        ("field", "written", "shown"),
        [
            ("command", "sh -c 'echo a b'", ["sh", "-c", "echo a b"]),
            ("environment", ["A=1", "B=x=y"], {"A": "1", "B": "x=y"}),
            ("environment", {"DEBUG": True, "N": 3}, {"DEBUG": "true", "N": "3"}),
            ("ports", {"80": 8080}, {"80/tcp": {"host_ip": "127.0.0.1", "host_port": 8080}}),
            ("ports", {"53/udp": None}, {"53/udp": {"host_ip": "127.0.0.1", "host_port": None}}),
            ("ports", ["8080:80"], {"80/tcp": {"host_ip": "127.0.0.1", "host_port": 8080}}),
            ("ports", ["0.0.0.0:8080:80", "90"], {
                "80/tcp": {"host_ip": "0.0.0.0", "host_port": 8080}, "90/tcp": {"host_ip": "127.0.0.1", "host_port": None},
            }),
            ("networks", {"a": {"aliases": ["y", "x", "y"]}}, [{"name": "a", "aliases": ["x", "y"], "ipv4_address": None}]),
            ("networks", ["a"], [{"name": "a", "aliases": [], "ipv4_address": None}]),
            ("restart_policy", "always", {"name": "always", "maximum_retry_count": 0}),
            ("restart_policy", False, {"name": "no", "maximum_retry_count": 0}),
            ("files", {"/etc/a": "x"}, {"/etc/a": {"content": "x", "mode": "0644"}}),
            ("files", {"/etc/a": {"content": "x", "mode": 640}}, {"/etc/a": {"content": "x", "mode": "0640"}}),
            ("memory", "512Mi", 512 << 20),
            ("cpus", "500m", 0.5),
            ("cap_add", ["CAP_SYS_TIME", "net_admin"], ["NET_ADMIN", "SYS_TIME"]),
        ],
        ids=str,
    )  # fmt: skip
    def test_what_people_write_and_what_compares(self, field: str, written: Any, shown: Any) -> None:
        assert container(**{field: written}).model_dump(mode="json")[field] == shown

    def test_a_health_check(self) -> None:
        check = container(healthcheck={"test": "curl -f localhost", "interval": "30s"}).healthcheck
        assert check is not None
        assert (check.test, check.interval) == (["CMD-SHELL", "curl -f localhost"], 30.0)
        check = container(healthcheck={"test": ["true"]}).healthcheck
        assert check is not None
        assert check.test == ["CMD", "true"]

    @pytest.mark.parametrize(
        ("name", "full"),
        [
            ("redis", "redis:latest"),
            ("redis:7", "redis:7"),
            ("127.0.0.1:5000/a/b", "127.0.0.1:5000/a/b:latest"),
            (f"redis@sha256:{'a' * 64}", f"redis@sha256:{'a' * 64}"),
        ],
    )
    def test_names_of_images(self, name: str, full: str) -> None:
        assert tagged(name) == full

    @pytest.mark.parametrize("name", ["", "Redis", "a b", "redis:", "redis@sha256:short", "../x"])
    def test_no_names_of_images(self, name: str) -> None:
        with pytest.raises(ValueError, match="name of an image"):
            tagged(name)

    def test_parts_of_an_images_name(self) -> None:
        assert split("127.0.0.1:5000/a:1") == ("127.0.0.1:5000/a", "1")
        assert split("a@sha256:0") == ("a", "sha256:0")


def event(moment: int, type: str, action: str, id: str, **attributes: str) -> str:
    return json.dumps(
        {"timeNano": moment, "Type": type, "Action": action, "Actor": {"ID": id, "Attributes": attributes}}
    )


class TestMemory:
    def test_reaches_back_and_has_nothing_since(self) -> None:
        known = memory("\n".join([event(5, "volume", "create", "v"), event(7, "container", "update", "a")]))
        assert known.holds("a", since=8)
        assert known.holds("b", since=6)

    def test_something_since(self) -> None:
        known = memory("\n".join([event(5, "volume", "create", "v"), event(7, "container", "update", "a")]))
        assert not known.holds("a", since=7)

    @pytest.mark.parametrize("action", ["connect", "disconnect"])
    def test_a_network(self, action: str) -> None:
        known = memory("\n".join([event(1, "volume", "create", "v"), event(9, "network", action, "n", container="a")]))
        assert not known.holds("a", since=5)
        assert known.holds("b", since=5)

    def test_that_begins_later_proves_nothing(self) -> None:
        assert not memory(event(5, "container", "start", "a")).holds("a", since=5)
        assert not memory("").holds("a", since=5)

    @pytest.mark.parametrize(
        ("text", "nano"),
        [
            ("1970-01-01T00:00:01Z", 10**9),
            ("1970-01-01T00:00:01.5Z", 1_500_000_000),
            ("1970-01-01T02:00:01.000000001+02:00", 1_000_000_001),
            ("1969-12-31T22:00:01.25-02:00", 1_250_000_000),
        ],
    )
    def test_times(self, text: str, nano: int) -> None:
        assert nanoseconds(text) == nano


class TestFiles:
    def test_folders(self) -> None:
        files = [Placed(path, "", 0o644) for path in ("/etc/a", "/etc/app/b", "/opt/c/d")]
        assert folders(files) == ["/etc", "/opt/c"]

    def test_an_archive_leaves_folders_of_the_image_alone(self) -> None:
        files = [Placed("/tmp/a", "x", 0o600), Placed("/run/secrets/s", "y", 0o400, private=True)]
        with tarfile.open(fileobj=io.BytesIO(archive(files, "/", user=(7, 8)))) as tar:
            found = {item.name: (item.isdir(), item.mode, item.uid, item.gid) for item in tar}
        assert found == {
            "tmp/a": (False, 0o600, 0, 0),
            "run/secrets": (True, 0o755, 0, 0),
            "run/secrets/s": (False, 0o400, 7, 8),
        }

    @pytest.mark.parametrize(
        ("user", "numbers"),
        [
            ("ada", (1000, 1001)),
            ("ada:5", (1000, 5)),
            ("7:8", (7, 8)),
            ("1000", (1000, 1001)),
            ("7", (7, 0)),
            ("bob", None),
        ],
    )
    def test_accounts(self, user: str, numbers: tuple[int, int] | None) -> None:
        assert account(user, "root:x:0:0::/:/bin/sh\nada:x:1000:1001::/:/bin/sh\nbroken\n") == numbers


def test_lines_of_a_stream_in_pieces() -> None:
    assert list(lines([b"one\ntw", b"o\r\nthr", b"ee"])) == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        ("Bind for 0.0.0.0:80 failed: port is already allocated", "the port 0.0.0.0:80 is taken"),
        ("Error starting userland proxy: listen tcp4 127.0.0.1:80: bind: address already in use", "port 127.0.0.1:80"),
        (
            'Get "https://reg.invalid/v2/": dial tcp: lookup reg.invalid: no such host',
            "registry reg.invalid (no such host",
        ),
        ("write /x: no space left on device", "disk of the Docker engine is full"),
        ("something new", "the engine says: something new"),
    ],
)
def test_what_an_engine_says(said: str, meaning: str) -> None:
    assert meaning in str(explained(said))
