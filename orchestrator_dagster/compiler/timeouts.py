"""Whether the work of steps with a timeout can be stopped."""

from __future__ import annotations

from orchestrator_dagster.compiler.bodies import Body
from orchestrator_dagster.compiler.tool_shapes import ToolShapes
from orchestrator_dagster.language.read import Reading


def check_timeouts(reading: Reading, top: Body, tools: ToolShapes) -> None:
    """Note tools that would be called in a process of their own, and that no other process can make."""
    assert reading.pipeline is not None
    whole = reading.pipeline.timeout is not None
    for draft in top.walk():
        name, work = draft.step.id, draft.work
        if work is None or work.shape is None or work.tool is None or not (whole or draft.step.timeout is not None):
            continue
        if work.shape.is_async or work.shape.stays or not tools.only_in_memory(work.tool):
            continue
        place = ("timeout",) if draft.step.timeout is None else (*draft.place, "timeout")
        reading.problems.add(
            "wrong-value",
            f'step "{name}": `timeout`: the tool "{work.tool}" exists only in the memory of this program, so it cannot '
            "be called in a process that can be stopped",
            reading.document.key_span(place),
            step=name,
            hint="put the tool into the project's `tools.py`, or make its function `async`",
        )
