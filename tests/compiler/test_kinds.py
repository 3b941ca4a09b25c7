"""What a step does: exactly one thing, known before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledStep
from orchestrator_dagster.language.diagnostics import Diagnostic

Compile = Callable[[str], CompiledPipeline]
Only = Callable[[str], Diagnostic]


def step(compiled: Compile, text: str) -> CompiledStep:
    return compiled(f"steps: [{{id: z, {text}}}]").by_id["z"]


@pytest.mark.parametrize(
    ("text", "kind", "tool", "action", "instruction", "parameters"),
    [
        ("tool: filesystem, action: list, parameters: {path: a}", "tool", "filesystem", "list", None, {"path": "a"}),
        ("tool: file-system, parameters: {action: list, path: a}", "tool", "filesystem", "list", None, {"path": "a"}),
        ("tool: filesystem, action: execute, parameters: {operation: list, path: a}", "tool", "filesystem", "list", None, {"path": "a"}),
        ("tool: filesystem, action: filesystem, parameters: {mode: list, path: a}", "tool", "filesystem", "list", None, {"path": "a"}),
        ("tool: filesystem, action: find all files, parameters: {action: list, path: a}", "tool", "filesystem", "list", None, {"path": "a"}),
        ("action: filesystem, parameters: {action: list, path: a}", "tool", "filesystem", "list", None, {"path": "a"}),
        ("prompt: ask", "model", None, None, "ask", {}),
        ("instruction: ask, parameters: {documents: [1]}", "model", None, None, "ask", {"documents": (1,)}),
        ("parameters: {prompt: ask, data: 1}", "model", None, None, "ask", {"data": 1}),
        ("action: generate, parameters: {prompt: ask}", "model", None, None, "ask", {}),
        ("action: generate-text, prompt: ask", "model", None, None, "ask", {}),
        ("action: Write a short poem, parameters: {about: x}", "model", None, None, "Write a short poem", {"about": "x"}),
        ("description: Say it, vars: {v: text}", "model", None, None, "Say it", {}),
        ("action: analyze_text, parameters: {text: t, analysis_type: mood}", "model", None, None, "Give an analysis of the kind mood of the text below.", {"text": "t"}),
        ("action: echo hello you", "builtin", None, "echo", None, {"message": "hello you"}),
        ("action: echo, parameters: {message: m}", "builtin", None, "echo", None, {"message": "m"}),
        ("action: debug, parameters: {message: m}", "builtin", None, "debug", None, {"message": "m"}),
    ],
)  # fmt: skip
def test_kinds(
    compiled: Compile, text: str, kind: str, tool: Any, action: Any, instruction: Any, parameters: Any
) -> None:
    made = step(compiled, text)
    assert (made.kind, made.tool, made.action, made.instruction) == (kind, tool, action, instruction)
    assert made.parameters == parameters


def test_settings_of_the_model_may_stand_among_the_parameters(compiled: Compile) -> None:
    made = step(
        compiled, "prompt: x, temperature: 0.2, parameters: {temperature: 1, max_tokens: 9, model: openai:gpt-5, d: 1}"
    )
    assert made.settings == {"temperature": 0.2, "max_tokens": 9}
    assert made.models == ("openai:gpt-5",)
    assert made.parameters == {"d": 1}


@pytest.mark.parametrize(
    ("text", "code", "needle", "suggestion", "said"),
    [
        ("tool: filesystem, prompt: x", "step-kind", "prompt", None, "`tool` and `prompt`"),
        ("prompt: x, action: list", "step-kind", "action", None, 'the action "list"'),
        ("instruction: x, action: list", "step-kind", "action", None, "`instruction`"),
        ("prompt: '  '", "step-kind", "'  '", None, "`prompt` is empty"),
        ("name: x", "step-kind", "id", None, "says nothing to do"),
        ("description: only words", "step-kind", "id", None, "says nothing to do"),
        ("action: generate", "step-kind", "action", None, "asks a model nothing"),
        ("action: generat, parameters: {prompt: x}", "unknown-action", "generat", "generate", "neither a known action"),
        ("tool: filesytem", "unknown-tool", "filesytem", "filesystem", "filesytem"),
        ("tool: '{{ env.T }}'", "unknown-tool", "'{{ env.T }}'", None, "not a template"),
        ("tool: filesystem, action: '{{ env.T }}'", "unknown-action", "'{{ env.T }}'", None, "not a template"),
        ("tool: filesystem, action: lst", "unknown-action", "lst", "list", 'has no action "lst"'),
        ("tool: filesystem, action: list, parameters: {path: a, recursiv: true}", "unknown-parameter", "recursiv", "recursive", "no parameter"),
        ("tool: filesystem, action: read", "missing-parameter", "read", None, 'needs the parameter "path"'),
        ("tool: filesystem, action: read, parameters: {}", "missing-parameter", "parameters", None, 'needs the parameter "path"'),
        ("tool: filesystem, parameters: {action: lst, path: a}", "unknown-action", "lst", "list", 'has no action "lst"'),
        ("tool: filesystem, action: list, parameters: {path: a, recursive: 7}", "wrong-parameter", "7", None, "expected true or false"),
        ("tool: filesystem, action: list, parameters: {path: [a]}", "wrong-parameter", "[a]", None, "expected a text"),
        ("tool: filesystem, action: list, parameters: {path: a}, model: openai:gpt-5", "unused-key", "model", None, "setting of model steps"),
        ("action: echo, parameters: {message: m}, temperature: 1", "unused-key", "temperature", None, "setting of model steps"),
        ("prompt: x, expert: nobody", "unknown-expert", "nobody", None, 'names the expert "nobody"'),
        ("prompt: x, model: opnai:gpt-5", "unknown-model", "opnai:gpt-5", "openai", "names no known provider"),
        ("prompt: x, personality: standrd", "unknown-personality", "standrd", "standard", "standrd"),
        ("prompt: x, requires_model: {capabilities: [vison]}", "wrong-value", "vison", "vision", '"vison" is none'),
        ("prompt: x, requires_model: {expertise: [codes]}", "wrong-value", "codes", "code", '"codes" is none'),
        ("prompt: x, requires_model: {min_size: big}", "wrong-value", "big", None, '"big" is no size'),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_step(
    only: Only, text: str, code: str, needle: str, suggestion: str | None, said: str
) -> None:
    problem = only(f"steps: [{{id: z, {text}}}]")
    assert (problem.code, problem.suggestion) == (code, suggestion)
    assert said in problem.message
    assert problem.step == "z"
    line = str(problem.source_line)
    assert line[problem.span.column - 1 : problem.span.end_column - 1] == needle


def test_parameters_with_templates_are_checked_when_they_are_known(compiled: Compile) -> None:
    text = "tool: filesystem, action: list, parameters: {path: '{{ env.A }}', recursive: '{{ env.B }}', pattern: 'x{{ env.C }}'}"
    assert step(compiled, text).parameters["recursive"] == "{{ env.B }}"


def test_the_model_of_a_step(compiled: Compile) -> None:
    pipeline = compiled(
        "experts: [{analyst: {model: gpt-5, provider: openai, temperature: 0.1, personality: Be brief.}}, plain: openai:gpt-5-mini]\n"
        "steps: [{id: a, prompt: x}, {id: b, prompt: x, model: openai:gpt-5}, {id: c, prompt: x, expert: analyst},\n"
        "  {id: d, prompt: x, expert: plain, temperature: 1}, {id: e, prompt: x, expert: analyst, temperature: 1}]\n"
    )
    assert [step.models for step in pipeline.steps] == [
        ("builtin:extractive",), ("openai:gpt-5",), ("openai:gpt-5",), ("openai:gpt-5-mini",), ("openai:gpt-5",),
    ]  # fmt: skip
    assert [step.settings for step in pipeline.steps[2:]] == [
        {"temperature": 0.1},
        {"temperature": 1},
        {"temperature": 1},
    ]
    assert pipeline.by_id["c"].personality == "Be brief."
    assert pipeline.by_id["c"].model_reason == 'the expert "analyst"'


def test_without_a_model_nothing_is_asked(compilation: Callable[[str], Any]) -> None:
    (problem,) = compilation("steps: [{id: a, prompt: x}]").problems
    assert problem.code == "no-model"
    assert "default_model" in problem.hint


def test_ids_are_unique_and_hide_nothing(problems: Callable[[str], list[Diagnostic]]) -> None:
    found = problems(
        "inputs: {topic: x}\nsteps:\n"
        "  - {id: a-b, prompt: x}\n  - {id: a_b, prompt: x}\n  - {id: A-b, prompt: x}\n  - {id: a-b, prompt: x}\n"
        "  - {id: topic, prompt: x}\n  - {id: output-dir, prompt: x}\n  - {id: execution, prompt: x}\n"
        "  - {id: z, prompt: x, vars: {topic: t, loop: t, a_b: t, z: t, fine: t}}\n"
        "  - {id: y, prompt: x, products: {timestamp: t.md}}\n"
    )
    assert [(one.span.line, one.code) for one in found] == [
        (6, "duplicate-id"), (7, "duplicate-id"), (8, "duplicate-id"), (9, "reserved-name"), (10, "reserved-name"),
        (11, "reserved-name"), (12, "reserved-name"), (12, "reserved-name"), (12, "reserved-name"), (13, "reserved-name"),
    ]  # fmt: skip
    assert "one name in Dagster" in found[0].message
    assert "first in line 5" in found[2].message
    assert 'hides the step "a_b"' in found[8].message or 'hides the step "a-b"' in found[8].message


def test_settings_among_the_parameters_are_an_older_spelling(
    problems: Callable[[str], list[Diagnostic]],
) -> None:
    found = problems(
        "steps:\n  - id: a\n    prompt: x\n    parameters:\n      temperature: 0.5\n      top_p: 1\n      system_prompt: Be brief\n"
    )
    assert [(one.code, one.severity, one.span.line, one.hint) for one in found] == [
        ("older-spelling", "warning", 7, "write `temperature: 0.5` beside `parameters`"),
        ("older-spelling", "warning", 9, "write `personality: Be brief` beside `parameters`"),
    ]


def test_further_parameters_only_where_they_are_for_something(
    problems: Callable[[str], list[Diagnostic]], only: Only
) -> None:
    report = "steps: [{{id: a, tool: report-generator, parameters: {{title: x, secions: []{}}}}}]"
    found = only(report.format(""))
    assert (found.code, found.suggestion) == ("unknown-parameter", "sections")
    assert not [one for one in problems(report.format(", template: a.md")) if one.code == "unknown-parameter"]


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("action: echo", "missing-parameter", 'step "z" has nothing to echo'),
        ("action: log", "missing-parameter", 'step "z" has nothing to log'),
        ("action: evaluate_condition", "missing-parameter", "has no condition to answer"),
        ("action: evaluate_condition, parameters: {condition: 1 > 0, other: 1}", "unknown-parameter", "`other`"),
        ("action: evaluate_condition, parameters: {condition: [1]}", "wrong-type", "a text or true or false"),
        ("action: evaluate_condition, parameters: {condition: nope > 0}", "unknown-name", '"nope"'),
        ("action: evaluate_condition, parameters: {condition: 1 >}", "expression-syntax", "ends too early"),
    ],
)
def test_a_builtin_action_has_what_it_needs(only: Only, text: str, code: str, message: str) -> None:
    found = only(f"steps: [{{id: z, {text}}}]")
    assert found.code == code
    assert message in found.message


def test_a_condition_to_answer_makes_edges(compiled: Compile) -> None:
    made = compiled("""
steps:
  - {id: z, action: evaluate_condition, parameters: {condition: "'a' in '{{ first.result }}'"}}
  - {id: first, action: echo, parameters: {message: abc}}
""")
    assert made.by_id["z"].dependencies == ("first",)
