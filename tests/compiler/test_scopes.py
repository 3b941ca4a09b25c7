"""Names inside loops: what an item and a pass have, which loop a name is of, what is not seen from outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.language.diagnostics import Diagnostic

Compile = Callable[[str], CompiledPipeline]
Problems = Callable[[str], list[Diagnostic]]
Only = Callable[[str], Any]

ITEM = ["item", "index", "is_first", "is_last", "length", "iteration", "$item", "$index", "item.url", "item['a b']"]
JINJA = ["loop.index", "loop.index0", "loop.first", "loop.last", "loop.length"]
OWN = [f"each.{name}" for name in ("iteration", "index", "item", "length", "is_first", "is_last")]
PASS = ["index", "iteration", "is_first", "$iteration", "loop.index", "loop.index0", "loop.first", "each.iteration"]


def body(name: str, loop: str = "for_each: [1, 2], as: doc") -> str:
    """A loop whose second step reads a name."""
    first = "{id: first, prompt: x, vars: {score: {type: number}}}"
    work = f'{{id: work, prompt: "{{{{ {name} }}}}"}}'
    early = "{id: early, prompt: x, vars: {note: words}}"
    return f"steps:\n- {early}\n- {{id: each, {loop}, steps: [{first}, {work}]}}\n"


@pytest.mark.parametrize("name", [*ITEM, *JINJA, *OWN, "doc", "doc.url", "$doc", "early", "note", "first", "score"])
def test_names_in_the_body_of_a_for_each(compiled: Compile, name: str) -> None:
    compiled(body(name))


@pytest.mark.parametrize("name", [*ITEM, *JINJA, *OWN, "doc", "early.note"])
def test_names_in_a_for_each_around_one_piece_of_work(compiled: Compile, name: str) -> None:
    steps = f'[{{id: early, prompt: x, vars: {{note: t}}}}, {{id: each, for_each: [1], as: doc, prompt: "{{{{ {name} }}}}"}}]'
    compiled(f"steps: {steps}\n")


@pytest.mark.parametrize("name", [*PASS, "first", "score", "early"])
@pytest.mark.parametrize("loop", ["while: index < 3", "until: index > 3"])
def test_names_in_a_pass(compiled: Compile, name: str, loop: str) -> None:
    compiled(body(name, loop))


@pytest.mark.parametrize("name", ["item", "length", "is_last", "loop.last", "loop.length"])
def test_a_pass_has_no_item_and_no_end(problems: Problems, name: str) -> None:
    (found,) = problems(body(name, "while: index < 3"))
    assert found.code in ("unknown-name", "unknown-field")
    assert found.step == "work"


def test_a_loop_by_condition_inside_a_for_each_has_its_item(compiled: Compile) -> None:
    pipeline = compiled("""
steps:
- id: each
  for_each: [1, 2]
  as: doc
  steps:
  - id: again
    while: "index < 2 and length > 1"
    steps: [{id: work, prompt: "{{ item }} {{ doc }} {{ is_last }} {{ again.iteration }} {{ each.index }}"}]
""")
    assert pipeline.by_id["each"].body[0].body[0].id == "work"


def test_an_item_of_an_inner_loop_hides_the_outer_one_which_has_a_name_of_its_own(compiled: Compile) -> None:
    """The product's path tells whose item a name is: only the inner loop's makes a file of each inner item."""
    pipeline = compiled("""
steps:
- id: outer
  for_each: [1, 2]
  as: doc
  steps:
  - {id: by_item, for_each: [3, 4], prompt: x, vars: {a: t}, products: {a: "{{ outer.index }}_{{ item }}.txt"}}
  - {id: by_doc, for_each: [3, 4], prompt: x, vars: {b: t}, products: {b: "{{ doc }}.txt"}}
""")
    by_item, by_doc = pipeline.by_id["outer"].body
    assert [one.variable for one in by_item.body[0].products] == ["a"]
    assert by_item.products == ()
    assert [one.variable for one in by_doc.products] == ["b"]
    assert by_doc.body[0].products == ()


@pytest.mark.parametrize(
    ("condition", "per_item"),
    [("item > 1", True), ("page > 1", True), ("index > 0", True), ("inner.index > 0", True), ("doc > 1", False)],
)
def test_a_condition_is_asked_for_each_item_where_it_names_one(
    compiled: Compile, condition: str, per_item: bool
) -> None:
    pipeline = compiled(f"""
steps:
- id: outer
  for_each: [1, 2]
  as: doc
  steps:
  - {{id: inner, for_each: [3, 4], as: page, if: "{condition}", prompt: "{{{{ page }}}}"}}
""")
    (inner,) = pipeline.by_id["outer"].body
    assert (inner.condition is None) == per_item
    assert (inner.body[0].condition is not None) == per_item
    assert inner.loop is not None
    assert inner.loop.plan.by_id["inner"].condition == per_item


def test_siblings_may_have_bodies_of_the_same_names(compiled: Compile) -> None:
    pipeline = compiled("""
steps:
- {id: one, for_each: [1], as: x, steps: [{id: a, prompt: "{{ x }}", vars: {v: t}}, {id: b, prompt: "{{ v }} {{ a }}"}]}
- {id: two, for_each: [1], as: x, steps: [{id: a, prompt: "{{ x }}", vars: {v: t}}, {id: b, prompt: "{{ a.v }}"}]}
""")
    assert [[(one.id, one.dependencies) for one in step.body] for step in pipeline.steps] == [
        [("a", ()), ("b", ("a",))],
        [("a", ()), ("b", ("a",))],
    ]


@pytest.mark.parametrize("name", ["work", "score", "doc", "steps.work", "results.work", "work.result"])
def test_what_is_inside_is_not_seen_outside(only: Only, name: str) -> None:
    found = only(f"""
steps:
- {{id: each, for_each: [1], as: doc, steps: [{{id: work, prompt: x, vars: {{score: {{type: number}}}}}}]}}
- {{id: late, prompt: "{{{{ {name} }}}}"}}
""")
    assert found.code in ("unknown-name", "unknown-step")
    assert 'exists only inside the loop "each"' in found.message


def test_what_is_inside_is_not_seen_in_an_output_or_a_condition(problems: Problems) -> None:
    found = problems("""
steps:
- {id: each, for_each: [1], steps: [{id: work, prompt: x}]}
- {id: late, prompt: x, if: "work.success", depends_on: [each]}
outputs: {o: "{{ work }}"}
""")
    assert ['exists only inside the loop "each"' in one.message for one in found] == [True, True]


@pytest.mark.parametrize("name", ["results[0]", "results[0].x", "iterations[0].work.result", "failed", "count", "result[0]",
                                  "value", "status", "success", "error", "skipped", "location"])  # fmt: skip
def test_what_a_loop_leaves(compiled: Compile, name: str) -> None:
    pipeline = compiled(f"""
steps:
- {{id: each, for_each: [1], steps: [{{id: work, prompt: x}}]}}
- {{id: late, prompt: "{{{{ each.{name} }}}} {{{{ each[0] }}}} {{{{ steps.each }}}}"}}
""")
    assert pipeline.by_id["late"].dependencies == ("each",)


def test_a_field_that_a_loop_does_not_leave(only: Only) -> None:
    found = only("""
steps:
- {id: each, for_each: [1], steps: [{id: work, prompt: x}]}
- {id: late, prompt: "{{ each.reslts }}"}
""")
    assert (found.code, found.suggestion, found.span.line) == ("unknown-field", "results", 6)


def test_variables_of_a_loop_around_one_piece_of_work_are_lists(problems: Problems) -> None:
    assert (
        problems("""
steps:
- {id: each, for_each: [1], prompt: x, vars: {score: {type: number}, note: words}}
- {id: late, prompt: "{{ each.score[0] }} {{ note | length }}", if: "len(score) > 2"}
- {id: more, for_each: "{{ score }}", prompt: "{{ item }}"}
""")
        == []
    )


@pytest.mark.parametrize(
    "text",
    [
        "{id: each, for_each: [1], as: topic, prompt: x}",
        "{id: each, for_each: [1], as: index, prompt: x}",
        "{id: each, for_each: [1], as: early, prompt: x}",
        "{id: each, for_each: [1], as: each, prompt: x}",
        "{id: each, for_each: [1], steps: [{id: early, prompt: x}]}",
        "{id: each, for_each: [1], steps: [{id: each, prompt: x}]}",
        "{id: each, for_each: [1], steps: [{id: topic, prompt: x}]}",
        "{id: each, for_each: [1], as: doc, steps: [{id: doc, prompt: x}]}",
        "{id: each, for_each: [1], as: doc, steps: [{id: in, for_each: [1], as: doc, prompt: x}]}",
        "{id: each, for_each: [1], as: doc, steps: [{id: a, prompt: x, vars: {doc: words}}]}",
        "{id: each, for_each: [1], steps: [{id: a, prompt: x, vars: {early: words}}]}",
    ],
)
def test_names_that_would_hide_others(only: Only, text: str) -> None:
    found = only(f"inputs: {{topic: x}}\nsteps:\n- {{id: early, prompt: x}}\n- {text}\n")
    assert found.code == "reserved-name"
    assert "hides" in found.message


def test_two_steps_of_one_body_with_one_name(only: Only) -> None:
    found = only("steps:\n- {id: each, for_each: [1], steps: [{id: a-b, prompt: x}, {id: a_b, prompt: x}]}\n")
    assert found.code == "duplicate-id"


@pytest.mark.parametrize("key", ["for_each", "max_parallel", "max_iterations", "if"])
def test_what_is_read_before_a_loop_begins_has_no_item(problems: Problems, key: str) -> None:
    keys = {"for_each": "[1]", "max_parallel": "1", "max_iterations": "1", "if": "true"}
    keys[key] = '"item > 1"' if key == "if" else '"{{ item }}"'
    said = ", ".join(f"{name}: {value}" for name, value in keys.items())
    (found,) = problems(f"steps:\n- {{id: each, {said}, steps: [{{id: a, prompt: x}}]}}\n")
    assert found.code == "unknown-name"
    assert "exists only inside the loop, and this is read before it begins" in found.message


def test_a_loop_reads_the_items_of_the_one_around_it(compiled: Compile) -> None:
    pipeline = compiled("""
steps:
- id: outer
  for_each: [[1], [2]]
  as: row
  steps: [{id: inner, for_each: "{{ row }}", max_parallel: "{{ outer.index + 1 }}", prompt: "{{ item }} of {{ row }}"}]
""")
    (inner,) = pipeline.by_id["outer"].body
    assert inner.loop is not None
    assert inner.loop.over == "{{ row }}"


@pytest.mark.parametrize("name", ["each", "each.results", "each.value", "each[0]", "steps.each.results"])
@pytest.mark.parametrize("loop", ["for_each: [1]", "while: index < 2"])
def test_a_step_cannot_read_the_loop_that_it_stands_in(only: Only, name: str, loop: str) -> None:
    found = only(f'steps:\n- {{id: each, {loop}, steps: [{{id: a, prompt: "{{{{ {name} }}}}"}}]}}\n')
    assert found.code == "dependency-cycle"
    assert "`each.iteration`" in found.hint
    assert ("last pass" in found.hint) == loop.startswith("while")


def test_the_error_is_known_where_a_failure_leads_to_also_inside_a_loop(problems: Problems) -> None:
    found = problems("""
steps:
- {id: a, prompt: x, on_failure: h, failure_handlers: [{errors: ValueError, goto: g}]}
- {id: h, for_each: [1], steps: [{id: i, prompt: "{{ error.message }} {{ error.type }} {{ error.step }}"}]}
- {id: g, while: "error.type == 'x' and index < 2", prompt: "{{ error.message }}"}
- {id: late, prompt: "{{ error.message }}", depends_on: [h]}
- {id: each, for_each: [1], steps: [{id: b, prompt: x, on_failure: c}, {id: c, prompt: "{{ error.kind }}"}]}
""")
    assert [(one.step, one.code) for one in found] == [("late", "unknown-name"), ("c", "unknown-field")]


def test_jinjas_own_loops_inside_a_loop(compiled: Compile) -> None:
    compiled("""
steps:
- id: each
  for_each: [1]
  steps:
  - {id: a, prompt: "{{ loop.index }}{% for x in item %}{{ loop.index }} {{ loop.previtem }} {{ x }}{% endfor %}"}
""")
