"""The declared outputs of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.language.templates import render_tree
from orchestrator_dagster.runtime.names import RunInfo, names_for
from orchestrator_dagster.runtime.outcome import Outcome


def render_outputs(
    pipeline: CompiledPipeline,
    inputs: Mapping[str, Any],
    outcomes: Mapping[str, Outcome],
    run: RunInfo,
    environment: frozenset[str] = frozenset(),
) -> dict[str, Any]:
    """The value of every output. One that names a skipped or failed step is None and fails nothing.

    Raises:
        TemplateError: An output cannot be rendered for another reason.
    """
    names = names_for(pipeline, inputs, outcomes, run, environment)
    values: dict[str, Any] = {}
    waiting = dict(pipeline.outputs)
    for name, value in waiting.items():
        steps = pipeline.output_steps.get(name, ())
        if any(step not in outcomes or outcomes[step].status != "completed" for step in steps):
            values[name] = None
            continue
        values[name] = render_tree(value, {**names, "outputs": values}, dashed=pipeline.dashed)
    return values
