"""The sandbox of expressions: which filters and methods they may use, and how much they may make. Imports jinja2, so import late.

An expression is given in a blueprint that may come from elsewhere. It cannot reach Python, and no expression of legal length
can use noticeable time or memory: everything that can make much out of little is charged to a budget, before it is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any, Final

from jinja2 import StrictUndefined
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS

BUDGET: Final = 1_000_000
"""Characters and items that one expression may make."""
_BITS: Final = 4096
_RANGE: Final = 10_000
_STEPS: Final = 100_000
"""Weight of one value, above which it is not looked at any further."""

# fmt: off
FILTER_NAMES: Final = (
    "abs", "capitalize", "count", "d", "default", "dictsort", "first", "float", "int", "items", "join", "last", "length",
    "list", "lower", "map", "max", "min", "reject", "rejectattr", "replace", "reverse", "round", "select", "selectattr",
    "sort", "string", "sum", "title", "tojson", "trim", "unique", "upper",
)
_NOT_TESTS: Final = {"callable", "escaped", "filter", "test", "sameas"}
_METHODS: Final[Mapping[type, frozenset[str]]] = {
    str: frozenset((
        "lower", "upper", "title", "capitalize", "strip", "lstrip", "rstrip", "split", "rsplit", "splitlines",
        "startswith", "endswith", "removeprefix", "removesuffix", "replace", "join", "count", "find", "isdigit",
        "isalpha", "isalnum",
    )),
    dict: frozenset(("keys", "values", "items", "get")),
    list: frozenset(("index", "count")),
    tuple: frozenset(("index", "count")),
}
# fmt: on

_spent: ContextVar[int] = ContextVar("spent", default=0)


def reset() -> None:
    """Start a new budget: call it before each evaluation."""
    _spent.set(0)


def charge(amount: int) -> None:
    """Take from the budget. Errors: OverflowError if it is used up."""
    spent = _spent.get() + max(amount, 0)
    if spent > BUDGET:
        raise OverflowError("it makes more than an expression may make")
    _spent.set(spent)


def weight(value: Any, limit: int = _STEPS) -> int:
    """Characters and items in a value, counted up to a limit."""
    total, stack = 0, [value]
    while stack and total <= limit:
        item = stack.pop()
        if isinstance(item, str):
            total += len(item)
        elif isinstance(item, Mapping):
            total += len(item)
            stack.extend(item.values())
        elif isinstance(item, list | tuple):
            total += len(item)
            stack.extend(item)
        total += 1
    return total


def _replaced(text: Any, old: Any, new: Any, count: int | None = None) -> str:
    text, old, new = str(text), str(old), str(new)
    charge(len(text) + (text.count(old) if old else len(text) + 1) * len(new))
    replaced: str = text.replace(old, new, -1 if count is None else count)
    return replaced


def _joined(items: Any, separator: Any = "", attribute: Any = None) -> str:
    if attribute is not None:
        raise SecurityError("join takes no attribute here; use map(attribute=…) first")
    texts = [item if isinstance(item, str) else _text(item) for item in items]
    charge(sum(map(len, texts)) + len(str(separator)) * len(texts))
    return str(separator).join(texts)


def _text(value: Any) -> str:
    charge(weight(value))
    return str(value)


def _rounded(value: Any, precision: int = 0, method: str = "common") -> Any:
    if not -20 <= int(precision) <= 20:
        raise OverflowError("round takes a precision of 20 digits at most")
    return FILTERS["round"](value, precision, method)


def _json(value: Any) -> str:
    import json

    charge(2 * weight(value, BUDGET))
    return json.dumps(value)


def _within(value: Any, items: Any) -> bool:
    charge(weight(items))  # select('in', …) looks through all of them for each of its own
    return value in items


def _range(*bounds: int) -> list[int]:
    made = range(*bounds)
    if len(made) > _RANGE:
        raise OverflowError(f"a range may have {_RANGE} items")
    charge(len(made))
    return list(made)


_OWN: Final[Mapping[str, Callable[..., Any]]] = {
    "replace": _replaced,
    "join": _joined,
    "round": _rounded,
    "tojson": _json,
    "string": _text,
}


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja without anything that a blueprint does not need."""

    intercepted_binops = frozenset(ImmutableSandboxedEnvironment.default_binop_table)

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, optimized=False, autoescape=False)
        self.filters = {name: _OWN.get(name, FILTERS[name]) for name in FILTER_NAMES}
        self.tests = {name: test for name, test in TESTS.items() if name not in _NOT_TESTS} | {"in": _within}
        self.globals = {"range": _range}

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "%" and isinstance(left, str):
            raise SecurityError("text is put together with ~, not with %")
        if operator == "*":
            _check_product(left, right)
        elif operator == "**":
            _check_power(left, right)
        elif operator == "+" and not isinstance(left, int | float):
            charge(_length(left) + _length(right))
        return super().call_binop(context, operator, left, right)

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, Mapping):
            if attribute in obj:
                return obj[attribute]
            if attribute not in _METHODS[dict]:
                return self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return attr in _METHODS.get(type(obj), ())

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805 (as in jinja2)
        if __obj is not _range:
            owner, name = getattr(__obj, "__self__", None), getattr(__obj, "__name__", "")
            if name not in _METHODS.get(type(owner), ()):
                raise SecurityError("only range() and methods of text, lists and mappings can be called")
            if name == "replace":
                return _replaced(owner, *args)
            if name == "join":
                return _joined(args[0], owner)
        return super().call(__context, __obj, *args, **kwargs)


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str | list | tuple | dict) else 1


def _check_product(left: Any, right: Any) -> None:
    for many, times in ((left, right), (right, left)):
        if isinstance(many, str | list | tuple) and isinstance(times, int):
            charge(weight(many) * max(times, 0))
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() + right.bit_length() > _BITS:
        raise OverflowError("the product is too large")


def _check_power(left: Any, right: Any) -> None:
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() * abs(right) > _BITS:
        raise OverflowError("the power is too large")


def listed(value: Any) -> Any:
    """A result as JSON values: what filters give lazily becomes a list, within the budget."""
    if isinstance(value, Iterator) or type(value).__name__ in ("dict_keys", "dict_values", "dict_items"):
        made = []
        for item in value:
            charge(weight(item))
            made.append(listed(item))
        return made
    if isinstance(value, Mapping):
        return {key: listed(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [listed(item) for item in value]
    return value
