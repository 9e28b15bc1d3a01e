"""EventBridge: lists of rules without members that are not in the model."""

from __future__ import annotations

from typing import Any

from moto.events.responses import EventsHandler

from . import operation


@operation(EventsHandler)
def list_rules(response: Any) -> dict[str, Any]:
    """The rules of a bus whose names begin so."""
    rules, token = response.events_backend.list_rules(
        prefix=response._get_param("NamePrefix"),
        event_bus_arn=response._get_param("EventBusName"),
        next_token=response._get_param("NextToken"),
        limit=response._get_param("Limit"),
    )
    told = [{key: value for key, value in rule.describe().items() if key != "CreatedBy"} for rule in rules]
    return {"Rules": told, **({"NextToken": token} if token else {})}
