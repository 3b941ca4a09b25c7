"""PostgreSQL keeps the runs: the example's instance, a real server, a database of its own for each test."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from celery_workers import PATIENCE, wait_until
from dagster import DagsterInstance, DagsterRunStatus
from dagster._serdes import serialize_value

REPOSITORY = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "orchestrator_dagster.cli", "run"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def example(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the example, which is also DAGSTER_HOME and the current folder."""
    folder = tmp_path / "example"
    ignored = shutil.ignore_patterns("outputs", "storage", "history", ".orchestrator")
    shutil.copytree(REPOSITORY / "examples" / "postgres", folder, ignore=ignored)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    parts = urlsplit(database)
    for name, value in {
        "HOST": parts.hostname, "USER": parts.username, "PASSWORD": parts.password, "DB": parts.path[1:]
    }.items():  # fmt: skip
        monkeypatch.setenv(f"DAGSTER_POSTGRES_{name}", value or "")
    settings = folder / "dagster.yaml"
    settings.write_text(settings.read_text().replace("port: 5432", f"port: {parts.port or 5432}"))
    yield folder
    for process in psutil.process_iter(["environ"]):  # a code server of Dagster outlives its daemon now and then
        if (process.info["environ"] or {}).get("DAGSTER_HOME") == str(folder) and process.pid != os.getpid():
            process.kill()


def runs() -> list[Any]:
    with DagsterInstance.get() as instance:
        return list(instance.get_run_records())


def rows(database: str, query: str) -> list[tuple[Any, ...]]:
    import psycopg2

    with psycopg2.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


def test_the_main_pipeline(example: Path, database: str) -> None:
    shutil.copytree(REPOSITORY / "data", example / "data")
    shutil.copy(REPOSITORY / "pipelines" / "research_report.yaml", example / "pipelines")
    ran = subprocess.run(
        [*COMMAND, "pipelines/research_report.yaml", "-i", "topic=shade", "-o", "result.json"],
        capture_output=True, text=True, timeout=2 * PATIENCE,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    document = json.loads(Path("result.json").read_text())
    assert document["success"]
    assert rows(database, "SELECT run_id, status FROM runs") == [(document["execution_id"], "SUCCESS")]
    materialized = {key for (key,) in rows(database, "SELECT asset_key FROM asset_keys")}
    assert {f'["research_report", "{name}"]' for name in ("report", "findings", "surface_table", "run")} <= materialized
    assert not list(example.rglob("*.db")), "SQLite was used too"


def test_the_address_is_nowhere_but_in_the_environment(
    example: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What other processes and Celery's messages get of the instance names the variable only."""
    monkeypatch.setenv("DAGSTER_POSTGRES_PASSWORD", "planted-5d1")  # where any is good
    ran = subprocess.run(
        [*COMMAND, "pipelines/stock.yaml", "-o", "result.json"], capture_output=True, text=True, timeout=PATIENCE
    )
    if ran.returncode == 1 and "authentication failed" in ran.stderr:
        pytest.skip("the server asks for the password that it knows")
    assert ran.returncode == 0, ran.stderr
    with DagsterInstance.get() as instance:
        sent = serialize_value(instance.get_ref())
    assert "DAGSTER_POSTGRES_PASSWORD" in sent
    assert "planted-5d1" not in sent + ran.stderr
    for path in example.rglob("*"):
        assert not path.is_file() or b"planted-5d1" not in path.read_bytes(), path


def test_a_server_that_does_not_answer(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_POSTGRES_PASSWORD", "planted-5d1")
    settings = example / "dagster.yaml"
    settings.write_text(re.sub(r"port: \d+", "port: 1", settings.read_text()))
    ran = subprocess.run([*COMMAND, "pipelines/stock.yaml"], capture_output=True, text=True, timeout=PATIENCE)
    assert ran.returncode == 1
    assert "error: the runs cannot be recorded" in ran.stderr
    assert "refused" in ran.stderr
    assert "planted-5d1" not in ran.stderr
    assert "Traceback" not in ran.stderr


def test_ten_runs_at_once_are_all_recorded(example: Path, database: str) -> None:
    """From ten processes, which also find the database empty at once."""
    started = [
        subprocess.Popen(
            [*COMMAND, "pipelines/stock.yaml", "-i", f"output_dir=outputs/{number}", "-o", f"{number}.json"],
            stderr=subprocess.PIPE, text=True,
        )
        for number in range(10)
    ]  # fmt: skip
    for process in started:
        _, said = process.communicate(timeout=3 * PATIENCE)
        assert process.returncode == 0, said
    documents = [json.loads(Path(f"{number}.json").read_text()) for number in range(10)]
    assert {one["status"] for one in documents} == {"completed"}
    assert {one["outputs"]["articles"] for one in documents} == {2}
    assert dict(rows(database, "SELECT run_id, status FROM runs")) == {
        one["execution_id"]: "SUCCESS" for one in documents
    }
    ended = "SELECT run_id, count(*) FROM event_logs WHERE dagster_event_type = 'STEP_SUCCESS' GROUP BY run_id"
    assert dict(rows(database, ended)) == {one["execution_id"]: 3 for one in documents}


ALONE = '''
import time
from pathlib import Path

from orchestrator_dagster import tool


@tool
def alone() -> dict:
    """Fail when another run is in here too."""
    mark = Path(__file__).with_name("inside")
    mark.touch(exist_ok=False)
    time.sleep(1)
    mark.unlink()
    return {}
'''


def test_a_pool_holds_over_runs_of_several_processes(example: Path, database: str) -> None:
    (example / "tools.py").write_text(ALONE, encoding="utf-8")
    Path("pipelines/alone.yaml").write_text("id: alone\nsteps:\n  - {id: enter, tool: alone, pool: till}\n")
    started = [
        subprocess.Popen([*COMMAND, "pipelines/alone.yaml", "-o", f"{n}.json"], stderr=subprocess.PIPE, text=True)
        for n in range(4)
    ]
    for process in started:
        _, said = process.communicate(timeout=3 * PATIENCE)
        assert process.returncode == 0, said
    assert rows(database, 'SELECT concurrency_key, "limit" FROM concurrency_limits') == [("till", 1)]
    assert rows(database, "SELECT count(*) FROM pending_steps") == [(0,)]


def test_runs_wait_in_the_queue(example: Path) -> None:
    """Dagster's daemon starts the next queued run only when the one before has ended."""
    settings = Path("dagster.yaml")
    settings.write_text(settings.read_text().replace("max_concurrent_runs: 4", "max_concurrent_runs: 1"))
    launch = [sys.executable, "-m", "dagster", "job", "launch", "-w", "workspace.yaml", "-j", "stock_job"]
    launched = [subprocess.Popen(launch, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(2)]
    for process in launched:
        said, _ = process.communicate(timeout=2 * PATIENCE)
        assert process.returncode == 0, said
    assert [one.dagster_run.status for one in runs()] == [DagsterRunStatus.QUEUED] * 2
    with Path("daemon.log").open("wb") as log:
        command = [sys.executable, "-m", "dagster._daemon", "run", "-w", "workspace.yaml"]
        daemon = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_until(
            lambda: [one.dagster_run.status for one in runs()] == [DagsterRunStatus.SUCCESS] * 2, "both runs", daemon
        )
    finally:
        daemon.terminate()
        daemon.wait(PATIENCE)
    first, second = sorted(runs(), key=lambda one: one.start_time)
    assert first.end_time <= second.start_time
