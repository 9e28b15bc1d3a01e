"""Expressions: what stands in ``${...}`` and is more than a name. Which names one uses, and its value over given bindings.

Knows nothing of components: `references` binds names to values or tokens. Jinja is imported when the first expression occurs.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final

from mlinfra.sdk.diagnostics import fail
from mlinfra.sdk.refs import Sensitive

if TYPE_CHECKING:
    from mlinfra.blueprint.limits import Sandbox

LONGEST: Final = 2000
"""Characters of an expression."""
SECRET: Final = "__sensitive__"
"""A binding of this name says that the result is a secret."""
PARTS: Final = "__parts__"
"""A binding of this name holds the parts of a text; there is no source then, and the result is the text."""

Chain = tuple[str | int, ...]


class ExpressionError(ValueError):
    """An expression cannot be read or has no value. The message is a clause in plain words."""


def chains(source: str) -> list[Chain]:
    """The names that an expression uses, each as the longest constant path: ``storage.lake.url[0]`` is one.

    Errors: ExpressionError if it does not parse.
    """
    from jinja2 import TemplateError, nodes

    if len(source) > LONGEST:
        raise ExpressionError(f"it is longer than {LONGEST} characters")
    _compile(source)
    try:
        # The source between markers that the sandbox itself would use: `_compile` has proved that it is one expression.
        tree = _sandbox().parse("{{ (" + source + "\n) }}")
        found: list[Chain] = []
        stack: list[tuple[nodes.Node, bool]] = [(tree, False)]
        while stack:
            node, called = stack.pop()
            chain = _chain(node)
            if chain is not None:
                found.append(chain[:-1] if called and len(chain) > 1 else chain)
                continue
            for child in node.iter_child_nodes():
                stack.append((child, isinstance(node, nodes.Call) and child is node.node))
        return list(dict.fromkeys(reversed(found)))
    except (TemplateError, RecursionError) as error:
        raise ExpressionError(_reason(error)) from None


def _chain(node: Any) -> Chain | None:
    from jinja2 import nodes

    steps: list[str | int] = []
    while isinstance(node, nodes.Getattr | nodes.Getitem):
        if isinstance(node, nodes.Getattr):
            steps.append(node.attr)
        elif isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str | int):
            steps.append(node.arg.value)
        else:
            return None
        node = node.node
    if not isinstance(node, nodes.Name):
        return None
    return (node.name, *reversed(steps))


def evaluate(source: str, bindings: Mapping[str, Any]) -> Any:
    """The value of an expression over resolved bindings: what `mlinfra.sdk.refs.resolve` is to be given.

    A binding that holds a `Sensitive` makes every text of the result `Sensitive`. Errors: DiagnosticError.
    """
    try:
        return value_of(source, bindings)
    except ExpressionError as error:
        raise fail(
            "expression-failed",
            "Expression has no value",
            f'"${{{source}}}" has no value: {error}.',
            "Correct the expression.",
        ) from None


def value_of(source: str, bindings: Mapping[str, Any]) -> Any:
    """As `evaluate`. Errors: ExpressionError."""
    secret = bool(bindings.get(SECRET)) or _has_secret(bindings)
    if PARTS in bindings:
        return Sensitive("".join(text_of(part) for part in bindings[PARTS]))
    try:
        result = _value(source, {name: _revealed(value) for name, value in bindings.items() if name != SECRET})
    except ExpressionError:
        if secret:
            raise ExpressionError("it fails; the reason is not shown, since it may hold a secret") from None
        raise
    return _concealed(result) if secret else result


def _value(source: str, bindings: Mapping[str, Any]) -> Any:
    if len(source) > LONGEST:
        raise ExpressionError(f"it is longer than {LONGEST} characters")
    compiled = _compile(source)
    from jinja2 import Undefined

    from mlinfra.blueprint import limits

    limits.reset()
    try:
        result = compiled(**bindings)
        if isinstance(result, Undefined):
            result = str(result)  # a strict one raises here, and says what is missing
        result = limits.listed(result)
        if limits.weight(result, limits.BUDGET) > limits.BUDGET:
            raise OverflowError("its value is too large")
    except Exception as error:  # An expression is a small program of the user's: it may raise anything.
        raise ExpressionError(_reason(error)) from None
    if not _is_json(result):
        raise ExpressionError("its value is not text, a number, true or false, a list or a mapping")
    return result


@lru_cache(maxsize=4096)
def _compile(source: str) -> Any:
    from jinja2 import TemplateError

    try:
        return _sandbox().compile_expression(source, undefined_to_none=False)
    except (TemplateError, SyntaxError, RecursionError, MemoryError, ValueError, OverflowError) as error:
        raise ExpressionError(_reason(error)) from None


@cache
def _sandbox() -> Sandbox:
    from mlinfra.blueprint.limits import Sandbox

    return Sandbox()


def _reason(error: BaseException) -> str:
    if isinstance(error, RecursionError | MemoryError):
        return "it is nested too deeply"
    if isinstance(error, ZeroDivisionError):
        return "it divides by zero"
    text = str(getattr(error, "message", None) or error or type(error).__name__).splitlines()[0].rstrip(".")
    return text.replace("'dict object'", "the mapping").replace("has no attribute", "has no key")[:300]


def text_of(value: Any) -> str:
    """A value within a longer text, as `mlinfra.sdk.refs` puts it there."""
    if isinstance(value, Sensitive):
        return value.reveal()
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        import json

        return json.dumps(value)
    return str(value)


def _is_json(value: Any) -> bool:
    import math

    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(_is_json, value))
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, str | int)


def _has_secret(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_secret, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_has_secret, value))
    return isinstance(value, Sensitive)


def _revealed(value: Any) -> Any:
    if isinstance(value, Sensitive):
        return value.reveal()
    if isinstance(value, Mapping):
        return {key: _revealed(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_revealed(item) for item in value]
    return value


def _concealed(value: Any) -> Any:
    if isinstance(value, str):
        return Sensitive(value)
    if isinstance(value, dict):
        return {key: _concealed(item) for key, item in value.items()}
    return [_concealed(item) for item in value] if isinstance(value, list) else value
