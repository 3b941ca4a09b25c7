"""``orchestrator resume`` after the pipeline's file was mended: the note, and the command that takes the mended file."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Write = Callable[[str, str], Path]
FILE = "pipelines/f.yaml"
WRONG = "id: f\nsteps:\n  - {id: read, tool: filesystem, action: read, parameters: {path: no.txt}}\n"


def orchestrator(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "orchestrator_dagster.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def last(stderr: str) -> str:
    return stderr.splitlines()[-1].removeprefix("next: orchestrator ")


@pytest.mark.slow
def test_a_file_that_was_mended_is_told_and_taken_by_the_next_command(write: Write, project: Path) -> None:
    write(FILE, WRONG)
    failed = orchestrator("run", FILE)
    assert last(failed.stderr).startswith("resume ")
    assert "--file" not in last(failed.stderr)
    (project / "here.txt").write_text("here")
    write(FILE, WRONG.replace("no.txt", "here.txt"))
    first = orchestrator(*shlex.split(last(failed.stderr)), "--quiet")
    assert first.returncode == 1
    assert first.stderr.startswith(f"note: {FILE} has changed since the launch, and")
    assert last(first.stderr).endswith(f" --file {FILE}")
    second = orchestrator(*shlex.split(last(first.stderr)))
    assert second.returncode == 0, second.stderr
    assert "note:" not in second.stderr


@pytest.mark.slow
def test_a_file_with_errors_by_now_and_one_that_is_gone_stop_no_resume(write: Write, project: Path) -> None:
    write(FILE, WRONG)
    failed = orchestrator("run", FILE)
    write(FILE, "id: f\nsteps: nothing\n")
    with_errors = orchestrator(*shlex.split(last(failed.stderr)))
    assert with_errors.stderr.startswith("note: ")
    (project / FILE).unlink()
    (project / "no.txt").write_text("here")
    gone = orchestrator("resume", last(with_errors.stderr).split()[1])
    assert gone.returncode == 0, gone.stderr
    assert "note:" not in gone.stderr
