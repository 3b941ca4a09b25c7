"""What a run spends: budgets over resumes, decisions of gates, numbers on events, the record of calls."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import AssetKey, DagsterInstance

import orchestrator_dagster as orc
from orchestrator_dagster.definitions.runs.resume import resume_run
from orchestrator_dagster.definitions.steps.audit import FILE, calls_on_record
from orchestrator_dagster.project.loading import compile_or_raise
from orchestrator_dagster.testing import Answer, ModelServer, Request, Tokens, faults

Write = Callable[[str, str], Path]
KEY = "sk-planted-0123456789abcdef"
SECRET = "planted-password-77"


@pytest.fixture
def server(model_server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> ModelServer:
    """The model server as a provider is reached: by the environment."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", model_server.url)
    return model_server


def decision(value: Any) -> Answer:
    return Answer(json.dumps({"value": value, "reason": "so it is"}), usage=Tokens(20, 10))


def metadata(instance: DagsterInstance, *key: str) -> dict[str, Any]:
    event = instance.get_latest_materialization_event(AssetKey(key))
    assert event is not None
    assert event.asset_materialization is not None
    return {name: value.value for name, value in event.asset_materialization.metadata.items()}


CHAIN = """\
id: chain
default_model: openai:gpt-4o-mini
budget: {calls: 3}
retries: {max: 3, delay: 0.01s}
steps:
  - {id: one, prompt: First.}
  - {id: two, prompt: "Second after {{ one }}."}
  - {id: three, prompt: "Third after {{ two }}."}
outputs: {last: "{{ three }}"}
"""


def test_a_budget_holds_over_the_whole_run_and_its_resumes(
    write: Write, project: Path, instance: DagsterInstance, server: ModelServer
) -> None:
    server.when("First", reply=[faults.server_error(), Answer("1")])  # the failed attempt is a call
    file = write("pipelines/chain.yaml", CHAIN)
    result = orc.compile(file).run(instance=instance)
    assert result.error is not None
    assert result.error["type"] == "BudgetError"
    assert result.error["step"] == "three"
    assert "3 of 3 calls are spent" in result.error["message"]
    assert result.steps["three"]["retries"] == 0
    assert result.document["usage"]["calls"] == 3
    assert len(server.calls) == 3

    again = resume_run(result.run_id, root=project, instance=instance)
    assert again["error"]["type"] == "BudgetError"  # what the run has paid counts
    assert len(server.calls) == 3

    file.write_text(CHAIN.replace("calls: 3", "calls: 4"), encoding="utf-8")
    done = resume_run(again["execution_id"], root=project, instance=instance, pipeline=compile_or_raise(file, project))
    assert done["success"], done["error"]
    assert len(server.calls) == 4
    assert done["usage"]["calls"] == 4


GATED = """\
id: gated
description: Answers letters
orchestrator: openai:gpt-4o
default_model: openai:gpt-4o-mini
inputs: {password: {type: secret, default: POST_PASSWORD}}
steps:
  - {id: read, tool: filesystem, action: write, parameters: {path: outputs/letter.txt, content: "Hello {{ password }}"}}
  - {id: draft, prompt: "Draft with {{ password }}", products: [{text: draft.md}]}
  - id: gate
    condition: <AUTO>is {{ draft }} bad?</AUTO>
    action: echo
    parameters: {message: bad}
  - id: each
    depends_on: [draft]
    for_each: <AUTO>the parts of {{ draft }}</AUTO>
    budget: {tokens: 10000}
    prompt: "Write {{ item }}"
"""


def test_decisions_numbers_and_the_record_of_calls(
    write: Write, project: Path, instance: DagsterInstance, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POST_PASSWORD", SECRET)
    server.when(lambda asked: "at `condition`" in asked.prompt, reply=decision(False))
    server.when(lambda asked: "at `for_each`" in asked.prompt, reply=decision(["top", "end"]))
    server.when("Draft", reply=Answer(f"A draft. {SECRET}", usage=Tokens(100, 10, cached=40)))
    server.when("Write", reply=Answer("Written.", usage=Tokens(30, 5)))
    result = orc.compile(write("pipelines/gated.yaml", GATED)).run(instance=instance)
    assert result.success, result.error
    steps = result.steps
    assert steps["gate"]["status"] == "skipped"
    assert steps["gate"]["decisions"][0]["value"] is False
    assert steps["each"]["value"] == ["Written.", "Written."]
    assert steps["each"]["decisions"][0]["place"] == "for_each"
    assert result.document["usage"]["calls"] == 5
    assert result.document["usage"]["tokens"] == 110 + 2 * 30 + 2 * 35

    run = metadata(instance, "gated", "run")
    assert run["orchestrator/model_calls"] == 5
    assert run["orchestrator/cached_tokens"] == 40
    assert run["orchestrator/by_model/openai:gpt-4o/calls"] == 2
    assert run["orchestrator/by_model/openai:gpt-4o-mini/tokens"] == 180
    assert run["orchestrator/cost"] == pytest.approx(result.document["usage"]["cost"])
    total = sum(run[f"orchestrator/by_model/openai:{name}/cost"] for name in ("gpt-4o", "gpt-4o-mini"))
    assert total == pytest.approx(run["orchestrator/cost"])
    assert "| openai:gpt-4o | 2 | 40 | 20 |" in run["orchestrator/by_model"]
    assert run["orchestrator/seconds_per_call"] > 0
    draft = metadata(instance, "gated", "text")
    assert (draft["orchestrator/model_calls"], draft["orchestrator/cached_tokens"]) == (1, 40)
    events = [entry.dagster_event for entry in instance.all_logs(result.run_id) if entry.dagster_event]
    said = {
        event.step_key: event.step_output_data.metadata
        for event in events
        if event.event_type == dg.DagsterEventType.STEP_OUTPUT and event.step_output_data.output_name == "decision"
    }
    decided: Any = said["gated.gate.decide"]["orchestrator/decisions"].value
    assert decided[0]["model"] == "openai:gpt-4o"

    folder = Path(instance.storage_directory()) / result.run_id
    calls = list(calls_on_record(folder))
    assert [(one["kind"], one["step"], one["ok"]) for one in calls if one["kind"] == "tool"] == [("tool", "read", True)]
    models = {(one["step"], one["model"]): one for one in calls if one["kind"] == "model"}
    assert {step for step, _ in models} == {"draft", "gate", "each", "each[0]", "each[1]"}
    assert models["draft", "openai:gpt-4o-mini"]["arguments"]["prompt"] == "Draft with ***"
    assert models["draft", "openai:gpt-4o-mini"]["input_tokens"] == 100
    assert models["draft", "openai:gpt-4o-mini"]["cost"] > 0
    assert all(one["run"] == result.run_id and one["at"] and one["seconds"] >= 0 for one in calls)
    for path in [folder / FILE, *folder.rglob("*.json"), *folder.rglob("*.jsonl")]:
        assert SECRET not in path.read_text(), path
        assert KEY not in path.read_text(), path
    assert SECRET not in "\n".join(str(event) for event in events)


def test_items_in_parallel_share_the_budget_of_their_loop(
    write: Write, project: Path, instance: DagsterInstance, server: ModelServer
) -> None:
    def reply(asked: Request) -> Answer:
        return Answer("Written.", usage=Tokens(80, 20))

    server.when("Write", reply=reply)
    text = """\
id: many
default_model: openai:gpt-4o-mini
steps:
  - id: each
    for_each: [a, b, c, d, e, f, g, h]
    max_parallel: 8
    on_item_failure: continue
    max_tokens: 20
    budget: {tokens: 450}
    prompt: "Write {{ item }}"
"""
    result = orc.compile(write("pipelines/many.yaml", text)).run(instance=instance)
    assert not result.success
    assert 1 <= len(server.calls) <= 4  # each bill is 100
    assert result.document["usage"]["calls"] == len(server.calls)
    failed = [one for one in calls_on_record(Path(instance.storage_directory()) / result.run_id) if not one["ok"]]
    assert failed == []  # a call that was not made is not on the record
