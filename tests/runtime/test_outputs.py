"""The declared outputs of a run: null where a step has no value, by name where they are wrong."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from orchestrator_dagster.errors import TemplateError
from orchestrator_dagster.runtime.names import RunInfo
from orchestrator_dagster.runtime.outputs import render_outputs

RUN = RunInfo("run-1", datetime(2026, 1, 31, tzinfo=timezone.utc))
STEPS = """
steps:
  - id: each
    for_each: [1, 2]
    steps:
      - {id: one, condition: item > 1, action: echo, parameters: {message: "n{{ item }}"}, vars: {made: "{{ result }}"}}
      - id: inner
        for_each: [a]
        steps:
          - {id: deep, condition: item == 'b', action: echo, parameters: {message: {k: v}}}
  - {id: files, for_each: [x], on_item_failure: skip, tool: filesystem, action: read, parameters: {path: "no {{ item }}"}}
  - {id: plain, action: echo, parameters: {message: {k: 1}}}
"""


def outputs_of(flow: Any, **outputs: str) -> dict[str, Any]:
    lines = "".join(f'  {name}: "{value}"\n' for name, value in outputs.items())
    pipeline = flow.compile(f"{STEPS}outputs:\n{lines}")
    return render_outputs(pipeline, {"output_dir": "outputs/p"}, flow.run(pipeline), RUN)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("{{ each.iterations[0].one }}", None),
        ("{{ each.iterations[0].one.made }} and more", None),
        ("{{ each.iterations[1].one.made }}", "n2"),
        ("{{ each.iterations[0].one.status }}", "skipped"),
        ("{{ each.iterations[1].inner.iterations[0].deep.k }}", None),
        ("{{ files.iterations[0].content }}", None),
    ],
)
def test_what_is_skipped_or_failed_inside_a_loop_makes_an_output_null(flow: Any, value: str, expected: Any) -> None:
    assert outputs_of(flow, o=value, p="{{ plain.k }}") == {"o": expected, "p": 1}


def test_outputs_that_are_wrong_are_named_all_at_once(flow: Any) -> None:
    with pytest.raises(TemplateError) as caught:
        outputs_of(flow, o="{{ plain.nope }}", p="{{ plain.k }}", q="{{ plain.k + 'x' }}")
    said = caught.value.message
    assert 'the output "o": the step "plain" left no "nope"; it left k; the output "q": ' in said
    assert caught.value.location == "pipelines/p.yaml"
