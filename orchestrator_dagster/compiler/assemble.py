"""The last step of compiling: everything has been checked, the parts become one immutable pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from orchestrator_dagster.compiler.bodies import Body, Draft
from orchestrator_dagster.compiler.compiled import AssetPath, CompiledLoop, CompiledPipeline, CompiledStep
from orchestrator_dagster.compiler.fingerprint import (
    input_meaning,
    pipeline_fingerprint,
    pipeline_version,
    step_meaning,
    step_version,
)
from orchestrator_dagster.compiler.header import op_name
from orchestrator_dagster.compiler.kinds import Place, Work
from orchestrator_dagster.compiler.models import ModelChoice
from orchestrator_dagster.compiler.plans import BodyFlow
from orchestrator_dagster.compiler.routing import FlowStep, plan_routes
from orchestrator_dagster.compiler.support import REFUSED
from orchestrator_dagster.frozen import thaw
from orchestrator_dagster.language.auto_tags import auto_in
from orchestrator_dagster.language.pipeline import Pipeline
from orchestrator_dagster.language.read import Reading
from orchestrator_dagster.language.settings import FailureHandler, Retries
from orchestrator_dagster.language.step import Step
from orchestrator_dagster.language.types import InputSpec, VariableSpec

#: Retries of a step that calls a model, when nothing says otherwise.
MODEL_RETRIES = Retries(max=2, delay=1.0, backoff="exponential", jitter="full")
NO_RETRIES = Retries(max=0)
#: Retries that `on_failure: retry` means, when `retries` does not say more.
LEAST_RETRIES = 2


def assemble(
    reading: Reading,
    top: Body,
    flows: Mapping[Place, BodyFlow],
    inputs: Mapping[str, InputSpec],
    outputs: Mapping[str, Any],
    output_steps: Mapping[str, tuple[str, ...]],
    includes: Mapping[str, str],
    personalities: Mapping[str, str],
) -> CompiledPipeline:
    """Put the compiled pipeline together.

    Args:
        reading: The pipeline as read, without errors.
        top: The steps of the top level.
        flows: Order and routes of every body, by the place of its steps.
        inputs: All inputs, ``output_dir`` among them.
        outputs: The outputs, each behind those it reads.
        output_steps: For each output the steps it reads.
        includes: Text of each included file.
        personalities: System prompt of each personality by its name.
    """
    pipeline, document = reading.pipeline, reading.document
    assert pipeline is not None
    assembler = _Assembler(reading, flows, inputs, includes, personalities)
    steps = assembler.body(top, frozenset())
    flow = flows[top.place]
    assert flow.plan is not None
    others = {draft.step.pipeline or "": draft.pipeline.fingerprint for draft in top.walk() if draft.pipeline}
    return CompiledPipeline(
        id=pipeline.id,
        file=document.file,
        folder=str(document.path.resolve().parent) if document.path else "",
        name=pipeline.name,
        description=pipeline.description,
        version=pipeline.version,
        owners=pipeline.owners,
        tags=pipeline.tags,
        inputs=dict(inputs),
        steps=steps,
        levels=flow.order,
        plan=flow.plan,
        constants=thaw(pipeline.constants),
        outputs=thaw(dict(outputs)),
        output_steps=dict(output_steps),
        experts=pipeline.experts,
        selection_schema=pipeline.selection_schema,
        personality=pipeline.personality,
        orchestrator=pipeline.orchestrator,
        budget=pipeline.budget,
        schedules=pipeline.schedule or (),
        triggers=pipeline.triggers or (),
        automation=pipeline.automation,
        on_change=pipeline.on_change,
        partitions=pipeline.partitions,
        executor=pipeline.executor,
        alignment=pipeline.alignment,
        qc=pipeline.qc,
        limits=pipeline.limits,
        includes=dict(includes),
        unsupported=(
            *(replace(one, severity="error").render() for one in reading.problems if one.code in REFUSED),
            *(message for draft in top.walk() if draft.pipeline for message in draft.pipeline.unsupported),
        ),
        code_version=pipeline_version(steps, flow.plan, inputs, thaw(pipeline.constants), thaw(dict(outputs))),
        fingerprint=pipeline_fingerprint(document.text, {**includes, **others}),
    )


class _Assembler:
    """Makes compiled steps, each after those it depends on."""

    def __init__(
        self,
        reading: Reading,
        flows: Mapping[Place, BodyFlow],
        inputs: Mapping[str, InputSpec],
        includes: Mapping[str, str],
        personalities: Mapping[str, str],
    ) -> None:
        assert reading.pipeline is not None
        self.pipeline: Pipeline = reading.pipeline
        self.document = reading.document
        self.flows = flows
        self.all_inputs = inputs
        self.inputs = {name: input_meaning(spec) for name, spec in inputs.items()}
        self.includes = includes
        self.personalities = personalities

    def body(self, body: Body, upstream: frozenset[AssetPath]) -> tuple[CompiledStep, ...]:
        """The steps of a body in the order in which they can run.

        Args:
            body: The body.
            upstream: Products that the loop around it is made from.
        """
        place = {name: number for number, name in enumerate(body.drafts)}
        done: dict[str, CompiledStep] = {}
        products: dict[str, frozenset[AssetPath]] = {}
        for level in self.flows[body.place].order:
            for name in level:
                draft = body.drafts[name]
                edges = tuple(sorted(draft.edges, key=place.__getitem__))
                loaded = (self.all_inputs[one].asset_key for one in self.asset_inputs(draft))
                before = upstream.union(*(products[one] for one in edges), loaded)
                done[name] = made = self.step(draft, edges, before, {one: done[one].code_version for one in edges})
                # Those that follow are made from this step's products; when it makes none, from those it is made from.
                products[name] = frozenset(product.key for product in made.all_products) or before
        return tuple(done.values())

    def step(
        self, draft: Draft, edges: tuple[str, ...], upstream: frozenset[AssetPath], before: Mapping[str, str]
    ) -> CompiledStep:
        """A step, or the loop around it."""
        made = self.work(draft, edges, upstream)
        if draft.repeats:
            made = self.loop(draft, made, upstream)
        constants, outputs = self.pipeline.constants, self.pipeline.outputs
        around: dict[str, Any] = {
            "constants": {one: thaw(constants[one]) for one in sorted(draft.constants)},
            "outputs": {one: thaw(outputs[one]) for one in sorted(draft.outputs)},
            "inputs": {one: self.inputs[one] for one in sorted(draft.inputs)},
            "includes": {one: self.includes[one] for one in sorted(draft.includes)},
            "personality": self.personalities.get(made.personality or "", made.personality)
            if draft.work and draft.work.asks
            else None,
        }
        if auto_in(draft.step.model_dump(exclude={"steps"})):  # who decides is a part of what is done
            around["orchestrator"] = self.pipeline.orchestrator
        return made.model_copy(update={"code_version": step_version(step_meaning(made), around, before)})

    def asset_inputs(self, draft: Draft) -> list[str]:
        """The inputs that are loaded from assets and that a step, or what is inside it, reads."""
        return sorted(one for one in draft.inputs_inside() if self.all_inputs[one].asset)

    def work(self, draft: Draft, edges: tuple[str, ...], upstream: frozenset[AssetPath]) -> CompiledStep:
        """What a step does, without what repeats it."""
        pipeline, step, work, models = self.pipeline, draft.step, draft.work, draft.models
        assert work is not None
        at = self.document.span(draft.place)
        return CompiledStep(
            id=step.id,
            op=op_name(step.id),
            kind=work.kind,
            spec=step,
            line=at.line,
            column=at.column,
            dependencies=edges,
            tool=work.tool,
            action=work.action,
            instruction=work.instruction,
            parameters=work.parameters,
            literals=work.literals,
            condition=step.condition,
            on_failure=step.on_failure,
            failure_handlers=draft.handlers,
            pipeline=draft.pipeline,
            # A product of a step that declares no variables is made from its main value, under the product's name.
            variables=dict(step.vars) or {one: VariableSpec() for one in step.products},
            models=models.names if models else (),
            model_reason=models.reason if models else "",
            choice=models.choice if models else None,
            personality=step.personality or (models.personality if models else None) or pipeline.personality,
            settings=_settings(step, work, models),
            retries=self.retries(step, work, draft.handlers),
            timeout=step.timeout if step.timeout is not None else pipeline.timeout,
            cache=step.cache or pipeline.cache or "run",
            products=tuple(one.model_copy(update={"upstream": tuple(sorted(upstream))}) for one in draft.products),
            includes=tuple(sorted(draft.includes)),
            asset_inputs=tuple(self.asset_inputs(draft)),
        )

    def retries(self, step: Step, work: Work, handlers: Sequence[FailureHandler]) -> Retries:
        """How often a step is tried again; those inside a loop are tried again by themselves."""
        default = (
            NO_RETRIES if work.kind == "loop" else self.pipeline.retries or (MODEL_RETRIES if work.asks else NO_RETRIES)
        )
        found = step.retries or default
        if "retry" in (step.on_failure, *(one.goto for one in handlers)) and found.max < LEAST_RETRIES:
            return found.model_copy(update={"max": LEAST_RETRIES})
        return found

    def loop(self, draft: Draft, made: CompiledStep, upstream: frozenset[AssetPath]) -> CompiledStep:
        """The loop around a step's work, or around the steps of its body."""
        step = draft.step
        single = draft.body is None
        keeps = [one for one in made.products if one.variable not in draft.per_item]
        if draft.body is not None:
            flow = self.flows[draft.body.place]
            steps, plan = self.body(draft.body, upstream), flow.plan
        else:
            inside = made.model_copy(
                update={
                    "dependencies": (),
                    "condition": step.condition if draft.condition_per_item else None,
                    "on_failure": None,
                    "failure_handlers": (),
                    "products": tuple(one for one in made.products if one.variable in draft.per_item),
                    "code_version": step_version(step_meaning(made), {}, {}),
                }
            )
            steps = (inside,)
            plan, _ = plan_routes({step.id: FlowStep(condition=inside.condition is not None)})
        assert plan is not None
        loop = CompiledLoop(
            kind="while" if step.for_each is None else "for_each",
            over=thaw(step.for_each),
            while_=step.while_,
            until=step.until,
            item=step.as_,
            max_parallel=step.max_parallel,
            max_iterations=step.max_iterations,
            on_item_failure=step.on_item_failure or "fail",
            on_limit=step.on_limit or "fail",
            single=single,
            steps=steps,
            plan=plan,
        )
        return made.model_copy(
            update={
                "kind": "loop",
                "loop": loop,
                "condition": None if draft.condition_per_item else step.condition,
                "products": tuple(keeps),
                # What is inside has its own retries and its own time.
                "retries": NO_RETRIES if single else made.retries,
                "timeout": None if single else step.timeout,
            }
        )


def _settings(step: Step, work: Work, models: ModelChoice | None) -> dict[str, Any]:
    """Settings of the model call: the step's own win over those among its parameters, these over its expert's."""
    settings: dict[str, Any] = dict(models.settings) if models else {}
    settings.update({name: value for name, value in work.settings.items() if name != "model"})
    for key in ("temperature", "max_tokens"):
        if getattr(step, key) is not None:
            settings[key] = getattr(step, key)
    return settings
