"""The result document counts what every attempt was billed, also those that failed after the model's answer; over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dagster import AssetKey, DagsterEventType, DagsterInstance

import orchestrator_dagster as orc
from orchestrator_dagster.testing import Answer, ModelServer, Request, Tokens, faults

Write = Callable[[str, str], Path]
IN, OUT = 1000, 100
#: gpt-4o-mini: 0.15 and 0.60 US dollars a million tokens, litellm's price map
PRICE = IN * 0.15e-6 + OUT * 0.60e-6


def resources(server: ModelServer) -> dict[str, Any]:
    endpoint = orc.ModelEndpoint(provider="openai", base_url=server.url, api_key="sk-planted-0123456789abcdef")
    return {"models": orc.ModelsResource(endpoints=[endpoint])}


def answer(text: str = "Trees.") -> Answer:
    return Answer(text, usage=Tokens(IN, OUT))


def assert_all_is_counted(result: orc.Result, server: ModelServer, answered: int) -> None:
    """The server has answered so often, and the document says exactly that."""
    assert len(server.calls) == answered
    usage = result.document["usage"]
    assert (usage["calls"], usage["tokens"]) == (answered, answered * (IN + OUT))
    assert usage["cost"] == pytest.approx(answered * PRICE)


def blocks(path: Path) -> Callable[[Request], Answer]:
    """Answers, and puts a folder into the product's place."""

    def reply(request: Request) -> Answer:
        path.mkdir(parents=True, exist_ok=True)
        return answer()

    return reply


ONE = """id: p
default_model: openai:gpt-4o-mini
inputs: {go: true}
steps:
  - id: ask
    prompt: Say something.
    cache: %s
    retries: {max: 2, delay: 0.001s}
%s    vars: {text: {type: string}}
    products: {text: text.md}
"""
GATED = "    condition: go\n"


@pytest.mark.parametrize("more", ["", GATED], ids=["one op", "gated"])
def test_a_step_that_fails_after_the_answer_is_paid(
    write: Write, project: Path, instance: DagsterInstance, model_server: ModelServer, more: str
) -> None:
    """Its product cannot be written, which no further attempt would change."""
    model_server.then(blocks(project / "outputs/p/text.md"))
    result = orc.compile(write("pipelines/p.yaml", ONE % ("off", more))).run(
        instance=instance, resources=resources(model_server)
    )
    assert not result.success
    assert_all_is_counted(result, model_server, 1)
    (entry,) = instance.all_logs(result.run_id, of_type=DagsterEventType.STEP_FAILURE)
    metadata = entry.dagster_event.step_failure_data.user_failure_data.metadata  # type: ignore[union-attr]
    assert metadata["orchestrator/model_calls"].value == 1
    assert metadata["orchestrator/cost"].value == pytest.approx(PRICE)


WRONG = json.dumps({"n": 7, "m": 1})
GOOD = json.dumps({"n": 1, "m": 1})
STRUCTURED = """id: p
default_model: openai:gpt-4o-mini
inputs: {go: true}
steps:
  - id: ask
    prompt: Guess.
    repair: 0
    retries: {max: 2, delay: 0.001s}
%s    vars: {n: {type: integer, maximum: 3}, m: {type: integer}}
    products: {n: n.json}
outputs: {n: "{{ n }}"}
"""


@pytest.mark.parametrize("more", ["", GATED, "    for_each: [1]\n"], ids=["one op", "gated", "items"])
def test_attempts_with_wrong_answers_are_paid(
    write: Write, instance: DagsterInstance, model_server: ModelServer, more: str
) -> None:
    model_server.then(answer(WRONG), answer(WRONG), answer(GOOD))
    result = orc.compile(write("pipelines/p.yaml", STRUCTURED % more)).run(
        instance=instance, resources=resources(model_server)
    )
    assert result.success, result.error
    assert_all_is_counted(result, model_server, 3)
    event = instance.get_latest_materialization_event(AssetKey(["p", "n"]))
    said = event.asset_materialization.metadata  # type: ignore[union-attr]
    assert said["orchestrator/cost"].value == pytest.approx(3 * PRICE)


@pytest.mark.parametrize("more", ["", GATED, "    for_each: [1]\n"], ids=["one op", "gated", "items"])
@pytest.mark.parametrize(
    "policy", ["", "    on_failure: continue\n", "    failure_handlers: [{fallback: {n: 1, m: 1}}]\n"]
)
def test_when_every_attempt_has_failed(
    write: Write, instance: DagsterInstance, model_server: ModelServer, more: str, policy: str
) -> None:
    model_server.then(*[answer(WRONG)] * 3)
    text = (STRUCTURED % (more + policy)).replace('    products: {n: n.json}\noutputs: {n: "{{ n }}"}\n', "")
    if "each" in more:
        text = text.replace("fallback: {n: 1, m: 1}", "fallback: null")
    result = orc.compile(write("pipelines/p.yaml", text)).run(instance=instance, resources=resources(model_server))
    assert result.success is ("fallback" in policy)
    assert_all_is_counted(result, model_server, 3)


def test_items_of_other_ops_are_paid_when_one_fails(
    write: Write, instance: DagsterInstance, model_server: ModelServer
) -> None:
    """The loop has no outcome: its cost is that of all its ops."""

    def reply(request: Request) -> Answer:
        return answer(WRONG if "about 2" in json.dumps(request.body) else GOOD)

    model_server.then(*[reply] * 5)
    text = """id: p
default_model: openai:gpt-4o-mini
steps:
  - id: each
    for_each: [1, 2, 3]
    max_parallel: 3
    steps:
      - {id: ask, prompt: "Guess about {{ item }}.", repair: 0, retries: 0, vars: {n: {type: integer, maximum: 3}, m: {type: integer}}}
"""
    result = orc.compile(write("pipelines/p.yaml", text)).run(instance=instance, resources=resources(model_server))
    assert result.error is not None
    assert result.error["step"] == "each"
    assert_all_is_counted(result, model_server, 3)


def test_a_loop_that_is_tried_again_pays_only_once_for_what_is_kept(
    write: Write, project: Path, instance: DagsterInstance, model_server: ModelServer
) -> None:
    model_server.then(answer())
    write("tools.py", (Path(__file__).parents[2] / "runtime" / "flow_tools.py").read_text(encoding="utf-8"))
    text = """id: p
default_model: openai:gpt-4o-mini
steps:
  - id: each
    for_each: [1]
    retries: 1
    steps:
      - {id: ask, prompt: Say something., cache: "off"}
      - {id: after, tool: probe, parameters: {name: after, fail: 1, value: "{{ ask }}"}}
"""
    result = orc.compile(write("pipelines/p.yaml", text)).run(instance=instance, resources=resources(model_server))
    assert result.success, result.error
    assert result.steps["each"]["value"] == ["Trees."]
    assert_all_is_counted(result, model_server, 1)


def test_a_call_without_an_answer_counts_and_costs_nothing(
    write: Write, instance: DagsterInstance, model_server: ModelServer
) -> None:
    model_server.then(faults.server_error(), answer(GOOD))
    result = orc.compile(write("pipelines/p.yaml", STRUCTURED % "")).run(
        instance=instance, resources=resources(model_server)
    )
    assert result.success, result.error
    usage = result.document["usage"]
    assert (usage["calls"], usage["tokens"]) == (2, IN + OUT)
    assert usage["cost"] == pytest.approx(PRICE)
    (event,) = [
        entry.dagster_event
        for entry in instance.all_logs(result.run_id, of_type=DagsterEventType.ENGINE_EVENT)
        if entry.dagster_event and entry.dagster_event.step_key == "p.ask"
    ]
    assert event.message == "Attempt 1 failed after a model was asked; the attempts so far took this."
    assert event.engine_event_data.metadata["orchestrator/model_calls"].value == 1
