"""The triggers of a pipeline as sensors: new or changed files, and new materializations of an asset."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

import dagster as dg
from dagster import EventLogRecord, RunRequest, SensorEvaluationContext, SensorResult
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.definitions.pipelines.jobs import launch_config
from orchestrator_dagster.definitions.pipelines.partitions import partitions_at, partitions_of
from orchestrator_dagster.definitions.pipelines.schedules import numbered
from orchestrator_dagster.definitions.steps.metadata import code_reference
from orchestrator_dagster.errors import InputsError
from orchestrator_dagster.language.absent import Absent
from orchestrator_dagster.language.pipeline import Trigger
from orchestrator_dagster.runtime.launches import launch_inputs
from orchestrator_dagster.runtime.watched_files import FileCursor, watched_files

#: The most runs that one tick starts, unless one file or materialization alone has more partitions. What is left
#: waits for the next tick, so that a full inbox does not flood the queue of runs.
MOST_RUNS = 20
#: Seconds between two ticks; Dagster's own default.
INTERVAL = 30
_NO_PARTITION = "the first partition has not ended yet"

_Evaluation = Callable[[SensorEvaluationContext], SensorResult]


def pipeline_triggers(pipeline: CompiledPipeline, job: UnresolvedAssetJobDefinition) -> list[dg.SensorDefinition]:
    """The sensors: ``<op>_trigger``, or ``<op>_trigger_1``, ``_2`` … when there are several."""
    return [
        dg.SensorDefinition(
            name=numbered(f"{pipeline.op}_trigger", number, len(pipeline.triggers)),
            evaluation_fn=_files(pipeline, trigger) if trigger.files is not None else _asset(pipeline, trigger),
            job=job,
            minimum_interval_seconds=INTERVAL,
            default_status=dg.DefaultSensorStatus.RUNNING if trigger.enabled else dg.DefaultSensorStatus.STOPPED,
            required_resource_keys={"workspace"} if trigger.files is not None else None,
            description=f"{pipeline.name or pipeline.id}: {_about(trigger)}",
            metadata=code_reference(pipeline),
        )
        for number, trigger in enumerate(pipeline.triggers, 1)
    ]


def _about(trigger: Trigger) -> str:
    return f"files {trigger.files}" if trigger.files is not None else f"the asset {trigger.asset}"


def _files(pipeline: CompiledPipeline, trigger: Trigger) -> _Evaluation:
    """Each new or changed file starts one run, once it is as it was a tick ago."""
    pattern = trigger.files
    assert pattern is not None

    def evaluate(context: SensorEvaluationContext) -> SensorResult:
        if not partitions_at(pipeline, datetime.now(timezone.utc)):
            return SensorResult(skip_reason=_NO_PARTITION, cursor=context.cursor)
        found = watched_files(context.resources.workspace.workspace(), pattern)
        cursor = FileCursor.read(context.cursor)
        ready, waiting = cursor.look(found)
        launches = _Launches(pipeline, trigger, context)
        for file in ready:
            if launches.full:
                break
            launches.add(f"{file.path}:{file.stamp}", {"file": file.fields()}, file.path)
            cursor.take(file)
        left = len(ready) - launches.handled
        number = f"{len(found)} file{'' if len(found) == 1 else 's'}"
        why = f"{number}; {waiting} new or changed ones wait for the next tick, {left} for their turn"
        return launches.result(cursor.text(), why)

    return evaluate


def _asset(pipeline: CompiledPipeline, trigger: Trigger) -> _Evaluation:
    """Each new materialization starts one run; at the first tick the latest one counts, as with Dagster's own."""
    name = str(trigger.asset)
    key = dg.AssetKey(name.split("/"))
    definition = partitions_of(pipeline)

    def evaluate(context: SensorEvaluationContext) -> SensorResult:
        if not partitions_at(pipeline, datetime.now(timezone.utc)):
            return SensorResult(skip_reason=_NO_PARTITION, cursor=context.cursor)
        seen = int(context.cursor) if context.cursor else None
        records = context.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=key, after_storage_id=seen),
            limit=1 if seen is None else MOST_RUNS,
            ascending=seen is not None,
        ).records
        launches = _Launches(pipeline, trigger, context)
        for record in records:
            if launches.full:
                break
            own = record.partition_key
            partitions = [own] if own and definition and definition.has_partition_key(own) else None
            launches.add(str(record.storage_id), _asset_names(record, name), name, partitions)
            seen = record.storage_id
        # Without any materialization so far, the next one is new whenever it comes.
        return launches.result(str(seen or 0), f"no new materialization of {name}")

    return evaluate


def _asset_names(record: EventLogRecord, key: str) -> dict[str, Any]:
    made = record.asset_materialization
    metadata = made.metadata if made else {}
    path = next((metadata[name].value for name in ("orchestrator/path", "path") if name in metadata), None)
    at = datetime.fromtimestamp(record.timestamp, timezone.utc)
    return {
        "asset": {
            "key": key,
            "path": str(path) if path is not None else Absent("the materialization names no file"),
            "partition": record.partition_key or Absent("the materialization has no partition"),
            "run_id": record.run_id,
            "timestamp": at.isoformat(timespec="seconds"),
        }
    }


class _Launches:
    """The runs that one tick asks for."""

    def __init__(self, pipeline: CompiledPipeline, trigger: Trigger, context: SensorEvaluationContext) -> None:
        self.pipeline = pipeline
        self.trigger = trigger
        self.context = context
        self.at = datetime.now(timezone.utc)
        self.requests: list[RunRequest] = []
        self.refused: list[str] = []
        self.handled = 0

    @property
    def full(self) -> bool:
        """Whether the rest waits for the next tick."""
        return len(self.requests) >= MOST_RUNS

    def add(self, key: str, names: Mapping[str, Any], what: str, partitions: list[str] | None = None) -> None:
        """Ask for the runs of one file or materialization; one whose inputs are wrong is logged and has none."""
        self.handled += 1
        try:
            self.requests += [
                RunRequest(
                    # Dagster starts a run of a key once, also when a tick is repeated because its end was lost.
                    run_key=key if partition is None else f"{key}:{partition}",
                    run_config=launch_config(
                        self.pipeline,
                        launch_inputs(self.pipeline, self.trigger.inputs, self.at, partition=partition, names=names),
                    ),
                    partition_key=partition,
                )
                for partition in partitions or partitions_at(self.pipeline, self.at)
            ]
        except InputsError as error:
            self.context.log.error("%s starts no run: %s", what, error)
            self.refused.append(f"{what} starts no run: {error}")

    def result(self, cursor: str, otherwise: str) -> SensorResult:
        """What the tick comes to; ``otherwise`` says why it starts nothing."""
        if self.requests:
            return SensorResult(run_requests=self.requests, cursor=cursor)
        return SensorResult(skip_reason="\n".join(self.refused) or otherwise, cursor=cursor)
