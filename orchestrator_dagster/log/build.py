"""A run's log, made of what its steps have left and of what was recorded beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledStep
from orchestrator_dagster.log.calls import calls_of
from orchestrator_dagster.log.document import (
    Log,
    LogAttempt,
    LogModel,
    LogPipeline,
    LogProduct,
    LogRun,
    LogStep,
    RunStatus,
    StepStatus,
)
from orchestrator_dagster.log.failures import failure_of, failures_of
from orchestrator_dagster.log.items import loop_of
from orchestrator_dagster.log.next_steps import next_steps
from orchestrator_dagster.log.short import short
from orchestrator_dagster.runtime.outcome import ModelUse, Outcome, UsageInfo
from orchestrator_dagster.runtime.secrets import Redactor


@dataclass(frozen=True)
class Recorded:
    """What is known of a run.

    Args:
        pipeline: The pipeline that it was launched with.
        run_id: The run.
        status: How it ended, or that it goes on.
        started_at: When it began.
        completed_at: When it ended; None while it goes on.
        now: The time that stands for the end of what goes on.
        outcomes: The outcome of every step that has one.
        unreached: Why each of the other steps has none.
        running: When each step began that has no outcome yet.
        attempts: The tries at each step, by its id.
        routes: The route that led to a step or past it.
        ran_in: The run that did a step.
        runs: The run and those that it resumed, the first one first.
        calls: Entries of the record of calls.
        error: ``type``, ``message`` and ``step`` of what ended it.
    """

    pipeline: CompiledPipeline
    run_id: str
    status: RunStatus
    started_at: datetime
    completed_at: datetime | None
    now: datetime
    outcomes: Mapping[str, Outcome]
    unreached: Mapping[str, str] = field(default_factory=dict)
    running: Mapping[str, datetime] = field(default_factory=dict)
    attempts: Mapping[str, Sequence[LogAttempt]] = field(default_factory=dict)
    routes: Mapping[str, str] = field(default_factory=dict)
    ran_in: Mapping[str, str] = field(default_factory=dict)
    runs: Sequence[LogRun] = ()
    calls: Iterable[Mapping[str, Any]] = ()
    inputs: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, Any] | None = None
    partition: str | None = None
    asked: Sequence[str] | None = None
    resumed_by: str | None = None
    opened: bool = True
    notes: Sequence[str] = ()


def build_log(found: Recorded) -> Log:
    """The log of a run, without secrets."""
    pipeline = found.pipeline
    steps = [_step(found, step) for step in pipeline.steps]
    usage = sum((outcome.usage for outcome in found.outcomes.values()), UsageInfo())
    failures = failures_of(pipeline, found.outcomes, found.error)
    calls, left_out = calls_of(found.calls)
    products, more_products = _products(found.outcomes)
    made = Log(
        pipeline=LogPipeline(
            id=pipeline.id,
            name=pipeline.name,
            description=pipeline.description,
            version=pipeline.version,
            file=pipeline.file,
            fingerprint=pipeline.fingerprint,
        ),
        run_id=found.run_id,
        status=found.status,
        started_at=found.started_at,
        completed_at=found.completed_at,
        seconds=_seconds(found.started_at, found.completed_at or found.now),
        partition=found.partition,
        asked=tuple(found.asked) if found.asked is not None else None,
        inputs={name: short(value) for name, value in found.inputs.items()},
        outputs={name: short(value) for name, value in found.outputs.items()},
        failures=failures,
        steps=tuple(sorted(steps, key=lambda step: (step.started_at is None, step.started_at or found.now))),
        calls=calls,
        calls_left_out=left_out,
        products=products,
        products_left_out=more_products,
        usage=usage.model_copy(update={"models": {}}),
        models=dict(sorted(usage.models.items())),
        runs=tuple(found.runs),
        resumed_by=found.resumed_by,
        notes=tuple(found.notes),
    )
    made = made.model_copy(update={"next": next_steps(made, opened=found.opened)})
    redactor = Redactor()
    value = made.model_dump(mode="json")
    return Log.model_validate(redactor.value(value)) if redactor.finds(value) else made


def _step(found: Recorded, step: CompiledStep) -> LogStep:
    pipeline = found.pipeline
    outcome = found.outcomes.get(step.id)
    made = LogStep(
        id=step.id,
        title=step.title,
        kind=step.kind,
        does=does(step),
        location=pipeline.location(step),
        status="skipped",
        dependencies=step.dependencies,
        condition=None if step.condition is None else " ".join(str(step.condition).split()),
        route=found.routes.get(step.id),
        run=found.ran_in.get(step.id),
        attempts=tuple(found.attempts.get(step.id, ())),
        tool=step.tool,
        action=step.action,
    )
    if outcome is None:
        began = found.running.get(step.id)
        if began is None:
            return made.model_copy(update={"reason": found.unreached.get(step.id) or "the run ended before it"})
        status: StepStatus = "running" if found.status == "running" else "interrupted"
        end = None if status == "running" else found.completed_at
        seconds = _seconds(began, end or found.now)
        return made.model_copy(
            update={"status": status, "started_at": began, "completed_at": end, "seconds": seconds, "reason": None}
        )
    return made.model_copy(
        update={
            "status": outcome.status,
            "reason": outcome.reason,
            "goes_to": outcome.routed_to,
            "started_at": outcome.started_at,
            "completed_at": outcome.completed_at,
            "seconds": _seconds(outcome.started_at, outcome.completed_at),
            "error": failure_of(outcome.error, outcome) if outcome.error else None,
            "model": _model(outcome.model) if outcome.model else None,
            "usage": outcome.usage,
            "decisions": outcome.decisions,
            "value": None if outcome.variables or outcome.iterations is not None else short(outcome.value),
            "values": {name: short(value) for name, value in outcome.variables.items()},
            "products": tuple(product.path for product in outcome.products[:_MOST_PATHS]),
            "loop": loop_of(outcome),
        }
    )


_MOST_PATHS = 50
#: The most products that a log has.
MOST_PRODUCTS = 200
_LONGEST = 80


def does(step: CompiledStep) -> str:
    """What a step does, in a few words."""
    if step.loop is not None:
        inside = does(step.loop.steps[0]) if step.loop.single else f"{len(step.loop.steps)} steps"
        return f"{'for each item' if step.loop.kind == 'for_each' else 'again and again'}: {inside}"[:_LONGEST]
    if step.pipeline is not None:
        return f"runs the pipeline {step.pipeline.id}"
    if step.tool:
        return f"{step.tool}.{step.action}" if step.action else step.tool
    if step.kind == "model":
        text = " ".join((step.instruction or "asks a model").split())
        return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    return step.action or step.kind


def _model(use: ModelUse) -> LogModel:
    return LogModel.model_validate(use.model_dump())


def _products(outcomes: Mapping[str, Outcome]) -> tuple[tuple[LogProduct, ...], int]:
    """The products in the order in which their steps ended, and how many are left out of many."""
    every = [
        (step, product)
        for step, outcome in sorted(outcomes.items(), key=lambda one: one[1].completed_at)
        for product in outcome.products
    ]
    shown = every[:MOST_PRODUCTS]
    made = (LogProduct(step=step, **one.model_dump(exclude={"column_types"})) for step, one in shown)
    return tuple(made), len(every) - len(shown)


def _seconds(start: datetime, end: datetime) -> float:
    return round(max(0.0, (end - start).total_seconds()), 3)
