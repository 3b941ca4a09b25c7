"""What an op makes of Dagster's context: the services of a step, its scope, and failures as Dagster has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import OpExecutionContext

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledStep
from orchestrator_dagster.compiler.routes import State
from orchestrator_dagster.definitions.interruption import interruption
from orchestrator_dagster.errors import StepError, StepInterruptedError
from orchestrator_dagster.language.settings import Retries
from orchestrator_dagster.runtime.failure import failed_outcome, handles, usage_of
from orchestrator_dagster.runtime.journal import Journal
from orchestrator_dagster.runtime.names import RunInfo
from orchestrator_dagster.runtime.outcome import Outcome
from orchestrator_dagster.runtime.scope import Scope
from orchestrator_dagster.runtime.secrets import Redactor
from orchestrator_dagster.runtime.services import Services


def services_of(context: OpExecutionContext) -> Services:
    """The tools, models and files that the op's resources give.

    Raises:
        StorageError: A store cannot be opened.
    """
    workspace = context.resources.workspace.workspace()
    redactor = Redactor()
    storage = context.instance.storage_directory()
    root_run = context.run.root_run_id or context.run_id
    return Services(
        workspace=workspace,
        tools=context.resources.tools.registry(workspace.root),
        models=context.resources.models.clients(),
        redactor=redactor,
        log=lambda line: context.log.info(redactor.text(line)),
        interrupted=interruption().is_set,
        calls=context.resources.models.calls(storage, workspace.root, root_run),
        journal=Journal(Path(storage) / "items", root_run),
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
    made = Scope.of(pipeline, inputs["values"], run_info(context, inputs), services_of(context), outcomes)
    if context.has_assets_def:
        keys = frozenset(tuple(key.path) for key in context.selected_asset_keys)
        made = replace(made, wanted=keys)
    return made


@contextmanager
def as_dagster() -> Iterator[None]:
    """Give Dagster the errors of a step as its own; also an interrupt, which it would answer with a retry."""
    try:
        yield
    except StepError as error:
        raise failure_of(error) from None


def value_of(
    error: StepError,
    pipeline: CompiledPipeline,
    step: CompiledStep,
    scope: Scope,
    context: OpExecutionContext,
    started: datetime,
) -> Outcome:
    """The outcome of a step whose failure something handles, when no attempt is left.

    Raises:
        StepError: Nothing handles it, or it is to be tried again.
    """
    if not error.permanent and context.retry_number < step.retries.max and not isinstance(error, StepInterruptedError):
        raise error
    carries_on = scope.wanted is None or pipeline.run_key in scope.wanted
    if isinstance(error, StepInterruptedError) or not handles(step, error):
        raise error
    plan = pipeline.plan.by_id[step.id]
    outcome = failed_outcome(step, plan, error, scope, started=started, attempts=context.retry_number + 1)
    if outcome.failures and not carries_on:
        raise error  # only `finish` could end the run failed, and this run has none
    assert outcome.error is not None
    context.log.warning(f"failed, and the run goes on{_goes_on(outcome)}: {outcome.error.message}")
    return outcome


def _goes_on(outcome: Outcome) -> str:
    """How the run goes on after a failure that something handles."""
    if outcome.routed_to is not None:
        return f' at step "{outcome.routed_to}"'
    return {
        State.COMPLETED: " with the fallback",
        State.FAILED_CONTINUED: ", and ends failed after everything else is done",
        State.FAILED_SKIPPING: " without the steps after this one",
    }.get(outcome.state, "")


def failure_of(error: StepError) -> dg.Failure:
    """The error as Dagster's: its text, where the step stands, and whether a retry can help."""
    metadata: dict[str, Any] = {"orchestrator/error": type(error).__name__, "orchestrator/message": error.message}
    usage = usage_of(error)
    if usage.calls:
        metadata["orchestrator/model_calls"] = usage.calls
        metadata["orchestrator/input_tokens"] = usage.input_tokens
        metadata["orchestrator/output_tokens"] = usage.output_tokens
        if usage.cost is not None:
            metadata["orchestrator/cost"] = usage.cost
    if error.location:
        metadata["orchestrator/defined_at"] = error.location
    if error.hint:
        metadata["orchestrator/next"] = error.hint
    if error.trace:
        metadata["orchestrator/trace"] = error.trace
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
