"""Failures: where they stand, what they may show, and what becomes of a step that has failed."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from typing import Any

from orchestrator_dagster.compiler.compiled import CompiledStep
from orchestrator_dagster.compiler.routes import State
from orchestrator_dagster.compiler.routing import StepPlan
from orchestrator_dagster.error_names import ALSO_CALLED, handler_word
from orchestrator_dagster.errors import (
    InnerStepError,
    ModelError,
    NoModelError,
    OrchestratorError,
    StepError,
    WaitingForAnswerError,
)
from orchestrator_dagster.language.auto_tags import auto_in
from orchestrator_dagster.language.settings import FailureHandler
from orchestrator_dagster.language.step import FAILURE_POLICIES
from orchestrator_dagster.language.templates import render_tree
from orchestrator_dagster.runtime.outcome import ErrorInfo, Outcome, UsageInfo
from orchestrator_dagster.runtime.scope import Scope
from orchestrator_dagster.runtime.variables import main_value, variables_of_result

_TRACE_LINES = 40
_POLICY_STATES = {"continue": State.FAILED_CONTINUED, "skip": State.FAILED_SKIPPING}


@contextmanager
def step_errors(step: CompiledStep, scope: Scope) -> Iterator[None]:
    """Give the errors of a step its place in the file, and take secrets and causes out of them."""
    redactor = scope.services.redactor
    try:
        yield
    except OrchestratorError as error:
        error.message = redactor.text(error.message)
        error.args = (error.message,)
        error.hint = redactor.text(error.hint) if error.hint else None
        if error.location is None:
            error.location = scope.pipeline.location(step)
        if isinstance(error, StepError) and error.__cause__ is not None and error.trace is None:
            error.kinds = (*error.kinds, *_kinds(error.__cause__))
            error.trace = redactor.text(_trace(error.__cause__))
        # What caused it may quote a secret, and says nothing that the message does not.
        error.__cause__, error.__suppress_context__ = None, True
        raise


def _kinds(error: BaseException) -> tuple[str, ...]:
    """The names of an error's classes, and of those that caused it."""
    found: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(found) < 50:
        found += [kind.__name__ for kind in type(cause).__mro__ if kind not in (object, BaseException, Exception)]
        cause = cause.__cause__
    return tuple(dict.fromkeys(found))


def _trace(error: BaseException) -> str:
    lines = "".join(traceback.format_exception(error)).splitlines()
    return "\n".join(lines[-_TRACE_LINES:])


@contextmanager
def after_paying(usage: Callable[[], UsageInfo]) -> Iterator[None]:
    """Note in a failure what the calls before it took: ``usage`` is asked when it has happened."""
    try:
        yield
    except StepError as error:
        error.paid = usage() + usage_of(error)
        raise


def failed_outcome(
    step: CompiledStep,
    plan: StepPlan,
    error: StepError,
    scope: Scope,
    *,
    started: datetime,
    attempts: int,
    handled: bool = True,
) -> Outcome:
    """What a step has left that failed and is not tried again.

    Its state says what becomes of the run: ``FAILED`` when nothing handles the failure. A handler with a fallback makes
    it a step that completed, with the error beside its value.

    Args:
        step: The step.
        plan: What its failure does when no handler fits.
        error: Why it failed.
        scope: Where it ran.
        started: When its first attempt started.
        attempts: How often it was tried.
        handled: Whether handlers and ``on_failure`` are asked.

    Raises:
        StepError: The fallback has no value, or does not fit the step's variables.
    """
    handled = handled and not waits(error)
    handler = _handler_of(step, error) if handled else None
    info = error_info(step, error, scope, attempts=attempts, note=_note(handler, step, error, scope))
    usage = usage_of(error)
    common: dict[str, Any] = {
        "step": step.id, "error": info, "tool": step.tool, "action": step.action, "usage": usage, "attempts": attempts,
        "tool_calls": error.tool_calls,
        "started_at": started, "completed_at": datetime.now(timezone.utc),
    }  # fmt: skip
    if handler is not None and "fallback" in handler.model_fields_set:
        with step_errors(step, scope), after_paying(lambda: usage), _as_fallback(error):
            names = scope.names(_as_name(info))
            fallback = handler.fallback
            if auto_in(fallback):
                from orchestrator_dagster.runtime.auto import decide_values  # which notes what failures have paid

                scope = scope.at(step)
                fallback, names = decide_values(fallback, "fallback", step, scope, names)
                common["decisions"] = tuple(scope.decisions.made)
                common["usage"] = usage = usage + scope.decisions.usage
            value = render_tree(fallback, names, dashed=scope.pipeline.dashed)
            variables = {} if value is None else variables_of_result(scope.pipeline, step, value, names)
        value = main_value(variables, bool(step.spec.vars), value) if value is not None else None
        redactor = scope.services.redactor
        return Outcome(status="completed", value=redactor.value(value), variables=redactor.value(variables), **common)
    state, target = _way(handler, step, plan) if handled else (State.FAILED, None)
    return Outcome(status="failed", state=state, routed_to=target, reason=None, **common)


@contextmanager
def _as_fallback(failure: StepError) -> Iterator[None]:
    """Say of an error that it is the fallback's, and why the step needed one."""
    try:
        yield
    except StepError as error:
        error.message = f"the fallback cannot be used: {error.message}; the step failed because: {failure.message}"
        raise


def _way(handler: FailureHandler | None, step: CompiledStep, plan: StepPlan) -> tuple[State, str | None]:
    """The state that a failure leads to, and the step that it goes to."""
    way = handler.goto if handler is not None and handler.goto is not None else step.on_failure
    if way is None or way in ("fail", "retry"):
        return State.FAILED, None
    if way in FAILURE_POLICIES:
        return _POLICY_STATES[way], None
    return State.FAILED_ROUTED, way


def waits(error: StepError | ErrorInfo) -> bool:
    """Whether it is no failure: a person is to answer first, also where that is so inside a loop or a pipeline."""
    own = error.type if isinstance(error, ErrorInfo) else type(error).__name__
    return WaitingForAnswerError.__name__ in (own, *error.kinds)


def handles(step: CompiledStep, error: StepError) -> bool:
    """Whether a step's failure is a value and not the end of its branch."""
    if waits(error):
        return False
    handler = _handler_of(step, error)
    if handler is not None and "fallback" in handler.model_fields_set:
        return True
    way = handler.goto if handler is not None and handler.goto is not None else step.on_failure
    return way is not None and way not in ("fail", "retry")


def _handler_of(step: CompiledStep, error: StepError) -> FailureHandler | None:
    """The first handler that is for this error: one that names its class, a class above it, or that of its cause."""
    kinds = {*_kinds(error), *error.kinds, "Exception", "Error"}
    kinds |= {name for kind in tuple(kinds) for name in ALSO_CALLED.get(kind, ())}
    plain = {handler_word(kind) for kind in kinds}
    for handler in step.failure_handlers:
        wanted = {handler_word(name) for name in handler.errors}
        if not handler.errors or wanted & plain or "*" in handler.errors:
            return handler
    return None


def keep_note(step: CompiledStep, error: StepError, scope: Scope) -> None:
    """Give an error that nothing handles the text that a handler of the step keeps with it."""
    error.note = _note(_handler_of(step, error), step, error, scope)


def _note(handler: FailureHandler | None, step: CompiledStep, error: StepError, scope: Scope) -> str | None:
    """A handler's message, rendered; as it is written where it cannot be, for it must not hide the failure."""
    if handler is None or not handler.message:
        return None
    text = handler.message
    with suppress(StepError):
        about = {"type": type(error).__name__, "message": error.message, "step": scope.occurrence(step)}
        text = str(render_tree(text, scope.names(about), dashed=scope.pipeline.dashed))
    return scope.services.redactor.text(text)


def error_info(
    step: CompiledStep, error: StepError, scope: Scope, *, attempts: int, note: str | None = None
) -> ErrorInfo:
    """An error as it is stored and read by later steps."""
    return ErrorInfo(
        type=type(error).__name__,
        message=error.message,
        step=scope.occurrence(step),
        location=error.location or scope.pipeline.location(step),
        hint=error.hint,
        attempts=attempts,
        note=note,
        trace=error.trace,
        kinds=tuple(dict.fromkeys((*_kinds(error), *error.kinds))),
        permanent=error.permanent,
    )


def _as_name(info: ErrorInfo) -> dict[str, str | None]:
    return {"type": info.type, "message": info.message, "step": info.step}


def usage_of(error: StepError) -> UsageInfo:
    """What the calls took that were made before a failure; a call without an answer counts."""
    if isinstance(error.paid, UsageInfo):
        return error.paid
    if error.usage is not None:
        return UsageInfo.of(error.usage, 0.0)
    asked = isinstance(error, ModelError) and not isinstance(error, NoModelError)  # which is found before any call
    return UsageInfo(calls=1) if asked else UsageInfo()


def inner_error(message: str, of: ErrorInfo, usage: UsageInfo) -> InnerStepError:
    """The failure of a loop, or of a step that runs a pipeline, because of a step inside it.

    Args:
        message: What failed.
        of: Why the step inside failed.
        usage: What all of its model calls took.
    """
    error = InnerStepError(message, hint=of.hint, location=of.location, permanent=of.permanent)
    error.kinds, error.trace, error.paid = (of.type, *of.kinds), of.trace, usage
    return error
