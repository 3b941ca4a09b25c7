"""One occurrence of one step: names, work, variables, products, outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from orchestrator_dagster.compiler.builtin_actions import EVALUATE
from orchestrator_dagster.compiler.compiled import CompiledProduct, CompiledStep
from orchestrator_dagster.errors import TemplateError
from orchestrator_dagster.language.auto_tags import auto_in
from orchestrator_dagster.language.base import Duration
from orchestrator_dagster.language.templates import render
from orchestrator_dagster.runtime.auto import decide_step, decide_values
from orchestrator_dagster.runtime.failure import after_paying, step_errors
from orchestrator_dagster.runtime.flow import evaluated
from orchestrator_dagster.runtime.metering import Meter
from orchestrator_dagster.runtime.model_step import run_model_step
from orchestrator_dagster.runtime.outcome import Outcome, ProductFile
from orchestrator_dagster.runtime.pipeline_runs import StepPipelines
from orchestrator_dagster.runtime.products import write_product
from orchestrator_dagster.runtime.scope import Scope
from orchestrator_dagster.runtime.subpipeline import run_pipeline_step
from orchestrator_dagster.runtime.work import Done, as_done, run_builtin_step, run_tool_step


def run_step(
    step: CompiledStep,
    scope: Scope,
    *,
    attempt: int = 1,
    error: Mapping[str, Any] | None = None,
) -> Outcome:
    """Run a step once: one attempt at its work. Whether it runs is decided before.

    Args:
        step: The step, which does not repeat.
        scope: Where it runs.
        attempt: Which attempt this is, from 1.
        error: What it has as ``error``, when a failure led to it.

    Returns:
        The outcome of a step that completed.

    Raises:
        StepError: With the step's place in the file and without secrets in its text.
    """
    started = datetime.now(timezone.utc)
    pipeline, scope = scope.pipeline, scope.at(step)
    services, decisions = replace(scope.services, occurrence=scope.occurrence(step)), scope.decisions
    meter = Meter(services)
    services = replace(services, models=meter)
    redactor = services.redactor
    with step_errors(step, scope), after_paying(lambda: decisions.usage), meter.at_failure():
        scope.check_interrupted()
        step, names = decide_step(step, scope, scope.names(error))
        timeout = scope.remaining(timeout_of(step, names))
        if step.kind == "pipeline":
            done = run_pipeline_step(step, scope, names, timeout)
        elif step.kind == "tool":
            done = run_tool_step(pipeline, step, names, services, timeout, StepPipelines(step, scope, timeout))
        elif step.action == EVALUATE:
            (key, condition) = next(iter(step.parameters.items()))
            done = as_done(pipeline, step, evaluated(condition, key, names, scope), names)
        else:
            done = _WORK[step.kind](pipeline, step, names, services, timeout)
        with after_paying(lambda: done.usage):
            meter.check()
            written = write_products(step, done, names, scope)
    return Outcome(
        step=step.id,
        status="completed",
        value=redactor.value(done.value),
        variables=redactor.value(done.variables),
        products=(*written, *done.products),
        location=written[0].path if written else None,
        tool=step.tool,
        action=step.action,
        model=done.model,
        usage=decisions.usage + meter.counted(done.usage),
        tool_calls=done.tool_calls,
        decisions=tuple(decisions.made),
        attempts=attempt,
        started_at=started,
        completed_at=datetime.now(timezone.utc),
    )


_WORK = {"model": run_model_step, "builtin": run_builtin_step}


def timeout_of(step: CompiledStep, names: Mapping[str, Any]) -> float | None:
    """The seconds that a step may take, None for no limit.

    Raises:
        TemplateError: Its template gives no duration.
    """
    if isinstance(step.timeout, str):
        from pydantic import TypeAdapter, ValidationError

        rendered = render(step.timeout, names)
        try:
            value = TypeAdapter(Duration).validate_python(rendered)
        except ValidationError:
            raise TemplateError(f"`timeout` is {rendered!r}, which is no duration", hint="30, 2m, 1h30m") from None
        return float(value)
    return step.timeout


def write_products(step: CompiledStep, done: Done, names: Mapping[str, Any], scope: Scope) -> tuple[ProductFile, ...]:
    """Write the products that are wanted; all of them are rendered before the first one is written."""
    chosen: list[CompiledProduct] = [one for one in step.products if scope.wants(one.key)]
    if not chosen:
        return ()
    pipeline = scope.pipeline
    own = {**names, **done.variables, "result": done.value}
    folder = str(scope.inputs["output_dir"])
    written = [product.path for product in chosen]
    if auto_in(written):
        written, own = decide_values(written, "products", step, scope, own)
    paths = [str(render(path, own, dashed=pipeline.dashed)) for path in written]
    return tuple(
        write_product(pipeline, product, path, folder, done.variables[product.variable], own, scope.services)
        for product, path in zip(chosen, paths, strict=True)
    )
