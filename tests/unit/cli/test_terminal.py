"""What is seen on a terminal, in a pipe, at any width, with and without colours."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from .conftest import HEAD, Project

ESCAPE = "\x1b"
SPINNER = re.compile("[\u2800-\u28ff]")
SLOW = (
    HEAD
    + """\
resource:
  web:
    type: local.process
    name: web
    command: [sh, -c, "sleep 1; exec python3 -m http.server {port:http} --bind 127.0.0.1"]
    ports: { http: }
    probe: { port: http, path: / }
"""
)
WRONG = HEAD + "storage:\n  lake: { versionin: true }\n"


@dataclass
class Terminal:
    """A command on a terminal of its own: what it shows, and the answers that it is given."""

    code: int
    screen: str


def on_terminal(
    project: Project,
    *arguments: str,
    width: int = 80,
    answer: str = "",
    prompt: bytes = b"[y/N]",
    env: dict[str, str] | None = None,
) -> Terminal:
    """Run a command on a pseudo-terminal; ``answer`` is typed once the ``prompt`` is seen."""
    import fcntl
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    given = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        [sys.executable, "-m", "mlinfra", *arguments],
        cwd=project.folder,
        env={**given, "TERM": "xterm-256color", **project.env, **(env or {})},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    seen = b""
    while True:
        ready, _, _ = select.select([ours], [], [], 60)
        assert ready, f"no end and no word for a minute: {seen.decode()}"
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the terminal's other end is closed
            break
        if not piece:
            break
        seen += piece
        if answer and prompt in seen:
            os.write(ours, answer.encode())
            answer = ""
    os.close(ours)
    return Terminal(process.wait(60), seen.decode("utf-8").replace("\r\n", "\n"))


def plain(screen: str) -> str:
    """What is left without colours."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen)


def test_a_pipe_gets_no_colour_and_no_spinner(project: Project) -> None:
    project.write(SLOW)
    for arguments in (("plan",), ("apply", "-y"), ("status",), ("destroy", "-y")):
        told = project.spawn(*arguments)
        assert told.code == 0, told.err
        assert ESCAPE not in told.out + told.err
        assert not SPINNER.search(told.out + told.err)
        assert "\r" not in told.out + told.err
        assert all(line == line.rstrip() for line in told.out.splitlines())


def test_a_terminal_gets_colour_and_moving_progress(project: Project) -> None:
    project.write(SLOW)
    told = on_terminal(project, "apply", "-y")
    assert told.code == 0
    assert ESCAPE in told.screen
    assert SPINNER.search(told.screen)
    assert "creating" in told.screen
    assert re.search(r"✓ resource\.web  created in \d", plain(told.screen))
    assert on_terminal(project, "destroy", "-y").code == 0


@pytest.mark.parametrize(
    ("arguments", "env"),
    [
        (("--no-color",), {}),
        ((), {"NO_COLOR": "1"}),
        ((), {"TERM": "dumb"}),
    ],
)
def test_colour_can_be_refused(project: Project, arguments: tuple[str, ...], env: dict[str, str]) -> None:
    told = on_terminal(project, "apply", "-y", *arguments, env=env)
    assert told.code == 0
    assert ESCAPE not in told.screen
    assert not SPINNER.search(told.screen)
    assert "resource.note: created in" in told.screen


def test_a_terminal_of_another_encoding_gets_what_it_can_show(project: Project) -> None:
    project.write(HEAD + 'resource:\n  a: { type: local.file, path: a.txt, content: "naïve → 漢字" }\n')
    told = project.spawn("plan", "--details", env={"PYTHONIOENCODING": "ascii"})
    assert told.code == 0
    assert "content: na?ve ? ??" in told.out


def test_ctrl_c_ends_to_follow_a_log(project: Project) -> None:
    project.write(SLOW.replace("sleep 1;", "echo begun;"))
    assert project.spawn("apply", "-y").code == 0
    try:
        told = on_terminal(project, "logs", "resource.web", "--follow", answer="\x03", prompt=b"begun")
        assert told.code == 0
        assert "Interrupted" not in told.screen
    finally:
        assert project.spawn("destroy", "-y").code == 0


def test_a_ci_job_on_a_terminal_gets_lines(project: Project) -> None:
    told = on_terminal(project, "apply", "-y", env={"CI": "true"})
    assert told.code == 0
    assert not SPINNER.search(told.screen)
    assert "resource.note: created in" in plain(told.screen)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_sentences_are_folded_at_the_terminals_width_and_nothing_is_lost(project: Project, width: int) -> None:
    project.write(WRONG)
    screen = plain(on_terminal(project, "validate", width=width).screen)
    assert all(len(line) <= max(width, 40) for line in screen.splitlines())
    piped = project.spawn("validate").err
    assert screen.split() == piped.split()


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_pipe_gets_the_same_lines_at_any_width(project: Project, width: int) -> None:
    for arguments in (("plan",), ("kinds", "endpoint"), ("providers",), ("validate",)):
        project.env["COLUMNS"] = str(width)
        told = project.done(*arguments)
        project.env["COLUMNS"] = "80"
        assert told.out == project.done(*arguments).out


@pytest.mark.parametrize("width", [40, 80, 200])
def test_help_fits_the_width(project: Project, width: int) -> None:
    project.env["COLUMNS"] = str(width)
    for command in ((), ("plan",), ("init",)):
        told = project.done(*command, "--help")
        assert max(map(len, told.out.splitlines())) <= max(width, 50)  # typer never wraps narrower


def test_the_question_takes_no_and_yes(project: Project) -> None:
    told = on_terminal(project, "apply", answer="n\n")
    assert told.code == 1
    assert "Not approved. Nothing was changed." in plain(told.screen)
    assert not (project.folder / "box").exists()
    told = on_terminal(project, "apply", answer="y\n")
    assert told.code == 0
    assert (project.folder / "box").exists()


def test_ctrl_c_at_the_question_ends_it(project: Project) -> None:
    told = on_terminal(project, "apply", answer="\x03")
    assert told.code == 130
    assert "Interrupted. Nothing was changed." in told.screen
    assert not (project.folder / "box").exists()
    # The lock is free again.
    assert project.done("apply", "-y").code == 0


@pytest.mark.parametrize("arguments", [("schema",), ("kinds", "endpoint"), ("plan",)])
def test_a_reader_that_goes_is_no_failure_of_ours(project: Project, arguments: tuple[str, ...]) -> None:
    many = "".join(f"  f{number}: {{ type: local.folder, path: f{number} }}\n" for number in range(2000))
    project.write(HEAD + "resource:\n" + many)
    command = f"{sys.executable} -m mlinfra {' '.join(arguments)} | head -1"
    done = subprocess.run(["sh", "-c", command], cwd=project.folder, capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_told_and_ends_no_run(project: Project) -> None:
    def shell(command: str) -> subprocess.CompletedProcess[str]:
        line = f"{sys.executable} -m mlinfra {command}"
        return subprocess.run(["sh", "-c", line], cwd=project.folder, capture_output=True, text=True, check=False)

    for command in ("plan >/dev/full", "plan --json >/dev/full", "schema >/dev/full"):
        told = shell(command)
        assert told.returncode == 1
        assert told.stderr.startswith("Error: Disk is full\n")
    # Progress that cannot be written is no reason to stop half way.
    assert shell("apply -y 2>/dev/full").returncode == 0
    assert project.done("plan").out.startswith("No changes.")
    assert shell("plan >&-").returncode == 0


def test_a_reader_of_progress_that_goes_ends_no_run(project: Project) -> None:
    many = "".join(f"  f{number}: {{ type: local.folder, path: f{number} }}\n" for number in range(300))
    project.write(HEAD + "resource:\n" + many)
    command = f"{sys.executable} -m mlinfra apply -y 2>&1 >/dev/null | head -1"
    subprocess.run(["sh", "-c", command], cwd=project.folder, capture_output=True, text=True, check=True)
    assert "No changes. 300 resources" in project.spawn("plan").out
