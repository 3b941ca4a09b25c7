"""Two hundred model steps at once, of whose calls one in twenty fails: nothing is lost, and nothing is paid twice."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest
from dagster import DagsterInstance

import orchestrator_dagster as orc
from orchestrator_dagster.definitions.steps.audit import calls_on_record
from orchestrator_dagster.testing import Answer, ModelServer, Request, Tokens, faults

COUNT = 200
PIPELINE = f"""\
id: many
default_model: openai:gpt-4o-mini
budget: {{calls: {2 * COUNT}, tokens: 1000000}}
steps:
  - id: each
    for_each: "{{{{ range({COUNT}) | list }}}}"
    max_parallel: 200
    max_tokens: 20
    retries: {{max: 6, delay: 0.05s, jitter: full}}
    prompt: "Name number {{{{ item }}}}."
outputs: {{count: "{{{{ each | length }}}}"}}
"""
STEPS = "\n".join(
    [
        "id: many_steps",
        "default_model: openai:gpt-4o-mini",
        "retries: {max: 6, delay: 0.05s, jitter: full}",
        "steps:",
        *(f"  - {{id: s{number}, prompt: Name number {number}., max_tokens: 20}}" for number in range(COUNT)),
    ]
)


class Provider:
    """Answers with the number that it was asked for, and fails one time in twenty; the same times every time."""

    def __init__(self) -> None:
        self.random = random.Random(7)
        self.lock = threading.Lock()
        self.accepted: list[int] = []
        self.failed = 0
        self.turned_away = 0

    def __call__(self, request: Request) -> Answer | faults.Fault:
        with self.lock:
            if self.random.random() < 0.05:
                if self.random.random() < 0.25:
                    self.turned_away += 1  # asked again inside the call, which is one
                    return faults.rate_limited(0)
                self.failed += 1
                kinds = (faults.server_error(), faults.cut_in_body(), faults.cut_before_headers())
                return self.random.choice(kinds)
            number = int(request.prompt.removeprefix("Name number ").rstrip("."))
            self.accepted.append(number)
        return Answer(f"number {number}", usage=Tokens(10, 3))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("text", [PIPELINE, STEPS], ids=["items of a loop", "steps"])
def test_nothing_is_lost_and_nothing_is_paid_twice(
    project: Path, instance: DagsterInstance, model_server: ModelServer, text: str
) -> None:
    provider = Provider()
    model_server.when(lambda request: True, reply=provider)
    endpoint = orc.ModelEndpoint(provider="openai", base_url=model_server.url, api_key="sk-planted-0123456789abcdef")
    path = project / "pipelines" / "many.yaml"
    path.write_text(text, encoding="utf-8")
    pipeline = orc.compile(path)
    resources = {"models": orc.ModelsResource(endpoints=[endpoint])}
    result = pipeline.run(instance=instance, resources=resources)
    assert result.success, result.error
    said = [f"number {number}" for number in range(COUNT)]
    assert (
        result.steps["each"]["value"] if text == PIPELINE else [one["value"] for one in result.steps.values()]
    ) == said
    assert sorted(provider.accepted) == list(range(COUNT))  # the provider's own count: each was answered once
    assert provider.failed >= 3
    assert provider.turned_away
    assert not model_server.script_errors

    storage = Path(instance.storage_directory())
    assert len(list((storage / "calls" / "run" / result.run_id).iterdir())) == COUNT
    made = [one for one in calls_on_record(storage / result.run_id) if one["kind"] == "model"]
    assert sum(one["ok"] for one in made) == COUNT
    assert len(made) == COUNT + provider.failed
    assert len(model_server.calls) == COUNT + provider.failed + provider.turned_away
    usage = result.document["usage"]
    assert usage["calls"] == COUNT + provider.failed
    assert usage["tokens"] == 13 * COUNT
