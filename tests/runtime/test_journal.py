"""What is inside loops and pipelines is not done twice in a run and its re-executions, unless something else is asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator_dagster.runtime.journal import Journal

TEXT = """inputs: {items: [1, 2, 3], top: 0}
steps:
  - id: each
    for_each: "{{ items }}"
    max_parallel: 1
    on_item_failure: skip
    steps:
      - {id: work, tool: probe, parameters: {name: "w{{ item }}", value: "{{ item * 10 + top }}"}}
      - {id: more, tool: probe, parameters: {name: "m{{ work }}", value: "{{ work }}!"}}
"""
ALL = ["w1", "m10", "w2", "m20", "w3", "m30"]


@pytest.fixture
def again(flow: Any, tmp_path: Path) -> Any:
    """Runs a pipeline as a re-execution of one root run does; gives the outcomes and the calls of this time."""

    def run(text: str, root: str = "root", **inputs: Any) -> tuple[Any, list[str]]:
        before = len(flow.calls)
        journal = Journal(tmp_path / "items" / root)
        found = flow(text, replace(flow.services, journal=journal), **inputs)
        return found, flow.calls[before:]

    run.folder = tmp_path / "items"  # type: ignore[attr-defined]
    return run


def test_nothing_is_repeated(again: Any) -> None:
    first, calls = again(TEXT)
    assert calls == ALL
    second, calls = again(TEXT)
    assert calls == []
    assert second["each"].value == first["each"].value == ["10!", "20!", "30!"]
    _, calls = again(TEXT, "another run")
    assert calls == ALL


def test_only_what_is_another_item_is_done(again: Any) -> None:
    again(TEXT.replace('"{{ items }}"', "[1, 2, 3]"))
    _, calls = again(TEXT.replace('"{{ items }}"', "[1, 7, 3]"))
    assert calls == ["w7", "m70"]


def test_another_input_is_another_run(again: Any) -> None:
    again(TEXT)
    _, calls = again(TEXT, top=5)
    assert calls == ["w1", "m15", "w2", "m25", "w3", "m35"]


def test_another_code_version_of_a_step_is_done_again(again: Any) -> None:
    again(TEXT)
    _, calls = again(TEXT.replace('value: "{{ work }}!"', 'value: "{{ work }}?"'))
    assert calls == ["m10", "m20", "m30"]
    _, calls = again(TEXT.replace("item * 10", "item * 100"))  # and so is what depends on it
    assert calls == ["w1", "m100", "w2", "m200", "w3", "m300"]


@pytest.mark.parametrize("spoil", ["half", "empty", "other", "folder"])
def test_a_file_that_cannot_be_read_counts_as_none(again: Any, flow: Any, spoil: str) -> None:
    again(TEXT)
    files = sorted(again.folder.rglob("*.json"))
    assert len(files) == 6
    for file in files:
        text = file.read_text(encoding="utf-8")
        if spoil == "folder":
            file.unlink()
            file.mkdir()
        else:
            file.write_text({"half": text[: len(text) // 2], "empty": "", "other": "[1]"}[spoil], encoding="utf-8")
    found, calls = again(TEXT)
    assert calls == ALL
    assert found["each"].value == ["10!", "20!", "30!"]
    assert any("cannot be read, it runs again" in line for line in flow.said)


def test_a_failed_item_is_done_again_and_the_others_are_not(again: Any) -> None:
    text = TEXT.replace(
        'value: "{{ item * 10 + top }}"', 'value: "{{ item * 10 }}", fail: "{{ 1 if item == 2 else 0 }}"'
    )
    first, calls = again(text)
    assert calls == ["w1", "m10", "w2", "w3", "m30"]
    assert first["each"].value == ["10!", None, "30!"]
    second, calls = again(text)
    assert calls == ["w2", "m20"]
    assert second["each"].value == ["10!", "20!", "30!"]


def test_what_ran_past_a_failure_is_done_again_when_the_failure_is_mended(again: Any) -> None:
    """The step after it completed with another value of its predecessor: it is not what it would be now."""
    text = """steps:
  - id: each
    for_each: [1]
    steps:
      - {id: work, tool: probe, on_failure: continue, parameters: {name: work, fail: 1, value: fine}}
      - {id: more, tool: probe, parameters: {name: more, value: "{{ work | default('nothing') }}"}}
"""
    first, _ = again(text)
    assert first["each"].value == ["nothing"]
    second, calls = again(text)
    assert calls == ["work", "more"]
    assert second["each"].value == ["fine"]
    third, calls = again(text)
    assert (third["each"].value, calls) == (["fine"], [])


def test_an_outer_step_with_another_value_is_another_basis(again: Any) -> None:
    text = """inputs: {seed: 1}
steps:
  - {id: outside, tool: probe, parameters: {name: outside, value: "%s"}}
  - {id: each, for_each: [1], steps: [{id: a, for_each: [1], steps: [{id: work, tool: probe, parameters: {name: work, value: "{{ outside }}"}}]}]}
"""
    again(text % "one")
    found, calls = again(text % "two")
    assert (found["each"].value, calls) == ([["two"]], ["outside", "work"])
    _, calls = again(text % "two")
    assert calls == ["outside"]  # a step of the top level is Dagster's to keep


def test_the_passes_of_a_repeat_go_on_where_they_stopped(again: Any) -> None:
    text = """steps:
  - id: r
    until: n >= 3
    steps:
      - {id: a, tool: probe, parameters: {name: "a{{ n | default(0) }}", value: "{{ (n | default(0)) + 1 }}", fail: "{{ 1 if n | default(0) == 1 else 0 }}"}, vars: {n: {type: integer}}}
      - {id: b, tool: probe, parameters: {name: "b{{ n }}", value: "{{ n }}"}}
"""
    first, calls = again(text)
    assert first["r"].status == "failed"
    assert calls == ["a0", "b1", "a1"]
    second, calls = again(text)
    assert calls == ["a1", "b2", "a2", "b3"]
    assert second["r"].value == [1, 2, 3]


def test_what_is_inside_another_pipeline_is_kept_too(again: Any, flow: Any) -> None:
    flow.write(
        "inner",
        "id: inner\ninputs: {n: 1}\nsteps:\n  - {id: a, tool: probe, parameters: {name: 'a{{ n }}', value: '{{ n }}'}}\n  - {id: b, tool: probe, parameters: {name: b, fail: 1, value: '{{ a }}'}}\n",
    )
    text = "steps:\n  - {id: top, pipeline: inner.yaml, inputs: {n: %d}}\n"
    assert again(text % 1)[1] == ["a1", "b"]
    found, calls = again(text % 1)
    assert (found["top"].value, calls) == ({"a": 1, "b": 1}, ["b"])
    assert again(text % 2)[1] == ["a2", "b"]


def test_nothing_is_kept_of_what_cannot_be_written(again: Any, flow: Any, tmp_path: Path) -> None:
    (tmp_path / "items").write_text("a file stands here")
    found, calls = again(TEXT)
    assert (found["each"].value, calls) == (["10!", "20!", "30!"], ALL)
    assert any("is not kept" in line for line in flow.said)
