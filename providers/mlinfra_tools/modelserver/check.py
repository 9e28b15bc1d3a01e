"""Proof that an endpoint works: each variant serves what the blueprint asks for, and the route answers a prediction.

Only asks; changes nothing but that the requests are counted and captured like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic
from typing import Any

import httpx

from mlinfra.sdk.lowering import CheckResult

TIMEOUT = 20.0
"""Seconds that one answer may take."""


def predict(
    url: str,
    variants: Mapping[str, str],
    versions: Mapping[str, Any],
    token: str | None = None,
    transport: httpx.BaseTransport | None = None,
) -> CheckResult:
    """Ask for a prediction of the model's own example through ``url``.

    ``variants`` and ``versions`` map a variant's name to its own URL and to the version that it should serve.
    ``token`` is what requests must carry. ``transport`` takes the place of the network in tests.
    """
    headers = {"authorization": f"Bearer {token}"} if token else {}
    with httpx.Client(timeout=TIMEOUT, transport=transport, trust_env=False, headers=headers) as http:
        try:
            for name, address in variants.items():
                wrong = _not_in_force(http, address, str(versions[name]))
                if wrong:
                    return CheckResult(False, f"{name}: {wrong}")
            return _asked(http, url)
        except httpx.HTTPError as error:
            return CheckResult(False, f"{error.request.url} does not answer: {error or type(error).__name__}")


def _not_in_force(http: httpx.Client, url: str, version: str) -> str | None:
    status = _json(http.get(f"{url}/config"))
    if status is None:
        return f"what answers at {url} is not a model server"
    if status.get("failure"):
        return str(status["failure"])
    serving = str((status.get("in_force") or {}).get("version"))
    return None if serving == version else f"serves version {serving}, not {version}"


def _asked(http: httpx.Client, url: str) -> CheckResult:
    example = http.get(f"{url}/example")
    if example.status_code == 404:
        return CheckResult(True, "every variant is ready; the model has no example to ask with")
    if example.status_code != 200:
        return CheckResult(False, f"no example to ask with: {_said(example)}")
    began = monotonic()
    answer = http.post(f"{url}/invocations", content=example.content, headers={"content-type": "application/json"})
    took = (monotonic() - began) * 1000
    body = _json(answer)
    if answer.status_code != 200 or body is None:
        return CheckResult(False, f"the prediction failed: {_said(answer)}")
    who = f"{answer.headers.get('x-variant', 'it')} v{answer.headers.get('x-model-version', '?')}"
    shown = str(body.get("predictions"))
    shown = shown if len(shown) <= 60 else shown[:59] + "…"
    chances = body.get("probabilities")
    if isinstance(chances, list) and chances and isinstance(chances[0], list):
        shown += f", probability {max(chances[0]):.2f}"
    detail = {"request": _json(example), "answer": body, "milliseconds": round(took, 1)}
    return CheckResult(True, f"{who} answered in {took:.0f} ms: {shown}", detail)


def _said(answer: httpx.Response) -> str:
    body = _json(answer) or {}
    return f"{answer.status_code} {body.get('message') or body.get('error') or answer.text[:200]}".strip()


def _json(answer: httpx.Response) -> dict[str, Any] | None:
    try:
        body = answer.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None
