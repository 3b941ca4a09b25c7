"""A pipeline as one graph-backed multi-asset: an asset for each product, and one for the run."""

from __future__ import annotations

from typing import Any

import dagster as dg

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledProduct, CompiledStep
from orchestrator_dagster.definitions.described import described_text
from orchestrator_dagster.definitions.graphs import pipeline_graph, product_name
from orchestrator_dagster.definitions.metadata import code_reference
from orchestrator_dagster.definitions.partitions import partitions_of
from orchestrator_dagster.definitions.shared_parts import ASSET_PREFIX
from orchestrator_dagster.definitions.stale import stale_metadata, stale_tags, with_stale
from orchestrator_dagster.models.references import BUILTIN

_KIND = "dagster/kind/"
_TOOL_KINDS = {"data_processing": "pandas", "report_generator": "report"}
_FORMAT_KINDS = {"md": "markdown", "jsonl": "json", "tsv": "csv", "txt": "text", "xlsx": "excel"}


def pipeline_assets(
    pipeline: CompiledPipeline, *, stale: str | None = None, described: str | None = None
) -> dg.AssetsDefinition:
    """The assets of a pipeline. Each can be materialized alone, and then only what it needs runs.

    Args:
        pipeline: The pipeline.
        stale: What makes it stale, None when it is as its file says.
        described: Its description as Markdown, None for the structural one.
    """
    mark, tags = stale_metadata(stale), stale_tags(stale)
    outputs = {product_name(pipeline, product): product for product in pipeline.products}
    run_key = dg.AssetKey(pipeline.run_key)
    keys = {name: dg.AssetKey(product.key) for name, product in outputs.items()}
    deps = {name: {dg.AssetKey(key) for key in product.upstream} for name, product in outputs.items()}
    loaded = {f"{ASSET_PREFIX}{name}": dg.AssetKey(spec.asset_key) for name, spec in pipeline.asset_inputs.items()}
    return dg.AssetsDefinition.from_graph(
        pipeline_graph(pipeline),
        keys_by_input_name=loaded,
        keys_by_output_name={**keys, "run": run_key},
        # What a product is made from, the run is made from through it.
        internal_asset_deps={
            **deps,
            "run": {*keys.values(), *loaded.values()}.difference(*deps.values()) | {*keys.values()},
        },
        can_subset=True,
        partitions_def=partitions_of(pipeline),
        automation_conditions_by_output_name=dict.fromkeys((*keys, "run"), _automation(pipeline)),
        group_name=pipeline.op,
        descriptions_by_output_name={
            **{name: with_stale(_describe(pipeline, product), stale) for name, product in outputs.items()},
            "run": with_stale(
                f"The run of {pipeline.name or pipeline.id}: its outputs, and the record of every step.\n\n"
                f"{described or described_text(pipeline)}",
                stale,
            ),
        },
        metadata_by_output_name={
            **{name: {**_metadata(pipeline, product), **mark} for name, product in outputs.items()},
            "run": {**code_reference(pipeline), **mark},
        },
        tags_by_output_name={
            **{name: {**_tags(pipeline, product), **tags} for name, product in outputs.items()},
            "run": {**pipeline.tags, f"{_KIND}orchestrator": "", **tags},
        },
        owners_by_output_name={
            **{name: list(product.owners) for name, product in outputs.items()},
            "run": list(pipeline.owners),
        },
        code_versions_by_output_name={
            **{name: pipeline.by_id[product.step].code_version for name, product in outputs.items()},
            "run": pipeline.fingerprint[:16],
        },
    )


def _automation(pipeline: CompiledPipeline) -> dg.AutomationCondition[Any] | None:
    """When the assets are made by themselves, None when they are not."""
    if pipeline.automation is None:
        return None
    if pipeline.automation == "eager":
        return dg.AutomationCondition.eager()
    if pipeline.automation == "on_missing":
        return dg.AutomationCondition.on_missing()
    return dg.AutomationCondition.on_cron(pipeline.automation.cron, pipeline.automation.timezone)


def _describe(pipeline: CompiledPipeline, product: CompiledProduct) -> str:
    """The product's own description, else that of its variable, else what its step does."""
    step = pipeline.by_id[product.step]
    variable = step.variables.get(product.variable)
    said = product.description or (variable.description if variable else None) or step.spec.description
    return said or f"`{product.variable}` of the step `{step.id}`."


def _metadata(pipeline: CompiledPipeline, product: CompiledProduct) -> dict[str, Any]:
    step = pipeline.by_id[product.step]
    return {"orchestrator/step": step.id, "orchestrator/path": product.path, **code_reference(pipeline, step)}


def _tags(pipeline: CompiledPipeline, product: CompiledProduct) -> dict[str, str]:
    """The product's tags and its kinds: those it names, else its format and what made it."""
    step = pipeline.by_id[product.step]
    kinds = product.kinds or (_maker(step), _FORMAT_KINDS.get(product.format, product.format))
    return {**product.tags, **{f"{_KIND}{kind}": "" for kind in kinds}}


def _only_built_in(step: CompiledStep) -> bool:
    return bool(step.models) and all(name.startswith(f"{BUILTIN}:") for name in step.models)


def _maker(step: CompiledStep) -> str:
    """What makes a step's products, by the names that the UI has icons for."""
    inside = [one for one in step.walk() if one.kind == "model"]
    if inside:
        return "extractive" if all(_only_built_in(one) for one in inside) else "llm"
    return _TOOL_KINDS.get(step.tool or "", step.tool or "python")
