"""Timeouts of steps: of every kind of step, and refused where the work could not be stopped."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator_dagster.compiler.compile import Compilation, compile_pipeline
from orchestrator_dagster.language.read import read_pipeline
from orchestrator_dagster.project.loading import known
from orchestrator_dagster.tools.decorator import tool
from orchestrator_dagster.tools.registry import ToolRegistry


@tool
def here_only() -> int:
    """A tool of this program."""
    return 1


@tool
async def here_async() -> int:
    """One that can be cancelled."""
    return 1


def compiled(folder: Path, text: str) -> Compilation:
    (folder / "p.yaml").write_text(text)
    (folder / "tools.py").write_text("from orchestrator_dagster import tool\n@tool\ndef ours() -> int:\n    return 1\n")
    registry = ToolRegistry()
    registry.load_file(folder / "tools.py")
    registry.add(here_only)
    registry.add(here_async)
    outside = known(folder)
    return compile_pipeline(
        read_pipeline(folder / "p.yaml", "p.yaml"), type(outside)(registry, outside.models, outside.personalities)
    )


@pytest.mark.parametrize(
    "text",
    [
        "steps: [{id: a, tool: ours, timeout: 30}]",
        "timeout: 2m\nsteps: [{id: a, tool: ours}, {id: b, tool: filesystem, parameters: {path: x}}]",
        "timeout: 2m\nsteps: [{id: a, action: echo, timeout: 1s, parameters: {message: x}}]",
        "timeout: 2m\nsteps: [{id: a, tool: here_async}]",
        "steps: [{id: a, tool: here_only}]",
        'inputs: {n: 3}\nsteps: [{id: a, tool: ours, timeout: "{{ inputs.n }}"}]',
    ],
)
def test_steps_that_can_be_stopped(tmp_path: Path, text: str) -> None:
    done = compiled(tmp_path, text)
    assert done.pipeline is not None, list(done.problems)


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("steps:\n  - id: a\n    tool: here-only\n    timeout: 30\n", 4, 5),
        ("timeout: 30\nsteps:\n  - {id: a, tool: here_only}\n", 1, 1),
        ('timeout: 30\nsteps:\n  - {id: a, tool: here_only, timeout: "{{ 3 }}"}\n', 3, 30),
    ],
)
def test_a_tool_that_is_only_in_memory_cannot(tmp_path: Path, text: str, line: int, column: int) -> None:
    done = compiled(tmp_path, text)
    assert done.pipeline is None
    (problem,) = done.problems
    assert (problem.code, problem.span.line, problem.span.column, problem.step) == ("wrong-value", line, column, "a")
    assert '"here_only" exists only in the memory of this program' in problem.message
    assert "tools.py" in str(problem.hint)
    assert "async" in str(problem.hint)


@pytest.mark.parametrize(("tool", "refused"), [("here_only", True), ("here_async", False), ("ours", False)])
def test_the_tools_of_a_model_are_looked_at_too(tmp_path: Path, tool: str, refused: bool) -> None:
    text = f"default_model: openai:gpt-5\nsteps:\n  - id: a\n    prompt: x\n    tools: [filesystem, {tool}]\n"
    assert compiled(tmp_path, text).pipeline is not None
    for timed in (f"{text}    timeout: 30\n", f"timeout: 30\n{text}"):
        found = [(one.code, one.step) for one in compiled(tmp_path, timed).problems]
        assert found == ([("wrong-value", "a")] if refused else [])
