"""Whatever stands in a file, compiling it gives a pipeline or problems, never a crash."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator_dagster.compiler.compile import compile_pipeline
from orchestrator_dagster.language.read import read_pipeline_text
from orchestrator_dagster.project import known

REPOSITORY = Path(__file__).resolve().parents[2]
FILES = sorted([*(REPOSITORY / "pipelines").rglob("*.yaml"), *(REPOSITORY / "examples").rglob("*.yaml")])
TEXTS = [path.read_text(encoding="utf-8") for path in FILES]
LINES = [line for text in TEXTS for line in text.splitlines() if line.strip()]


def check(text: str) -> None:
    done = compile_pipeline(read_pipeline_text(text), known(REPOSITORY))
    lines = text.count("\n") + 2
    for one in done.problems:
        assert one.render()
        assert 1 <= one.span.line <= lines
    assert (done.pipeline is None) == bool(done.problems.errors)


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
