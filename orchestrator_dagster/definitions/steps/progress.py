"""What happens in a run, as it happens, for those who look on."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from dagster import DagsterEvent, DagsterEventType
from dagster_shared.error import SerializableErrorInfo

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.definitions.instance.recording import short_reason
from orchestrator_dagster.definitions.steps.metadata import OutcomeMetadata, ProductMetadata, UsageMetadata

ProgressKind = Literal["started", "completed", "skipped", "retrying", "failed", "product", "items"]


@dataclass(frozen=True)
class Progress:
    """One event. ``step`` is the step's id; figures are those of the step where they are known, else None.

    Of a loop that runs, ``items`` says how many ``items_done`` there are of ``items_total`` (None where nobody knows);
    it comes from the thread that ran the item, a few times a second at most. ``failed_items`` are those of a loop that
    completed without them, 0 where there are none.
    """

    kind: ProgressKind
    step: str
    message: str = ""
    seconds: float | None = None
    tokens: int | None = None
    cost: float | None = None
    failed_items: int = 0
    items_done: int = 0
    items_total: int | None = None


_WRAPPERS = ("RetryRequestedFromPolicy", "DagsterExecutionStepExecutionError")

OnProgress = Callable[[Progress], None]


def progress_of(event: DagsterEvent, pipeline: CompiledPipeline) -> Progress | None:
    """A Dagster event as progress of a step; None for the many that say nothing to a person."""
    step = step_id(event.step_key, pipeline)
    if step is None:
        return None
    kind = event.event_type
    if kind == DagsterEventType.STEP_START:
        return Progress("started", step) if part_of(event.step_key) in ("", "decide") else None
    if kind == DagsterEventType.STEP_UP_FOR_RETRY:
        return Progress("retrying", step, error_message(event.step_retry_data.error))
    if kind == DagsterEventType.STEP_FAILURE:
        return Progress("failed", step, failure_message(event))
    if kind == DagsterEventType.ASSET_MATERIALIZATION:
        path = ProductMetadata.extract(event.materialization.metadata).path
        return Progress("product", step, path or "")
    if kind == DagsterEventType.STEP_OUTPUT and event.step_output_data.output_name == "outcome":
        found = OutcomeMetadata.extract(_metadata(event))
        if found.status == "skipped":
            return Progress("skipped", step, found.reason or "")
        if found.status == "failed":
            where = pipeline.location(pipeline.by_op[op_of(event.step_key)])
            return Progress("failed", step, f"{where}: {found.error}" if found.error else "")
        used = UsageMetadata.extract(_metadata(event))
        tokens = None if used.input_tokens is None else used.input_tokens + (used.output_tokens or 0)
        failed = found.failed_items or 0
        return Progress("completed", step, found.model or "", found.seconds, tokens, used.cost, failed)
    return None


def step_id(step_key: str | None, pipeline: CompiledPipeline) -> str | None:
    """The step that a Dagster step key stands for, None for the ops that are ours."""
    found = pipeline.by_op.get(op_of(step_key))
    return found.id if found else None


def op_of(step_key: str | None) -> str:
    """The op, or the small graph, of the top level that a step key belongs to.

    >>> op_of("report.each.run[3]"), op_of("report.read"), op_of("finish")
    ('each', 'read', 'finish')
    """
    parts = (step_key or "").split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def part_of(step_key: str | None) -> str:
    """Which op of a small graph a step key stands for; empty for a step that is one op.

    >>> part_of("report.each.run[3]"), part_of("report.read")
    ('run', '')
    """
    parts = (step_key or "").split(".")
    return parts[2].partition("[")[0] if len(parts) > 2 else ""


def failure_message(event: DagsterEvent) -> str:
    """What a failed step says of itself."""
    failure = event.step_failure_data
    if failure.user_failure_data and failure.user_failure_data.description:
        return str(failure.user_failure_data.description)
    return error_message(failure.error)


def root_cause(error: SerializableErrorInfo | None) -> SerializableErrorInfo | None:
    """The error behind Dagster's own "exceeded max_retries"."""
    while error is not None and error.cls_name in _WRAPPERS and error.cause is not None:
        error = error.cause
    return error


def error_message(error: SerializableErrorInfo | None) -> str:
    """The text of an error without the name of its class, which Dagster puts before it."""
    error = root_cause(error)
    if error is None:
        return "it gave no reason"
    if error.cls_name == "DagsterExecutionInterruptedError":
        return "it was interrupted"
    return short_reason(re.sub(r"^[\w.]+: ", "", str(error.message).strip(), count=1))


def _metadata(event: DagsterEvent) -> Mapping[str, object]:
    return event.step_output_data.metadata
