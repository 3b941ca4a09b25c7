"""Steps that run other pipelines: where the file is looked up, inputs, chains, circles, depth, errors inside, versions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator_dagster.compiler import compile as compile_module
from orchestrator_dagster.compiler.compile import Compilation
from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.language.diagnostics import Diagnostic
from orchestrator_dagster.project.loading import compile_file

HEAD = "default_model: builtin:extractive\n"
LEAF = "inputs: {topic: None, deep: 3, style: {type: string, enum: [a, b], default: a}}\nsteps: [{id: s, prompt: '{{ topic }}', vars: {v: words}, products: {v: v.md}}]\noutputs: {o: '{{ s }}'}\n"

Make = Callable[..., Compilation]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write files of a project and compile one of them."""
    (tmp_path / "workspace.yaml").touch()

    def run(main: str, **files: str) -> Compilation:
        for name, text in {"main": main, **files}.items():
            path = tmp_path / f"{name.replace('__', '/')}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(HEAD + text, encoding="utf-8")
        return compile_file(tmp_path / "main.yaml", tmp_path)

    return run


def only(done: Compilation) -> Diagnostic:
    (found,) = done.problems
    assert done.pipeline is None
    return found


def runs(*names: str, inputs: str = "") -> str:
    steps = ", ".join(f"{{id: s{at}, pipeline: {name}.yaml{inputs}}}" for at, name in enumerate(names))
    return f"steps: [{steps}]\n"


def test_a_step_has_the_compiled_pipeline_and_takes_from_its_outputs(make: Make) -> None:
    done = make(
        "steps:\n- {id: a, pipeline: leaf.yaml, inputs: {topic: 'x {{ b }}', deep: 4}}\n- {id: b, prompt: x}\n"
        "- {id: c, prompt: '{{ a.o }} {{ a.result.o }}', products: {c: c.md}}\n",
        leaf=LEAF,
    )
    assert done.pipeline is not None, [one.render() for one in done.problems]
    a = done.pipeline.by_id["a"]
    assert (a.kind, a.dependencies, a.parameters) == ("pipeline", ("b",), {"topic": "x {{ b }}", "deep": 4})
    assert a.pipeline is not None
    assert (a.pipeline.id, [one.id for one in a.pipeline.steps]) == ("leaf", ["s"])
    assert [one.id for one in a.walk()] == ["a", "s"]
    assert [one.variable for one in done.pipeline.products] == ["c"]
    again = CompiledPipeline.from_json(done.pipeline.to_json())
    assert again == done.pipeline
    assert again.to_json() == done.pipeline.to_json()


def test_a_pool_does_not_hold_the_steps_of_a_pipeline_that_another_one_runs(make: Make) -> None:
    slow = "steps: [{id: b, prompt: x, pool: slow}, {id: c, prompt: y, pool: slow}]\n"
    done = make(
        "steps: [{id: a, pipeline: leaf.yaml}, {id: l, for_each: [1], steps: [{id: d, pipeline: leaf.yaml}]}]\n",
        leaf=slow,
    )
    assert done.pipeline is not None
    a, d = done.problems
    assert (a.code, a.step, a.severity, d.step) == ("unused-key", "a", "warning", "d")
    assert 'in the pipeline "leaf.yaml" the step "c" has the pool "slow", which does not hold it here' in a.message
    assert (a.hint or "").startswith("give this step `pool: slow`")
    assert (d.hint or "").startswith("give the outermost loop `pool: slow`")
    held = make("steps: [{id: a, pipeline: leaf.yaml, pool: slow}]\n", leaf=slow)
    assert not list(held.problems)


def test_a_file_is_looked_up_beside_the_pipeline_then_at_the_root(make: Make) -> None:
    other = "steps: [{id: there, prompt: x}]\n"
    done = make(
        runs("folder/mid"),
        folder__mid=runs("leaf", "top"),
        folder__leaf="steps: [{id: beside, prompt: x}]\n",
        leaf=other,
        top=other,
    )
    assert done.pipeline is not None, [one.render() for one in done.problems]
    mid = done.pipeline.steps[0].pipeline
    assert mid is not None
    assert [one.pipeline.steps[0].id for one in mid.steps if one.pipeline] == ["beside", "there"]
    assert (mid.file, mid.steps[0].pipeline.file) == ("folder/mid.yaml", "folder/leaf.yaml")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "code"),
    [("nowhere.yaml", "include-missing"), ("../outside.yaml", "include-missing"), ("/etc/passwd", "include-missing"),
     ('"{{ x }}.yaml"', "include-missing"), (".", "include-missing")],
)  # fmt: skip
def test_files_that_are_none(make: Make, name: str, code: str) -> None:
    found = make(f"inputs: {{x: y}}\nsteps: [{{id: a, pipeline: {name}}}]\n")
    assert [one.code for one in found.problems] == [code]


def test_a_file_that_two_steps_and_two_chains_reach_is_compiled_once(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    real = compile_module.read_pipeline
    monkeypatch.setattr(compile_module, "read_pipeline", lambda path, name: read.append(path.name) or real(path, name))
    done = make(
        runs("left", "right", "leaf", "leaf"),
        left=runs("leaf"),
        right=runs("leaf", "left"),
        leaf="steps: [{id: s, prompt: x}]\n",
    )
    assert done.pipeline is not None, [one.render() for one in done.problems]
    assert sorted(read) == ["leaf.yaml", "left.yaml", "right.yaml"]
    left, right, leaf, _ = (one.pipeline for one in done.pipeline.steps)
    assert left is not None
    assert right is not None
    assert right.steps[1].pipeline is left
    assert left.steps[0].pipeline is leaf


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_circle_of_files(make: Make, length: int) -> None:
    files = {f"f{at}": runs(f"f{at + 1}" if at + 1 < length else "main") for at in range(1, length)}
    found = only(make(runs("f1" if length > 1 else "main"), **files))
    assert "the pipeline runs itself: " in found.message
    names = ["main.yaml", *(f"{name}.yaml" for name in files), "main.yaml"]
    assert " → ".join(names) in found.message
    assert found.code == ("dependency-cycle" if length == 1 else "sub-pipeline")


def test_a_circle_that_the_file_itself_is_not_on(make: Make) -> None:
    done = make(runs("a", "b"), a=runs("b"), b=runs("a"))
    assert [(one.step, one.code) for one in done.problems] == [("s0", "sub-pipeline"), ("s1", "sub-pipeline")]
    assert all("runs itself" in one.message for one in done.problems)


def chain(count: int) -> dict[str, str]:
    """Files f1 … of which each runs the next one."""
    return {
        f"f{at}": runs(f"f{at + 1}") if at < count else "steps: [{id: s, prompt: x}]\n" for at in range(1, count + 1)
    }


def test_eight_files_deep_and_no_deeper(make: Make) -> None:
    assert make(runs("f1"), **chain(7)).pipeline is not None
    found = only(make(runs("f1"), **chain(8)))
    assert "8 deep at most" in found.message


def test_the_depth_does_not_depend_on_the_chain_that_reaches_a_file_first(make: Make) -> None:
    """`f5` by itself is no problem, neither before nor behind the long chain; through `f1` it is too deep."""
    assert make(runs("f5", "f1"), **chain(7)).pipeline is not None
    for order in (("f5", "f1"), ("f1", "f5")):
        done = make(runs(*order), **chain(8))
        assert any("8 deep at most" in one.message for one in done.problems)
        assert "s" + str(order.index("f1")) in [one.step for one in done.problems]


def test_loops_and_pipelines_in_each_other(make: Make) -> None:
    def nested(count: int, inside: str) -> str:
        step = f"{{id: leaf, {inside}}}"
        for number in range(count):
            step = f"{{id: l{number}, for_each: [1], steps: [{step}]}}"
        return f"steps: [{step}]\n"

    fits = make(nested(28, "pipeline: f1.yaml"), f1=nested(28, "prompt: x"))
    assert fits.pipeline is not None
    assert CompiledPipeline.from_json(fits.pipeline.to_json()) == fits.pipeline
    files = {"f1": nested(28, "pipeline: f2.yaml"), "f2": nested(10, "prompt: x")}
    assert "more than 64 deep" in only(make(nested(28, "pipeline: f1.yaml"), **files)).message


@pytest.mark.parametrize(
    ("inputs", "codes"),
    [
        ("{topic: x}", []),
        ("{topic: '{{ y }}', deep: '{{ y }}', style: '{{ y }}'}", []),
        ("{topic: x, output_dir: out}", []),
        ("{}", ["missing-key"]),
        ("{topic: null}", ["missing-key"]),
        ("{topic: x, topik: y}", ["unknown-key"]),
        ("{topik: y}", ["missing-key", "unknown-key"]),
        ("{topic: x, deep: many}", ["wrong-value"]),
        ("{topic: x, style: c}", ["wrong-value"]),
        ("{topic: [1], deep: 1.5}", ["wrong-value", "wrong-value"]),
        ("{topic: '{{ nothing }}'}", ["unknown-name"]),
    ],
)
def test_inputs_are_compared_as_far_as_they_are_known(make: Make, inputs: str, codes: list[str]) -> None:
    done = make(f"inputs: {{y: 1}}\nsteps: [{{id: a, pipeline: leaf.yaml, inputs: {inputs}}}]\n", leaf=LEAF)
    assert sorted(one.code for one in done.problems) == codes, [one.render() for one in done.problems]


def test_an_error_inside_is_shown_with_its_place(make: Make) -> None:
    done = make(runs("mid"), mid=runs("leaf"), leaf="steps: [{id: s, promt: x}, {id: t, prompt: '{{ nothing }}'}]\n")
    found = only(done)
    assert (found.code, found.span.line) == ("sub-pipeline", 2)
    assert "leaf.yaml:2:10" in found.message
    assert "mid.yaml" in (found.hint or "")


@pytest.mark.parametrize("text", ["", "[]", "id: x\n", "steps: [", "\x00", "a: &a [*a]\n"])
def test_a_file_that_is_no_pipeline(make: Make, text: str) -> None:
    assert only(make(runs("leaf"), leaf=text)).code == "sub-pipeline"


@pytest.mark.parametrize(
    "more", ["prompt: x", "tool: filesystem", "parameters: {a: 1}", "model: builtin:extractive", "action: generate"]
)
def test_a_step_that_runs_a_pipeline_does_nothing_else(make: Make, more: str) -> None:
    done = make(f"steps: [{{id: a, pipeline: leaf.yaml, {more}}}]\n", leaf="steps: [{id: s, prompt: x}]\n")
    assert only(done).code in ("step-kind", "unused-key")


def test_a_pipeline_runs_for_each_item_and_pass(make: Make) -> None:
    done = make(
        "steps:\n- {id: a, for_each: [1], if: 'item > 1', pipeline: leaf.yaml, inputs: {topic: '{{ item }}'}}\n"
        "- {id: b, while: 'index < 2', pipeline: leaf.yaml, inputs: {topic: '{{ index }}'}}\n"
        "- {id: c, for_each: [1], steps: [{id: d, pipeline: leaf.yaml, inputs: {topic: '{{ c.index }}'}}]}\n",
        leaf=LEAF,
    )
    assert done.pipeline is not None, [one.render() for one in done.problems]
    inside = [one.body[0] for one in done.pipeline.steps]
    assert [(one.kind, one.pipeline.id if one.pipeline else None) for one in inside] == [("pipeline", "leaf")] * 3


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [("{{ topic }}", "{{ topic }}!", True), ("deep: 3", "deep: 4", True), ("o: '{{ s }}'", "o: '{{ s.v }}'", True),
     ("{id: s,", "{id: s, name: S,", False), ("steps:", "# a comment\nsteps:", False)],
)  # fmt: skip
def test_the_version_of_a_step_follows_what_its_pipeline_does(make: Make, old: str, new: str, changes: bool) -> None:
    main = "steps: [{id: a, pipeline: leaf.yaml, inputs: {topic: x}}, {id: b, prompt: x}]\n"
    before, after = make(main, leaf=LEAF).pipeline, make(main, leaf=LEAF.replace(old, new)).pipeline
    assert before is not None
    assert after is not None
    assert (before.by_id["a"].code_version != after.by_id["a"].code_version) == changes
    assert before.by_id["b"].code_version == after.by_id["b"].code_version
    assert before.fingerprint != after.fingerprint


def test_the_text_of_a_pipeline_is_the_matter_of_a_tool(make: Make) -> None:
    found = only(make("steps:\n- id: a\n  pipeline: |\n    steps: [{id: s, action: echo}]\n    id: inner\n"))
    assert (found.code, "not its text" in found.message) == ("include-missing", True)
    assert "pipeline_executor" in (found.hint or "")
