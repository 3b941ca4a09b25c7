"""What a compiled step carries of how its model is chosen."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.language.diagnostics import Diagnostic

Compile = Callable[[str], CompiledPipeline]


def step(compiled: Compile, text: str, head: str = "") -> object:
    return compiled(f"{head}\nsteps: [{{id: a, prompt: x, {text}}}]").steps[0]


def test_it_survives_json(compiled: Compile) -> None:
    pipeline = compiled(
        "selection_schema: {strategy: cost, fallback: ['openai:gpt-5'], timeout: 2m}\n"
        "steps: [{id: a, prompt: x, model: '<AUTO>any</AUTO>', tools: [filesystem],\n"
        "  requires_model: {min_size: 7b, expertise: coding, capabilities: [function_calling, images]}}]"
    )
    (one,) = pipeline.steps
    assert one.models == ()
    choice = one.choice
    assert choice is not None
    assert choice.catalogue
    assert (choice.selection.strategy, choice.selection.timeout) == ("cost", 120.0)
    assert choice.needs.capabilities == ("tools",)
    assert choice.needs.required == ("tools", "vision")
    assert (choice.needs.min_size, choice.needs.expertise) == (7.0, ("code",))
    assert CompiledPipeline.from_json(pipeline.to_json()) == pipeline
    assert CompiledPipeline.from_json(pipeline.to_json()).steps[0].choice == choice


CHANGES = [
    ("model: [openai:gpt-5, openai:o3]", "model: [openai:gpt-5, openai:o3], selection_schema: cost", True),
    ("model: [openai:gpt-5, openai:o3]", "model: [openai:gpt-5]", True),
    ("model: '<AUTO>a</AUTO>'", "model: '<AUTO>a</AUTO>', requires_model: {min_size: 7b}", True),
    ("model: openai:gpt-5", "model: openai:gpt-5, selection_schema: {fallback: ['openai:o3']}", True),
    # One model is asked, whatever the strategy: what was made with it stays.
    ("model: openai:gpt-5", "model: openai:gpt-5, selection_schema: cost", False),
]


@pytest.mark.parametrize(("before", "after", "differs"), CHANGES)
def test_the_code_version(compiled: Compile, before: str, after: str, differs: bool) -> None:
    first, second = (step(compiled, text.replace("openai:gpt-5,", "'openai:gpt-5',")) for text in (before, after))
    assert (first.code_version != second.code_version) is differs  # type: ignore[attr-defined]


def test_settings_come_from_one_expert_only(compiled: Compile) -> None:
    head = (
        "experts: {filesystem: {model: 'openai:gpt-5', temperature: 0.5}, report: {model: 'openai:o3', max_tokens: 9}}"
    )
    one = step(compiled, "tools: [filesystem]", head)
    assert one.settings == {"temperature": 0.5}  # type: ignore[attr-defined]
    both = step(compiled, "tools: [filesystem, report]", head)
    assert (both.models, both.settings) == (("openai:gpt-5", "openai:o3"), {})  # type: ignore[attr-defined]


def test_a_wrong_name_in_a_list_stands_at_its_place(problems: Callable[[str], list[Diagnostic]]) -> None:
    found = problems("steps: [{id: a, prompt: x, model: ['openai:gpt-5', 'opnai:o3', '<AUTO>x</AUTO>']}]")
    assert [(one.code, one.span.line, one.span.column, one.suggestion) for one in found] == [
        ("unknown-model", 3, 52, "openai")
    ]
