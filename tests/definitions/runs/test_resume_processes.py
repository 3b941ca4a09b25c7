"""Resuming runs that were stopped, whose process is gone or is still at work, and that others have launched."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterInstance, DagsterRunStatus
from killing import forked
from resuming import Lab, statuses

import orchestrator_dagster as orc
from orchestrator_dagster.definitions.runs.leader import BEGAN_TAG, HOST_TAG, PROCESS_TAG, give_up, lead
from orchestrator_dagster.definitions.runs.resume import resume_run
from orchestrator_dagster.errors import ResumeError
from orchestrator_dagster.files.stored_files import writer_mark
from orchestrator_dagster.project.kept_pipelines import keep_pipeline

TEXT = """\
id: p
inputs: {n: 3}
steps:
  - {id: a, tool: note, parameters: {name: "a{{ n }}"}, products: [a: a.json]}
  - {id: b, depends_on: a, tool: note, parameters: {name: b}}
  - {id: c, depends_on: b, tool: note, parameters: {name: c}, products: [c: c.json]}
outputs: {c: "{{ c.name }}"}
"""


@pytest.fixture
def lab(project: Path, instance: DagsterInstance) -> Lab:
    return Lab(project, instance)


def last(lab: Lab) -> dg.DagsterRun:
    return next(iter(lab.instance.get_runs(limit=1)))


def test_a_run_that_was_interrupted(lab: Lab) -> None:
    text = TEXT.replace(
        "parameters: {name: b}", 'for_each: [x, y, z], max_parallel: 1, parameters: {name: "{{ item }}"}'
    )
    lab.let("stopped", "y")
    assert forked(lambda: lab.elsewhere(text), None)
    stopped = last(lab)
    assert stopped.status == DagsterRunStatus.CANCELED
    assert lab.calls() == ["a3", "x", "y"]
    lab.let("stopped")
    done = lab.resume({"execution_id": stopped.run_id})
    assert done["success"], done["error"]
    assert lab.calls() == ["c", "z"]


def test_a_run_whose_process_is_gone(lab: Lab) -> None:
    lab.let("killed", "b")
    assert not forked(lambda: lab.elsewhere(TEXT), None)
    killed = last(lab)
    assert killed.status == DagsterRunStatus.STARTED
    lab.let("killed")
    out = lab.folder / "outputs" / "p"
    process = killed.tags[PROCESS_TAG]
    mark = writer_mark().removesuffix(str(os.getpid()))
    (out / f".c.json.{mark}{process}-0123456789ab.tmp").write_text('{"na')  # what it was writing
    (out / f".c.json.{mark}{os.getpid()}-0123456789ab.tmp").write_text('{"na')  # what another one writes now
    lab.calls()
    done = lab.resume({"execution_id": killed.run_id})
    assert done["success"], done["error"]
    assert lab.calls() == ["b", "c"]
    assert list(lab.products()) == [f"p/.c.json.{writer_mark()}-0123456789ab.tmp", "p/a.json", "p/c.json"]
    ended = lab.instance.get_run_by_id(killed.run_id)
    assert ended is not None
    assert ended.status == DagsterRunStatus.FAILURE


def test_a_run_that_is_still_going_on(lab: Lab) -> None:
    lab.let("held", "b")
    child = os.fork()
    if child == 0:
        forked(lambda: lab.elsewhere(TEXT), None)
        os._exit(0)
    while not (lab.folder / "calls.log").exists() or "b" not in (lab.folder / "calls.log").read_text():
        time.sleep(0.01)
    running = last(lab)
    with pytest.raises(ResumeError) as refused:
        lab.resume({"execution_id": running.run_id})
    process = running.tags[PROCESS_TAG]
    assert f"still going on, in the process {process}" in str(refused.value)
    assert f"kill -INT {process}" in str(refused.value)
    lab.let("held")
    os.waitpid(child, 0)
    with pytest.raises(ResumeError, match="complete"):
        lab.resume({"execution_id": running.run_id})


def test_who_leads_a_run(lab: Lab) -> None:
    lab.break_("b")
    failed = lab.run(TEXT)["execution_id"]
    tags = lab.instance.get_run_by_id(failed).tags  # type: ignore[union-attr]
    assert tags[PROCESS_TAG] == str(os.getpid())

    def started(**changed: str) -> str:
        named = {f"{PROCESS_TAG.removesuffix('process')}{name}": value for name, value in changed.items()}
        run = lab.instance.create_run_for_job(
            dg.JobDefinition(name="p_job", graph_def=dg.GraphDefinition(name="g")),
            tags={**tags, **named},
            status=DagsterRunStatus.STARTED,
        )
        return run.run_id

    led = started()
    lead(led)
    with pytest.raises(ResumeError, match=f"in the process {os.getpid()}"):
        lab.resume({"execution_id": led})
    give_up(led)
    with pytest.raises(ResumeError, match=r"it is started on elsewhere\.example"):
        lab.resume({"execution_id": started(host="elsewhere.example")})
    assert {BEGAN_TAG, HOST_TAG} <= tags.keys()
    reused = started(process_began="1")  # the number of a process that is gone, and another has it now
    lab.break_()
    assert lab.resume({"execution_id": reused})["success"]


def test_a_run_of_a_code_location(lab: Lab, tmp_path: Path) -> None:
    lab.compiled(TEXT)
    definitions = orc.build_definitions("pipelines", root=lab.folder)
    job = definitions.resolve_job_def("p_job")
    lab.break_("b")
    failed = job.execute_in_process(run_config={"n": 7}, instance=lab.instance, raise_on_error=False)
    assert lab.calls() == ["a7", "b"]
    lab.break_()
    (lab.folder / "pipelines" / "p.yaml").unlink()  # it goes on with what it was launched with
    done = resume_run(failed.run_id[:8], root=tmp_path, instance=lab.instance)
    assert done["success"], done["error"]
    assert lab.calls() == ["b", "c"]
    assert sorted(lab.products()) == ["p/a.json", "p/c.json"]  # in the project, wherever the command is given


def test_a_materialization_from_the_asset_pages(lab: Lab) -> None:
    lab.compiled(TEXT)
    lab.compiled(TEXT.replace("id: p", "id: q"), "q")
    definitions = orc.build_definitions("pipelines", root=lab.folder)
    job = definitions.resolve_implicit_global_asset_job_def()
    config = {"ops": {"p": {"config": {"n": 7}}}}
    lab.break_("b")

    def materialize(*keys: dg.AssetKey) -> str:
        return job.execute_in_process(
            run_config=config, instance=lab.instance, raise_on_error=False, asset_selection=keys
        ).run_id

    one = materialize(dg.AssetKey(["p", "c"]))
    both = materialize(dg.AssetKey(["p", "c"]), dg.AssetKey(["q", "c"]))
    assert lab.instance.get_run_by_id(one).asset_selection == {dg.AssetKey(["p", "c"])}  # type: ignore[union-attr]
    lab.calls()
    lab.break_()
    done = lab.resume({"execution_id": one})
    assert done["success"], done["error"]
    assert lab.calls() == ["b", "c"]
    assert "p/a.json" not in lab.products()
    with pytest.raises(ResumeError, match=r"alone[\s\S]*re-execute it in the UI"):
        lab.resume({"execution_id": both})


def reconstructable(lab: Lab, text: str) -> dg.ReconstructableJob:  # type: ignore[name-defined]
    storage = lab.instance.storage_directory()
    arguments = (storage, keep_pipeline(Path(storage), lab.compiled(text)), str(lab.folder), None)
    return dg.build_reconstructable_job("orchestrator_dagster.definitions.runs.command_job", "job_of_kept", arguments)


def test_dagsters_own_re_execution_from_failure(lab: Lab) -> None:
    lab.break_("b")
    failed = lab.run(TEXT, {"n": 5})
    lab.calls()
    lab.break_()
    run = lab.instance.get_run_by_id(failed["execution_id"])
    assert run is not None
    options = dg.ReexecutionOptions.from_failure(run.run_id, lab.instance)
    with dg.execute_job(
        reconstructable(lab, TEXT), lab.instance, run_config=run.run_config, reexecution_options=options
    ) as done:
        assert done.success
    assert lab.calls() == ["b", "c"]


def test_dagsters_own_re_execution_past_failures_that_were_kept(lab: Lab) -> None:
    text = TEXT.replace("parameters: {name: b}}", "parameters: {name: b}, on_failure: continue}")
    lab.break_("b")
    failed = lab.run(text)
    assert lab.calls() == ["a3", "b", "c"]
    run = lab.instance.get_run_by_id(failed["execution_id"])
    assert run is not None
    options = dg.ReexecutionOptions.from_failure(run.run_id, lab.instance)
    with dg.execute_job(
        reconstructable(lab, text), lab.instance, run_config=run.run_config, reexecution_options=options
    ) as again:
        assert not again.success
        said = again.get_step_failure_events()[0].step_failure_data.user_failure_data.description
    assert lab.calls() == []
    command = re.search(r"`orchestrator resume (\S+)`", said)
    assert command is not None
    assert command[1] == again.run_id
    lab.break_()
    done = lab.resume({"execution_id": command[1]})
    assert done["success"], done["error"]
    assert lab.calls() == ["b", "c"]
    assert set(statuses(done).values()) == {"completed"}


@pytest.mark.slow
def test_with_steps_in_processes(lab: Lab) -> None:
    text = TEXT.replace("id: p\n", "id: p\nexecutor: multiprocess\n")
    lab.break_("b")
    failed = lab.run(text)
    assert lab.calls() == ["a3", "b"]
    lab.break_()
    done = lab.resume(failed)
    assert done["success"], done["error"]
    assert lab.calls() == ["b", "c"]
    assert done["outputs"] == {"c": "c"}
