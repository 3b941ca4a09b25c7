"""Every error this package raises on purpose.

All derive from :class:`OrchestratorError`. A message says what is wrong and what was expected; ``hint`` is the one
next step; ``location`` is where in the pipeline file the cause stands. ``permanent`` tells the retry policy that
trying again cannot help.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from orchestrator_dagster.language.diagnostics import Diagnostic
    from orchestrator_dagster.models.client import Usage


class OrchestratorError(Exception):
    """Base of all errors of this package. Catch it to catch them all; raise a subclass.

    Args:
        message: What is wrong and what was expected, one sentence or two.
        hint: The one next step, as an imperative.
        location: ``file:line:column`` of the cause in the pipeline file, where it is known.
    """

    permanent: ClassVar[bool] = True

    def __init__(self, message: str, *, hint: str | None = None, location: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.location = location

    def __str__(self) -> str:
        text = f"{self.location}: {self.message}" if self.location else self.message
        return f"{text}\n  next: {self.hint}" if self.hint else text

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions cross process borders in some executors: keyword-only arguments need help there.
        return (_rebuild, (type(self), self.args, dict(self.__dict__)))


def _rebuild(kind: type[OrchestratorError], args: tuple[object, ...], state: dict[str, object]) -> OrchestratorError:
    error = kind.__new__(kind)
    Exception.__init__(error, *args)
    error.__dict__.update(state)
    return error


class PipelineError(OrchestratorError):
    """The pipeline file is wrong. ``diagnostics`` has every problem of the file, in file order."""

    def __init__(self, message: str, diagnostics: Sequence[Diagnostic] = ()) -> None:
        super().__init__(message)
        self.diagnostics = tuple(diagnostics)


class AlignmentError(OrchestratorError):
    """A pipeline as it is built does not do what it is meant to do, says the orchestrator model.

    ``findings`` has each mismatch: ``step`` (or ``pipeline``), ``what``, ``fix`` and ``location``.
    """

    def __init__(self, pipeline: str, findings: Sequence[object] = ()) -> None:
        count = len(findings)
        super().__init__(
            f'the pipeline "{pipeline}" does not do what it is meant to do:'
            f" {count} mismatch{'es' if count != 1 else ''}",
            hint="change the step or the description; or accept it with `alignment: {ignore: <the reason>}`",
        )
        self.findings = tuple(findings)

    def __str__(self) -> str:
        return "\n".join([self.message, *(f"  {one}" for one in self.findings), f"  next: {self.hint}"])


class ResumeError(OrchestratorError):
    """A run cannot be resumed: there is none, it goes on still, or it is complete."""


class RunNotFoundError(OrchestratorError):
    """No run is recorded under an id, or several are whose ids begin so."""


class LogError(OrchestratorError):
    """The log of a run cannot be made or read: its pipeline is not kept, or a document is no log."""


class InputsError(OrchestratorError):
    """The inputs of a launch are wrong. ``problems`` has one line for each; no step has run."""

    def __init__(self, message: str, problems: Sequence[str] = (), *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        lines = [self.message, *(f"  - {problem}" for problem in self.problems)]
        return "\n".join([*lines, f"  next: {self.hint}"] if self.hint else lines)


class ExecutorError(OrchestratorError):
    """The executor that a pipeline or a location names cannot be used here: its package is missing, or it needs what
    there is not. No step has run.
    """


class TranslationError(OrchestratorError):
    """A translator says of an asset what its runs could not keep to. ``problems`` has one line for each."""

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join([self.message, *(f"  - {problem}" for problem in self.problems)])


class RecordingError(OrchestratorError):
    """The instance cannot record a run: its disk is full, or another process holds its database."""


class StepError(OrchestratorError):
    """A step failed while it ran. Subclasses say how; raised itself by tools that only know that it went wrong.

    ``kinds`` are the names of the classes of what caused it, ``trace`` is the end of its traceback; both are there when
    code that is not this package's raised it. ``usage`` is what the model calls took that it ended, None where nothing
    says so; ``tool_calls`` are those that the model made. ``paid`` is what the model calls took that were made before
    it, None when nothing noted it: a step can fail after its model has answered. ``note`` is the text that a failure
    handler keeps with it.
    """

    permanent = False
    kinds: tuple[str, ...] = ()
    trace: str | None = None
    paid: object = None
    usage: Usage | None = None
    tool_calls: tuple[object, ...] = ()
    note: str | None = None


class TemplateError(StepError):
    """A template could not be rendered: a name without a value, a filter that failed, a limit that was reached.

    ``missing`` has the reason of each value that was not there, as its ``Absent`` gave it.
    """

    permanent = True
    missing: tuple[str, ...] = ()


class ConditionError(StepError):
    """A condition could not be evaluated, or its answer is no boolean."""

    permanent = True


class ParametersError(StepError):
    """A tool was called with parameters that its schema refuses."""

    permanent = True


class PathError(StepError):
    """A path leaves the workspace, or is not what the operation needs (a folder instead of a file, a device)."""

    permanent = True


class FileMissingError(PathError):
    """A file or folder that must exist does not."""


class SizeLimitError(StepError):
    """A file, answer or result is larger than the workspace or the tool allows."""

    permanent = True


class VariablesError(StepError):
    """A step's result does not have the shape that its ``vars`` declare."""

    permanent = True


class ProductError(StepError):
    """A product cannot be written from its variable in the format asked for."""

    permanent = True


class ToolError(StepError):
    """A tool tried and failed, or answered "not successful". Set ``permanent=True`` when a retry cannot help."""

    def __init__(
        self, message: str, *, hint: str | None = None, location: str | None = None, permanent: bool = False
    ) -> None:
        super().__init__(message, hint=hint, location=location)
        self.permanent = permanent  # type: ignore[misc]  # one failed call can be known to be permanent


class HttpStatusError(ToolError):
    """A server answered with a status that says that it did not work. ``status`` is that.

    ``retry_after`` is in seconds, None where the server did not ask to wait.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        retry_after: float | None = None,
        hint: str | None = None,
        permanent: bool = False,
    ) -> None:
        super().__init__(message, hint=hint, permanent=permanent)
        self.status = status
        self.retry_after = retry_after


class ToolNotAllowedError(StepError):
    """A step offers its model a tool that models may call only where the ``tools`` resource allows it by name."""

    permanent = True


class UnknownToolError(StepError):
    """No tool, or no action of the tool, has this name."""

    permanent = True


class MissingExtraError(StepError):
    """An optional dependency is not installed. The hint names the extra that brings it."""

    permanent = True


class StepTimeoutError(StepError):
    """The step's work took longer than its ``timeout`` and was stopped."""


class StepInterruptedError(StepError):
    """The run was stopped while the step's work was going on; the work was stopped with it."""

    permanent = True


class WaitingForAnswerError(StepError):
    """A person is to answer first. It is no failure to route or to go on past: the run ends, and is resumed later."""

    permanent = True


class ApprovalRejectedError(StepError):
    """A person has not approved what the step was to be approved for."""

    permanent = True


class InnerStepError(StepError):
    """A step inside a loop, or inside the pipeline that a step runs, has failed, and the whole with it.

    It has had its own retries; those of the whole come after them. It is permanent when the failure inside is.
    """

    def __init__(
        self, message: str, *, hint: str | None = None, location: str | None = None, permanent: bool = True
    ) -> None:
        super().__init__(message, hint=hint, location=location)
        self.permanent = permanent  # type: ignore[misc]  # as the failure inside


class LoopLimitError(StepError):
    """A loop has made as many passes as it may, and its condition is still open."""

    permanent = True


class StorageError(StepError):
    """A folder or URL where this package keeps files cannot be opened, read or written."""

    permanent = True


class ModelError(StepError):
    """A model call failed for a reason that may pass: a server error, a cut connection.

    ``usage`` is what the failed call took, None where no answer came: an empty answer and a refusal are billed too.
    ``retry_after`` is the seconds that the provider asked to wait, None where it did not say.
    """

    retry_after: float | None = None


class ModelUnreachableError(ModelError):
    """The model's endpoint does not answer: refused connection, unknown host, no route."""


class ModelTimeoutError(ModelError):
    """The model did not answer in time."""


class ModelStalledError(ModelTimeoutError):
    """An answer that came as a stream stopped coming: nothing arrived for longer than ``stall`` allows."""


class ModelCoolingDownError(ModelError):
    """The model is left alone for a while: its provider asked for it, or it failed several times in a row.

    Nothing was sent. The message says until when; ``retry_after`` is in seconds.
    """

    def __init__(self, message: str, *, retry_after: float, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class ModelTurnError(ModelError):
    """A call's turn did not come in time: the limits set for the provider left no room. Nothing was sent."""


class ModelRateLimitError(ModelError):
    """The provider asked us to slow down. ``out_of_quota``: the account's money is used up, waiting does not help."""

    out_of_quota: bool = False

    def __init__(self, message: str, *, retry_after: float | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class ModelAnswerError(ModelError):
    """The answer does not fit what was asked for (not the schema, empty), also after the repairs that were allowed."""


class ModelAnswerTruncatedError(ModelAnswerError):
    """The answer was cut off at its token limit. Asking again would only cut it again."""

    permanent = True


class ToolCallLimitError(ModelAnswerError):
    """The model has made as many tool calls as it may, was told to answer, and called a tool again.

    Trying again would repeat its calls, with what they cost and what they change.
    """

    permanent = True


class ModelRefusalError(ModelError):
    """The model or its content filter refused to answer."""

    permanent = True


class ModelRequestError(ModelError):
    """The provider refused the request as it is: a bad parameter, a prompt that is too long."""

    permanent = True


class ModelKeyError(ModelError):
    """The provider's key is missing or was refused."""

    permanent = True


class UnknownModelError(ModelError):
    """No provider or no model has this name, or the provider does not serve it."""

    permanent = True


class NoModelError(ModelError):
    """No model fits a step: the message names each candidate with its reason, the hint says what to set."""

    permanent = True


class BudgetError(ModelError):
    """A budget does not allow the next call, which was not made, or the bill of the last one went over it."""

    permanent = True


class DecisionError(StepError):
    """Nothing can decide an ``<AUTO>`` value: the pipeline names no ``orchestrator``, or the built-in model."""

    permanent = True


class PersonalityError(StepError):
    """A personality's name is nowhere, or its file cannot be read."""

    permanent = True
