"""Pruning: what is old goes, what a run in progress or its re-execution may need stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRunStatus

import orchestrator_dagster as orc
from orchestrator_dagster.cli.prune import pruned_text
from orchestrator_dagster.definitions.instance.home import open_instance
from orchestrator_dagster.definitions.runs.prune import prune
from orchestrator_dagster.models.call_store import CallStore, StoredCall
from orchestrator_dagster.models.client import Message, ModelReference, ModelRequest, Usage

Write = Callable[[str, str], Path]
DAY = 86400.0
TEXT = """\
id: p
steps:
  - {id: a, action: echo, parameters: {message: hi}, products: [a: a.txt]}
"""
MODEL = ModelReference("openai", "gpt-4o-mini")


@pytest.fixture
def pipeline(write: Write) -> orc.Pipeline:
    return orc.compile(write("pipelines/p.yaml", TEXT))


def keep(folder: Path | str, run: str, *, always: bool = False, prompt: str = "Hello") -> CallStore:
    """Store a call."""
    store = CallStore(folder, run)
    asked = ModelRequest(MODEL, (Message("user", prompt),))
    store.put(store.key(asked, None if always else "p/a"), StoredCall("text", MODEL, Usage(1), 1.0))
    return store


def calls(instance: DagsterInstance) -> Path:
    return Path(instance.storage_directory()) / "calls"


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def outdate(folder: Path, days: float) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            os.utime(path, (time.time() - days * DAY,) * 2)


def test_old_files_of_a_run_go_and_nothing_else(
    pipeline: orc.Pipeline, project: Path, instance: DagsterInstance
) -> None:
    run = pipeline.run(instance=instance).run_id
    keep(calls(instance), run)
    storage = Path(instance.storage_directory())
    (storage / run / "p.a" / "pickled_by_dagster").write_bytes(b"\x80")
    before = files(storage)

    young = prune(instance, DAY)
    assert (young.calls.files, young.outcomes.files, files(storage)) == (0, 0, before)

    wanted = prune(instance, 0, dry_run=True)
    assert files(storage) == before
    done = prune(instance, 0)
    assert done == wanted
    assert (done.calls.files, done.calls.runs) == (1, 1)
    assert (done.outcomes.files, done.outcomes.runs) == (2, 1)
    gone = before - files(storage)
    assert {name.rpartition("/")[2] for name in gone if name.startswith(run)} == {"inputs.json", "outcome.json"}
    assert "p/run.json" in files(storage)
    assert f"{run}/p.a/pickled_by_dagster" in files(storage)
    assert not any("compute_logs" in name for name in gone)
    assert not (storage / run / "p.inputs").exists()
    assert not (calls(instance) / "run" / run).exists()
    assert (project / "outputs/p/a.txt").is_file()
    assert instance.get_run_by_id(run)
    assert prune(instance, 0).outcomes.files == 0


def test_bytes_are_counted(pipeline: orc.Pipeline, instance: DagsterInstance) -> None:
    run = pipeline.run(instance=instance).run_id
    keep(calls(instance), run)
    (stored,) = calls(instance).rglob("*.json")
    size = stored.stat().st_size
    done = prune(instance, 0)
    assert done.calls.bytes == size
    assert done.outcomes.bytes > 0
    assert f"removed 1 stored call of 1 run, {size:,} bytes" in pruned_text(done, dry_run=False)
    assert "removed 2 outcomes of 1 run" in pruned_text(done, dry_run=False)


@pytest.mark.parametrize("status", [DagsterRunStatus.STARTED, DagsterRunStatus.NOT_STARTED, None])
def test_a_family_with_a_run_in_progress_is_left_alone(
    pipeline: orc.Pipeline, instance: DagsterInstance, status: DagsterRunStatus | None
) -> None:
    """A re-execution reads the outcomes of the run that it continues."""
    run = pipeline.run(instance=instance).run_id
    keep(calls(instance), run)
    job = pipeline.definitions().resolve_job_def("p_job")
    instance.create_run_for_job(job, status=status or DagsterRunStatus.SUCCESS, parent_run_id=run, root_run_id=run)
    before = files(Path(instance.storage_directory()))
    done = prune(instance, 0)
    if status is None:  # it has ended
        assert (done.calls.files, done.outcomes.files, done.in_progress) == (1, 2, 0)
    else:
        assert (done.calls.files, done.outcomes.files, done.in_progress) == (0, 0, 1)
        assert files(Path(instance.storage_directory())) == before
        assert "left alone: 1 run in progress" in pruned_text(done, dry_run=False)


def test_answers_for_every_run_go_by_age(instance: DagsterInstance) -> None:
    keep(calls(instance), "any", always=True)
    (calls(instance) / "always" / ".x.json.0.tmp").write_text("{")  # of a writer that was killed
    outdate(calls(instance), 31)
    keep(calls(instance), "any", always=True, prompt="later")
    assert len(files(calls(instance))) == 3
    done = prune(instance, 30 * DAY)
    assert (done.calls.files, done.calls.runs) == (1, 0)
    assert len(files(calls(instance))) == 1


def test_runs_that_the_instance_has_forgotten_go_by_age(pipeline: orc.Pipeline, instance: DagsterInstance) -> None:
    run = pipeline.run(instance=instance).run_id
    keep(calls(instance), run)
    instance.delete_run(run)
    assert prune(instance, DAY).outcomes.files == 0
    outdate(calls(instance), 2)
    outdate(Path(instance.storage_directory()) / run, 2)
    done = prune(instance, DAY)
    assert (done.calls.files, done.outcomes.files) == (1, 2)


def test_a_store_behind_a_url(pipeline: orc.Pipeline, instance: DagsterInstance) -> None:
    run = pipeline.run(instance=instance).run_id
    url = "memory://test_prune/calls"
    keep(url, run)
    store = keep(url, run, always=True)
    assert prune(instance, DAY, call_store=url).calls.files == 0
    assert prune(instance, -1, call_store=url, outcomes="memory://test_prune/outcomes").calls.files == 2
    assert not list(store.folder.rglob("*.json"))


def kept(instance: DagsterInstance) -> set[str]:
    """The ids of the pipelines that are kept, and the kinds of what stands beside them."""
    folder = Path(instance.storage_directory()) / "pipelines"
    names = [path.name for path in folder.glob("*.json")]
    beside = {name.partition("-")[0] for name in names if name.startswith(("index-", "served-"))}
    read = [json.loads((folder / name).read_text()) for name in names if name.partition("-")[0] not in beside]
    return {pipeline["id"] for pipeline in read} | beside


def test_kept_pipelines_go_when_no_run_and_no_location_needs_them(
    pipeline: orc.Pipeline, instance: DagsterInstance, write: Write
) -> None:
    pipeline.run(instance=instance)
    other = orc.compile(write("other/q.yaml", TEXT.replace("id: p", "id: q"))).run(instance=instance)
    assert kept(instance) == {"p", "q"}
    assert prune(instance, DAY).pipelines.files == 0
    run = instance.get_run_by_id(other.run_id)
    assert run is not None
    job = pipeline.definitions().resolve_job_def("p_job")
    again = instance.create_run_for_job(
        job, status=DagsterRunStatus.STARTED, parent_run_id=run.run_id, root_run_id=run.run_id
    )
    done = prune(instance, 0)
    assert (done.pipelines.files, kept(instance)) == (1, {"q"}), "a family in progress has its pipeline"
    assert done.pipelines.bytes > 0
    instance.report_run_canceled(again)
    assert prune(instance, 0).pipelines.files == 1
    assert kept(instance) == set()


def test_what_a_location_serves_stays(write: Write, project: Path) -> None:
    write("pipelines/p.yaml", TEXT)
    write("pipelines/q.yaml", TEXT.replace("id: p", "id: q").replace("a.txt", "q.txt"))
    with open_instance(project) as instance:
        orc.build_definitions("pipelines", root=project)
        assert kept(instance) == {"p", "q", "index", "served"}
        assert prune(instance, 0).pipelines.files == 0
        (project / "pipelines/q.yaml").unlink()
        orc.build_definitions("pipelines", root=project)
        assert prune(instance, 0, dry_run=True).pipelines.files == 2, "the pipeline, and the list of both"
        assert prune(instance, 0).pipelines.files == 2
        assert kept(instance) == {"p", "index", "served"}


def orchestrator(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "orchestrator_dagster.cli", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


@pytest.mark.slow
def test_the_command(write: Write, project: Path) -> None:
    write("pipelines/p.yaml", TEXT)
    assert orchestrator("run", "pipelines/p.yaml", "-q", cwd=project).returncode == 0
    storage = project / ".orchestrator" / "storage"
    before = files(storage)
    said = orchestrator("prune", cwd=project)
    assert (said.returncode, said.stdout) == (0, "nothing to remove\n")
    said = orchestrator("prune", "--older-than", "0", "--dry-run", cwd=project)
    assert said.stdout.startswith("would remove 2 outcomes of 1 run, ")
    assert "would remove 1 kept pipeline, " in said.stdout
    assert files(storage) == before
    said = orchestrator("prune", "--older-than", "0s", cwd=project)
    assert said.stdout.startswith("removed 2 outcomes of 1 run, ")
    assert len(files(storage)) == len(before) - 3
    wrong = orchestrator("prune", "--older-than", "a month", cwd=project)
    assert wrong.returncode == 2
    assert '"a month" is no duration; write 30d' in wrong.stderr
    wrong = orchestrator("prune", "--call-store", "nosuch://bucket", cwd=project)
    assert wrong.returncode == 2
    assert "nosuch://bucket" in wrong.stderr
    assert "Traceback" not in wrong.stderr
