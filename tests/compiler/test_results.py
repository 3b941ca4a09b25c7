"""What variables and products take from a tool's result."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestrator_dagster.language.diagnostics import Diagnostic

Problems = Callable[[str], list[Diagnostic]]

READ = "tool: filesystem, action: read, parameters: {path: a.md}"


@pytest.mark.parametrize(
    ("vars", "expected"),
    [
        ("{content: Text, size: integer}", []),
        ("{contents: Text, size: integer}", [("unknown-field", "contents", "content")]),
        ("{zzzzz: Text, size: integer}", [("unknown-field", "zzzzz", None)]),
        ("{contents: The whole result}", []),
        ("{notes: '{{ result.content | trim }}', again: '{{ result.content }}'}", []),
        ("{notes: '{{ result.contents }}'}", [("unknown-field", "contents", "content")]),
        ("{notes: {type: string, value: '{{ result.contents }}'}}", [("unknown-field", "contents", "content")]),
        ("{notes: '{{ result.contents | default(1) }}'}", [("guarded-name", "contents", "content")]),
        ("{notes: '{{ result }}', all: '{{ result.items() | list }}'}", []),
    ],
)
def test_variables_of_a_tool_step(problems: Problems, vars: str, expected: list[tuple[str, str, str | None]]) -> None:
    found = problems(f"steps: [{{id: a, {READ}, vars: {vars}}}]")
    assert [(one.code, _shown(one), one.suggestion) for one in found] == expected
    assert {one.step for one in found} <= {"a"}


def test_paths_of_products(problems: Problems) -> None:
    text = f"steps: [{{id: a, {READ}, products: {{a: '{{{{ result.siz }}}}.md'}}}}]"
    assert [(one.code, _shown(one), one.suggestion) for one in problems(text)] == [("unknown-field", "siz", "size")]


def test_a_result_of_any_shape_is_not_checked(problems: Problems) -> None:
    assert problems("steps: [{id: a, prompt: x, vars: {b: text, c: text}, products: {b: '{{ result.x }}.md'}}]") == []


def _shown(found: Diagnostic) -> str:
    return (found.source_line or "")[found.span.column - 1 : found.span.end_column - 1]


TABLE = "tool: data-processing, action: filter, parameters: {data: a.csv, conditions: 'x > 1'}"


@pytest.mark.parametrize(
    ("vars", "expected"),
    [
        ("{rows: '{{ result.data }}', before: '{{ result.rows_before }}', file: '{{ result.path }}'}", []),
        ("{rows: '{{ result.data[0].anything }}', first: '{{ result.preview }}'}", []),
        ("{rows: '{{ result.rows }}', b: '{{ result.row_count }}'}", [("unknown-field", "rows", None)]),
        ("{dat: Rows, row_count: integer}", [("unknown-field", "dat", "data")]),
    ],
)
def test_variables_of_a_result_that_is_a_typed_map(
    problems: Problems, vars: str, expected: list[tuple[str, str, str | None]]
) -> None:
    found = problems(f"steps: [{{id: a, {TABLE}, vars: {vars}}}]")
    assert [(one.code, _shown(one), one.suggestion) for one in found] == expected


@pytest.mark.parametrize(
    "vars", ['v: "{{ result.x }}"', 'v: {type: integer, value: "{{ result }}"}', 'v: "{{ result }}", w: Another one']
)
def test_nothing_is_taken_from_the_answer_of_a_model(problems: Problems, vars: str) -> None:
    (found,) = problems(f"steps: [{{id: s, prompt: x, vars: {{{vars}}}}}]")
    assert (found.code, found.step, found.span.line) == ("wrong-value", "s", 3)
    assert "asks a model" in found.message
    assert not problems('steps: [{id: s, prompt: x, vars: {v: "{{ result }}"}}]')
