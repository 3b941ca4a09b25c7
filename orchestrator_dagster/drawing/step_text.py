"""The words in a step's box: its title, its kind, and some lines of detail, the most telling first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestrator_dagster.compiler.compiled import CompiledStep
from orchestrator_dagster.compiler.routing import Route
from orchestrator_dagster.drawing.picture import Node
from orchestrator_dagster.language.step import FAILURE_POLICIES, Step
from orchestrator_dagster.language.template_text import whole_expression

_HANDLES = "handles failures of all steps"
_LINE, _LINES = 36, 3  # characters in a line of names, and lines


def step_node(step: CompiledStep, place: str, reads: Sequence[str], handles: bool = False) -> Node:
    """The box of a step.

    Args:
        step: The step.
        place: The id of its box.
        reads: The inputs that it reads.
        handles: Whether the header's handlers lead failures to it.
    """
    spec = step.spec
    lines = [
        *_work(step),
        *([_HANDLES] if handles else ()),
        *_flow(spec),
        *([f"reads {', '.join(reads)}"] if reads else ()),
        *_tries(step),
    ]
    return Node(place, spec.name or spec.id, step.kind, tuple(lines))


def frame_title(step: CompiledStep, handles: bool = False) -> str:
    """The words on the frame of a loop with a body; ``handles`` as for :func:`step_node`."""
    return " · ".join([step.title, *([_HANDLES] if handles else ()), *_flow(step.spec)])


def route_label(step: CompiledStep, route: Route) -> str:
    """The words on a route: for a handler the errors that it is for."""
    words = route.key.replace("_", " ")
    if route.key != "on_failure" or route.target == step.spec.on_failure:
        return words
    kinds = [kind for one in step.spec.failure_handlers if one.goto == route.target for kind in one.errors or ("",)]
    return f"{words}: {' or '.join(kinds)}" if kinds and all(kinds) else words


def listed(names: Sequence[str]) -> tuple[str, ...]:
    """Names side by side in few lines; of those that find no room, the number.

    >>> listed(["first (required)", "second", "third_name"])
    ('first (required), second, third_name',)
    """
    lines: list[str] = []
    for number, name in enumerate(names):
        if lines and len(lines[-1]) + len(name) + 2 <= _LINE:
            lines[-1] += f", {name}"
        elif len(lines) < _LINES:
            lines.append(name)
        else:
            lines[-1] += f" and {len(names) - number} more"
            break
    return tuple(lines)


def _work(step: CompiledStep) -> list[str]:
    """What it does."""
    if step.spec.pipeline:
        return [step.spec.pipeline]
    if step.tool:
        return [f"{step.tool} · {step.action}" if step.action else step.tool]
    if step.models:
        return [step.models[0] if len(step.models) == 1 else f"{step.models[0]} or {len(step.models) - 1} more"]
    if step.choice is not None and step.choice.catalogue:
        return [f"model: {step.choice.selection.strategy}"]
    return [step.action] if step.action else []


def _flow(spec: Step) -> list[str]:
    """When, how often, and what a failure does."""
    found = []
    if spec.for_each is not None:
        several = f", {spec.max_parallel} at once" if spec.max_parallel is not None else ""
        found.append(f"for each {spec.as_ or 'item'} in {_expression(spec.for_each)}{several}")
    for word, condition in (("while", spec.while_), ("until", spec.until)):
        if condition is not None:
            most = f", at most {spec.max_iterations} times" if spec.max_iterations is not None else ""
            found.append(f"{word} {_expression(condition)}{most}")
    if spec.condition is not None:
        found.append(f"if {_expression(spec.condition)}")
    if spec.on_failure in FAILURE_POLICIES and spec.on_failure != "fail":
        found.append(f"on failure: {spec.on_failure}")
    for handler in spec.failure_handlers:
        kinds = " or ".join(handler.errors) or "failure"
        if handler.goto in FAILURE_POLICIES:
            found.append(f"on {kinds}: {handler.goto}")
        elif "fallback" in handler.model_fields_set and handler.goto is None:
            found.append(f"on {kinds}: a fallback value")
    return found


def _expression(value: Any) -> str:
    whole = whole_expression(value)
    if whole is not None:
        return whole.strip()
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _tries(step: CompiledStep) -> list[str]:
    """Retries and the time limit; of a loop around a single piece of work, those of this work."""
    of = step.loop.steps[0] if step.loop and step.loop.single else step
    times = of.retries.max
    found = [f"{times} {'retry' if times == 1 else 'retries'}"] if times else []
    if of.timeout is not None:
        found.append(f"timeout {of.timeout:g} s" if isinstance(of.timeout, float) else f"timeout {of.timeout}")
    return [" · ".join(found)] if found else []
