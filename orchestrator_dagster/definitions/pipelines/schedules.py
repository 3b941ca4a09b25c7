"""The schedules of a pipeline: ticks of the clock that start its job."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from zoneinfo import ZoneInfo

import dagster as dg
from dagster import RunRequest, ScheduleEvaluationContext, SkipReason
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.definitions.pipelines.jobs import launch_config
from orchestrator_dagster.definitions.pipelines.partitions import partitions_at
from orchestrator_dagster.definitions.steps.metadata import code_reference
from orchestrator_dagster.language.pipeline import Schedule
from orchestrator_dagster.runtime.launches import launch_inputs


def pipeline_schedules(pipeline: CompiledPipeline, job: UnresolvedAssetJobDefinition) -> list[dg.ScheduleDefinition]:
    """The schedules: ``<op>_schedule``, or ``<op>_schedule_1``, ``_2`` … when there are several."""
    return [
        dg.ScheduleDefinition(
            name=numbered(f"{pipeline.op}_schedule", number, len(pipeline.schedules)),
            cron_schedule=schedule.cron,
            execution_timezone=schedule.timezone,
            job=job,
            execution_fn=_evaluation(pipeline, schedule),
            default_status=(dg.DefaultScheduleStatus.RUNNING if schedule.enabled else dg.DefaultScheduleStatus.STOPPED),
            description=f"{pipeline.name or pipeline.id}: {schedule.cron} ({schedule.timezone})",
            metadata=code_reference(pipeline),
        )
        for number, schedule in enumerate(pipeline.schedules, 1)
    ]


def numbered(name: str, number: int, count: int) -> str:
    """The name of one of several: with its number, when it is not the only one.

    >>> numbered("a_schedule", 1, 1), numbered("a_schedule", 2, 3)
    ('a_schedule', 'a_schedule_2')
    """
    return name if count == 1 else f"{name}_{number}"


def _evaluation(
    pipeline: CompiledPipeline, schedule: Schedule
) -> Callable[[ScheduleEvaluationContext], Iterator[RunRequest | SkipReason]]:
    def evaluate(context: ScheduleEvaluationContext) -> Iterator[RunRequest | SkipReason]:
        at = context.scheduled_execution_time.astimezone(ZoneInfo(schedule.timezone))
        partitions = partitions_at(pipeline, at)
        if not partitions:
            yield SkipReason("the first partition has not ended yet")
        for partition in partitions:
            # The key tells the runs of one tick apart; that a tick has its runs once is seen to by Dagster.
            yield RunRequest(
                run_key=partition,
                run_config=launch_config(pipeline, launch_inputs(pipeline, schedule.inputs, at, partition=partition)),
                partition_key=partition,
            )

    return evaluate
