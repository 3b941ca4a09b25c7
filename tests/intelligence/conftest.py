"""Compiled pipelines, and what a model is asked about them with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.project import compile_or_raise

Compile = Callable[[str], CompiledPipeline]


@pytest.fixture
def compiled(project: Path) -> Compile:
    """Compiles the text of a pipeline file."""

    def make(text: str) -> CompiledPipeline:
        path = project / "pipelines" / "one.yaml"
        path.write_text(text, encoding="utf-8")
        return compile_or_raise(path, project)

    return make
