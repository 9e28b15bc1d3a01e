"""What `mlinfra check` says of an endpoint."""

from __future__ import annotations

import json
from typing import Any

import httpx

from mlinfra_tools.modelserver.check import predict

EXAMPLE = {"dataframe_split": {"columns": ["amount"], "data": [[1]]}}


class Endpoint:
    """A route with one variant behind it, as its servers answer."""

    def __init__(self, *, version: str = "3", failure: str | None = None) -> None:
        self.config: dict[str, Any] = {"failure": failure, "in_force": {"version": version}}
        self.example = httpx.Response(200, json=EXAMPLE)
        self.answer = httpx.Response(
            200,
            json={"predictions": [0], "probabilities": [[0.07, 0.93]]},
            headers={"x-variant": "champion", "x-model-version": version},
        )
        self.asked: list[Any] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == "down":
            raise httpx.ConnectError("connection refused")
        if request.url.path == "/config":
            return httpx.Response(200, json=self.config)
        if request.url.path == "/example":
            return self.example
        assert (request.method, request.url.path) == ("POST", "/invocations")
        self.asked.append(json.loads(request.content))
        return self.answer


def check(endpoint: Endpoint, url: str = "http://route", version: Any = "3") -> tuple[bool, str]:
    result = predict(
        url, {"champion": "http://variant"}, {"champion": version}, transport=httpx.MockTransport(endpoint)
    )
    return result.passed, result.summary


def test_a_prediction_of_the_model_s_own_example_is_asked_for() -> None:
    endpoint = Endpoint()
    passed, summary = check(endpoint, version=3)
    assert passed
    assert summary.startswith("champion v3 answered in ")
    assert summary.endswith(" ms: [0], probability 0.93")
    assert endpoint.asked == [EXAMPLE]


def test_a_variant_that_serves_another_version_fails() -> None:
    assert check(Endpoint(version="2")) == (False, "champion: serves version 2, not 3")
    failure = "fraud version 3 cannot be loaded: no such file"
    assert check(Endpoint(version="2", failure=failure)) == (False, f"champion: {failure}")


def test_a_failed_prediction_says_why() -> None:
    endpoint = Endpoint()
    endpoint.answer = httpx.Response(500, json={"error_code": "INTERNAL_ERROR", "message": "the model failed: boom"})
    assert check(endpoint) == (False, "the prediction failed: 500 the model failed: boom")


def test_a_model_without_an_example_passes_when_it_serves() -> None:
    endpoint = Endpoint()
    endpoint.example = httpx.Response(404, json={"message": "none"})
    assert check(endpoint)[0]
    endpoint.example = httpx.Response(502, text="bad gateway")
    assert check(endpoint) == (False, "no example to ask with: 502 bad gateway")


def test_who_does_not_answer_is_named() -> None:
    assert check(Endpoint(), url="http://down") == (False, "http://down/example does not answer: connection refused")


def test_the_token_is_carried_and_never_told() -> None:
    seen: list[str | None] = []
    endpoint = Endpoint()

    def ask(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("authorization"))
        if seen[-1] != "Bearer sesame":
            return httpx.Response(401, json={"message": "a token, please"})
        return endpoint(request)

    result = predict(
        "http://route", {"champion": "http://variant"}, {"champion": "3"}, "sesame", httpx.MockTransport(ask)
    )
    assert result.passed
    assert len(seen) == 3
    assert "sesame" not in f"{result.summary} {result.detail}"
    without = predict("http://route", {}, {}, None, httpx.MockTransport(ask))
    assert (without.passed, without.summary) == (False, "no example to ask with: 401 a token, please")
