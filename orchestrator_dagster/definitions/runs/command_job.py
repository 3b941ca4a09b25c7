"""The job of a run that the command or Python starts; other processes can make it anew from a file in the storage."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import DagsterInstance
from dagster._core.definitions.job_base import IJob, InMemoryJob

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.definitions.executors.executor import default_executor
from orchestrator_dagster.definitions.executors.executor_choice import leaves_the_process, pipeline_executor
from orchestrator_dagster.definitions.location.factory import default_resources
from orchestrator_dagster.definitions.pipelines.assets import pipeline_assets
from orchestrator_dagster.definitions.pipelines.jobs import job_name, pipeline_job
from orchestrator_dagster.errors import ExecutorError, InputsError
from orchestrator_dagster.project.kept_pipelines import keep_pipeline, kept_pipeline
from orchestrator_dagster.text import nearest

#: Names of the loggers that such a run writes to.
LOGGERS = ("quiet",)


def _silent(context: dg.InitLoggerContext) -> logging.Logger:
    logger = logging.Logger("orchestrator_dagster.run", level=logging.CRITICAL)
    logger.addHandler(logging.NullHandler())
    return logger


_quiet = dg.LoggerDefinition(_silent, description="Says nothing on the terminal: the event log has it all.")


def command_job(
    pipeline: CompiledPipeline,
    *,
    root: Path,
    instance: DagsterInstance,
    resources: Mapping[str, Any] | None = None,
    products: Sequence[str] | None = None,
) -> IJob:
    """The job, such that the pipeline's executor can run it.

    Args:
        pipeline: The pipeline.
        root: The workspace root.
        instance: Where the run is recorded.
        resources: Resources instead of the usual ones.
        products: Variables whose products are wanted, None for the whole pipeline.

    Raises:
        ExecutorError: The executor is not there, or it needs what this run has not.
        InputsError: A product that is wanted is none.
    """
    job = _job(pipeline, root, resources, products)
    if not leaves_the_process(job.executor_def):
        return InMemoryJob(job)
    name = pipeline.executor or job.executor_def.name
    if instance.is_ephemeral:
        raise ExecutorError(
            f'the executor "{name}" runs steps in other processes, and an instance in memory has nothing for them',
            hint="give an instance that is recorded on disk, or use `executor: threads`",
        )
    if resources:
        raise ExecutorError(
            f'the executor "{name}" runs steps in other processes, which resources given to this run do not reach',
            hint="give them to build_definitions() and launch the job from there, or use `executor: threads`",
        )
    storage = instance.storage_directory()
    wanted = list(products) if products is not None else None
    arguments: Any = (storage, keep_pipeline(Path(storage), pipeline), str(root), wanted)
    return dg.build_reconstructable_job(__name__, job_of_kept.__name__, arguments)


def job_of_kept(storage: str, key: str, root: str, products: Sequence[str] | None) -> dg.JobDefinition:
    """The job made anew: processes of steps call this.

    Args:
        storage: The instance's storage folder, where the pipeline is kept.
        key: Its key there.
        root: The workspace root.
        products: As given to :func:`command_job`.

    Raises:
        ExecutorError: The pipeline is not kept any more.
    """
    pipeline = kept_pipeline(Path(storage), key)
    if pipeline is None:
        raise ExecutorError(
            f'the pipeline of this run is not in "{storage}" any more',
            hint="processes of steps need the instance's storage folder, on every machine that runs them",
        )
    return _job(pipeline, Path(root), None, products)


def _job(
    pipeline: CompiledPipeline,
    root: Path,
    resources: Mapping[str, Any] | None,
    products: Sequence[str] | None,
) -> dg.JobDefinition:
    only = _selection(pipeline, products)
    assets = pipeline_assets(pipeline)
    definitions = dg.Definitions(
        assets=[assets],
        jobs=[pipeline_job(pipeline, assets, only, loggers=LOGGERS)],
        resources={**default_resources(root), **(resources or {})},
        executor=pipeline_executor(pipeline, root) or default_executor(),
    )
    return definitions.resolve_job_def(job_name(pipeline)).with_logger_defs({"quiet": _quiet})


def _selection(pipeline: CompiledPipeline, products: Sequence[str] | None) -> list[dg.AssetKey] | None:
    """The assets of the products wanted.

    Raises:
        InputsError: A name is no product; with the nearest one.
    """
    if products is None:
        return None
    keys = {one.variable: dg.AssetKey(one.key) for one in pipeline.products}
    problems = [f'there is no product "{name}"{nearest(name, keys)}' for name in products if name not in keys]
    if problems or not products:
        raise InputsError(f'the products wanted of "{pipeline.id}" are wrong', problems or ["no product is named"])
    return [keys[name] for name in products]
