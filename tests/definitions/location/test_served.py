"""A run keeps the pipeline that it was launched with, and its process builds no other."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterInstance
from dagster._core.code_pointer import FileCodePointer
from dagster._core.definitions.reconstruct import (
    ReconstructableJob,
    ReconstructableRepository,
    initialize_repository_def_from_pointer,
)
from dagster._utils.test.definitions import scoped_reconstruction_metadata

import orchestrator_dagster as orc
from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.definitions.location import served
from orchestrator_dagster.definitions.location.run_process import Purpose
from orchestrator_dagster.definitions.location.served import load_served, told_to_fork_server

Write = Callable[[str, str], Path]
HERE = Path(__file__).parent

ONE = """
id: one
steps:
  - {id: first, action: echo, parameters: {message: before}}
  - {id: second, action: echo, parameters: {message: "{{ first.value }} it changed"}}
outputs: {said: "{{ second.value }}"}
"""
TWO = """
id: two
steps:
  - id: write
    action: echo
    parameters: {message: {text: hello}}
    vars: {text: {}}
    products: {text: hello.txt}
"""


@pytest.fixture
def location(project: Path, write: Write) -> Path:
    """A project with two pipelines and the file that serves them."""
    shutil.copy(HERE / "served_location.py", project / "location.py")
    write("pipelines/one.yaml", ONE)
    write("pipelines/two.yaml", TWO)
    return project


def ids(pipelines: Any) -> list[str]:
    return [one.id for one in pipelines]


def metadata_of(location: Path) -> dict[str, str]:
    return dict(load_served(location / "pipelines", location).metadata)


def test_a_reconstruction_serves_what_was_served_first(location: Path, write: Write) -> None:
    told = metadata_of(location)
    before = load_served(location / "pipelines", location).pipelines
    write("pipelines/one.yaml", ONE.replace("before", "after"))
    write("pipelines/two.yaml", "steps: [broken")
    with scoped_reconstruction_metadata(told):
        kept = load_served(location / "pipelines", location)
    assert list(kept.pipelines) == list(before)
    assert kept.metadata == told
    fresh = load_served(location / "pipelines", location)
    assert ids(fresh.pipelines) == ["one", "two"]
    assert fresh.pipelines[0].fingerprint != before[0].fingerprint
    assert fresh.pipelines[1] == before[1], "a broken file leaves its last good version"
    assert [file.path.name for file in fresh.stale] == ["two.yaml"]
    assert not fresh.broken


def test_when_the_store_is_gone_the_files_are_read(location: Path, caplog: pytest.LogCaptureFixture) -> None:
    told = metadata_of(location)
    shutil.rmtree(location / ".orchestrator")
    with scoped_reconstruction_metadata(told):
        assert ids(load_served(location / "pipelines", location).pipelines) == ["one", "two"]
    assert "no longer in the store" in caplog.text


@pytest.mark.parametrize(
    ("purpose", "built"),
    [
        (Purpose("two_job"), ["two"]),
        (Purpose("__ASSET_JOB", frozenset({("two", "text")})), ["two"]),
        (Purpose("__ASSET_JOB", frozenset({("two", "text"), ("one", "run")})), ["one", "two"]),
        (Purpose("__ASSET_JOB", frozenset({("two", "text"), ("somebody", "else")})), ["one", "two"]),
        (Purpose("__ASSET_JOB"), ["one", "two"]),
        (Purpose("somebodys_job"), ["one", "two"]),
        (None, ["one", "two"]),
    ],
)
def test_a_run_builds_the_pipelines_of_its_job(
    location: Path, monkeypatch: pytest.MonkeyPatch, purpose: Purpose | None, built: list[str]
) -> None:
    told = metadata_of(location)
    monkeypatch.setattr(served, "purpose_of_process", lambda: purpose)
    with scoped_reconstruction_metadata(told):
        assert ids(load_served(location / "pipelines", location).pipelines) == built


def test_the_definitions_carry_where_runs_find_them(location: Path) -> None:
    repository = initialize_repository_def_from_pointer(FileCodePointer(str(location / "location.py"), "defs"))
    assert repository.repository_load_data is not None
    (value,) = repository.repository_load_data.reconstruction_metadata.values()
    assert json.loads(value.data)["storage"] == str(location / ".orchestrator" / "storage")


def launched(instance: DagsterInstance, location: Path, job: str, **selection: Any) -> tuple[Any, ReconstructableJob]:
    """A run as a code server creates it, from the location as it is now."""
    from dagster._core.execution.api import create_execution_plan

    pointer = FileCodePointer(str(location / "location.py"), "defs")
    repository = initialize_repository_def_from_pointer(pointer)
    recon = ReconstructableRepository(pointer).get_reconstructable_job(job)
    definition = repository.get_maybe_subset_job_def(job, **selection)
    plan = create_execution_plan(definition, repository_load_data=repository.repository_load_data)
    run = instance.create_run_for_job(
        definition,
        execution_plan=plan,
        asset_selection=selection.get("asset_selection"),
        job_code_origin=recon.get_python_origin(),
    )
    assert run.has_repository_load_data
    return run, recon


def execute_like_dagster(instance: DagsterInstance, run: Any, recon: ReconstructableJob) -> list[str]:
    """Run it in a process that is started as Dagster's gRPC server does; what that process has built."""
    context = multiprocessing.get_context("spawn")
    queue: Any = context.Queue()
    from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
    from dagster._grpc.types import ExecuteExternalJobArgs
    from dagster._serdes import serialize_value

    origin = RemoteJobOrigin(
        repository_origin=RemoteRepositoryOrigin(
            code_location_origin=RegisteredCodeLocationOrigin(location_name="here"), repository_name="__repository__"
        ),
        job_name=run.job_name,
    )
    arguments = serialize_value(
        ExecuteExternalJobArgs(job_origin=origin, run_id=run.run_id, instance_ref=instance.get_ref())
    )
    stop = context.Event()
    process = context.Process(target=_run_and_tell, args=[arguments, recon, queue, stop])
    process.start()
    while process.is_alive() or not queue.empty():
        found = queue.get(timeout=60)
        if isinstance(found, list):
            process.join()
            return found
    raise AssertionError("the process has told nothing")


def _run_and_tell(arguments: str, recon: ReconstructableJob, queue: Any, stop: Any) -> None:
    from dagster._grpc.impl import start_run_in_subprocess

    built: list[str] = []
    usual = served._kept

    def kept(told: str) -> list[CompiledPipeline] | None:
        found = usual(told)
        built.extend(ids(found or []))
        return found

    served._kept = kept
    start_run_in_subprocess(arguments, recon, queue, stop)
    queue.put(built)


@pytest.mark.parametrize(
    ("job", "selection"),
    [("one_job", {}), ("__ASSET_JOB", {"asset_selection": frozenset({dg.AssetKey(["one", "run"])})})],
)
def test_a_run_keeps_its_pipeline_when_the_file_breaks(
    location: Path, write: Write, instance: DagsterInstance, job: str, selection: dict[str, Any]
) -> None:
    run, recon = launched(instance, location, job, **selection)
    write("pipelines/one.yaml", "steps: [broken")
    assert execute_like_dagster(instance, run, recon) == ["one"]
    ended = instance.get_run_by_id(run.run_id)
    assert ended is not None
    assert ended.status is dg.DagsterRunStatus.SUCCESS
    path = Path(instance.storage_directory()) / run.run_id / "one.second" / "outcome.json"
    assert json.loads(path.read_text())["value"] == "before it changed"


@pytest.mark.slow
def test_a_step_process_keeps_the_pipeline_of_its_run(location: Path, write: Write, instance: DagsterInstance) -> None:
    """The first step breaks the file; the second one runs in another process."""
    write(
        "pipelines/one.yaml",
        ONE.replace(
            "{id: first, action: echo, parameters: {message: before}}",
            "{id: first, tool: filesystem, action: write, parameters: {path: pipelines/one.yaml, content: 'steps: [', "
            "overwrite: true}}",
        ).replace("{{ first.value }}", "{{ first.size }}"),
    )
    (location / "location.py").write_text(
        (location / "location.py").read_text().replace(")", ", executor=dg.multiprocess_executor)").replace(
            "Path(__file__).parent, ", "Path(__file__).parent, ").replace(
            "from pathlib", "import dagster as dg\nfrom pathlib")
    )  # fmt: skip
    run, recon = launched(instance, location, "one_job")
    execute_like_dagster(instance, run, recon)
    ended = instance.get_run_by_id(run.run_id)
    assert ended is not None
    assert ended.status is dg.DagsterRunStatus.SUCCESS
    assert (location / "pipelines/one.yaml").read_text() == "steps: ["
    path = Path(instance.storage_directory()) / run.run_id / "one.second" / "outcome.json"
    assert json.loads(path.read_text())["value"] == "8 it changed"


def test_a_fork_server_loads_what_it_is_told(location: Path, write: Write) -> None:
    told = metadata_of(location)
    write("pipelines/one.yaml", "steps: [broken")
    code = "from location import defs; print([one.name for one in defs.jobs])"
    environment = {**os.environ, "PYTHONPATH": f"{location}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    with told_to_fork_server(told):
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=location, capture_output=True, text=True, check=True,
            env={**environment, served.SERVED_VARIABLE: os.environ[served.SERVED_VARIABLE]},
        )  # fmt: skip
    assert served.SERVED_VARIABLE not in os.environ
    assert "one_job" in done.stdout


class TestNothingStaleIsServed:
    """Whatever a pipeline was made from changes: it is made again."""

    INCLUDING = """
id: including
personality: helper
steps:
  - {id: a, action: echo, parameters: {message: "{{ file:part.md }}"}}
  - {id: b, action: generate_text, parameters: {prompt: hello, model: "builtin:extractive"}}
"""

    @pytest.fixture
    def compiled(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """The files that are compiled, as they are."""
        from orchestrator_dagster.project import loading as module

        files: list[str] = []
        usual = module.compile_file

        def compile_file(path: Path, *rest: Any) -> Any:
            files.append(path.name)
            return usual(path, *rest)

        monkeypatch.setattr(module, "compile_file", compile_file)
        return files

    @pytest.fixture
    def including(self, project: Path, write: Write) -> Path:
        write("part.md", "part")
        write("personalities/helper.md", "You help.")
        write("pipelines/including.yaml", self.INCLUDING)
        write("pipelines/one.yaml", ONE)
        return project

    def load(self, project: Path) -> dict[str, CompiledPipeline]:
        return {one.id: one for one in load_served(project / "pipelines", project).pipelines}

    def test_unchanged_files_are_not_compiled_again(self, including: Path, compiled: list[str]) -> None:
        first = self.load(including)
        assert compiled == ["including.yaml", "one.yaml"]
        assert self.load(including) == first
        assert len(compiled) == 2

    @pytest.mark.parametrize(
        ("file", "text"),
        [
            ("pipelines/including.yaml", INCLUDING.replace("hello", "goodbye")),
            ("part.md", "another part"),
            ("pipelines/part.md", "one that is found first"),
            ("personalities/helper.md", "You help much."),
        ],
    )
    def test_what_it_is_made_from(
        self, including: Path, write: Write, compiled: list[str], file: str, text: str
    ) -> None:
        before = self.load(including)
        write(file, text)
        after = self.load(including)
        assert compiled[2:] == ["including.yaml"]
        (fresh,) = (one for one in [orc.compile(including / "pipelines/including.yaml", root=including)])
        assert after["including"] == fresh.compiled
        assert after["including"] != before["including"]
        assert after["one"] == before["one"]

    def test_an_include_that_is_gone_is_an_error(self, including: Path) -> None:
        self.load(including)
        (including / "part.md").unlink()
        (file,) = load_served(including / "pipelines", including).stale
        assert [error.code for error in file.errors] == ["include-missing"]

    def test_another_state_of_the_package(
        self, including: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.load(including)
        monkeypatch.setattr("orchestrator_dagster.project.compiled_cache._made_by", lambda: "another version")
        self.load(including)
        assert len(compiled) == 4

    def test_a_moved_project(self, including: Path, compiled: list[str], tmp_path: Path) -> None:
        self.load(including)
        moved = including.rename(tmp_path / "moved")
        assert self.load(moved)["one"].folder == str(moved / "pipelines")
        assert len(compiled) == 4

    def test_tools_of_the_project_and_other_pipelines(self, project: Path, write: Write, compiled: list[str]) -> None:
        tools = "from orchestrator_dagster import tool\n\n\n@tool\ndef add(a: int) -> int:\n    return a\n"
        write("tools.py", tools)
        write("pipelines/own.yaml", "id: own\nsteps:\n  - {id: a, tool: add, parameters: {a: 1}}\n")
        write("pipelines/outer.yaml", "id: outer\nsteps:\n  - {id: a, pipeline: pipelines/own.yaml}\n")
        assert set(self.load(project)) == {"own", "outer"}
        self.load(project)
        assert sorted(compiled) == ["outer.yaml", "outer.yaml", "own.yaml", "own.yaml"]

    def test_a_file_that_changes_while_it_is_compiled(
        self, including: Path, write: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from orchestrator_dagster.project import loading as module

        usual = module.compile_file

        def compile_file(path: Path, *rest: Any) -> Any:
            done = usual(path, *rest)
            if path.name == "one.yaml":
                path.write_text(ONE.replace("before", "after"))
            return done

        with monkeypatch.context() as patch:
            patch.setattr(module, "compile_file", compile_file)
            self.load(including)
        assert self.load(including)["one"].steps[0].parameters == {"message": "after"}

    def test_a_broken_index_or_kept_file_is_made_again(self, including: Path, compiled: list[str]) -> None:
        first = self.load(including)
        folder = including / ".orchestrator/storage/pipelines"
        for path in folder.iterdir():
            if not path.name.startswith("served-"):
                path.write_text('{"half')
        assert self.load(including) == first
        assert len(compiled) == 4


def test_a_storage_that_cannot_be_written_is_no_error(
    location: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: Any) -> str:
        raise PermissionError("read only")

    monkeypatch.setattr("orchestrator_dagster.project.compiled_cache.keep_pipeline", refuse)
    found = load_served(location / "pipelines", location)
    assert ids(found.pipelines) == ["one", "two"]
    assert not found.metadata
    assert "cannot be kept" in caplog.text
