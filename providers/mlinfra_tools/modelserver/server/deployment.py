"""Which model serves, and the change from one version to the next without a lost request.

The configuration file is looked at four times a second and before each question whether the server is ready. A new
version is loaded in a thread beside the old one and takes over in one step; if it cannot be loaded the old one goes on,
`status` says why, and the load is tried again. Must not know HTTP.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any, Literal, Protocol

from .batching import Batcher
from .cache import Answers
from .capture import CaptureFiles
from .config import Config, parse
from .errors import NotLoaded, brief

log = logging.getLogger("modelserver")

LOOK_SECONDS = 0.25
RETRY_SECONDS = (5.0, 10.0, 20.0, 40.0, 60.0)
State = Literal["loading", "ready", "failed"]


class Model(Protocol):
    """A loaded model, see `model.PyfuncModel`."""

    name: str
    version: str

    def predict(self, request: Any) -> Any:
        """The answer to one request."""

    def predict_joined(self, requests: Sequence[Any]) -> list[Any]:
        """The answers to several."""

    def close(self) -> None:
        """Give back what it holds."""


class Watcher(Protocol):
    """What is told of loads and batches, see `metrics.Metrics`."""

    def in_force(self, model: str, version: str) -> None:
        """A version took over."""

    def load_failed(self) -> None:
        """A version could not be loaded."""

    def batch(self, rows: int) -> None:
        """A joined call was made."""

    def watch_capture(self, read: Callable[[], tuple[int, int]]) -> None:
        """Where to read how many rows were captured and dropped."""


@dataclass(slots=True)
class Serving:
    """A model in force with the settings it is served by. ``users`` are the requests that it still answers."""

    config: Config
    model: Any
    answer: Callable[[Any], Awaitable[Any]]
    cache: Answers[Any] | None
    capture: CaptureFiles | None
    since: datetime
    users: int = 0


class Deployment:
    """Serves what the configuration file asks for.

    ``load`` fetches and loads a model (blocking); ``captures`` is the folder of captured requests; ``fatal`` is called
    with the reason when the first load fails, since a server without any model is of no use.
    """

    def __init__(
        self,
        file: Path,
        load: Callable[[Config], Model],
        watcher: Watcher,
        *,
        captures: Path | None = None,
        fatal: Callable[[str], None] = lambda reason: None,
        threads: int = 4,
        retries: Sequence[float] = RETRY_SECONDS,
    ) -> None:
        self._file = file
        self._load = load
        self._watcher = watcher
        self._captures = captures
        self._fatal = fatal
        self._retries = retries
        self._predicting = ThreadPoolExecutor(threads, thread_name_prefix="predict")
        self._loading = ThreadPoolExecutor(2, thread_name_prefix="load")
        self._seen: bytes | None = None
        self._wanted: Config | None = None
        self._failure = ""
        self._current: Serving | None = None
        self._capture: CaptureFiles | None = None
        self._load_task: asyncio.Task[None] | None = None
        self._watch_task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to load and to watch the file."""
        self.look()
        if self._failure:
            self._fatal(self._failure)
        self._watch_task = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Write what is captured and let go of the model."""
        for task in (self._watch_task, self._load_task):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        if self._capture is not None:
            await asyncio.to_thread(self._capture.close)
        if self._current is not None:
            self._current.model.close()
        self._loading.shutdown(wait=False, cancel_futures=True)
        self._predicting.shutdown(wait=False, cancel_futures=True)

    @contextmanager
    def use(self) -> Iterator[Serving]:
        """What serves now; it stays whole until the block ends, whatever takes over meanwhile.

        Errors: NotLoaded.
        """
        serving = self._current
        if serving is None:
            raise NotLoaded(self._failure or "the model is being loaded")
        serving.users += 1
        try:
            yield serving
        finally:
            serving.users -= 1
            self._let_go(serving)

    async def in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run what blocks beside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._predicting, function, *arguments)

    @property
    def serves(self) -> bool:
        """Whether any version answers."""
        return self._current is not None

    def status(self) -> dict[str, Any]:
        """What is wanted, what is in force, and why they differ. Looks at the file first."""
        self.look()
        current, wanted = self._current, self._wanted
        state: State = "loading"
        if self._failure:
            state = "failed"
        elif current is not None and wanted is not None and current.config == wanted:
            state = "ready"
        return {
            "state": state,
            "failure": self._failure or None,
            "endpoint": (wanted or current.config).endpoint if wanted or current else None,  # type: ignore[union-attr]
            "variant": (wanted or current.config).variant if wanted or current else None,  # type: ignore[union-attr]
            "wanted": {"model": wanted.model, "version": wanted.version} if wanted else None,
            "in_force": {"model": current.model.name, "version": current.model.version} if current else None,
            "since": current.since.isoformat() if current else None,
        }

    def look(self) -> None:
        """Read the file; if it changed, act on it. Must be called in the event loop."""
        try:
            raw = self._file.read_bytes()
        except OSError as error:
            self._refuse(f"the configuration cannot be read: {brief(error)}", None)
            return
        if raw == self._seen:
            return
        try:
            config = parse(raw.decode("utf-8"))
        except ValueError as error:
            self._refuse(str(error), raw)
            return
        self._seen, self._wanted, self._failure = raw, config, ""
        if self._load_task is not None:
            self._load_task.cancel()
            self._load_task = None
        if self._current is not None and self._current.config.source == config.source:
            self._take_over(config, self._current.model)
        else:
            log.info("loading %s version %s", config.model, config.version)
            self._load_task = asyncio.get_running_loop().create_task(self._bring(config))

    def _refuse(self, why: str, raw: bytes | None) -> None:
        if self._failure != why:
            log.error("%s", why)
        self._failure, self._seen = why, raw

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    async def _bring(self, config: Config) -> None:
        attempt = 0
        while True:
            began = monotonic()
            work = asyncio.get_running_loop().run_in_executor(self._loading, self._load, config)
            try:
                model = await asyncio.shield(work)
            except asyncio.CancelledError:
                # The thread cannot be stopped: what it brings is thrown away.
                work.add_done_callback(_discard)
                raise
            except Exception as error:  # MLflow, the network and the model's own code may raise anything
                self._failure = f"{config.model} version {config.version} cannot be loaded: {brief(error)}"
                self._watcher.load_failed()
                log.error("%s", self._failure, exc_info=True)
                if self._current is None:
                    self._fatal(self._failure)
                    return
                await asyncio.sleep(self._retries[min(attempt, len(self._retries) - 1)])
                attempt += 1
                continue
            self._failure = ""
            log.info("%s version %s serves after %.1f s", config.model, config.version, monotonic() - began)
            self._take_over(config, model)
            return

    def _take_over(self, config: Config, model: Any) -> None:
        previous = self._current
        since = previous.since if previous is not None and previous.model is model else datetime.now(UTC)
        self._current = Serving(
            config, model, self._asker(config, model), _cache(config), self._capturing(config), since
        )
        self._watcher.in_force(model.name, model.version)
        if previous is not None:
            self._let_go(previous)

    def _let_go(self, serving: Serving) -> None:
        """Close a replaced model after its last request."""
        if (
            serving is not self._current
            and serving.users == 0
            and (self._current is None or serving.model is not self._current.model)
        ):
            serving.model.close()

    def _asker(self, config: Config, model: Any) -> Callable[[Any], Awaitable[Any]]:
        async def ask(request: Any) -> Any:
            return await self.in_thread(model.predict, request)

        async def ask_joined(requests: Sequence[Any]) -> Any:
            return await self.in_thread(model.predict_joined, requests)

        if config.batching is None:
            return ask
        return Batcher(
            ask,
            ask_joined,
            max_rows=config.batching.max_rows,
            max_wait=config.batching.max_wait,
            observe=self._watcher.batch,
        ).submit

    def _capturing(self, config: Config) -> CaptureFiles | None:
        if config.capture is None or self._captures is None:
            return None
        keep, size = config.capture.keep, config.capture.max_bytes
        if self._capture is None:
            folder = self._captures / Path(config.variant or "default").name
            self._capture = files = CaptureFiles(folder, keep=keep, max_bytes=size)
            self._watcher.watch_capture(lambda: (files.written, files.dropped))
        else:
            self._capture.limits(keep=keep, max_bytes=size)
        return self._capture


def _cache(config: Config) -> Answers[Any] | None:
    return Answers(config.cache.ttl, config.cache.entries, monotonic) if config.cache else None


def _discard(work: asyncio.Future[Any]) -> None:
    if not work.cancelled() and work.exception() is None:
        work.result().close()
