"""``orchestrator dev``: what it refuses, and what it says before Dagster takes over."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120)


MAIN = "from orchestrator_dagster.cli import main; main()"
WITHOUT_UI = f"import sys; sys.modules['dagster_webserver'] = None; {MAIN}"


def test_it_refuses_what_cannot_be_served(project: Path) -> None:
    found = run(WITHOUT_UI, "dev")
    assert found.returncode == 2
    assert found.stderr.splitlines()[-1] == "  next: pip install 'orchestrator-dagster[ui]'"
    (project / "workspace.yaml").unlink()
    found = run(MAIN, "dev")
    assert found.returncode == 2
    assert 'there is no workspace.yaml in "' in found.stderr
    assert not (project / ".orchestrator").exists()


def test_in_the_background_of_a_script_it_can_be_ended(project: Path) -> None:
    shown = "lambda *given: print(signal.getsignal(signal.SIGINT).name)"
    found = run(f"import os, signal; signal.signal(signal.SIGINT, signal.SIG_IGN); os.execv = {shown}; {MAIN}", "dev")
    assert found.stdout == "SIG_DFL\n", found.stderr


@pytest.mark.slow
def test_it_gives_no_advice_to_type_something_else(project: Path) -> None:
    found = run(MAIN, "dev", "-m", "one", "-f", "another.py")
    assert "Invalid set of CLI arguments" in found.stderr  # Dagster's own refusal, after it would have said it
    assert "superseded" not in found.stderr


@pytest.mark.slow
def test_it_says_where_the_ui_is(project: Path) -> None:
    found = run(MAIN, "dev", "-h", "0.0.0.0", "--port=3017", "--no-such-option")
    assert found.returncode == 2, found.stderr  # Dagster's own refusal: what is not ours goes to it
    assert "http://0.0.0.0:3017 in some seconds.\n" in found.stderr
    assert "Materialize all" in found.stderr
    assert "--no-such-option" in found.stderr
