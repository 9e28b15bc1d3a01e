"""EventBridge Scheduler: what is done after the last call can be changed."""

from __future__ import annotations

from typing import Any

from moto.scheduler.responses import EventBridgeSchedulerResponse

from . import before


@before(EventBridgeSchedulerResponse, "update_schedule")
def _after_completion(response: Any) -> None:
    name = response.uri.split("?")[0].split("/")[-1]
    schedule = response.scheduler_backend.get_schedule(response._get_param("GroupName"), name)
    schedule.action_after_completion = response._get_param("ActionAfterCompletion") or "NONE"
