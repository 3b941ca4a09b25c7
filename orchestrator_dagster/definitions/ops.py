"""The ops of a pipeline: one that opens the run, one for each step, one that closes it."""

# No `from __future__ import annotations` here: Dagster looks at the type of `context` itself.
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

import dagster as dg
from dagster import OpExecutionContext
from dagster._utils.warnings import disable_dagster_warnings

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledStep
from orchestrator_dagster.definitions.config import config_schema
from orchestrator_dagster.definitions.metadata import outcome_metadata, product_metadata
from orchestrator_dagster.errors import InputsError, ModelError, StepError
from orchestrator_dagster.language.settings import Retries
from orchestrator_dagster.models.client import Usage
from orchestrator_dagster.models.litellm_client import import_in_background
from orchestrator_dagster.models.references import BUILTIN
from orchestrator_dagster.runtime.inputs import complete_inputs
from orchestrator_dagster.runtime.names import RunInfo
from orchestrator_dagster.runtime.outcome import Outcome
from orchestrator_dagster.runtime.outputs import render_outputs
from orchestrator_dagster.runtime.record import run_record
from orchestrator_dagster.runtime.secrets import Redactor
from orchestrator_dagster.runtime.services import Services
from orchestrator_dagster.runtime.step import run_step

RESOURCES = frozenset(("models", "tools", "workspace"))
OUTCOMES_IO = "orchestrator_outcomes"
PRODUCTS_IO = "orchestrator_products"


def product_output(variable: str) -> str:
    """Name of the op output that carries a product."""
    return f"product_{variable}"


def inputs_op(pipeline: CompiledPipeline) -> dg.OpDefinition:
    """The op that checks and completes the inputs of a launch, all problems at once, before any step runs."""
    hosted = any(not model.startswith(f"{BUILTIN}:") for step in pipeline.steps for model in step.models)

    def compute(context: OpExecutionContext, _: Mapping[str, Any]) -> Iterator[dg.Output[Any]]:
        run = RunInfo(context.run_id, datetime.now(timezone.utc), _partition(context))
        if hosted:  # litellm takes seconds to import: it can, while the first steps work
            import_in_background()
        try:
            values = complete_inputs(pipeline, context.op_config, run)
        except InputsError as error:
            raise dg.Failure(description=Redactor().text(str(error)), allow_retries=False) from None
        yield dg.Output({"values": values, "started_at": run.started_at.isoformat()}, "inputs")

    return dg.OpDefinition(
        name=f"{pipeline.op}__inputs",
        description="Checks and completes the inputs of the launch.",
        compute_fn=compute,
        outs={"inputs": dg.Out(dg.Any, io_manager_key=OUTCOMES_IO)},
        config_schema=config_schema(pipeline),
    )


def step_op(pipeline: CompiledPipeline, step: CompiledStep) -> dg.OpDefinition:
    """The op that runs a step: takes the outcomes it depends on, gives its own, and its products."""
    before = {pipeline.by_id[name].op: name for name in step.dependencies}

    def compute(context: OpExecutionContext, given: Mapping[str, Any]) -> Iterator[dg.Output[Any]]:
        services = _services(context)
        run = _run_info(context, given["inputs"])
        outcomes = {name: Outcome.model_validate(given[op]) for op, name in before.items()}
        selected = context.selected_output_names
        wanted = [one.variable for one in step.products if product_output(one.variable) in selected]
        try:
            outcome = run_step(
                pipeline,
                step,
                given["inputs"]["values"],
                outcomes,
                run,
                services,
                attempt=context.retry_number + 1,
                products=wanted,
            )
        except StepError as error:
            raise _failure(error) from None
        for product in outcome.products:
            with disable_dagster_warnings():  # data versions are in beta; users can do nothing about it
                made = dg.Output(
                    product.model_dump(mode="json"),
                    product_output(product.variable),
                    metadata=product_metadata(pipeline, step, outcome, product, services.workspace),
                    data_version=dg.DataVersion(product.sha256),
                )
            yield made
        if "outcome" in selected:
            yield dg.Output(outcome, "outcome", metadata=outcome_metadata(outcome))

    outs = {"outcome": dg.Out(dg.Any, io_manager_key=OUTCOMES_IO, is_required=False)}
    for product in step.products:
        outs[product_output(product.variable)] = dg.Out(
            dg.Any, io_manager_key=PRODUCTS_IO, is_required=False, description=product.description
        )
    return dg.OpDefinition(
        name=f"{pipeline.op}__{step.op}",
        description=step.spec.description or step.instruction,
        compute_fn=compute,
        ins={"inputs": dg.In(dg.Any), **{op: dg.In(dg.Any) for op in before}},
        outs=outs,
        required_resource_keys=set(RESOURCES),
        retry_policy=_retry_policy(step.retries),
        tags=dict(step.spec.tags),
        code_version=step.code_version,
        pool=step.spec.pool,
    )


def finish_op(pipeline: CompiledPipeline) -> dg.OpDefinition:
    """The op that closes a run: its declared outputs and its record, as the asset ``[<id>, run]``."""

    def compute(context: OpExecutionContext, given: Mapping[str, Any]) -> Iterator[dg.Output[Any]]:
        run = _run_info(context, given["inputs"])
        outcomes = {one.step: one for one in map(Outcome.model_validate, given["outcomes"])}
        workspace = context.resources.workspace.workspace()
        outputs = render_outputs(pipeline, given["inputs"]["values"], outcomes, run, workspace.environment)
        record = run_record(pipeline, run, outcomes, outputs, completed_at=datetime.now(timezone.utc))
        usage = record["usage"]
        numbers = {
            "steps": len(outcomes),
            "products": len(record["products"]),
            "seconds": record["duration"],
            "model_calls": usage["calls"],
            "tokens": usage["tokens"],
            "cost": usage["cost"],
        }
        metadata: dict[str, Any] = {
            f"orchestrator/{name}": value for name, value in numbers.items() if value is not None
        }
        if outputs:
            metadata["orchestrator/outputs"] = dg.JsonMetadataValue(outputs)
        yield dg.Output(record, "run", metadata=metadata)

    return dg.OpDefinition(
        name=f"{pipeline.op}__finish",
        description="Closes the run: outputs and record.",
        compute_fn=compute,
        ins={"inputs": dg.In(dg.Any), "outcomes": dg.In(dg.Any)},
        outs={"run": dg.Out(dg.Any, io_manager_key=OUTCOMES_IO, is_required=False)},
        required_resource_keys={"workspace"},
        code_version=pipeline.fingerprint[:16],
    )


def _services(context: OpExecutionContext) -> Services:
    workspace = context.resources.workspace.workspace()
    redactor = Redactor()
    return Services(
        workspace=workspace,
        tools=context.resources.tools.registry(workspace.root),
        models=context.resources.models.clients(),
        redactor=redactor,
        log=lambda line: context.log.info(redactor.text(line)),
    )


def _run_info(context: OpExecutionContext, inputs: Mapping[str, Any]) -> RunInfo:
    return RunInfo(context.run_id, datetime.fromisoformat(inputs["started_at"]), _partition(context))


def _partition(context: OpExecutionContext) -> str | None:
    return context.partition_key if context.has_partition_key else None


def _failure(error: StepError) -> dg.Failure:
    """The error as Dagster's: its text, where the step stands, and whether a retry can help."""
    metadata: dict[str, Any] = {"orchestrator/error": type(error).__name__, "orchestrator/message": error.message}
    if isinstance(error, ModelError):
        usage = error.usage or Usage(calls=1)
        metadata["orchestrator/model_calls"] = usage.calls
        metadata["orchestrator/input_tokens"] = usage.input_tokens
        metadata["orchestrator/output_tokens"] = usage.output_tokens
        if usage.cost is not None:
            metadata["orchestrator/cost"] = usage.cost
    if error.location:
        metadata["orchestrator/defined_at"] = error.location
    if error.hint:
        metadata["orchestrator/next"] = error.hint
    return dg.Failure(description=str(error), metadata=metadata, allow_retries=not error.permanent)


def _retry_policy(retries: Retries) -> dg.RetryPolicy | None:
    if retries.max == 0:
        return None
    backoff = {"exponential": dg.Backoff.EXPONENTIAL, "linear": dg.Backoff.LINEAR, "constant": None}
    jitter = {"full": dg.Jitter.FULL, "plus_minus": dg.Jitter.PLUS_MINUS, None: None}
    delay = float(retries.delay) if retries.delay is not None else None
    return dg.RetryPolicy(
        max_retries=retries.max,
        delay=delay if delay is not None else (1.0 if retries.backoff != "constant" or retries.jitter else None),
        backoff=backoff[retries.backoff],
        jitter=jitter[retries.jitter],
    )
