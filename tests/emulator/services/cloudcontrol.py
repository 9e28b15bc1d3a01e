"""Cloud Control, which moto lacks: requests with tokens and statuses over real objects (`cloudcontrol_types`), checked by the
types' own schemas. And what CloudFormation's registry tells of a type.

A request is carried out when it is begun, and told as being in progress for as many looks as statuses take.
"""

from __future__ import annotations

import copy
import datetime as dt
import json
import re
import sys
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonpatch
from moto import backend_index
from moto.cloudformation.responses import CloudFormationResponse
from moto.core.base_backend import BackendDict, BaseBackend
from moto.core.exceptions import ServiceException
from moto.core.responses import BaseResponse

from ..statuses import Progress
from . import operation
from .cloudcontrol_types import TYPES, Where

IN_PROGRESS = "IN_PROGRESS"
PAGE = 20


class CloudControlError(ServiceException):
    """What Cloud Control refuses at once."""


class Failure(Exception):
    """What a type's handler ends with."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


# -- the service, for moto ----------------------------------------------------------------------------------------------


@dataclass
class Request:
    """One request. ``known`` says whether its object's identifier can be told before it is through."""

    operation: str
    type_name: str
    progress: Progress
    identifier: str = ""
    known: bool = True
    code: str = ""
    message: str = ""
    token: str = field(default_factory=lambda: str(uuid.uuid4()))
    time: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))

    def event(self, *, look: bool = True) -> dict[str, Any]:
        """How it stands; a look brings it on."""
        status = self.progress.look() if look else (self.progress.status or "")
        told: dict[str, Any] = {
            "TypeName": self.type_name,
            "RequestToken": self.token,
            "Operation": self.operation,
            "OperationStatus": status,
            "EventTime": self.time,
        }
        if self.identifier and (self.known or status != IN_PROGRESS):
            told["Identifier"] = self.identifier
        return {**told, "ErrorCode": self.code, "StatusMessage": self.message} if status == "FAILED" else told


class CloudControlBackend(BaseBackend):
    """The requests of an account and region."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.requests: dict[str, Request] = {}
        self.tokens: dict[str, tuple[Any, str]] = {}

    @property
    def _url_module(self) -> Any:
        return sys.modules[__name__]


class CloudControlResponse(BaseResponse):
    """One request."""

    def __init__(self) -> None:
        super().__init__(service_name="cloudcontrol")
        self.automated_parameter_parsing = True

    @property
    def backend(self) -> CloudControlBackend:
        """What is kept for the caller."""
        found: CloudControlBackend = cloudcontrol_backends[self.current_account][self.region]
        return found

    @property
    def where(self) -> Where:
        """Whose objects it is about."""
        return Where(self.current_account, self.region)


cloudcontrol_backends = BackendDict(CloudControlBackend, "cloudcontrol")
url_bases = [r"https?://cloudcontrolapi\.(.+)\.amazonaws\.com"]
url_paths = {"{0}/$": CloudControlResponse.dispatch}
# Moto imports a service's backend by this name, and finds it by the host's.
sys.modules["moto.cloudcontrol"] = sys.modules[__name__]
backend_index.backend_url_patterns.append(("cloudcontrol", re.compile(url_bases[0])))


# -- schemas ------------------------------------------------------------------------------------------------------------


@cache
def schema_of(type_name: str) -> dict[str, Any]:
    """The schema of a type that is emulated, from cfn-lint's files."""
    public = TYPES[type_name].schema
    spec = find_spec("cfnlint")
    assert spec is not None
    assert spec.origin is not None
    for path in (Path(spec.origin).parent / "data" / "schemas" / "resources").glob("*.json"):
        text = path.read_text("utf-8")
        if f'"{public}"' in text and (found := json.loads(text))["typeName"] == public:
            return {**found, "typeName": type_name}
    raise LookupError(public)


def _type(response: Any) -> Any:
    name = response._get_param("TypeName")
    if name not in TYPES:
        raise CloudControlError("TypeNotFoundException", f"Type {name} not found.")
    return TYPES[name]


def _names(schema: Mapping[str, Any], which: str) -> list[str]:
    return [pointer.rpartition("/")[2] for pointer in schema.get(which, ())]


def _checked(schema: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Refuse what the schema does."""
    extraneous = [name for name in state if name not in schema["properties"]]
    missing = [name for name in schema.get("required", ()) if name not in state]
    told = "Model validation failed "
    if extraneous:
        raise Failure("InvalidRequest", f"{told}(#: extraneous key [{extraneous[0]}] is not permitted)")
    if missing:
        raise Failure("InvalidRequest", f"{told}(#: required key [{missing[0]}] not found)")


# -- operations ---------------------------------------------------------------------------------------------------------


def _begin(response: Any, name: str, identifier: str, known: bool, work: Any) -> dict[str, Any]:
    """Carry a request out, once for each client token."""
    backend = response.backend
    client_token, content = response._get_param("ClientToken"), copy.deepcopy(dict(response.params))
    if client_token in backend.tokens:
        before, token = backend.tokens[client_token]
        if before != content:
            raise CloudControlError("ClientTokenConflictException", "The client token was used with another request.")
        return {"ProgressEvent": backend.requests[token].event()}
    type_name = response._get_param("TypeName")
    for other in backend.requests.values():
        same = identifier and (other.type_name, other.identifier) == (type_name, identifier)
        if same and other.progress.status == IN_PROGRESS:
            raise CloudControlError(
                "ConcurrentOperationException", f"Resource {identifier} is being changed by request {other.token}."
            )
    request = Request(name, type_name, Progress("cloudcontrol::Request", IN_PROGRESS, "SUCCESS"), identifier, known)
    try:
        request.identifier = work() or identifier
    except Failure as failure:
        request.code, request.message = failure.code, str(failure)
    except Exception as error:  # moto's own refusals: a name that is not allowed, say
        request.code, request.message = "InvalidRequest", str(error)
    if request.code:
        request.progress = Progress("cloudcontrol::Request", IN_PROGRESS, "FAILED")
    backend.requests[request.token] = request
    if client_token:
        backend.tokens[client_token] = (content, request.token)
    return {"ProgressEvent": request.event()}


@operation(CloudControlResponse)
def create_resource(response: Any) -> dict[str, Any]:
    """Make an object."""
    kind, where, state = _type(response), response.where, json.loads(response._get_param("DesiredState"))
    schema = schema_of(response._get_param("TypeName"))
    named = [state.get(name) for name in _names(schema, "primaryIdentifier")]
    identifier = "|".join(named) if all(named) else ""

    def work() -> str:
        _checked(schema, state)
        given = [name for name in _names(schema, "readOnlyProperties") if name in state]
        if given:
            raise Failure("InvalidRequest", f"Encountered unsupported property {given[0]}")
        names = set(_names(schema, "createOnlyProperties")) & {
            "QueueName",
            "TopicName",
            "LogGroupName",
            "RepositoryName",
            "PolicyName",
            "Name",
        }
        taken = {kind.read(where, one)[name] for one in kind.all(where).values() for name in names}
        for name in names:
            # A name that is not given is made.
            state.setdefault(name, f"lab-{uuid.uuid4().hex[:12]}")
            if state[name] in taken:
                raise Failure(
                    "AlreadyExists", f"Resource of type '{schema['typeName']}' with name '{state[name]}' exists."
                )
        made = kind.create(where, copy.deepcopy(state))
        return next(key for key, one in kind.all(where).items() if one is made)

    return _begin(response, "CREATE", identifier, bool(identifier), work)


def _one(kind: Any, where: Where, identifier: str) -> Any:
    found = kind.all(where).get(identifier)
    if found is None:
        raise Failure("NotFound", f"Resource with identifier '{identifier}' was not found.")
    return found


@operation(CloudControlResponse)
def update_resource(response: Any) -> dict[str, Any]:
    """Patch what AWS tells of an object, and have its handler make it so: what it does not tell is not there."""
    kind, where, identifier = _type(response), response.where, response._get_param("Identifier")
    schema = schema_of(response._get_param("TypeName"))

    def work() -> None:
        one = _one(kind, where, identifier)
        before = kind.read(where, one)
        steps = json.loads(response._get_param("PatchDocument"))
        try:
            after = jsonpatch.apply_patch(before, steps)
        except jsonpatch.JsonPatchException as error:
            raise Failure("InvalidRequest", f"Invalid patch update: {error}") from error
        fixed = (*_names(schema, "createOnlyProperties"), *_names(schema, "readOnlyProperties"))
        changed = [name for name in fixed if before.get(name) != after.get(name)]
        if changed:
            raise Failure(
                "NotUpdatable",
                f"Invalid patch update: createOnlyProperties [/properties/{changed[0]}] cannot be updated",
            )
        _checked(schema, after)
        kind.update(where, one, after)

    return _begin(response, "UPDATE", identifier, True, work)


@operation(CloudControlResponse)
def delete_resource(response: Any) -> dict[str, Any]:
    """Delete an object."""
    kind, where, identifier = _type(response), response.where, response._get_param("Identifier")

    def work() -> None:
        _one(kind, where, identifier)
        kind.delete(where, identifier)

    return _begin(response, "DELETE", identifier, True, work)


@operation(CloudControlResponse)
def get_resource(response: Any) -> dict[str, Any]:
    """What is told of an object."""
    kind, identifier = _type(response), response._get_param("Identifier")
    try:
        told = kind.read(response.where, _one(kind, response.where, identifier))
    except Failure as failure:
        raise CloudControlError("ResourceNotFoundException", str(failure)) from failure
    return {
        "TypeName": response._get_param("TypeName"),
        "ResourceDescription": {"Identifier": identifier, "Properties": json.dumps(told)},
    }


@operation(CloudControlResponse)
def list_resources(response: Any) -> dict[str, Any]:
    """Objects of a type, with no more than what identifies them, in pages."""
    kind, name = _type(response), response._get_param("TypeName")
    identifying = _names(schema_of(name), "primaryIdentifier")
    found = [
        {
            "Identifier": key,
            "Properties": json.dumps({part: kind.read(response.where, one)[part] for part in identifying}),
        }
        for key, one in sorted(kind.all(response.where).items())
    ]
    page, more = _page(response, found)
    return {"TypeName": name, "ResourceDescriptions": page, **more}


def _page(response: Any, items: list[Any]) -> tuple[list[Any], dict[str, str]]:
    start, size = int(response._get_param("NextToken") or 0), int(response._get_param("MaxResults") or PAGE)
    more = {"NextToken": str(start + size)} if start + size < len(items) else {}
    return items[start : start + size], more


@operation(CloudControlResponse)
def get_resource_request_status(response: Any) -> dict[str, Any]:
    """How a request stands."""
    request = response.backend.requests.get(response._get_param("RequestToken"))
    if request is None:
        raise CloudControlError("RequestTokenNotFoundException", "Request token not found.")
    return {"ProgressEvent": request.event()}


@operation(CloudControlResponse)
def list_resource_requests(response: Any) -> dict[str, Any]:
    """The requests of this account, the newest first."""
    wanted = response.params.get("ResourceRequestStatusFilter") or {}
    found = [request.event(look=False) for request in reversed(response.backend.requests.values())]
    page, more = _page(response, list(_fitting(found, wanted)))
    return {"ResourceRequestStatusSummaries": page, **more}


def _fitting(events: list[dict[str, Any]], wanted: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for event in events:
        statuses, operations = wanted.get("OperationStatuses"), wanted.get("Operations")
        if event["OperationStatus"] in (statuses or [event["OperationStatus"]]) and event["Operation"] in (
            operations or [event["Operation"]]
        ):
            yield event


# -- the registry -------------------------------------------------------------------------------------------------------


@operation(CloudFormationResponse)
def describe_type(response: Any) -> dict[str, Any]:
    """What a type's schema is."""
    name = response._get_param("TypeName")
    if name not in TYPES:
        raise _RegistryError("TypeNotFoundException", f"The type '{name}' cannot be found.")
    return {
        "Type": "RESOURCE",
        "TypeName": name,
        "Schema": json.dumps(schema_of(name)),
        "ProvisioningType": "FULLY_MUTABLE",
    }


class _RegistryError(ServiceException):
    """What CloudFormation's registry refuses."""
