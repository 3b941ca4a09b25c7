"""The example for Celery: real workers, a real broker, workers that are killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from celery_workers import PATIENCE, wait_until, workers
from dagster import DagsterInstance

import orchestrator_dagster as orc

REPOSITORY = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "orchestrator_dagster.cli", "run"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
on_each = pytest.mark.parametrize("place", ["redis", "rabbitmq"], indirect=True)
on_redis = pytest.mark.parametrize("place", ["redis"], indirect=True)


def products(folder: Path) -> dict[str, bytes]:
    """Every file of an output folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.*"))}


def on_threads(file: Path, root: Path, monkeypatch: pytest.MonkeyPatch, **inputs: Any) -> dict[str, bytes]:
    """What the pipeline makes undisturbed, in threads; its outputs are removed again."""
    text = file.read_text(encoding="utf-8").replace("executor: on_celery:executor\n", "executor: threads\n")
    other = file.with_name("on_threads.yaml")
    other.write_text(text, encoding="utf-8")
    monkeypatch.chdir(root)
    with DagsterInstance.ephemeral() as instance:
        result = orc.compile(other, root=root).run(instance=instance, **inputs)
    assert result.success, result.error
    made = products(root / "outputs")
    assert made
    shutil.rmtree(root / "outputs")
    other.unlink()
    return made


def who_worked(home: str, run_id: str) -> dict[str, str]:
    """The worker of each step, as the event log has it."""
    found = {}
    with DagsterInstance.from_config(home) as instance:
        for entry in instance.all_logs(run_id):
            event = entry.dagster_event
            if event is not None and event.is_engine_event and "Celery worker" in event.engine_event_data.metadata:
                found[entry.step_key or ""] = str(event.engine_event_data.metadata["Celery worker"].value)
    return found


def the_example(example: Path) -> tuple[Path, dict[str, str]]:
    return example / "pipelines" / "review.yaml", {}


def the_main_pipeline(example: Path) -> tuple[Path, dict[str, str]]:
    shutil.copytree(REPOSITORY / "data", example / "data")
    text = (REPOSITORY / "pipelines" / "research_report.yaml").read_text(encoding="utf-8")
    path = example / "pipelines" / "research_report.yaml"
    path.write_text(
        text.replace("id: research_report\n", "id: research_report\nexecutor: on_celery:executor\n"), encoding="utf-8"
    )
    return path, {"topic": "shade and surface temperature"}


@pytest.mark.parametrize(
    ("place", "pipeline"), [("redis", the_example), ("rabbitmq", the_main_pipeline)], indirect=["place"]
)
def test_two_workers_make_what_threads_make(
    example: Path,
    place: Any,
    environment: dict[str, str],
    pipeline: Callable[[Path], tuple[Path, dict[str, str]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place.settings(example / "celery.yaml")
    file, inputs = pipeline(example)
    undisturbed = on_threads(file, example, monkeypatch, **inputs)
    given = [word for name, value in inputs.items() for word in ("-i", f"{name}={value}")]
    with workers("one", "two", folder=example, environment=environment, queue=place.name):
        ran = subprocess.run(
            [*COMMAND, str(file), *given, "-o", "result.json"],
            cwd=example, env=environment, capture_output=True, text=True, timeout=2 * PATIENCE,
        )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert products(example / "outputs") == undisturbed
    document = json.loads((example / "result.json").read_text())
    took_part = who_worked(environment["DAGSTER_HOME"], document["execution_id"])
    assert len(took_part) == len(document["steps"]) + 2  # inputs and finish
    assert {name.partition("@")[0] for name in took_part.values()} == {"one", "two"}


@on_redis
def test_a_run_of_the_code_location(example: Path, place: Any, environment: dict[str, str]) -> None:
    """Workers make the job anew from the location's file, as they do for launches of the UI."""
    place.settings(example / "celery.yaml")
    with workers("one", folder=example, environment=environment, queue=place.name):
        ran = subprocess.run(
            [sys.executable, "-m", "dagster", "job", "execute", "-f", "location.py", "-j", "review_job"],
            cwd=example, env=environment, capture_output=True, text=True, timeout=2 * PATIENCE,
        )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert {"outputs/review/review.md", "outputs/review/statements.csv"} <= {
        f"outputs/{name}" for name in products(example / "outputs")
    }
    with DagsterInstance.from_config(environment["DAGSTER_HOME"]) as instance:
        (run,) = instance.get_runs()
    assert set(who_worked(environment["DAGSTER_HOME"], run.run_id).values())


HOLD = '''
import os
import threading
from pathlib import Path

from orchestrator_dagster import tool


@tool
def hold() -> dict:
    """Hang the first time; go on the second time."""
    mark = Path(__file__).with_name("held")
    try:
        with mark.open("x") as file:
            file.write(f"{os.getpid()}\\n")
    except FileExistsError:
        return {"text": "let go"}
    threading.Event().wait(600)
    return {"text": "nobody stopped it"}
'''
HELD = """
id: held
executor: on_celery:executor
steps:
  - {id: hold, tool: hold, vars: [held: "{{ result.text }}"], products: [held: held.txt]}
  - {id: meanwhile, action: echo, parameters: {message: meanwhile}, vars: [said: "{{ result }}"], products: [said: said.txt]}
  - {id: after, action: echo, parameters: {message: "{{ held }} {{ said }}"}, vars: [both: "{{ result }}"], products: [both: both.txt]}
"""


def held_run(example: Path, environment: dict[str, str]) -> tuple[subprocess.Popen[str], int]:
    """Start the run; gives it, and the process in which its step hangs."""
    run = subprocess.Popen(
        [*COMMAND, "pipelines/held.yaml", "-o", "result.json"],
        cwd=example, env=environment, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    mark = example / "held"
    wait_until(lambda: mark.is_file() and mark.read_text().endswith("\n"), "the step", run)  # type: ignore[arg-type]
    return run, int(mark.read_text())


@on_each
def test_a_worker_that_is_killed_loses_nothing(
    example: Path, place: Any, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGKILL for the whole worker in the middle of a step: the other one takes the step over."""
    place.settings(example / "celery.yaml")
    (example / "tools.py").write_text(HOLD, encoding="utf-8")
    (example / "pipelines" / "held.yaml").write_text(HELD, encoding="utf-8")
    (example / "held").touch()
    undisturbed = on_threads(example / "pipelines" / "held.yaml", example, monkeypatch)
    (example / "held").unlink()
    with workers("one", "two", folder=example, environment=environment, queue=place.name) as groups:
        run, process = held_run(example, environment)
        group = os.getpgid(process)
        assert group in groups.values()
        os.killpg(group, signal.SIGKILL)
        _, said = run.communicate(timeout=2 * PATIENCE)
    assert run.returncode == 0, said
    assert products(example / "outputs") == undisturbed
    document = json.loads((example / "result.json").read_text())
    (survivor,) = (name for name, number in groups.items() if number != group)
    took_part = who_worked(environment["DAGSTER_HOME"], document["execution_id"])
    assert took_part["held.hold"].startswith(f"{survivor}@")


@on_redis
def test_without_late_acknowledgement_the_run_fails_and_says_why(
    example: Path, place: Any, environment: dict[str, str]
) -> None:
    """Celery's own default: a step whose process is killed is not tried again."""
    place.settings(example / "celery.yaml", late=False)
    (example / "tools.py").write_text(HOLD, encoding="utf-8")
    (example / "pipelines" / "held.yaml").write_text(HELD, encoding="utf-8")
    with workers("one", "two", folder=example, environment=environment, queue=place.name):
        run, process = held_run(example, environment)
        os.kill(process, signal.SIGKILL)
        _, said = run.communicate(timeout=2 * PATIENCE)
    assert run.returncode == 1
    assert "WorkerLostError: Worker exited prematurely: signal 9" in said
    assert "Stack Trace" not in said
    document = json.loads((example / "result.json").read_text())
    assert document["error"]["step"] is None
    assert document["steps"]["meanwhile"]["status"] == "completed"
    assert document["steps"]["after"]["status"] == "skipped"


def test_a_broker_that_does_not_answer(example: Path) -> None:
    pytest.importorskip("dagster_celery", reason="dagster-celery is not installed")
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(example / "home"),
        "CELERY_BROKER": "pyamqp://guest:a-secret-9f2@127.0.0.1:1//",
        "CELERY_BACKEND": "rpc://",
    }
    ran = subprocess.run(
        [*COMMAND, "pipelines/review.yaml", "--quiet"],
        cwd=example, env=environment, capture_output=True, text=True, timeout=2 * PATIENCE,
    )  # fmt: skip
    assert ran.returncode == 1
    assert 'error: the run failed outside of its steps (executor "on_celery:executor"): ' in ran.stderr
    assert "refused" in ran.stderr
    assert json.loads(ran.stdout)["status"] == "failed"
    assert "a-secret-9f2" not in ran.stderr + ran.stdout


WAITING = '''
import time
from pathlib import Path

from orchestrator_dagster import tool


@tool
def wait() -> dict:
    """Works until it may go on."""
    with open("held", "a") as log:
        log.write("begun\\n")
    while not Path("go").exists():
        time.sleep(0.05)
    return {"text": "let go"}
'''


@pytest.mark.skipif(
    not os.environ.get("TEST_REDIS_RESTART"), reason="TEST_REDIS_RESTART is not set: a command that does it"
)
@on_redis
def test_redis_is_restarted(example: Path, place: Any, environment: dict[str, str]) -> None:
    """The run ends and says that its broker is away; what was done stays done, and workers come back for its resume."""
    place.settings(example / "celery.yaml")
    (example / "tools.py").write_text(WAITING, encoding="utf-8")
    (example / "pipelines" / "held.yaml").write_text(HELD.replace("tool: hold", "tool: wait"), encoding="utf-8")
    with workers("one", "two", folder=example, environment=environment, queue=place.name):
        run = subprocess.Popen(
            [*COMMAND, "pipelines/held.yaml", "-o", "result.json"],
            cwd=example, env=environment, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        wait_until((example / "held").is_file, "the step", run)  # type: ignore[arg-type]
        wait_until((example / "outputs" / "held" / "said.txt").is_file, "the other step", run)  # type: ignore[arg-type]
        subprocess.run(os.environ["TEST_REDIS_RESTART"], shell=True, check=True)  # noqa: S602 - the tester's own
        (example / "go").touch()
        _, said = run.communicate(timeout=2 * PATIENCE)
        assert run.returncode == 1
        assert 'error: the run failed outside of its steps (executor "on_celery:executor"): ' in said
        assert "6379" in said
        document = json.loads((example / "result.json").read_text())
        assert document["steps"]["meanwhile"]["status"] == "completed"
        ran = subprocess.run(
            [sys.executable, "-m", "orchestrator_dagster.cli", "resume", document["execution_id"], "-q"],
            cwd=example, env=environment, capture_output=True, text=True, timeout=2 * PATIENCE,
        )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["success"]
