"""A real ``dagster dev`` on a project of its own, spoken to over GraphQL as the UI does."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SELECTOR = {"repositoryLocationName": "pipelines", "repositoryName": "__repository__"}


@dataclass
class Dev:
    """A running ``dagster dev``."""

    url: str
    home: Path
    project: Path

    def query(self, text: str, **variables: Any) -> dict[str, Any]:
        """Ask over GraphQL; an error in the answer fails the test."""
        body = json.dumps({"query": text, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            found = json.load(answer)
        assert "errors" not in found, found["errors"]
        data: dict[str, Any] = found["data"]
        return data

    def wait(self, run_id: str) -> str:
        """The status in which a run ended."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            status = self.query("query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }", id=run_id)[
                "runOrError"
            ]["status"]
            if status in ("SUCCESS", "FAILURE", "CANCELED"):
                return str(status)
            time.sleep(0.3)
        raise AssertionError(f"the run {run_id} did not end")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def dagster_dev(
    project: Path, tmp_path: Path, command: Sequence[str] = ("dagster", "dev", "-w", "workspace.yaml")
) -> Iterator[Dev]:
    """``dagster dev``, or another command that is given as a module and its arguments, serving a project.

    A project that has recorded runs is served with them, another one with an instance of its own in ``tmp_path``.
    """
    pytest.importorskip("dagster_webserver", reason="dagster-webserver is not installed (extra: ui)")
    home = project / ".orchestrator"
    if not home.exists():
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        (home / "dagster.yaml").write_text("telemetry: {enabled: false}\nnux: {enabled: false}\n")
    port = free_port()
    log = (tmp_path / "dev.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", *command, "--host", "127.0.0.1", "--port", str(port)],
        cwd=project,
        env={**os.environ, "DAGSTER_HOME": str(home)},
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    found = Dev(f"http://127.0.0.1:{port}", home, project)
    try:
        _wait_until_up(found, process, tmp_path / "dev.log")
        yield found
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        log.close()


def _wait_until_up(dev: Dev, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"dagster dev ended:\n{log.read_text()}")
        try:
            nodes = dev.query("{ assetNodes { id } }")["assetNodes"]
        except OSError:
            nodes = []
        if nodes:
            return
        time.sleep(0.5)
    raise AssertionError(f"dagster dev did not come up:\n{log.read_text()}")
