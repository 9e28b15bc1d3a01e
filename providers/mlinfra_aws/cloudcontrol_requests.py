"""Requests to Cloud Control: begun with a token, looked at until they are through, told as an error if they fail."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mlinfra.sdk.resource import Operation
from mlinfra_aws.client import AwsClient
from mlinfra_aws.cloudformation_account import unsupported
from mlinfra_aws.errors import AwsError
from mlinfra_aws.waits import until

WORKING: Final = ("PENDING", "IN_PROGRESS", "CANCEL_IN_PROGRESS")
THROUGH: Final = ("SUCCESS", "FAILED", "CANCEL_COMPLETE")
NAMED: Final = "NAMED"
"""Of ours: still working, and its object has an identifier."""
TIMEOUT: Final = 2 * 60 * 60.0
"""Seconds for a request: the longest that CloudFormation's handlers take."""
EVERY: Final = 3.0
"""Seconds between looks."""
UNSUPPORTED: Final = ("TypeNotFoundException", "UnsupportedActionException", "PrivateTypeException")
BUSY: Final = ("ConcurrentOperationException", "ResourceConflictException")


@dataclass(frozen=True, slots=True)
class Requests:
    """Requests about objects of one type."""

    client: AwsClient
    op: Operation
    type_name: str

    def begun(self, operation: str, token: str, *, named: bool, **params: Any) -> str:
        """Begin one that makes an object; its identifier, as soon as it is certain. One that AWS makes is so once it is told; one
        that is the object's own name (``named``) is told at once, and may yet turn out to be somebody else's.

        Errors: AwsError with the handler's own code if it fails before that.
        """
        event = self._wait(self._call(operation, token, params), f"the {self.type_name}", certain=not named)
        self._told(operation, event)
        return str(event["Identifier"])

    def through(self, operation: str, **params: Any) -> None:
        """Begin one, and wait for its end. The same step with the same content is the same request, however often it is sent.

        Errors: AwsError with the handler's own code if it fails.
        """
        digest = hashlib.sha256(json.dumps([operation, params], sort_keys=True).encode()).hexdigest()
        token = f"{self.op.token}-{digest[:16]}"
        try:
            event = self._call(operation, token, params)
        except AwsError as error:
            if error.code not in BUSY:
                raise
            # A request of an earlier run, or somebody else's, is still at it.
            self.calm(str(params["Identifier"]))
            event = self._call(operation, f"{token}-2", params)
        self._told(operation, self._wait(event, self._what(params["Identifier"])))

    def calm(self, identifier: str) -> None:
        """Wait for the end of what is being done to an object.

        Errors: AwsError if that fails.
        """
        chosen = {"OperationStatuses": list(WORKING)}
        running = self.client.pages(
            "cloudcontrol",
            "ListResourceRequests",
            "ResourceRequestStatusSummaries",
            ResourceRequestStatusFilter=chosen,
            MaxResults=100,
        )
        for event in list(running):
            if (event.get("TypeName"), event.get("Identifier")) == (self.type_name, identifier):
                self._told(f"{event['Operation'].capitalize()}Resource", self._wait(event, self._what(identifier)))

    # -- one request ----------------------------------------------------------------------------------------------------

    def _call(self, operation: str, token: str, params: Mapping[str, Any]) -> dict[str, Any]:
        try:
            answer = self.client.call(
                "cloudcontrol", operation, op=self.op, TypeName=self.type_name, ClientToken=token, **params
            )
        except AwsError as error:
            if error.code in UNSUPPORTED:
                raise unsupported(self.client, self.type_name) from error
            raise
        found: dict[str, Any] = answer["ProgressEvent"]
        return found

    def _wait(self, event: dict[str, Any], what: str, *, certain: bool = False) -> dict[str, Any]:
        """The event with which a request ends; with ``certain`` the first that tells the identifier will do."""

        def look() -> tuple[str, str]:
            nonlocal event
            if event["OperationStatus"] not in THROUGH and not (certain and event.get("Identifier")):
                token = event["RequestToken"]
                event = self.client.call("cloudcontrol", "GetResourceRequestStatus", RequestToken=token)[
                    "ProgressEvent"
                ]
            status = str(event["OperationStatus"])
            return (NAMED if certain and event.get("Identifier") and status in WORKING else status), ""

        until(self.client, self.op, what, look, ready=(*THROUGH, NAMED), working=WORKING, timeout=TIMEOUT, every=EVERY)
        return event

    def _told(self, operation: str, event: Mapping[str, Any]) -> None:
        """Errors: AwsError if the request ended otherwise than well."""
        if event["OperationStatus"] in ("FAILED", "CANCEL_COMPLETE"):
            code = str(event.get("ErrorCode") or event["OperationStatus"])
            text = str(event.get("StatusMessage") or "AWS tells no reason")
            raise AwsError("cloudcontrol", operation, code, f"{self.type_name}: {text}", 400)

    def _what(self, identifier: Any) -> str:
        return f"the {self.type_name} {identifier}"
