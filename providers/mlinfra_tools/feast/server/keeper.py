"""Keeps one repository: renders and applies a definition, materialises, on demand and on a schedule, and records it.

One job at a time. Feast itself does the work, in the clerk's process. Must not answer requests.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

from .clerk import Clerk, ClerkGone
from .layout import (
    ELSEWHERE,
    Definition,
    Layout,
    Record,
    digest,
    read_record,
    replace_text,
    source_state,
    write_record,
)
from .online import NotReadable, OnlineStore
from .probe import has_data, missing, read_registry, serves
from .render import render
from .schedule import Schedule

log = logging.getLogger("featureserver")

SHAPE = ("entities", "source", "timestamp_field", "created_field", "features")
"""What of a view decides which rows are online; a change of anything else needs no new rows."""


@dataclass(slots=True)
class Run:
    """One apply, teardown or materialisation. ``status`` is ``running``, ``done`` or ``failed``."""

    number: int = 0
    status: str = "done"
    step: str = ""
    failed: str | None = None
    notes: list[str] = field(default_factory=list)
    """What whoever waits should know of a run that did well."""


Job = Callable[[Run], Awaitable[str | None]]
"""What a run does; gives in words why it failed, or None."""


class Keeper:
    """The repository below ``layout``. ``changed`` is awaited after each job, so that the server reads anew."""

    def __init__(
        self,
        layout: Layout,
        online: OnlineStore,
        templates: Mapping[str, str],
        clerk: Clerk,
        changed: Callable[[], Awaitable[None]],
    ) -> None:
        self.layout = layout
        self._online = online
        self.run = Run()
        self._templates = templates
        self._clerk = clerk
        self._changed = changed
        self._lock = asyncio.Lock()
        self._soon: set[asyncio.Task[None]] = set()

    def begin_apply(self, definition: Definition) -> int:
        """Start to make the repository like ``definition``; gives the run's number."""
        return self._begin(lambda run: self._apply(definition, run))

    def begin_teardown(self) -> int:
        """Start to remove everything of the repository; gives the run's number."""
        return self._begin(self._tear_down)

    def online(self) -> bool:
        """Whether what is applied is to be served."""
        record = read_record(self.layout)
        return record is None or serves(record.definition)

    async def on_schedule(self, tick: float = 1.0) -> None:
        """Materialise what is new when the definition's ``materialise.every`` or ``materialise.cron`` says so. Endless."""
        schedule = Schedule(monotonic(), datetime.now(UTC))
        while True:
            await asyncio.sleep(tick)
            record = read_record(self.layout)
            if record is None or not serves(record.definition):
                continue
            due = schedule.due(record.definition.get("materialise") or {}, monotonic(), datetime.now(UTC))
            if not due or self._lock.locked():
                continue
            schedule.done(monotonic())
            async with self._lock:
                failed = await self._materialise_news()
            if failed:
                log.error("materialising on schedule failed: %s", failed)

    # -- jobs ----------------------------------------------------------------------------------------------------------

    def _begin(self, job: Job) -> int:
        run = self.run = Run(self.run.number + 1, "running", "waiting for the job before")
        task = asyncio.get_running_loop().create_task(self._finish(run, job))
        self._soon.add(task)
        task.add_done_callback(self._soon.discard)
        return run.number

    async def _finish(self, run: Run, job: Job) -> None:
        async with self._lock:
            try:
                run.failed = await job(run)
                await self._changed()
            except Exception as error:
                # Whoever waits for this run must hear its end, whatever went wrong.
                log.exception("job failed")
                run.failed = f"{type(error).__name__}: {error}"
            run.status = "failed" if run.failed else "done"

    async def _apply(self, definition: Definition, run: Run) -> str | None:
        layout, before = self.layout, read_record(self.layout)
        project = definition["project"]
        names = list(definition["views"])
        whole = before is None or before.status != "applied" or read_registry(layout.registry, project) is None
        files = render(definition, self._templates, self._online.settings)
        if before is not None and not serves(before.definition):
            # What was online before it was switched off may be old.
            whole = True
        kept = {} if before is None else before.views
        record = Record(
            definition, views={name: kept.get(name, {"materialised": None, "filled": False}) for name in names}
        )
        write_record(layout, record)
        self._set_aside_broken(project)
        filled = await asyncio.to_thread(self._filled, record)
        stale = [name for name in names if whole or not filled.get(name) or _reshaped(before, record, name)]
        for name, text in files.items():
            replace_text(layout.folder / name, text)
            record.files[name] = str(digest(layout.folder / name))
        fill = [name for name in stale if _wanted(before, record, name)] if serves(definition) else []
        run.notes += [f"{name} stays empty: {missing(record, name)}" for name in fill if not has_data(record, name)]
        states = self._states(record, [name for name in fill if has_data(record, name)])
        end = datetime.now(UTC)
        steps: list[dict[str, Any]] = [{"say": "feast apply", "command": self._command("apply")}]
        if serves(definition):
            steps.append({"say": "making online tables", "tables": str(layout.folder)})
        steps += [self._materialise(definition, name, end) for name in states]
        failed = await self._do(steps)
        if not failed and serves(definition):
            try:
                await asyncio.to_thread(self._online.settle)
            except NotReadable as error:
                failed = str(error)
        record.status, record.reason = ("failed", failed) if failed else ("applied", "")
        await asyncio.to_thread(self._note, record, {} if failed else states, end)
        return failed

    async def _tear_down(self, run: Run) -> str | None:
        layout = self.layout
        failed = None
        # Feast would fail over rows that nobody can reach; they go with their store.
        if layout.config.exists() and layout.registry.exists() and await asyncio.to_thread(self._there):
            failed = await self._do([{"say": "feast teardown", "command": self._command("teardown")}])
        if failed is None:
            await asyncio.to_thread(self._online.remove)
            for path in (layout.registry, layout.config, layout.folder / "features.py", layout.record):
                path.unlink(missing_ok=True)
            with suppress(OSError):
                layout.record.parent.rmdir()
        return failed

    async def _materialise_news(self) -> str | None:
        """Views whose file has changed are filled from it anew: Feast's incremental run takes rows by their event time, so it
        would never take those that arrive late. Sources elsewhere are left to it."""
        record = read_record(self.layout)
        if record is None or record.status != "applied" or not await asyncio.to_thread(self._there):
            return None
        end = datetime.now(UTC)
        window = (record.definition.get("materialise") or {}).get("window")
        steps: dict[str, dict[str, Any]] = {}
        for name, view in record.views.items():
            state = source_state(record.definition["views"][name]["source"])
            if state is None or state == view.get("source") != ELSEWHERE:
                continue
            if window is not None and view["materialised"] is not None:
                start = (end - timedelta(seconds=window)).isoformat()
                command = self._command("materialize", start, end.isoformat(), "--views", name)
                steps[name] = {"say": f"materialising the last rows of {name}", "command": command}
            elif state == ELSEWHERE:
                command = self._command("materialize-incremental", end.isoformat(), "--views", name)
                steps[name] = {"say": f"materialising what is new of {name}", "command": command}
            else:
                steps[name] = self._materialise(record.definition, name, end)
        if not steps:
            return None
        states = self._states(record, steps)
        failed = await self._do(list(steps.values()))
        if not failed:
            await asyncio.to_thread(self._note, record, states, end)
            await self._changed()
        return failed

    # -- parts ---------------------------------------------------------------------------------------------------------

    async def _do(self, steps: list[dict[str, Any]]) -> str | None:
        def say(text: str) -> None:
            self.run.step = text
            log.info("%s", text)

        try:
            return await asyncio.to_thread(self._clerk.do, {"steps": steps}, say)
        except ClerkGone as error:
            # A server that can no longer apply ends, so that its runtime sees it and starts it again.
            os.kill(os.getpid(), signal.SIGTERM)
            return str(error)

    def _command(self, *words: str) -> list[str]:
        return ["--chdir", str(self.layout.folder), *words]

    def _materialise(self, definition: Definition, view: str, end: datetime) -> dict[str, Any]:
        """Everything up to now, or from the start that was asked for. Feast's incremental default, ``now - ttl``, would
        leave out every entity that was quiet for that long."""
        start = (definition.get("materialise") or {}).get("start")
        span = [start, end.isoformat()] if start else ["--disable-event-timestamp"]
        return {"say": f"materialising {view}", "command": self._command("materialize", *span, "--views", view)}

    def _states(self, record: Record, names: Iterable[str]) -> dict[str, str | None]:
        """The state of each source as it is before it is read."""
        return {name: source_state(record.definition["views"][name]["source"]) for name in names}

    def _note(self, record: Record, filled: Mapping[str, str | None], at: datetime) -> None:
        found = self._filled(record)
        for name, state in filled.items():
            record.views[name] |= {"materialised": at.isoformat(timespec="seconds"), "source": state}
        for name, view in record.views.items():
            view["filled"] = bool(found.get(name))
        write_record(self.layout, record)

    def _filled(self, record: Record) -> dict[str, bool]:
        """Whether each view has rows online; none is known to have if the store cannot be read."""
        with suppress(NotReadable):
            return self._online.filled(record.definition["project"], record.views)
        return {}

    def _there(self) -> bool:
        with suppress(NotReadable):
            return self._online.mark() is not None
        return False

    def _set_aside_broken(self, project: str) -> None:
        """Rename files that Feast could not open, so that they are made again."""
        self._online.set_aside_broken()
        registry = self.layout.registry
        if registry.exists() and registry.stat().st_size and read_registry(registry, project) is None:
            registry.replace(registry.with_name(f"{registry.name}.broken"))


def _wanted(before: Record | None, after: Record, view: str) -> bool:
    """Whether an apply fills a view that is not as it should be: always, unless the blueprint says that an apply does not;
    then only one that was filled before and has lost its rows."""
    if (after.definition.get("materialise") or {}).get("on_apply", True):
        return True
    return after.views[view]["materialised"] is not None and not _reshaped(before, after, view)


def _reshaped(before: Record | None, after: Record, view: str) -> bool:
    if before is None or view not in before.definition["views"]:
        return True
    old, new = before.definition["views"][view], after.definition["views"][view]
    keys = [(record.definition["entities"], views) for record, views in ((before, old), (after, new))]
    joined = [{name: entities.get(name) for name in views["entities"]} for entities, views in keys]
    return joined[0] != joined[1] or any(old.get(name) != new.get(name) for name in SHAPE)
