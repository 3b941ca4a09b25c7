"""Asset checks that ask the orchestrator model: ``alignment`` of a pipeline, on the asset of its run, and ``quality``
of its products by its own rubric.

They are executed on demand, and those of the alignment by the recompile sensor when a pipeline has changed. The check
of the alignment is what describes a pipeline: what it has made is kept, and shown when the location is loaded anew.
"""

# No `from __future__ import annotations` here: Dagster looks at the type of `context` itself.

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import AssetCheckSeverity, AssetKey, AssetMaterialization, OpExecutionContext

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledProduct
from orchestrator_dagster.definitions.pipelines.asset_values import file_of, materializations
from orchestrator_dagster.definitions.pipelines.quality_gate import QUALITY
from orchestrator_dagster.definitions.steps.shared_parts import NO_CONFIG, OUTCOMES_IO, checks_after, computes
from orchestrator_dagster.definitions.steps.step_context import services_of
from orchestrator_dagster.errors import StepError
from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.intelligence.description import Description, names_orchestrator
from orchestrator_dagster.language.step import BYTES_FORMATS
from orchestrator_dagster.runtime.asset_values import AssetFile, AssetFiles
from orchestrator_dagster.runtime.outcome import ModelUsage
from orchestrator_dagster.runtime.product_checks import Fault

ALIGNMENT = "alignment"
_RESOURCES = {"workspace", "tools", "models", OUTCOMES_IO}
_ALIGNED = "The build of the pipeline does what is intended: the orchestrator model judges its description."


def alignment_check(pipeline: CompiledPipeline) -> dg.AssetChecksDefinition | None:
    """The check of a pipeline's alignment; None when it names no model that can judge."""
    if not names_orchestrator(pipeline):
        return None
    key = AssetKey(pipeline.run_key)

    @computes
    def describe(context: OpExecutionContext, _: Mapping[str, Any]) -> Iterator[dg.AssetCheckResult]:
        found, kept = _described(context, pipeline)
        if found is None:
            return
        yield dg.AssetCheckResult(
            passed=found.alignment.state == "aligned" or found.alignment.ignored is not None,
            asset_key=key,
            check_name=ALIGNMENT,
            severity=AssetCheckSeverity.ERROR if found.alignment.stops else AssetCheckSeverity.WARN,
            description=_said(found),
            metadata=_description_metadata(found, kept),
        )

    return _check(
        f"describe__{pipeline.op}", "Describes the pipeline, when it is not described yet, and judges it.", describe,
        [key], {ALIGNMENT: dg.AssetCheckSpec(ALIGNMENT, asset=key, description=_ALIGNED)},
    )  # fmt: skip


def _on_demand(context: OpExecutionContext) -> bool:
    """Whether the run executes checks alone. Dagster adds the checks of assets to "Materialize", and asking costs."""
    return not context.job_def.asset_layer.selected_asset_keys


def _described(context: OpExecutionContext, pipeline: CompiledPipeline) -> tuple[Description | None, bool]:
    """The kept description, else a new one, which is kept; and whether it was kept before.

    None where there is none and nobody has asked for it.
    """
    from orchestrator_dagster.intelligence.describing import describe
    from orchestrator_dagster.intelligence.kept import keep_description, kept_description

    storage = Path(context.instance.storage_directory())
    kept = kept_description(storage, pipeline)
    if kept is not None:
        return kept, True
    if not _on_demand(context):
        context.log.info("not described: execute the check by itself, or launch the job that describes")
        return None, False
    made = describe(pipeline, services_of(context, pipeline.limits))
    try:
        keep_description(storage, pipeline, made)
    except OSError as error:
        context.log.warning(f"the description is not kept: {error}")
    return made, False


def _said(found: Description) -> str:
    """The result in one sentence."""
    judged = found.alignment
    if judged.state == "not checked":
        return f"not checked: {judged.reason}"
    if judged.state == "aligned":
        return "the build does what is intended"
    first = judged.findings[0]
    more = f" (and {len(judged.findings) - 1} more)" if len(judged.findings) > 1 else ""
    accepted = f"; accepted: {judged.ignored}" if judged.ignored else ""
    return f"{first.step}: {first.what}{more}{accepted}"


def _description_metadata(found: Description, kept: bool) -> dict[str, Any]:
    rows = [f"| {_cell(one.step)} | {_cell(one.what)} | {_cell(one.fix)} |" for one in found.alignment.findings]
    table = "\n".join(["| step | what | next |", "| --- | --- | --- |", *rows])
    return {
        "orchestrator/intention": dg.MarkdownMetadataValue(found.intention.labelled),
        "orchestrator/architecture": dg.MarkdownMetadataValue(found.architecture.labelled),
        **({"orchestrator/findings": dg.MarkdownMetadataValue(table)} if rows else {}),
        **({"orchestrator/ignored": found.alignment.ignored} if found.alignment.ignored else {}),
        "orchestrator/kept": kept,
        **_usage(ModelUsage() if kept else found.usage, None if kept else found.orchestrator),
    }


def quality_checks(pipeline: CompiledPipeline) -> dg.AssetChecksDefinition | None:
    """The checks of a pipeline's products by its rubric; None when it has none."""
    qc = pipeline.qc
    if qc is None:
        return None
    about = f"The orchestrator model judges by the rubric: {' '.join(qc.rubric.split())}"
    keys = {_key(pipeline, names): names for names in _together(pipeline)}

    @computes
    def judge(context: OpExecutionContext, _: Mapping[str, Any]) -> Iterator[dg.AssetCheckResult]:
        if not qc.blocking and not _on_demand(context):
            context.log.info("not judged: the model is asked when the check is executed by itself")
            return
        wanted = {one.asset_key for one in context.selected_asset_check_keys}
        for key, names in keys.items():
            if key in wanted:
                yield _judged(context, pipeline, key, names)

    specs = {
        f"{QUALITY}_{number}": dg.AssetCheckSpec(QUALITY, asset=key, description=about, blocking=qc.blocking)
        for number, key in enumerate(keys)
    }
    products = [AssetKey(one.key) for one in pipeline.products]
    return _check(
        f"judge_products_of__{pipeline.op}", "Has the orchestrator judge the products.", judge,
        list(dict.fromkeys((*keys, *products))), specs,
    )  # fmt: skip


def blocking_checks(pipeline: CompiledPipeline) -> list[dg.AssetCheckKey]:
    """The checks that stop other pipelines: the job of the pipeline executes them with each run."""
    if pipeline.qc is None or not pipeline.qc.blocking:
        return []
    return [dg.AssetCheckKey(_key(pipeline, names), QUALITY) for names in _together(pipeline)]


def _together(pipeline: CompiledPipeline) -> list[tuple[str, ...]]:
    from orchestrator_dagster.intelligence.quality import judged_together

    return judged_together(pipeline)


def _key(pipeline: CompiledPipeline, names: Sequence[str]) -> AssetKey:
    """The asset that a judgement is shown at: the product, or the run where all products are judged together."""
    if pipeline.qc is not None and pipeline.qc.products:
        return AssetKey(products_of(pipeline, names)[0].key)
    return AssetKey(pipeline.run_key)


def products_of(pipeline: CompiledPipeline, names: Sequence[str]) -> list[CompiledProduct]:
    """The products of these variables that a judge can read."""
    return [one for one in pipeline.products if one.variable in names and one.format not in BYTES_FORMATS]


def _judged(
    context: OpExecutionContext, pipeline: CompiledPipeline, key: AssetKey, names: Sequence[str]
) -> dg.AssetCheckResult:
    from orchestrator_dagster.intelligence.kept import description_of
    from orchestrator_dagster.intelligence.quality import Judgement, judge

    services = services_of(context, pipeline.limits)
    partitions: Sequence[str] | None = [] if pipeline.partitions is not None else None
    made = {
        product: list(materializations(context.instance, AssetKey(product.key), partitions).values())
        for product in products_of(pipeline, names)
    }
    intention = description_of(pipeline, Path(context.instance.storage_directory())).intention.text
    materials = [one for product in made for one in materials_of(product, made[product], services.workspace)]
    found: Judgement = judge(pipeline, names, materials, intention, services)
    return dg.AssetCheckResult(
        passed=found.passed,
        asset_key=key,
        check_name=QUALITY,
        severity=AssetCheckSeverity.ERROR if found.judged or found.faults else AssetCheckSeverity.WARN,
        description=found.verdict,
        metadata=_judgement_metadata(found),
    )


def _judgement_metadata(found: Any) -> dict[str, Any]:
    rows = [f"| {_cell(one.what)} | {_cell(one.quote)} | {_cell(one.fix)} |" for one in found.findings]
    table = "\n".join(["| what | quote | next |", "| --- | --- | --- |", *rows])
    return {
        **({"orchestrator/score": found.score} if found.score is not None else {}),
        "orchestrator/threshold": found.threshold,
        **({"orchestrator/findings": dg.MarkdownMetadataValue(table)} if rows else {}),
        **({"orchestrator/problems": dg.MarkdownMetadataValue(_bullets(found.faults))} if found.faults else {}),
        **({"orchestrator/characters": found.size} if found.size else {}),
        **({"orchestrator/characters_shown": found.shown} if found.shown < found.size else {}),
        **_usage(found.usage, found.model),
    }


def materials_of(product: CompiledProduct, made: Sequence[AssetMaterialization], workspace: Workspace) -> list[Any]:
    """The files that materializations of a product name, with their content."""
    from orchestrator_dagster.intelligence.quality import Material

    found = []
    for one in made:
        named = file_of(one)
        files = named.files if isinstance(named, AssetFiles) else (named,) if isinstance(named, AssetFile) else ()
        for file in files:
            try:
                path = workspace.existing_place(file.place)
                found.append(Material(product, path, workspace.read_place(file.place)))
            except StepError as error:
                again = error.hint or f"materialize {'/'.join(product.key)} again"
                found.append(
                    Material(product, file.place.rpartition("/")[2], None, Fault("exists", error.message, again))
                )
    return found


def _usage(usage: ModelUsage, model: str | None) -> dict[str, Any]:
    """What the check's calls took, as numbers that plot; an unknown cost is absent."""
    return {
        **({"orchestrator/model": model} if model else {}),
        "orchestrator/model_calls": usage.calls,
        "orchestrator/input_tokens": usage.input_tokens,
        "orchestrator/output_tokens": usage.output_tokens,
        **({"orchestrator/cost": usage.cost} if usage.cost is not None else {}),
    }


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {' '.join(line.split())}" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _check(
    name: str, about: str, compute: Any, after: Sequence[AssetKey], specs: Mapping[str, dg.AssetCheckSpec]
) -> dg.AssetChecksDefinition:
    ins, outs = checks_after(len(after), specs)
    made: dg.AssetChecksDefinition = dg.AssetChecksDefinition.create(
        keys_by_input_name=dict(zip(ins, after, strict=True)),
        node_def=dg.OpDefinition(
            name=name,
            description=about,
            compute_fn=compute,
            ins=ins,
            outs=outs,
            config_schema=NO_CONFIG,
            required_resource_keys=_RESOURCES,
        ),
        check_specs_by_output_name=specs,
        can_subset=True,
    )
    return made


def describe_job(name: str, pipelines: Sequence[CompiledPipeline]) -> Any:
    """The job that describes pipelines, None when none of them names a model that can.

    Args:
        name: Its name.
        pipelines: Those of the location.
    """
    keys = [alignment_key(one) for one in pipelines if names_orchestrator(one)]
    if not keys:
        return None
    return dg.define_asset_job(
        name,
        selection=dg.AssetSelection.checks(*keys),
        description="Has the orchestrator model of each pipeline describe and judge it, where that is not done yet.",
    )


def alignment_key(pipeline: CompiledPipeline) -> dg.AssetCheckKey:
    """The key of the check of a pipeline's alignment."""
    return dg.AssetCheckKey(AssetKey(pipeline.run_key), ALIGNMENT)
