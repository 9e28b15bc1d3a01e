"""Which call a request is, and the log of calls. Knows HTTP and botocore's service models; changes nothing."""

from __future__ import annotations

import io
import re
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final

from moto.core.model import OperationModel
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import NotFound, get_service_router
from moto.core.utils import get_service_model

Environ = dict[str, Any]

SERVICES: Final[Mapping[str, str]] = {
    "monitoring": "cloudwatch",
    "tagging": "resourcegroupstaggingapi",
    "states": "stepfunctions",
    "elasticloadbalancing": "elbv2",
    "email": "ses",
    "cloudcontrolapi": "cloudcontrol",
}
"""Names that requests are signed for → names of botocore's service models, where they differ."""
_SCOPE: Final = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request")
_ACCOUNT: Final = re.compile(r"^A[A-Z]IA(\d{12})")


@dataclass(slots=True)
class Call:
    """One request. ``params`` are its parameters as the service model names them, ``agent`` is who made it; ``status`` and
    ``code`` are the answer."""

    service: str
    operation: str
    region: str
    account: str | None
    params: Mapping[str, Any]
    protocol: str
    model: OperationModel | None
    agent: str = ""
    status: int = 0
    code: str = ""

    def matches(self, service: str, operation: str) -> bool:
        """Whether it is such a call; both are patterns with ``*``."""
        return fnmatchcase(self.service, service) and fnmatchcase(self.operation, operation)


@dataclass(slots=True)
class CallLog:
    """All calls in the order they came."""

    calls: list[Call] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, call: Call) -> None:
        """Add a call; from any thread."""
        with self._lock:
            self.calls.append(call)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self.calls.clear()

    def of(self, service: str = "*", operation: str = "*") -> list[Call]:
        """The calls of this sort; both are patterns with ``*``."""
        return [call for call in list(self.calls) if call.matches(service, operation)]

    def counts(self) -> Counter[str]:
        """How often each operation was called, as ``service.Operation``."""
        return Counter(f"{call.service}.{call.operation}" for call in list(self.calls))


def body_of(environ: Environ) -> bytes:
    """The body of a request, put back for whoever reads it next."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body: bytes = environ["wsgi.input"].read(length) if length else b""
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def read_call(environ: Environ, body: bytes) -> Call:
    """What a request asks for. A request that no model knows has the operation ``?``."""
    scope = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    key, region, signed = scope.groups() if scope else ("", "us-east-1", "sts" if b"WebIdentity" in body else "s3")
    service = SERVICES.get(signed, signed)
    account = _ACCOUNT.match(key)
    call = Call(service, "?", region, account[1] if account else None, {}, "", None)
    call.agent = environ.get("HTTP_USER_AGENT", "")
    copy = {**environ, "wsgi.input": io.BytesIO(body)}
    request = Request(copy)
    try:
        model = get_service_model(service)
        call.protocol = determine_request_protocol(model, request.content_type)
        operation, uri = get_service_router(service).match(request)
    except (NotFound, NotImplementedError, ValueError, KeyError):
        return call
    call.operation, call.model = operation.name, operation
    parser = PROTOCOL_PARSERS[call.protocol](operation, map_type=dict)
    call.params = parser.parse(
        {
            "method": request.method,
            "values": request.values,
            "headers": request.headers,
            "body": body,
            "url_path": request.path,
            "url_params": uri,
        }
    )
    return call
