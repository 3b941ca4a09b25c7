"""Runs of which the log is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator_dagster.testing import ModelServer


@pytest.fixture
def server(model_server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> ModelServer:
    """The model server as a provider is reached: by the environment."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-0123456789abcdef")
    monkeypatch.setenv("OPENAI_BASE_URL", model_server.url)
    return model_server


@pytest.fixture
def folder(project: Path) -> Path:
    """A project with a file."""
    (project / "notes.txt").write_text("Trees give shade.", encoding="utf-8")
    return project
