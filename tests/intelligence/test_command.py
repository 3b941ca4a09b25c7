"""`orchestrator compile`, as it is called in a shell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from orchestrator_dagster.cli import main


@pytest.fixture
def compile(project: Path, letters: str, orchestrator: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Calls the command in a project with the pipeline and the scripted orchestrator."""
    monkeypatch.setenv("OPENAI_BASE_URL", orchestrator.server.url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-123456789")
    (project / "pipelines" / "letters.yaml").write_text(letters, encoding="utf-8")

    def call(*options: str) -> Result:
        return CliRunner().invoke(main, ["compile", "pipelines/letters.yaml", *options])

    return call


def test_it_prints_intention_architecture_and_alignment_once_asked(compile: Any, orchestrator: Any) -> None:
    first = compile()
    assert first.exit_code == 0, first.output
    assert first.stdout.startswith("# Intention\n\nLetters to a town library are answered where they ask something.")
    assert "\n# Architecture\n\nA loop over `letters` feeds one step" in first.stdout
    assert first.stdout.endswith("# Alignment\n\nThe build does what is intended.\n")
    assert first.stderr.startswith("asked openai:gpt-4o-mini: 3 calls, ")
    kept = compile("--json")
    document = json.loads(kept.stdout)
    assert (kept.exit_code, kept.stderr) == (0, "")
    assert (document["kept"], document["complete"], document["alignment"]["state"]) == (True, True, "aligned")
    assert len(orchestrator.asked()) == 3
    assert json.loads(compile("--json", "--refresh").stdout)["kept"] is False
    assert len(orchestrator.asked()) == 6


def test_a_mismatch_ends_with_2_and_the_finding(compile: Any, orchestrator: Any, good: Any, project: Path) -> None:
    orchestrator.answers("alignment", good.MISALIGNED)
    found = compile()
    assert found.exit_code == 2
    assert 'step "gather": It counts the answers and files none of them.' in found.stderr
    assert "next: Put the answers into it." in found.stderr
    assert "# Intention" in found.stdout
    path = project / "pipelines" / "letters.yaml"
    path.write_text(f"alignment: {{ignore: By hand.}}\n{path.read_text()}", encoding="utf-8")
    accepted = compile()
    assert accepted.exit_code == 0
    assert accepted.stdout.endswith("It is accepted: By hand.\n")


def test_without_a_model_it_is_structural_and_says_so(
    compile: Any, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = project / "pipelines" / "letters.yaml"
    path.write_text(path.read_text().replace("openai:gpt-4o-mini", "builtin:extractive"), encoding="utf-8")
    found = compile()
    assert found.exit_code == 0
    assert "no model wrote it (builtin:extractive cannot describe a pipeline: it only takes sentences" in found.stdout
    assert "Not checked: builtin:extractive cannot describe a pipeline" in found.stdout
    assert not (project / ".orchestrator").exists()
    path.write_text("id: letters\nsteps: [{id: a, tool: nope}]", encoding="utf-8")
    wrong = compile()
    assert wrong.exit_code == 2
    assert "error[unknown-tool]" in wrong.stderr
