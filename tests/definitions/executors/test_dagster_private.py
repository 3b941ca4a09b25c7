"""What the executors stand on in Dagster, by name, and what is loaded before steps are forked."""

# No `from __future__ import annotations` here: Dagster looks at the types of ops themselves.

import ast
import logging
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRunStatus
from dagster import __version__ as dagster_version
from executing import start

from orchestrator_dagster.definitions.executors import _dagster_private, executor
from orchestrator_dagster.definitions.executors.executor import default_executor, threads_executor
from orchestrator_dagster.definitions.executors.multiprocess import PRELOADED


def private_names() -> list[tuple[str, str]]:
    tree = ast.parse(Path(_dagster_private.__file__).read_text(encoding="utf-8"))
    return [
        (node.module, name.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and "._" in node.module
        for name in node.names
    ]


@pytest.mark.parametrize("module", PRELOADED)
def test_what_is_preloaded_is_there(module: str) -> None:
    try:
        import_module(module)
    except ImportError:
        pytest.fail(
            f"Dagster {dagster_version} has no {module}: adapt PRELOADED in definitions/executors/multiprocess.py"
        )


@pytest.mark.parametrize(("module", "name"), private_names())
def test_dagster_still_has_what_the_executors_stand_on(module: str, name: str) -> None:
    try:
        found = hasattr(import_module(module), name)
    except ImportError:
        found = False
    assert found, (
        f"Dagster {dagster_version} has no {module}.{name}; the executors were tried with Dagster "
        f"{', '.join(executor.TRIED_WITH)}: adapt definitions/executors/_dagster_private.py"
    )


def test_without_them_steps_run_in_process() -> None:
    code = """
import logging, dagster as dg, dagster._core.execution.plan.active as active
del active.ActiveExecution
logging.basicConfig()
from orchestrator_dagster.definitions.instance.event_log import event_log_open
from orchestrator_dagster.definitions.executors.executor import default_executor, threads_executor
assert default_executor() is dg.in_process_executor
try:
    threads_executor.executor_creation_fn(None)
except dg.DagsterInvariantViolationError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for text in (done.stdout, done.stderr):
        assert f"tried with Dagster {', '.join(executor.TRIED_WITH)}" in text
        assert "ActiveExecution" in text
    assert "executor: in_process" in done.stdout


def test_threads_are_the_default() -> None:
    assert default_executor() is threads_executor
    assert threads_executor.name == "threads"


@pytest.mark.slow
def test_steps_are_forked_from_a_process_that_has_everything_loaded(files: Path, instance: DagsterInstance) -> None:
    process = start("forked", files, instance)
    try:
        assert process.wait(150) == 0
    finally:
        process.kill()
    (run,) = instance.get_runs()
    assert run.status == DagsterRunStatus.SUCCESS
    warnings = [record.user_message for record in instance.all_logs(run.run_id) if record.level == logging.WARNING]
    assert len(warnings) == 1
    (named,) = [line for line in warnings[0].splitlines() if line.startswith("  - ")]
    assert "no_such_module_x: ModuleNotFoundError" in named
