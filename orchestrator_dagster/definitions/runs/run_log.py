"""The log of a recorded run: from Dagster's event log, the stored outcomes, and the record of calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from dagster import DagsterInstance, DagsterRun, RunsFilter
from dagster._core.storage.tags import PARENT_RUN_ID_TAG

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.definitions.pipelines.launched import products_of
from orchestrator_dagster.definitions.runs.leader import PROCESS_TAG
from orchestrator_dagster.definitions.runs.record import ReadRun, read_run, record_of, running_steps, status_of
from orchestrator_dagster.definitions.runs.recorded import launched_by, partition_of_run
from orchestrator_dagster.definitions.runs.tries import Try
from orchestrator_dagster.definitions.steps.audit import calls_on_record
from orchestrator_dagster.files.remote_files import is_url
from orchestrator_dagster.log.build import Recorded, build_log
from orchestrator_dagster.log.document import Log, LogAttempt, LogRun, RunStatus
from orchestrator_dagster.runtime.record import unreached_steps

if TYPE_CHECKING:
    from upath import UPath


def load_log(instance: DagsterInstance, run_id: str, pipeline: CompiledPipeline) -> Log:
    """The log of a run.

    Args:
        instance: Where it is recorded.
        run_id: The run.
        pipeline: The pipeline that it was launched with.

    Raises:
        RunNotFoundError: There is no such run.
    """
    return log_of(instance, read_run(instance, run_id, pipeline), pipeline)


def load_both(instance: DagsterInstance, run_id: str, pipeline: CompiledPipeline) -> tuple[dict[str, Any], Log]:
    """The result document and the log of a run, which is read once; errors as :func:`load_log`."""
    found = read_run(instance, run_id, pipeline)
    return record_of(found, pipeline), log_of(instance, found, pipeline)


def log_of(instance: DagsterInstance, found: ReadRun, pipeline: CompiledPipeline) -> Log:
    """The log of a run that was read."""
    log, run, chain = found.log, found.run, _since_whole(found.chain)
    tries = log.tries.by_step(pipeline)
    going = found.status == "running"
    calls = list(_calls(instance, found, {one.run_id for one in chain}))
    later = next(iter(instance.get_runs(RunsFilter(tags={PARENT_RUN_ID_TAG: run.run_id}), limit=1)), None)
    return build_log(
        Recorded(
            pipeline=pipeline,
            run_id=run.run_id,
            status=cast("RunStatus", found.status),
            started_at=found.began,
            completed_at=found.ended,
            now=datetime.now(timezone.utc),
            outcomes=log.outcomes,
            unreached=unreached_steps(pipeline, log.outcomes, found.status),
            running=running_steps(found, pipeline),
            attempts={step: [_attempt(one, going, run.run_id) for one in made] for step, made in tries.items()},
            routes={
                pipeline.by_op[op].id: _text(said.get("orchestrator/route"))
                for op, said in log.said.items()
                if op in pipeline.by_op and said.get("orchestrator/route") is not None
            },
            ran_in={pipeline.by_op[op].id: run for op, run in log.ran_in.items() if op in pipeline.by_op},
            runs=[_run(instance, one, log.tries.steps_of(one.run_id, pipeline), found) for one in chain],
            calls=calls,
            inputs=log.opened["values"] if log.opened else {},
            outputs=found.outputs,
            error=log.error or _gone(run, found.status),
            partition=partition_of_run(run),
            asked=products_of(run, pipeline),
            resumed_by=later.run_id if later is not None else None,
            opened=log.opened is not None or bool(log.outcomes),
            notes=tuple(_notes(found, calls)),
        )
    )


def _since_whole(chain: list[DagsterRun]) -> list[DagsterRun]:
    """The runs whose work counts: from the last one on that did all of it anew."""
    whole = max((at for at, run in enumerate(chain) if run.step_keys_to_execute is None), default=0)
    return chain[whole:]


def _attempt(one: Try, going: bool, run: str) -> LogAttempt:
    ended = one.ended if one.ended != "running" or (going and one.run == run) else "interrupted"
    return LogAttempt(
        run=one.run,
        part=one.part,
        number=one.number,
        started_at=one.started_at,
        completed_at=one.completed_at,
        ended=ended,
        error=one.error,
    )


def _run(instance: DagsterInstance, run: DagsterRun, steps: Iterator[str], found: ReadRun) -> LogRun:
    record = instance.get_run_record_by_id(run.run_id)
    began = found.began if record is None or not record.start_time else _time(record.start_time)
    return LogRun(
        id=run.run_id,
        status=cast("RunStatus", status_of(run)),
        launched_by=launched_by(run),
        started_at=began,
        completed_at=_time(record.end_time) if record is not None and record.end_time else None,
        steps=tuple(steps),
    )


def _gone(run: DagsterRun, status: str) -> dict[str, Any] | None:
    """The failure of a run whose process is gone and could not say so."""
    if run.is_finished or status == "running":
        return None
    message = f"the process {run.tags.get(PROCESS_TAG, '')} that led the run is gone"
    return {"type": "RunError", "message": message, "step": None, "location": None, "hint": None}


def _calls(instance: DagsterInstance, found: ReadRun, runs: set[str]) -> Iterator[Mapping[str, Any]]:
    """The calls of these runs, from the record of the root run."""
    root = found.run.root_run_id or found.run.run_id
    base = found.log.base or (None if instance.is_ephemeral else instance.storage_directory())
    if base is None:
        return
    folder = _folder(base) / root
    yield from (one for one in calls_on_record(folder) if one.get("run") in runs)


def _folder(base: str) -> Path | UPath:
    if not is_url(base):
        return Path(base)
    from upath import UPath

    return UPath(base)


def _notes(found: ReadRun, calls: list[Mapping[str, Any]]) -> Iterator[str]:
    log = found.log
    if log.lost:
        names = ", ".join(sorted(log.lost)[:5])
        yield f"what these steps left is not kept any more, only their events are: {names}"
    asked = [one for one in log.outcomes.values() if one.usage.calls and one.status != "skipped"]
    if asked and not calls:
        yield "the record of calls is not kept any more"
    if log.others:
        yield f"the run was also of other pipelines: {', '.join(sorted(log.others)[:5])}"


def _text(value: object) -> str:
    """A text of metadata, as it was given or as Dagster has wrapped it."""
    return str(getattr(value, "value", value))


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)
