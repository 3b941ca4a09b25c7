"""Bodies in place: what runs at once, in what order, and the retries' cost."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator_dagster.compiler.routes import State
from orchestrator_dagster.models.clients import ModelClients
from orchestrator_dagster.models.litellm_client import Endpoint
from orchestrator_dagster.testing import Answer, ModelServer, Tokens


def test_steps_without_a_way_between_them_run_at_once(flow: Any) -> None:
    """Three calls wait for each other; one after the other they would wait for ever."""
    steps = "".join(
        f"  - {{id: s{n}, tool: probe, action: meet, parameters: {{group: all, parties: 3, value: {n}}}}}\n"
        for n in range(3)
    )
    found = flow(f"steps:\n{steps}  - {{id: all, action: echo, parameters: {{message: '{{{{ s0 + s1 + s2 }}}}'}}}}\n")
    assert found["all"].value == 3


def test_independent_branches_go_on_after_a_failure(flow: Any) -> None:
    text = """steps:
  - {id: a, tool: probe, parameters: {name: a, fail: 9}}
  - {id: b, tool: probe, dependencies: [a], parameters: {name: b}}
  - {id: c, tool: probe, parameters: {name: c}}
  - {id: d, tool: probe, dependencies: [c], parameters: {name: d}}
"""
    found = flow(text)
    states = {name: one.state for name, one in found.items()}
    assert states == {"a": State.FAILED, "b": State.NOT_REACHED, "c": State.COMPLETED, "d": State.COMPLETED}
    assert sorted(flow.calls) == ["a", "c", "d"]


def test_a_bypassed_step_waits_for_the_route_that_may_bypass_it(flow: Any) -> None:
    """The route's source ends last: nothing after it has begun."""
    text = """steps:
  - {id: source, tool: probe, action: after, on_success: end, parameters: {first: quick, name: source}}
  - {id: quick, tool: probe, action: after, parameters: {first: "", name: quick}}
  - {id: between, tool: probe, dependencies: [source, quick], parameters: {name: between}}
  - {id: end, action: echo, dependencies: [between], parameters: {message: "{{ between | default('none') }}"}}
"""
    found = flow(text)
    assert (found["between"].state, found["end"].value) == (State.BYPASSED, "none")
    assert flow.calls == []


COSTLY = """id: p
default_model: openai:gpt-4o-mini
steps:
  - id: each
    for_each: [1, 2]
    max_parallel: 1
    on_item_failure: skip
    steps:
      - id: ask
        prompt: Say something about {{ item }}.
        retries: {max: 1, delay: 0.001s}
        vars: {text: {type: string}}
        products: {text: "{{ item }}/text.md"}
"""


@pytest.fixture
def paid(flow: Any, model_server: ModelServer) -> Any:
    clients = ModelClients({"openai": Endpoint(base_url=model_server.url, api_key="sk-planted-0123456789")})
    flow.services = replace(flow.services, models=clients)
    return flow


def test_an_attempt_that_failed_after_its_answer_is_paid(paid: Any, project: Path, model_server: ModelServer) -> None:
    """A folder stands where the product of item 1 goes: each attempt is answered, and fails."""
    (project / "outputs/p/1/text.md").mkdir(parents=True)
    model_server.then(*[Answer("A text.", usage=Tokens(100, 10))] * 3)
    found = paid(COSTLY)["each"]
    assert [one.status for one in found.iterations] == ["failed", "completed"], found.error
    calls = len(model_server.calls)
    attempts = found.iterations[0].steps["ask"].attempts
    assert calls == attempts + 1
    assert (found.usage.calls, found.usage.tokens) == (calls, 110 * calls)
    assert found.usage.cost == pytest.approx(calls * (100 * 0.15e-6 + 10 * 0.60e-6))


def test_a_loop_that_fails_at_its_own_product_has_paid_its_items(
    paid: Any, project: Path, model_server: ModelServer
) -> None:
    model_server.then(*[Answer("A text.", usage=Tokens(100, 10))] * 2)
    (project / "outputs/p/all.json").mkdir(parents=True)
    text = COSTLY.replace(
        "    on_item_failure: skip\n", "    vars: {all: '{{ result }}'}\n    products: {all: all.json}\n"
    )
    found = paid(text)["each"]
    assert found.state is State.FAILED
    assert (found.usage.calls, found.usage.tokens) == (2, 220)


def test_the_limit_of_a_repeat_has_paid_its_passes(paid: Any, model_server: ModelServer) -> None:
    model_server.then(*[Answer(json.dumps({"n": 1, "m": 2}), usage=Tokens(100, 10))] * 2)
    text = """id: p
default_model: openai:gpt-4o-mini
steps:
  - {id: r, until: n == 9, max_iterations: 2, prompt: Guess., vars: {n: {type: integer}, m: {type: integer}}}
"""
    found = paid(text)["r"]
    assert found.error.type == "LoopLimitError"
    assert (found.usage.calls, found.usage.tokens) == (2, 220)
