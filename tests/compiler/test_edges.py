"""Which step comes before which: declared, and found in templates."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator_dagster.compiler.compile import Compilation, compile_pipeline
from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.compiler.flow import find_cycle, levels
from orchestrator_dagster.language.diagnostics import Diagnostic
from orchestrator_dagster.language.read import read_pipeline_text
from orchestrator_dagster.project.loading import known

Compile = Callable[[str], CompiledPipeline]
Only = Callable[[str], Diagnostic]

THREE = """\
inputs: {topic: trees, n: 3}
steps:
  - {id: a, prompt: "about {{ topic }}", vars: {found: text, score: number}}
  - {id: read-all, tool: filesystem, action: list, parameters: {path: data}}
"""


def dependencies(compiled: Compile, step: str, before: str = THREE) -> tuple[str, ...]:
    return compiled(f"{before}  - {step}\n").by_id["z"].dependencies


@pytest.mark.parametrize(
    ("step", "found"),
    [
        ('{id: z, prompt: "{{ found }}"}', ("a",)),
        ('{id: z, prompt: "{{ $found }} {{ a.score }}"}', ("a",)),
        ('{id: z, prompt: "{{ a.result.found }} {{ a.status }} {{ a.error }}"}', ("a",)),
        ('{id: z, prompt: "{{ steps.a.found }} {{ results.a }} {{ previous_results.a.score }}"}', ("a",)),
        ('{id: z, prompt: "{{ read-all.items }}"}', ("read-all",)),
        ('{id: z, prompt: "{{ steps.read-all.items | length }} {{ read_all.count }}"}', ("read-all",)),
        ("{id: z, prompt: \"{{ steps['read-all'].items }}\"}", ("read-all",)),
        (
            '{id: z, prompt: x, parameters: {deep: [{er: ["{{ found }}"]}], "{{ read_all.count }}": 1}}',
            ("a", "read-all"),
        ),
        ('{id: z, prompt: "{% for x in found %}{{ x }}{% if score %}{% endif %}{% endfor %}"}', ("a",)),
        ('{id: z, prompt: x, products: {r: "{{ found | slugify }}.md"}}', ("a",)),
        ('{id: z, prompt: x, vars: {r: text}, products: {r: "{{ r | slugify }}-{{ topic }}.md"}}', ()),
        (
            '{id: z, tool: filesystem, action: list, parameters: {path: "{{ found }}"}, vars: {r: "{{ result.items }}"}}',
            ("a",),
        ),
        ('{id: z, prompt: x, personality: "Write about {{ found }}."}', ("a",)),
        ('{id: z, prompt: x, timeout: "{{ score }}"}', ("a",)),
        ('{id: z, prompt: x, model: "{{ found }}"}', ("a",)),
        ("{id: z, prompt: x, dependencies: [read-all, a]}", ("a", "read-all")),  # in file order
        ("{id: z, prompt: x, depends_on: 'a, read-all'}", ("a", "read-all")),
        ("{id: z, prompt: '{{ found }}', depends_on: a}", ("a",)),
        ('{id: z, prompt: "{{ found is defined }} {{ score | default(1) }}"}', ("a",)),
        ('{id: z, prompt: "{{ topic }} {{ inputs.n }} {{ parameters.topic }} {{ execution.id }} {{ env.HOME }}"}', ()),
        ('{id: z, prompt: "{% set found = 1 %}{{ found }}{% for a in [1] %}{{ a }}{% endfor %}"}', ()),
        # Prose makes no edge and is not checked.
        ('{id: z, prompt: x, name: "{{ found }}", description: "{{ nope }}", metadata: {m: "{{ a }}"}}', ()),
        ("{id: z, prompt: x, vars: {r: {type: string, description: 'like {{ found }}'}}}", ()),
        # The description is the instruction here.
        ('{id: z, description: "about {{ found }}", vars: {r: text}}', ("a",)),
    ],
)
def test_edges(compiled: Compile, step: str, found: tuple[str, ...]) -> None:
    assert dependencies(compiled, step) == found


def test_the_order_in_the_file_does_not_matter(compiled: Compile) -> None:
    pipeline = compiled(
        'steps: [{id: c, prompt: "{{ b }}"}, {id: b, prompt: "{{ a }}"}, {id: d, prompt: x}, {id: a, prompt: x}]'
    )
    assert pipeline.levels == (("d", "a"), ("b",), ("c",))
    assert [step.id for step in pipeline.steps] == ["d", "a", "b", "c"]


def test_outputs_know_their_steps_and_stand_behind_what_they_read(compiled: Compile) -> None:
    pipeline = compiled(
        'steps: [{id: a, prompt: x}, {id: b, prompt: "{{ outputs.first }}"}]\n'
        'outputs:\n  all: ["{{ outputs.later }}", {k: "{{ a }}"}]\n  first: "{{ a }}"\n  later: "{{ b }}"\n'
    )
    assert pipeline.output_steps == {"all": ("a", "b"), "first": ("a",), "later": ("b",)}
    assert list(pipeline.outputs) == ["later", "all", "first"]
    assert pipeline.by_id["b"].dependencies == ("a",)


@pytest.mark.parametrize(
    ("text", "code", "place", "said"),
    [
        ('steps: [{id: a, prompt: "{{ b }}"}, {id: b, prompt: "{{ a }}"}]', "dependency-cycle", (3, 29), "a → b → a"),
        ("steps: [{id: a, prompt: x, depends_on: a}]", "dependency-cycle", (3, 40), '"a" depends on itself'),
        ('steps: [{id: a, prompt: "me: {{ a.b }}"}]', "dependency-cycle", (3, 33), '"a" refers to itself'),
        ('steps: [{id: a, prompt: "{{ v }}", vars: {v: text}}]', "dependency-cycle", (3, 29), '"a" refers to itself'),
        ('steps: [{id: a, prompt: "{{ a }}", vars: {a: text}}]', "dependency-cycle", (3, 29), '"a" refers to itself'),
        ("steps: [{id: a, prompt: x, depends_on: [bb]}, {id: b, prompt: x}]", "unknown-step", (3, 41), 'on "bb"'),
        ("steps: [{id: a, prompt: x, depends_on: 'b, cc'}, {id: b, prompt: x}]", "unknown-step", (3, 44), 'on "cc"'),
        ('steps: [{id: a, prompt: x}]\noutputs: {r: "{{ outputs.r }}"}', "dependency-cycle", (4, 11), "output"),
    ],
)
def test_edges_that_cannot_be(only: Only, text: str, code: str, place: tuple[int, int], said: str) -> None:
    problem = only(text)
    assert (problem.code, said in problem.message) == (code, True)
    assert (problem.span.line, problem.span.column) == place


def test_every_cycle_is_shown_with_its_path(problems: Callable[[str], list[Diagnostic]]) -> None:
    found = problems(
        'steps: [{id: a, prompt: "{{ c }}"}, {id: b, prompt: "{{ a }}"}, {id: c, prompt: "{{ b }}"},\n'
        '  {id: x, prompt: "{{ y }}"}, {id: y, prompt: "{{ x }}"}, {id: after, prompt: "{{ x }}"}]'
    )
    assert [one.message for one in found] == [
        "these steps wait for each other: a → b → c → a",
        "these steps wait for each other: x → y → x",
    ]


def test_two_makers_of_one_variable(only: Only, compiled: Compile) -> None:
    makers = "steps: [{id: a, prompt: x, vars: {v: text}}, {id: b, prompt: x, vars: {v: text}, products: {v: {path: v.md, key: k}}}"
    problem = only(makers + ', {id: c, prompt: "{{ v }}"}]')
    assert problem.code == "ambiguous-variable"
    assert problem.hint == "say which: `a.v`"
    assert compiled(makers + ', {id: c, prompt: "{{ b.v }}"}]').by_id["c"].dependencies == ("b",)
    # The step that makes another one of that name means the first.
    text = 'steps: [{id: a, prompt: x, vars: {v: text}}, {id: b, prompt: "{{ v }}", vars: {v: text}}]'
    assert compiled(text).by_id["b"].dependencies == ("a",)


def test_defaults_are_known_before_any_step(only: Only, compiled: Compile) -> None:
    assert "cannot read the step" in only('inputs: {t: "{{ a }}"}\nsteps: [{id: a, prompt: x}]').message
    assert "cannot read the input" in only('inputs: {t: "{{ t }}"}\nsteps: [{id: a, prompt: x}]').message
    assert only('output_dir: "out/{{ tpic }}"\ninputs: {topic: x}\nsteps: [{id: a, prompt: x}]').suggestion == "topic"
    compiled(
        'inputs: {t: x, u: "{{ t }} of {{ execution.date }}"}\noutput_dir: "out/{{ t }}"\nsteps: [{id: a, prompt: x}]'
    )


EDGES = st.integers(2, 12).flatmap(
    lambda size: st.tuples(
        st.just(size), st.sets(st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)), max_size=20)
    )
)


@given(EDGES)
@settings(deadline=None)
def test_levels_hold_every_edge_or_there_is_a_cycle(given_edges: tuple[int, set[tuple[int, int]]]) -> None:
    size, pairs = given_edges
    edges = {str(step): [str(before) for after, before in pairs if after == step] for step in range(size)}
    found = levels(edges)
    place = {step: number for number, level in enumerate(found) for step in level}
    for step, befores in edges.items():
        if step in place:
            assert all(place[before] < place[step] for before in befores)
            assert place[step] == 0 or any(place[before] == place[step] - 1 for before in befores)
    stuck = [step for step in edges if step not in place]
    if stuck:
        cycle = find_cycle(edges, stuck)
        assert cycle[0] == cycle[-1]
        assert all(before in edges[step] for step, before in pairwise(cycle))


def test_a_long_pipeline_is_compiled_with_work_that_grows_with_it(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def calls(size: int) -> int:
        import sys

        text = "id: p\ndefault_model: builtin:extractive\nsteps:\n" + "".join(
            f"  - {{id: s{n}, prompt: '{{{{ s{max(n - 1, 0)}.v }}}} {{{{ s{max(n - 2, 0)}.v }}}}', vars: {{v: text}}}}\n"
            if n > 1
            else f"  - {{id: s{n}, prompt: x, vars: {{v: text}}}}\n"
            for n in range(size)
        )
        count = 0

        def tick(frame: Any, event: str, argument: Any) -> None:
            nonlocal count
            count += event in ("call", "c_call")

        sys.setprofile(tick)
        try:
            done: Compilation = compile_pipeline(read_pipeline_text(text), known(tmp_path))
        finally:
            sys.setprofile(None)
        assert done.pipeline is not None
        return count

    calls(4)  # what is made only once
    small, large = calls(100), calls(400)
    assert large < small * 5


@pytest.mark.parametrize("size", [1, 3])
def test_levels_of_a_chain(size: int) -> None:
    assert levels({str(n): [str(n - 1)] if n else [] for n in range(size)}) == tuple((str(n),) for n in range(size))


def test_a_long_chain_of_outputs_in_any_order(compiled: Compile) -> None:
    chain = [f"  o{number}: '{{{{ outputs.o{number + 1} }}}}'" for number in range(1500)]
    pipeline = compiled("steps: [{id: s, prompt: x}]\noutputs:\n" + "\n".join([*chain, "  o1500: '{{ s }}'"]) + "\n")
    assert list(pipeline.outputs)[:2] == ["o1500", "o1499"]
    assert pipeline.output_steps["o0"] == ("s",)
