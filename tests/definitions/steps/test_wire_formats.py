"""One pipeline, unmodified, against every wire format that the server speaks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from dagster import DagsterInstance

import orchestrator_dagster as orc
from orchestrator_dagster.testing import Answer, ModelServer, Tokens, ToolUse, faults

Write = Callable[[str, str], Path]
KEY = "sk-planted-0123456789abcdef"
MODELS = ("openai:gpt-4o-mini", "anthropic:claude-sonnet-4-5", "gemini:gemini-2.5-flash", "ollama:llama3.2")
PIPELINE = """\
id: formats
inputs: {model: {type: string, required: true}}
default_model: "{{ model }}"
steps:
  - id: extract
    prompt: Extract facts.
    parameters: {document: Trees give shade.}
    vars:
      - facts: {type: array, items: {fact: string, sure: boolean}}
      - score: {type: number, minimum: 0, maximum: 1}
    products:
      - facts: "facts_{{ model | slugify }}.json"
  - id: summarise
    prompt: Summarise them.
    parameters: {facts: "{{ facts }}"}
    max_tokens: 5000
outputs: {summary: "{{ summarise }}", score: "{{ score }}"}
"""
GOOD = {"facts": [{"fact": "Trees give shade.", "sure": True}], "score": 0.9}


@pytest.mark.parametrize("model", MODELS)
def test_one_pipeline_runs_unmodified_against_every_format(
    write: Write,
    project: Path,
    instance: DagsterInstance,
    model_server: ModelServer,
    capfd: pytest.CaptureFixture[str],
    model: str,
) -> None:
    model_server.when(
        lambda request: "Extract facts" in request.text,
        reply=[faults.rate_limited(retry_after=0), '{"facts": 7}', Answer(json.dumps(GOOD), usage=Tokens(100, 20))],
    )
    model_server.when("Summarise", reply=Answer("Shade.", usage=Tokens(50, 2)))
    provider = model.split(":")[0]
    endpoint = orc.ModelEndpoint(provider=provider, base_url=model_server.url, api_key=KEY)
    path = write("pipelines/formats.yaml", PIPELINE)
    result = orc.compile(path).run(
        instance=instance, resources={"models": orc.ModelsResource(endpoints=[endpoint])}, model=model
    )
    assert result.success, result.error
    assert result.outputs == {"summary": "Shade.", "score": 0.9}
    assert result.steps["extract"]["provider"] == provider
    turned_away, wrong, repaired, streamed = model_server.calls
    assert {call.key for call in model_server.calls} == {KEY}
    assert (turned_away.prompt, repaired.text.count("does not fit")) == (wrong.prompt, 1)
    assert streamed.stream  # it may have 5,000 tokens
    assert result.document["usage"]["calls"] == 3
    (written,) = (project / "outputs/formats").glob("*.json")
    assert json.loads(written.read_text()) == GOOD["facts"]
    assert KEY not in json.dumps(result.document)
    assert KEY not in "".join(capfd.readouterr())
    assert not any(KEY.encode() in one.read_bytes() for one in project.parent.rglob("*") if one.is_file())


USES_TOOLS = """\
id: uses_tools
inputs: {model: {type: string, required: true}}
default_model: "{{ model }}"
steps:
  - id: look
    prompt: How many lines has the note?
    tools: [filesystem.read]
    vars:
      - lines: integer
outputs: {lines: "{{ lines }}"}
"""


@pytest.mark.parametrize("model", MODELS)
def test_a_model_calls_tools_and_answers_in_structure_in_every_format(
    write: Write, project: Path, instance: DagsterInstance, model_server: ModelServer, model: str
) -> None:
    write("note.md", "one\ntwo\n")
    uses = (
        ToolUse("filesystem__read", {"path": "missing.md"}),
        ToolUse("filesystem__read", {"path": "note.md"}),
        ToolUse("final_answer", {"lines": 2}),
    )
    model_server.then(*(Answer(tool_calls=[one]) for one in uses))
    provider = model.split(":")[0]
    endpoint = orc.ModelEndpoint(provider=provider, base_url=model_server.url, api_key=KEY)
    result = orc.compile(write("pipelines/uses_tools.yaml", USES_TOOLS)).run(
        instance=instance, resources={"models": orc.ModelsResource(endpoints=[endpoint])}, model=model
    )
    assert result.success, result.error
    assert result.outputs == {"lines": 2}
    assert [(one["name"], one["ok"]) for one in result.steps["look"]["tool_calls"]] == [
        ("filesystem.read", False),
        ("filesystem.read", True),
    ]
    assert "two" in model_server.calls[-1].text
