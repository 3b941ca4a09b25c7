"""The ops of one step. A step that always runs is one op; one that may not run, or repeats over items, is a graph.

That graph is ``decide → run → outcome``. ``decide`` gives a plain decision and tickets: one when the step goes, none
when it is skipped, several for the items of a loop. ``run`` is mapped over the tickets, ``outcome`` takes what they
left.
"""

# No `from __future__ import annotations` here: Dagster looks at the type of `context` itself.
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, Union

import dagster as dg
from dagster import OpExecutionContext
from dagster._utils.warnings import disable_dagster_warnings

from orchestrator_dagster.compiler.compiled import AssetPath, CompiledPipeline, CompiledStep
from orchestrator_dagster.definitions.pipelines.checks import sound_at_once
from orchestrator_dagster.definitions.steps.metadata import (
    decisions_metadata,
    files_metadata,
    outcome_metadata,
    product_metadata,
    usage_metadata,
)
from orchestrator_dagster.definitions.steps.shared_parts import (
    NO_CONFIG,
    OUTCOMES_IO,
    PRODUCTS_IO,
    MakingOp,
    an_output,
    computes,
    inputs_named,
)
from orchestrator_dagster.definitions.steps.step_context import (
    as_dagster,
    carries_on,
    paid_before,
    retry_policy,
    scope_of,
    tries_again,
    value_of,
)
from orchestrator_dagster.errors import StepError
from orchestrator_dagster.runtime.failure import after_paying, handles, inner_error, keep_note, waits
from orchestrator_dagster.runtime.flow import judge
from orchestrator_dagster.runtime.loops import item_error, items_of, loop_outcome, max_parallel, run_items, run_loop
from orchestrator_dagster.runtime.outcome import Decision, Iteration, Outcome, ProductFile, UsageInfo
from orchestrator_dagster.runtime.product_checks import Fault
from orchestrator_dagster.runtime.scope import Scope
from orchestrator_dagster.runtime.step import run_step

RESOURCES = frozenset(("models", "tools", "workspace", OUTCOMES_IO))
#: The most tickets of a loop: each costs Dagster about 13 events, however many items it stands for.
MOST_TICKETS = 16

#: The most failed items of a loop that the log names; all of them stand in its outcome.
_FAILED_ITEMS_SHOWN = 20
_NOT_IN_NAMES = re.compile("[^A-Za-z0-9_]")

_Yielded = Iterator[Union[dg.Output[Any], dg.DynamicOutput[Any], dg.AssetMaterialization, dg.AssetCheckEvaluation]]


def product_outputs(step: CompiledStep) -> dict[AssetPath, str]:
    """Names of the op outputs that carry a step's products, by their keys; of two that are alike one has a number."""
    found: dict[AssetPath, str] = {}
    for product in step.all_products:
        name = f"product_{_NOT_IN_NAMES.sub('_', '__'.join(product.key[1:]) or product.key[0])}"
        used = set(found.values())
        number = next((n for n in range(2, len(used) + 2) if f"{name}_{n}" not in used), 2)
        found[product.key] = f"{name}_{number}" if name in used else name
    return found


def reads(pipeline: CompiledPipeline, step: CompiledStep) -> dict[str, str]:
    """The steps whose outcomes a step takes, by the names of its op's inputs.

    They are those that it depends on, and those that can route to it or bypass it.
    """
    return {pipeline.by_id[name].op: name for name in pipeline.plan.by_id[step.id].reads}


def is_gated(pipeline: CompiledPipeline, step: CompiledStep) -> bool:
    """Whether a step becomes a small graph."""
    each = step.loop is not None and step.loop.kind == "for_each"
    return each or pipeline.plan.by_id[step.id].gated


def step_op(pipeline: CompiledPipeline, step: CompiledStep) -> dg.OpDefinition:
    """The op of a step that always runs: takes the outcomes it depends on, gives its own, and its products."""
    before = reads(pipeline, step)

    @computes
    def compute(context: OpExecutionContext, given: Mapping[str, Any]) -> _Yielded:
        started = datetime.now(timezone.utc)
        with as_dagster(context):
            scope = scope_of(context, pipeline, step, given, before)
            try:
                outcome = _work(step, scope, context, None)
            except StepError as error:
                outcome = value_of(error, pipeline, step, scope, context, started)
            _check_carried(outcome, pipeline, step, scope)
        yield from _ended(context, pipeline, step, outcome, scope)

    return _op(pipeline, step, "", compute, before, _outs(step), retries=True)


def decide_op(pipeline: CompiledPipeline, step: CompiledStep) -> dg.OpDefinition:
    """The op that decides whether a step runs, and for what items."""
    before = reads(pipeline, step)

    @computes
    def compute(context: OpExecutionContext, given: Mapping[str, Any]) -> _Yielded:
        started = datetime.now(timezone.utc)
        decision: dict[str, Any] = {"started_at": started.isoformat(), "outcome": None, "error": None, "route": None}
        tickets: list[dict[str, Any]] = []
        with as_dagster(context):
            scope = scope_of(context, pipeline, step, given, before)
            decided = scope.decisions
            try:
                with after_paying(lambda: decided.usage):
                    verdict = judge(step, pipeline.plan, scope.outcomes, scope)
                    decision |= {"route": verdict.route, "error": verdict.error}
                    if verdict.go:
                        tickets = _tickets(step, _at_error(scope, verdict.error), verdict.error)
                    else:
                        decision["outcome"] = verdict.skipped(step).model_dump(mode="json")
                        context.log.info(f"skipped because {verdict.reason}")
                decision["usage"] = decided.usage.model_dump(mode="json")
                decision["decisions"] = [one.model_dump(mode="json") for one in decided.made]
            except StepError as error:
                outcome = value_of(error, pipeline, step, scope, context, started, retries=False)
                decision["outcome"] = outcome.model_dump(mode="json")
        for number, ticket in enumerate(tickets):
            yield dg.DynamicOutput(ticket, mapping_key=ticket.pop("key", str(number)), output_name="ticket")
        said = {**_said(decision, tickets), **decisions_metadata(decided.made), **usage_metadata(decided.usage)}
        yield dg.Output(decision, "decision", metadata=said)

    outs = {
        "decision": an_output(OUTCOMES_IO),
        "ticket": an_output(OUTCOMES_IO, dynamic=True),
    }
    return _op(pipeline, step, "decide", compute, before, outs)


def run_op(pipeline: CompiledPipeline, step: CompiledStep) -> dg.OpDefinition:
    """The op that does a step's work, once for each ticket."""
    before = reads(pipeline, step)

    @computes
    def compute(context: OpExecutionContext, given: Mapping[str, Any]) -> _Yielded:
        started, ticket = datetime.now(timezone.utc), given["ticket"]
        with as_dagster(context):
            scope = scope_of(context, pipeline, step, given, before)
            try:
                if "items" in ticket:
                    result, usage = _run_items(pipeline, step, scope, ticket, context)
                else:
                    outcome = _work(step, scope, context, ticket["error"])
                    result, usage = outcome.model_dump(mode="json"), outcome.usage
            except StepError as error:
                outcome = value_of(error, pipeline, step, scope, context, started)
                result, usage = outcome.model_dump(mode="json"), outcome.usage
        yield dg.Output(result, "result", metadata=usage_metadata(usage))

    outs = {"result": an_output(OUTCOMES_IO)}
    return _op(pipeline, step, "run", compute, before, outs, extra=("ticket",), retries=True)


def outcome_op(pipeline: CompiledPipeline, step: CompiledStep) -> dg.OpDefinition:
    """The op that makes a step's outcome of the decision and of what its work has left."""
    before = reads(pipeline, step)

    @computes
    def compute(context: OpExecutionContext, given: Mapping[str, Any]) -> _Yielded:
        decision, results = given["decision"], given["results"]
        started = datetime.fromisoformat(decision["started_at"])
        with as_dagster(context):
            scope = scope_of(context, pipeline, step, given, before)
            if decision["outcome"] is not None:
                outcome = Outcome.model_validate(decision["outcome"])
            elif step.loop is not None and step.loop.kind == "for_each":
                try:
                    outcome = _of_items(step, _at_error(scope, decision["error"]), results, started)
                except StepError as error:
                    outcome = value_of(error, pipeline, step, scope, context, started, retries=False)
            else:
                outcome = Outcome.model_validate(results[0])
            if decision.get("usage"):
                outcome = outcome.having_paid(UsageInfo.model_validate(decision["usage"]))
                outcome = outcome.having_decided([Decision.model_validate(one) for one in decision["decisions"]])
            _check_carried(outcome, pipeline, step, scope)
        yield from _ended(context, pipeline, step, outcome, scope, decision["route"])

    return _op(pipeline, step, "outcome", compute, before, _outs(step), extra=("decision", "results"))


def _op(
    pipeline: CompiledPipeline,
    step: CompiledStep,
    part: str,
    compute: Any,
    before: Mapping[str, str],
    outs: Mapping[str, dg.Out],
    *,
    extra: Sequence[str] = (),
    retries: bool = False,
) -> dg.OpDefinition:
    names = ("inputs", *extra, *before)
    said = {
        "": step.spec.description or step.instruction,
        "decide": "Decides whether the step runs, and for which items.",
        "run": step.spec.description or step.instruction or "Does the work of the step.",
        "outcome": "What the step leaves: values, products, or the reason why it did not run.",
    }
    works = part in ("", "run")
    return MakingOp(
        name=f"{pipeline.op}__{step.op}{f'__{part}' if part else ''}",
        description=said[part],
        compute_fn=compute,
        ins=inputs_named(names),
        outs=outs,
        config_schema=NO_CONFIG,
        required_resource_keys=RESOURCES,
        retry_policy=retry_policy(step.retries) if retries else None,
        tags=dict(step.spec.tags),
        code_version=step.code_version,
        pool=step.spec.pool if works else None,
    )


def _outs(step: CompiledStep) -> dict[str, dg.Out]:
    outs = {"outcome": an_output(OUTCOMES_IO, required=False)}
    names = product_outputs(step)
    for product in step.all_products:
        outs[names[product.key]] = an_output(PRODUCTS_IO, required=False, description=product.description)
    return outs


def _work(step: CompiledStep, scope: Scope, context: OpExecutionContext, error: Mapping[str, Any] | None) -> Outcome:
    """One attempt; its usage is that of the attempts before it as well."""
    run = run_step if step.loop is None else run_loop
    outcome = run(step, scope.resting_on(scope.outcomes), attempt=context.retry_number + 1, error=error)
    return outcome.having_paid(paid_before(context))


def _at_error(scope: Scope, error: Mapping[str, Any] | None) -> Scope:
    """The place of a step that a failure led to."""
    return scope if error is None else scope.with_own({"error": error})


def _check_carried(outcome: Outcome, pipeline: CompiledPipeline, step: CompiledStep, scope: Scope) -> None:
    """Fail a step with failures inside that the run cannot go past: what `continue` means where no `finish` runs.

    Raises:
        InnerStepError: It has some.
    """
    if outcome.carried and not carries_on(pipeline, scope):
        first = outcome.carried[0]
        raise inner_error(f'"{first.step}" failed: {first.message}', first, outcome.usage)


def _tickets(step: CompiledStep, scope: Scope, error: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """One ticket for a step that goes; for a loop, its items dealt out to as many as may run at once."""
    if step.loop is None or step.loop.kind != "for_each":
        return [{"error": error, "key": "go"}]
    items = items_of(step, scope)
    most = max_parallel(step, scope)
    count = min(len(items), most, MOST_TICKETS)
    dealt = [list(enumerate(items))[number::count] for number in range(count)]
    return [
        {"items": some, "total": len(items), "workers": most // count + (number < most % count), "error": error}
        for number, some in enumerate(dealt)
    ]


def _run_items(
    pipeline: CompiledPipeline, step: CompiledStep, scope: Scope, ticket: Mapping[str, Any], context: OpExecutionContext
) -> tuple[dict[str, Any], UsageInfo]:
    """The items of one ticket, and what they and the attempts before took.

    An item that fails ends the step here, unless something handles the step's failure.
    """
    assert step.loop is not None
    scope = _at_error(scope, ticket["error"]).resting_on(scope.outcomes)
    items = [(int(index), item) for index, item in ticket["items"]]
    found = run_items(step, scope, items, ticket["total"], ticket["workers"])
    usage = sum((outcome.usage for one in found for outcome in one.steps.values()), scope.decisions.usage)
    failed = next((one for one in found if one.status == "failed"), None)
    if failed is not None and step.loop.on_item_failure == "fail":
        error = item_error(step, failed, usage)
        if tries_again(error, step, context) or not handles(step, error):
            error.location = error.location or pipeline.location(step)
            keep_note(step, error, scope)
            raise error
    waiting = next((one for one in found if one.error and waits(one.error)), None)
    if waiting is not None:
        error = item_error(step, waiting, usage)
        error.location = error.location or pipeline.location(step)
        raise error
    before = paid_before(context)
    result = {
        "iterations": [one.model_dump(mode="json") for one in found],
        "attempts": context.retry_number + 1,
        "paid_before": (before + scope.decisions.usage).model_dump(mode="json"),
    }
    return result, before + usage


def _of_items(step: CompiledStep, scope: Scope, results: Sequence[Mapping[str, Any]], started: datetime) -> Outcome:
    """The outcome of a ``for_each``, of what its tickets have left.

    Raises:
        StepError: As :func:`~orchestrator_dagster.runtime.loops.loop_outcome` does.
    """
    ended = [Outcome.model_validate(result) for result in results if "paid_before" not in result]
    results = [result for result in results if "paid_before" in result]
    before = sum((UsageInfo.model_validate(result["paid_before"]) for result in results), UsageInfo())
    found = [Iteration.model_validate(one) for result in results for one in result["iterations"]]
    ordered = sorted(found, key=lambda one: one.index)
    if ended:  # the time of the loop was over, and something handles that
        paid = sum((outcome.usage for one in found for outcome in one.steps.values()), before)
        return ended[0].having_paid(sum((one.usage for one in ended[1:]), paid))
    attempt = max((result["attempts"] for result in results), default=1)
    with after_paying(lambda: before):
        outcome = loop_outcome(step, scope, ordered, started=started, attempt=attempt)
    return outcome.having_paid(before)


def _ended(
    context: OpExecutionContext,
    pipeline: CompiledPipeline,
    step: CompiledStep,
    outcome: Outcome,
    scope: Scope,
    route: str | None = None,
) -> _Yielded:
    """The products that are wanted and were made, then the outcome."""
    failed = [one for one in outcome.iterations or () if one.status == "failed" and one.error]
    for one in failed[:_FAILED_ITEMS_SHOWN]:
        context.log.warning(f"item {one.index} failed: {one.error.message if one.error else ''}")
    selected = context.selected_output_names
    workspace = scope.services.workspace
    names = product_outputs(step)
    for product in step.all_products:
        files = [one for one in outcome.products if one.key == product.key]
        if not files or names[product.key] not in selected:
            continue
        if product.per_item:
            value: Any = {"files": [one.model_dump(mode="json", exclude={"preview", "faults"}) for one in files]}
            metadata, version = files_metadata(pipeline, step, outcome, files, workspace)
        else:
            value = files[-1].model_dump(mode="json", exclude={"faults"})
            metadata, version = product_metadata(pipeline, step, outcome, files[-1], workspace), files[-1].sha256
        with disable_dagster_warnings():  # data versions are in beta; users can do nothing about it
            output = dg.Output(value, names[product.key], metadata=metadata, data_version=dg.DataVersion(version))
        yield output
        yield _sound(context, files if product.per_item else files[-1:])
    for file in outcome.products:  # those of a pipeline that the step has run are assets of that pipeline
        if file.key not in names:
            metadata = product_metadata(pipeline, step, outcome, file, workspace)
            yield dg.AssetMaterialization(dg.AssetKey(file.key), metadata=metadata)
            yield _sound(context, [file])
    if "outcome" in selected:
        yield dg.Output(outcome, "outcome", metadata=outcome_metadata(outcome, route))


def _sound(context: OpExecutionContext, files: Sequence[ProductFile]) -> dg.AssetCheckEvaluation:
    """The check of a product that has just been materialized."""
    faults = [(Fault.of(fault), file.path) for file in files for fault in file.faults]
    key = dg.AssetKey(files[0].key)
    records = context.instance.fetch_materializations(key, limit=1).records
    target = {
        "storage_id": records[0].storage_id, "run_id": records[0].run_id, "timestamp": records[0].timestamp
    } if records else None  # fmt: skip
    return sound_at_once(files[0].key, faults, len(files), target)


def _said(decision: Mapping[str, Any], tickets: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The metadata of a decision, which the UI shows."""
    outcome = decision["outcome"]
    found = {
        "orchestrator/decision": "go" if outcome is None else outcome["status"],
        "orchestrator/reason": outcome and (outcome["reason"] or (outcome["error"] or {}).get("message")),
        "orchestrator/route": decision["route"],
        "orchestrator/items": tickets[0].get("total") if tickets else None,
    }
    return {name: value for name, value in found.items() if value is not None}
