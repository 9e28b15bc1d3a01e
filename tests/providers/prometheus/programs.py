"""promtool and amtool: those of this machine, or those of the images on a Docker engine."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from mlinfra_tools.versions import ALERTMANAGER, PROMETHEUS

IMAGES = {"promtool": PROMETHEUS.image, "amtool": ALERTMANAGER.image}


def run(program: str, arguments: list[str], files: Mapping[str, str], folder: Path) -> tuple[int, str]:
    """Run a program in a folder with some files: its exit code, and what it printed. Skips with the reason where it cannot be
    had; in CI, fails."""
    for name, text in files.items():
        (folder / name).write_text(text, "utf-8")
    if shutil.which(program):
        done = subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr
    return _in_a_container(program, arguments, files)


def _in_a_container(program: str, arguments: list[str], files: Mapping[str, str]) -> tuple[int, str]:
    from docker import APIClient
    from docker.errors import DockerException

    try:
        api = APIClient(base_url=os.environ.get("DOCKER_HOST"), version="auto")
        made = api.create_container(IMAGES[program], arguments, entrypoint=[program], working_dir="/tmp/files")["Id"]
    except DockerException as error:
        why = f"there is no {program} here, and no Docker engine with {IMAGES[program]}: {error}"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    try:
        api.put_archive(made, "/", _archive(files))
        api.start(made)
        code = int(api.wait(made)["StatusCode"])
        return code, api.logs(made).decode()
    finally:
        api.remove_container(made, v=True, force=True)
        api.close()


def _archive(files: Mapping[str, str]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, text in files.items():
            item = tarfile.TarInfo(f"tmp/files/{name}")
            item.size, item.mode = len(text.encode()), 0o644
            tar.addfile(item, io.BytesIO(text.encode()))
    return stream.getvalue()
