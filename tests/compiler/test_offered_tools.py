"""Tools that steps offer their models: what is right, and what changes a step."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestrator_dagster.compiler.compile import Compilation

Compile = Callable[[str], Compilation]

STEP = "id: p\n{header}\nsteps: [{{id: a, prompt: Look., {keys}}}]\n"


def made(compilation: Compile, keys: str, header: str = "default_model: openai:gpt-4o-mini") -> Compilation:
    return compilation(STEP.format(header=header, keys=keys))


@pytest.mark.parametrize(
    "keys",
    [
        "tools: filesystem",
        "tools: [file-system, data_processing.filter]",
        'tools: "filesystem.read, filesystem.ls"',
        "tools: [filesystem], max_tool_calls: 0",
        'tools: [filesystem], model: "<AUTO>a good one</AUTO>"',
        "tools: [filesystem], model: ollama:whatever",
    ],
)
def test_what_is_right(compilation: Compile, keys: str) -> None:
    done = made(compilation, keys)
    assert done.pipeline is not None
    assert not done.problems


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("experts: {e: 'builtin:extractive'}\ndefault_model: openai:gpt-5", "no language model"),
        ("experts: {e: 'openai:whisper-1'}", "audio transcription"),
        ("experts: {e: 'deepseek:deepseek-reasoner'}", "list of models says so"),
    ],
)
def test_a_model_that_calls_none(compilation: Compile, header: str, reason: str) -> None:
    (problem,) = made(compilation, "tools: filesystem, expert: e", header).problems
    assert problem.code == "model-without-tools"
    assert reason in problem.message
    assert 'the expert "e"' in problem.message


def test_several_models_are_left_to_the_selection(compilation: Compile) -> None:
    done = made(compilation, "tools: filesystem, model: [builtin:extractive, openai:gpt-5]")
    assert "model-without-tools" not in {one.code for one in done.problems}


def test_what_is_offered_changes_the_step(compilation: Compile) -> None:
    keys = ["temperature: 1", "tools: filesystem", "tools: filesystem.read", "tools: filesystem, max_tool_calls: 3"]
    versions = set()
    for one in keys:
        pipeline = made(compilation, one).pipeline
        assert pipeline is not None
        versions.add(pipeline.steps[0].code_version)
    assert len(versions) == len(keys)
