"""Names of objects: made of blueprint, environment and address, always the same, within each service's limit."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from mlinfra.sdk.provider import Place

HASH = 8
"""Hex digits of the hash that keeps a shortened name apart from others."""


def name(place: Place, component: str, *parts: str, limit: int = 63, tail: str = "") -> str:
    """``fraud-staging-endpoint-fraud-champion``: small letters, digits and hyphens. A name that would be too long, or in which
    another character had to go, ends in a hash of the whole. ``tail`` (a version, an account) stands at its end."""
    words = [place.blueprint, place.environment, *component.split("."), *parts]
    whole = "-".join(word for word in words if word)
    plain = re.sub(r"[^a-z0-9]+", "-", whole.lower()).strip("-")
    room = limit - (len(tail) + 1 if tail else 0)
    if plain != whole or len(plain) > room:
        plain = f"{plain[: room - HASH - 1].rstrip('-')}-{digest(whole)}"
    return f"{plain}-{tail}" if tail else plain


def digest(text: str, length: int = HASH) -> str:
    """A short hash, the same everywhere."""
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def common_start(names: Iterable[str]) -> str:
    """How all names begin: what a list of a service is narrowed down with."""
    every = list(names)
    first, last = min(every), max(every)
    length = next((i for i, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), len(first))
    return first[:length]
