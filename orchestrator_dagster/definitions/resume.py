"""Resuming a run: what is done stays done; what failed, what was never reached, and what comes after that runs.

Dagster's own "re-execute from failure" sees the ops that raised. This also repairs failures that were kept as values
(`on_failure: continue` or `skip`, failed items of loops), and what a killed process has left between two ops.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dagster import DagsterEvent, DagsterEventType, DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.execution.api import create_execution_plan, execute_run_iterator
from dagster._core.execution.plan.state import KnownExecutionState

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledStep
from orchestrator_dagster.compiler.routes import State
from orchestrator_dagster.definitions.command_job import command_job
from orchestrator_dagster.definitions.execution import (
    HOST_TAG,
    PROCESS_TAG,
    PRODUCTS_TAG,
    is_led_here,
    process_tags,
    watch,
)
from orchestrator_dagster.definitions.progress import OnProgress
from orchestrator_dagster.definitions.record import ancestry, load_record, outcomes_of
from orchestrator_dagster.definitions.recording import recording
from orchestrator_dagster.definitions.step_ops import is_gated
from orchestrator_dagster.errors import ResumeError
from orchestrator_dagster.kept_pipelines import kept_pipeline
from orchestrator_dagster.runtime.outcome import Outcome

_ENDS = (DagsterEventType.STEP_START, DagsterEventType.STEP_SUCCESS, DagsterEventType.STEP_OUTPUT)


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
        The result document of the new run: it has every step, also those that were done before. That of the run itself
        when all was done, and only its end could not be recorded.

    Raises:
        ResumeError: There is no such run, it is still going on, it is complete, or its pipeline is not kept.
    """
    parent = find_run(run_id, instance)
    _check_ended(parent, instance)
    chain = ancestry(instance, parent)
    kept = _kept(parent, instance)
    pipeline = pipeline or pipeline_of(parent.run_id, instance)
    products = parent.tags.get(PRODUCTS_TAG)
    job = command_job(
        pipeline, root=root, instance=instance, products=products.split(",") if products is not None else None
    )
    made = job.get_definition()
    keys = steps_to_run(pipeline, kept or pipeline, chain, instance)
    if not keys and parent.status != DagsterRunStatus.SUCCESS:
        return _closed(parent, instance, pipeline)
    if not keys:
        raise ResumeError(f"the run {parent.run_id[:8]} is complete: nothing is left to do")
    known = KnownExecutionState.build_for_reexecution(instance, parent) if parent.execution_plan_snapshot_id else None
    plan = create_execution_plan(job, parent.run_config)
    if known is not None and "inputs" not in {key.rpartition(".")[2] for key in keys}:
        in_plan = {handle.to_key() for handle in plan.step_dict}  # a run of some products has not all of them
        wanted = [key for key in keys if key in in_plan or "[" in key]
        plan = create_execution_plan(
            job, parent.run_config, step_keys_to_execute=wanted, known_state=known.update_for_step_selection(wanted)
        )
    tags = {name: value for name, value in parent.tags.items() if not name.startswith("dagster/")}
    with recording(instance, parent.run_id):
        run = instance.create_run_for_job(
            made,
            execution_plan=plan,
            run_config=parent.run_config,
            tags={**tags, **made.run_tags, **process_tags(), **_partition_tags(parent)},
            root_run_id=parent.root_run_id or parent.run_id,
            parent_run_id=parent.run_id,
        )
    with recording(instance, run.run_id):
        watch(execute_run_iterator(job, run, instance), run, instance, pipeline, on_progress)
        return load_record(instance, run.run_id, pipeline)


def _closed(run: DagsterRun, instance: DagsterInstance, pipeline: CompiledPipeline) -> dict[str, Any]:
    """The result document of a run that did everything and whose end could not be recorded: that is done here."""
    event = DagsterEvent(
        DagsterEventType.RUN_SUCCESS.value, run.job_name, message="Everything was done; its end is recorded now."
    )
    with recording(instance, run.run_id):
        instance.report_dagster_event(event, run.run_id)
        return load_record(instance, run.run_id, pipeline)


def pipeline_of(run_id: str, instance: DagsterInstance) -> CompiledPipeline:
    """The pipeline that a run was launched with.

    Raises:
        ResumeError: There is no such run, or its pipeline is not kept.
    """
    run = find_run(run_id, instance)
    kept = _kept(run, instance)
    if kept is None:
        raise ResumeError(
            f"the pipeline that the run {run.run_id[:8]} was launched with is not kept",
            hint="give its file: `orchestrator resume RUN_ID --file FILE`",
        )
    return kept


def find_run(run_id: str, instance: DagsterInstance) -> DagsterRun:
    """The run with an id, or the only one whose id begins so.

    Raises:
        ResumeError: There is none, or there are several.
    """
    run = instance.get_run_by_id(run_id)
    if run is not None:
        return run
    found = [one for one in instance.get_runs(limit=1000) if one.run_id.startswith(run_id)] if len(run_id) >= 4 else []
    if len(found) == 1:
        return found[0]
    if found:
        raise ResumeError(f'several runs begin with "{run_id}": {", ".join(one.run_id for one in found[:5])}')
    last = next(iter(instance.get_runs(limit=1)), None)
    hint = f"the last run is {last.run_id} ({last.status.value.lower()})" if last else "nothing has been run yet"
    raise ResumeError(f'there is no run "{run_id}"', hint=hint)


def _check_ended(run: DagsterRun, instance: DagsterInstance) -> None:
    """A run can be resumed when it has ended; one whose process is gone ends here.

    Raises:
        ResumeError: It is still going on, or nobody here can know.
    """
    if run.is_finished:
        return
    process, host = run.tags.get(PROCESS_TAG), run.tags.get(HOST_TAG)
    if process is None or host != socket.gethostname():
        where = f"on {host}" if host and host != socket.gethostname() else "elsewhere"
        raise ResumeError(
            f"the run {run.run_id[:8]} has not ended: it is {run.status.value.lower()} {where}",
            hint="wait for its end, or terminate it in the UI",
        )
    if is_led_here(run.run_id) if int(process) == os.getpid() else _lives(int(process)):
        raise ResumeError(
            f"the run {run.run_id[:8]} is still going on, in the process {process}",
            hint=f"wait for its end, or stop it: `kill -INT {process}`",
        )
    instance.report_run_failed(run, f"The process {process} that led the run is gone.")


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _partition_tags(parent: DagsterRun) -> dict[str, str]:
    return {name: value for name, value in parent.tags.items() if name.startswith("dagster/partition")}


def _kept(run: DagsterRun, instance: DagsterInstance) -> CompiledPipeline | None:
    fingerprint = run.tags.get("orchestrator/pipeline_key") or run.tags.get("orchestrator/fingerprint")
    return kept_pipeline(Path(instance.storage_directory()), fingerprint) if fingerprint else None


class _Done:
    """Which of Dagster's steps are done, over a chain of runs, and the mapped ones that each decision asked for."""

    def __init__(self) -> None:
        self.keys: set[str] = set()
        self.mapped: dict[str, list[str]] = {}

    def read(self, run: DagsterRun, instance: DagsterInstance) -> None:
        for key in run.step_keys_to_execute or ():
            self.forget(key)
        for entry in instance.all_logs(run.run_id, of_type=set(_ENDS)):
            event = entry.dagster_event
            if event is None or event.step_key is None:
                continue
            if event.event_type == DagsterEventType.STEP_START:
                self.forget(event.step_key)
                self.mapped.pop(event.step_key, None)
            elif event.event_type == DagsterEventType.STEP_SUCCESS:
                self.keys.add(event.step_key)
            elif event.step_output_data.mapping_key is not None:
                self.mapped.setdefault(event.step_key, []).append(event.step_output_data.mapping_key)

    def forget(self, key: str) -> None:
        """Take a step as not done; `run[?]` stands for all of them."""
        if key.endswith("[?]"):
            self.keys -= {one for one in self.keys if one.startswith(key[:-2])}
        self.keys.discard(key)


def steps_to_run(
    pipeline: CompiledPipeline, before: CompiledPipeline, chain: Iterable[DagsterRun], instance: DagsterInstance
) -> list[str]:
    """Dagster's keys of the steps that a resumed run has to run.

    Args:
        pipeline: The pipeline that is to run.
        before: The pipeline of the run so far.
        chain: The run and those that it resumed, the first one first.
        instance: Where they are recorded.
    """
    chain = list(chain)
    done = _Done()
    for run in chain:
        done.read(run, instance)
    outcomes = outcomes_of(instance, chain, before)
    graph = pipeline.op
    if f"{graph}.inputs" not in done.keys:
        return [f"{graph}.inputs", *(key for step in pipeline.steps for key in _all(pipeline, step)), f"{graph}.finish"]
    keys: list[str] = []
    again: set[str] = set()
    for step in pipeline.steps:
        plan = pipeline.plan.by_id[step.id]
        changed = step.id not in before.by_id or before.by_id[step.id].code_version != step.code_version
        if changed or again.intersection(plan.reads) or _failed(outcomes.get(step.id)):
            keys += _all(pipeline, step)
            again.add(step.id)
        elif missing := _missing(pipeline, step, done):
            keys += missing
            again.add(step.id)
    if keys or f"{graph}.finish" not in done.keys:
        keys.append(f"{graph}.finish")
    return keys


def _failed(outcome: Outcome | None) -> bool:
    """Whether a step has failed, in it something has, and no route has taken care of it."""
    if outcome is None:
        return False
    if outcome.state in (State.FAILED_CONTINUED, State.FAILED_SKIPPING, State.FAILED) or outcome.carried:
        return True
    return any(one.status == "failed" for one in outcome.iterations or ())


def _all(pipeline: CompiledPipeline, step: CompiledStep) -> list[str]:
    key = f"{pipeline.op}.{step.op}"
    return [f"{key}.decide", f"{key}.run[?]", f"{key}.outcome"] if is_gated(pipeline, step) else [key]


def _missing(pipeline: CompiledPipeline, step: CompiledStep, done: _Done) -> list[str]:
    """The ops of a step that are not done."""
    key = f"{pipeline.op}.{step.op}"
    if not is_gated(pipeline, step):
        return [] if key in done.keys else [key]
    if f"{key}.decide" not in done.keys:
        return _all(pipeline, step)
    mapped = [f"{key}.run[{one}]" for one in done.mapped.get(f"{key}.decide", ())]
    missing = [one for one in mapped if one not in done.keys]
    if missing or f"{key}.outcome" not in done.keys:
        return [*missing, f"{key}.outcome"]
    return []
