"""The kinds of components: one file a kind, its portable model. Knows no provider, no tool and no runtime.

`KINDS` is a table of names, so that reading it costs nothing; a model is imported when it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mlinfra.kinds.kind import Kind

KINDS: Final[Mapping[str, str]] = {
    "storage": "mlinfra.kinds.storage:Storage",
    "secret": "mlinfra.kinds.secret:Secret",
    "registry": "mlinfra.kinds.registry:Registry",
    "feature_store": "mlinfra.kinds.feature_store:FeatureStore",
    "training": "mlinfra.kinds.training:Training",
    "endpoint": "mlinfra.kinds.endpoint:Endpoint",
    "monitor": "mlinfra.kinds.monitor:Monitor",
}
"""A kind, as a blueprint's section is called → the model of its components."""


def kind_model(name: str) -> type[Kind] | None:
    """The model of a kind, or None if there is no such kind."""
    target = KINDS.get(name)
    if target is None:
        return None
    module, _, attribute = target.partition(":")
    found: Any = getattr(import_module(module), attribute)
    model: type[Kind] = found
    return model
