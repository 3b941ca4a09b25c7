"""Runs and their re-executions in Dagster pay an accepted answer once; over real HTTP."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterInstance
from dagster._core.code_pointer import FileCodePointer
from dagster._core.definitions.reconstruct import ReconstructableJob, ReconstructableRepository

import orchestrator_dagster as orc
from orchestrator_dagster.definitions.io_managers import OutcomeIOManager
from orchestrator_dagster.definitions.steps.shared_parts import OUTCOMES_IO
from orchestrator_dagster.testing import ModelServer, Request

Write = Callable[[str, str], Path]
FACTS = dg.AssetKey(["asks", "facts"])
KEY = "sk-planted-0123456789abcdef"

PIPELINE = """\
id: asks
default_model: openai:gpt-4o-mini
steps:
  - id: extract
    prompt: Extract facts about trees.
    retries: {max: 2, delay: 0.01s}
    vars:
      - facts: {type: array, items: {fact: string}}
      - score: {type: number, maximum: 1}
    products:
      - facts: facts.json
  - id: count
    action: echo
    parameters: {message: "{{ facts | length }}"}
outputs: {score: "{{ score }}"}
"""
GOOD = {"facts": [{"fact": "Trees give shade."}], "score": 0.9}
LOCATION = """\
import os
import orchestrator_dagster as orc

endpoint = orc.ModelEndpoint(provider="openai", base_url=os.environ["MODEL_URL"], api_key=os.environ["MODEL_KEY"])
defs = orc.build_definitions("pipelines", root=os.getcwd(), resources={"models": orc.ModelsResource(endpoints=[endpoint])})
"""


def resources(server: ModelServer, **more: Any) -> dict[str, Any]:
    endpoint = orc.ModelEndpoint(provider="openai", base_url=server.url, api_key=KEY)
    return {"models": orc.ModelsResource(endpoints=[endpoint], **more)}


@pytest.fixture
def job(write: Write, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> ReconstructableJob:
    """The job as a run's own process loads it: from a code location."""
    monkeypatch.setenv("MODEL_URL", model_server.url)
    monkeypatch.setenv("MODEL_KEY", KEY)
    write("pipelines/asks.yaml", PIPELINE)
    location = write("location.py", LOCATION)
    return ReconstructableJob(ReconstructableRepository(FileCodePointer(str(location), "defs")), "asks_job")


def stored(instance: DagsterInstance) -> list[Path]:
    return [path for path in (Path(instance.storage_directory()) / "calls").rglob("*") if path.is_file()]


class _FailsOnce:
    """An IO manager whose first outcome of the model step cannot be written."""

    def __init__(self, real: Any, failed: list[str]) -> None:
        self.real, self.failed = real, failed

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        if context.step_key.endswith(".extract") and context.name == "outcome" and not self.failed:
            self.failed.append(context.step_key)
            raise OSError(28, "No space left on device")
        self.real.handle_output(context, obj)

    def load_input(self, context: dg.InputContext) -> Any:
        return self.real.load_input(context)


def test_a_retry_does_not_pay_again(write: Write, instance: DagsterInstance, model_server: ModelServer) -> None:
    """The model has answered, then the disk is full; the second attempt takes the answer from the store."""
    failed: list[str] = []

    @dg.io_manager
    def fails_once(context: dg.InitResourceContext) -> Any:
        manager = _FailsOnce(OutcomeIOManager().create_io_manager(context), failed)
        return type(
            "Manager", (dg.IOManager,), {one: getattr(manager, one) for one in ("handle_output", "load_input")}
        )()

    model_server.then(json.dumps(GOOD))
    result = orc.compile(write("pipelines/asks.yaml", PIPELINE)).run(
        instance=instance, resources={**resources(model_server), OUTCOMES_IO: fails_once}
    )
    assert result.success, result.error
    assert failed
    assert len(model_server.calls) == 1
    step = result.steps["extract"]
    assert (step["retries"], step["cached"]) == (1, True)
    assert result.steps["count"]["cached"] is False
    assert result.document["usage"]["calls"] == 1  # the first attempt's, which paid
    assert result.document["usage"]["cost"] > 0
    said = "\n".join(entry.user_message for entry in instance.all_logs(result.run_id))
    assert "served from the store: the answer of openai:gpt-4o-mini" in said


def blocking(project: Path) -> Callable[[Request], str]:
    """Answers, and puts a folder where the step is to write its product."""

    def answer(request: Request) -> str:
        (project / "outputs/asks/facts.json").mkdir(parents=True, exist_ok=True)
        return json.dumps(GOOD)

    return answer


def test_a_reexecution_does_not_pay_again(
    job: ReconstructableJob, project: Path, instance: DagsterInstance, model_server: ModelServer
) -> None:
    model_server.then(blocking(project))
    first = dg.execute_job(job, instance)
    assert not first.success
    assert len(model_server.calls) == 1

    (project / "outputs/asks/facts.json").rmdir()
    parent = first.run_id
    for what in (dg.ReexecutionOptions.from_failure(parent, instance), None):
        # first from the failure, then all of it, from the run that was itself a re-execution
        options = what or dg.ReexecutionOptions(parent_run_id=parent)
        again = dg.execute_job(job, instance, reexecution_options=options)
        assert again.success
        assert instance.get_run_by_id(again.run_id).root_run_id == first.run_id  # type: ignore[union-attr]
        assert json.loads((project / "outputs/asks/facts.json").read_text()) == GOOD["facts"]
        metadata = instance.get_latest_materialization_event(FACTS).asset_materialization.metadata  # type: ignore[union-attr]
        assert metadata["orchestrator/served"].value == 1
        assert metadata["orchestrator/cost"].value == 0.0
        parent = again.run_id
    assert len(model_server.calls) == 1

    assert dg.execute_job(job, instance).success  # another run
    assert len(model_server.calls) == 2


@pytest.mark.parametrize(("cache", "calls"), [("run", 2), ("always", 1), ("off", 2)])
def test_a_second_run(
    write: Write, instance: DagsterInstance, model_server: ModelServer, cache: str, calls: int
) -> None:
    for _ in range(2):
        model_server.then(json.dumps(GOOD))
    pipeline = orc.compile(write("pipelines/asks.yaml", f"cache: {cache}\n{PIPELINE}"))
    for _ in range(2):
        result = pipeline.run(instance=instance, resources=resources(model_server))
        assert result.success, result.error
    assert len(model_server.calls) == calls
    assert result.steps["extract"]["cached"] is (cache == "always")
    assert len(stored(instance)) == {"run": 2, "always": 1, "off": 0}[cache]


def test_a_wrong_answer_is_asked_for_again(
    job: ReconstructableJob, instance: DagsterInstance, model_server: ModelServer
) -> None:
    wrong = json.dumps({"facts": [], "score": 7})
    model_server.then(*[wrong] * 9, json.dumps(GOOD))  # three attempts with two repairs each
    first = dg.execute_job(job, instance)
    assert not first.success
    assert len(model_server.calls) == 9
    assert not stored(instance)
    again = dg.execute_job(
        job, instance, reexecution_options=dg.ReexecutionOptions.from_failure(first.run_id, instance)
    )
    assert again.success
    assert len(model_server.calls) == 10


def test_no_key_in_the_files(
    job: ReconstructableJob, project: Path, instance: DagsterInstance, model_server: ModelServer
) -> None:
    model_server.then(json.dumps(GOOD))
    assert dg.execute_job(job, instance).success
    assert model_server.calls[0].key == KEY
    assert stored(instance)
    for path in project.parent.rglob("*"):
        if path.is_file():
            assert KEY.encode() not in path.read_bytes(), path


def test_the_store_can_be_elsewhere(
    write: Write, project: Path, instance: DagsterInstance, model_server: ModelServer
) -> None:
    model_server.then(json.dumps(GOOD))
    pipeline = orc.compile(write("pipelines/asks.yaml", f"cache: always\n{PIPELINE}"))
    assert pipeline.run(instance=instance, resources=resources(model_server, call_store="kept/calls")).success
    assert not stored(instance)
    shutil.copytree(project / "kept/calls", project / "moved")
    url = f"file://{project}/moved"
    result = pipeline.run(instance=instance, resources=resources(model_server, call_store=url))
    assert result.steps["extract"]["cached"]
    assert len(model_server.calls) == 1


def test_a_store_that_cannot_be_opened(write: Write, instance: DagsterInstance, model_server: ModelServer) -> None:
    pipeline = orc.compile(write("pipelines/asks.yaml", PIPELINE))
    result = pipeline.run(instance=instance, resources=resources(model_server, call_store="nosuch://bucket"))
    assert result.error is not None
    assert result.error["type"] == "StorageError"
    assert "nosuch://bucket" in result.error["message"]
    assert result.steps["extract"]["retries"] == 0
    assert not model_server.calls
