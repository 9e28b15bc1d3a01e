"""From the software of a workload to an image: which one it is built on, and the texts that it is built from. Pure.

Nothing is installed when a container starts: what a workload needs is in its image.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from mlinfra.sdk.workload import Software

PYTHON_IMAGE: Final = "python:3.11-slim"
"""What runs the few small programs of this provider itself."""
VENV: Final = "/opt/mlinfra"
INTERPRETER: Final = f"{VENV}/bin/python"
"""The interpreter of what was added to an image."""
PLAIN: Final = "python3"
"""That of an image to which nothing is added."""
UV: Final = "uv>=0.5,<1"
_PYTHON_NAME: Final = re.compile(r"(.*/)?python(:.*)?(@.*)?")


def adds(software: Software) -> bool:
    """Whether something is added to the image that the software names."""
    return bool(software.lock or software.requirements)


def speaks_python(software: Software) -> bool:
    """Whether a container of it can run a line of Python."""
    return adds(software) or _PYTHON_NAME.fullmatch(software.image) is not None


def interpreter(software: Software) -> str:
    """The interpreter of its containers."""
    return INTERPRETER if adds(software) else PLAIN


def recipe(software: Software, base: str) -> Mapping[str, str]:
    """The files that its image is built from, by name. Requirements may hold tokens."""
    locked = "--require-hashes " if software.lock else ""
    dockerfile = f"""FROM {base}
RUN python3 -m pip install --quiet --no-cache-dir --disable-pip-version-check --root-user-action ignore "{UV}"
COPY requirements.txt {VENV}/requirements.txt
RUN uv venv --quiet --no-python-downloads --allow-existing {VENV} \\
    && uv pip install --quiet --no-cache --compile-bytecode --python {INTERPRETER} {locked}-r {VENV}/requirements.txt
ENV PATH={VENV}/bin:$PATH PYTHONUNBUFFERED=1
"""
    return {"Dockerfile": dockerfile, "requirements.txt": software.lock or "\n".join(software.requirements) + "\n"}
