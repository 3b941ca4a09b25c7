"""What the kinds of work give back, and the kinds that need no model: tools and the few built-in actions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledStep
from orchestrator_dagster.errors import ParametersError, StepError, ToolError
from orchestrator_dagster.frozen import thaw
from orchestrator_dagster.language.templates import render_tree
from orchestrator_dagster.runtime.audit import audited_tool
from orchestrator_dagster.runtime.failure import after_paying
from orchestrator_dagster.runtime.killable.call import call_killable
from orchestrator_dagster.runtime.outcome import ModelUse, ProductFile, ToolCallInfo, UsageInfo
from orchestrator_dagster.runtime.people import StepPeople
from orchestrator_dagster.runtime.services import Services
from orchestrator_dagster.runtime.tool_models import StepModels
from orchestrator_dagster.runtime.variables import main_value, variables_of_result
from orchestrator_dagster.tools.pipeline_access import PipelineAccess
from orchestrator_dagster.tools.tool import ToolContext


@dataclass(frozen=True)
class Done:
    """Work that succeeded: its value, its variables, what it took, and the files that it made besides its products.

    ``tool_calls`` are those of its model.
    """

    value: Any
    variables: dict[str, Any] = field(default_factory=dict)
    model: ModelUse | None = None
    usage: UsageInfo = field(default_factory=UsageInfo)
    products: tuple[ProductFile, ...] = ()
    tool_calls: tuple[ToolCallInfo, ...] = ()


def run_tool_step(
    pipeline: CompiledPipeline,
    step: CompiledStep,
    names: Mapping[str, Any],
    services: Services,
    timeout: float | None,
    pipelines: LentPipelines | None = None,
) -> Done:
    """Call the tool and take the step's variables from its result.

    Args:
        pipeline: The pipeline of the step.
        step: The step.
        names: The names that its templates may use.
        services: Tools, models and files.
        timeout: Seconds for it, None without limit.
        pipelines: What it may run pipelines with.

    Raises:
        StepError: What went wrong, also when the tool answers that it did not succeed.
    """
    parameters = {**render_tree(step.parameters, names, dashed=pipeline.dashed), **thaw(step.literals)}
    action = services.tools.find(str(step.tool)).find(step.action)
    models = StepModels(pipeline, step, names, services, timeout) if action.uses_models else None
    context = replace(
        tool_context(pipeline, services, timeout),
        models=models,
        pipelines=pipelines if action.in_run else None,
        people=StepPeople(pipeline, step, services) if action.in_run else None,
    )
    with _lending(models, pipelines):
        with audited_tool(services, str(step.tool), step.action, parameters) as call:
            if timeout is None or action.is_async or action.stays:
                result = action.call(context, parameters)
            else:  # a function that runs cannot be stopped, a process can
                result = call_killable(services.tools, action, context, parameters)
            call.result = result
            _check_success(step, result)
        variables = variables_of_result(pipeline, step, result, names)
    value = main_value(variables, bool(step.spec.vars), result)
    return Done(
        value=value,
        variables=variables,
        model=models.use if models else None,
        usage=_usage(models, pipelines),
        products=pipelines.products if pipelines else (),
        tool_calls=models.tool_calls if models else (),
    )


class LentPipelines(PipelineAccess, Protocol):
    """Pipelines that a tool may run, with what they took and made."""

    @property
    def usage(self) -> UsageInfo:
        """What their model calls took so far."""
        ...

    @property
    def products(self) -> tuple[ProductFile, ...]:
        """The files that they made."""
        ...


def _usage(models: StepModels | None, pipelines: LentPipelines | None) -> UsageInfo:
    return sum((one.usage for one in (models, pipelines) if one is not None), UsageInfo())


@contextmanager
def _lending(models: StepModels | None, pipelines: LentPipelines | None) -> Iterator[None]:
    """Settle what a tool was answered when it has ended, and note what it took in a failure."""
    try:
        with after_paying(lambda: _usage(models, pipelines)):
            yield
    except StepError as error:
        if models is not None:
            models.settle(error)
            error.tool_calls = models.tool_calls
        raise
    if models is not None:
        models.settle()


def tool_context(pipeline: CompiledPipeline, services: Services, timeout: float | None) -> ToolContext:
    """What a tool may use that a step of this pipeline calls."""
    return ToolContext(
        workspace=services.workspace,
        timeout=timeout,
        folders=tuple(folder for folder in (pipeline.folder, str(services.workspace.root)) if folder),
        log=services.log,
        interrupted=services.interrupted,
        settings=services.tools.settings,
    )


def _check_success(step: CompiledStep, result: Any) -> None:
    """A tool that answers "not successful" has failed, exactly like one that raised."""
    if isinstance(result, Mapping) and result.get("success") is False:
        said = result.get("error") or result.get("message") or "it gave no reason"
        raise ToolError(f"{step.tool}.{step.action} answered that it did not succeed: {said}")


def run_builtin_step(
    pipeline: CompiledPipeline,
    step: CompiledStep,
    names: Mapping[str, Any],
    services: Services,
    timeout: float | None,
) -> Done:
    """The built-in actions: ``echo`` gives its message, ``debug`` and ``log`` also write it to the run's log.

    Raises:
        ParametersError: There is nothing to echo.
    """
    parameters = render_tree(step.parameters, names, dashed=pipeline.dashed)
    if not parameters:
        raise ParametersError(
            f'step "{step.id}" has nothing to {step.action}', hint="give it `parameters: {message: …}`"
        )
    value = parameters["message"] if list(parameters) == ["message"] else parameters
    if step.action in ("debug", "log"):
        services.log(str(value))
    return as_done(pipeline, step, value, names)


def as_done(pipeline: CompiledPipeline, step: CompiledStep, value: Any, names: Mapping[str, Any]) -> Done:
    """Work whose result is this value, with the step's variables taken from it.

    Raises:
        VariablesError: They do not fit.
    """
    variables = variables_of_result(pipeline, step, value, names)
    return Done(value=main_value(variables, bool(step.spec.vars), value), variables=variables)
