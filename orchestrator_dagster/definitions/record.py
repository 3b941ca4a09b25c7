"""A run read back from the event log: the outcome of every step, also of runs that failed or were stopped."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import dagster as dg
from dagster import DagsterEvent, DagsterEventType, DagsterInstance, DagsterRunStatus
from dagster._core.definitions.metadata.metadata_set import TableMetadataSet
from dagster._core.events import JobFailureData
from dagster._core.storage.tags import PARTITION_NAME_TAG

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.compiler.routes import State
from orchestrator_dagster.definitions.metadata import ProductMetadata, usage_of_metadata
from orchestrator_dagster.definitions.progress import (
    error_message,
    failure_message,
    op_of,
    part_of,
    root_cause,
    step_id,
)
from orchestrator_dagster.errors import OrchestratorError, TemplateError
from orchestrator_dagster.runtime.names import RunInfo
from orchestrator_dagster.runtime.outcome import ErrorInfo, Outcome, ProductFile, UsageInfo
from orchestrator_dagster.runtime.outputs import render_outputs
from orchestrator_dagster.runtime.record import run_record

_TYPES = {
    DagsterEventType.STEP_START,
    DagsterEventType.STEP_UP_FOR_RETRY,
    DagsterEventType.STEP_FAILURE,
    DagsterEventType.STEP_SUCCESS,
    DagsterEventType.STEP_OUTPUT,
    DagsterEventType.ENGINE_EVENT,
    DagsterEventType.HANDLED_OUTPUT,
    DagsterEventType.ASSET_MATERIALIZATION,
    DagsterEventType.RUN_FAILURE,
}
_STATUS = {DagsterRunStatus.SUCCESS: "completed", DagsterRunStatus.CANCELED: "canceled"}


@dataclass
class RunLog:
    """What the event log has of a run, together with those that it resumed.

    ``paid`` is what the model calls of each of Dagster's steps took, ``paid_before`` what those of steps took that were
    done again later. ``lost`` are the steps whose outcome was stored and is gone.
    """

    started: dict[str, datetime] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    products: dict[str, list[ProductFile]] = field(default_factory=dict)
    paid: dict[str, UsageInfo] = field(default_factory=dict)  # by step key
    paid_before: dict[str, UsageInfo] = field(default_factory=dict)  # by op
    split: set[str] = field(default_factory=set)  # steps that failed in one of the ops that do their work
    lost: set[str] = field(default_factory=set)
    opened: Mapping[str, Any] | None = None
    error: dict[str, Any] | None = None


def load_record(instance: DagsterInstance, run_id: str, pipeline: CompiledPipeline) -> dict[str, Any]:
    """The result document of a recorded run.

    Raises:
        OrchestratorError: There is no such run.
    """
    run = instance.get_run_by_id(run_id)
    if run is None:
        raise OrchestratorError(f'there is no run "{run_id}"', hint="`dagster dev` lists the runs")
    log = read_chain(instance, ancestry(instance, run), pipeline)
    stats = instance.get_run_record_by_id(run_id)
    assert stats is not None
    began = _time(stats.start_time) or stats.create_timestamp
    ended = _time(stats.end_time) or datetime.now(timezone.utc)
    values = log.opened["values"] if log.opened else {}
    started = datetime.fromisoformat(log.opened["started_at"]) if log.opened else began
    info = RunInfo(run_id, started, run.tags.get(PARTITION_NAME_TAG))
    status = _STATUS.get(run.status, "failed")
    outputs: dict[str, Any] = dict.fromkeys(pipeline.outputs)
    if log.opened:
        try:
            outputs = render_outputs(pipeline, values, log.outcomes, info)
        except TemplateError as error:
            # A run of some products keeps no values to make outputs from; a whole run has failed in `finish`.
            if status != "completed":
                log.error = log.error or {"type": "TemplateError", "message": error.message, "step": "finish"}
    return run_record(pipeline, info, log.outcomes, outputs, completed_at=ended, status=status, error=log.error)


def ancestry(instance: DagsterInstance, run: dg.DagsterRun) -> list[dg.DagsterRun]:
    """A run and those that it resumed or re-executed, the first one first."""
    found = [run]
    while (parent := found[0].parent_run_id) is not None:
        before = instance.get_run_by_id(parent)
        if before is None:
            break
        found.insert(0, before)
    return found


def read_chain(instance: DagsterInstance, chain: Iterable[dg.DagsterRun], pipeline: CompiledPipeline) -> RunLog:
    """What the steps of a run have left, those among them that were done in the runs that it resumed.

    Args:
        instance: Where the runs are recorded.
        chain: The runs, as :func:`ancestry` gives them.
        pipeline: Their pipeline.
    """
    log = RunLog()
    for run in chain:
        if run.step_keys_to_execute is None:  # all of it ran anew
            log = RunLog()
        log.error = None  # that of the last run counts
        for key in run.step_keys_to_execute or ():
            _forget(key, pipeline, log)
        for entry in instance.all_logs(run.run_id, of_type=_TYPES):
            if entry.dagster_event is not None:
                _read(entry.dagster_event, datetime.fromtimestamp(entry.timestamp, timezone.utc), pipeline, log)
    for step in log.split & log.outcomes.keys():  # what other ops paid for their items may stand behind the failure
        name = pipeline.by_id[step].op
        paid = sum((usage for key, usage in log.paid.items() if op_of(key) == name), UsageInfo())
        log.outcomes[step] = log.outcomes[step].model_copy(update={"usage": paid})
    for step, outcome in log.outcomes.items():
        before = log.paid_before.get(pipeline.by_id[step].op, UsageInfo())
        log.outcomes[step] = outcome.having_paid(before)
    return log


def _forget(key: str, pipeline: CompiledPipeline, log: RunLog) -> None:
    """Take one of Dagster's steps as not done: it runs again. What it took stays in the sums."""
    step, name = step_id(key, pipeline), op_of(key)
    if step is None:
        return
    for found in (log.started, log.attempts, log.products):
        found.pop(name, None)
    log.outcomes.pop(step, None)
    log.lost.discard(step)
    log.split.discard(step)
    for one in [one for one in log.paid if one == key or (key.endswith("[?]") and one.startswith(key[:-2]))]:
        log.paid_before[name] = log.paid_before.get(name, UsageInfo()) + log.paid.pop(one)


def _time(seconds: float | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, timezone.utc) if seconds else None


def _read(event: DagsterEvent, at: datetime, pipeline: CompiledPipeline, log: RunLog) -> None:
    name = op_of(event.step_key)
    kind = event.event_type
    if kind == DagsterEventType.STEP_START:
        log.started.setdefault(name, at)
    elif kind == DagsterEventType.STEP_UP_FOR_RETRY:
        log.attempts[name] = log.attempts.get(name, 1) + 1
    elif kind == DagsterEventType.RUN_FAILURE:
        log.error = log.error or _run_error(event, pipeline)
    elif kind == DagsterEventType.STEP_OUTPUT:
        named = {"": "outcome", "decide": "decision"}.get(part_of(event.step_key), "result")
        if event.step_output_data.output_name == named and event.step_key:
            log.paid[event.step_key] = usage_of_metadata(event.step_output_data.metadata)
    elif kind == DagsterEventType.ENGINE_EVENT:
        usage = usage_of_metadata(event.engine_event_data.metadata) if event.step_key else UsageInfo()
        if event.step_key and usage != UsageInfo():  # what the attempts so far took
            log.paid[event.step_key] = usage
    elif kind == DagsterEventType.STEP_FAILURE:
        _read_failure(event, name, at, pipeline, log)
    elif kind == DagsterEventType.ASSET_MATERIALIZATION:
        found = _product(event)
        if found is not None:
            log.products.setdefault(name, []).append(found)
    elif kind == DagsterEventType.STEP_SUCCESS and part_of(event.step_key) in ("", "outcome"):
        _read_success(event, name, at, pipeline, log)
    elif kind == DagsterEventType.HANDLED_OUTPUT:
        data = event.event_specific_data
        path = data.metadata.get("path")  # type: ignore[union-attr]
        if not isinstance(path, dg.PathMetadataValue) or data.output_name not in ("outcome", "inputs"):  # type: ignore[union-attr]
            return
        value = _load(str(path.path))
        if data.output_name == "inputs":  # type: ignore[union-attr]
            log.opened = value
        elif value is not None:
            outcome = Outcome.model_validate(value)
            if outcome.step in pipeline.by_id:  # of another version of the pipeline it may not be
                log.outcomes[outcome.step] = outcome
        elif (lost := step_id(event.step_key, pipeline)) is not None:
            log.lost.add(lost)


def _read_success(event: DagsterEvent, name: str, at: datetime, pipeline: CompiledPipeline, log: RunLog) -> None:
    """A step whose outcome nobody needed (only its products were wanted) is known by its events alone."""
    step = step_id(event.step_key, pipeline)
    if step is None or step in log.outcomes:
        return
    made, products = pipeline.by_id[step], log.products.get(name, [])
    log.outcomes[step] = Outcome(
        step=step,
        status="completed",
        products=tuple(products),
        location=products[0].path if products else None,
        tool=made.tool,
        action=made.action,
        attempts=log.attempts.get(name, 1),
        started_at=log.started.get(name, at),
        completed_at=at,
    )


def _run_error(event: DagsterEvent, pipeline: CompiledPipeline) -> dict[str, Any] | None:
    """What failed outside of the steps: a broker that does not answer, a process that was killed."""
    said = event.event_specific_data  # nothing, of a run whose process is gone
    cause = root_cause(said.error) if isinstance(said, JobFailureData) else None
    if cause is None:
        return {"type": "RunError", "message": event.message, "step": None} if event.message else None
    # Celery's and Dagster's own errors carry the stack of the process that raised them.
    message = " ".join(error_message(cause).partition("\nStack Trace:")[0].split())
    where = f' (executor "{pipeline.executor}")' if pipeline.executor else ""
    return {
        "type": cause.cls_name,
        "message": f"the run failed outside of its steps{where}: {cause.cls_name}: {message}",
        "step": None,
    }


def _product(event: DagsterEvent) -> ProductFile | None:
    made = event.materialization
    found = ProductMetadata.extract(made.metadata)
    if found.path is None or found.format is None:
        return None
    table = TableMetadataSet.extract(made.metadata)
    columns = table.column_schema.columns if table.column_schema else None
    return ProductFile(
        variable=found.variable or made.asset_key.path[-1],
        key=tuple(made.asset_key.path),
        path=found.path,
        format=found.format,
        bytes=found.bytes or 0,
        sha256=found.sha256 or "",
        rows=table.row_count,
        columns=tuple(column.name for column in columns) if columns is not None else None,
        column_types=tuple(column.type for column in columns) if columns is not None else None,
    )


def _load(path: str) -> Any:
    from upath import UPath

    file = UPath(path)
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None


def _read_failure(event: DagsterEvent, name: str, at: datetime, pipeline: CompiledPipeline, log: RunLog) -> None:
    data = event.step_failure_data
    said = data.user_failure_data.metadata if data.user_failure_data else {}
    text = {
        key.removeprefix("orchestrator/"): value.value for key, value in said.items() if key.startswith("orchestrator/")
    }
    message = str(text.get("message") or failure_message(event))
    cause = root_cause(data.error)
    kind = str(text.get("error") or (cause.cls_name if cause else "") or "Failure")
    step = step_id(event.step_key, pipeline)
    log.error = log.error or {"type": kind, "message": message, "step": step or str(text.get("step") or name)}
    if step is None:
        return
    usage = usage_of_metadata(said)
    if part_of(event.step_key) in ("", "run"):  # what `outcome` says is the sum of what the `run`s have said
        log.paid[event.step_key or ""] = usage
    if part_of(event.step_key) == "run":
        log.split.add(step)
    made = pipeline.by_id[step]
    attempts = log.attempts.get(name, 1)
    log.outcomes[step] = Outcome(
        step=step,
        status="failed",
        state=State.FAILED,
        error=ErrorInfo(
            type=kind,
            message=message,
            step=step,
            location=str(text.get("defined_at") or pipeline.location(made)),
            hint=str(text["next"]) if text.get("next") else None,
            attempts=attempts,
        ),
        tool=made.tool,
        action=made.action,
        usage=usage,
        attempts=attempts,
        started_at=log.started.get(name, at),
        completed_at=at,
    )
