"""The figures of recorded runs: from the run assets where they have them, else from the events of the run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

import dagster as dg
from dagster import DagsterEvent, DagsterEventType, DagsterInstance, RunsFilter
from dagster._core.storage.dagster_run import RunRecord

from orchestrator_dagster.definitions.instance.event_log import take_as_current
from orchestrator_dagster.definitions.pipelines.launched import ID_TAG
from orchestrator_dagster.definitions.runs.record import status_of
from orchestrator_dagster.definitions.steps.metadata import usage_of_metadata
from orchestrator_dagster.definitions.steps.progress import op_of, part_of, root_cause
from orchestrator_dagster.definitions.steps.run_summary import BY_STEP
from orchestrator_dagster.history.figures import RunFigures, StepFigures, Taken
from orchestrator_dagster.log.document import WAITING
from orchestrator_dagster.runtime.outcome import UsageInfo

_EVENTS = {
    DagsterEventType.STEP_START,
    DagsterEventType.STEP_UP_FOR_RETRY,
    DagsterEventType.STEP_OUTPUT,
    DagsterEventType.STEP_FAILURE,
    DagsterEventType.STEP_SUCCESS,
    DagsterEventType.ENGINE_EVENT,
}
_OURS = {"inputs", "finish"}
_PAGE = 1000
_INDEX = re.compile(r"\[\d+\]")


def run_figures(
    instance: DagsterInstance, *, since: datetime | None = None, pipeline: str | None = None
) -> list[RunFigures]:
    """The figures of every recorded run of a pipeline of this package.

    Args:
        instance: Where the runs are recorded.
        since: Only those that were created later.
        pipeline: Only those of the pipeline with this id.
    """
    tags = {ID_TAG: pipeline} if pipeline else {}
    filters = RunsFilter(tags=tags, created_after=since)
    records = [one for one in _records(instance, filters) if ID_TAG in one.dagster_run.tags]
    names = {one.dagster_run.tags[ID_TAG] for one in records}
    said = {name: _said(instance, name, since) for name in names}
    return [_figures(instance, one, said[one.dagster_run.tags[ID_TAG]]) for one in records]


def _records(instance: DagsterInstance, filters: RunsFilter) -> Iterator[RunRecord]:
    cursor = None
    while page := instance.get_run_records(filters, limit=_PAGE, cursor=cursor):
        yield from page
        cursor = page[-1].dagster_run.run_id


def _said(instance: DagsterInstance, pipeline: str, since: datetime | None) -> dict[str, Mapping[str, Any]]:
    """The metadata of the run asset of a pipeline, by run."""
    found: dict[str, Mapping[str, Any]] = {}
    after = since.timestamp() if since else None
    wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey([pipeline, "run"]), after_timestamp=after)
    cursor, more = None, True
    while more:
        page = instance.fetch_materializations(wanted, limit=_PAGE, cursor=cursor)
        for record in page.records:
            if record.asset_materialization is not None:
                found[record.run_id] = record.asset_materialization.metadata
        cursor, more = page.cursor, page.has_more
    return found


def _figures(instance: DagsterInstance, record: RunRecord, said: Mapping[str, Mapping[str, Any]]) -> RunFigures:
    run = record.dagster_run
    began = datetime.fromtimestamp(record.start_time, timezone.utc) if record.start_time else record.create_timestamp
    seconds = record.end_time - record.start_time if record.end_time and record.start_time else None
    status = status_of(run)
    anew = run.parent_run_id is None or run.step_keys_to_execute is None
    base: dict[str, Any] = {
        "id": run.run_id,
        "root": run.root_run_id or run.run_id,
        "pipeline": run.tags[ID_TAG],
        "status": status,
        "started_at": began,
        "seconds": seconds,
    }
    metadata = said.get(run.run_id)
    found = _of_asset(metadata) if metadata is not None and anew else None
    if found is not None:
        return RunFigures(**base, whole=True, **found)
    # A run that resumed another has a run asset with the sums of both: what it took itself stands in its events.
    whole = metadata is not None and anew
    found = _of_events(instance, run.run_id, run.tags[ID_TAG].replace("-", "_"))
    if found["error"] == WAITING:
        base["status"] = "running"  # it goes on when the person answers
    return RunFigures(**base, whole=whole, **found)


def _of_asset(metadata: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a run asset says of its steps; None for one that an older release has made."""
    value = getattr(metadata.get(BY_STEP), "value", None)
    return _summed({name: _step(one) for name, one in value.items()}) if isinstance(value, Mapping) else None


def _step(one: Mapping[str, Any]) -> StepFigures:
    models = {
        name: Taken.of(int(used["calls"]), int(used["tokens"]), used["cost"])
        for name, used in (one.get("models") or {}).items()
    }
    taken = Taken.of(int(one.get("calls") or 0), int(one.get("tokens") or 0), one.get("cost", 0.0))
    return StepFigures(one["status"], one.get("seconds"), int(one.get("attempts") or 1), _priced(taken, models), models)


def _priced(taken: Taken, models: Mapping[str, Taken]) -> Taken:
    """A sum with what is known by model: one unknown price does not make the others unknown."""
    if not models or not taken.unpriced:
        return taken
    found = sum(models.values(), Taken())
    return Taken(taken.calls, taken.tokens, found.cost, max(found.unpriced, taken.calls - found.calls))


def _summed(steps: Mapping[str, StepFigures]) -> dict[str, Any]:
    models: dict[str, Taken] = {}
    for step in steps.values():
        for name, taken in step.models.items():
            models[name] = models.get(name, Taken()) + taken
    return {"taken": sum((step.taken for step in steps.values()), Taken()), "models": models, "steps": dict(steps)}


class _Step:
    """What the events of one run say of one step."""

    def __init__(self) -> None:
        self.status: str | None = None
        self.attempts = 1
        self.began: float | None = None
        self.ended: float | None = None
        self.paid: dict[str, UsageInfo] = {}  # by Dagster's step key

    def figures(self) -> StepFigures:
        usage = sum(self.paid.values(), UsageInfo())
        models = {
            name: Taken.of(one.calls, one.input_tokens + one.output_tokens, one.cost)
            for name, one in usage.models.items()
        }
        seconds = self.ended - self.began if self.ended is not None and self.began is not None else None
        taken = _priced(Taken.of(usage.calls, usage.tokens, usage.cost), models)
        return StepFigures(self.status or "interrupted", seconds, self.attempts, taken, models)


def _of_events(instance: DagsterInstance, run_id: str, graph: str) -> dict[str, Any]:
    steps: dict[str, _Step] = {}
    error: tuple[str, str | None] | None = None
    take_as_current(instance, run_id)
    for entry in instance.all_logs(run_id, of_type=_EVENTS):
        event = entry.dagster_event
        if event is None or not (event.step_key or "").startswith(f"{graph}."):
            continue
        name = op_of(event.step_key)
        if event.event_type == DagsterEventType.STEP_FAILURE:
            error = error or _error(event, name)
        if name not in _OURS:
            _read(steps.setdefault(name, _Step()), event, entry.timestamp)
    found = _summed({name: step.figures() for name, step in steps.items()})
    return {**found, "error": error[0] if error else None, "failed_step": error[1] if error else None}


def _read(step: _Step, event: DagsterEvent, at: float) -> None:
    kind, key, part = event.event_type, str(event.step_key), part_of(event.step_key)
    if kind == DagsterEventType.STEP_START:
        step.began = at if step.began is None else step.began
    elif kind == DagsterEventType.STEP_UP_FOR_RETRY:
        step.attempts += 1
    elif kind == DagsterEventType.ENGINE_EVENT:
        usage = usage_of_metadata(event.engine_event_data.metadata)
        if usage != UsageInfo():
            step.paid[key] = usage
    elif kind == DagsterEventType.STEP_FAILURE:
        said = event.step_failure_data.user_failure_data
        step.status, step.ended = "failed", at
        if said is not None and part in ("", "run"):
            step.paid[key] = usage_of_metadata(said.metadata)
    elif kind == DagsterEventType.STEP_SUCCESS:
        if part in ("", "outcome"):
            step.status, step.ended = step.status or "completed", at
    else:
        output, metadata = event.step_output_data.output_name, event.step_output_data.metadata
        if output == {"": "outcome", "decide": "decision", "run": "result"}.get(part):
            step.paid[key] = usage_of_metadata(metadata)
        if output == "outcome":
            step.status = _text(metadata.get("orchestrator/status")) or step.status


def _error(event: DagsterEvent, name: str) -> tuple[str, str | None]:
    said = event.step_failure_data.user_failure_data
    metadata: Mapping[str, Any] = said.metadata if said is not None else {}
    cause = root_cause(event.step_failure_data.error)
    kind = _text(metadata.get("orchestrator/error")) or (cause.cls_name if cause else None) or "Failure"
    return kind, _INDEX.sub("", _text(metadata.get("orchestrator/step")) or name)


def _text(value: object) -> str | None:
    found = getattr(value, "value", value)
    return None if found is None else str(found)


def known_pipelines(instance: DagsterInstance) -> Iterable[str]:
    """The ids of the pipelines that have runs."""
    return sorted(value for _, values in instance.get_run_tags([ID_TAG]) for value in values)
