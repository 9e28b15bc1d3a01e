"""The recipe for kind ``secret``: a secret in Secrets Manager."""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from mlinfra.sdk.lowering import Lowering, Outputs
from mlinfra_aws.names import name

if TYPE_CHECKING:
    from mlinfra.kinds.secret import Secret

ALPHABETS: Final[Mapping[str, str]] = {
    "letters": string.ascii_letters + string.digits,
    "hex": "0123456789abcdef",
    # Punctuation that neither quotes, nor a shell or YAML within them, nor a URL's userinfo read as something else.
    "printable": string.ascii_letters + string.digits + "-_.~+=,^",
}
"""What a generated value is made of, by the kind's word for it."""


def lower(secret: Secret, lowering: Lowering) -> Outputs:
    """A secret whose value is made once, or taken from an environment variable or a file."""
    fields: dict[str, Any] = {
        "name": name(lowering.place, lowering.component, limit=256),
        "description": f"{lowering.component} of {lowering.place.blueprint} in {lowering.place.environment}",
        # One that can be thrown away leaves its name free at once.
        "recovery_window_in_days": 0 if lowering.place.disposable else 7,
    }
    if secret.generate is not None:
        characters = ALPHABETS[secret.generate.characters]
        fields["generate"] = {"length": secret.generate.length, "alphabet": characters}
    elif secret.env is not None:
        fields["env"] = secret.env
    else:
        fields["from_file"] = secret.file
    handle = lowering.resource("aws.secretsmanager_secret", "secret", fields, label="secret")
    lowering.share("secret", handle)
    return {"value": handle.ref("secret_string")}
