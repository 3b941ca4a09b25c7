"""Every model that a pipeline names is checked: used or not, of the header and of steps, each one of a list."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestrator_dagster.language.diagnostics import Diagnostic

Only = Callable[[str], Diagnostic]
Problems = Callable[[str], list[Diagnostic]]

STEPS = "steps: [{id: a, action: echo, parameters: {message: hello}}]\n"


@pytest.mark.parametrize(
    "header",
    [
        "orchestrator: opnai:x",
        "experts: {unused: opnai:x}",
        "experts: [{unused: [openai:gpt-5, opnai:x]}]",
        "experts: {unused: {model: opnai:x, temperature: 0.1}}",
        "experts: {unused: {model: [openai:gpt-5, opnai:x]}}",
        "selection_schema: {strategy: cost, fallback: [openai:gpt-5, opnai:x]}",
    ],
)
def test_a_model_of_the_header_that_does_not_exist(only: Only, header: str) -> None:
    problem = only(f"{header}\n{STEPS}")
    assert (problem.code, problem.suggestion, problem.step) == ("unknown-model", "openai", None)
    assert problem.source_line[problem.span.column - 1 : problem.span.end_column - 1] == "opnai:x"  # type: ignore[index]


@pytest.mark.parametrize("text", ["model: opnai:x", "parameters: {model: opnai:x}"])
def test_a_model_of_a_step_that_does_not_exist(problems: Problems, text: str) -> None:
    (problem,) = (one for one in problems(f"steps: [{{id: a, prompt: x, {text}}}]") if one.code != "older-spelling")
    assert (problem.code, problem.step) == ("unknown-model", "a")
    assert problem.source_line[problem.span.column - 1 : problem.span.end_column - 1] == "opnai:x"  # type: ignore[index]


def test_every_wrong_one_of_a_list_is_told_and_nothing_besides(problems: Problems) -> None:
    found = problems("steps: [{id: a, prompt: x, model: [opnai:x, openai:gpt-5, antropic:y]}]")
    assert [(one.code, one.suggestion) for one in found] == [
        ("unknown-model", "openai"),
        ("unknown-model", "anthropic"),
    ]


def test_a_provider_that_does_not_exist_is_told_once_at_its_key(only: Only) -> None:
    problem = only("experts: {e: {provider: opnai, model: [gpt-5, gpt-4o]}}\n" + STEPS)
    assert problem.code == "unknown-model"
    assert problem.source_line[problem.span.column - 1 : problem.span.end_column - 1] == "opnai"  # type: ignore[index]


@pytest.mark.parametrize("text", ["<AUTO>a good one</AUTO>", "openai:gpt-5", "gpt-4o"])
def test_names_that_are_right_or_chosen_later(problems: Problems, text: str) -> None:
    assert problems(f'orchestrator: "{text}"\nexperts: {{e: "{text}"}}\n{STEPS}') == []


@pytest.mark.parametrize(("text", "needle"), [("5", "5"), ("[openai:gpt-5, 5]", "5"), ("true", "true"), ("[]", "[]")])
def test_a_model_is_a_text(only: Only, text: str, needle: str) -> None:
    problem = only(f"experts: {{e: {text}}}\n{STEPS}")
    assert problem.code == "wrong-type"
    assert problem.source_line[problem.span.column - 1 : problem.span.end_column - 1] == needle  # type: ignore[index]
