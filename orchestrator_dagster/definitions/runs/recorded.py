"""Recorded runs found again: by id, by the beginning of one, the last ones; each with the pipeline that it was of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from dagster import DagsterInstance, DagsterRun, RunsFilter
from dagster._core.storage.dagster_run import RunRecord
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_START_TAG,
    BACKFILL_ID_TAG,
    PARTITION_NAME_TAG,
    SCHEDULE_NAME_TAG,
    SENSOR_NAME_TAG,
)

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.definitions.pipelines.jobs import FINGERPRINT_TAG
from orchestrator_dagster.definitions.pipelines.launched import ID_TAG, PIPELINE_TAG, is_of, pipeline_kept
from orchestrator_dagster.definitions.runs.record import status_of
from orchestrator_dagster.errors import LogError, RunNotFoundError
from orchestrator_dagster.project.kept_pipelines import DIGITS
from orchestrator_dagster.text import nearest

#: The fewest characters of an id that may stand for it, and how many are shown.
FEWEST, SHOWN = 4, 8
_LAST = 5


def find_run(run_id: str, instance: DagsterInstance) -> DagsterRun:
    """The run with an id, or the only one whose id begins so.

    Raises:
        RunNotFoundError: There is none, or there are several.
    """
    run = instance.get_run_by_id(run_id)
    if run is not None:
        return run
    asked = run_id.strip().lower()
    known = instance.get_run_ids()  # the ids alone: quick for many thousands of runs
    found = [one for one in known if one.startswith(asked)] if len(asked) >= FEWEST else []
    if len(found) == 1:
        run = instance.get_run_by_id(found[0])
        if run is not None:
            return run
    if found:
        raise RunNotFoundError(
            f'several runs begin with "{run_id}": {", ".join(found[:_LAST])}', hint="give more of the id"
        )
    near = nearest(asked[:SHOWN], {one[:SHOWN] for one in known}) if len(asked) >= FEWEST else ""
    raise RunNotFoundError(f'there is no run "{run_id}"{near}', hint=_last_runs(instance))


def _last_runs(instance: DagsterInstance) -> str:
    runs = instance.get_runs(limit=_LAST)
    if not runs:
        return "nothing has been run yet"
    said = ", ".join(f"{one.run_id[:SHOWN]} ({pipeline_name(one)}, {one.status.value.lower()})" for one in runs[1:])
    last = f"the last run is {runs[0].run_id} ({runs[0].status.value.lower()})"
    return f"{last}; before it: {said}" if said else last


def pipeline_name(run: DagsterRun) -> str:
    """The id of a run's pipeline, or the name of its job."""
    return run.tags.get(ID_TAG) or run.job_name


def last_run(instance: DagsterInstance, pipeline: str | None = None) -> DagsterRun:
    """The run that was launched last, of all or of one pipeline.

    Raises:
        RunNotFoundError: There is none.
    """
    filters = RunsFilter(tags={ID_TAG: pipeline}) if pipeline else None
    for run in instance.get_runs(filters, limit=1):
        return run
    if pipeline:
        known = {one.tags[ID_TAG] for one in instance.get_runs(limit=200) if ID_TAG in one.tags}
        raise RunNotFoundError(f'no run of "{pipeline}" is recorded{nearest(pipeline, known)}')
    raise RunNotFoundError("nothing has been run yet", hint="`orchestrator run FILE` runs a pipeline")


def pipeline_of_run(
    run: DagsterRun, instance: DagsterInstance, given: CompiledPipeline | None = None
) -> CompiledPipeline:
    """The pipeline that a run was launched with.

    Args:
        run: The run.
        instance: Where it is recorded.
        given: A pipeline that may be it: it is taken where the one of the launch is not kept.

    Raises:
        LogError: It is not kept, and none, or another one, is given.
    """
    kept = pipeline_kept(run, instance)
    if given is None:
        if kept is not None:
            return kept
        raise LogError(
            f"the pipeline that the run {run.run_id[:SHOWN]} was launched with is not kept, or not readable here",
            hint="give its file with --file"
            if PIPELINE_TAG in run.tags or FINGERPRINT_TAG in run.tags
            else f'the run is one of the job "{run.job_name}"; look at it in the UI (`orchestrator dev`)',
        )
    if kept is not None and kept.id == given.id:
        return kept
    same = run.tags.get(FINGERPRINT_TAG) == given.fingerprint[:DIGITS]
    if not same and not is_of(run, given):
        raise LogError(
            f'the run {run.run_id[:SHOWN]} is none of the pipeline "{given.id}", but of "{pipeline_name(run)}"',
            hint="give the file of that pipeline, or none",
        )
    return given


def launched_by(run: DagsterRun) -> str:
    """Who launched a run: a schedule, a sensor, a backfill, the UI, another client of Dagster, or a process."""
    tags = run.tags
    for tag, what in ((SCHEDULE_NAME_TAG, "schedule"), (SENSOR_NAME_TAG, "sensor"), (BACKFILL_ID_TAG, "backfill")):
        if tag in tags:
            return f"{what} {tags[tag]}"
    if run.remote_job_origin is None:
        return "command or Python"
    return "the UI" if "dagster/from_ui" in tags else "Dagster"


def partition_of_run(run: DagsterRun) -> str | None:
    """The partition that a run has made; of a range of them the first."""
    return run.tags.get(PARTITION_NAME_TAG) or run.tags.get(ASSET_PARTITION_RANGE_START_TAG)


@dataclass(frozen=True)
class RunLine:
    """A recorded run in one line. ``seconds`` is None where it has not begun."""

    id: str
    pipeline: str
    status: str
    started_at: datetime
    seconds: float | None
    launched_by: str
    resumes: str | None


def recent_runs(instance: DagsterInstance, limit: int, pipeline: str | None = None) -> Sequence[RunLine]:
    """The runs that were launched last, the newest first.

    Args:
        instance: Where they are recorded.
        limit: How many.
        pipeline: The id of their pipeline, None for all.
    """
    filters = RunsFilter(tags={ID_TAG: pipeline}) if pipeline else None
    return [_line(record) for record in instance.get_run_records(filters, limit=limit)]


def _line(record: RunRecord) -> RunLine:
    run = record.dagster_run
    began = datetime.fromtimestamp(record.start_time, timezone.utc) if record.start_time else record.create_timestamp
    end = record.end_time or (None if run.is_finished else datetime.now(timezone.utc).timestamp())
    seconds = round(end - record.start_time, 3) if end and record.start_time else None
    parent = run.parent_run_id[:SHOWN] if run.parent_run_id else None
    return RunLine(run.run_id, pipeline_name(run), status_of(run), began, seconds, launched_by(run), parent)
