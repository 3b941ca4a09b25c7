"""What grows with a run and what does not: events, digests, look-ups. Counted, not timed."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance

import orchestrator_dagster as orc
from orchestrator_dagster.runtime import journal

Write = Callable[[str, str], Path]

TOOL = "from orchestrator_dagster import tool\n\n\n@tool\ndef add(number: int) -> int:\n    return number + 1\n"
LOOP = """
id: loop
inputs: {numbers: {type: array}}
steps:
  - id: each
    for_each: "{{ numbers }}"
    max_parallel: 8
    tool: add
    parameters: {number: "{{ item }}"}
outputs: {all: "{{ each.results }}"}
"""


@pytest.fixture
def loop(project: Path, write: Write) -> orc.Pipeline:
    write("tools.py", TOOL)
    return orc.compile(write("pipelines/loop.yaml", LOOP), root=project)


def kinds(instance: DagsterInstance, run: str) -> Counter[str]:
    events = [one.dagster_event for one in instance.all_logs(run)]
    return Counter("log" if event is None else event.event_type_value for event in events)


def test_events_do_not_grow_with_the_items(loop: orc.Pipeline, instance: DagsterInstance) -> None:
    few = loop.run(instance=instance, numbers=list(range(8)))
    many = loop.run(instance=instance, numbers=list(range(300)))
    assert many.outputs["all"] == list(range(1, 301))
    assert kinds(instance, many.run_id) == kinds(instance, few.run_id)


def test_passing_outcomes_on_writes_no_log_lines(project: Path, write: Write, instance: DagsterInstance) -> None:
    lines = "".join(
        f"  - {{id: s{step}, action: echo, parameters: {{message: '{{{{ s{step - 1}.value }}}}x'}}}}\n"
        for step in range(1, 5)
    )
    text = f"id: p\nsteps:\n  - {{id: s0, action: echo, parameters: {{message: x}}}}\n{lines}"
    done = orc.compile(write("pipelines/p.yaml", text), root=project).run(instance=instance)
    assert done.success
    found = [one for one in instance.all_logs(done.run_id) if one.dagster_event is None]
    assert [one.user_message for one in found if "s0" in str(one.step_key)] == []
    # Where an outcome is stands with it all the same.
    paths = [
        event.event_specific_data.metadata["path"].value
        for event in (one.dagster_event for one in instance.all_logs(done.run_id))
        if event is not None and event.event_type_value == "HANDLED_OUTPUT" and event.step_key == "p.s0"
    ]
    assert len(paths) == 1
    assert Path(paths[0]).is_file()


def test_large_inputs_are_digested_once_not_for_every_item(
    loop: orc.Pipeline, instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole: list[Any] = []
    usual = journal.digest

    def digest(value: Any) -> str:
        if isinstance(value, dict) and "numbers" in value:
            whole.append(value)
        else:
            assert len(repr(value)) < 2_000
        return usual(value)

    monkeypatch.setattr(journal, "digest", digest)
    assert loop.run(instance=instance, numbers=list(range(1_000))).success
    assert len(whole) <= 2 * 8  # at most once in each op, of which there are eight at once; two may start together


def test_collecting_garbage_goes_on_after_loading(project: Path, write: Write) -> None:
    write("pipelines/broken.yaml", "steps: [")
    orc.build_definitions("pipelines", root=project)
    assert gc.isenabled()
