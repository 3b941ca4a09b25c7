"""Model steps and the call store, over real HTTP, without Dagster."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.errors import ModelAnswerError, PipelineError
from orchestrator_dagster.models.call_store import CallStore
from orchestrator_dagster.models.clients import ModelClients
from orchestrator_dagster.models.litellm_client import Endpoint
from orchestrator_dagster.runtime.inputs import complete_inputs
from orchestrator_dagster.runtime.names import RunInfo
from orchestrator_dagster.runtime.outcome import Outcome, UsageInfo
from orchestrator_dagster.runtime.scope import Scope
from orchestrator_dagster.runtime.services import Services
from orchestrator_dagster.runtime.step import run_step
from orchestrator_dagster.testing import Answer, ModelServer, Tokens

RUN = RunInfo("run-1", datetime(2026, 1, 31, tzinfo=timezone.utc))
Compile = Callable[[str], CompiledPipeline]

TEXT = """\
id: p
default_model: openai:gpt-4o-mini
steps:
  - {id: a, prompt: Say a word.}
"""
SCORED = """\
id: p
default_model: openai:gpt-4o-mini
steps:
  - {id: a, prompt: Judge., repair: 1, vars: {score: {type: number, maximum: 1}, why: string}}
"""
GOOD = json.dumps({"score": 0.5, "why": "it fits"})
WRONG = json.dumps({"score": 7, "why": "it does not"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "calls"


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def asking(services: Services, model_server: ModelServer, folder: Path, said: list[str]) -> Services:
    """Services whose models are the server, with a call store."""
    clients = ModelClients({"openai": Endpoint(model_server.url, "sk-planted-0123456789abcdef")})
    return replace(services, models=clients, calls=CallStore(folder, "run-1"), log=said.append)


def run(pipeline: CompiledPipeline, services: Services, path: str = "", **inputs: Any) -> Outcome:
    (step,) = pipeline.steps
    scope = Scope.of(pipeline, complete_inputs(pipeline, inputs, RUN), RUN, services)
    return run_step(step, replace(scope, path=path))


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def of_another_run(services: Services, folder: Path) -> Services:
    return replace(services, calls=CallStore(folder, "run-2"))


@pytest.mark.parametrize(
    ("cache", "same_run", "other_run"),
    [("", 1, 2), ("cache: run", 1, 2), ("cache: always", 1, 1), ("cache: off", 2, 3)],
)
def test_how_often_it_is_paid(
    compiled: Compile,
    asking: Services,
    folder: Path,
    model_server: ModelServer,
    cache: str,
    same_run: int,
    other_run: int,
) -> None:
    model_server.then("first", "second", "third")
    pipeline = compiled(f"{cache}\n{TEXT}")
    assert run(pipeline, asking).value == "first"
    run(pipeline, asking)
    assert len(model_server.calls) == same_run
    run(pipeline, of_another_run(asking, folder))
    assert len(model_server.calls) == other_run
    assert bool(files(folder)) is ("off" not in cache)


def test_the_steps_cache_wins(compiled: Compile, asking: Services, folder: Path, model_server: ModelServer) -> None:
    pipeline = compiled(f"cache: always\n{TEXT}".replace("Say a word.", "Say a word., cache: off"))
    assert pipeline.steps[0].cache == "off"
    run(pipeline, asking)
    run(pipeline, asking)
    assert len(model_server.calls) == 2


def test_what_is_served_costs_nothing_and_says_so(
    compiled: Compile, asking: Services, model_server: ModelServer, said: list[str]
) -> None:
    model_server.then(Answer("word", usage=Tokens(1000, 100), model="gpt-4o-mini-2024-07-18"))
    pipeline = compiled(TEXT)
    first, second = run(pipeline, asking), run(pipeline, asking)
    assert first.usage.calls == 1
    assert first.usage.cost == pytest.approx(1000 * 0.15e-6 + 100 * 0.60e-6)
    assert second.usage == UsageInfo(served=1)
    assert (second.value, second.model) == (first.value, first.model)
    assert said[-1].startswith("served from the store: the answer of openai:gpt-4o-mini-2024-07-18; 1 call")
    assert "1100 tokens" in said[-1]


def test_occurrences_are_asked_each(compiled: Compile, asking: Services, model_server: ModelServer) -> None:
    model_server.then("first", "second")
    pipeline = compiled(TEXT)
    for _ in range(2):
        assert run(pipeline, asking, "each[1]/").value == "first"
        assert run(pipeline, asking, "each[2]/").value == "second"
    assert len(model_server.calls) == 2


def test_a_repaired_answer_is_served_as_one(
    compiled: Compile, asking: Services, folder: Path, model_server: ModelServer, said: list[str]
) -> None:
    model_server.then(WRONG, GOOD)
    pipeline = compiled(SCORED)
    first, second = run(pipeline, asking), run(pipeline, asking)
    assert len(model_server.calls) == 2
    assert first.variables == second.variables == json.loads(GOOD)
    assert (first.usage.calls, second.usage.calls, second.usage.served) == (2, 0, 2)
    (path,) = files(folder)
    assert WRONG not in json.loads(path.read_text())["text"]
    assert json.loads(path.read_text())["usage"]["calls"] == 2
    assert "2 calls" in said[-1]


def test_a_rejected_answer_is_not_served(
    compiled: Compile, asking: Services, folder: Path, model_server: ModelServer
) -> None:
    model_server.then(WRONG, WRONG, GOOD)
    pipeline = compiled(SCORED.replace("id: p", "id: p\ncache: always"))
    with pytest.raises(ModelAnswerError):
        run(pipeline, asking)
    assert not files(folder)
    assert run(pipeline, asking).variables == json.loads(GOOD)
    assert len(model_server.calls) == 3


@pytest.mark.parametrize("answer", [Answer("cut", finish_reason="length"), Answer("")], ids=["cut", "empty"])
def test_an_answer_that_is_none_is_not_stored(
    compiled: Compile, asking: Services, folder: Path, model_server: ModelServer, answer: Answer
) -> None:
    model_server.then(answer)
    with pytest.raises(ModelAnswerError):
        run(compiled(TEXT), asking)
    assert not files(folder)


def test_a_stored_answer_that_fits_no_more_is_replaced(
    compiled: Compile, asking: Services, folder: Path, model_server: ModelServer
) -> None:
    model_server.then(GOOD, GOOD)
    pipeline = compiled(SCORED)
    run(pipeline, asking)
    (path,) = files(folder)
    path.write_text(json.dumps({**json.loads(path.read_text()), "text": WRONG}))
    assert run(pipeline, asking).variables == json.loads(GOOD)
    assert len(model_server.calls) == 2
    assert json.loads(path.read_text())["text"] == GOOD


def test_ten_at_once_agree(compiled: Compile, asking: Services, folder: Path, model_server: ModelServer) -> None:
    """Each may have paid, but each has a whole answer, and from then on all have the same one."""
    model_server.when("Say", reply=[f"word {number}" for number in range(10)])
    pipeline = compiled(f"cache: always\n{TEXT}")
    start, values = threading.Barrier(10), []

    def ask() -> None:
        start.wait()
        values.append(run(pipeline, asking).value)

    threads = [threading.Thread(target=ask) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    paid = len(model_server.calls)
    assert 1 <= paid <= 10
    assert len(values) == 10
    assert set(values) <= {f"word {number}" for number in range(paid)}
    assert len(files(folder)) == 1
    later = {run(pipeline, of_another_run(asking, folder)).value for _ in range(3)}
    assert len(later) == 1
    assert later <= set(values)
    assert len(model_server.calls) == paid


def test_secrets_are_in_no_file(
    compiled: Compile,
    asking: Services,
    folder: Path,
    model_server: ModelServer,
    said: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secret = 'hunter2 "quoted" hunter2'
    monkeypatch.setenv("SERVICE_PASS", secret)
    text = """\
id: p
default_model: openai:gpt-4o-mini
cache: always
inputs: {password: {type: secret, default: SERVICE_PASS}}
steps:
  - id: a
    prompt: "Never say {{ password }}."
    parameters: {stop: ["{{ password }}"]}
    vars: {one: string, two: string}
"""
    pipeline = compiled(text)
    model_server.then({"one": "x", "two": "y"}, {"one": secret, "two": "y"})
    run(pipeline, asking)
    (path,) = files(folder)
    for hidden in ("hunter2", "sk-planted", "Never say"):
        assert hidden not in path.read_text()
    path.unlink()
    assert run(pipeline, asking).variables["one"] == "***"
    assert not files(folder)
    assert said[-1] != said[-2]
    assert any("has a secret in it" in line for line in said)
    assert "hunter2" not in "".join(said)


def test_the_built_in_models_answers_are_not_stored(compiled: Compile, asking: Services, folder: Path) -> None:
    text = TEXT.replace("openai:gpt-4o-mini", "builtin:extractive").replace(
        "Say a word.", "Summarise., cache: always, parameters: {text: Trees give shade. Water is cool.}"
    )
    assert run(compiled(text), asking).usage.served == 0
    assert run(compiled(text), asking).usage.served == 0
    assert not folder.exists()


def test_another_server_is_another_question(
    compiled: Compile, asking: Services, folder: Path, model_server: ModelServer
) -> None:
    """What a test's server said is not served for the provider."""
    pipeline = compiled(f"cache: always\n{TEXT}")
    model_server.then("from one")
    run(pipeline, asking)
    with ModelServer() as other:
        other.then("from the other")
        clients = ModelClients({"openai": Endpoint(other.url, "k")})
        assert run(pipeline, replace(asking, models=clients)).value == "from the other"


def test_a_store_that_does_not_work_fails_no_step(
    compiled: Compile, asking: Services, folder: Path, model_server: ModelServer, said: list[str]
) -> None:
    folder.write_text("a file, where a folder was to be")
    model_server.then("word")
    assert run(compiled(TEXT), asking).value == "word"
    assert any("cannot be written" in line and "not kept" in line for line in said)


def test_cache_at_a_step_without_a_model(compiled: Compile) -> None:
    with pytest.raises(PipelineError) as wrong:
        compiled("id: p\nsteps:\n  - {id: a, action: echo, cache: off, parameters: {message: hi}}\n")
    assert [one.code for one in wrong.value.diagnostics] == ["unused-key"]
    assert "`cache` is a setting of model steps" in wrong.value.diagnostics[0].message
