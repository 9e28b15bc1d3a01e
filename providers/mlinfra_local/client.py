"""What resource types of this machine are given: where things lie, which uv installs, and locks between threads of one run."""

from __future__ import annotations

import os
import subprocess
import threading
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.provider import Place


@dataclass
class LocalClient:
    """``root`` is the blueprint's folder, ``work`` the environment's; both absolute. ``tree`` guards the making and removing
    of shared parent folders, ``ports`` the choice of free ports. ``children`` are processes started by this run: they are
    asked for their end, so that a dead one does not stay a zombie."""

    place: Place
    root: Path
    work: Path
    tree: threading.RLock = field(default_factory=threading.RLock)
    ports: threading.Lock = field(default_factory=threading.Lock)
    children: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    @cached_property
    def uv(self) -> str:
        """The path of the uv program.

        Errors: ProviderError if it is not installed.
        """
        try:
            import uv

            return uv.find_uv_bin()
        except (ImportError, FileNotFoundError) as error:
            raise ProviderError(
                "the program uv, which makes Python environments, is not there",
                remedy="Install mlinfra again: it brings uv along (python -m pip install uv).",
            ) from error


def connect(place: Place) -> LocalClient:
    """The client of one environment. Nothing is opened or made."""
    return LocalClient(place, absolute(place.root), absolute(place.work))


def absolute(path: Path) -> Path:
    """An absolute path without ``..``; links are not followed."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - Path.absolute keeps `..`
