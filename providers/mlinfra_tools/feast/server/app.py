"""The server's application: Feast's own, made anew whenever its files are, beside ``/health`` and the routes below ``/-/``.

* ``GET /-/repository``: what the repository really is; with ``?count=1`` the entities that are online too;
* ``PUT /-/repository``: make it like the definition in the body; 202 with the number of the run;
* ``DELETE /-/repository``: remove it; 202 with the number of the run;
* ``GET /-/run``: how the last run does;
* ``GET /-/sample?view=NAME``: the join keys of some entity that is online.

Where other machines reach the port, the routes below ``/-/`` answer this machine only.

Feast keeps its connection to a deleted SQLite file, and would make a missing one anew, empty; from an empty Redis it answers
that there is no value. So each request looks at the store first: gone is said, another one is opened.
"""

# Feast and what comes with it are in the workload's environment only.
# mypy: disable-error-code="import-not-found,import-untyped"

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from .clerk import Clerk
from .keeper import Keeper
from .layout import Layout, read_record
from .online import NotReadable, OnlineStore, SqliteStore
from .probe import describe

log = logging.getLogger("featureserver")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(slots=True)
class Serving:
    """Feast's application over one generation of its files and store, and how many requests are in it."""

    app: Any
    lifespan: Any
    mark: Hashable
    requests: int = 0
    left: bool = False


class App:
    """The ASGI application."""

    def __init__(
        self,
        layout: Layout,
        templates: Mapping[str, str],
        clerk: Clerk,
        online: OnlineStore | None = None,
        *,
        exposed: bool = False,
    ) -> None:
        """``online`` is the SQLite file of the layout unless another is given."""
        self.layout = layout
        self.online = online or SqliteStore(layout.online)
        self._exposed = exposed
        self._off = False
        self.keeper = Keeper(layout, self.online, templates, clerk, self._renew)
        self._serving: Serving | None = None
        self._renewing = asyncio.Lock()
        self._schedule: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        path = scope["path"]
        if path == "/health":
            await JSONResponse({"status": "ok"})(scope, receive, send)
        elif path.startswith("/-/"):
            if self._exposed and not _from_here(scope):
                await _problem(403, "only the machine that the feature server runs on may ask this")(
                    scope, receive, send
                )
                return
            response = await self._own(path, Request(scope, receive))
            await response(scope, receive, send)
        else:
            await self._feast(scope, receive, send)

    # -- our routes ------------------------------------------------------------------------------------------------------

    async def _own(self, path: str, request: Request) -> JSONResponse:
        match (request.method, path):
            case ("GET", "/-/repository"):
                told = await asyncio.to_thread(self._describe, "count" in request.query_params)
                return JSONResponse(told) if told else _problem(404, "no repository was applied yet")
            case ("PUT", "/-/repository"):
                # A page in a browser cannot send this type to another origin unasked.
                if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
                    return _problem(415, "send application/json")
                try:
                    definition = await request.json()
                    number = self.keeper.begin_apply(definition)
                except (ValueError, KeyError) as error:
                    return _problem(400, f"not a definition: {error}")
                return JSONResponse({"run": number}, 202)
            case ("DELETE", "/-/repository"):
                return JSONResponse({"run": self.keeper.begin_teardown()}, 202)
            case ("GET", "/-/run"):
                run = self.keeper.run
                told = {"run": run.number, "status": run.status, "step": run.step, "failed": run.failed}
                return JSONResponse({**told, "notes": run.notes})
            case ("GET", "/-/sample"):
                entity = await asyncio.to_thread(self._sample, request.query_params.get("view", ""))
                return JSONResponse({"entity": entity}) if entity else _problem(404, "no entity is online")
        return _problem(404, f"no route {request.method} {path}")

    def _describe(self, count: bool) -> dict[str, Any] | None:
        record = read_record(self.layout)
        told = describe(self.layout, self.online, record)
        if told is None:
            return None
        if record is not None and self.keeper.run.status == "running" and record.status == "applying":
            told["store"] = "it is being applied"
        if record is not None and count:
            told["counts"] = self.online.rows(record.definition["project"], record.views)
        return told

    def _sample(self, view: str) -> dict[str, Any] | None:
        record = read_record(self.layout)
        if record is None or view not in record.views:
            return None
        return self.online.sample(record.definition["project"], view)

    # -- Feast's -----------------------------------------------------------------------------------------------------------

    async def _feast(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._off:
            await _problem(404, "nothing is served: the blueprint says `online: false`")(scope, receive, send)
            return
        try:
            # In a thread: it may be a question to another machine.
            mark = await asyncio.to_thread(self.online.mark)
        except NotReadable as error:
            await _problem(503, f"the {error}: run `mlinfra apply`")(scope, receive, send)
            return
        if mark is None:
            gone = "the online store is gone" if read_record(self.layout) else "no repository was applied yet"
            await _problem(503, f"{gone}: run `mlinfra apply`")(scope, receive, send)
            return
        if self._serving is None or self._serving.mark != mark:
            await self._renew(mark)
        serving = self._serving
        if serving is None:
            await _problem(503, "the repository cannot be opened: run `mlinfra plan`")(scope, receive, send)
            return
        serving.requests += 1
        try:
            await serving.app(scope, receive, send)
        finally:
            serving.requests -= 1
            if serving.left and not serving.requests:
                await _leave(serving)

    async def _renew(self, only_if_not: Hashable = None) -> None:
        """Open the files anew, and leave the old ones once their requests are through. Nothing to do if another request has
        opened ``only_if_not`` meanwhile."""
        async with self._renewing:
            old = self._serving
            if only_if_not is not None and old is not None and old.mark == only_if_not:
                return
            self._off = not self.keeper.online()
            self._serving = await self._opened()
            if old is not None:
                old.left = True
                if not old.requests:
                    await _leave(old)

    async def _opened(self) -> Serving | None:
        mark: Hashable = None
        with suppress(NotReadable):
            mark = await asyncio.to_thread(self.online.mark)
        if mark is None or not self.layout.config.exists() or not self.layout.registry.exists():
            return None
        try:
            app = await asyncio.to_thread(_feast_app, str(self.layout.folder))
            lifespan = app.router.lifespan_context(app)
            await lifespan.__aenter__()
        except Exception:
            # Whatever is wrong with the files, the server must stay to tell of them.
            log.exception("the repository cannot be opened")
            return None
        return Serving(app, lifespan, mark)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await self._renew()
        self._schedule = asyncio.get_running_loop().create_task(self.keeper.on_schedule())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._schedule.cancel()
        with suppress(asyncio.CancelledError):
            await self._schedule
        if self._serving is not None:
            await _leave(self._serving)
        await send({"type": "lifespan.shutdown.complete"})


def _feast_app(folder: str) -> Any:
    """What ``feast serve`` serves, with the registry read anew by us instead of by a timer."""
    from feast import FeatureStore
    from feast.feature_server import get_app

    return get_app(FeatureStore(repo_path=folder), registry_ttl_sec=0)


def _from_here(scope: Scope) -> bool:
    client = scope.get("client")
    try:
        return client is not None and ip_address(client[0]).is_loopback
    except ValueError:
        return False


async def _leave(serving: Serving) -> None:
    try:
        await serving.lifespan.__aexit__(None, None, None)
    except Exception:
        # Its files may be gone; nobody uses it any more.
        log.exception("an old generation did not close")


def _problem(status: int, text: str) -> JSONResponse:
    return JSONResponse({"detail": text}, status)
