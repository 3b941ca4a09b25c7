"""Names and fields in templates: what is known, what is like something known, and where exactly it stands."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.language.diagnostics import Diagnostic

Only = Callable[[str], Diagnostic]
Problems = Callable[[str], list[Diagnostic]]

BEFORE = """\
inputs: {topic: trees}
steps:
  - {id: read, tool: filesystem, action: list, parameters: {path: data}}
  - {id: said, prompt: x}
  - {id: one, prompt: x, vars: {score: number}}
  - {id: row, prompt: x, vars: {found: {properties: {title: string, url: string}}}}
  - {id: many, prompt: x, vars: {first: text, second: {type: array, items: string}}}
"""


def pipeline(expression: str) -> str:
    return f'{BEFORE}  - id: last-step\n    prompt: "about: {expression}"\nouterwise: 1\n'.replace("outerwise: 1\n", "")


@pytest.mark.parametrize(
    ("expression", "code", "needle", "suggestion"),
    [
        ("{{ tpic }}", "unknown-name", "tpic", "topic"),
        ("{{ zzzzz }}", "unknown-name", "zzzzz", None),
        ("{{ inputs.tpic }}", "unknown-name", "tpic", "topic"),
        ("{{ parameters.x }}", "unknown-name", "x", None),
        ("{{ steps.sayd }}", "unknown-step", "sayd", "said"),
        ("{{ results.sayd.x }}", "unknown-step", "sayd", "said"),
        ("{{ steps }}", "unknown-name", "steps", None),
        ("{{ execution.dat }}", "unknown-field", "dat", "date"),
        ("{{ partition.kee }}", "unknown-field", "kee", "key"),
        ("{{ outputs.x }}", "unknown-name", "x", None),
        ("{{ item }}", "unknown-name", "item", None),
        ("{{ loop.index }}", "unknown-name", "loop", None),
        ("{{ error.message }}", "unknown-name", "error", None),
        ("{{ self }}", "unknown-name", "self", None),
        ("{{ read.itmes }}", "unknown-field", "itmes", "items"),
        ("{{ read.result.cnt }}", "unknown-field", "cnt", "count"),
        ("{{ read.items }} {{ read.itmes }}", "unknown-field", "itmes", "items"),
        ("{{ said.content }}", "unknown-field", "content", None),
        ("{{ one.scor }}", "unknown-field", "scor", "score"),
        ("{{ one.result.score }}", "unknown-field", "score", None),
        ("{{ row.titel }}", "unknown-field", "titel", "title"),
        ("{{ row.found.result }} {{ row.result.titel }}", "unknown-field", "titel", "title"),
        ("{{ many.frst }}", "unknown-field", "frst", "first"),
        ("{{ many['frst'] }}", "unknown-field", "frst", "first"),
        ("{{ topic | upcas }}", "unknown-filter", "upcas", None),
        ("{{ topic is defind }}", "unknown-filter", "defind", "defined"),
        ("{{ slugify(topic) }}", "unknown-name", "slugify", "slugify"),
    ],
)
def test_what_does_not_exist(only: Only, expression: str, code: str, needle: str, suggestion: str | None) -> None:
    problem = only(pipeline(expression))
    assert (problem.code, problem.suggestion, problem.step) == (code, suggestion, "last-step")
    line = f'    prompt: "about: {expression}"'
    assert problem.source_line == line
    assert line[problem.span.column - 1 : problem.span.end_column - 1] == needle
    assert problem.span.column - 1 == line.rindex(needle)
    assert (
        problem.hint
        or problem.suggestion
        or "only" in problem.message
        or "is read with" in problem.message
        or (problem.message.endswith(f'"{needle}"'))
    )


@pytest.mark.parametrize(
    "expression",
    [
        "{{ topic }}{{ topic.x }}{{ inputs }}", "{{ read.items[0].path }}{{ read.result.count }}{{ read.value.count }}",
        "{{ read.status }}{{ read.success }}{{ read.error }}{{ read.skipped }}{{ read.location }}", "{{ said }}{{ said.upper() }}",
        "{{ one.score }}{{ one.result }}{{ score }}", "{{ row.title }}{{ row.found.url }}{{ row.result.url }}{{ found.title }}",
        "{{ many.first }}{{ many.second[0] }}{{ many.result.second }}{{ first }}", "{{ said[0] }}", "{{ many[topic] }}",
        "{{ execution.id }}{{ timestamp }}{{ current_date }}{{ pipeline_id }}{{ env.HOME }}{{ null }}{{ true }}{{ none }}",
        "{{ read.items | map(attribute='path') | list }}", "{{ now() }}", "{% for i in range(3) %}{{ i }}{{ loop.index }}{% endfor %}",
    ],
)  # fmt: skip
def test_what_exists(problems: Problems, expression: str) -> None:
    assert problems(pipeline(expression)) == []


def test_guarded_names_are_warnings(problems: Problems, compiled: Callable[[str], CompiledPipeline]) -> None:
    text = pipeline("{{ tpic | default('x') }} {% if one.scor is defined %}{{ one.scor }}{% endif %}")
    found = problems(text)
    assert [(one.code, one.severity, one.suggestion) for one in found] == [
        ("guarded-name", "warning", "topic"), ("guarded-name", "warning", "score"),
    ]  # fmt: skip
    compiled(text)


def test_names_in_blocks_are_found_in_their_line(problems: Problems) -> None:
    found = problems(
        "steps:\n  - id: a\n    prompt: |\n      topic\n\n      {{ topic }}\n      x {{ b.topic }}\n"
        "  - id: b\n    tool: filesystem\n    action: list\n    parameters:\n      path: >-\n        über {{ nope }}\n"
    )
    assert [(one.code, one.span.line, one.span.column) for one in found] == [
        ("unknown-name", 8, 10), ("unknown-field", 9, 14), ("unknown-name", 15, 17),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("template", "place", "said", "hint"),
    [
        ("a {{ topic }} {{ topic", (3, 11), "{{ is never closed", "}}"),
        ("a {{ topic } b", (1, 3), "is never closed", "}}"),
        ("a\n{{ topic || 1 }}", (2, 1), "no || and no &&", "or"),
        ("{% if topic = 1 %}x{% endif %}", (1, 1), "a single =", "=="),
        ("x\n{% endif %}", (2, 1), "{% endif %} closes nothing", "its own end"),
        ("{% if topic %}\nx\n{% endfor %}", (3, 1), "{% endif %} is expected", "its own end"),
        ("x\n{% for a in topic %}\n{{ a }}", (2, 1), "{% for %} has no {% endfor %}", "{% endfor %}"),
        ("{{ topic }} {{ topic | }}", (1, 13), "a name is expected", None),
        ("{% else %}", (1, 1), "stands in no {% if %}", None),
        ("{% unless topic %}", (1, 1), 'there is no tag "unless"', "the tags are"),
        ("{% set a = %}", (1, 1), "cannot be parsed", None),
        ("{% set a = 1 %}{{ a b }}", (1, 16), '}} is expected, found "b"', None),
    ],
)
def test_a_template_that_cannot_be_parsed_is_shown_where_it_is_wrong(
    only: Only, template: str, place: tuple[int, int], said: str, hint: str | None
) -> None:
    lines = "".join(f"      {line}\n" for line in template.split("\n"))
    problem = only(f"inputs: {{topic: x}}\nsteps:\n  - id: a\n    prompt: |\n{lines}")
    line, column = place
    if template.startswith("a {{ topic }} {{"):
        line, column = 1, 15
    assert problem.code == "template-syntax"
    assert (problem.span.line, problem.span.column) == (6 + line, 6 + column)
    assert said in problem.message
    assert hint is None or hint in str(problem.hint)


def test_a_name_is_shown_in_its_own_line(only: Only) -> None:
    problem = only(
        "inputs: {topics: [a]}\nsteps:\n  - id: a\n    prompt: |\n"
        "      {% for one in topics %}\n      {{ one }}\n      {% endfor %}\n      {{ one }}\n"
    )
    assert (problem.span.line, problem.span.column) == (10, 10)


def test_every_template_of_a_step_that_is_not_understood_is_checked_too(problems: Problems) -> None:
    found = problems("steps: [{id: a, tool: nosuch, parameters: {x: '{{ nope }}'}, products: {p: '{{ nada }}.md'}}]")
    assert [one.code for one in found] == ["unknown-tool", "unknown-name", "unknown-name"]


def test_a_wrong_step_makes_no_other_problem(problems: Problems) -> None:
    found = problems(
        "steps:\n"
        "  - {id: a b, prompt: x, vars: {found: text}}\n"
        "  - {id: c, prompt: [x], vars: {v: 3, w: text}}\n"
        "  - {id: d, tool: [x]}\n"
        "  - {prompt: x}\n"
        '  - {id: e, prompt: "{{ found }} {{ c.v }} {{ v }} {{ w }} {{ d.x }} {{ a_b.found }}", depends_on: [zz]}\n'
        "outputs: {r: '{{ found }}'}\n"
    )
    assert [(one.code, one.span.line) for one in found] == [
        ("wrong-id", 4), ("wrong-type", 5), ("wrong-type", 5), ("wrong-type", 6), ("missing-key", 7),
    ]  # fmt: skip


def test_a_wrong_model_is_not_a_missing_one(compilation: Callable[[str], object]) -> None:
    done = compilation("default_model: {a: b}\nsteps: [{id: a, prompt: x}, {id: b, prompt: x, model: opnai:x}]")
    assert [one.code for one in done.problems] == ["wrong-type", "unknown-model"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("expression", "said", "suggestion"),
    [
        ("{{ top-ic }}", "top-ic", "topic"),
        ("{{ max-pages }}", "max-pages", "max_pages"),
        ("{{ read-note.content }}", "read-note", "read-notes"),
        ("{{ steps.topic }} {{ read-note }}", "read-note", "read-notes"),
        ("{{ topic-zzzzz }}", "zzzzz", None),
        ("{{ 'read-note' ~ zzzzz }}", "zzzzz", None),
        ("{{ max_pages - pges }}", "pges", "max_pages"),
    ],
)
def test_a_name_with_dashes_is_one_name(problems: Problems, expression: str, said: str, suggestion: str | None) -> None:
    found = problems(
        "inputs: {topic: trees, max_pages: 5}\nsteps:\n"
        "  - {id: read-notes, prompt: x}\n"
        f'  - {{id: last, prompt: "read-note {expression}"}}\n'
    )
    problem = found[-1]
    if suggestion is not None:
        assert problem.message.endswith(f'"{said}" here')
        line = problem.source_line or ""
        assert line[problem.span.column - 1 : problem.span.end_column - 1] == said
        assert problem.span.column > line.index("{{")
    assert problem.suggestion == suggestion
    assert len([one for one in found if one.code == "unknown-name"]) == 1


def test_names_of_a_loop_exist_in_a_loop(problems: Problems) -> None:
    found = problems(
        "steps:\n  - {id: a, prompt: '{{ item }}{{ index }}{{ doc }}', for_each: [1], as: doc}\n"
        "  - {id: b, prompt: '{{ item }}'}\n"
    )
    assert [(one.code, one.step) for one in found if one.code != "not-supported"] == [("unknown-name", "b")]


def test_a_handler_whose_id_is_misspelt_may_read_the_error(problems: Problems) -> None:
    found = problems(
        "steps:\n  - {id: a, prompt: x, on_failure: notfy}\n  - {id: notify, prompt: '{{ error.message }}'}\n"
    )
    assert [(one.code, one.suggestion) for one in found if one.code != "not-supported"] == [("unknown-step", "notify")]


def test_a_step_that_reads_itself_through_an_output(only: Only) -> None:
    problem = only("steps:\n  - {id: a, prompt: 'report {{ outputs.report }}'}\noutputs: {report: '{{ a }}'}\n")
    assert (problem.code, problem.message) == (
        "dependency-cycle",
        'step "a" refers to itself through the output "report"',
    )
    assert (problem.source_line or "")[problem.span.column - 1 :].startswith("outputs.report")
