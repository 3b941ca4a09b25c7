"""Loops when they are compiled: which keys go together, what they go over, their products, variables and versions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.language.diagnostics import Diagnostic

Compile = Callable[[str], CompiledPipeline]
Problems = Callable[[str], list[Diagnostic]]
Only = Callable[[str], Any]


def loop(keys: str, body: str = "prompt: x") -> str:
    return f"inputs: {{n: 3, flag: true, rows: {{type: array, default: [1]}}, map: {{type: object, default: {{}}}}}}\nsteps:\n- {{id: s, {keys}, {body}}}\n"


@pytest.mark.parametrize(
    "keys",
    [
        "for_each: [1]", "for_each: []", 'for_each: "[1, 2]"', 'for_each: "{{ rows }}"', 'for_each: "a{{ rows }}"',
        'for_each: "{{ rows }}", as: row, max_parallel: 2, on_item_failure: skip, max_iterations: 5, on_limit: continue',
        'for_each: [1], max_parallel: "{{ n }}", max_iterations: "{{ n }}"', "while: true", "until: false",
        'while: "{{ flag }}", max_iterations: "{{ n }}", on_limit: continue', "while: flag, until: index > 2, on_limit: fail",
        'until: "{{ index > n }}"', "for_each: [1], on_item_failure: continue", 'for_each: "{{ n }},{{ n }}"',
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "body",
    [
        "prompt: x",
        "tool: filesystem, action: list, parameters: {path: x}",
        "steps: [{id: a, prompt: x}]",
        "action: echo hello",
    ],
)
def test_keys_that_go_together(compiled: Compile, keys: str, body: str) -> None:
    made = compiled(loop(keys, body)).by_id["s"]
    assert made.kind == "loop"
    assert made.loop is not None
    assert made.loop.kind == ("for_each" if "for_each" in keys else "while")
    assert made.loop.single == ("steps:" not in body)
    assert [one.id for one in made.body] == (["s"] if made.loop.single else ["a"])


@pytest.mark.parametrize(
    ("keys", "code", "column"),
    [
        ("for_each: [1], while: flag", "step-kind", 26),
        ("until: flag, for_each: [1]", "step-kind", 24),
        ("as: row", "unused-key", 11),
        ("max_parallel: 2", "unused-key", 11),
        ("max_iterations: 2", "unused-key", 11),
        ("on_item_failure: skip", "unused-key", 11),
        ("on_limit: fail", "unused-key", 11),
        ("while: flag, as: row", "unused-key", 24),
        ("until: flag, max_parallel: 3", "unused-key", 24),
        ("while: flag, on_item_failure: skip", "unused-key", 24),
        ("for_each: [1], on_limit: continue", "unused-key", 26),
        ("for_each: 3", "wrong-type", 21),
        ("for_each: {a: 1}", "wrong-type", 21),
        ("for_each: true", "wrong-type", 21),
        ('for_each: "a, b"', "wrong-type", 21),
        ('for_each: "{\\"a\\": 1}"', "wrong-type", 21),
        ('for_each: "{{ n }}"', "wrong-type", 21),
        ('for_each: "{{ flag }}"', "wrong-type", 21),
        ('for_each: "{{ map }}"', "wrong-type", 21),
        ("for_each: [1], max_parallel: 0", "wrong-value", 40),
        ("for_each: [1], max_parallel: true", "wrong-type", 40),
        ("while: flag, max_iterations: -1", "wrong-value", 40),
        ("while: flag, max_iterations: many", "wrong-type", 40),
        ("for_each: [1], on_item_failure: retry", "wrong-value", 43),
        ("while: flag, on_limit: skip", "wrong-value", 34),
        ('for_each: [1], as: "my row"', "wrong-id", 30),
        ("for_each: [1], as: in", "reserved-name", 30),
    ],
)  # fmt: skip
def test_keys_that_clash_or_that_nothing_reads(only: Only, keys: str, code: str, column: int) -> None:
    found = only(loop(keys))
    assert (found.code, found.span.line, found.span.column) == (code, 5, column), found.render()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("steps: [{id: a, prompt: x}], prompt: x", "step-kind"),
        ("steps: [{id: a, prompt: x}], tool: filesystem", "step-kind"),
        ("steps: [{id: a, prompt: x}], pipeline: x.yaml", "step-kind"),
        ("steps: [{id: a, prompt: x}], action: generate", "step-kind"),
        ("steps: [{id: a, prompt: x}], model: builtin:extractive", "unused-key"),
        ("steps: [{id: a, prompt: x}], parameters: {a: 1}", "unused-key"),
        ("steps: [{id: a, prompt: x}], inputs: {a: 1}", "unused-key"),
        ("steps: []", "wrong-value"),
        ("steps: x", "wrong-type"),
        ("description: only words", "step-kind"),
    ],
)
def test_what_a_loop_does_is_one_thing(problems: Problems, body: str, code: str) -> None:
    assert [one.code for one in problems(loop("for_each: [1]", body))] == [code]


def test_steps_that_nothing_repeats(only: Only) -> None:
    found = only("steps:\n- {id: s, steps: [{id: a, prompt: x}]}\n")
    assert found.code == "step-kind"
    assert "`for_each`, `while` or `until`" in found.hint


# --- Products and variables


def products(path: str, inner: str = "", around: str = "for_each: [1, 2], as: doc") -> str:
    work = f'{{id: w, {inner} prompt: x, vars: {{v: words}}, products: {{v: "{path}"}}}}'
    return f"inputs: {{topic: x}}\nsteps:\n- {{id: early, prompt: x}}\n- {{id: each, {around}, steps: [{{id: first, prompt: x}}, {work}]}}\n"


@pytest.mark.parametrize(
    "path",
    ["{{ index }}.txt", "{{ item }}.txt", "{{ doc.name | slugify }}.txt", "a/{{ loop.index }}.txt", "{{ each.index }}.txt",
     "{{ first }}.txt", "{{ first | slugify }}.txt", "{{ v | slugify }}.txt", "{{ result.name }}.txt", "{{ each.item.x }}.txt"],
)  # fmt: skip
def test_a_product_of_every_item_has_a_path_of_its_own(compiled: Compile, path: str) -> None:
    (product,) = compiled(products(path)).products
    assert (product.step, product.per_item, product.key) == ("each", True, ("p", "v"))


@pytest.mark.parametrize(
    "path", ["all.txt", "{{ topic }}.txt", "{{ early }}.txt", "{{ execution.id }}.txt", "{{ 1 + 1 }}.txt"]
)
def test_items_that_would_all_write_one_file(only: Only, path: str) -> None:
    found = only(products(path))
    assert found.code == "product-collision"
    assert f'every item of the loop "each" would write "{path}"' in found.message


@pytest.mark.parametrize(
    ("path", "loop"),
    [("{{ iteration }}.txt", "each"), ("{{ each.index }}_{{ iteration }}.txt", None), ("{{ item }}_{{ loop.index }}.txt", None),
     ("{{ doc }}.txt", None), ("x.txt", "each")],
)  # fmt: skip
def test_passes_may_write_one_file_items_may_not(problems: Problems, path: str, loop: str | None) -> None:
    """A pass replaces what the one before has written."""
    assert problems(products("one.txt", around="while: index < 2")) == []
    text = (
        products("X")
        .replace("{id: w,", "{id: again, while: index < 2, steps: [{id: w,")
        .replace('"X"}}', f'"{path}"}}}}]}}')
    )
    assert [f'the loop "{loop}"' in one.message for one in problems(text)] == ([True] if loop else [])


@pytest.mark.parametrize(
    ("path", "loop"),
    [("{{ index }}.txt", "each"), ("{{ each.index }}_{{ index }}.txt", None), ("{{ page }}.txt", None),
     ("{{ doc }}.txt", None), ("all.txt", "each")],
)  # fmt: skip
def test_every_loop_around_a_product_is_told_apart(problems: Problems, path: str, loop: str | None) -> None:
    """An item of an inner loop may be another for each item of the outer one; its number is the same."""
    found = problems(products(path, inner="for_each: [3, 4], as: page,"))
    assert [f'the loop "{loop}"' in one.message for one in found] == ([True] if loop else [])


def test_the_product_of_a_loop_around_one_piece_of_work_is_one_list_or_one_file_an_item(compiled: Compile) -> None:
    pipeline = compiled("""
steps:
- {id: a, for_each: [1], prompt: x, vars: {v: words, w: words}, products: {v: all.json, w: "{{ item }}.txt"}}
- {id: z, prompt: "{{ a.v }}", vars: {y: words}, products: {y: y.md}}
""")
    a, z = pipeline.steps
    assert [(one.variable, one.per_item) for one in a.products] == [("v", False)]
    assert [(one.variable, one.per_item) for one in a.body[0].products] == [("w", True)]
    assert [(one.variable, one.step) for one in pipeline.products] == [("v", "a"), ("w", "a"), ("y", "z")]
    assert z.products[0].upstream == (("p", "v"), ("p", "w"))


def test_products_inside_loops_are_made_from_those_before_the_loop_and_before_them_inside(compiled: Compile) -> None:
    """The item itself is made from what stands before the loop."""
    pipeline = compiled("""
steps:
- {id: a, prompt: x, vars: {v: words}, products: {v: v.md}}
- id: each
  for_each: "{{ a.v | split }}"
  steps:
  - {id: b, prompt: "{{ item }}", vars: {w: words}, products: {w: "w{{ index }}.md"}}
  - {id: c, prompt: "{{ b }}", vars: {x: words}, products: {x: "x{{ index }}.md"}}
""")
    assert {one.variable: one.upstream for one in pipeline.products} == {
        "v": (),
        "w": (("p", "v"),),
        "x": (("p", "v"), ("p", "w")),
    }


def test_variables_of_a_loop_around_steps_come_from_the_list(problems: Problems) -> None:
    def text(variables: str) -> str:
        return loop("for_each: [1]", f"vars: {variables}, products: {{all: all.json}}, steps: [{{id: a, prompt: x}}]")

    assert problems(text("{all: {type: array}}")) == []
    assert problems(text('{all: "{{ result }}", first: "{{ result[0] }}"}')) == []
    found = problems(text("{all: {type: array}, best: words}"))
    assert [(one.code, one.step) for one in found] == [("wrong-value", "s"), ("wrong-value", "s")]


def test_what_is_inside_a_loop_is_retried_and_timed_by_itself(compiled: Compile) -> None:
    pipeline = compiled("""
retries: 5
steps:
- {id: single, for_each: [1], prompt: x, retries: 3, timeout: 30, on_failure: continue}
- {id: body, for_each: [1], timeout: 60, on_failure: retry, steps: [{id: a, prompt: x}, {id: b, prompt: x, retries: 1}]}
""")
    single, body = pipeline.steps
    assert (single.retries.max, single.timeout, single.on_failure) == (0, None, "continue")
    assert (single.body[0].retries.max, single.body[0].timeout, single.body[0].on_failure) == (3, 30, None)
    assert (body.retries.max, body.timeout) == (2, 60)
    assert [one.retries.max for one in body.body] == [5, 1]


# --- The way through JSON, and versions

WHOLE = """
inputs: {topic: x, other: y}
constants: {c: 1, d: "{{ topic }}"}
failure_handlers: [{errors: ValueError, fallback: null}, {goto: mend}]
steps:
- {id: early, prompt: x, vars: {rows: {type: array}}}
- id: each
  for_each: "{{ early.rows }}"
  as: row
  max_parallel: 2
  on_item_failure: skip
  products: {all: all.json}
  vars: {all: "{{ result }}"}
  steps:
  - {id: look, prompt: "{{ row }} {{ c }}", on_failure: help, failure_handlers: [{errors: [KeyError], goto: skip}]}
  - id: again
    while: "look.success and index < 3"
    max_iterations: "{{ length }}"
    on_limit: continue
    steps:
    - {id: draft, prompt: "{{ judge.advice | default('') }}", on_success: judge}
    - {id: judge, prompt: "{{ draft }}", vars: {advice: words, score: {type: number}}}
  - {id: help, prompt: "{{ error.message }}"}
  - {id: last, prompt: "{{ again.results }}", if: "again.count > 1", vars: {v: words}, products: {v: "v{{ index }}.md"}}
- {id: mend, prompt: "{{ error.type }}"}
- {id: tell, for_each: [1, [2, {a: 3}]], if: "index > 0", prompt: "{{ item }} {{ each.failed }} {{ outputs.o }}"}
outputs: {o: "{{ early }} {{ d }}"}
"""


def test_loops_are_the_same_after_a_way_through_json(compiled: Compile) -> None:
    pipeline = compiled(WHOLE)
    text = pipeline.to_json()
    again = CompiledPipeline.from_json(text)
    assert again == pipeline
    assert again.to_json() == text
    each = again.by_id["each"]
    assert each.loop is not None
    assert [one.id for one in each.body] == ["look", "again", "help", "last"]
    assert each.loop.plan == pipeline.by_id["each"].loop.plan  # type: ignore[union-attr]
    assert [one.goto for one in each.body[0].failure_handlers] == ["skip"]
    assert again.by_id["early"].failure_handlers[0].model_fields_set == {"errors", "fallback"}
    assert again.by_id["tell"].loop.over == (1, (2, {"a": 3}))  # type: ignore[union-attr]


CHANGES = [  # what is written, what it becomes, the steps whose version changes
    ("{{ row }} {{ c }}", "{{ row }}!", {"each", "tell"}),
    ("index < 3", "index < 4", {"each", "tell"}),
    ("on_item_failure: skip", "on_item_failure: continue", {"each", "tell"}),
    ("max_parallel: 2", "max_parallel: 3", set()),
    ("on_limit: continue", "on_limit: fail", {"each", "tell"}),
    ("on_failure: help, failure", "on_failure: help, on_success: help, failure", {"each", "tell"}),
    (", on_success: judge", "", {"each", "tell"}),
    ("again.count > 1", "again.count > 2", {"each", "tell"}),
    ("[1, [2, {a: 3}]]", "[1, [2, {a: 4}]]", {"tell"}),
    ("{c: 1,", "{c: 2,", {"each", "tell"}),
    ("topic: x", "topic: z", {"tell"}),
    ("other: y", "other: z", set()),
    ("fallback: null", "fallback: 1", {"early", "each", "mend", "tell"}),
    ("{{ early }} {{ d }}", "{{ early }} {{ d }}!", {"tell"}),
    ("{id: draft,", "{id: draft, name: A draft,", set()),
    ("- id: each", "- # a comment\n  id: each", set()),
]


@pytest.mark.parametrize(("old", "new", "changed"), CHANGES)
def test_a_version_changes_when_and_only_when_what_is_done_changes(
    compiled: Compile, old: str, new: str, changed: set[str]
) -> None:
    assert old in WHOLE
    before = {one.id: one.code_version for one in compiled(WHOLE).steps}
    after = {one.id: one.code_version for one in compiled(WHOLE.replace(old, new)).steps}
    assert {name for name in before if before[name] != after[name]} == changed


def test_the_last_step_of_a_body_has_the_value_so_its_place_in_the_file_counts(compiled: Compile) -> None:
    steps = ["{id: a, prompt: x}", "{id: b, prompt: '{{ a }}'}"]
    versions = [
        compiled(f"steps: [{{id: s, for_each: [1], steps: [{', '.join(order)}]}}]\n").steps[0].code_version
        for order in (steps, steps[::-1])
    ]
    assert versions[0] != versions[1]
