"""What AWS does and moto does not, one module a service. Importing a module puts it into moto's classes."""

from __future__ import annotations

import functools
import pkgutil
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from moto.core.responses import ActionResult, BaseResponse, EmptyResult


def install() -> None:
    """Put all of it into moto; once is enough, more does no harm."""
    for module in pkgutil.iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")


def operation(where: type[BaseResponse]) -> Callable[[Callable[..., Mapping[str, Any] | None]], Any]:
    """Adds an operation to a service of moto, or takes the place of its own.

    The function is named as the operation, in small letters with underscores; it is given the moto response object (whose
    ``_get_param`` tells parameters) and returns what the operation's output says, or None for nothing.
    """

    def add(function: Callable[[Any], Mapping[str, Any] | None]) -> Callable[[Any], Mapping[str, Any] | None]:
        @functools.wraps(function)
        def method(response: Any) -> ActionResult:
            result = function(response)
            return EmptyResult() if result is None else ActionResult(result)

        setattr(where, function.__name__, method)
        return function

    return add


def before(where: type[BaseResponse], name: str) -> Callable[[Callable[[Any], None]], Any]:
    """Has a function look at a request before moto's own operation ``name`` is done; it may raise or change parameters."""

    def wrap(function: Callable[[Any], None]) -> Callable[[Any], None]:
        original = getattr(where, name)

        @functools.wraps(original)
        def method(response: Any) -> Any:
            function(response)
            return original(response)

        setattr(where, name, method)
        return function

    return wrap
