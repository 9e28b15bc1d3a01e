"""Where workloads are reached: by users and mlinfra at a port of the engine's machine, by one another by their names.

A recipe knows one URL, the outer one. Whatever a workload is given goes through `Addresses.within`, which puts inner URLs in
the place of outer ones, also of those that came by way of another resource's field. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlinfra.sdk.lowering import Handle, Lowering
from mlinfra.sdk.refs import Reference, expression, has_token, ref, references, resolve


@dataclass(frozen=True, slots=True)
class Reached:
    """Where workloads reach a service: the number of each port by its name, and the addresses of its containers."""

    ports: Mapping[str, int]
    addresses: tuple[str, ...]


@dataclass(slots=True)
class Addresses:
    """The addresses of one environment, as its workloads are realised one after the other."""

    _inner: dict[str, str] = field(default_factory=dict)
    """Outer URL, a token → inner URL, a text."""

    def announce(self, of: Handle, outer: str, inner: str) -> str:
        """The outer URL as a token that refers to what answers there, so that who uses it comes after that."""
        outer = expression("url", {"url": outer, "of": of.ref("name")})
        self._inner[outer] = inner
        return outer

    def within(self, value: Any, lowering: Lowering) -> tuple[Any, list[str]]:
        """A value as workloads are to have it, and the addresses of what it referred to by URLs that were replaced."""
        after: list[str] = []
        if not has_token(value):
            return value, after

        def evaluate(source: str, bindings: Mapping[str, Any]) -> Any:
            token = expression(source, bindings)
            inner = self._inner.get(token)
            if inner is None:
                return token
            after.extend(reference.address for reference in references(token))
            return inner

        def lookup(reference: Reference) -> Any:
            token = ref(reference.address, reference.path)
            behind = lowering.declared(reference.address, reference.path)
            if not has_token(behind):
                return token
            followed, passed = self.within(behind, lowering)
            if not passed:
                return token
            after.extend([reference.address, *passed])
            return followed

        return resolve(value, lookup, evaluate), list(dict.fromkeys(after))
