"""How far a loop is, while it runs."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

from dagster import DagsterInstance
from rich.console import Console

import orchestrator_dagster as orc
from orchestrator_dagster.cli.progress import _View
from orchestrator_dagster.definitions.steps import item_progress
from orchestrator_dagster.definitions.steps.progress import Progress

Write = Callable[[str, str], Path]
LOOP = """\
id: looped
inputs: {numbers: {type: array, default: [1, 2, 3, 4, 5]}}
steps:
  - id: each
    for_each: "{{ numbers }}"
    steps:
      - {id: say, action: echo, parameters: {message: "{{ item }}"}}
      - id: inner
        for_each: [1, 2, 3]
        action: echo
        parameters: {message: "{{ item }}"}
  - id: passes
    until: iteration == 2
    action: echo
    parameters: {message: "{{ iteration }}"}
"""


def test_items_are_told_while_they_are_done(write: Write, instance: DagsterInstance) -> None:
    seen: list[Progress] = []
    result = orc.compile(write("pipelines/looped.yaml", LOOP)).run(instance=instance, on_progress=seen.append)
    assert result.success, result.error
    items = [one for one in seen if one.kind == "items" and one.step == "each"]
    assert (items[-1].items_done, items[-1].items_total) == (5, 5)  # those of the loop inside are not counted
    passes = [one for one in seen if one.kind == "items" and one.step == "passes"]
    assert passes
    assert passes[0].items_total is None
    left = [run for run, _ in item_progress._loops if run == result.run_id]
    assert not left, "what a run has left here is forgotten at its end"


def test_a_callback_that_fails_does_not_fail_the_run(write: Write, instance: DagsterInstance) -> None:
    def breaks(event: Progress) -> None:
        if event.kind == "items":
            raise RuntimeError("no")

    result = orc.compile(write("pipelines/looped.yaml", LOOP)).run(instance=instance, on_progress=breaks)
    assert result.success, result.error


def test_an_item_that_is_done_again_counts_once_and_the_log_says_it_rarely(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    said: list[str] = []
    clock = [100.0]
    monkeypatch.setattr(item_progress.time, "monotonic", lambda: clock[0])
    for index in (0, 1, 1, 2):
        item_progress.note_item("run-1", "each", index, 2000, said.append)
    assert not said
    clock[0] += item_progress.LOG_SECONDS
    for index in range(3, 50):
        item_progress.note_item("run-1", "each", index, 2000, said.append)
    assert said == ["4 of 2,000 items are done"]
    item_progress.forget_items("run-1")


def shown(view: _View, height: int) -> list[str]:
    console = Console(file=io.StringIO(), width=80, height=height, force_terminal=False)
    console.print(view)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_the_live_view_shows_items_and_fits_on_the_screen(write: Write) -> None:
    steps = "".join(f"  - {{id: s{n}, action: echo, parameters: {{message: x}}}}\n" for n in range(60))
    view = _View(orc.compile(write("pipelines/many.yaml", f"id: many\nsteps:\n{steps}")).compiled)
    view.note(Progress("started", "s30"))
    view.note(Progress("items", "s30", items_done=1200, items_total=5000))
    view.note(Progress("completed", "s29", seconds=1.0, tokens=12, cost=None))
    lines = shown(view, 20)
    assert len(lines) <= 20
    assert any("s30" in line and "1,200 of 5,000 items" in line for line in lines)
    assert any("more" in line for line in lines)
    assert "unknown cost" in lines[-1]
