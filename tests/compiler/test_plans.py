"""The order of bodies: edges that climb to a loop, the pass before, cycles, routes and handlers in each body."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledStep
from orchestrator_dagster.language.diagnostics import Diagnostic

Compile = Callable[[str], CompiledPipeline]
Problems = Callable[[str], list[Diagnostic]]
Only = Callable[[str], Any]


def edges(steps: tuple[CompiledStep, ...]) -> dict[str, tuple[str, ...]]:
    return {one.id: one.dependencies for one in steps}


@pytest.mark.parametrize(
    "key",
    ['prompt: "{{ pre }}"', "prompt: x, depends_on: [pre]", 'prompt: x, if: "pre.success"', "prompt: x, depends_on: pre",
     'prompt: "{{ outputs.o }}"', 'prompt: x, if: "outputs.o is None"', 'prompt: x, vars: {v: words}, products: {v: "{{ pre }}{{ item }}.md"}',
     'for_each: "{{ pre }}", prompt: x', 'while: "pre and index < 2", prompt: x', 'prompt: x, max_parallel: "{{ pre }}", for_each: [1]'],
)  # fmt: skip
def test_what_a_step_inside_reads_its_loop_waits_for(compiled: Compile, key: str) -> None:
    pipeline = compiled(f"""
steps:
- id: outer
  for_each: [1]
  as: doc
  steps: [{{id: inner, for_each: [1], steps: [{{id: work, {key}}}]}}]
- {{id: pre, prompt: x}}
outputs: {{o: "{{{{ pre }}}}"}}
""")
    assert edges(pipeline.steps) == {"pre": (), "outer": ("pre",)}
    (inner,) = pipeline.by_id["outer"].body
    assert inner.dependencies == ()
    assert inner.body[0].dependencies == ()


def test_an_edge_climbs_to_the_loop_beside_the_step_and_no_further(compiled: Compile) -> None:
    pipeline = compiled("""
steps:
- id: outer
  for_each: [1]
  steps:
  - {id: inner, while: "index < 2", steps: [{id: a, prompt: "{{ beside }}"}, {id: b, prompt: "{{ a }}"}]}
  - {id: beside, prompt: x}
  - {id: end, prompt: "{{ inner.results }}"}
""")
    assert edges(pipeline.by_id["outer"].body) == {"beside": (), "inner": ("beside",), "end": ("inner",)}
    inner = pipeline.by_id["outer"].body[1]
    assert edges(inner.body) == {"a": (), "b": ("a",)}


def test_a_step_inside_a_loop_that_waits_for_what_waits_for_the_loop(only: Only) -> None:
    found = only("""
steps:
- {id: each, for_each: [1], steps: [{id: a, prompt: "{{ late }}"}]}
- {id: late, prompt: "{{ each }}"}
""")
    assert found.code == "dependency-cycle"
    assert "each → late → each" in found.message
    assert (found.span.line, found.span.column) == (5, 57)


@pytest.mark.parametrize(("form", "column"), [("[late]", 69), ("late", 68), ('["x", "late"]', 74)])
def test_a_cycle_through_a_dependency_that_is_declared_inside_a_loop(
    problems: Problems, form: str, column: int
) -> None:
    found = problems(f"""
steps:
- {{id: each, for_each: [1], steps: [{{id: a, prompt: x, depends_on: {form}}}]}}
- {{id: late, prompt: "{{{{ each }}}}"}}
- {{id: x, prompt: x}}
""")
    assert [(one.code, one.span.line, one.span.column) for one in found] == [("dependency-cycle", 5, column)]


def test_several_cycles_beside_steps_that_can_run(problems: Problems) -> None:
    found = problems("""
steps:
- {id: free, prompt: x}
- {id: a, prompt: "{{ b }} {{ free }}"}
- {id: b, prompt: "{{ a }} {{ free }}"}
- {id: c, prompt: "{{ d }} {{ a }} {{ free }}"}
- {id: d, prompt: "{{ c }}"}
- {id: e, prompt: "{{ e2 }} {{ free }}"}
- {id: e2, prompt: "{{ d }}"}
""")
    assert [one.message.split(": ")[1] for one in found] == ["a → b → a", "c → d → c"]


# --- The pass before

LOOP = """
steps:
- id: improve
  {keys}
  steps:
  - {{id: draft, prompt: "{{{{ review.advice | default('') }}}} {{{{ draft | default('') }}}}"}}
  - {{id: check, prompt: "{{{{ draft }}}}", if: "late is not None"}}
  - {{id: review, prompt: "{{{{ check }}}}", vars: {{advice: words, score: {{type: number}}}}}}
  - {{id: late, prompt: "{{{{ review }}}}"}}
"""


@pytest.mark.parametrize("keys", ["until: score > 0.8", "while: score < 0.8", "while: true", "until: late == 'x'"])
def test_an_earlier_step_reads_the_last_pass_of_a_later_one(compiled: Compile, keys: str) -> None:
    pipeline = compiled(LOOP.format(keys=keys))
    assert edges(pipeline.steps[0].body) == {
        "draft": (), "check": ("draft",), "review": ("check",), "late": ("review",)
    }  # fmt: skip


def test_in_a_for_each_there_is_no_pass_before(problems: Problems) -> None:
    found = problems(LOOP.format(keys="for_each: [1]"))
    assert {one.code for one in found} == {"dependency-cycle"}
    assert "draft" in found[0].message


def test_a_declared_dependency_is_never_of_the_last_pass(only: Only) -> None:
    found = only("""
steps:
- id: improve
  until: index > 1
  steps:
  - {id: draft, prompt: "x", depends_on: [review]}
  - {id: review, prompt: "{{ draft }}"}
""")
    assert found.code == "dependency-cycle"


def test_a_later_step_that_is_not_on_a_circle_is_waited_for(compiled: Compile) -> None:
    """Order in the file does not matter, also in a loop that goes back."""
    pipeline = compiled("""
steps:
- {id: improve, until: index > 1, steps: [{id: a, prompt: "{{ b }}"}, {id: b, prompt: x}]}
""")
    assert edges(pipeline.steps[0].body) == {"b": (), "a": ("b",)}


def test_an_inner_loop_reads_the_last_pass_of_the_outer_one(compiled: Compile) -> None:
    pipeline = compiled("""
steps:
- id: outer
  while: "late.success and index < 3"
  steps:
  - {id: inner, for_each: [1], steps: [{id: a, prompt: "{{ late | default('') }}"}]}
  - {id: late, prompt: "{{ inner }}"}
""")
    assert edges(pipeline.steps[0].body) == {"inner": (), "late": ("inner",)}


@pytest.mark.parametrize("name", ["s", "s.value", "steps.s", "v", "s.v", "s.iteration"])
def test_a_loop_around_one_piece_of_work_reads_its_own_last_pass(compiled: Compile, name: str) -> None:
    prompt = f"{{{{ {name} | default('') }}}}"
    (step,) = compiled(f'steps: [{{id: s, until: "index > 1", prompt: "{prompt}", vars: {{v: words}}}}]\n').steps
    assert step.dependencies == step.body[0].dependencies == ()


def test_a_step_that_reads_itself_without_a_loop_by_condition(only: Only) -> None:
    assert only("steps: [{id: s, for_each: [1], prompt: '{{ v }}', vars: {v: words}}]\n").code == "dependency-cycle"


# --- Routes and handlers


def test_a_body_stands_in_an_order_in_which_its_routes_go(compiled: Compile) -> None:
    """Whoever runs the steps one after the other has the ends of all that decide about each."""
    pipeline = compiled("""
steps:
- {id: late, prompt: x}
- {id: each, for_each: [1], on_success: late, steps: [{id: t, prompt: x}, {id: a, prompt: x, on_success: t}]}
""")
    assert [one.id for one in pipeline.steps] == ["each", "late"]
    assert pipeline.levels == pipeline.plan.levels == (("each",), ("late",))
    each = pipeline.by_id["each"]
    assert [one.id for one in each.body] == ["a", "t"]
    assert edges(each.body) == {"a": (), "t": ()}


def test_handlers_are_routes_of_a_failure(compiled: Compile) -> None:
    pipeline = compiled("""
failure_handlers: [{errors: OSError, goto: mend}, {goto: tell}, {goto: continue}]
steps:
- id: a
  prompt: x
  on_failure: skip
  failure_handlers: [{errors: ValueError, goto: b}, {errors: KeyError, goto: c}, {goto: fail}, {fallback: 1}]
- {id: b, prompt: "{{ error.message }}"}
- {id: c, prompt: x, depends_on: [a]}
- {id: mend, prompt: "{{ error.type }}"}
- {id: tell, prompt: "{{ error.step }}", depends_on: [mend]}
""")
    routes = [(one.source, one.target) for one in pipeline.plan.routes if one.key == "on_failure"]
    assert [target for source, target in routes if source == "a"] == [None, "b", "c", "mend", "tell"]
    assert not [target for source, target in routes if source in ("mend", "tell")]
    assert [one.goto for one in pipeline.by_id["mend"].failure_handlers] == ["continue"]
    assert not [target for source, target in routes if source == "tell"]
    assert [one.goto for one in pipeline.by_id["a"].failure_handlers] == [
        "b",
        "c",
        "fail",
        None,
        "mend",
        "tell",
        "continue",
    ]
    assert pipeline.plan.by_id["c"].targeted_by
    assert "error" not in pipeline.by_id["c"].dependencies


@pytest.mark.parametrize("more", ["", ", on_success: a", ", on_failure: a", ", failure_handlers: [{goto: a}]"])
def test_two_handlers_of_all_steps_do_not_lead_to_each_other(compiled: Compile, more: str) -> None:
    pipeline = compiled(f"""
failure_handlers: [{{errors: OSError, goto: h}}, {{errors: ValueError, goto: g}}]
steps:
- {{id: h, prompt: x{more}}}
- {{id: g, prompt: x}}
- {{id: a, prompt: x}}
- {{id: b, prompt: "{{{{ a }}}}"}}
- {{id: free, prompt: x}}
""")
    handled = {"free"} if more else {"a", "b", "free"}
    routes = {(one.source, one.target) for one in pipeline.plan.routes}
    assert routes - {("h", "a")} == {(name, way) for name in handled for way in ("h", "g")}
    assert {one.id for one in pipeline.steps if len(one.failure_handlers) > 1} == handled


def test_handlers_of_the_header_are_none_inside_loops(compiled: Compile) -> None:
    pipeline = compiled("""
failure_handlers: [{goto: mend}]
steps:
- {id: each, for_each: [1], steps: [{id: a, prompt: x}, {id: b, prompt: x, failure_handlers: [{goto: a}], depends_on: []}]}
- {id: mend, prompt: "{{ error.step }}"}
""")
    each = pipeline.by_id["each"]
    assert [(one.source, one.target) for one in pipeline.plan.routes] == [("each", "mend")]
    assert [one.failure_handlers for one in each.body][1] == ()
    assert [(one.source, one.target) for one in each.loop.plan.routes] == [("b", "a")]  # type: ignore[union-attr]
    assert [one.id for one in each.body] == ["b", "a"]


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        (
            "- {id: a, prompt: x, on_success: in}\n- {id: e, for_each: [1], steps: [{id: in, prompt: x}]}",
            "unknown-step",
            5,
        ),
        (
            "- {id: a, prompt: x}\n- {id: e, for_each: [1], steps: [{id: i, prompt: x, on_failure: a}]}",
            "unknown-step",
            6,
        ),
        ("- {id: a, prompt: x, failure_handlers: [{goto: nowhere}]}", "unknown-step", 5),
        ("- {id: a, prompt: x, failure_handlers: [{goto: a}]}", "dependency-cycle", 5),
        ("- {id: a, prompt: x}\n- {id: b, prompt: '{{ a }}', failure_handlers: [{goto: a}]}", "dependency-cycle", 6),
        (
            "- {id: e, while: true, steps: [{id: i, prompt: x}, {id: j, prompt: '{{ i }}', on_success: i}]}",
            "dependency-cycle",
            5,
        ),
        ("- {id: e, for_each: [1], steps: [{id: i, prompt: x, on_false: j}, {id: j, prompt: x}]}", "unused-key", 5),
        ("- {id: e, for_each: [1], prompt: x, if: item > 1, on_false: j}\n- {id: j, prompt: x}", "unused-key", 5),
    ],
)
def test_routes_that_cannot_be(only: Only, text: str, code: str, line: int) -> None:
    found = only(f"\nsteps:\n{text}\n")
    assert (found.code, found.span.line) == (code, line), found.render()


def test_a_policy_retry_means_at_least_two_retries(compiled: Compile) -> None:
    pipeline = compiled("""
steps:
- {id: a, tool: filesystem, action: list, on_failure: retry}
- {id: b, tool: filesystem, action: list, on_failure: retry, retries: 1}
- {id: c, tool: filesystem, action: list, on_failure: retry, retries: {max: 4, delay: 2s}}
- {id: d, tool: filesystem, action: list, failure_handlers: [{goto: retry}]}
""")
    assert [one.retries.max for one in pipeline.steps] == [2, 2, 4, 2]


def test_a_large_body_that_goes_back(compiled: Compile) -> None:
    """A step of a thousand reads the last pass of the one behind it."""
    steps = ", ".join(
        f'{{id: s{number}, prompt: "{{{{ s{number - 1} }}}} {{{{ s{number + 1} | default(1) }}}}"}}'
        for number in range(1, 300)
    )
    pipeline = compiled(
        f"steps: [{{id: e, until: 's300', steps: [{{id: s0, prompt: x}}, {steps}, {{id: s300, prompt: '{{{{ s299 }}}}'}}]}}]\n"
    )
    assert edges(pipeline.steps[0].body)["s150"] == ("s149",)
