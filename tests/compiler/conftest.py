"""Pipelines of a line or two, compiled as a project's files are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator_dagster.compiler.compile import Compilation
from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.language.diagnostics import Diagnostic
from orchestrator_dagster.project.loading import compile_file

HEAD = "id: p\ndefault_model: builtin:extractive\n"


@pytest.fixture
def compilation(tmp_path: Path) -> Callable[[str], Compilation]:
    """Compile a text as the file ``p.yaml`` of a project."""
    (tmp_path / "workspace.yaml").touch()

    def run(text: str) -> Compilation:
        path = tmp_path / "p.yaml"
        path.write_bytes(text.encode())
        return compile_file(path, tmp_path)

    return run


@pytest.fixture
def compiled(compilation: Callable[[str], Compilation]) -> Callable[[str], CompiledPipeline]:
    """Compile a text that is right; `id` and a model are put before it."""

    def run(text: str) -> CompiledPipeline:
        done = compilation(HEAD + text)
        assert done.pipeline is not None, "\n".join(one.render() for one in done.problems)
        return done.pipeline

    return run


@pytest.fixture
def problems(compilation: Callable[[str], Compilation]) -> Callable[[str], list[Diagnostic]]:
    """The problems of a text; `id` and a model are put before it, so that its first line is the third."""

    def run(text: str) -> list[Diagnostic]:
        done = compilation(HEAD + text)
        assert (done.pipeline is None) == bool(done.problems.errors)
        return list(done.problems)

    return run


@pytest.fixture
def only(problems: Callable[[str], list[Diagnostic]]) -> Callable[[str], Any]:
    """The one problem of a text."""

    def run(text: str) -> Diagnostic:
        found = problems(text)
        assert len(found) == 1, "\n".join(one.render() for one in found)
        return found[0]

    return run
