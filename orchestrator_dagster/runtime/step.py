"""One occurrence of one step: names, work, variables, products, outcome."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledProduct, CompiledStep
from orchestrator_dagster.errors import OrchestratorError, TemplateError
from orchestrator_dagster.language.base import Duration
from orchestrator_dagster.language.templates import render
from orchestrator_dagster.runtime.model_step import run_model_step
from orchestrator_dagster.runtime.names import RunInfo, names_for
from orchestrator_dagster.runtime.outcome import Outcome, ProductFile
from orchestrator_dagster.runtime.products import write_product
from orchestrator_dagster.runtime.secrets import Redactor
from orchestrator_dagster.runtime.services import Services
from orchestrator_dagster.runtime.work import Done, run_builtin_step, run_tool_step

_WORK = {"tool": run_tool_step, "model": run_model_step, "builtin": run_builtin_step}


def run_step(
    pipeline: CompiledPipeline,
    step: CompiledStep,
    inputs: Mapping[str, Any],
    outcomes: Mapping[str, Outcome],
    run: RunInfo,
    services: Services,
    *,
    attempt: int = 1,
    products: Collection[str] | None = None,
) -> Outcome:
    """Run a step once.

    Args:
        pipeline: The pipeline the step belongs to.
        step: The step.
        inputs: Completed inputs of the run.
        outcomes: Outcome of each step it depends on.
        run: The run.
        services: Tools, models and files.
        attempt: Which attempt this is, from 1.
        products: Variables whose products are written, None for all.

    Returns:
        The outcome of a step that completed.

    Raises:
        StepError: With the step's place in the file and without secrets in its text.
    """
    started = datetime.now(timezone.utc)
    inputs, services = _with_secrets(pipeline, inputs, services)
    redactor = services.redactor
    try:
        names = names_for(pipeline, inputs, outcomes, run, services.workspace.environment)
        done = _WORK[step.kind](pipeline, step, names, services, _timeout(step, names))
        written = _write_products(pipeline, step, done, names, inputs, services, products)
    except OrchestratorError as error:
        error.message = redactor.text(error.message)
        error.args = (error.message,)
        error.hint = redactor.text(error.hint) if error.hint else None
        error.location = error.location or pipeline.location(step)
        # What caused it may quote a secret, and says nothing that the message does not.
        error.__cause__, error.__suppress_context__ = None, True
        raise
    return Outcome(
        step=step.id,
        status="completed",
        value=redactor.value(done.value),
        variables=redactor.value(done.variables),
        products=written,
        location=written[0].path if written else None,
        tool=step.tool,
        action=step.action,
        model=done.model,
        usage=done.usage,
        attempts=attempt,
        started_at=started,
        completed_at=datetime.now(timezone.utc),
    )


def _with_secrets(
    pipeline: CompiledPipeline, inputs: Mapping[str, Any], services: Services
) -> tuple[dict[str, Any], Services]:
    """Inputs of type ``secret`` with their environment variable's value, which nothing that is written may show."""
    values = dict(inputs)
    found = []
    for name, spec in pipeline.inputs.items():
        if spec.kind == "secret" and name in values:
            values[name] = os.environ.get(str(values[name]), "")
            found.append(values[name])
    return values, replace(services, redactor=Redactor(found)) if found else services


def _timeout(step: CompiledStep, names: Mapping[str, Any]) -> float | None:
    if isinstance(step.timeout, str):
        from pydantic import TypeAdapter, ValidationError

        rendered = render(step.timeout, names)
        try:
            value = TypeAdapter(Duration).validate_python(rendered)
        except ValidationError:
            raise TemplateError(f"`timeout` is {rendered!r}, which is no duration", hint="30, 2m, 1h30m") from None
        return float(value)
    return step.timeout


def _write_products(
    pipeline: CompiledPipeline,
    step: CompiledStep,
    done: Done,
    names: Mapping[str, Any],
    inputs: Mapping[str, Any],
    services: Services,
    wanted: Collection[str] | None,
) -> tuple[ProductFile, ...]:
    """Write the products that are wanted; all of them are rendered before the first one is written."""
    chosen: list[CompiledProduct] = [one for one in step.products if wanted is None or one.variable in wanted]
    if not chosen:
        return ()
    own = {**names, **done.variables, "result": done.value}
    folder = str(inputs["output_dir"])
    paths = [str(render(product.path, own, dashed=pipeline.dashed)) for product in chosen]
    return tuple(
        write_product(pipeline, product, path, folder, done.variables[product.variable], own, services)
        for product, path in zip(chosen, paths, strict=True)
    )
