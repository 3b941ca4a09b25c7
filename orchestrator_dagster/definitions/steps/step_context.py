"""What an op makes of Dagster's context: the services of a step, its scope, and failures as Dagster has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import DagsterEvent, DagsterEventType, OpExecutionContext
from dagster._core.events import EngineEventData

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledStep
from orchestrator_dagster.compiler.routes import State
from orchestrator_dagster.definitions.instance.call_slots import PoolSlots
from orchestrator_dagster.definitions.steps.audit import audit_in
from orchestrator_dagster.definitions.steps.interruption import interruption
from orchestrator_dagster.definitions.steps.item_progress import note_item
from orchestrator_dagster.definitions.steps.metadata import usage_metadata, usage_of_metadata
from orchestrator_dagster.definitions.steps.shared_parts import OUTCOMES_IO
from orchestrator_dagster.errors import StepError, StepInterruptedError
from orchestrator_dagster.language.settings import Retries
from orchestrator_dagster.models.ledger import ledger_in
from orchestrator_dagster.models.run_clients import RunClients
from orchestrator_dagster.runtime.failure import failed_outcome, handles, keep_note, usage_of
from orchestrator_dagster.runtime.journal import Journal
from orchestrator_dagster.runtime.names import RunInfo
from orchestrator_dagster.runtime.outcome import Outcome, UsageInfo
from orchestrator_dagster.runtime.people import People, QuestionStore
from orchestrator_dagster.runtime.scope import Scope
from orchestrator_dagster.runtime.secrets import Redactor
from orchestrator_dagster.runtime.services import Services

#: The folder of the instance's storage that has questions to people.
QUESTIONS = "questions"
#: Tag of a run that ended with a question open: the step that asks. Dagster's UI filters runs by it.
WAITING_TAG = "orchestrator/waits_for"
#: The folder, in that of the root run, with the book of what its calls have taken.
SPENT = "spent"
#: The file there that counts the bytes that its steps have written.
WRITTEN = "written"


def services_of(context: OpExecutionContext, limits: Mapping[str, int]) -> Services:
    """The tools, models and files that the op's resources give.

    Args:
        context: Of the op.
        limits: Calls at once by provider, as the pipeline has them.

    Raises:
        StorageError: A store cannot be opened.
    """
    redactor = Redactor()
    storage = context.instance.storage_directory()
    kept = getattr(getattr(context.resources, OUTCOMES_IO), "_base_path", None) or Path(storage)
    root_run = context.run.root_run_id or context.run_id
    workspace = context.resources.workspace.workspace(Path(storage) / root_run / WRITTEN)
    known = context.resources.models.known(workspace.root)
    audit = audit_in(kept / root_run)
    named = {"run": context.run_id, "pipeline": context.job_name}

    def log(line: str) -> None:
        context.log.info(redactor.text(line))

    return Services(
        workspace=workspace,
        tools=context.resources.tools.registry(workspace.root),
        models=RunClients(
            context.resources.models.clients(),
            limits,
            PoolSlots(context.instance, context.run_id),
            interruption().is_set,
            log,
        ),
        redactor=redactor,
        log=log,
        interrupted=interruption().is_set,
        calls=context.resources.models.calls(storage, workspace.root, root_run),
        journal=Journal(kept / root_run / "items"),
        people=People(
            QuestionStore(Path(storage) / QUESTIONS),
            root_run,
            context.run_id,
            waiting=lambda step: context.instance.add_run_tags(context.run_id, {WAITING_TAG: step}),
        ),
        known_models=known,
        audit=lambda entry: audit.add({**named, **entry}, context.log.warning),
        ledger=ledger_in(kept / root_run / SPENT),
    )


def run_info(context: OpExecutionContext, inputs: Mapping[str, Any]) -> RunInfo:
    """The run, as the op that opened it has noted it."""
    return RunInfo(context.run_id, datetime.fromisoformat(inputs["started_at"]), partition_of(context))


def partition_of(context: OpExecutionContext) -> str | None:
    """The key of the partition that a run makes, None when it makes none."""
    return context.partition_key if context.has_partition_key else None


def scope_of(
    context: OpExecutionContext,
    pipeline: CompiledPipeline,
    step: CompiledStep,
    given: Mapping[str, Any],
    before: Mapping[str, str],
) -> Scope:
    """Where a step of the top level runs.

    Args:
        context: Of the op.
        pipeline: The pipeline.
        step: The step.
        given: The op's inputs.
        before: Ids of the steps whose outcomes are among them, by the inputs' names.
    """
    outcomes = {name: Outcome.model_validate(given[op]) for op, name in before.items()}
    inputs = given["inputs"]
    services = services_of(context, pipeline.limits)
    made = Scope.of(pipeline, inputs["values"], run_info(context, inputs), services, outcomes)
    run, services = context.run_id, made.services
    services = replace(services, item_done=lambda step, index, total: note_item(run, step, index, total, services.log))
    made = replace(made, services=services)
    if context.has_assets_def:
        keys = frozenset(tuple(key.path) for key in context.selected_asset_keys)
        made = replace(made, wanted=keys)
    return made.at(step)


@contextmanager
def as_dagster(context: OpExecutionContext) -> Iterator[None]:
    """Give Dagster the errors of a step as its own; also an interrupt, which it would answer with a retry."""
    try:
        yield
    except StepError as error:
        raise failure_of(error, context) from None


def value_of(
    error: StepError,
    pipeline: CompiledPipeline,
    step: CompiledStep,
    scope: Scope,
    context: OpExecutionContext,
    started: datetime,
    *,
    retries: bool = True,
) -> Outcome:
    """The outcome of a step whose failure something handles, when no attempt is left.

    Args:
        error: Why it failed. From here on it has what the attempts before took as well.
        pipeline: The pipeline.
        step: The step.
        scope: Where it ran.
        context: Of the op.
        started: When the attempt started.
        retries: Whether the op is the one that is tried again: what decides about a step and what closes it is not.

    Raises:
        StepError: Nothing handles it, or it is to be tried again.
    """
    error.paid = paid_before(context) + usage_of(error)
    if retries and tries_again(error, step, context):
        said = usage_metadata(usage_of(error))
        if said:  # an attempt that is followed by another has no other event that could say what it cost
            of = context.get_step_execution_context()
            note = f"Attempt {context.retry_number + 1} failed after a model was asked; the attempts so far took this."
            DagsterEvent.engine_event(of, note, EngineEventData(metadata=said))
        raise error
    if isinstance(error, StepInterruptedError) or not handles(step, error):
        keep_note(step, error, scope)
        raise error
    plan = pipeline.plan.by_id[step.id]
    outcome = failed_outcome(step, plan, error, scope, started=started, attempts=context.retry_number + 1)
    if outcome.failures and not carries_on(pipeline, scope):
        raise error
    assert outcome.error is not None
    context.log.warning(f"failed, and the run goes on{_goes_on(outcome)}: {outcome.error.message}")
    return outcome


def tries_again(error: StepError, step: CompiledStep, context: OpExecutionContext) -> bool:
    """Whether Dagster makes another attempt after this failure."""
    return not error.permanent and context.retry_number < step.retries.max


def carries_on(pipeline: CompiledPipeline, scope: Scope) -> bool:
    """Whether the run can go past a failure and end failed: only ``finish`` does that, and not every run has it."""
    return scope.wanted is None or pipeline.run_key in scope.wanted


def paid_before(context: OpExecutionContext) -> UsageInfo:
    """What the model calls of the op's earlier attempts in this run took, from the last event that says it."""
    if context.retry_number == 0:
        return UsageInfo()
    key = context.get_step_execution_context().step.key
    kinds = {DagsterEventType.ENGINE_EVENT, DagsterEventType.STEP_OUTPUT}
    found = UsageInfo()
    for entry in context.instance.all_logs(context.run_id, of_type=kinds):
        event = entry.dagster_event
        if event is None or event.step_key != key:
            continue
        if event.event_type == DagsterEventType.ENGINE_EVENT:
            said = event.engine_event_data.metadata
        elif event.step_output_data.output_name in ("outcome", "result"):
            said = event.step_output_data.metadata  # it was made, and could not be stored
        else:
            continue
        if (usage := usage_of_metadata(said)) != UsageInfo():
            found = usage
    return found


def _goes_on(outcome: Outcome) -> str:
    """How the run goes on after a failure that something handles."""
    if outcome.routed_to is not None:
        return f' at step "{outcome.routed_to}"'
    return {
        State.COMPLETED: " with the fallback",
        State.FAILED_CONTINUED: ", and ends failed after everything else is done",
        State.FAILED_SKIPPING: " without the steps after this one",
    }.get(outcome.state, "")


def failure_of(error: StepError, context: OpExecutionContext | None = None) -> dg.Failure:
    """The error as Dagster's: its text, where the step stands, whether a retry can help, and how the run goes on."""
    metadata: dict[str, Any] = {"orchestrator/error": type(error).__name__, "orchestrator/message": error.message}
    metadata |= usage_metadata(usage_of(error))
    if error.location:
        metadata["orchestrator/defined_at"] = error.location
    if error.hint:
        metadata["orchestrator/next"] = error.hint
    if error.note:
        metadata["orchestrator/note"] = error.note
    if error.trace:
        metadata["orchestrator/trace"] = error.trace
    if context is not None and not context.instance.is_ephemeral:
        metadata["orchestrator/resume"] = f"orchestrator resume {context.run_id}"
    return dg.Failure(description=str(error), metadata=metadata, allow_retries=not error.permanent)


def retry_policy(retries: Retries) -> dg.RetryPolicy | None:
    """How Dagster tries a step again."""
    if retries.max == 0:
        return None
    backoff = {"exponential": dg.Backoff.EXPONENTIAL, "linear": dg.Backoff.LINEAR, "constant": None}
    jitter = {"full": dg.Jitter.FULL, "plus_minus": dg.Jitter.PLUS_MINUS, None: None}
    delay = float(retries.delay) if retries.delay is not None else None
    return dg.RetryPolicy(
        max_retries=retries.max,
        delay=delay if delay is not None else (1.0 if retries.backoff != "constant" or retries.jitter else None),
        backoff=backoff[retries.backoff],
        jitter=jitter[retries.jitter],
    )
