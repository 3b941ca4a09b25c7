"""A project of its own for each test: real files, a real Dagster instance, no keys from the machine."""

from __future__ import annotations

import gc
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dagster import DagsterInstance
from hypothesis import HealthCheck, settings

REPOSITORY = Path(__file__).resolve().parent.parent

# Shells start background jobs with SIGINT ignored, nohup with SIGHUP, and programs started here would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# How fast this machine is, is no matter of the tests.
settings.register_profile("any_machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any_machine")

# As the command does: what the tests are made of is much, and stays.
gc.set_threshold(50_000, 20, 20)

KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE")


def pytest_collection_finish() -> None:
    gc.freeze()


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*KEYS, "DAGSTER_HOME", "ORCHESTRATOR_ROOT", "ORCHESTRATOR_PIPELINES"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project folder, which is also the current folder."""
    folder = tmp_path / "project"
    (folder / "pipelines").mkdir(parents=True)
    shutil.copy(REPOSITORY / "workspace.yaml", folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def demo(project: Path) -> Path:
    """A project with the main pipeline and its data."""
    shutil.copytree(REPOSITORY / "data", project / "data")
    shutil.copy(REPOSITORY / "pipelines" / "research_report.yaml", project / "pipelines")
    return project


@pytest.fixture
def write(project: Path) -> Callable[[str, str], Path]:
    """Writes a file of the project: ``write("pipelines/x.yaml", "id: x …")``."""

    def make(name: str, text: str) -> Path:
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return make


@pytest.fixture(scope="session")
def _new_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an instance that has just been made: to copy it takes a sixth of the time of making one."""
    home = tmp_path_factory.mktemp("home")
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    with DagsterInstance.from_config(str(home)):
        return home


@pytest.fixture
def instance(tmp_path: Path, _new_home: Path) -> Iterator[DagsterInstance]:
    """A real instance on disk, of its own."""
    home = tmp_path / "dagster_home"
    shutil.copytree(_new_home, home)
    with DagsterInstance.from_config(str(home)) as opened:
        yield opened
