"""Real Celery workers, and a place on a broker that only one test uses."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import yaml

#: Seconds after which a test gives up waiting for something that must come.
PATIENCE = 60
BIN = Path(sys.executable).parent
BROKERS = {
    "redis": (os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/0"), None),
    "rabbitmq": (os.environ.get("TEST_RABBITMQ_URL", "pyamqp://guest:guest@127.0.0.1:5672//"), "rpc://"),
}


@dataclass
class Place:
    """A queue of its own on a broker; with Redis also keys of its own."""

    broker: str
    backend: str
    name: str = field(default_factory=lambda: f"orchestrator-test-{uuid.uuid4().hex[:8]}")

    def settings(self, example: Path, *, late: bool = True) -> None:
        """Let the example's celery.yaml use this place; ``late`` as it is there, else with Celery's own default."""
        document = yaml.safe_load(example.read_text(encoding="utf-8"))
        source = document["execution"]["config"]["config_source"]
        source["task_default_queue"] = self.name
        if self.broker.startswith("redis"):
            keys = {"global_keyprefix": f"{self.name}:"}
            source["broker_transport_options"].update(keys, visibility_timeout=15, unacked_restore_interval=1)
            source["result_backend_transport_options"] = keys
        else:
            del source["broker_transport_options"]
        if not late:
            del source["task_acks_late"], source["task_reject_on_worker_lost"]
        example.write_text(yaml.safe_dump(document), encoding="utf-8")

    def clear(self) -> None:
        """Remove what is left there."""
        if self.broker.startswith("redis"):
            import redis

            with redis.Redis.from_url(self.broker) as client:
                for key in client.scan_iter(f"{self.name}:*"):
                    client.delete(key)
        else:
            import kombu

            with kombu.Connection(self.broker) as connection:
                connection.default_channel.queue_delete(self.name)


def missing(kind: str) -> str | None:
    """Why there can be no test with this broker, None when there can."""
    try:
        import dagster_celery  # noqa: F401

        if kind == "redis":
            import redis  # noqa: F401
    except ImportError as error:
        return f"{error.name} is not installed"
    url = urlsplit(BROKERS[kind][0])
    try:
        with socket.create_connection((url.hostname or "", url.port or 0), timeout=2):
            return None
    except OSError:
        return f"no {kind} at {url.hostname}:{url.port}"


def wait_until(found: object, what: str, process: subprocess.Popen[bytes] | None = None) -> object:
    """The first true answer of ``found()``."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        answer = found()  # type: ignore[operator]
        if answer:
            return answer
        assert process is None or process.poll() is None, f"it ended before: {what}"
        time.sleep(0.05)
    raise AssertionError(f"it did not come: {what}")


@contextmanager
def workers(*names: str, folder: Path, environment: dict[str, str], queue: str) -> Iterator[dict[str, int]]:
    """Start workers that take one step at a time; gives the process group of each."""
    started: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name in names:
            command = [str(BIN / "dagster-celery"), "worker", "start", "-A", "dagster_celery.app", "-y", "celery.yaml"]
            with (folder / f"{name}.log").open("wb") as log:
                started[name] = subprocess.Popen(
                    [*command, "-q", queue, "-n", name, "--", "--concurrency", "1"],
                    cwd=folder,
                    env=environment,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        for name, process in started.items():
            wait_until(lambda log=folder / f"{name}.log": " ready." in log.read_text(), f"worker {name}", process)
        yield {name: process.pid for name, process in started.items()}
    finally:
        for process in started.values():
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a worker with all of its group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            continue
    process.wait()
