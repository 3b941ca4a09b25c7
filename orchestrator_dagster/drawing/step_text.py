"""The words in a step's box: its title, its kind, and some lines of detail, the most telling first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator_dagster.compiler.compiled import CompiledStep
from orchestrator_dagster.compiler.kinds import BUILTIN_ACTIONS
from orchestrator_dagster.drawing.picture import Node, NodeKind
from orchestrator_dagster.language.step import FAILURE_POLICIES, Step
from orchestrator_dagster.language.template_text import whole_expression

_LINE, _LINES = 36, 3  # characters in a line of names, and lines


@dataclass(frozen=True)
class Entry:
    """A step of a body with the steps it waits for. ``compiled`` is None where only the file's words are known."""

    spec: Step
    compiled: CompiledStep | None
    dependencies: tuple[str, ...]


def step_node(entry: Entry, place: str, reads: Sequence[str]) -> Node:
    """The box of a step.

    Args:
        entry: The step.
        place: The id of its box.
        reads: The inputs that it reads.
    """
    spec = entry.spec
    lines = [*_work(entry), *_flow(spec), *([f"reads {', '.join(reads)}"] if reads else ()), *_tries(entry)]
    return Node(place, spec.name or spec.id, _kind(entry), tuple(lines))


def frame_title(entry: Entry) -> str:
    """The words on the frame of a loop with a body."""
    return " · ".join([entry.spec.name or entry.spec.id, *_flow(entry.spec)])


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


def _kind(entry: Entry) -> NodeKind:
    spec = entry.spec
    if _repeats(spec):
        return "loop"
    if spec.pipeline:
        return "pipeline"
    if entry.compiled is not None:
        return entry.compiled.kind
    if spec.tool:
        return "tool"
    return "builtin" if not spec.prompt and spec.action in BUILTIN_ACTIONS else "model"


def _repeats(spec: Step) -> bool:
    return any(one is not None for one in (spec.for_each, spec.while_, spec.until))


def _work(entry: Entry) -> list[str]:
    """What it does."""
    spec, compiled = entry.spec, entry.compiled
    if spec.pipeline:
        return [spec.pipeline]
    tool = compiled.tool if compiled is not None else spec.tool
    action = compiled.action if compiled is not None else spec.action
    if tool:
        return [f"{tool} · {action}" if action else tool]
    models = compiled.models if compiled is not None else spec.model or ()
    if models:
        return [models[0] if len(models) == 1 else f"{models[0]} or {len(models) - 1} more"]
    return [action] if action else []


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
    return found


def _expression(value: Any) -> str:
    whole = whole_expression(value)
    if whole is not None:
        return whole.strip()
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _tries(entry: Entry) -> list[str]:
    """Retries and the time limit."""
    of = entry.compiled or entry.spec
    times = of.retries.max if of.retries is not None else 0
    found = [f"{times} {'retry' if times == 1 else 'retries'}"] if times else []
    if of.timeout is not None:
        found.append(f"timeout {of.timeout:g} s" if isinstance(of.timeout, float) else f"timeout {of.timeout}")
    return [" · ".join(found)] if found else []
