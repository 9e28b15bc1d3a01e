"""The configuration file, the routes, and the one script that carries the whole server."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlinfra_tools.modelserver.bundle import server_script
from mlinfra_tools.modelserver.server.config import Batching, Cache, Capture, parse
from mlinfra_tools.modelserver.server.errors import RequestError
from mlinfra_tools.modelserver.server.folders import own_folder
from mlinfra_tools.modelserver.server.http import Gone, Request, Response, Routes, request_of

WHOLE = """{"endpoint": "fraud", "variant": "champion", "model": "fraud", "version": 3, "tracking_uri": "http://r",
 "capture": {"sample": 0.5, "keep": 7, "max_bytes": 100}, "cache": {"ttl": 60}, "batching": {"max_rows": 8}}"""


def test_a_configuration_is_read_with_its_defaults() -> None:
    config = parse(WHOLE)
    assert config.version == "3"
    assert config.capture == Capture(0.5, 7, 100)
    assert config.cache == Cache(60.0, 1024)
    assert config.batching == Batching(8, 0.01)
    assert config.source == ("http://r", "", "fraud", "3")
    packed = parse('{"model": "fraud", "version": "1f", "artifact": "/models/fraud", "cache": {"ttl": "0.5"}}')
    assert packed.source == ("", "/models/fraud", "fraud", "1f")
    # A value that was put into a text is text.
    assert packed.cache == Cache(0.5)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "not JSON"),
        ("3", "must be an object"),
        ('{"model": "m", "tracking_uri": "u"}', '"version" is missing'),
        ('{"model": "m", "version": "1", "tracking_uri": "u", "cache": {"tll": 3}}', 'unknown key "cache.tll"'),
        (
            '{"model": "m", "version": "1", "tracking_uri": "u", "cache": {"ttl": "soon"}}',
            '"cache.ttl" must be a number',
        ),
        ('{"model": "m", "version": "1"}', 'exactly one of "tracking_uri" and "artifact"'),
        ('{"model": "m", "version": "1", "tracking_uri": "u", "artifact": "/a"}', "exactly one"),
        ('{"model": "m", "version": null, "tracking_uri": "u"}', '"version" must be text'),
    ],
)
def test_a_wrong_configuration_names_its_key(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse(text)


async def _answer(request: Request) -> Response:
    return Response(200, b"")


def test_routes_name_their_parts_and_refuse_the_rest() -> None:
    routes = Routes({("POST", "/v2/models/{model}/infer"): _answer, ("GET", "/ping"): _answer})
    assert routes.find("POST", "/v2/models/fraud%20model/infer/")[1] == {"model": "fraud model"}
    assert routes.find("HEAD", "/ping")[1] == {}
    with pytest.raises(RequestError) as wrong_method:
        routes.find("GET", "/v2/models/fraud/infer")
    assert wrong_method.value.status == 405
    with pytest.raises(RequestError) as nowhere:
        routes.find("GET", "/pingpong")
    assert nowhere.value.status == 404


def _request(messages: list[dict[str, Any]], **headers: str) -> Request:
    async def receive() -> Any:
        return messages.pop(0)

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return request_of({"method": "POST", "headers": raw}, {}, receive)


def test_a_body_is_put_together_and_limited() -> None:
    def parts() -> list[dict[str, Any]]:
        return [
            {"type": "http.request", "body": b"abc", "more_body": True},
            {"type": "http.request", "body": b"def"},
        ]

    assert asyncio.run(_request(parts()).body(6)) == b"abcdef"
    for request in (_request(parts()), _request(parts(), content_length="6")):
        with pytest.raises(RequestError) as large:
            asyncio.run(request.body(5))
        assert large.value.status == 413
    with pytest.raises(Gone):
        asyncio.run(_request([{"type": "http.disconnect"}]).body(5))


def test_a_request_keeps_its_caller_s_id() -> None:
    assert _request([], x_request_id="order-1").id == "order-1"
    assert _request([]).id != _request([]).id


def test_the_script_carries_the_whole_server_and_needs_nothing_of_mlinfra(tmp_path: Path) -> None:
    script = tmp_path / "server.py"
    script.write_text(server_script(), encoding="utf-8")
    run = [sys.executable, "-I", str(script)]
    shown = subprocess.run([*run, "--help"], capture_output=True, text=True, cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "--config" in shown.stdout
    assert "mlinfra_tools" not in script.read_text(encoding="utf-8").replace("mlinfra-modelserver", "")


def test_the_script_s_modules_are_those_of_the_package(tmp_path: Path) -> None:
    import mlinfra_tools.modelserver.server as package

    names: dict[str, Any] = {"__name__": "script"}
    exec(server_script(), names)  # what is tested is this very text, made from our own files
    finders, sys.meta_path[:] = list(sys.meta_path), [f for f in sys.meta_path if type(f).__name__ != "Bundled"]
    assert len(finders) == len(sys.meta_path) + 1
    folder = Path(str(package.__file__)).parent
    for path in folder.glob("*.py"):
        name = "modelserver" if path.stem == "__init__" else f"modelserver.{path.stem}"
        assert names["SOURCES"][name] == path.read_text(encoding="utf-8")


def test_a_folder_of_one_s_own_goes_at_the_end_and_that_of_a_killed_process_goes_next_time(tmp_path: Path) -> None:
    (tmp_path / "left-behind").mkdir()
    (tmp_path / "left-behind" / "model.bin").write_text("x")
    with own_folder(tmp_path) as mine:
        assert not (tmp_path / "left-behind").exists()
        with own_folder(tmp_path) as other:
            assert mine.is_dir()
            assert other != mine
        assert mine.is_dir()
        assert not other.exists()
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
