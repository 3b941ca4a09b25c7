"""The inputs that a schedule or trigger gives to a run, rendered before the run exists."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.errors import InputsError, TemplateError
from orchestrator_dagster.frozen import thaw
from orchestrator_dagster.language.absent import Absent
from orchestrator_dagster.language.templates import render_tree
from orchestrator_dagster.language.values import checked_value, sentences


def launch_inputs(
    pipeline: CompiledPipeline,
    given: Mapping[str, Any],
    at: datetime,
    *,
    partition: str | None = None,
    names: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The inputs of a launch, of their declared types; those that are not given take their defaults in the run.

    Args:
        pipeline: The pipeline.
        given: Inputs of a schedule or trigger, checked by the compiler.
        at: Time of the tick, in the zone that templates are to see.
        partition: The partition of the run.
        names: Further names: ``file`` or ``asset``.

    Raises:
        InputsError: A template fails, or a value does not fit its input; all problems at once.
    """
    now = at.isoformat(timespec="seconds")
    known = {
        "null": None,
        "timestamp": now,
        "current_timestamp": now,
        "current_date": at.date().isoformat(),
        "pipeline_id": pipeline.id,
        "partition": {"key": partition if partition is not None else Absent("the run has no partition")},
        **(names or {}),
    }
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, value in given.items():
        spec = pipeline.inputs[name]
        try:
            made = render_tree(thaw(value), known)
            if made is not None:
                values[name] = checked_value(spec.typed, made)
        except TemplateError as error:
            problems.append(f'the input "{name}": {error.message}')
        except ValidationError as error:
            problems += [f'the input "{name}": {sentence}' for sentence in sentences(error)]
    problems += [
        f'the input "{name}" is required, and what is given for it is nothing'
        for name, spec in pipeline.inputs.items()
        if spec.is_required and name not in values and not problems
    ]
    if problems:
        raise InputsError(f'the inputs for a run of "{pipeline.id}" are wrong', problems)
    return values
