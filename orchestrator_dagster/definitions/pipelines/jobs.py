"""The job of a pipeline: all of its assets, launched with its inputs as flat config."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.definitions.pipelines.described import described_text
from orchestrator_dagster.definitions.pipelines.stale import stale_metadata, stale_tags, with_stale
from orchestrator_dagster.definitions.steps.metadata import code_reference

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
    described: str | None = None,
    judged: Collection[dg.AssetCheckKey] = (),
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
        judged: The checks that each run executes.
        described: Its description as Markdown, None for the structural one.
    """

    def to_graph(config: Any) -> dict[str, Any]:
        return _graph_config(pipeline, config, loggers)

    selection = dg.AssetSelection.assets(*(only if only is not None else [assets])).without_checks()
    # Dagster takes no ConfigMapping for a job with partitions: its launch config is that of the graph.
    tags = {**pipeline.tags, PIPELINE_ID_TAG: pipeline.id, **stale_tags(stale)}
    flat = dg.ConfigMapping(config_fn=to_graph, config_schema=assets.node_def.config_schema)
    return dg.define_asset_job(
        job_name(pipeline),
        # The steps say what they have written; reading all of it again is asked for on the pages of the products.
        selection=selection | dg.AssetSelection.checks(*judged) if judged else selection,
        config=flat if pipeline.partitions is None else None,
        description=with_stale(described or described_text(pipeline), stale),
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
