"""The Docker SDK is an extra: without it the types are known, and who needs an engine is told what to install."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BLUEPRINT = """
blueprint: nosdk
environments: { test: { provider: docker } }
resource: { net: { type: docker.network, name: nosdk-net } }
"""
WITHOUT = (
    "import sys; sys.modules['docker'] = sys.modules['requests'] = None; from mlinfra.__main__ import main; main()"
)


def test_without_the_sdk(tmp_path: Path) -> None:
    (tmp_path / "blueprint.yaml").write_text(BLUEPRINT)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", WITHOUT, *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    listed = run("providers")
    assert listed.returncode == 0, listed.stderr
    assert "docker.container" in listed.stdout
    planned = run("plan")
    assert planned.returncode == 0, planned.stderr
    applied = run("apply", "--auto-approve")
    assert applied.returncode == 1
    assert "python -m pip install 'mlinfra-cli[docker]'" in applied.stderr
