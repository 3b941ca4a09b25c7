"""Runs from the command and from Python: in this process, recorded in the instance like any other run."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import DagsterInstance
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.errors import DagsterExecutionInterruptedError
from dagster._core.execution.api import execute_run_iterator
from dagster._core.storage.tags import PARTITION_NAME_TAG

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.definitions.assets import pipeline_assets
from orchestrator_dagster.definitions.executor import default_executor, was_interrupted
from orchestrator_dagster.definitions.factory import default_resources
from orchestrator_dagster.definitions.jobs import job_name, launch_config, pipeline_job
from orchestrator_dagster.definitions.partitions import checked_partition
from orchestrator_dagster.definitions.progress import OnProgress, progress_of
from orchestrator_dagster.definitions.record import load_record
from orchestrator_dagster.errors import InputsError
from orchestrator_dagster.runtime.inputs import complete_inputs
from orchestrator_dagster.runtime.names import RunInfo
from orchestrator_dagster.text import nearest


def _silent(context: dg.InitLoggerContext) -> logging.Logger:
    logger = logging.Logger("orchestrator_dagster.run", level=logging.CRITICAL)
    logger.addHandler(logging.NullHandler())
    return logger


_LOGGERS = ("quiet",)
_quiet = dg.LoggerDefinition(_silent, description="Says nothing on the terminal: the event log has it all.")


def run_pipeline(
    pipeline: CompiledPipeline,
    inputs: Mapping[str, Any],
    *,
    root: Path,
    instance: DagsterInstance,
    resources: Mapping[str, Any] | None = None,
    products: Sequence[str] | None = None,
    partition: str | None = None,
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Run a pipeline in this process and wait for its end.

    Args:
        pipeline: The pipeline.
        inputs: Values of its inputs, those without default at least.
        root: The workspace root.
        instance: Where the run is recorded.
        resources: Resources instead of the usual ones.
        products: Variables whose products are wanted, None for the whole pipeline.
        partition: Key of the partition that is to be made, when the pipeline has partitions.
        on_progress: Called in this thread for every event of a step.

    Returns:
        The result document, also of a run that failed or was interrupted.

    Raises:
        InputsError: The inputs or the partition are wrong; no run was made.
    """
    partition = checked_partition(pipeline, partition)
    config = launch_config(pipeline, _given(pipeline, inputs, partition), _LOGGERS)
    job = _job(pipeline, root, resources, _selection(pipeline, products))
    tags = {**job.run_tags, PARTITION_NAME_TAG: partition} if partition is not None else job.run_tags
    run = instance.create_run_for_job(job, run_config=config, tags=tags)
    _watch(execute_run_iterator(InMemoryJob(job), run, instance), run, instance, pipeline, on_progress)
    return load_record(instance, run.run_id, pipeline)


def _watch(
    events: Iterator[dg.DagsterEvent],
    run: dg.DagsterRun,
    instance: DagsterInstance,
    pipeline: CompiledPipeline,
    on_progress: OnProgress | None,
) -> None:
    """Let the run go on to its end; an interrupt (Ctrl-C) ends it as canceled."""
    try:
        for event in events:
            if was_interrupted(event):
                # Dagster ends a run as failed unless it was told before that it is being canceled.
                instance.report_run_canceling(run, "The run was interrupted.")
            progress = progress_of(event, pipeline) if on_progress else None
            if progress is not None and on_progress is not None:
                on_progress(progress)
    except (KeyboardInterrupt, DagsterExecutionInterruptedError):
        found = instance.get_run_by_id(run.run_id)
        if found is not None and not found.is_finished:
            instance.report_run_canceled(found, "The run was interrupted.")


def _job(
    pipeline: CompiledPipeline,
    root: Path,
    resources: Mapping[str, Any] | None,
    only: Collection[dg.AssetKey] | None,
) -> dg.JobDefinition:
    assets = pipeline_assets(pipeline)
    definitions = dg.Definitions(
        assets=[assets],
        jobs=[pipeline_job(pipeline, assets, only, loggers=_LOGGERS)],
        resources={**default_resources(root), **(resources or {})},
        executor=default_executor(),
    )
    return definitions.resolve_job_def(job_name(pipeline)).with_logger_defs({"quiet": _quiet})


def _selection(pipeline: CompiledPipeline, products: Sequence[str] | None) -> list[dg.AssetKey] | None:
    """The assets of the products wanted.

    Raises:
        InputsError: A name is no product; with the nearest one.
    """
    if products is None:
        return None
    keys = {one.variable: dg.AssetKey(one.key) for one in pipeline.products}
    problems = [f'there is no product "{name}"{nearest(name, keys)}' for name in products if name not in keys]
    if problems or not products:
        raise InputsError(f'the products wanted of "{pipeline.id}" are wrong', problems or ["no product is named"])
    return [keys[name] for name in products]


def _given(pipeline: CompiledPipeline, inputs: Mapping[str, Any], partition: str | None) -> dict[str, Any]:
    """The inputs as the launchpad would give them: of their declared types."""
    checked = complete_inputs(pipeline, inputs, RunInfo("", datetime.now(timezone.utc), partition))
    return {name: checked[name] for name in inputs if name in checked}
