"""Whatever stands in a file, compiling it gives a pipeline or problems, never a crash."""

from __future__ import annotations

import runpy
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator_dagster.compiler.compile import compile_pipeline
from orchestrator_dagster.compiler.compiled import CompiledLoop, CompiledPipeline, CompiledStep
from orchestrator_dagster.drawing.from_pipeline import picture_of
from orchestrator_dagster.language.read import read_pipeline_text
from orchestrator_dagster.project.loading import known

REPOSITORY = Path(__file__).resolve().parents[2]
FILES = sorted([*(REPOSITORY / "pipelines").rglob("*.yaml"), *(REPOSITORY / "examples").rglob("*.yaml")])
TEXTS = [path.read_text(encoding="utf-8") for path in FILES]
LINES = [line for text in TEXTS for line in text.splitlines() if line.strip()]


maker = runpy.run_path(str(Path(__file__).with_name("random_pipelines.py")))["Maker"]
OTHERS = {
    "good.yaml": "default_model: builtin:extractive\ninputs: {topic: None}\nsteps: [{id: s, prompt: '{{ topic }}'}]\n",
    "wide.yaml": "inputs: {topic: 1}\nsteps: [{id: s, for_each: [1], steps: "
    "[{id: t, pipeline: good.yaml, inputs: {topic: '{{ item }}'}}]}]\n",
    "bad.yaml": "steps: [{id: s, promt: x}]\n",
    "circle.yaml": "steps: [{id: s, pipeline: circle.yaml}]\n",
}
FILES_OF_STEPS = (*OTHERS, "good.yaml", "good.yaml", "wide.yaml", "missing.yaml", "../x.yaml", "{{ a }}.yaml")


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the pipelines that steps run."""
    root = tmp_path_factory.mktemp("others")
    for name, text in OTHERS.items():
        (root / name).write_text(text, encoding="utf-8")
    return root


def bodies(steps: Sequence[CompiledStep]) -> Iterator[CompiledLoop]:
    for step in steps:
        if step.loop:
            yield step.loop
            yield from bodies(() if step.loop.single else step.loop.steps)


def check(text: str, root: Path = REPOSITORY) -> CompiledPipeline | None:
    done = compile_pipeline(read_pipeline_text(text), known(root))
    lines = text.count("\n") + 2
    for one in done.problems:
        assert one.render()
        assert 1 <= one.span.line <= lines
    assert (done.pipeline is None) == bool(done.problems.errors)
    return done.pipeline


@given(st.sampled_from(TEXTS), st.data())
@settings(max_examples=150, deadline=None)
def test_a_changed_place(text: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 4))
    new = data.draw(st.text("{}[]:-'\"%#&*!|>$ \nab01.~,", max_size=4))
    check(text[:place] + new + text[place + cut :])


@given(st.sampled_from(TEXTS), st.data())
@settings(max_examples=150, deadline=None)
def test_a_line_more_or_less(text: str, data: st.DataObject) -> None:
    lines = text.splitlines()
    place = data.draw(st.integers(0, len(lines) - 1))
    lines[place : place + data.draw(st.integers(0, 2))] = data.draw(st.lists(st.sampled_from(LINES), max_size=2))
    check("\n".join(lines) + "\n")


@pytest.mark.parametrize("text", TEXTS, ids=[path.stem for path in FILES])
def test_every_cut_off_file(text: str) -> None:
    for end in range(0, len(text), max(1, len(text) // 40)):
        check(text[:end])


@given(st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_a_pipeline_made_by_chance(others: Path, random: Random) -> None:
    """Loops in loops, routes, handlers, other pipelines, older spellings, wrong values; what compiles can be drawn."""
    text = yaml.safe_dump(maker(random, FILES_OF_STEPS).pipeline(), sort_keys=False, allow_unicode=True)
    made = check(text, others)
    if made is not None:
        assert CompiledPipeline.from_json(made.to_json()) == made
        assert picture_of(made).nodes
        for body in bodies(made.steps):
            assert [one.id for one in body.steps] == [name for level in body.plan.levels for name in level]


def test_enough_of_them_are_right() -> None:
    """Else the test above would look at nothing but problems."""
    random = Random(7)
    texts = [yaml.safe_dump(maker(random).pipeline(), allow_unicode=True) for _ in range(100)]
    assert sum(check(text) is not None for text in texts) >= 10
