"""The inputs of a launch: completed with defaults, checked all at once, before any step runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.errors import InputsError, TemplateError
from orchestrator_dagster.frozen import thaw
from orchestrator_dagster.language.base import has_template
from orchestrator_dagster.language.templates import render_tree
from orchestrator_dagster.language.values import checked_value, sentences
from orchestrator_dagster.runtime.names import RunInfo, names_for
from orchestrator_dagster.text import nearest


def complete_inputs(
    pipeline: CompiledPipeline, given: Mapping[str, Any], run: RunInfo, loaded: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The value of every input that has one.

    Args:
        pipeline: The pipeline.
        given: What the launch gives; texts are read as the input's type (``"10"`` is 10 for an integer).
        run: The run, for defaults that are templates.
        loaded: Values of inputs that are loaded from assets, as far as they have one; None before they are loaded.

    Raises:
        InputsError: A required input is missing, one is unknown, or a value does not fit; all problems at once.
    """
    problems: list[str] = []
    values: dict[str, Any] = {}
    for name in given:
        if name not in pipeline.inputs:
            known = ", ".join(pipeline.inputs)
            problems.append(
                f'there is no input "{name}"{nearest(name, pipeline.inputs) or f"; the inputs are {known}"}'
            )
    for name, spec in pipeline.inputs.items():
        value = given.get(name)
        if spec.asset:
            problems += [_given(name, spec.asset)] if value is not None else []
            continue
        if value is None:
            if spec.is_required:
                about = f" ({spec.description})" if spec.description else ""
                problems.append(f'the input "{name}"{about} is required: {spec.kind}')
            continue
        try:
            values[name] = checked_value(spec.typed, value)
        except ValidationError as error:
            problems.extend(f'the input "{name}": {sentence}' for sentence in sentences(error))
            continue
    for name, spec in pipeline.inputs.items():
        if spec.asset and loaded is not None and name in loaded:
            values[name] = loaded[name]
        if name in values or spec.default is None or given.get(name) is not None or (spec.asset and loaded is None):
            continue
        values[name] = _default(pipeline, name, values, run, problems)
    problems += [
        _unset_secret(name, given.get(name) is None, values[name])
        for name, spec in pipeline.inputs.items()
        if spec.kind == "secret" and name in values and not os.environ.get(str(values[name]))
    ]
    if problems:
        raise InputsError(f'the inputs of "{pipeline.id}" are wrong', problems, hint=_what_to_give(pipeline))
    return values


def _what_to_give(pipeline: CompiledPipeline) -> str | None:
    """The inputs that a launch must give, and those that it may."""
    given = {name: spec for name, spec in pipeline.inputs.items() if not spec.asset}
    must = [f"{name} ({spec.kind})" for name, spec in given.items() if spec.is_required]
    may = [f"{name} ({spec.kind})" for name, spec in given.items() if not spec.is_required]
    wanted = "; if wanted, ".join(", ".join(some) for some in (must, may) if some)
    return f"give {wanted}" if wanted else None


def _given(name: str, asset: str) -> str:
    return (
        f'the input "{name}" is loaded from the asset "{asset}", so that the lineage is true: it cannot be given;'
        " materialize the asset, or run a file in which it is an input without `asset`"
    )


def _unset_secret(name: str, by_default: bool, variable: Any) -> str:
    # What a launch gives may be the secret itself, by mistake: only a default's name is shown.
    what = f"the environment variable {variable}" if by_default else "the environment variable that it names"
    return f'the input "{name}" is a secret, and {what} is not set'


def _default(
    pipeline: CompiledPipeline, name: str, values: Mapping[str, Any], run: RunInfo, problems: list[str]
) -> Any:
    default = thaw(pipeline.inputs[name].default)
    if not any(has_template(text) for text in _texts(default)):
        return default
    try:
        return render_tree(default, names_for(pipeline, values, {}, run), dashed=pipeline.dashed)
    except TemplateError as error:
        problems.append(f'the default of the input "{name}": {error.message}')
        return None


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return []
