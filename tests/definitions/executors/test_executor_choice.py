"""Executors by name: in a pipeline's header and for a location, found or missing; runs that leave the process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterInstance
from hypothesis import given
from hypothesis import strategies as st

import orchestrator_dagster as orc
from orchestrator_dagster.compiler.executors import INTEGRATIONS, NAMES, split_address
from orchestrator_dagster.definitions.executors.executor import threads_executor, tuned_multiprocess_executor
from orchestrator_dagster.definitions.executors.executor_choice import find_executor, leaves_the_process
from orchestrator_dagster.definitions.location.factory import build_definitions
from orchestrator_dagster.errors import ExecutorError, OrchestratorError
from orchestrator_dagster.project.loading import compile_file

Write = Callable[[str, str], Path]
STEPS = "steps:\n  - {id: say, action: echo, parameters: {message: hello}, vars: [said: '{{ result }}'], products: [said: said.txt]}\n"
MISSING = [name for name, one in INTEGRATIONS.items() if find_spec(one.module) is None]


def with_executor(name: str | None, id_: str = "greets") -> str:
    return f"id: {id_}\n" + (f'executor: "{name}"\n' if name else "") + STEPS


def problems(path: Path, project: Path) -> list[tuple[str, str | None]]:
    return [(one.code, one.suggestion) for one in compile_file(path, project).problems]


@pytest.mark.parametrize("name", [*NAMES, "plant:fast", "plant.executors:Fast.one"])
def test_names_that_compile(name: str, write: Write, project: Path) -> None:
    path = write("p.yaml", with_executor(name))
    # That its package is not installed here is a warning.
    assert {code for code, _ in problems(path, project)} <= {"executor-missing"}
    assert compile_file(path, project).pipeline.executor == name  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "near"),
    [("thread", "threads"), ("in-process", "in_process"), ("Celery", "celery"), ("kubernetes", None), ("a:b:c", None)],
)
def test_names_that_do_not(name: str, near: str | None, write: Write, project: Path) -> None:
    assert problems(write("p.yaml", with_executor(name)), project) == [("wrong-value", near)]


@given(st.text(max_size=30))
def test_an_address_is_two_dotted_names(text: str) -> None:
    found = split_address(text)
    if found is not None:
        assert ":".join(found) == text
        assert all(part.isidentifier() for side in found for part in side.split("."))


def test_executors_of_jobs_and_of_materializations(write: Write, project: Path) -> None:
    write("pipelines/own.yaml", with_executor("multiprocess", "own"))
    write("pipelines/in_process.yaml", with_executor("in_process", "in_process_one"))
    write("pipelines/none.yaml", with_executor(None, "none"))
    definitions = build_definitions()
    jobs = {name: definitions.resolve_job_def(f"{name}_job").executor_def for name in ("own", "in_process_one", "none")}
    assert jobs == {
        "own": tuned_multiprocess_executor, "in_process_one": dg.in_process_executor, "none": threads_executor
    }  # fmt: skip
    # What is materialized from the asset pages takes the location's executor, whatever the pipeline names.
    assert definitions.resolve_implicit_global_asset_job_def().executor_def is threads_executor
    named = build_definitions(executor="in_process")
    assert named.resolve_implicit_global_asset_job_def().executor_def is dg.in_process_executor
    assert named.resolve_job_def("none_job").executor_def is dg.in_process_executor
    assert named.resolve_job_def("own_job").executor_def is tuned_multiprocess_executor


@pytest.mark.parametrize("name", MISSING)
def test_a_package_that_is_not_installed(name: str, project: Path) -> None:
    with pytest.raises(ExecutorError) as caught:
        find_executor(name, project)
    assert f"the package {INTEGRATIONS[name].package}, which is not installed" in str(caught.value)
    assert "pip install" in str(caught.value)


def test_it_leaves_out_only_its_own_pipeline(write: Write, project: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert MISSING, "everything is installed here: name another executor"
    name = MISSING[0]
    write("pipelines/far.yaml", with_executor(name, "far"))
    write("pipelines/near.yaml", with_executor(None, "near"))
    definitions = build_definitions()
    assert definitions.resolve_job_def("near_job")
    with pytest.raises(dg.DagsterInvariantViolationError, match="far_job"):
        definitions.resolve_job_def("far_job")
    (broken,) = (value for key, value in definitions.metadata.items() if key == "orchestrator/broken")
    for told in (str(broken.value), caplog.text):
        assert "pipelines/far.yaml:2:11: error[executor-missing]" in told
        assert f"needs the package {INTEGRATIONS[name].package}" in told


def test_the_command_says_what_to_install(write: Write, project: Path) -> None:
    write("pipelines/far.yaml", with_executor(MISSING[0], "far"))
    ran = command("run", "pipelines/far.yaml")
    assert ran.returncode == 1
    assert "which is not installed" in ran.stderr
    assert "Traceback" not in ran.stderr
    with pytest.raises(ExecutorError, match="not installed"):
        build_definitions(executor=MISSING[0])


OWN = """
import dagster as dg
quick = dg.in_process_executor.configured({"retries": {"disabled": {}}}, name="quick")
far = dg.multiprocess_executor.configured({"max_concurrent": 1})
number = 3
def function(): ...
class Several:
    quick = quick
"""


def test_an_executor_of_the_project(write: Write, project: Path, instance: DagsterInstance) -> None:
    write("own_executors_1.py", OWN)
    found = find_executor("own_executors_1:quick", project)
    assert found.name == "quick"
    assert find_executor("own_executors_1:Several.quick", project) is found
    assert str(project) not in sys.path
    path = write("pipelines/p.yaml", with_executor("own_executors_1:quick"))
    assert orc.compile(path).run(instance=instance).success


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("no_such_module_y:a", 'no module "no_such_module_y"'),
        ("own_executors_2.deeper:a", 'no module "own_executors_2.deeper"'),
        ("own_executors_2:quik", 'did you mean "quick"?'),
        ("own_executors_2:number", "is no executor but a int"),
        ("own_executors_2:function", "is no executor but a function"),
        ("own_executors_3:a", "does not load (ZeroDivisionError: division by zero)"),
        ("own_executors_4:a", "does not load (ModuleNotFoundError: No module named 'no_such_module_z')"),
        ("thredas", 'did you mean "threads"?'),
    ],
)
def test_an_executor_that_cannot_be_used(name: str, says: str, write: Write, project: Path) -> None:
    write("own_executors_2.py", OWN)
    write("own_executors_3.py", "1 / 0\n")
    write("own_executors_4.py", "import no_such_module_z\n")
    with pytest.raises(ExecutorError) as caught:
        find_executor(name, project)
    assert says in str(caught.value)
    assert caught.value.hint


def test_which_executors_leave_the_process() -> None:
    assert not leaves_the_process(threads_executor)
    assert not leaves_the_process(dg.in_process_executor)
    assert leaves_the_process(tuned_multiprocess_executor)
    assert leaves_the_process(dg.multiprocess_executor.configured({"max_concurrent": 1}))


PROCESSES = """
id: processes
executor: multiprocess
steps:
  - {id: one, tool: who, vars: [one: "{{ result.process }}"], products: [one: one.txt]}
  - {id: two, tool: who, vars: [two: "{{ result.process }}"], products: [two: two.txt]}
  - {id: both, action: echo, parameters: {message: "{{ one }} {{ two }}"}}
outputs: {processes: "{{ both }}"}
"""
WHO = '''
import os
from orchestrator_dagster import tool

@tool
def who() -> dict:
    """The process that runs this."""
    return {"process": os.getpid()}
'''


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "orchestrator_dagster.cli", *words], capture_output=True, text=True, timeout=150
    )


@pytest.mark.slow
def test_processes_from_the_command(write: Write, project: Path) -> None:
    """Steps find the compiled pipeline and the project's tools in processes of their own."""
    write("tools.py", WHO)
    path = write("pipelines/processes.yaml", PROCESSES)
    ran = command("run", str(path), "--quiet")
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    document = json.loads(ran.stdout)
    assert len(set(document["outputs"]["processes"].split())) == 2
    assert [one["path"] for one in document["products"]] == ["outputs/processes/one.txt", "outputs/processes/two.txt"]
    # The file may change while the run goes on: its steps have the pipeline that it was started with.
    (stored,) = (project / ".orchestrator" / "storage" / "pipelines").glob("*-*.json")
    assert json.loads(stored.read_text())["id"] == "processes"


def test_some_products_in_processes(write: Write, project: Path, instance: DagsterInstance) -> None:
    write("tools.py", WHO)
    result = orc.compile(write("p.yaml", PROCESSES)).run(instance=instance, products=["two"])
    assert result.success, result.error
    assert [one["variable"] for one in result.products] == ["two"]
    assert int((project / "outputs/processes/two.txt").read_text()) != os.getpid()


def test_what_cannot_leave_the_process(write: Write, project: Path, instance: DagsterInstance) -> None:
    pipeline = orc.compile(write("p.yaml", with_executor("multiprocess")))
    with pytest.raises(ExecutorError, match="an instance in memory has nothing for them"):
        pipeline.run(instance=DagsterInstance.ephemeral())
    with pytest.raises(ExecutorError, match="resources given to this run do not reach"):
        pipeline.run(instance=instance, resources={"models": orc.ModelsResource()})
    assert not instance.get_runs()


BREAKS = """
from dagster import Executor, executor
from dagster._core.execution.retries import RetryMode

class Breaks(Executor):
    retries = RetryMode.DISABLED
    def execute(self, plan_context, execution_plan):
        raise ConnectionError("no broker here")
        yield

@executor(name="breaks")
def breaks(_):
    return Breaks()
"""


def test_an_executor_that_breaks_is_told(write: Write, project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """No step failed: what led the run did."""
    write("own_executors_5.py", BREAKS)
    write("pipelines/p.yaml", with_executor("own_executors_5:breaks"))
    ran = command("run", "pipelines/p.yaml", "-o", "result.json")
    assert ran.returncode == 1
    said = 'the run failed outside of its steps (executor "own_executors_5:breaks"): ConnectionError: no broker here'
    assert f"error: {said}\n" in ran.stderr
    assert json.loads(Path("result.json").read_text())["error"] == {
        "type": "ConnectionError", "message": said, "step": None, "location": None, "hint": None
    }  # fmt: skip


def test_an_instance_that_does_not_open(write: Write, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("home/dagster.yaml", "storage: {postgres: {no_such_key: 1}}\n")
    monkeypatch.setenv("DAGSTER_HOME", str(project / "home"))
    with pytest.raises(OrchestratorError, match="the runs cannot be recorded"):
        orc.compile(write("p.yaml", with_executor(None))).run()


@pytest.mark.slow
def test_a_new_instance_is_made_by_one_process_at_a_time(write: Write, project: Path) -> None:
    write("pipelines/p.yaml", with_executor(None))
    words = [sys.executable, "-m", "orchestrator_dagster.cli", "run", "pipelines/p.yaml", "-o"]
    started = [subprocess.Popen([*words, f"{n}.json"], stderr=subprocess.PIPE, text=True) for n in range(4)]
    for process in started:
        _, said = process.communicate(timeout=150)
        assert process.returncode == 0, said
    with DagsterInstance.from_config(str(project / ".orchestrator")) as instance:
        assert len(instance.get_runs()) == 4
