"""When something happens again and again: an interval or a cron expression. Runs nothing."""

from __future__ import annotations

import re
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from mlinfra.kinds.kind import Part, opaque
from mlinfra.kinds.units import Duration

_RANGES: Final = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_FIELD: Final = re.compile(r"(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:/(\d{1,2}))?")
_MESSAGE: Final = (
    'must be a cron expression of five fields (minute hour day month weekday, numbers, UTC) such as "0 3 * * 1"'
)


def check_cron(text: str) -> str:
    """The expression, its fields one space apart.

    Errors: ValueError.
    """
    fields = text.split()
    if len(fields) != len(_RANGES):
        raise ValueError(_MESSAGE)
    for field, (low, high) in zip(fields, _RANGES, strict=True):
        for item in field.split(","):
            match = _FIELD.fullmatch(item)
            if match is None:
                raise ValueError(_MESSAGE)
            numbers = [int(number) for number in match.groups()[:2] if number is not None]
            if any(not low <= number <= high for number in numbers) or numbers != sorted(numbers) or match[3] == "0":
                raise ValueError(f"{item} is out of the range {low}-{high} of its field in a cron expression")
    return " ".join(fields)


Cron = Annotated[
    str,
    AfterValidator(check_cron),
    WithJsonSchema({"type": "string", "pattern": r"^\s*\S+(\s+\S+){4}\s*$", "examples": ["0 3 * * *"]}),
]
"""Five fields, UTC: minute, hour, day of the month, month, day of the week (0 and 7: Sunday); ``* , - /`` and numbers."""


class Scheduled(Part):
    """What happens again and again: by ``every`` or by ``cron``."""

    every: Duration | None = Field(
        None, description="How often: 1h, 1d, or a number of seconds. Either this or `cron`."
    )
    cron: Cron | None = Field(
        None, description='When, as a cron expression in UTC: "0 3 * * *" is three o\'clock each night.'
    )

    @model_validator(mode="after")
    def _one_schedule(self) -> Self:
        if self.every is not None and self.cron is not None:
            raise ValueError('"every" and "cron" both say when: keep one of them')
        if not opaque(self.every) and self.every is not None and self.every < 1:
            raise ValueError('"every" must be one second or more')
        return self
