"""What people see of conditions, routes and loops: descriptions, metadata, the log, outputs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from dagster import DagsterEventType, DagsterInstance

import orchestrator_dagster as orc

Write = Callable[[str, str], Path]

ROUTED = """\
id: routed
inputs:
  - path: nothing.txt
steps:
  - id: give_up
    action: echo
    parameters: {message: "{{ error.type }}"}
  - id: read
    condition: len(path) > 3
    on_false: short
    tool: filesystem
    action: read
    parameters: {path: "{{ path }}"}
    on_failure: give_up
  - id: short
    action: echo
    parameters: {message: the path is short}
outputs:
  text: "{{ read.content | default(short) | default(give_up) }}"
  status: "{{ read.status }}"
  plain: "{{ read.content }}"
"""


def test_the_job_says_where_its_steps_go(write: Write) -> None:
    definitions = orc.compile(write("pipelines/routed.yaml", ROUTED)).definitions()
    description = definitions.resolve_job_def("routed_job").description or ""
    for line in (
        "1. **`read`**: Calls `filesystem.read` with `path` = `{{ path }}`.",
        "    - Condition: runs only if `len(path) > 3`; otherwise it goes to `short`.",
        "    - If it fails, it goes to `give_up`.",
        "    - Runs only when `read` fails.",
        "    - Runs only when `read` is skipped by its condition.",
    ):
        assert line in description.splitlines()


def test_a_handled_failure_says_where_the_run_goes_on(write: Write, instance: DagsterInstance) -> None:
    result = orc.compile(write("pipelines/routed.yaml", ROUTED)).run(instance=instance)
    assert result.success, result.error
    entries = instance.all_logs(result.run_id)
    assert any('failed, and the run goes on at step "give_up": there is no file' in one.user_message for one in entries)
    (outcome,) = (
        entry.dagster_event.step_output_data
        for entry in entries
        if entry.dagster_event is not None
        and entry.dagster_event.event_type is DagsterEventType.STEP_OUTPUT
        and entry.dagster_event.step_key == "routed.read.outcome"
    )
    assert outcome.metadata["orchestrator/goes_to"].value == "give_up"
    assert outcome.metadata["orchestrator/status"].value == "failed"


@pytest.mark.parametrize(
    ("path", "text", "status"),
    [("nothing.txt", "FileMissingError", "failed"), ("x", "the path is short", "skipped")],
)
def test_an_output_takes_a_default_for_a_step_that_did_not_run(
    write: Write, instance: DagsterInstance, path: str, text: str, status: str
) -> None:
    """Only what needs the value that is not there is null."""
    result = orc.compile(write("pipelines/routed.yaml", ROUTED)).run(path=path, instance=instance)
    assert result.outputs == {"text": text, "status": status, "plain": None}


def test_until_sees_the_pass_that_has_ended(write: Write, instance: DagsterInstance) -> None:
    """Also where the loop repeats a single piece of work, which has the loop's own name."""
    path = write(
        "pipelines/grow.yaml",
        """\
id: grow
steps:
  - id: more
    until: len(more.value) >= 3
    action: echo
    parameters: {message: "{{ more.value | default('') }}x"}
outputs:
  all: "{{ more.results }}"
""",
    )
    result = orc.compile(path).run(instance=instance)
    assert result.success, result.error
    assert result.outputs == {"all": ["x", "xx", "xxx"]}


def test_what_all_calls_inside_a_loop_took_is_seen(write: Write, instance: DagsterInstance) -> None:
    path = write(
        "pipelines/each.yaml",
        """\
id: each
default_model: builtin:extractive
steps:
  - id: texts
    for_each: [One tree stands here., Two trees stand there.]
    steps:
      - id: sum_up
        prompt: Summarise in 1 sentence.
        parameters: {text: "{{ item }}"}
""",
    )
    seen: list[orc.Progress] = []
    result = orc.compile(path).run(instance=instance, on_progress=seen.append)
    assert result.success, result.error
    (completed,) = (one for one in seen if one.kind == "completed")
    assert completed.tokens == result.document["usage"]["tokens"] > 0


def test_items_that_failed_are_seen(write: Write, instance: DagsterInstance) -> None:
    path = write(
        "pipelines/some.yaml",
        """\
id: some
steps:
  - id: read
    for_each: [nothing.txt, workspace.yaml]
    on_item_failure: skip
    tool: filesystem
    action: read
    parameters: {path: "{{ item }}"}
outputs:
  failed: "{{ read.failed | map(attribute='index') | list }}"
""",
    )
    seen: list[orc.Progress] = []
    result = orc.compile(path).run(instance=instance, on_progress=seen.append)
    assert result.success, result.error
    assert result.outputs == {"failed": [0]}
    (completed,) = (one for one in seen if one.kind == "completed")
    assert completed.failed_items == 1
    warnings = [entry.user_message for entry in instance.all_logs(result.run_id) if entry.level == logging.WARNING]
    assert warnings == ['item 0 failed: there is no file "nothing.txt"' + warnings[0].partition('.txt"')[2]]
