"""Fixtures of the tests with real services."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from dagster import DagsterInstance

#: A PostgreSQL server where databases may be made.
SERVER = os.environ.get("TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
REPOSITORY = Path(__file__).resolve().parents[2]


def _beside(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


celery_workers = _beside("celery_workers")


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A place of one's own on the broker that the test names; skipped where there is none."""
    reason = celery_workers.missing(request.param)
    if reason:
        pytest.skip(reason)
    broker, backend = celery_workers.BROKERS[request.param]
    made = celery_workers.Place(broker, backend or broker)
    yield made
    made.clear()


@pytest.fixture
def database() -> Iterator[str]:
    """The address of an empty database, which is dropped afterwards."""
    pytest.importorskip("dagster_postgres", reason="dagster-postgres is not installed")
    import psycopg2

    name = f"orchestrator_test_{uuid.uuid4().hex[:8]}"
    try:
        server = psycopg2.connect(SERVER, connect_timeout=3)
    except psycopg2.OperationalError as error:
        pytest.skip(f"no PostgreSQL server: {str(error).splitlines()[0]}")
    server.autocommit = True
    with server.cursor() as cursor:
        cursor.execute(f'CREATE DATABASE "{name}"')
        yield urlunsplit(urlsplit(SERVER)._replace(path=f"/{name}"))
        cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    server.close()


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """A copy of the example."""
    folder = tmp_path / "example"
    shutil.copytree(
        REPOSITORY / "examples" / "celery", folder, ignore=shutil.ignore_patterns("outputs", ".orchestrator", "history")
    )
    # Its tables are made once: Dagster breaks when two processes make them at the same time.
    with DagsterInstance.from_config(str(folder / "home")):
        return folder


@pytest.fixture
def environment(example: Path, place: Any) -> dict[str, str]:
    """The environment of the example's processes."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {
        **os.environ,
        "PATH": path,
        "DAGSTER_HOME": str(example / "home"),
        "CELERY_BROKER": place.broker,
        "CELERY_BACKEND": place.backend,
    }
