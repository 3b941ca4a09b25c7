"""The job of a pipeline: all of its assets, launched with its inputs as flat config."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.definitions.config import config_schema
from orchestrator_dagster.definitions.metadata import code_reference


def job_name(pipeline: CompiledPipeline) -> str:
    """Name of the pipeline's job."""
    return f"{pipeline.op}_job"


def pipeline_job(
    pipeline: CompiledPipeline,
    assets: dg.AssetsDefinition,
    only: Collection[dg.AssetKey] | None = None,
    loggers: Collection[str] = (),
    executor: dg.ExecutorDefinition | None = None,
) -> UnresolvedAssetJobDefinition:
    """The job. A launch takes ``{topic: …}``; materializing from the asset pages takes the graph's config instead.

    Args:
        pipeline: The pipeline.
        assets: Its assets.
        only: The assets that the job makes, None for all of them.
        loggers: Names of the loggers that it writes to, none for Dagster's console.
        executor: The executor of its runs, None for that of the definitions around it.
    """
    graph = pipeline.op

    def to_graph(config: Any) -> dict[str, Any]:
        mapped: dict[str, Any] = {"ops": {graph: {"config": config}}}
        return {**mapped, "loggers": {name: {} for name in loggers}} if loggers else mapped

    return dg.define_asset_job(
        job_name(pipeline),
        selection=dg.AssetSelection.assets(*(only if only is not None else [assets])),
        config=dg.ConfigMapping(config_fn=to_graph, config_schema=config_schema(pipeline)),
        description=_describe(pipeline),
        tags=dict(pipeline.tags),
        run_tags={"orchestrator/pipeline": pipeline.id, "orchestrator/fingerprint": pipeline.fingerprint[:16]},
        metadata=code_reference(pipeline),
        executor_def=executor,
    )


def _describe(pipeline: CompiledPipeline) -> str:
    """The description and the steps in their order."""
    lines = [pipeline.description or pipeline.name or pipeline.id, ""]
    for number, step in enumerate(pipeline.steps, 1):
        does = (
            f"calls `{step.tool}.{step.action}`"
            if step.kind == "tool"
            else "asks a model"
            if step.kind == "model"
            else step.action
        )
        made = ", ".join(f"`{product.path}`" for product in step.products)
        lines.append(f"{number}. **{step.title}** {does}{f', writes {made}' if made else ''}")
    return "\n".join(lines)
