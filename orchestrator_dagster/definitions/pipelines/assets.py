"""A pipeline as one graph-backed multi-asset: an asset for each product, and one for the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import dagster as dg

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledProduct, CompiledStep
from orchestrator_dagster.definitions.pipelines.described import described_text
from orchestrator_dagster.definitions.pipelines.graphs import pipeline_graph, product_names
from orchestrator_dagster.definitions.pipelines.partitions import partitions_of
from orchestrator_dagster.definitions.pipelines.stale import stale_metadata, stale_tags, with_stale
from orchestrator_dagster.definitions.steps.metadata import code_reference
from orchestrator_dagster.definitions.steps.shared_parts import ASSET_PREFIX
from orchestrator_dagster.models.references import BUILTIN

_KIND = "dagster/kind/"
_TOOL_KINDS = {"data_processing": "pandas", "report_generator": "report"}
_FORMAT_KINDS = {"md": "markdown", "jsonl": "json", "tsv": "csv", "txt": "text", "xlsx": "excel"}


class About(NamedTuple):
    """What Dagster shows of an asset; see the arguments of :class:`dagster.AssetSpec`. Kinds are among the tags."""

    description: str | None
    metadata: Mapping[str, Any]
    tags: Mapping[str, str]
    owners: tuple[str, ...]
    group_name: str | None
    code_version: str | None
    automation: dg.AutomationCondition[Any] | None

    @classmethod
    def of(cls, pipeline: CompiledPipeline, product: CompiledProduct | None, described: str | None = None) -> About:
        """As the file says it; None for the product is the run, whose pipeline is ``described`` as Markdown."""
        if product is None:
            return cls(
                f"The run of {pipeline.name or pipeline.id}: its outputs, and the record of every step.\n\n"
                f"{described or described_text(pipeline)}",
                code_reference(pipeline),
                {**pipeline.tags, f"{_KIND}orchestrator": ""},
                pipeline.owners,
                pipeline.op,
                pipeline.code_version,
                automation_of(pipeline),
            )
        return cls(
            _describe(pipeline, product),
            _metadata(pipeline, product),
            _tags(pipeline, product),
            product.owners,
            pipeline.op,
            pipeline.by_id[product.step].code_version,
            automation_of(pipeline),
        )

    @classmethod
    def of_spec(cls, spec: dg.AssetSpec) -> About:
        """As a translator says it."""
        owners, condition = tuple(spec.owners), spec.automation_condition
        return cls(spec.description, spec.metadata, spec.tags, owners, spec.group_name, spec.code_version, condition)


def pipeline_assets(
    pipeline: CompiledPipeline,
    *,
    stale: str | None = None,
    described: str | None = None,
    specs: Mapping[dg.AssetKey, dg.AssetSpec] | None = None,
) -> dg.AssetsDefinition:
    """The assets of a pipeline. Each can be materialized alone, and then only what it needs runs.

    Args:
        pipeline: The pipeline.
        stale: What makes it stale, None when it is as its file says.
        described: Its description as Markdown, None for the structural one.
        specs: What a translator says of its assets, by key.
    """
    mark, tags = stale_metadata(stale), stale_tags(stale)
    names = product_names(pipeline)
    products = {names[product.key]: product for product in pipeline.products}
    keys = {name: dg.AssetKey(product.key) for name, product in products.items()}
    deps = {name: {dg.AssetKey(key) for key in product.upstream} for name, product in products.items()}
    loaded = {f"{ASSET_PREFIX}{name}": dg.AssetKey(spec.asset_key) for name, spec in pipeline.asset_inputs.items()}
    run_key = dg.AssetKey(pipeline.run_key)

    def about_of(key: dg.AssetKey, product: CompiledProduct | None) -> About:
        own = About.of(pipeline, product, described)
        if not specs or key not in specs:
            return own
        said = About.of_spec(specs[key])
        # The description of a pipeline is made while it is served: one that the translator left alone follows it.
        left = product is None and said.description == About.of(pipeline, None).description
        return said._replace(description=own.description) if left else said

    about = {name: about_of(key, products[name]) for name, key in keys.items()}
    about["run"] = about_of(run_key, None)
    made = dg.AssetsDefinition.from_graph(
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
        automation_conditions_by_output_name={name: one.automation for name, one in about.items()},
        group_names_by_output_name={name: one.group_name for name, one in about.items()},
        descriptions_by_output_name={name: with_stale(one.description or "", stale) for name, one in about.items()},
        metadata_by_output_name={name: {**one.metadata, **mark} for name, one in about.items()},
        tags_by_output_name={name: {**one.tags, **tags} for name, one in about.items()},
        owners_by_output_name={name: list(one.owners) for name, one in about.items()},
        code_versions_by_output_name={name: one.code_version for name, one in about.items()},
    )
    policies = {key: spec.freshness_policy for key, spec in (specs or {}).items() if spec.freshness_policy is not None}
    if policies.keys().isdisjoint((*keys.values(), run_key)):
        return made
    return made.map_asset_specs(lambda spec: spec.replace_attributes(freshness_policy=policies.get(spec.key)))


def asset_spec(pipeline: CompiledPipeline, product: CompiledProduct | None) -> dg.AssetSpec:
    """An asset as the file says it, as Dagster's spec: for a translator to change.

    Args:
        pipeline: The pipeline.
        product: The product, None for the run.
    """
    about = About.of(pipeline, product)
    if product is None:
        deps = [*(one.key for one in pipeline.products), *(one.asset_key for one in pipeline.asset_inputs.values())]
        key = pipeline.run_key
    else:
        deps, key = list(product.upstream), product.key
    return dg.AssetSpec(
        dg.AssetKey(key),
        deps=[dg.AssetKey(one) for one in dict.fromkeys(deps)],
        description=about.description,
        metadata=about.metadata,
        group_name=about.group_name,
        code_version=about.code_version,
        automation_condition=about.automation,
        owners=list(about.owners),
        tags=about.tags,
        partitions_def=partitions_of(pipeline),
    )


def automation_of(pipeline: CompiledPipeline) -> dg.AutomationCondition[Any] | None:
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
