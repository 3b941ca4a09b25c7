"""Variables: taken from a tool's result or a model's answer, checked, never stored as they came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledStep
from orchestrator_dagster.errors import TemplateError, VariablesError
from orchestrator_dagster.language.templates import render
from orchestrator_dagster.language.types import VariableSpec
from orchestrator_dagster.language.values import checked_value, sentences
from orchestrator_dagster.runtime.schemas import resolved
from orchestrator_dagster.text import nearest


def main_value(variables: Mapping[str, Any], declared: bool, result: Any) -> Any:
    """A step's main value: its one variable, else a map of its variables, else its result."""
    if not declared:
        return result
    if len(variables) == 1:
        return next(iter(variables.values()))
    return dict(variables)


def variables_of_result(
    pipeline: CompiledPipeline, step: CompiledStep, result: Any, names: Mapping[str, Any]
) -> dict[str, Any]:
    """A tool step's variables: by expression over ``result``, by name, or the whole result when there is one variable.

    Raises:
        VariablesError: The result has no such field, or its value does not fit; all problems at once.
    """
    if not step.spec.vars:
        return dict.fromkeys(step.variables, result)
    problems: list[str] = []
    values: dict[str, Any] = {}
    for name, spec in step.variables.items():
        if spec.value is not None:
            try:
                found = render(spec.value, {**names, "result": result}, dashed=pipeline.dashed)
            except TemplateError as error:
                problems.append(f'"{name}": {error.message}')
                continue
        elif isinstance(result, Mapping) and name in result:
            found = result[name]
        elif len(step.variables) == 1:
            found = result
        else:
            fields = list(result) if isinstance(result, Mapping) else []
            said = (
                nearest(name, map(str, fields)) or f"; the result has {', '.join(map(str, fields[:15])) or 'no fields'}"
            )
            problems.append(f'the result has no "{name}"{said}')
            continue
        try:
            values[name] = checked_value(resolved(pipeline, spec), found)
        except ValidationError as error:
            problems.extend(f'"{name}": {sentence}' for sentence in sentences(error))
    if problems:
        raise VariablesError(
            f"the result does not fit the step's variables: {'; '.join(problems)}",
            hint='change `vars`, or take the value by an expression such as `rows: "{{ result.items }}"`',
        )
    return values


def asked_variables(pipeline: CompiledPipeline, step: CompiledStep) -> dict[str, VariableSpec]:
    """The variables as a model is asked for them: what only has a description is text."""
    asked = {}
    for name, spec in step.variables.items():
        spec = resolved(pipeline, spec)
        asked[name] = spec if spec.says_shape else spec.model_copy(update={"type": "string"})
    return asked
