"""Runs from the command and from Python: led by this process, recorded in the instance like any other run."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import DagsterInstance
from dagster._core.errors import DagsterExecutionInterruptedError
from dagster._core.execution.api import execute_run_iterator
from dagster._core.storage.tags import PARTITION_NAME_TAG

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.definitions.executors.executor import was_interrupted
from orchestrator_dagster.definitions.instance.home import leave_logging_alone
from orchestrator_dagster.definitions.instance.recording import recording
from orchestrator_dagster.definitions.pipelines.asset_values import missing_before
from orchestrator_dagster.definitions.pipelines.jobs import launch_config
from orchestrator_dagster.definitions.pipelines.launched import PRODUCTS_TAG, kept_tags
from orchestrator_dagster.definitions.pipelines.ops import check_folder
from orchestrator_dagster.definitions.pipelines.partitions import checked_partition
from orchestrator_dagster.definitions.resources import WorkspaceResource
from orchestrator_dagster.definitions.runs.command_job import LOGGERS, command_job
from orchestrator_dagster.definitions.runs.leader import give_up, lead, process_tags
from orchestrator_dagster.definitions.runs.record import load_record
from orchestrator_dagster.definitions.steps.item_progress import OnItems, forget_items, watch_items
from orchestrator_dagster.definitions.steps.progress import OnProgress, Progress, progress_of
from orchestrator_dagster.errors import InputsError
from orchestrator_dagster.project.loading import refuse_unsupported
from orchestrator_dagster.runtime.inputs import complete_inputs
from orchestrator_dagster.runtime.names import RunInfo

_log = logging.getLogger(__name__)


def run_pipeline(
    pipeline: CompiledPipeline,
    inputs: Mapping[str, Any],
    *,
    root: Path,
    instance: DagsterInstance,
    resources: Mapping[str, Any] | None = None,
    products: Sequence[str] | None = None,
    partition: str | None = None,
    completed: Mapping[str, Any] | None = None,
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Run a pipeline and wait for its end; its executor decides where the steps run.

    Args:
        pipeline: The pipeline.
        inputs: Values of its inputs, those without default at least.
        root: The workspace root.
        instance: Where the run is recorded.
        resources: Resources instead of the usual ones.
        products: Variables whose products are wanted, None for the whole pipeline.
        partition: Key of the partition that is to be made, when the pipeline has partitions.
        completed: The inputs as ``complete_inputs`` gives them, where the caller has done that.
        on_progress: Called in this thread for every event of a step.

    Returns:
        The result document, also of a run that failed or was interrupted.

    Raises:
        PipelineError: The pipeline says what this release does not run; no run was made.
        InputsError: The inputs or the partition are wrong; no run was made.
        ExecutorError: The pipeline's executor cannot be used here; no run was made.
        RecordingError: The instance's disk is full, or its database held by another process. What the run has left
            until then can be resumed.
    """
    refuse_unsupported(pipeline)
    partition = checked_partition(pipeline, partition)
    values = completed
    if values is None:
        values = complete_inputs(pipeline, inputs, RunInfo("", datetime.now(timezone.utc), partition))
    config = launch_config(pipeline, _as_given(values, inputs), LOGGERS)
    job = command_job(pipeline, root=root, instance=instance, resources=resources, products=products)
    made = job.get_definition()
    resource = (resources or {}).get("workspace", WorkspaceResource(root=str(root)))
    if isinstance(resource, WorkspaceResource):  # else what is there in its place is asked in the run
        check_folder(pipeline, str(values["output_dir"]), resource.workspace())
    if pipeline.asset_inputs:
        selected = None if products is None else [one.key for one in pipeline.products if one.variable in products]
        with recording(instance):
            if problems := missing_before(pipeline, instance, root, selected):
                raise InputsError(f'the inputs of "{pipeline.id}" cannot be loaded', problems)
    tags = {**made.run_tags, **process_tags()}
    if partition is not None:
        tags[PARTITION_NAME_TAG] = partition
    if products is not None:
        tags[PRODUCTS_TAG] = ",".join(products)
    with recording(instance):
        tags |= kept_tags(pipeline, root, instance)
        run = instance.create_run_for_job(made, run_config=config, tags=tags)
    with recording(instance, run.run_id):
        watch(execute_run_iterator(job, run, instance), run, instance, pipeline, on_progress)
        return load_record(instance, run.run_id, pipeline)


def watch(
    events: Iterator[dg.DagsterEvent],
    run: dg.DagsterRun,
    instance: DagsterInstance,
    pipeline: CompiledPipeline,
    on_progress: OnProgress | None,
) -> None:
    """Let the run go on to its end; an interrupt (Ctrl-C) ends it as canceled."""
    leave_logging_alone(instance)
    if on_progress is not None:
        watch_items(run.run_id, _as_progress(on_progress))
    lead(run.run_id)
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
    finally:
        give_up(run.run_id)
        forget_items(run.run_id)


def _as_progress(on_progress: OnProgress) -> OnItems:
    """Items as events of progress. What the callback raises is the callback's: an item is done all the same."""

    def tell(step: str, done: int, total: int | None) -> None:
        try:
            on_progress(Progress("items", step, items_done=done, items_total=total))
        except Exception:
            _log.warning("a callback of progress failed", exc_info=True)

    return tell


def given_inputs(pipeline: CompiledPipeline, inputs: Mapping[str, Any], partition: str | None) -> dict[str, Any]:
    """The inputs as the launchpad would give them: of their declared types."""
    return _as_given(complete_inputs(pipeline, inputs, RunInfo("", datetime.now(timezone.utc), partition)), inputs)


def _as_given(values: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in inputs if name in values}
