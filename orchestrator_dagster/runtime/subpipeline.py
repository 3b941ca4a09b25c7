"""A step that runs another pipeline, in place: its own inputs, its own steps, and its outputs as the step's value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledStep
from orchestrator_dagster.errors import InputsError, ParametersError, StepTimeoutError
from orchestrator_dagster.language.template_text import whole_expression
from orchestrator_dagster.language.templates import render_tree
from orchestrator_dagster.language.values import checked_value, sentences
from orchestrator_dagster.models.run_clients import limited
from orchestrator_dagster.runtime.failure import after_paying, inner_error
from orchestrator_dagster.runtime.inputs import complete_inputs
from orchestrator_dagster.runtime.outcome import Outcome, ProductFile, UsageInfo
from orchestrator_dagster.runtime.outputs import render_outputs
from orchestrator_dagster.runtime.scope import Scope
from orchestrator_dagster.runtime.variables import main_value, variables_of_result
from orchestrator_dagster.runtime.work import Done


def run_pipeline_step(step: CompiledStep, scope: Scope, names: Mapping[str, Any], timeout: float | None) -> Done:
    """Run the other pipeline and take the step's variables from its outputs.

    Args:
        step: The step.
        scope: Where it runs.
        names: The names that its inputs' templates may use.
        timeout: Seconds for the whole of it, None for no limit.

    Raises:
        ParametersError: The inputs do not fit the other pipeline.
        InnerStepError: One of its steps failed, and nothing handled it.
        StepTimeoutError: It took longer than ``timeout``.
    """
    pipeline = step.pipeline
    assert pipeline is not None
    given = _inputs(step, pipeline, scope, names)
    done = run_inside(pipeline, given, f"{scope.occurrence(step)}/", scope, timeout)
    with after_paying(lambda: done.usage):
        found: Any = done.outputs or {
            name: one.value for name, one in done.outcomes.items() if one.status == "completed"
        }
        variables = variables_of_result(scope.pipeline, step, found, names)
    value = main_value(variables, bool(step.spec.vars), found)
    return Done(value, variables, usage=done.usage, products=done.products)


@dataclass(frozen=True)
class Inside:
    """What a pipeline came to that ran inside a step."""

    outcomes: Mapping[str, Outcome]
    outputs: dict[str, Any]
    usage: UsageInfo
    products: tuple[ProductFile, ...]


def run_inside(
    pipeline: CompiledPipeline, given: Mapping[str, Any], path: str, scope: Scope, timeout: float | None
) -> Inside:
    """Run a pipeline in place.

    Args:
        pipeline: The pipeline.
        given: Values of its inputs.
        path: The path of its steps in the run, for example ``each[3]/``.
        scope: Where it runs.
        timeout: Seconds for the whole of it, None for no limit.

    Raises:
        ParametersError: The inputs do not fit.
        InnerStepError: One of its steps failed, and nothing handled it.
        StepTimeoutError: It took longer than ``timeout``.
    """
    from orchestrator_dagster.runtime.in_place import first_failure, run_body

    try:
        # Where it is a step, the step around it gives what an asset gives otherwise.
        loaded = {name: value for name, value in given.items() if pipeline.inputs[name].asset}
        own = {name: value for name, value in given.items() if name not in loaded}
        values = complete_inputs(pipeline, own, scope.run, _checked(pipeline, loaded))
    except InputsError as error:
        raise ParametersError(f"{error.message}: {'; '.join(error.problems)}") from None
    services = replace(scope.services, occurrence="", models=limited(scope.services.models, pipeline.limits))
    inside = Scope.of(pipeline, values, scope.run, services, path=path)
    inside = replace(inside, deadline=scope.deadline, depth=scope.depth + 1).until(timeout)
    outcomes = run_body(pipeline.steps, pipeline.plan, inside)
    usage = sum((one.usage for one in outcomes.values()), UsageInfo())
    failed = first_failure(outcomes)
    carried = [failure for one in outcomes.values() for failure in one.failures]
    error_ = failed.error if failed else carried[0] if carried else None
    if error_ is not None:
        where = error_.step.removeprefix(inside.path)
        said = f'the pipeline "{pipeline.id}" failed: step "{where}": {error_.message}'
        if inside.is_over and error_.type == StepTimeoutError.__name__:
            late = StepTimeoutError(f"the time of the step is over: {said}", location=error_.location)
            late.paid = usage
            raise late
        raise inner_error(said, error_, usage)
    environment = services.workspace.environment
    with after_paying(lambda: usage):
        outputs = render_outputs(pipeline, inside.inputs, outcomes, scope.run, environment)
    files = tuple(product for one in outcomes.values() for product in one.products)
    return Inside(outcomes, outputs, usage, files)


def _checked(pipeline: CompiledPipeline, loaded: Mapping[str, Any]) -> dict[str, Any]:
    """What is given for inputs of assets, as it is described.

    Raises:
        InputsError: It does not fit.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, value in loaded.items():
        try:
            values[name] = checked_value(pipeline.inputs[name].typed, value)
        except ValidationError as error:
            problems += [f'the input "{name}": {sentence}' for sentence in sentences(error)]
    if problems:
        raise InputsError(f'the inputs of "{pipeline.id}" are wrong', problems)
    return values


def _inputs(step: CompiledStep, pipeline: CompiledPipeline, scope: Scope, names: Mapping[str, Any]) -> dict[str, Any]:
    """What the step gives: rendered, except that a secret stays the name of its environment variable."""
    given: dict[str, Any] = {}
    for name, value in step.parameters.items():
        of = whole_expression(value) if isinstance(value, str) else None
        key = (of or "").strip().removeprefix("inputs.")
        if pipeline.inputs[name].kind == "secret" and key in scope.secrets:
            given[name] = scope.secrets[key]
        else:
            given[name] = render_tree({name: value}, names, dashed=scope.pipeline.dashed)[name]
    return given
