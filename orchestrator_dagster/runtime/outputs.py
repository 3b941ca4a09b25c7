"""The declared outputs of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.errors import TemplateError
from orchestrator_dagster.language.absent import Absent
from orchestrator_dagster.runtime.names import RunInfo, names_for
from orchestrator_dagster.runtime.outcome import Outcome


def render_outputs(
    pipeline: CompiledPipeline,
    inputs: Mapping[str, Any],
    outcomes: Mapping[str, Outcome],
    run: RunInfo,
    environment: frozenset[str] = frozenset(),
) -> dict[str, Any]:
    """The value of every output. One that needs the value of a skipped or failed step is None and fails nothing.

    Raises:
        TemplateError: An output cannot be rendered for another reason; all of them at once, each by its name.
    """
    view = names_for(pipeline, inputs, outcomes, run, environment)["outputs"]
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name in pipeline.outputs:
        try:
            value = view[name]
        except TemplateError as error:
            problems.append(error.message)
            continue
        values[name] = None if isinstance(value, Absent) else value
    if problems:
        raise TemplateError("; ".join(problems), location=pipeline.file)
    return values
