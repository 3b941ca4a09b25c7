"""Resuming a run: what is done stays done; what failed, what was never reached, and what comes after that runs.

Dagster's own "re-execute from failure" sees the ops that raised. This also repairs failures that were kept as values
(`on_failure: continue` or `skip`, failed items of loops), and what a killed process has left between two ops.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagster import DagsterInstance, DagsterRun, RunsFilter
from dagster._core.definitions.job_base import IJob
from dagster._core.execution.api import create_execution_plan, execute_run_iterator
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.plan.state import KnownExecutionState
from dagster._core.storage.tags import PARENT_RUN_ID_TAG, PARTITION_NAME_TAG, ROOT_RUN_ID_TAG

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.definitions.instance.recording import recording
from orchestrator_dagster.definitions.pipelines.jobs import FINGERPRINT_TAG, launch_config
from orchestrator_dagster.definitions.pipelines.launched import (
    PRODUCTS_TAG,
    ROOT_TAG,
    inputs_of,
    is_of,
    kept_tags,
    pipeline_kept,
    products_of,
)
from orchestrator_dagster.definitions.runs.command_job import LOGGERS, command_job
from orchestrator_dagster.definitions.runs.execution import given_inputs, watch
from orchestrator_dagster.definitions.runs.leader import HOST_TAG, PROCESS_TAG, is_alive, process_tags
from orchestrator_dagster.definitions.runs.record import ancestry, load_record, read_chain
from orchestrator_dagster.definitions.runs.recorded import find_run
from orchestrator_dagster.definitions.runs.unfinished import Done, same_input, steps_to_run
from orchestrator_dagster.definitions.steps.progress import OnProgress
from orchestrator_dagster.errors import ResumeError, RunNotFoundError
from orchestrator_dagster.files.stored_files import is_left_behind
from orchestrator_dagster.project.kept_pipelines import DIGITS
from orchestrator_dagster.project.loading import refuse_unsupported

#: Tags of Dagster's own that a resumed run takes over: those of its partition.
_KEPT_TAGS = ("dagster/partition", "dagster/asset_partition")


def resume_run(
    run_id: str,
    *,
    root: Path,
    instance: DagsterInstance,
    pipeline: CompiledPipeline | None = None,
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Go on with a run that failed, was stopped, or whose process is gone, and wait for the end.

    Args:
        run_id: The run, or the beginning of its id.
        root: The workspace root.
        instance: Where the run is recorded.
        pipeline: The pipeline as it is now, None for the one that the run was launched with. Steps that have changed
            since run again, with what comes after them.
        on_progress: Called in this thread for every event of a step.

    Returns:
        The result document of the new run: it has every step, also those that were done before.

    Raises:
        ResumeError: There is no such run, it is still going on, it is complete, or its pipeline is not kept.
    """
    parent = _find(run_id, instance)
    _check_ended(parent, instance)
    _check_newest(parent, instance)
    before = _pipeline_before(parent, instance, pipeline)
    pipeline = pipeline or before
    if not is_of(parent, before) or pipeline.id != before.id:
        raise ResumeError(
            f'the run {parent.run_id[:8]} is not one of the pipeline "{pipeline.id}" alone',
            hint="re-execute it in the UI (`orchestrator dev`)",
        )
    refuse_unsupported(pipeline)
    launched = Path(parent.tags.get(ROOT_TAG, root))
    root = launched if launched.is_dir() else root
    products = products_of(parent, before)
    job = command_job(pipeline, root=root, instance=instance, products=products)
    work = _work(job, parent, pipeline, before, instance)
    _remove_halves(root, work.output_dir)
    made = job.get_definition()
    tags = {name: value for name, value in parent.tags.items() if not name.startswith("dagster/")}
    tags |= {name: value for name, value in parent.tags.items() if name.startswith(_KEPT_TAGS)}
    if products is not None:
        tags[PRODUCTS_TAG] = ",".join(products)
    first = parent.root_run_id or parent.run_id
    with recording(instance, parent.run_id):
        run = instance.create_run_for_job(
            made,
            execution_plan=work.plan,
            run_config=work.config,
            tags={
                **tags,
                **made.run_tags,
                **process_tags(),
                **kept_tags(pipeline, root, instance),
                PARENT_RUN_ID_TAG: parent.run_id,
                ROOT_RUN_ID_TAG: first,
            },
            root_run_id=first,
            parent_run_id=parent.run_id,
        )
    with recording(instance, run.run_id):
        watch(execute_run_iterator(job, run, instance), run, instance, pipeline, on_progress)
        return load_record(instance, run.run_id, pipeline)


@dataclass(frozen=True)
class _Work:
    """What is left to do: Dagster's plan of it, the run config, and where the products are when that is known."""

    plan: ExecutionPlan
    config: Mapping[str, Any]
    output_dir: str | None


def _work(
    job: IJob, parent: DagsterRun, pipeline: CompiledPipeline, before: CompiledPipeline, instance: DagsterInstance
) -> _Work:
    """What is left to do of a run.

    Raises:
        ResumeError: Nothing is, or what was done is gone.
        InputsError: The inputs of the launch do not fit the pipeline as it is now.
    """
    chain = ancestry(instance, parent)
    log, done = read_chain(instance, chain, before), Done(chain, instance)
    # What the launch gave, and the defaults of then; an input that is declared otherwise now is taken as it is now.
    values = log.opened["values"] if log.opened else {}
    inputs = {name: value for name, value in values.items() if same_input(name, pipeline, before)}
    inputs |= {name: value for name, value in inputs_of(chain[0], before).items() if name in pipeline.inputs}
    inputs = {name: value for name, value in inputs.items() if name not in pipeline.asset_inputs}
    config = launch_config(pipeline, given_inputs(pipeline, inputs, parent.tags.get(PARTITION_NAME_TAG)), LOGGERS)
    plan = create_execution_plan(job, config)
    in_plan = {handle.to_key() for handle in plan.step_dict}
    keys = steps_to_run(pipeline, before, log, done, in_plan)
    closing = f"{pipeline.op}.finish"
    if not keys and not parent.is_success and closing in in_plan:
        keys = [closing]  # everything was done, and its process was gone before it could say so
    if not keys:
        raise ResumeError(f"the run {parent.run_id[:8]} is complete: nothing is left to do")
    if not done.keys or parent.execution_plan_snapshot_id is None:
        return _Work(plan, config, values.get("output_dir"))
    known = KnownExecutionState.build_for_reexecution(instance, parent).update_for_step_selection(keys)
    return _Work(
        create_execution_plan(job, config, step_keys_to_execute=keys, known_state=known),
        config,
        values.get("output_dir"),
    )


def _remove_halves(root: Path, output_dir: str | None) -> None:
    """Remove what killed processes were writing among the products: it would stay there for ever."""
    if not output_dir:
        return
    folder = (root / output_dir).resolve()
    if not folder.is_relative_to(root.resolve()):  # what else may be there is nobody's business
        return
    for place, _, names in os.walk(folder):
        for name in filter(is_left_behind, names):
            with suppress(OSError):
                (Path(place) / name).unlink()


def pipeline_of(run_id: str, instance: DagsterInstance) -> CompiledPipeline:
    """The pipeline that a run was launched with.

    Raises:
        ResumeError: There is no such run, or its pipeline is not kept.
    """
    run = _find(run_id, instance)
    kept = pipeline_kept(run, instance)
    if kept is None:
        raise ResumeError(
            f"the pipeline that the run {run.run_id[:8]} was launched with is not kept",
            hint="give its file: `orchestrator resume RUN_ID --file FILE`",
        )
    return kept


def _find(run_id: str, instance: DagsterInstance) -> DagsterRun:
    """The run with an id, or the only one whose id begins so.

    Raises:
        ResumeError: There is none, or there are several.
    """
    try:
        return find_run(run_id, instance)
    except RunNotFoundError as error:
        raise ResumeError(error.message, hint=error.hint) from None


def _check_ended(run: DagsterRun, instance: DagsterInstance) -> None:
    """A run can be resumed when it has ended; one whose process is gone ends here.

    Raises:
        ResumeError: It is still going on, or nobody here can know.
    """
    if run.is_finished:
        return
    process, host, alive = run.tags.get(PROCESS_TAG), run.tags.get(HOST_TAG), is_alive(run)
    if alive is None:
        where = f"on {host}" if host else "in Dagster"
        raise ResumeError(
            f"the run {run.run_id[:8]} has not ended: it is {run.status.value.lower().replace('_', ' ')} {where}",
            hint="wait for its end, or terminate it in the UI",
        )
    if alive:
        raise ResumeError(
            f"the run {run.run_id[:8]} is still going on, in the process {process}",
            hint=f"wait for its end, or stop it: `kill -INT {process}`",
        )
    instance.report_run_failed(run, f"The process {process} that led the run is gone.")


def _check_newest(run: DagsterRun, instance: DagsterInstance) -> None:
    """A run is resumed once: what comes next goes on from there.

    Raises:
        ResumeError: It has been resumed.
    """
    later = next(iter(instance.get_runs(RunsFilter(tags={PARENT_RUN_ID_TAG: run.run_id}), limit=1)), None)
    if later is not None:
        raise ResumeError(
            f"the run {run.run_id[:8]} has been resumed or re-executed before, as {later.run_id[:8]}"
            f" ({later.status.value.lower()})",
            hint=None if later.is_success else f"go on from there: `orchestrator resume {later.run_id[:8]}`",
        )


def _pipeline_before(run: DagsterRun, instance: DagsterInstance, pipeline: CompiledPipeline | None) -> CompiledPipeline:
    """The pipeline that a run was launched with, to compare with one that is given.

    Raises:
        ResumeError: It is not kept.
    """
    if pipeline is None:
        return pipeline_of(run.run_id, instance)
    kept = pipeline_kept(run, instance)
    if kept is not None:
        return kept
    if run.tags.get(FINGERPRINT_TAG) == pipeline.fingerprint[:DIGITS]:
        return pipeline
    raise ResumeError(
        f"the pipeline that the run {run.run_id[:8]} was launched with is not kept, so nobody can tell what of"
        f' "{pipeline.file}" has changed since',
        hint="start a new run",
    )
