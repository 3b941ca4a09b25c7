"""Fingerprints: what changes when, and only when, what is done changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledStep
    from orchestrator_dagster.compiler.routing import RoutePlan
    from orchestrator_dagster.language.types import InputSpec

#: Raised when the meaning of the language changes, so that what was computed before counts as changed.
LANGUAGE_VERSION = 1


def digest(value: Any) -> str:
    """SHA-256, in hex, of a JSON value in one fixed spelling."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def step_meaning(step: CompiledStep) -> dict[str, Any]:
    """What a step does, without what is only for people or only says when and how often it is tried."""
    inside: dict[str, Any] = {}
    if step.loop is not None:
        inside["loop"] = step.loop.model_dump(mode="json", exclude={"steps", "plan", "max_parallel"})
        inside["body"] = body_meaning(step.loop.steps, step.loop.plan)
        inside["last"] = step.spec.steps[-1].id if step.spec.steps else None  # whose value a pass has
    if step.pipeline is not None:
        inside["pipeline"] = pipeline_meaning(step.pipeline)
    if step.literals:
        inside["literals"] = step.literals
    if step.condition is not None:
        inside["condition"] = step.condition
    if any("fallback" in one.model_fields_set for one in step.failure_handlers):
        inside["handlers"] = [one.model_dump(mode="json", exclude={"message"}) for one in step.failure_handlers]
    choice = step.choice
    if choice is not None and (len(step.models) != 1 or choice.selection.fallback):
        inside["choice"] = choice.model_dump(mode="json")
    return {
        **inside,
        "kind": step.kind,
        "tool": step.tool,
        "action": step.action,
        "instruction": step.instruction,
        "parameters": step.parameters,
        "variables": {name: spec.model_dump(mode="json", exclude_unset=True) for name, spec in step.variables.items()},
        "declared": bool(step.spec.vars),
        "models": step.models,
        "settings": step.settings,
        "repair": step.spec.repair,
        **({"tools": step.spec.tools, "max_tool_calls": step.spec.max_tool_calls} if step.spec.tools else {}),
        "products": [[one.variable, one.key, one.path, one.format, one.template] for one in step.products],
    }


def body_meaning(steps: Sequence[CompiledStep], plan: RoutePlan) -> list[Any]:
    """What the steps of a body do, and which ways there are between them."""
    ways = [[one.source, one.key, one.target] for one in plan.routes]
    return [[[one.id, one.on_failure, one.code_version] for one in steps], ways]


def pipeline_meaning(pipeline: CompiledPipeline) -> dict[str, Any]:
    """What a pipeline does when a step of another one runs it."""
    return {
        "steps": body_meaning(pipeline.steps, pipeline.plan),
        "inputs": {name: input_meaning(spec) for name, spec in pipeline.inputs.items()},
        "constants": pipeline.constants,
        "outputs": pipeline.outputs,
    }


def input_meaning(spec: InputSpec) -> dict[str, Any]:
    """What decides an input's value when nothing is given, and which values it takes."""
    return spec.model_dump(mode="json", exclude_unset=True, exclude={"description", "examples"})


def step_version(own: Mapping[str, Any], around: Mapping[str, Any], before: Mapping[str, str]) -> str:
    """The code version of a step: of what it does, what of the header it uses, and the steps it depends on.

    Args:
        own: From :func:`step_meaning`.
        around: The inputs, constants and outputs it reads, the texts it includes, the system prompt it works under.
        before: Code version of each step it depends on.

    Returns:
        16 hex digits.
    """
    return digest([LANGUAGE_VERSION, own, around, before])[:16]


def pipeline_version(
    steps: Sequence[CompiledStep],
    plan: RoutePlan,
    inputs: Mapping[str, InputSpec],
    constants: Mapping[str, Any],
    outputs: Mapping[str, Any],
) -> str:
    """The code version of a run: it changes with what the pipeline does, not with what is only for people.

    Returns:
        16 hex digits.
    """
    meant = {name: input_meaning(spec) for name, spec in inputs.items()}
    return digest([LANGUAGE_VERSION, body_meaning(steps, plan), meant, constants, outputs])[:16]


def pipeline_fingerprint(text: str, includes: Mapping[str, str]) -> str:
    """SHA-256, in hex, of a pipeline file's text and all that it includes."""
    return digest([LANGUAGE_VERSION, text, includes])
