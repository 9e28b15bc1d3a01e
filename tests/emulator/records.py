"""Objects kept as they were given: create, describe, update, list, delete and tags of a sort of object, from a few words of data.

AWS tells back what it was told, with an ARN, times and a status added; botocore's models say which members that are. So a sort
needs no code of its own unless it does something. Records live in moto's backend of the service, and go with its reset.
"""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from moto.core.exceptions import ServiceException
from moto.core.responses import BaseResponse
from moto.core.utils import camelcase_to_underscores, get_service_model

from .services import operation
from .statuses import Progress

PAGE: Final = 100
"""How many items a list tells at a time, unless asked for less."""
Hook = Callable[["Record", Any], None]
"""Does something to a record; it is given the moto response object as well."""


def nothing(record: Record, response: Any) -> None:
    """The hook that does nothing."""


@dataclass(slots=True)
class Record:
    """One object. ``members`` are those that describe tells; ``pending`` what an update will have changed when it is through."""

    name: str
    arn: str
    members: dict[str, Any]
    tags: dict[str, str]
    progress: Progress | None = None
    pending: dict[str, Any] | None = None
    uses: int = 0


@dataclass(frozen=True, slots=True)
class Sort:
    """A sort of object.

    ``name`` is in the names of its operations (``Endpoint``: CreateEndpoint …), ``id`` the member that names it, ``arn`` the word
    in its ARN, ``listed`` the member that a list answers with and ``listing`` its operation. ``status`` is the member that tells
    it; ``making`` and ``changing`` are the ways it goes, ``dying`` what is told until it is gone. ``refers`` are
    members that name other sorts' objects, which must exist. ``missing`` and ``existing`` are the errors (code, message with
    ``{id}`` and ``{arn}``). Hooks add what the sort does.
    """

    name: str
    id: str
    arn: str
    listed: str
    listing: str = ""
    status: str = ""
    making: tuple[str, ...] = ()
    changing: tuple[str, ...] = ()
    dying: tuple[str, ...] = ()
    busy: str = 'Cannot update in-progress {noun} "{arn}".'
    refers: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, str] = ("ValidationException", 'Could not find {noun} "{arn}".')
    existing: tuple[str, str] = ("ValidationException", 'Cannot create already existing {noun} "{arn}".')
    made: Hook = nothing
    changed: Hook = nothing
    seen: Hook = nothing
    """Done to what describe tells."""
    deleted: Hook = nothing

    @property
    def noun(self) -> str:
        """What messages call it."""
        return camelcase_to_underscores(self.name).replace("_", " ")


@dataclass
class Registry:
    """The sorts of one service."""

    service: str
    responses: type[BaseResponse]
    backend: str
    """The attribute of the response object that is the backend."""
    namespace: str
    """The service's word in ARNs."""
    error: type[ServiceException]
    """The exception of moto's own module for the service: it looks its codes up in that service's model."""
    sorts: dict[str, Sort] = field(default_factory=dict)
    endings: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    """(sort, name) → how its next way ends instead, and the reason: told by tests."""

    def add(self, sort: Sort) -> Sort:
        """Put a sort's operations into moto."""
        self.sorts[sort.name] = sort
        model = get_service_model(self.service)
        for verb, action in (
            ("Create", self._create),
            ("Describe", self._describe),
            ("Update", self._update),
            ("Delete", self._delete),
        ):
            if f"{verb}{sort.name}" in model.operation_names:
                self._operation(f"{verb}{sort.name}", action, sort)
        self._operation(sort.listing or f"List{sort.listed}", self._list, sort)
        return sort

    def _operation(self, name: str, action: Callable[[Sort, Any], Any], sort: Sort) -> None:
        def function(response: Any) -> Any:
            return action(sort, response)

        function.__name__ = camelcase_to_underscores(name)
        operation(self.responses)(function)

    # -- records --------------------------------------------------------------------------------------------------------

    def all(self, sort: str, response: Any) -> dict[str, Record]:
        """The records of a sort in the account and region of a request."""
        return records(getattr(response, self.backend), sort)

    def get(self, sort: str, name: str, response: Any) -> Record:
        """A record by its name (or ARN).

        Errors: the sort's error if there is none.
        """
        self._settle(sort, response)
        found = self.all(sort, response).get(name.rpartition("/")[2])
        if found is None:
            raise self._error(self.sorts[sort].missing, self.sorts[sort], name, response)
        return found

    def by_arn(self, arn: str, response: Any) -> Record | None:
        """A record by its ARN."""
        for sort in self.sorts:
            for record in self.all(sort, response).values():
                if record.arn == arn:
                    return record
        return None

    def _error(self, told: tuple[str, str], sort: Sort, name: str, response: Any) -> ServiceException:
        code, text = told
        return self.error(code, text.format(id=name, noun=sort.noun, arn=self._arn(sort, name, response)))

    def _arn(self, sort: Sort, name: str, response: Any) -> str:
        account, region = response.current_account, response.region
        return f"arn:aws:{self.namespace}:{region}:{account}:{sort.arn}/{name}"

    def _settle(self, sort: str, response: Any) -> None:
        """Let go of what was being deleted and is through."""
        for name, record in list(self.all(sort, response).items()):
            if record.progress is not None and record.progress.status == "gone":
                del self.all(sort, response)[name]

    # -- operations -----------------------------------------------------------------------------------------------------

    def _create(self, sort: Sort, response: Any) -> dict[str, Any]:
        params = copy.deepcopy(dict(response.params))
        name = params.get(sort.id) or ""
        self._settle(sort.name, response)
        if name in self.all(sort.name, response):
            raise self._error(sort.existing, sort, name, response)
        self._check(sort, params, response)
        now = dt.datetime.now(dt.UTC)
        tags = {tag["Key"]: tag["Value"] for tag in params.pop("Tags", None) or []}
        record = Record(name, self._arn(sort, name, response), params, tags)
        record.members |= {f"{sort.name}Arn": record.arn, "CreationTime": now, "LastModifiedTime": now}
        if sort.making:
            record.progress = self._way(sort, name, sort.making)
        sort.made(record, response)
        self.all(sort.name, response)[record.name] = record
        return {f"{sort.name}Arn": record.arn}

    def _describe(self, sort: Sort, response: Any) -> dict[str, Any]:
        record = self.get(sort.name, response.params[sort.id], response)
        self._look(sort, record, response)
        found = Record(record.name, record.arn, copy.deepcopy(record.members), record.tags, record.progress)
        sort.seen(found, response)
        model = get_service_model(self.service).operation_model(f"Describe{sort.name}")
        return {name: value for name, value in found.members.items() if name in model.output_shape.members}

    def _update(self, sort: Sort, response: Any) -> dict[str, Any]:
        record = self.get(sort.name, response.params[sort.id], response)
        params = copy.deepcopy(dict(response.params))
        self._check(sort, params, response)
        if record.progress is not None and record.progress.status not in (sort.making[-1], *_STUCK):
            raise self._error(("ValidationException", sort.busy), sort, record.name, response)
        record.pending = params
        sort.changed(record, response)
        record.members["LastModifiedTime"] = dt.datetime.now(dt.UTC)
        if sort.changing:
            record.progress = self._way(sort, record.name, sort.changing)
        else:
            record.members |= record.pending or {}
            record.pending = None
        return {f"{sort.name}Arn": record.arn}

    def _delete(self, sort: Sort, response: Any) -> None:
        record = self.get(sort.name, response.params[sort.id], response)
        sort.deleted(record, response)
        if sort.dying:
            record.progress = Progress(f"{self.service}::{sort.name}", *sort.dying, "gone")
        else:
            del self.all(sort.name, response)[record.name]

    def _list(self, sort: Sort, response: Any) -> dict[str, Any]:
        self._settle(sort.name, response)
        params = response.params
        model = get_service_model(self.service).operation_model(sort.listing or f"List{sort.listed}")
        items = sorted(self.all(sort.name, response).values(), key=lambda record: record.name)
        items = [record for record in items if (params.get("NameContains") or "") in record.name]
        items = [record for record in items if record.name.startswith(params.get(f"{sort.name}NamePrefix") or "")]
        start, size = int(params.get("NextToken") or 0), int(params.get("MaxResults") or PAGE)
        shape = model.output_shape.members[sort.listed].member
        page = []
        for record in items[start : start + size]:
            self._look(sort, record, response, look=False)
            page.append({name: value for name, value in record.members.items() if name in shape.members})
        more = {"NextToken": str(start + size)} if start + size < len(items) else {}
        return {sort.listed: page, **more}

    # -- parts ----------------------------------------------------------------------------------------------------------

    def _check(self, sort: Sort, params: Mapping[str, Any], response: Any) -> None:
        for path, other in sort.refers.items():
            for name in _at(params, path.split(".")):
                self.get(other, name, response)

    def _way(self, sort: Sort, name: str, way: tuple[str, ...]) -> Progress:
        ending = self.endings.pop((sort.name, name), None)
        end, reason = ending or (way[-1], "")
        return Progress(f"{self.service}::{sort.name}", *way[:-1], *end.split(","), reason=reason)

    def _look(self, sort: Sort, record: Record, response: Any, *, look: bool = True) -> None:
        """Bring a record's status on."""
        if record.progress is None:
            return
        status = record.progress.look() if look else (record.progress.status or "")
        if status == "gone":
            del self.all(sort.name, response)[record.name]
            raise self._error(sort.missing, sort, record.name, response)
        record.members[sort.status] = status
        if status == sort.making[-1] and record.pending is not None:
            if not record.progress.reason:
                record.members |= record.pending
            record.pending = None
        if record.progress.reason and record.progress.settled:
            record.members["FailureReason"] = record.progress.reason


_STUCK: Final = ("Failed", "OutOfService", "UpdateRollbackFailed", "gone")
"""Statuses in which an update is taken, though it is not well."""


def records(backend: Any, sort: str) -> dict[str, Record]:
    """The records of a sort in a moto backend."""
    kept: dict[str, dict[str, Record]] = backend.__dict__.setdefault("mlinfra_records", {})
    return kept.setdefault(sort, {})


def all_records(backend: Any) -> Iterator[Record]:
    """All records in a moto backend."""
    for kept in backend.__dict__.get("mlinfra_records", {}).values():
        yield from kept.values()


def _at(value: Any, path: list[str]) -> Iterator[str]:
    """The texts at a path; lists are gone through."""
    if value is None:
        return
    if isinstance(value, list):
        for item in value:
            yield from _at(item, path)
    elif not path:
        yield str(value)
    elif isinstance(value, Mapping):
        yield from _at(value.get(path[0]), path[1:])
