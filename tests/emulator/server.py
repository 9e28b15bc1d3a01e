"""`Emulator`: an HTTP server on 127.0.0.1 that answers as AWS does. Start it, give its ``url`` as ``AWS_ENDPOINT_URL``.

Objects live in moto, whose memory is the process's: one emulator at a time in a process.
"""

from __future__ import annotations

import contextlib
import io
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from . import contract, services, statuses
from .answers import BROKEN, NOT_IMPLEMENTED, Answer, error
from .calls import Call, CallLog, Environ, body_of, read_call
from .faults import Fault, Faults


class _Handler(MotoRequestHandler):
    """Keeps connections open, as AWS does, and writes no log."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:
        """Say nothing: calls are in the emulator's own log."""


@dataclass
class Emulator:
    """``polls`` is how many looks a status takes to settle (0: at once). ``check`` compares requests and answers with the
    service models: what does not hold is in ``problems``.

    An access key such as ``AKIA111111111111XXXX`` belongs to the account in its digits.
    """

    port: int = 0
    check: bool = True
    calls: CallLog = field(default_factory=CallLog)
    faults: Faults = field(default_factory=Faults)
    problems: list[str] = field(default_factory=list)
    _app: Callable[..., Iterable[bytes]] = field(
        default_factory=lambda: DomainDispatcherApplication(create_backend_app)
    )
    _server: BaseWSGIServer | None = None
    _thread: threading.Thread | None = None

    # -- life -----------------------------------------------------------------------------------------------------------

    def start(self) -> Emulator:
        """Listen. Returns itself."""
        services.install()
        self._server = make_server("127.0.0.1", self.port, self, threaded=True, request_handler=_Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.polls(0)
        return self

    def stop(self) -> None:
        """Stop listening."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Emulator:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """What ``AWS_ENDPOINT_URL`` shall be."""
        assert self._server is not None, "start it first"
        return f"http://127.0.0.1:{self._server.port}"

    def reset(self) -> None:
        """As on the first day: no objects, no faults, no calls, statuses at once."""
        from moto.moto_api._internal.models import moto_api_backend

        moto_api_backend.reset()
        self.faults.clear()
        self.calls.clear()
        self.problems.clear()
        self.polls(0)

    def polls(self, number: int) -> None:
        """How many looks every status takes to settle."""
        statuses.settle_after(number)

    # -- one request ----------------------------------------------------------------------------------------------------

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = body_of(environ)
        if len(body) < int(environ.get("CONTENT_LENGTH") or 0):  # its caller is gone: AWS acts on whole requests only
            start_response("400 .", [("Content-Length", "0")])
            return [b""]
        try:
            call = read_call(environ, body)
        except Exception:
            call = Call("?", "?", "", None, {}, "", None)
            self.problems.append(f"a request that cannot be read: {traceback.format_exc(limit=-3)}")
        if call.account is not None:
            environ["HTTP_X_MOTO_ACCOUNT_ID"] = call.account
        answer = self._answered(call, environ, body)
        call.status = answer.status
        self.calls.add(call)
        headers = [(name, value) for name, value in answer.headers if name.lower() != "connection"]
        if not answer.header("content-length") and environ["REQUEST_METHOD"] != "HEAD":
            headers.append(("Content-Length", str(len(answer.body))))
        start_response(f"{answer.status} .", headers)
        return [answer.body]

    def _answered(self, call: Call, environ: Environ, body: bytes) -> Answer:
        struck = self.faults.strike(call)
        for fault in struck:
            if fault.latency:
                time.sleep(fault.latency)
        failing = next((fault for fault in struck if fault.code), None)
        if failing is not None and not failing.worked:
            return _failed(call, failing)
        if call.model is not None:
            refused = contract.refused(call)
            if refused is not None:
                call.code = "ValidationException"
                return error(call, contract.refusal_code(call), refused, 400)
        answer = self._asked(call, environ, body)
        if self.check and call.model is not None and answer.status < 300:
            wrong = contract.wrong_answer(call, answer)
            self.problems += [f"{call.service}.{call.operation}: {text}" for text in wrong]
        if failing is None:
            return answer
        if failing.cut:
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        return _failed(call, failing)

    def _asked(self, call: Call, environ: Environ, body: bytes) -> Answer:
        """What moto says."""
        taken: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], trace: Any = None) -> Any:
            taken[:] = [int(status.split()[0]), headers]
            return lambda data: None

        given = {**environ, "wsgi.input": io.BytesIO(body)}
        try:
            parts = self._app(given, start)
            try:
                data = b"".join(parts)
            finally:
                with contextlib.suppress(AttributeError):
                    parts.close()  # type: ignore[attr-defined]  # WSGI: call it if there is one
        except NotImplementedError as why:
            return error(call, NOT_IMPLEMENTED, f"{call.service}.{call.operation} is not emulated ({why})", 501)
        except Exception:
            text = traceback.format_exc(limit=-4)
            self.problems.append(f"{call.service}.{call.operation} broke: {text}")
            return error(call, BROKEN, f"{call.service}.{call.operation} broke: {text.splitlines()[-1]}", 501)
        answer = Answer(taken[0], list(taken[1]), data)
        if answer.status in (404, 405, 500) and answer.body.lstrip()[:9].lower() in (b"<!doctype", b"<html lan"):
            return error(call, NOT_IMPLEMENTED, f"{call.service}.{call.operation} is not emulated", 501)
        return answer


def _failed(call: Call, fault: Fault) -> Answer:
    call.code = fault.code_for(call)
    return error(call, call.code, fault.message, fault.status_for(call))
