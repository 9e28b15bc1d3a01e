"""The HTTP interface as an ASGI application: MLflow's scoring protocol, the Open Inference Protocol v2, and what operators ask.

============================================  =======================================================================
``POST /invocations``                         predictions, MLflow's formats (JSON and CSV)
``GET /ping`` ``/health``                     200 if a model answers
``GET /version``                              MLflow's version
``GET /ready``                                200 if what the configuration asks for is in force; 503 loading, 500 failed
``GET /config``                               the same in words, always 200
``GET /example``                              a valid body for ``/invocations``
``GET /metrics``                              Prometheus text
``/v2`` ``/v2/health/…`` ``/v2/models/…``     Open Inference Protocol
============================================  =======================================================================

Where there is a token, all but what tells health asks for the header ``Authorization: Bearer TOKEN``.

Must not load models or touch files.
"""

from __future__ import annotations

import hmac
import logging
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from . import openinference
from .cache import key
from .deployment import Deployment, Serving
from .errors import ModelError, NotLoaded, RequestError, brief
from .http import Gone, Receive, Request, Response, Routes, Scope, Send, discard, json_response, request_of, send
from .inputs import Parsed, parse_invocation, read_json
from .metrics import CONTENT_TYPE, Metrics
from .model import Answer

log = logging.getLogger("modelserver")
SERVER = "mlinfra-modelserver"
OPEN = frozenset({"/ping", "/health", "/ready", "/v2/health/live", "/v2/health/ready"})
"""Paths that tell health, and answer without a token."""


@dataclass(frozen=True, slots=True)
class Done:
    """An answered request, as the cache keeps it."""

    request: Parsed
    answer: Answer
    response: Response


class App:
    """The application. ``tool_version`` gives the version of MLflow (on first use, since it is slow to import); ``token`` is
    what requests must carry."""

    def __init__(
        self, deployment: Deployment, metrics: Metrics, tool_version: Callable[[], str], token: str | None = None
    ) -> None:
        self._deployment = deployment
        self._metrics = metrics
        self._tool_version = tool_version
        self._token = token
        model, version = "/v2/models/{model}", "/v2/models/{model}/versions/{version}"
        table = {
            ("POST", "/invocations"): self._invocations,
            ("GET", "/ping"): self._health,
            ("GET", "/health"): self._health,
            ("GET", "/version"): self._version,
            ("GET", "/ready"): self._ready,
            ("GET", "/config"): self._config,
            ("GET", "/example"): self._example,
            ("GET", "/metrics"): self._metrics_page,
            ("GET", "/v2"): self._v2_server,
            ("GET", "/v2/health/live"): self._v2_live,
            ("GET", "/v2/health/ready"): self._v2_ready,
        }
        for base in (model, version):
            table["GET", base] = self._v2_model
            table["GET", f"{base}/ready"] = self._v2_model_ready
            table["POST", f"{base}/infer"] = self._v2_infer
        self._routes = Routes(table)

    async def __call__(self, scope: Scope, receive: Receive, send_: Send) -> None:
        """ASGI."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send_)
            return
        if scope["type"] != "http":
            raise RuntimeError(f"no such protocol: {scope['type']}")
        request = request_of(scope, {}, receive)
        try:
            response = await self._answered(scope, receive)
        except Gone:
            return
        response.headers.setdefault("x-request-id", request.id)
        await send(response, send_, head=scope["method"] == "HEAD")

    async def _lifespan(self, receive: Receive, send_: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self._deployment.start()
                await send_({"type": "lifespan.startup.complete"})
            else:
                await self._deployment.stop()
                await send_({"type": "lifespan.shutdown.complete"})
                return

    async def _answered(self, scope: Scope, receive: Receive) -> Response:
        path = scope["path"]
        try:
            if path not in OPEN and not self._may_ask(scope):
                return await self._unauthorised(path, receive)
            handler, parts = self._routes.find(scope["method"], path)
            request = request_of(scope, parts, receive)
            response = await handler(request)
        except RequestError as error:
            return refusal(path, error.status, str(error))
        except NotLoaded as error:
            response = refusal(path, 503, str(error))
            response.headers["retry-after"] = "1"
            return response
        response.headers.setdefault("x-request-id", request.id)
        return response

    def _may_ask(self, scope: Scope) -> bool:
        if self._token is None:
            return True
        given = dict(scope["headers"]).get(b"authorization", b"")
        scheme, _, token = given.partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(token.strip(), self._token.encode())

    async def _unauthorised(self, path: str, receive: Receive) -> Response:
        # The body is read to its end, so that whoever still sends it gets the answer instead of a broken connection.
        await discard(receive)
        if path == "/invocations" or path.endswith("/infer"):
            self._metrics.request("v2" if path.startswith("/v2") else "invocations", "", 401, 0.0)
        response = refusal(path, 401, "this endpoint asks for a token: send the header Authorization: Bearer TOKEN")
        response.headers["www-authenticate"] = "Bearer"
        return response

    # -- predictions --------------------------------------------------------------------------------------------------

    async def _invocations(self, request: Request) -> Response:
        content_type = request.headers.get("content-type", "")

        async def work(serving: Serving, body: bytes) -> Done:
            parsed = await self._deployment.in_thread(parse_invocation, body, content_type, serving.model.schema)
            answer: Answer = await serving.answer(parsed)
            said: dict[str, Any] = {"predictions": answer.predictions}
            if answer.probabilities is not None:
                said["probabilities"] = answer.probabilities
            return Done(parsed, answer, json_response(said))

        return await self._predict("invocations", request, content_type, work)

    async def _v2_infer(self, request: Request) -> Response:
        if "inference-header-content-length" in request.headers:
            raise RequestError("the binary tensor extension is not understood; send JSON", 415)

        async def work(serving: Serving, body: bytes) -> Done:
            model = serving.model
            check_name(request, serving)
            raw = read_json(body)
            parsed = await self._deployment.in_thread(openinference.parse_infer, raw, model.schema)
            wanted = openinference.wanted_outputs(raw, model.outputs)
            answer: Answer = await serving.answer(parsed)
            outputs: list[dict[str, Any]] = []
            for name in wanted:
                values = getattr(answer, name)
                outputs.append(openinference.tensor(name, values if isinstance(values, list) else [values]))
            said = {"model_name": model.name, "model_version": model.version, "outputs": outputs}
            if isinstance(raw.get("id"), str):
                said["id"] = raw["id"]
            return Done(parsed, answer, json_response(said))

        return await self._predict("v2", request, "/".join(request.path.values()), work)

    async def _predict(self, protocol: str, request: Request, shape: str, work: Any) -> Response:
        began = perf_counter()
        version, code = "", 500
        self._metrics.flight(1)
        try:
            with self._deployment.use() as serving:
                version = serving.model.version
                try:
                    response = await self._from(serving, protocol, request, shape, work)
                except ModelError as error:
                    response = refusal("/v2/" if protocol == "v2" else "", 500, f"the model failed: {error}")
                except RequestError as error:
                    response = refusal("/v2/" if protocol == "v2" else "", error.status, str(error))
                code = response.status
                response.headers["x-model-version"] = version
                response.headers["x-variant"] = serving.config.variant
                return response
        except NotLoaded:
            code = 503
            raise
        except Gone:
            code = 499
            raise
        except Exception as error:  # a mistake of the server itself: the caller gets JSON, the log the trace
            log.exception("a request failed")
            return refusal("/v2/" if protocol == "v2" else "", 500, f"the server failed: {brief(error)}")
        finally:
            self._metrics.flight(-1)
            self._metrics.request(protocol, version, code, perf_counter() - began)

    async def _from(self, serving: Serving, protocol: str, request: Request, shape: str, work: Any) -> Response:
        body = await request.body(serving.config.max_body)
        done: Done | None = None
        known = b""
        if serving.cache is not None:
            known = key(protocol.encode(), shape.encode(), body)
            done = serving.cache.get(known)
            self._metrics.cache(done is not None)
        if done is None:
            done = await work(serving, body)
            self._metrics.rows(serving.model.version, done.request.rows)
            if serving.cache is not None:
                serving.cache.put(known, done)
        capture(serving, request.id, done)
        return Response(done.response.status, done.response.body)

    # -- what operators ask -------------------------------------------------------------------------------------------

    async def _health(self, request: Request) -> Response:
        if self._deployment.serves:
            return Response(200, b"\n", "text/plain")
        raise NotLoaded("the model is being loaded")

    async def _version(self, request: Request) -> Response:
        version = await self._deployment.in_thread(self._tool_version)
        return Response(200, version.encode(), "text/plain")

    async def _ready(self, request: Request) -> Response:
        status = self._deployment.status()
        code = {"ready": 200, "loading": 503, "failed": 500}[status["state"]]
        # Reasons may name places: they are for those who have the token, at /config.
        told = status if self._token is None else {name: status[name] for name in ("state", "wanted", "in_force")}
        return json_response(told, code)

    async def _config(self, request: Request) -> Response:
        return json_response(self._deployment.status())

    async def _example(self, request: Request) -> Response:
        with self._deployment.use() as serving:
            return json_response(await self._deployment.in_thread(serving.model.example))

    async def _metrics_page(self, request: Request) -> Response:
        return Response(200, self._metrics.text(), CONTENT_TYPE)

    # -- Open Inference Protocol v2 -----------------------------------------------------------------------------------

    async def _v2_server(self, request: Request) -> Response:
        return json_response({"name": SERVER, "version": "2", "extensions": []})

    async def _v2_live(self, request: Request) -> Response:
        return json_response({"live": True})

    async def _v2_ready(self, request: Request) -> Response:
        return json_response({"ready": self._deployment.serves}, 200 if self._deployment.serves else 503)

    async def _v2_model(self, request: Request) -> Response:
        with self._deployment.use() as serving:
            check_name(request, serving)
            model = serving.model
            outputs = openinference.schema_tensors(model.output_schema)
            if len(outputs) == 1 or not outputs:
                outputs = [
                    {"datatype": "FP64", "shape": [-1], **(outputs[0] if outputs else {}), "name": "predictions"}
                ]
            if "probabilities" in model.outputs:
                outputs.append({"name": "probabilities", "datatype": "FP64", "shape": [-1, -1]})
            said = {
                "name": model.name,
                "versions": [model.version],
                "platform": f"mlflow_{model.flavors[0]}",
                "inputs": openinference.schema_tensors(model.schema),
                "outputs": outputs,
            }
            return json_response(said)

    async def _v2_model_ready(self, request: Request) -> Response:
        with self._deployment.use() as serving:
            check_name(request, serving)
            return json_response({"name": serving.model.name, "version": serving.model.version, "ready": True})


def check_name(request: Request, serving: Serving) -> None:
    """Errors: RequestError (404) if the path names another model or version than the one in force. The endpoint's name stands
    for whatever model a variant serves."""
    model = serving.model
    if request.path["model"] not in (model.name, serving.config.endpoint):
        raise RequestError(
            f'there is no model "{request.path["model"]}"; this is {model.name} version {model.version}', 404
        )
    version = request.path.get("version")
    if version not in (None, model.version):
        raise RequestError(f"version {version} is not served; version {model.version} is", 404)


def capture(serving: Serving, request_id: str, done: Done) -> None:
    """Keep a request if it is in the sample; the same id is kept by every variant or by none."""
    files, settings = serving.capture, serving.config.capture
    if files is None or settings is None or zlib.crc32(request_id.encode()) >= settings.sample * 2**32:
        return
    config, model = serving.config, serving.model
    head = {
        "timestamp": datetime.now(UTC).isoformat(),
        "request_id": request_id,
        "endpoint": config.endpoint,
        "variant": config.variant,
        "model": model.name,
        "version": model.version,
    }
    files.offer(done.request.rows, lambda: [{**head, **row} for row in model.captured(done.request, done.answer)])


def refusal(path: str, status: int, message: str) -> Response:
    """An error in the words of the protocol that the path belongs to."""
    if path.startswith("/v2"):
        return json_response({"error": message}, status)
    codes = {
        401: "UNAUTHENTICATED",
        404: "RESOURCE_DOES_NOT_EXIST",
        500: "INTERNAL_ERROR",
        503: "TEMPORARILY_UNAVAILABLE",
    }
    return json_response({"error_code": codes.get(status, "BAD_REQUEST"), "message": message}, status)
