"""The last step of compiling: everything has been checked, the parts become one immutable pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator_dagster.compiler.compiled import AssetPath, CompiledPipeline, CompiledProduct, CompiledStep
from orchestrator_dagster.compiler.fingerprint import PROSE, pipeline_fingerprint, step_version
from orchestrator_dagster.compiler.header import op_name
from orchestrator_dagster.compiler.kinds import Place, Work
from orchestrator_dagster.compiler.models import ModelChoice
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
    edges: list[str] = field(default_factory=list)
    includes: set[str] = field(default_factory=set)
    models: ModelChoice | None = None
    products: tuple[CompiledProduct, ...] = ()


def assemble(
    reading: Reading,
    order: Sequence[Sequence[str]],
    drafts: Mapping[str, Draft],
    inputs: Mapping[str, InputSpec],
    output_steps: Mapping[str, tuple[str, ...]],
    includes: Mapping[str, str],
) -> CompiledPipeline:
    """Put the compiled pipeline together.

    Args:
        reading: The pipeline as read, without errors.
        order: The levels of the steps.
        drafts: Every step by id.
        inputs: All inputs, ``output_dir`` among them.
        output_steps: For each output the steps it reads.
        includes: Text of each included file.
    """
    pipeline, document = reading.pipeline, reading.document
    assert pipeline is not None
    header = {
        "personality": pipeline.personality,
        "inputs": {name: spec.model_dump(mode="json", exclude_unset=True) for name, spec in pipeline.inputs.items()},
    }
    place = {name: number for number, name in enumerate(drafts)}
    steps: dict[str, CompiledStep] = {}
    for level in order:
        for name in level:
            made = _step(drafts[name], pipeline, steps, header, includes, place)
            at = document.span(drafts[name].place)
            steps[name] = made.model_copy(update={"line": at.line, "column": at.column})
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
        steps=tuple(steps.values()),
        levels=tuple(tuple(level) for level in order),
        outputs=thaw(pipeline.outputs),
        output_steps=dict(output_steps),
        experts=pipeline.experts,
        selection_schema=pipeline.selection_schema,
        personality=pipeline.personality,
        includes=dict(includes),
        fingerprint=pipeline_fingerprint(document.text, includes),
    )


def _step(
    draft: Draft,
    pipeline: Pipeline,
    done: Mapping[str, CompiledStep],
    header: Mapping[str, Any],
    includes: Mapping[str, str],
    place: Mapping[str, int],
) -> CompiledStep:
    step, work, models = draft.step, draft.work, draft.models
    assert work is not None
    edges = tuple(sorted(draft.edges, key=place.__getitem__))
    own = step.model_dump(mode="json", exclude_unset=True, exclude=set(PROSE))
    own["includes"] = {name: includes[name] for name in sorted(draft.includes)}
    own["models"] = models.model_dump(mode="json") if models else None
    upstream = _nearest_products(edges, done)
    retries = step.retries or pipeline.retries or (MODEL_RETRIES if work.kind == "model" else NO_RETRIES)
    return CompiledStep(
        id=step.id,
        op=op_name(step.id),
        kind=work.kind,
        spec=step,
        line=1,
        column=1,
        dependencies=edges,
        tool=work.tool,
        action=work.action,
        instruction=work.instruction,
        parameters=work.parameters,
        # A product of a step that declares no variables is made from its main value, under the product's name.
        variables=dict(step.vars) or {name: VariableSpec() for name in step.products},
        models=models.names if models else (),
        model_reason=models.reason if models else "",
        personality=step.personality or (models.personality if models else None) or pipeline.personality,
        settings=_settings(step, work, models),
        retries=retries,
        timeout=step.timeout if step.timeout is not None else pipeline.timeout,
        products=tuple(product.model_copy(update={"upstream": upstream}) for product in draft.products),
        includes=tuple(sorted(draft.includes)),
        code_version=step_version(own, header, {one: done[one].code_version for one in edges}),
    )


def _settings(step: Step, work: Work, models: ModelChoice | None) -> dict[str, Any]:
    """Settings of the model call: the step's own win over those among its parameters, these over its expert's."""
    settings: dict[str, Any] = dict(models.settings) if models else {}
    settings.update({name: value for name, value in work.settings.items() if name != "model"})
    for key in ("temperature", "max_tokens"):
        if getattr(step, key) is not None:
            settings[key] = getattr(step, key)
    return settings


def _nearest_products(edges: Sequence[str], done: Mapping[str, CompiledStep]) -> tuple[AssetPath, ...]:
    """The products that a step is made from: those of the nearest steps before it that make some."""
    found: dict[AssetPath, None] = {}
    seen: set[str] = set()
    waiting = list(edges)
    while waiting:
        name = waiting.pop(0)
        if name in seen:
            continue
        seen.add(name)
        if done[name].products:
            found.update(dict.fromkeys(product.key for product in done[name].products))
        else:
            waiting.extend(done[name].dependencies)
    return tuple(sorted(found))
