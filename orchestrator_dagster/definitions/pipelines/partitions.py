"""The partitions of a pipeline's assets, and which of them a run without a choice is for."""

from __future__ import annotations

from datetime import datetime, timezone

import dagster as dg

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.errors import InputsError
from orchestrator_dagster.text import nearest


def partitions_of(pipeline: CompiledPipeline) -> dg.PartitionsDefinition[str] | None:
    """The partitions in Dagster, None when the pipeline has none. Those of time are in UTC."""
    partitions = pipeline.partitions
    if partitions is None:
        return None
    if partitions.static is not None:
        return dg.StaticPartitionsDefinition(list(partitions.static))
    start = partitions.start
    assert start is not None
    start = start.replace(tzinfo=timezone.utc)
    if partitions.kind == "hourly":
        return dg.HourlyPartitionsDefinition(start)
    if partitions.kind == "daily":
        return dg.DailyPartitionsDefinition(start)
    if partitions.kind == "weekly":
        return dg.WeeklyPartitionsDefinition(start)
    return dg.MonthlyPartitionsDefinition(start)


def partitions_at(pipeline: CompiledPipeline, at: datetime) -> list[str | None]:
    """The partitions that a schedule or trigger starts runs for at a time.

    Of hours, days, weeks and months it is the last one that has ended, none before the first has; of static ones it is
    every one. A pipeline without partitions has one run, for None.
    """
    definition = partitions_of(pipeline)
    if definition is None:
        return [None]
    if isinstance(definition, dg.StaticPartitionsDefinition):
        return list(definition.get_partition_keys())
    with dg.partition_loading_context(effective_dt=at.astimezone(timezone.utc)):
        last = definition.get_last_partition_key()
    return [] if last is None else [last]


def checked_partition(pipeline: CompiledPipeline, partition: str | None) -> str | None:
    """The partition that a run is asked for.

    Raises:
        InputsError: There is no such partition, none is named, or the pipeline has none.
    """
    definition = partitions_of(pipeline)
    if definition is None:
        if partition is None:
            return None
        raise InputsError(
            f'"{pipeline.id}" cannot run for a partition', [f'it has no partitions, and "{partition}" was asked for']
        )
    known = list(definition.get_partition_keys())
    if partition in known:
        return partition
    some = ", ".join(known if len(known) <= 8 else [*known[:3], "…", *known[-3:]]) or "none has ended yet"
    problem = (
        f"a partition has to be named: {some}"
        if partition is None
        else f'there is no partition "{partition}"{nearest(partition, known) or f"; there is {some}"}'
    )
    hint = "name it: `--partition KEY`, or `partition=` in Python"
    raise InputsError(f'"{pipeline.id}" runs for one partition', [problem], hint=hint)
