"""The job of a pipeline: all of its assets, launched with its inputs as flat config."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledStep
from orchestrator_dagster.definitions.metadata import code_reference
from orchestrator_dagster.definitions.stale import stale_metadata, stale_tags, with_stale

#: Tag of a job and its runs: the pipeline's id, by which runs can be filtered, and be made to wait for each other.
PIPELINE_ID_TAG = "orchestrator/pipeline"
#: Tag of a run: the first 16 digits of its pipeline's fingerprint.
FINGERPRINT_TAG = "orchestrator/fingerprint"


def job_name(pipeline: CompiledPipeline) -> str:
    """Name of the pipeline's job."""
    return f"{pipeline.op}_job"


def pipeline_job(
    pipeline: CompiledPipeline,
    assets: dg.AssetsDefinition,
    only: Collection[dg.AssetKey] | None = None,
    loggers: Collection[str] = (),
    executor: dg.ExecutorDefinition | None = None,
    stale: str | None = None,
) -> UnresolvedAssetJobDefinition:
    """The job. A launch takes ``{topic: …}``; materializing from the asset pages takes the graph's config instead.

    So does the job of a pipeline with partitions.

    Args:
        pipeline: The pipeline.
        assets: Its assets.
        only: The assets that the job makes, None for all of them.
        loggers: Names of the loggers that it writes to, none for Dagster's console.
        executor: The executor of its runs, None for that of the definitions around it.
        stale: What makes it stale, None when it is as its file says.
    """

    def to_graph(config: Any) -> dict[str, Any]:
        return _graph_config(pipeline, config, loggers)

    # Dagster takes no ConfigMapping for a job with partitions: its launch config is that of the graph.
    tags = {**pipeline.tags, PIPELINE_ID_TAG: pipeline.id, **stale_tags(stale)}
    flat = dg.ConfigMapping(config_fn=to_graph, config_schema=assets.node_def.config_schema)
    return dg.define_asset_job(
        job_name(pipeline),
        # The steps say what they have written; reading all of it again is asked for on the pages of the products.
        selection=dg.AssetSelection.assets(*(only if only is not None else [assets])).without_checks(),
        config=flat if pipeline.partitions is None else None,
        description=with_stale(_describe(pipeline), stale),
        # A launch from the UI names assets, and of such a job Dagster gives its runs the tags, not the run tags.
        tags=tags,
        run_tags={**tags, FINGERPRINT_TAG: pipeline.fingerprint[:16]},
        metadata={**code_reference(pipeline), **stale_metadata(stale)},
        executor_def=executor,
    )


def launch_config(
    pipeline: CompiledPipeline, inputs: Mapping[str, Any], loggers: Collection[str] = ()
) -> dict[str, Any]:
    """The config of a launch of the job with these inputs; ``loggers`` as for :func:`pipeline_job`."""
    return dict(inputs) if pipeline.partitions is None else _graph_config(pipeline, inputs, loggers)


def _graph_config(pipeline: CompiledPipeline, inputs: Mapping[str, Any], loggers: Collection[str]) -> dict[str, Any]:
    mapped: dict[str, Any] = {"ops": {pipeline.op: {"config": dict(inputs)}}}
    return {**mapped, "loggers": {name: {} for name in loggers}} if loggers else mapped


def _describe(pipeline: CompiledPipeline) -> str:
    """The description and the steps in their order."""
    lines = [pipeline.description or pipeline.name or pipeline.id, ""]
    for number, step in enumerate((pipeline.by_id[one.id] for one in pipeline.plan.steps), 1):
        made = ", ".join(f"`{product.path}`" for product in step.all_products)
        does = _does(step)
        lines.append(f"{number}. **{step.title}** {does}{f', writes {made}' if made else ''}{_goes(step)}")
    return "\n".join(lines)


def _goes(step: CompiledStep) -> str:
    """When a step runs, and where it goes."""
    condition = " ".join(str(step.condition).split()) if step.condition is not None else ""
    parts = [f"if `{condition.replace('`', '')}`" if condition else ""]
    spec = step.spec
    for words, target in (("else", spec.on_false), ("then", spec.on_success), ("on failure", spec.on_failure)):
        parts.append(f"{words} → {target}" if target else "")
    return "".join(f", {part}" for part in parts if part)


def _does(step: CompiledStep) -> str:
    """What a step does, in a few words."""
    if step.loop is not None:
        times = "for each item" if step.loop.kind == "for_each" else "again and again"
        inside = _does(step.loop.steps[0]) if step.loop.single else f"runs {len(step.loop.steps)} steps"
        return f"{inside} {times}"
    if step.pipeline is not None:
        return f"runs the pipeline `{step.pipeline.id}`"
    if step.kind == "tool":
        return f"calls `{step.tool}.{step.action}`"
    return "asks a model" if step.kind == "model" else f"does `{step.action}`"
