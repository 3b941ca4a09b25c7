"""The commands `plan` and `models`, as processes of 100 columns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator_dagster.testing import ModelServer

Write = Callable[[str, str], Path]
KEY = "a-planted-key-0123456789"

PIPELINE = """\
id: triage
default_model: openai:gpt-5-mini
selection_schema: {strategy: balanced, fallback: [gemini:gemini-2.5-flash]}
inputs:
  - topic: None
  - files: [a, b, c]
steps:
  - id: outline
    prompt: Plan a report about {{ topic }}.
    selection_schema: cost
  - id: each
    for_each: "{{ files }}"
    steps:
      - {id: read, tool: filesystem, action: read, parameters: {path: "{{ item }}"}}
      - id: gist
        prompt: Summarise.
        parameters: {text: "{{ read }}"}
        model: [openai:gpt-5-mini, anthropic:claude-haiku-4-5, "own:mine", "ollama:llama3.2:1b"]
        requires_model: {min_size: 7b}
        max_tokens: 100
  - id: polish
    while: "{{ polish.iteration < 2 }}"
    max_iterations: 4
    prompt: Polish.
    model: "own:mine"
  - id: report
    condition: "{{ each.count > 1 }}"
    prompt: "Write {{ each.results }}"
    products:
      - report: report.md
"""


@pytest.fixture
def command(project: Path, write: Write, model_server: ModelServer) -> Callable[..., subprocess.CompletedProcess[str]]:
    write("pipelines/triage.yaml", PIPELINE)
    entry = f"{{provider: openai, model: test-model, base_url: '{model_server.url}', context: 30000, quality: 1400}}"
    write("models.yaml", f"models:\n  mine: {entry}\n")

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "orchestrator_dagster.cli", *arguments],
            env={**os.environ, "OLLAMA_API_BASE": "http://127.0.0.1:9", "COLUMNS": "100", **environment},
            capture_output=True,
            text=True,
        )

    return run


def test_a_plan_as_json(command: Any, model_server: ModelServer, project: Path) -> None:
    done = command("plan", "pipelines/triage.yaml", "-i", "topic=trees", "--json", OPENAI_API_KEY=KEY)
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    steps = {step["id"]: step for step in plan["steps"]}
    assert list(steps) == ["outline", "each", "each/read", "each/gist", "polish", "report"]
    assert [(one["model"], one["times"], one["at_most"]) for one in plan["steps"]] == [
        ("openai:gpt-5-nano", 1, False),
        (None, 1, False),
        (None, 3, False),
        ("openai:gpt-5-mini", 3, False),
        ("own:mine", 4, True),
        ("openai:gpt-5-mini", 1, True),
    ]
    gist = steps["each/gist"]
    assert gist["reason"] == "the step's model: the best for its price of 4 candidates, 2 of which fit"
    assert gist["fallbacks"] == ["gemini:gemini-2.5-flash"]
    refused = {one["model"]: one["refused"] for one in gist["candidates"] if not one["fits"]}
    assert refused == {
        "anthropic:claude-haiku-4-5": ["ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN is not set"],
        "ollama:llama3.2:1b": ["1b, at least 7b are needed"],
    }
    # What a file has in it counts as 1,000 tokens; gpt-5-mini costs 0.25 and 2 US dollars a million tokens.
    assert 1_000 < gist["input_tokens"] < 1_300
    assert gist["cost"] == pytest.approx(gist["input_tokens"] * 0.25e-6 + 100 * 2e-6)
    assert plan["estimate_complete"] is False
    costs = [steps[name]["cost"] * steps[name]["times"] for name in ("outline", "each/gist", "report")]
    assert plan["estimated_cost"] == pytest.approx(sum(costs))
    assert plan["servers"] == {"http://127.0.0.1:9": False, model_server.url: True}
    assert steps["report"]["products"] == ["report.md"]
    assert model_server.calls == []
    assert KEY not in done.stdout + done.stderr
    assert not (project / "outputs").exists()


def test_a_plan_on_the_screen(command: Any) -> None:
    done = command("plan", "pipelines/triage.yaml", OPENAI_API_KEY=KEY, COLUMNS="100")
    assert done.returncode == 0, done.stderr
    text = done.stdout
    assert max(map(len, text.splitlines())) <= 100
    assert "still to give: topic" in text
    assert "(at most 4 times)" in text
    assert "(when {{ each.count > 1 }})" in text
    assert "price not known" in text
    assert "> openai:gpt-5-mini" in text
    assert "refused: ollama:llama3.2:1b: 1b, at least 7b are needed" in text
    assert "then, when it fails: gemini:gemini-2.5-flash" in text
    assert "for what is known; some prices or numbers of calls are not" in text


def test_a_plan_says_that_a_fallback_would_answer(command: Any, write: Write) -> None:
    write(
        "pipelines/short.yaml",
        """default_model: openai:gpt-5-mini
selection_schema: {fallback: [gemini:gemini-2.5-flash, "own:mine"]}
steps: [{id: say, prompt: Name a tree.}]
""",
    )
    done = command("plan", "pipelines/short.yaml")
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert (
        "say: a listed fallback of the pipeline's default_model, openai:gpt-5-mini, which cannot be reached:"
        " OPENAI_API_KEY is not set"
    ) in said
    assert "estimated cost of the run: not known" in said
    (step,) = json.loads(command("plan", "pipelines/short.yaml", "--json").stdout)["steps"]
    assert (step["model"], step["fallbacks"]) == ("own:mine", [])


def test_a_plan_that_cannot_be_run(command: Any) -> None:
    done = command("plan", "pipelines/triage.yaml", "--offline")
    assert done.returncode == 1
    said = " ".join(done.stderr.split())
    assert 'error: outline: none of 62 models fits step "outline" (the step\'s selection_schema); next: ' in said
    assert "`orchestrator models` lists what can be reached, and what to set" in said
    assert "error: each/gist: gemini:gemini-2.5-flash cannot be reached: GEMINI_API_KEY or" in said
    assert "next: set GEMINI_API_KEY" in said
    assert "does not answer" not in done.stdout
    assert "Traceback" not in done.stderr


def test_a_plan_with_wrong_inputs(command: Any) -> None:
    done = command("plan", "pipelines/triage.yaml", "-i", "topc=trees", OPENAI_API_KEY=KEY)
    assert done.returncode == 2
    assert 'no input "topc"; did you mean "topic"?' in done.stderr


def test_models(command: Any, model_server: ModelServer) -> None:
    done = command("models", OPENAI_API_KEY=KEY)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    mini = next(line.split() for line in lines if "openai:gpt-5-mini" in line)
    assert mini == ["openai:gpt-5-mini", "0.25", "2.00", "272k", "1390", "tools", "schema", "vision", "reasoning"]
    mine = next(line.split() for line in lines if line.startswith(" own:mine"))
    assert mine == ["own:mine", "?", "?", "30k", "1400"]
    text = " ".join(done.stdout.split())
    assert f"own: the server at {model_server.url} answers" in text
    assert "To use them, set ANTHROPIC_API_KEY." in text
    assert "ollama: no server answers at http://127.0.0.1:9 (" in text
    assert "quality: Elo of the text arena on 2026-07-01" in text
    assert model_server.calls == []


def test_models_as_json(command: Any) -> None:
    some = {one["model"]: one for one in json.loads(command("models", "--json", "--offline").stdout)}
    own = some["own:mine"]
    assert (own["reachable"], own["reach"]) == (False, "local servers are taken as absent")
    assert (own["quality"], own["quality_source"]) == (1400, "models.yaml:2:3")
    assert some["openai:gpt-5-mini"]["quality_source"] == "text arena, 2026-07-01, gpt-5-mini-high"
    every = json.loads(command("models", "--json", "--offline", "--all").stdout)
    assert len(every) > 2000
    assert some.keys() <= {one["model"] for one in every}


def test_a_wrong_models_file(command: Any, write: Write) -> None:
    write("models.yaml", "models:\n  mine: {model: x, api_key: sk-planted-0123456789}\n")
    for arguments in (["models"], ["plan", "pipelines/triage.yaml"], ["validate", "pipelines/triage.yaml"]):
        done = command(*arguments)
        assert done.returncode == 2, arguments
        assert "models.yaml:2:29: error[wrong-value]" in done.stderr
        assert "write `api_key: env:MY_SERVER_KEY`" in done.stderr
        assert "sk-planted" not in done.stderr + done.stdout
        assert "Traceback" not in done.stderr
