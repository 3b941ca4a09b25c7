"""The last step of compiling: everything has been checked, the parts become one immutable pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator_dagster.compiler.compiled import AssetPath, CompiledPipeline, CompiledProduct, CompiledStep
from orchestrator_dagster.compiler.fingerprint import input_meaning, pipeline_fingerprint, step_meaning, step_version
from orchestrator_dagster.compiler.header import op_name
from orchestrator_dagster.compiler.kinds import Place, Work
from orchestrator_dagster.compiler.models import ModelChoice
from orchestrator_dagster.compiler.routing import RoutePlan
from orchestrator_dagster.frozen import thaw
from orchestrator_dagster.language.pipeline import Pipeline
from orchestrator_dagster.language.read import Reading
from orchestrator_dagster.language.settings import Retries
from orchestrator_dagster.language.step import Step
from orchestrator_dagster.language.types import InputSpec, VariableSpec

#: Retries of a step that calls a model, when nothing says otherwise.
MODEL_RETRIES = Retries(max=2, delay=1.0, backoff="exponential", jitter="full")
NO_RETRIES = Retries(max=0)


@dataclass
class Draft:
    """A step while it is being compiled: as written, where, what it does, and what was found about it."""

    step: Step
    place: Place
    work: Work | None
    edges: dict[str, None] = field(default_factory=dict)
    inputs: set[str] = field(default_factory=set)
    includes: set[str] = field(default_factory=set)
    models: ModelChoice | None = None
    products: tuple[CompiledProduct, ...] = ()


def assemble(
    reading: Reading,
    order: Sequence[Sequence[str]],
    plan: RoutePlan,
    drafts: Mapping[str, Draft],
    inputs: Mapping[str, InputSpec],
    outputs: Mapping[str, Any],
    output_steps: Mapping[str, tuple[str, ...]],
    includes: Mapping[str, str],
    personalities: Mapping[str, str],
) -> CompiledPipeline:
    """Put the compiled pipeline together.

    Args:
        reading: The pipeline as read, without errors.
        order: The levels of the steps.
        plan: Their routes.
        drafts: Every step by id.
        inputs: All inputs, ``output_dir`` among them.
        outputs: The outputs, each behind those it reads.
        output_steps: For each output the steps it reads.
        includes: Text of each included file.
        personalities: System prompt of each personality by its name.
    """
    pipeline, document = reading.pipeline, reading.document
    assert pipeline is not None
    assembler = _Assembler(reading, drafts, inputs, includes, personalities)
    for level in order:
        for name in level:
            assembler.add(name)
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
        steps=tuple(assembler.done.values()),
        levels=tuple(tuple(level) for level in order),
        plan=plan,
        constants=thaw(pipeline.constants),
        outputs=thaw(dict(outputs)),
        output_steps=dict(output_steps),
        experts=pipeline.experts,
        selection_schema=pipeline.selection_schema,
        personality=pipeline.personality,
        executor=pipeline.executor,
        includes=dict(includes),
        fingerprint=pipeline_fingerprint(document.text, includes),
    )


class _Assembler:
    """Makes compiled steps, each after those it depends on."""

    def __init__(
        self,
        reading: Reading,
        drafts: Mapping[str, Draft],
        inputs: Mapping[str, InputSpec],
        includes: Mapping[str, str],
        personalities: Mapping[str, str],
    ) -> None:
        assert reading.pipeline is not None
        self.pipeline: Pipeline = reading.pipeline
        self.document = reading.document
        self.drafts = drafts
        self.inputs = {name: input_meaning(spec) for name, spec in inputs.items()}
        self.includes = includes
        self.personalities = personalities
        self.place = {name: number for number, name in enumerate(drafts)}
        self.done: dict[str, CompiledStep] = {}
        self.products_before: dict[str, frozenset[AssetPath]] = {}

    def add(self, name: str) -> None:
        """Make the step of that id."""
        draft, pipeline = self.drafts[name], self.pipeline
        step, work, models = draft.step, draft.work, draft.models
        assert work is not None
        edges = tuple(sorted(draft.edges, key=self.place.__getitem__))
        upstream = frozenset[AssetPath]().union(*(self.products_before[one] for one in edges))
        at = self.document.span(draft.place)
        personality = step.personality or (models.personality if models else None) or pipeline.personality
        made = CompiledStep(
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
            # A product of a step that declares no variables is made from its main value, under the product's name.
            variables=dict(step.vars) or {one: VariableSpec() for one in step.products},
            models=models.names if models else (),
            model_reason=models.reason if models else "",
            personality=personality,
            settings=_settings(step, work, models),
            retries=step.retries or pipeline.retries or (MODEL_RETRIES if work.kind == "model" else NO_RETRIES),
            timeout=step.timeout if step.timeout is not None else pipeline.timeout,
            products=tuple(one.model_copy(update={"upstream": tuple(sorted(upstream))}) for one in draft.products),
            includes=tuple(sorted(draft.includes)),
        )
        around = {
            "inputs": {one: self.inputs[one] for one in sorted(draft.inputs)},
            "includes": {one: self.includes[one] for one in sorted(draft.includes)},
            "personality": self.personalities.get(personality or "", personality) if work.kind == "model" else None,
        }
        before = {one: self.done[one].code_version for one in edges}
        self.done[name] = made.model_copy(update={"code_version": step_version(step_meaning(made), around, before)})
        # Those that follow are made from this step's products; when it makes none, from those it is made from.
        self.products_before[name] = frozenset(product.key for product in made.products) or upstream


def _settings(step: Step, work: Work, models: ModelChoice | None) -> dict[str, Any]:
    """Settings of the model call: the step's own win over those among its parameters, these over its expert's."""
    settings: dict[str, Any] = dict(models.settings) if models else {}
    settings.update({name: value for name, value in work.settings.items() if name != "model"})
    for key in ("temperature", "max_tokens"):
        if getattr(step, key) is not None:
            settings[key] = getattr(step, key)
    return settings
