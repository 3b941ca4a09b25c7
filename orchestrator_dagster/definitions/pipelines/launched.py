"""What a run was launched with, kept with it: its pipeline, its workspace root, its inputs, the products asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dagster import DagsterInstance, DagsterRun
from dagster._core.storage.tags import HIDDEN_TAG_PREFIX

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.definitions.pipelines.jobs import FINGERPRINT_TAG, job_name
from orchestrator_dagster.project.kept_pipelines import keep_pipeline, kept_pipeline

#: Tag of a run: the id of its pipeline. Jobs have it; it is given to runs from the asset pages as well.
ID_TAG = "orchestrator/pipeline"
#: Tag of a run: the products asked for.
PRODUCTS_TAG = "orchestrator/products"
#: Tags of a run that its pages do not show: the key of its pipeline among those that are kept, its workspace root.
PIPELINE_TAG = f"{HIDDEN_TAG_PREFIX}orchestrator/pipeline_key"
ROOT_TAG = f"{HIDDEN_TAG_PREFIX}orchestrator/root"


def kept_tags(pipeline: CompiledPipeline, root: Path, instance: DagsterInstance) -> dict[str, str]:
    """Keep the pipeline of a run that is launched; gives the tags by which it is found again.

    Nothing is kept beside an instance in memory.

    Raises:
        OSError: The instance's storage folder cannot be written.
    """
    if instance.is_ephemeral:
        return {}
    key = keep_pipeline(Path(instance.storage_directory()), pipeline)
    return {ID_TAG: pipeline.id, PIPELINE_TAG: key, ROOT_TAG: str(root.absolute())}


def pipeline_kept(run: DagsterRun, instance: DagsterInstance) -> CompiledPipeline | None:
    """The pipeline that a run was launched with, None when it is not kept."""
    key = run.tags.get(PIPELINE_TAG) or run.tags.get(FINGERPRINT_TAG)
    return kept_pipeline(Path(instance.storage_directory()), key) if key else None


def is_of(run: DagsterRun, pipeline: CompiledPipeline) -> bool:
    """Whether a run is one of this pipeline, and of nothing else."""
    if run.asset_selection:
        return {tuple(key.path) for key in run.asset_selection} <= _keys(pipeline).keys()
    return run.job_name == job_name(pipeline)


def products_of(run: DagsterRun, pipeline: CompiledPipeline) -> list[str] | None:
    """The variables whose products a run was asked for, None for the whole pipeline."""
    if not run.asset_selection:  # a run that Dagster launched may have taken over the tags of another
        led_here = run.remote_job_origin is None and PRODUCTS_TAG in run.tags
        return run.tags[PRODUCTS_TAG].split(",") if led_here else None
    keys = _keys(pipeline)
    chosen = [keys[tuple(key.path)] for key in run.asset_selection if tuple(key.path) in keys]
    return None if None in chosen else sorted(variable for variable in chosen if variable is not None)


def inputs_of(run: DagsterRun, pipeline: CompiledPipeline) -> dict[str, Any]:
    """The inputs that a launch gave, by name: from the job's launchpad or from the asset pages."""
    config: Mapping[str, Any] = run.run_config
    if run.job_name != job_name(pipeline) or pipeline.partitions is not None:
        config = ((config.get("ops") or {}).get(pipeline.op) or {}).get("config") or {}
    return dict(config)


def _keys(pipeline: CompiledPipeline) -> dict[tuple[str, ...], str | None]:
    """The asset keys of a pipeline, each with the variable that it is made from; none for the run itself."""
    return {**{tuple(one.key): one.variable for one in pipeline.products}, tuple(pipeline.run_key): None}
