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

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledStep
from orchestrator_dagster.compiler.routes import State
from orchestrator_dagster.definitions.runs.leader import is_alive
from orchestrator_dagster.definitions.runs.tries import Tries
from orchestrator_dagster.definitions.steps.metadata import OutcomeMetadata, ProductMetadata, usage_of_metadata
from orchestrator_dagster.definitions.steps.progress import (
    error_message,
    failure_message,
    op_of,
    part_of,
    root_cause,
    step_id,
)
from orchestrator_dagster.errors import RunNotFoundError, TemplateError
from orchestrator_dagster.runtime.names import RunInfo
from orchestrator_dagster.runtime.outcome import ErrorInfo, Outcome, ProductFile, UsageInfo
from orchestrator_dagster.runtime.outputs import render_outputs
from orchestrator_dagster.runtime.record import run_record

_TYPES = {
    DagsterEventType.STEP_START,
    DagsterEventType.STEP_RESTARTED,
    DagsterEventType.STEP_UP_FOR_RETRY,
    DagsterEventType.STEP_FAILURE,
    DagsterEventType.STEP_SUCCESS,
    DagsterEventType.STEP_OUTPUT,
    DagsterEventType.ENGINE_EVENT,
    DagsterEventType.HANDLED_OUTPUT,
    DagsterEventType.ASSET_MATERIALIZATION,
    DagsterEventType.RUN_FAILURE,
}
_STATUS = {
    DagsterRunStatus.SUCCESS: "completed",
    DagsterRunStatus.CANCELED: "canceled",
    DagsterRunStatus.FAILURE: "failed",
}


@dataclass
class RunLog:
    """What the event log has of a run, together with those that it resumed.

    ``paid`` is what the model calls of each of Dagster's steps took, ``paid_before`` what those of steps took that were
    done again later. ``lost`` are the steps whose outcome was stored and is gone; ``said`` is what events say of it, by
    op. ``tries`` are the tries at each step, also those that were made again. ``base`` is where the outcomes are kept.
    """

    started: dict[str, datetime] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    products: dict[str, list[ProductFile]] = field(default_factory=dict)
    paid: dict[str, UsageInfo] = field(default_factory=dict)  # by step key
    paid_before: dict[str, UsageInfo] = field(default_factory=dict)  # by op
    split: set[str] = field(default_factory=set)  # steps that failed in one of the ops that do their work
    lost: set[str] = field(default_factory=set)
    said: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    tries: Tries = field(default_factory=Tries)
    others: set[str] = field(default_factory=set)  # further graphs of the runs
    ran_in: dict[str, str] = field(default_factory=dict)  # by op
    run: str = ""
    last: datetime | None = None
    base: str | None = None
    opened: Mapping[str, Any] | None = None
    error: dict[str, Any] | None = None


@dataclass(frozen=True)
class ReadRun:
    """A run as it was recorded: how it ended (or that it goes on), when, and what its steps have left.

    ``info`` has the time when the first of the runs that it resumed began, ``began`` when it began itself.
    """

    run: dg.DagsterRun
    chain: list[dg.DagsterRun]
    log: RunLog
    info: RunInfo
    status: str
    began: datetime
    ended: datetime | None
    outputs: dict[str, Any]


def load_record(instance: DagsterInstance, run_id: str, pipeline: CompiledPipeline) -> dict[str, Any]:
    """The result document of a recorded run.

    Raises:
        RunNotFoundError: There is no such run.
    """
    return record_of(read_run(instance, run_id, pipeline), pipeline)


def record_of(found: ReadRun, pipeline: CompiledPipeline) -> dict[str, Any]:
    """The result document of a run that was read."""
    log = found.log
    return run_record(
        pipeline,
        found.info,
        log.outcomes,
        found.outputs,
        completed_at=found.ended,
        status=found.status,
        error=log.error,
        begun=running_steps(found, pipeline),
    )


def read_run(instance: DagsterInstance, run_id: str, pipeline: CompiledPipeline) -> ReadRun:
    """A recorded run with what its steps have left, those among them that were done in runs that it resumed.

    Raises:
        RunNotFoundError: There is no such run.
    """
    stats = instance.get_run_record_by_id(run_id)
    if stats is None:
        raise RunNotFoundError(f'there is no run "{run_id}"', hint="`orchestrator log --list` lists the last runs")
    run = stats.dagster_run
    chain = ancestry(instance, run)
    log = read_chain(instance, chain, pipeline)
    began = _time(stats.start_time) or stats.create_timestamp
    values = log.opened["values"] if log.opened else {}
    started = datetime.fromisoformat(log.opened["started_at"]) if log.opened else began
    info = RunInfo(run_id, started, run.tags.get(PARTITION_NAME_TAG))
    status = status_of(run)
    ended = None if status == "running" else _time(stats.end_time) or log.last or datetime.now(timezone.utc)
    outputs: dict[str, Any] = dict.fromkeys(pipeline.outputs)
    if log.opened:
        try:
            outputs = render_outputs(pipeline, values, log.outcomes, info)
        except TemplateError as error:
            # A run of some products keeps no values to make outputs from; a whole run has failed in `finish`.
            if status not in ("completed", "running"):
                log.error = log.error or {
                    "type": "TemplateError",
                    "message": error.message,
                    "step": "finish",
                    "location": None,
                    "hint": error.hint,
                }
    return ReadRun(run, chain, log, info, status, began, ended, outputs)


def status_of(run: dg.DagsterRun) -> str:
    """``completed``, ``failed`` or ``canceled``; ``running`` while it goes on, as far as that is known here."""
    if run.is_finished:
        return _STATUS[run.status]
    return "failed" if is_alive(run) is False else "running"


def running_steps(found: ReadRun, pipeline: CompiledPipeline) -> dict[str, datetime]:
    """When each step began that has begun and has no outcome."""
    begun = ((pipeline.by_op[op].id, at) for op, at in found.log.started.items() if op in pipeline.by_op)
    return {step: at for step, at in begun if step not in found.log.outcomes}


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
        log.error, log.run = None, run.run_id  # that of the last run counts
        for key in run.step_keys_to_execute or ():
            _forget(key, pipeline, log)
        for entry in instance.all_logs(run.run_id, of_type=_TYPES):
            event, at = entry.dagster_event, datetime.fromtimestamp(entry.timestamp, timezone.utc)
            log.last = at
            graph, inside, _ = ((event.step_key if event else None) or "").partition(".")
            if inside and graph != pipeline.op:  # a run may be of several pipelines, each a graph
                log.others.add(graph)
            elif event is not None:
                log.tries.read(event, at, run.run_id)
                if event.event_type == DagsterEventType.STEP_START:
                    log.ran_in[op_of(event.step_key)] = run.run_id
                _read(event, at, pipeline, log)
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
    for found in (log.started, log.attempts, log.products, log.said):
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
        if event.step_output_data.output_name in ("decision", "outcome"):
            log.said[name] = {**log.said.get(name, {}), **event.step_output_data.metadata}
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
        log.base = str(path.path).partition(f"/{log.run}/")[0]
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
    said = OutcomeMetadata.extract(log.said.get(name, {}))
    failed = said.status == "failed"
    where = pipeline.location(made)
    log.outcomes[step] = Outcome(
        step=step,
        status=said.status if said.status in ("skipped", "failed") else "completed",
        state=_state(said, made),
        reason=said.reason,
        error=ErrorInfo(type="Failure", message=said.error or "", step=step, location=where) if failed else None,
        routed_to=said.goes_to,
        products=tuple(products),
        location=products[0].path if products else None,
        tool=made.tool,
        action=made.action,
        usage=sum((usage for key, usage in log.paid.items() if op_of(key) == name), UsageInfo()),
        attempts=said.attempts or log.attempts.get(name, 1),
        started_at=log.started.get(name, at),
        completed_at=at,
    )


def _state(said: OutcomeMetadata, step: CompiledStep) -> State:
    """How the flow has seen a step of which only the events are left."""
    if said.status == "skipped":
        return State.SKIPPED_BY_ROUTING if said.route else State.SKIPPED_BY_CONDITION
    if said.status != "failed":
        return State.COMPLETED
    if said.goes_to:
        return State.FAILED_ROUTED
    return State.FAILED_SKIPPING if step.on_failure == "skip" else State.FAILED_CONTINUED


def _run_error(event: DagsterEvent, pipeline: CompiledPipeline) -> dict[str, Any] | None:
    """What failed outside of the steps: a broker that does not answer, a process that was killed."""
    said = event.event_specific_data  # nothing, of a run whose process is gone
    cause = root_cause(said.error) if isinstance(said, JobFailureData) else None
    if cause is None:
        return _of_run("RunError", event.message) if event.message else None
    # Celery's and Dagster's own errors carry the stack of the process that raised them.
    message = " ".join(error_message(cause).partition("\nStack Trace:")[0].split())
    where = f' (executor "{pipeline.executor}")' if pipeline.executor else ""
    said_of_run = f"the run failed outside of its steps{where}: {cause.cls_name}: {message}"
    return _of_run(str(cause.cls_name), said_of_run)


def _of_run(kind: str, message: str) -> dict[str, Any]:
    """A failure that is of no step."""
    return {"type": kind, "message": message, "step": None, "location": None, "hint": None}


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
        preview=found.preview.md_str or "" if found.preview else "",
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
    place = text.get("defined_at") or (pipeline.location(pipeline.by_id[step]) if step else None)
    said_of_run: dict[str, Any] = {"type": kind, "message": message, "step": step or str(text.get("step") or name)}
    said_of_run |= {"location": place, "hint": text.get("next")}
    log.error = log.error or said_of_run
    if step is None:
        return
    usage = usage_of_metadata(said)
    if part_of(event.step_key) in ("", "run"):  # what `outcome` says is the sum of what the `run`s have said
        log.paid[event.step_key or ""] = usage
    if part_of(event.step_key) == "run":
        log.split.add(step)
        if step in log.outcomes:  # another item of the loop has failed before: that is what is told of run and step
            return
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
            location=str(place),
            hint=str(text["next"]) if text.get("next") else None,
            attempts=attempts,
            note=str(text["note"]) if text.get("note") else None,
        ),
        tool=made.tool,
        action=made.action,
        usage=usage,
        attempts=attempts,
        started_at=log.started.get(name, at),
        completed_at=at,
    )
