"""The result document: what a run came to, the same for the command, the Python call and the run's asset."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledStep
from orchestrator_dagster.compiler.routes import State
from orchestrator_dagster.compiler.routing import decide
from orchestrator_dagster.runtime.names import RunInfo
from orchestrator_dagster.runtime.outcome import Outcome, UsageInfo


def run_record(
    pipeline: CompiledPipeline,
    run: RunInfo,
    outcomes: Mapping[str, Outcome],
    outputs: Mapping[str, Any],
    *,
    completed_at: datetime | None,
    status: str = "completed",
    error: Mapping[str, Any] | None = None,
    begun: Mapping[str, datetime] | None = None,
) -> dict[str, Any]:
    """The result document.

    Args:
        pipeline: The pipeline.
        run: The run.
        outcomes: Outcome of every step that was started, by id; steps without one were not reached.
        outputs: Rendered outputs.
        completed_at: When it ended, None while it goes on.
        status: ``completed``, ``failed`` or ``canceled``; ``running`` while it goes on: then steps may be ``running``
            or ``waiting`` too.
        error: ``type``, ``message`` and ``step`` of the failure that ended it.
        begun: When each step began that has no outcome.
    """
    usage = sum((outcome.usage for outcome in outcomes.values()), UsageInfo())
    unreached, begun = unreached_steps(pipeline, outcomes, status), begun or {}
    ended = completed_at or datetime.now(timezone.utc)
    reached = [step for step in pipeline.steps if step.id in outcomes]
    return {
        "pipeline_id": pipeline.id,
        "execution_id": run.id,
        "status": status,
        "success": status == "completed",
        "steps": {
            step.id: _step(step, outcomes.get(step.id), unreached.get(step.id), begun.get(step.id), status)
            for step in pipeline.steps
        },
        "outputs": dict(outputs),
        "products": [
            product.model_dump(mode="json", exclude={"preview", "faults"})
            for step in reached
            for product in outcomes[step.id].products
        ],
        "execution_order": [step.id for step in sorted(reached, key=lambda step: outcomes[step.id].started_at)],
        "execution_levels": [list(level) for level in pipeline.levels],
        "started_at": run.started_at.isoformat(),
        "completed_at": completed_at.isoformat() if completed_at else None,
        "duration": round((ended - run.started_at).total_seconds(), 3),
        "usage": {"calls": usage.calls, "tokens": usage.tokens, "cost": usage.cost},
        "error": dict(error) if error else None,
    }


def unreached_steps(pipeline: CompiledPipeline, outcomes: Mapping[str, Outcome], status: str) -> dict[str, str]:
    """Why each step without an outcome has none: Dagster records nothing of a step that it never started."""
    if status == "running":
        return {}
    if status == "completed":
        return dict.fromkeys((step.id for step in pipeline.steps), "nothing that was asked for needs it")
    found: dict[str, str] = {}
    states = {name: outcome.state for name, outcome in outcomes.items()}
    taken = {name: outcome.routed_to for name, outcome in outcomes.items()}
    for plan in pipeline.plan.steps:  # in an order in which they can run
        if plan.id in states:
            continue
        decision = decide(plan.id, pipeline.plan, states, taken)
        states[plan.id] = decision.state or State.NOT_REACHED
        found[plan.id] = decision.reason or "the run ended before it"
    return found


def _step(
    step: CompiledStep, outcome: Outcome | None, unreached: str | None, begun: datetime | None, run: str
) -> dict[str, Any]:
    if outcome is None:
        status = "skipped" if run != "running" else "running" if begun else "waiting"
        return {
            "id": step.id, "action": step.action, "status": status, "success": False, "value": None,
            "error": None, "error_type": None, "reason": unreached, "tool": step.tool, "model": None,
            "provider": None, "started_at": begun.isoformat() if begun else None, "completed_at": None,
            "duration": None, "retries": 0,
            "timed_out": False, "cached": False, "tool_calls": [], "dependencies": list(step.dependencies),
        }  # fmt: skip
    failed = outcome.error
    return {
        "id": step.id,
        "action": step.action,
        "status": outcome.status,
        "success": outcome.status == "completed",
        "value": outcome.value,
        "error": failed.message if failed else None,
        "error_type": failed.type if failed else None,
        "reason": outcome.reason,
        "tool": step.tool,
        "model": outcome.model.name if outcome.model else None,
        "provider": outcome.model.provider if outcome.model else None,
        "started_at": outcome.started_at.isoformat(),
        "completed_at": outcome.completed_at.isoformat(),
        "duration": round(outcome.duration, 3),
        "retries": max(outcome.attempts - 1, 0),  # a step that was skipped was not tried at all
        "timed_out": bool(failed and failed.type in ("StepTimeoutError", "ModelTimeoutError")),
        "cached": outcome.usage.served > 0,
        "tool_calls": [call.model_dump() for call in outcome.tool_calls],
        "dependencies": list(step.dependencies),
        **({"decisions": [one.model_dump(mode="json") for one in outcome.decisions]} if outcome.decisions else {}),
    }
