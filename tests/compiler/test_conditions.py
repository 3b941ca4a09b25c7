"""Conditions in a pipeline: what is known of the values they read, under every name they may read them by."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestrator_dagster.language.diagnostics import Diagnostic

Only = Callable[[str], Diagnostic]
Problems = Callable[[str], list[Diagnostic]]

BEFORE = """\
inputs:
  - topic: trees
  - limit: 0.5
  - mode: {required: true, enum: [fast, slow]}
  - level: {required: true, enum: [1, 2]}
  - mixed: {required: true, enum: [1, two]}
  - folder: {type: path, default: data}
steps:
  - {id: rate, prompt: x, vars: {mark: {type: number}, word: {enum: [approve, revise]}, note: A remark}}
  - {id: my-step, prompt: x, vars: {found: {properties: {size: {type: integer}, status: {type: integer}}}}}
  - {id: say, prompt: x, vars: {score: number, shape: {example: [1]}}}
  - {id: raw, tool: filesystem, action: list, parameters: {path: data}, vars: [items: Entries, count: How many]}
  - {id: one, prompt: x, vars: {twice: number}}
  - {id: two, prompt: x, vars: {twice: number}}
"""


def pipeline(condition: str) -> str:
    return f'{BEFORE}  - {{id: last, prompt: x, condition: "{condition}"}}\n'


@pytest.fixture
def told(problems: Problems) -> Problems:
    """What is wrong with the last step's condition."""
    return lambda condition: [one for one in problems(pipeline(condition)) if one.code != "not-supported"]


@pytest.mark.parametrize(
    ("condition", "needle", "said"),
    [
        ("limit > 'a'", "limit", "a number"), ("inputs.topic > 3", "inputs.topic", "text"),
        ("parameters.topic > 3", "parameters.topic", "text"), ("mode > 3", "mode", "text"),
        ("level == 'a'", "level", "a number"), ("folder < 3", "folder", "text"),
        ("mark > 'a'", "mark", "a number"), ("rate.mark > 'a'", "rate.mark", "a number"),
        ("steps.rate.mark > 'a'", "steps.rate.mark", "a number"),
        ("results.rate.mark > 'a'", "results.rate.mark", "a number"),
        ("rate.result.mark > 'a'", "rate.result.mark", "a number"), ("note > 3", "note", "text"),
        ("my-step.size > 'a'", "my-step.size", "a number"), ("my-step.found.size > 'a'", "my-step.found.size", "a number"),
        ("found.size > 'a'", "found.size", "a number"), ("my-step.value.size > 'a'", "my-step.value.size", "a number"),
        ("my-step.result.status > 'a'", "my-step.result.status", "a number"), ("say.score > 'a'", "say.score", "a number"),
        ("shape > 3", "shape", "a list"), ("one > 'a'", "one", "a number"), ("twice(1)", "twice", "no function"),
        ("rate.word", "rate.word", "'approve' or 'revise'"), ("limit > 0 and mode", "mode", "'fast' or 'slow'"),
        ("rate.status", "rate.status", "'completed', 'skipped' or 'failed'"),
    ],
)  # fmt: skip
def test_what_can_never_be_right(told: Problems, condition: str, needle: str, said: str) -> None:
    (problem,) = told(condition)
    assert problem.code == ("unknown-name" if said == "no function" else "expression-type")
    assert said in problem.message
    line = problem.source_line or ""
    assert line[problem.span.column - 1 :].startswith(needle)


@pytest.mark.parametrize(
    "condition",
    [
        "mixed == 1 or mixed == 'two'", "mode == 'fast' and level == 1", "my-step.status == 'completed'",
        "items == [] and count > 3 and raw.count == 'many'", "one.twice > 1 and two.twice > 1", "folder == 'data'",
        "rate.word == 'approve' and word in ['revise']", "say.score > 1 and score < 3", "rate.success",
    ],
)  # fmt: skip
def test_what_may_be_right(told: Problems, condition: str) -> None:
    assert told(condition) == []


@pytest.mark.parametrize(
    ("condition", "code", "suggestion"),
    [
        ("topc == 'a'", "unknown-name", "topic"), ("lenght(topic) > 1", "unknown-name", "len"),
        ("{{ topic | lenght }}", "unknown-filter", "length"), ("{{ topic } > 3", "template-syntax", None),
        ("topic ==", "expression-syntax", None),
    ],
)  # fmt: skip
def test_what_cannot_be_read_has_its_own_code(
    told: Problems, condition: str, code: str, suggestion: str | None
) -> None:
    (problem,) = told(condition)
    assert (problem.code, problem.suggestion, problem.step) == (code, suggestion, "last")


def test_a_word_that_may_be_a_text_is_to_be_quoted(told: Problems) -> None:
    assert "in quotes if it is a text: 'zzzzz'" in str(told("topic == zzzzz")[0].hint)
    assert "quotes" not in str(told("topic and zzzzz")[0].hint)


def test_a_method_is_an_older_spelling(told: Problems) -> None:
    (found,) = told("topic.startswith('t') and limit > 0")
    assert (found.code, found.severity) == ("older-spelling", "warning")
    assert found.hint == "write `startswith(topic, 't')`"
    assert told("{{ topic.startswith('t') }}") == []


def test_a_list_of_conditions_is_to_be_one_text(only: Only) -> None:
    problem = only("steps: [{id: a, prompt: x, if: [1 > 2, 3 > 4]}]")
    assert problem.code == "wrong-type"
    assert "`1 > 2 and 3 > 4`" in str(problem.hint)
