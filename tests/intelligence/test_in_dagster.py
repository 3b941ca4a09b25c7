"""What Dagster shows of descriptions: the check of the run asset, the job that describes, the sensor, the texts."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import AssetCheckKey, AssetKey, DagsterInstance, build_sensor_context

import orchestrator_dagster as orc
from orchestrator_dagster.definitions.location import recompile

RUN = AssetKey(["letters", "run"])
ALIGNMENT = AssetCheckKey(RUN, "alignment")


def put(project: Path, text: str) -> None:
    path = project / "pipelines" / "letters.yaml"
    path.write_text(text, encoding="utf-8")
    past = time.time() - 60
    os.utime(path, (past, past))


@pytest.fixture
def home(instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's instance is that of the project."""
    monkeypatch.setenv("DAGSTER_HOME", instance.root_directory)


def evaluation(instance: DagsterInstance) -> dg.AssetCheckEvaluation:
    record = instance.event_log_storage.get_latest_asset_check_execution_by_key([ALIGNMENT])[ALIGNMENT]
    return record.event.dagster_event.asset_check_evaluation_data  # type: ignore[union-attr]


def describe(defs: dg.Definitions, instance: DagsterInstance) -> None:
    assert defs.resolve_job_def("describe_pipelines").execute_in_process(instance=instance).success


def shown(defs: dg.Definitions) -> tuple[str, str]:
    """What the job and the asset of the run say."""
    asset = defs.resolve_asset_graph().get(RUN).description or ""
    return defs.resolve_job_def("letters_job").description or "", asset


def test_the_job_describes_and_the_next_load_shows_it(
    project: Path, letters: str, orchestrator: Any, instance: DagsterInstance, home: None
) -> None:
    put(project, letters)
    defs = orc.build_definitions("pipelines", root=project, resources=orchestrator.resources)
    dg.Definitions.validate_loadable(defs)
    assert orchestrator.asked() == []
    for text in shown(defs):
        assert "*Structural description: made from the compiled pipeline alone, no model wrote it.*" in text
    describe(defs, instance)
    found = evaluation(instance)
    assert (found.passed, found.description) == (True, "the build does what is intended")
    assert str(found.metadata["orchestrator/intention"].value).startswith("Letters to a town library")
    assert found.metadata["orchestrator/model_calls"].value == 3
    assert found.metadata["orchestrator/cost"].value > 0  # type: ignore[operator]
    assert found.metadata["orchestrator/kept"].value is False
    describe(defs, instance)
    assert len(orchestrator.asked()) == 3
    again = evaluation(instance)
    assert again.metadata["orchestrator/kept"].value is True
    assert again.metadata["orchestrator/model_calls"].value == 0
    loaded = orc.build_definitions("pipelines", root=project, resources=orchestrator.resources)
    for text in shown(loaded):
        assert "Letters to a town library are answered where they ask something." in text
        assert "**Alignment:** the build does what is intended." in text
        assert "Structural" not in text
    assert len(orchestrator.asked()) == 3
    # A run of the pipeline itself neither describes nor judges.
    assert loaded.resolve_job_def("letters_job").execute_in_process(instance=instance).success
    assert len(orchestrator.asked()) == 3


def test_a_mismatch_fails_the_check_until_it_is_accepted(
    project: Path, letters: str, orchestrator: Any, instance: DagsterInstance, home: None, good: Any
) -> None:
    orchestrator.answers("alignment", good.MISALIGNED)
    put(project, letters)
    describe(orc.build_definitions("pipelines", root=project, resources=orchestrator.resources), instance)
    found = evaluation(instance)
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert found.description == "gather: It counts the answers and files none of them."
    assert "| gather | It counts the answers and files none of them. | Put the answers into it. |" in str(
        found.metadata["orchestrator/findings"].value
    )
    put(project, f"alignment: {{ignore: The list is made by hand.}}\n{letters}")
    defs = orc.build_definitions("pipelines", root=project, resources=orchestrator.resources)
    describe(defs, instance)
    accepted = evaluation(instance)
    assert accepted.passed
    assert accepted.metadata["orchestrator/ignored"].value == "The list is made by hand."
    loaded = orc.build_definitions("pipelines", root=project, resources=orchestrator.resources)
    assert "It is accepted: The list is made by hand." in shown(loaded)[0]


def test_a_model_that_cannot_be_reached_is_a_warning_with_the_reason(
    project: Path, letters: str, instance: DagsterInstance, home: None
) -> None:
    put(project, letters)
    describe(orc.build_definitions("pipelines", root=project), instance)
    found = evaluation(instance)
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "OPENAI_API_KEY is not set" in (found.description or "")


def test_pipelines_without_a_model_that_can_have_no_check_and_no_job(project: Path, letters: str) -> None:
    put(project, letters.replace("openai:gpt-4o-mini", "builtin:extractive"))
    defs = orc.build_definitions("pipelines", root=project)
    assert not [job for job in defs.resolve_all_job_defs() if job.name.startswith("describe")]
    assert ALIGNMENT not in defs.resolve_asset_graph().asset_check_keys


def test_the_sensor_has_changed_pipelines_described_and_shows_them(
    project: Path,
    letters: str,
    orchestrator: Any,
    instance: DagsterInstance,
    home: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reloads: list[object] = []
    monkeypatch.setattr(recompile, "reload_through_proxy", lambda origin, instance: not reloads.append(origin))

    def load() -> dg.Definitions:
        return orc.build_definitions("pipelines", root=project, resources=orchestrator.resources)

    def tick(defs: dg.Definitions, cursor: str | None) -> Any:
        sensor = next(one for one in defs.sensors or () if one.name == "recompile_pipelines")  # type: ignore[union-attr]
        context = build_sensor_context(instance=instance, cursor=cursor, repository_def=defs.get_repository_def())
        return sensor.evaluate_tick(context)  # type: ignore[union-attr]

    put(project, letters)
    first = tick(load(), None)
    assert not first.run_requests  # what is there when a project is first served is described when somebody asks
    put(project, letters.replace("when a", "as a").replace("Answers the letters", "Answers letters"))
    defs = load()
    second = tick(defs, first.cursor)
    (request,) = second.run_requests
    assert request.job_name == "describe_pipelines"
    assert request.asset_check_keys == [ALIGNMENT]
    assert orchestrator.asked() == []
    job = defs.resolve_job_def("describe_pipelines")
    chosen = job.get_subset(asset_selection=set(), asset_check_selection=set(request.asset_check_keys))
    assert chosen.execute_in_process(instance=instance).success
    assert len(orchestrator.asked()) == 3
    third = tick(defs, second.cursor)
    assert third.skip_message == "described anew: letters;\nthe location is loaded anew"
    assert len(reloads) == 1
    assert not tick(defs, third.cursor).skip_message.startswith("described anew")
    assert len(reloads) == 1
    loaded = load()
    fourth = tick(loaded, third.cursor)
    assert fourth.skip_message == "1 pipelines are served as their files say"
    assert "Letters to a town library" in shown(loaded)[0]
    assert len(orchestrator.asked()) == 3


def test_materialize_asks_nobody(
    project: Path, letters: str, orchestrator: Any, instance: DagsterInstance, home: None
) -> None:
    """Dagster executes the checks of assets that are materialized; those that cost wait until they are asked for."""
    put(project, letters.replace("inputs:", "qc: {rubric: It is short., products: [summary]}\ninputs:", 1))
    defs = orc.build_definitions("pipelines", root=project, resources=orchestrator.resources)
    job = defs.resolve_implicit_global_asset_job_def()
    for chosen in ({RUN, AssetKey(["letters", "summary"])}, None):
        part = job.get_subset(asset_selection=chosen) if chosen else job
        made = part.execute_in_process(instance=instance)
        assert made.success
        assert {event.asset_key for event in made.get_asset_materialization_events()} >= {RUN}
    assert orchestrator.asked() == []
    describe(defs, instance)
    assert job.execute_in_process(instance=instance).success
    assert len(orchestrator.asked()) == 3
    assert evaluation(instance).metadata["orchestrator/kept"].value is True
