"""Runs whose models use tools: what they do, what is on record, and what is nowhere."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterEventType, DagsterInstance

import orchestrator_dagster as orc
from orchestrator_dagster.testing import Answer, ModelServer, Tokens, ToolUse, faults

Write = Callable[[str, str], Path]
KEY = "sk-planted-0123456789abcdef"
PASSWORD = "planted-passw\u00f6rd-98765"

PIPELINE = """\
id: prices
default_model: openai:gpt-4o-mini
steps:
  - id: look
    prompt: Which file names a price, and which price?
    tools: [filesystem.list, filesystem.read]
    retries: {max: 1, delay: 0.01s}
    vars:
      - file: string
      - price: {type: number, minimum: 0}
    products:
      - price: price.json
outputs: {file: "{{ file }}"}
"""
ANSWER = {"file": "notes/b.md", "price": 12.5}


@pytest.fixture
def notes(project: Path) -> Path:
    folder = project / "notes"
    folder.mkdir()
    (folder / "a.md").write_text("Nothing here.", encoding="utf-8")
    (folder / "b.md").write_text(f"The lamp costs 12.50. The safe opens with {PASSWORD}.", encoding="utf-8")
    return folder


def resources(server: ModelServer, **tools: Any) -> dict[str, object]:
    endpoint = orc.ModelEndpoint(provider="openai", base_url=server.url, api_key=KEY)
    return {"models": orc.ModelsResource(endpoints=[endpoint]), "tools": orc.ToolsResource(**tools)}


def uses(*calls: ToolUse) -> Answer:
    return Answer(tool_calls=list(calls), usage=Tokens(100, 10))


def outcome_metadata(instance: DagsterInstance, run: str, step: str) -> Mapping[str, Any]:
    (said,) = (
        entry.dagster_event.step_output_data.metadata
        for entry in instance.all_logs(run, of_type=DagsterEventType.STEP_OUTPUT)
        if entry.dagster_event is not None
        and entry.dagster_event.step_key in (f"prices.{step}", f"prices.{step}.outcome")
        and entry.dagster_event.step_output_data.output_name == "outcome"
    )
    return {name: value.value for name, value in said.items()}


def everything_in(folder: Path) -> bytes:
    return b"\n".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_model_reads_a_file_and_answers_in_structure(
    write: Write,
    project: Path,
    notes: Path,
    instance: DagsterInstance,
    tmp_path: Path,
    model_server: ModelServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SAFE_PASSWORD", PASSWORD)
    model_server.then(
        uses(ToolUse("filesystem__list", {"path": "notes", "pattern": "*.md"})),
        uses(
            ToolUse("filesystem__read", {"path": "notes/a.md"}),
            ToolUse("filesystem__read", {"path": "notes/b.md"}),
            ToolUse("filesystem__read", {"path": "/etc/passwd"}),
            ToolUse("filesystem__write", {"path": "notes/a.md", "content": PASSWORD}),
        ),
        uses(ToolUse("final_answer", ANSWER)),
    )
    result = orc.compile(write("pipelines/prices.yaml", PIPELINE)).run(
        instance=instance, resources=resources(model_server)
    )
    assert result.success, result.error
    assert result.outputs == {"file": "notes/b.md"}
    assert json.loads((project / "outputs/prices/price.json").read_text()) == 12.5
    assert (notes / "a.md").read_text() == "Nothing here."

    given = [one["content"] for one in model_server.calls[-1].body["messages"] if one["role"] == "tool"]
    assert '"path": "notes/a.md"' in given[0]
    assert "The lamp costs 12.50" in given[2]
    assert "leaves the workspace" in given[3] or "outside" in given[3]
    assert "root:" not in given[3]
    assert 'there is no function "filesystem__write"' in given[4]

    run = result.document["execution_id"]
    calls = result.steps["look"]["tool_calls"]
    assert [(call["name"], call["ok"]) for call in calls] == [
        ("filesystem.list", True), ("filesystem.read", True), ("filesystem.read", True), ("filesystem.read", False),
        ("filesystem__write", False),
    ]  # fmt: skip
    assert json.loads(calls[2]["arguments"]) == {"path": "notes/b.md"}
    assert json.loads(calls[4]["arguments"])["content"] == "***"
    assert calls[2]["characters"] > 50
    assert result.document["usage"]["calls"] == 3
    assert result.document["usage"]["tokens"] == 330

    said = outcome_metadata(instance, run, "look")
    assert (said["orchestrator/tool_calls"], said["orchestrator/failed_tool_calls"]) == (5, 2)
    assert said["orchestrator/structure"] == "tool"
    lines = [entry.user_message for entry in instance.all_logs(run) if "tool call" in entry.user_message]
    assert len(lines) == 5
    assert lines[0].startswith('tool call 1 of the model: filesystem.list {"path": "notes", "pattern": "*.md"}: ')
    for secret in (KEY, PASSWORD):
        assert secret.encode() not in everything_in(tmp_path / "dagster_home")
        assert json.dumps(secret)[1:-1].encode() not in everything_in(tmp_path / "dagster_home")
        assert secret not in json.dumps(model_server.calls[-1].body["messages"][-6:-4], ensure_ascii=False)
        assert all(PASSWORD not in text for text in given)


def test_a_retry_asks_and_calls_again_and_the_last_attempt_is_on_record(
    write: Write, notes: Path, instance: DagsterInstance, model_server: ModelServer
) -> None:
    read = uses(ToolUse("filesystem__read", {"path": "notes/a.md"}))
    model_server.then(read, faults.server_error(), read, read, uses(ToolUse("final_answer", ANSWER)))
    result = orc.compile(write("pipelines/prices.yaml", PIPELINE)).run(
        instance=instance, resources=resources(model_server)
    )
    assert result.success, result.error
    assert result.steps["look"]["retries"] == 1
    assert len(result.steps["look"]["tool_calls"]) == 2
    assert result.document["usage"]["calls"] == 5


def test_a_fallback_starts_anew_and_all_calls_are_on_record(
    write: Write, notes: Path, instance: DagsterInstance, model_server: ModelServer
) -> None:
    schema = "    selection_schema: {strategy: cost, fallback: [openai:gpt-4.1-mini]}\n"
    text = PIPELINE.replace("    tools:", f"    model: openai:gpt-4o-mini\n{schema}    tools:")
    read = uses(ToolUse("filesystem__read", {"path": "notes/a.md"}))
    model_server.then(read, faults.server_error(), read, uses(ToolUse("final_answer", ANSWER)))
    result = orc.compile(write("pipelines/prices.yaml", text)).run(instance=instance, resources=resources(model_server))
    assert result.success, result.error
    assert [call.model for call in model_server.calls] == ["gpt-4o-mini"] * 2 + ["gpt-4.1-mini"] * 2
    step = result.steps["look"]
    assert (step["model"], step["retries"], len(step["tool_calls"])) == ("gpt-4.1-mini", 0, 2)
    assert result.document["usage"]["calls"] == 4


def test_a_failure_that_is_handled_has_its_calls(
    write: Write, notes: Path, instance: DagsterInstance, model_server: ModelServer
) -> None:
    text = PIPELINE.replace("    retries:", "    on_failure: continue\n    max_tool_calls: 1\n    retries:")
    for _ in range(3):
        model_server.then(uses(ToolUse("filesystem__read", {"path": "notes/a.md"})))
    result = orc.compile(write("pipelines/prices.yaml", text)).run(instance=instance, resources=resources(model_server))
    assert not result.success
    step = result.steps["look"]
    assert (step["error_type"], step["retries"]) == ("ToolCallLimitError", 0)
    assert [call["name"] for call in step["tool_calls"]] == ["filesystem.read"]
    assert result.document["usage"]["calls"] == 2
    said = outcome_metadata(instance, result.document["execution_id"], "look")
    assert said["orchestrator/tool_calls"] == 1


def test_the_calls_of_a_loop_are_counted_together(
    write: Write, notes: Path, instance: DagsterInstance, model_server: ModelServer
) -> None:
    text = """\
id: prices
default_model: openai:gpt-4o-mini
steps:
  - id: each
    for_each: [a, b]
    prompt: What stands in {{ item }}.md?
    tools: filesystem.read
outputs: {said: "{{ each.results }}"}
"""

    def reply(request: Any) -> Answer:
        name = request.prompt.split(".md")[0][-1]
        if any(one["role"] == "tool" for one in request.body["messages"]):
            return Answer(f"said {name}")
        return uses(ToolUse("filesystem__read", {"path": f"notes/{name}.md"}))

    model_server.when("What stands in", reply=reply)
    result = orc.compile(write("pipelines/prices.yaml", text)).run(instance=instance, resources=resources(model_server))
    assert result.success, result.error
    assert result.outputs == {"said": ["said a", "said b"]}
    said = outcome_metadata(instance, result.document["execution_id"], "each")
    assert said["orchestrator/tool_calls"] == 2
    assert "orchestrator/failed_tool_calls" not in said


def test_permission_is_given_by_the_resource_alone(
    write: Write, project: Path, instance: DagsterInstance, model_server: ModelServer
) -> None:
    shutil.copy(Path(__file__).parents[2] / "runtime" / "offered.py", project / "tools.py")
    text = "id: prices\ndefault_model: openai:gpt-4o-mini\nsteps:\n  - {id: a, prompt: Heal., tools: restart, retries: 0}\n"
    pipeline = orc.compile(write("pipelines/prices.yaml", text))
    refused = pipeline.run(instance=instance, resources=resources(model_server))
    assert refused.error is not None
    assert refused.error["type"] == "ToolNotAllowedError"
    assert model_server.calls == []
    model_server.then(uses(ToolUse("restart", {"service": "web"})), "Done.")
    allowed = pipeline.run(instance=instance, resources=resources(model_server, allow_for_models=["restart"]))
    assert allowed.success, allowed.error
    assert allowed.steps["a"]["tool_calls"][0]["ok"]
    wrong = pipeline.run(instance=instance, resources=resources(model_server, allow_for_models=["restrat"]))
    assert not wrong.success
    assert 'did you mean "restart"' in str(wrong.error)
