"""The tools that steps offer their models: whether they exist, may be called by models, and by these models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from orchestrator_dagster.compiler.bodies import Body, Draft
from orchestrator_dagster.compiler.kinds import Place
from orchestrator_dagster.compiler.support import LATER_TOOLS
from orchestrator_dagster.compiler.tool_shapes import ToolShapes
from orchestrator_dagster.errors import UnknownModelError, UnknownToolError
from orchestrator_dagster.language.base import has_template
from orchestrator_dagster.language.document import SequenceNode
from orchestrator_dagster.language.read import Reading
from orchestrator_dagster.language.step import Step
from orchestrator_dagster.text import nearest_name

#: Why a model cannot call tools, None when it can or when nothing is known; UnknownModelError for what names none.
ToolCallers = Callable[[str], "str | None"]


def check_offered_tools(reading: Reading, top: Body, tools: ToolShapes, callers: ToolCallers) -> None:
    """Note what is wrong with the tools that steps offer their models."""
    for draft in top.walk():
        for number, entry in enumerate(draft.step.tools):
            _check_entry(draft.step, draft.place, number, entry, reading, tools)
        if draft.work is not None and draft.work.kind == "model":
            if draft.step.tools:
                _check_model(draft, reading, callers)
            elif draft.step.max_tool_calls is not None:
                reading.problems.add(
                    "unused-key",
                    f'step "{draft.step.id}" has `max_tool_calls`, and offers its model no tools',
                    reading.document.key_span((*draft.place, "max_tool_calls")),
                    step=draft.step.id,
                    hint="add `tools: [name]`, or remove it",
                )


def _check_entry(step: Step, place: Place, number: int, entry: str, reading: Reading, tools: ToolShapes) -> None:
    problems = reading.problems
    name, dot, action = entry.strip().partition(".")
    at = _span(reading, (*place, "tools"), number, entry)
    if has_template(entry):
        message = f'step "{step.id}": a tool that a model may call must be a name, not a template'
        problems.add("unknown-tool", message, at, step=step.id, hint="write the tools themselves")
        return
    try:
        tool = tools.find(name)
    except UnknownToolError:
        if name.lower().replace("-", "_") in LATER_TOOLS:
            problems.add(
                "not-supported",
                f'step "{step.id}": the tool "{name}" is not part of this release',
                at,
                severity="warning",
                step=step.id,
                hint="a run is refused while it stands here; a tool of this name in `tools.py` is used instead",
            )
            return
        problems.add(
            "unknown-tool",
            f'step "{step.id}" offers its model the tool "{name}"',
            at,
            step=step.id,
            suggestion=nearest_name(name, tools.names()),
            hint="`orchestrator tools` lists them",
        )
        return
    if dot and not _has_action(tool, action):
        near = nearest_name(action, tool.action_names())
        problems.add(
            "unknown-action",
            f'step "{step.id}" offers its model the action "{action}", which the tool "{tool.name}" does not have',
            at,
            step=step.id,
            suggestion=f"{name}.{near}" if near else None,
            hint=f"choose one of {', '.join(sorted(tool.actions))}",
        )
        return
    actions = [tool.find(action)] if dot else list(tool.actions.values())
    pipeline = reading.pipeline
    timed = step.timeout is not None or (pipeline is not None and pipeline.timeout is not None)
    if timed and tools.only_in_memory(tool.name) and not all(one.is_async for one in actions):
        problems.add(
            "wrong-value",
            f'step "{step.id}" has a timeout and offers its model the tool "{tool.name}", which exists only in the '
            "memory of this program, so it cannot be called in a process that can be stopped",
            at,
            step=step.id,
            hint="put the tool into the project's `tools.py`, or make its functions `async`",
        )
    if not tool.model_may_call:
        problems.add(
            "tool-permission",
            f'step "{step.id}" offers its model the tool "{tool.name}", which models may call only with permission',
            at,
            severity="warning",
            step=step.id,
            hint=f'give it in the project\'s resources: `ToolsResource(allow_for_models=["{entry}"])`',
        )


def _has_action(tool: Any, action: str) -> bool:
    try:
        return bool(action) and tool.find(action) is not None
    except UnknownToolError:
        return False


def _check_model(draft: Draft, reading: Reading, callers: ToolCallers) -> None:
    """Note a step whose only model is known not to call tools."""
    choice = draft.models
    if choice is None or len(choice.names) != 1 or has_template(choice.names[0]) or "<AUTO" in choice.names[0]:
        return
    try:
        reason = callers(choice.names[0])
    except UnknownModelError:
        return  # noted where it stands
    if reason:
        reading.problems.add(
            "model-without-tools",
            f'step "{draft.step.id}" offers tools to {choice.names[0]} ({choice.reason}), and it can call none: '
            f"{reason}",
            reading.document.key_span((*draft.place, "tools")),
            step=draft.step.id,
            hint="name a model that calls tools as the step's `model`, or remove `tools`",
        )


def _span(reading: Reading, at: Place, number: int, entry: str) -> Any:
    """Where an entry stands: as an item of a list, or in a text with commas."""
    node, whole = reading.document.locate(at)
    exact = reading.document.span((*at, number)) if isinstance(node, SequenceNode) else None
    return exact or reading.document.place_in(at, entry) or whole
