"""The change from one model version to the next: nothing lost, a failed load keeps the old version and is seen."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlinfra_tools.modelserver.server.config import Config
from mlinfra_tools.modelserver.server.deployment import Deployment
from mlinfra_tools.modelserver.server.errors import NotLoaded


class EchoModel:
    """Answers with its version."""

    schema = None

    def __init__(self, name: str, version: str) -> None:
        self.name = name
        self.version = version
        self.closed = False

    def predict(self, request: Any) -> Any:
        assert not self.closed, "a closed model was asked"
        return f"{request} by {self.version}"

    def predict_joined(self, requests: Any) -> list[Any]:
        return [self.predict(request) for request in requests]

    def close(self) -> None:
        self.closed = True


class Library:
    """A registry that has some versions; loading waits until it is let through."""

    def __init__(self, *versions: str) -> None:
        self.versions = set(versions)
        self.loaded: list[EchoModel] = []
        self.open = threading.Event()
        self.open.set()

    def load(self, config: Config) -> EchoModel:
        self.open.wait(10)
        if config.version not in self.versions:
            raise LookupError(f"no version {config.version}")
        model = EchoModel(config.model, config.version)
        self.loaded.append(model)
        return model


class Notes:
    """What a deployment told."""

    def __init__(self) -> None:
        self.served: list[str] = []
        self.failures = 0

    def in_force(self, model: str, version: str) -> None:
        self.served.append(version)

    def load_failed(self) -> None:
        self.failures += 1

    def batch(self, rows: int) -> None: ...

    def watch_capture(self, read: Callable[[], tuple[int, int]]) -> None: ...


def write(file: Path, version: object, **more: Any) -> None:
    file.write_text(json.dumps({"model": "fraud", "version": version, "tracking_uri": "http://registry", **more}))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def ask(deployment: Deployment, request: str) -> Any:
    with deployment.use() as serving:
        return await serving.answer(request)


def state(deployment: Deployment) -> str:
    return str(deployment.status()["state"])


def test_a_new_version_takes_over_and_the_old_one_is_closed_after_its_last_request(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    write(file, 1)
    library = Library("1", "2")

    async def story() -> None:
        deployment = Deployment(file, library.load, Notes())
        await deployment.start()
        await until(lambda: state(deployment) == "ready")
        with deployment.use() as old:
            write(file, "2")
            assert state(deployment) == "loading"
            assert await ask(deployment, "a") in ("a by 1", "a by 2")
            await until(lambda: state(deployment) == "ready")
            assert await ask(deployment, "b") == "b by 2"
            assert await old.answer("c") == "c by 1"
            assert not library.loaded[0].closed
        assert library.loaded[0].closed
        await deployment.stop()
        assert library.loaded[1].closed

    asyncio.run(story())


def test_readiness_is_never_told_of_a_version_that_the_file_no_longer_asks_for(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    write(file, 1)
    library = Library("1", "2")

    async def story() -> None:
        deployment = Deployment(file, library.load, Notes())
        await deployment.start()
        await until(lambda: state(deployment) == "ready")
        library.open.clear()
        write(file, 2)
        # No time passes between the write and the question: the watcher cannot have seen the file.
        assert state(deployment) == "loading"
        assert deployment.status()["in_force"]["version"] == "1"
        library.open.set()
        await until(lambda: state(deployment) == "ready")
        assert deployment.status()["in_force"]["version"] == "2"
        await deployment.stop()

    asyncio.run(story())


def test_a_failed_load_keeps_the_old_version_and_says_why_and_is_tried_again(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    write(file, 1)
    library = Library("1")
    notes = Notes()

    async def story() -> None:
        deployment = Deployment(file, library.load, notes, retries=[0.01])
        await deployment.start()
        await until(lambda: state(deployment) == "ready")
        write(file, 7)
        await until(lambda: state(deployment) == "failed")
        assert "no version 7" in deployment.status()["failure"]
        assert await ask(deployment, "a") == "a by 1"
        await until(lambda: notes.failures >= 2)
        library.versions.add("7")
        await until(lambda: state(deployment) == "ready")
        assert await ask(deployment, "b") == "b by 7"
        await deployment.stop()

    asyncio.run(story())


def test_a_file_that_cannot_be_read_keeps_what_serves(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    write(file, 1)

    async def story() -> None:
        deployment = Deployment(file, Library("1").load, Notes())
        await deployment.start()
        await until(lambda: state(deployment) == "ready")
        for broken, why in (("{", "not JSON"), ('{"model": "m"}', '"version" is missing'), ("[]", "must be an object")):
            file.write_text(broken)
            assert state(deployment) == "failed"
            assert why in deployment.status()["failure"]
            assert await ask(deployment, "a") == "a by 1"
        file.unlink()
        assert state(deployment) == "failed"
        write(file, 1)
        assert state(deployment) == "ready"
        await deployment.stop()

    asyncio.run(story())


def test_settings_change_without_a_load(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    write(file, 1)
    library = Library("1")

    async def story() -> None:
        deployment = Deployment(file, library.load, Notes())
        await deployment.start()
        await until(lambda: state(deployment) == "ready")
        write(file, 1, cache={"ttl": 3})
        assert state(deployment) == "ready"
        with deployment.use() as serving:
            assert serving.cache is not None
        assert len(library.loaded) == 1
        assert not library.loaded[0].closed
        await deployment.stop()

    asyncio.run(story())


def test_the_last_of_several_quick_changes_wins(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    write(file, 1)
    library = Library("1", "2", "3")
    notes = Notes()

    async def story() -> None:
        deployment = Deployment(file, library.load, notes)
        await deployment.start()
        await until(lambda: state(deployment) == "ready")
        library.open.clear()
        write(file, 2)
        deployment.look()
        write(file, 3)
        deployment.look()
        library.open.set()
        await until(lambda: state(deployment) == "ready")
        await until(lambda: all(model.closed for model in library.loaded if model.version != "3"))
        assert notes.served == ["1", "3"]
        await deployment.stop()

    asyncio.run(story())


def test_a_first_load_that_fails_is_fatal(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    write(file, 9)
    reasons: list[str] = []

    async def story() -> None:
        deployment = Deployment(file, Library("1").load, Notes(), fatal=reasons.append)
        await deployment.start()
        with pytest.raises(NotLoaded), deployment.use():
            pass
        await until(lambda: bool(reasons))
        await deployment.stop()

    asyncio.run(story())
    assert reasons == ["fraud version 9 cannot be loaded: LookupError: no version 9"]
