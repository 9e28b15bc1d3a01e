"""The recipe for kind ``secret`` on a Docker engine: a value that the engine keeps."""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from mlinfra.sdk.lowering import Lowering, Outputs
from mlinfra_docker.images.software import PYTHON_IMAGE
from mlinfra_docker.naming import Names

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
    """A value that is made once, or taken from an environment variable or a file of the command line's machine."""
    names = Names(lowering.place)
    fields: dict[str, Any] = {
        "name": names.object(lowering.component),
        "image": names.image(PYTHON_IMAGE),
        "env": secret.env,
        "from_file": secret.file,
    }
    if secret.generate is not None:
        characters = ALPHABETS[secret.generate.characters]
        fields["generate"] = {"length": secret.generate.length, "alphabet": characters}
    handle = lowering.resource("docker.secret", "secret", fields, label="secret")
    return {"value": handle.ref("value")}
