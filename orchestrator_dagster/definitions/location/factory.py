"""The code-location factory: a folder of pipeline files becomes Definitions."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._utils.warnings import disable_dagster_warnings

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.definitions.executors.executor import default_executor
from orchestrator_dagster.definitions.executors.executor_choice import find_executor, pipeline_executor
from orchestrator_dagster.definitions.io_managers import OutcomeIOManager, ProductIOManager
from orchestrator_dagster.definitions.location.describing import Describing
from orchestrator_dagster.definitions.location.recompile import recompile_sensor
from orchestrator_dagster.definitions.location.run_process import purpose_of_process
from orchestrator_dagster.definitions.location.served import load_served
from orchestrator_dagster.definitions.pipelines.asset_values import AssetValues
from orchestrator_dagster.definitions.pipelines.assets import pipeline_assets
from orchestrator_dagster.definitions.pipelines.checks import pipeline_checks
from orchestrator_dagster.definitions.pipelines.described import described_text
from orchestrator_dagster.definitions.pipelines.intelligence import alignment_check, blocking_checks, quality_checks
from orchestrator_dagster.definitions.pipelines.jobs import pipeline_job
from orchestrator_dagster.definitions.pipelines.schedules import pipeline_schedules
from orchestrator_dagster.definitions.pipelines.stale import errors_text, stale_text
from orchestrator_dagster.definitions.pipelines.translation import Specs, Translated, translate
from orchestrator_dagster.definitions.pipelines.translator import PipelinesTranslator
from orchestrator_dagster.definitions.pipelines.triggers import pipeline_triggers
from orchestrator_dagster.definitions.resources import ModelsResource, ToolsResource, WorkspaceResource
from orchestrator_dagster.definitions.steps.shared_parts import ASSETS_IO, OUTCOMES_IO, PRODUCTS_IO
from orchestrator_dagster.errors import ExecutorError
from orchestrator_dagster.garbage import garbage_later
from orchestrator_dagster.intelligence.description import Description
from orchestrator_dagster.language.diagnostics import Problems
from orchestrator_dagster.language.document import read_file
from orchestrator_dagster.project.loading import LoadedFile, find_project, refuse_broken
from orchestrator_dagster.project.sources import Sources

_log = logging.getLogger(__name__)
#: Dagster sets it while it checks definitions, from its release 1.9 on.
VALIDATION_VARIABLE = "DAGSTER_IS_DEFS_VALIDATION_CLI"


def build_definitions(
    folder: str | os.PathLike[str] = "pipelines",
    *,
    root: str | os.PathLike[str] | None = None,
    resources: Mapping[str, Any] | None = None,
    executor: str | dg.ExecutorDefinition | None = None,
    translator: PipelinesTranslator | None = None,
    strict: bool | None = None,
) -> dg.Definitions:
    """Definitions for every pipeline file of a folder: assets, jobs, schedules, sensors, resources.

    A file with errors does not take the others down: it is left out, logged, and listed in the location's metadata.
    They merge with others (:meth:`dagster.Definitions.merge`), also with those of a second folder of the same root.

    Args:
        folder: Folder of pipeline files, relative to the project's folder.
        root: The workspace root, default the project's folder (the nearest one with a ``workspace.yaml`` or
            ``pyproject.toml``).
        resources: Resources by key, instead of or beside ``models``, ``tools``, ``workspace`` and the IO managers.
        executor: Executor of materializations from the asset pages, and of the jobs whose pipeline names none: one of
            Dagster's, or a name as in a pipeline file. Default `threads`: the steps of a run at once, in the run's own
            process.
        translator: Says how the assets look: keys, groups, owners, tags, kinds, descriptions, metadata.
        strict: Whether a file with errors is an exception. Default: only while Dagster checks definitions
            (``dg check defs``, ``dagster definitions validate``).

    Example:
        >>> mine = dg.Definitions(assets=[])
        >>> defs = dg.Definitions.merge(build_definitions("pipelines"), mine)  # doctest: +SKIP

    Raises:
        ExecutorError: The executor named here is not there. (One that a pipeline names leaves out that pipeline.)
        PipelineError: A file has errors, and ``strict`` holds.
        TranslationError: The translator fails, or says what runs could not keep to.
        dagster.DagsterInvalidDefinitionError: A resource or executor does not fit.
    """
    base = Path(root).resolve() if root else find_project(Path.cwd())
    if isinstance(executor, str):
        executor = find_executor(executor, base)
    with garbage_later():
        # A run's own process serves nobody.
        sources = Sources.of(base / folder, base) if purpose_of_process() is None else None
        served = load_served(base / folder, base, translator)
        files = [LoadedFile(Path(one.folder) / Path(one.file).name, one) for one in served.pipelines]
        loaded = [_with_executor(file, base) for file in files]
        pipelines = [file.pipeline for file in loaded if file.pipeline is not None]
        broken = [*served.broken, *(file for file in loaded if file.pipeline is None)]
        if _is_strict(strict):
            refuse_broken([*broken, *served.stale, *served.flawed])
        for file in (*broken, *served.stale, *served.flawed):
            what = "has errors, its last good version is served" if file.stale else "is left out"
            what = "is served, and has errors" if file in served.flawed else what
            _log.warning("%s %s:\n%s", file.path, what, "\n".join(one.render() for one in file.errors))

        def sensors(jobs: Mapping[str, Any]) -> list[dg.SensorDefinition]:
            if sources is None:
                return []
            started = [jobs[pipeline.id] for pipeline in pipelines if pipeline.on_change]
            return [recompile_sensor(base / folder, base, served, sources, started, describing)]

        describing = Describing.of(pipelines, base / folder, base)
        made = definitions_of(
            pipelines,
            root=base,
            resources={**shared_resources(base), **(resources or {})},
            executor=executor,
            broken=broken,
            specs=served.specs,
            stale=served.stale,
            descriptions=describing.kept,
            further_jobs=[describing.job] if describing.job is not None else [],
            sensors=sensors,
        )
    with disable_dagster_warnings():  # it is in preview; users can do nothing about it
        return made.with_reconstruction_metadata(served.metadata) if served.metadata else made


def fixed_definitions(
    pipelines: Sequence[CompiledPipeline],
    *,
    root: Path,
    resources: Mapping[str, Any] | None = None,
    executor: str | dg.ExecutorDefinition | None = None,
    translator: PipelinesTranslator | None = None,
) -> dg.Definitions:
    """Definitions for pipelines as they are, whatever their files become; see :func:`build_definitions`.

    Raises:
        ExecutorError: An executor is not there.
        PipelineError: The keys that a translator gives bring two pipelines into conflict.
        TranslationError: The translator fails, or says what runs could not keep to.
    """
    if isinstance(executor, str):
        executor = find_executor(executor, root)
    files = [LoadedFile(Path(one.folder) / Path(one.file).name, one) for one in pipelines]
    done = Translated(files) if translator is None else translate(files, translator)
    refuse_broken([file for file in done.files if file.pipeline is None])
    made = [file.pipeline for file in done.files if file.pipeline is not None]
    shared = {**shared_resources(root), **(resources or {})}
    return definitions_of(made, root=root, resources=shared, executor=executor, specs=done.specs)


def definitions_of(
    pipelines: Sequence[CompiledPipeline],
    *,
    root: Path,
    resources: Mapping[str, Any] | None = None,
    executor: dg.ExecutorDefinition | None = None,
    broken: Sequence[LoadedFile] = (),
    stale: Sequence[LoadedFile] = (),
    specs: Specs | None = None,
    descriptions: Mapping[str, Description] | None = None,
    further_jobs: Sequence[Any] = (),
    sensors: Callable[[Mapping[str, Any]], Sequence[dg.SensorDefinition]] = lambda jobs: (),
) -> dg.Definitions:
    """Definitions for compiled pipelines.

    Args:
        pipelines: The pipelines.
        root: The workspace root.
        resources: See :func:`build_definitions`.
        executor: See :func:`build_definitions`.
        broken: Files that were left out, for the location's metadata.
        stale: Files with errors whose last good pipelines are among these.
        specs: What a translator says of their assets.
        descriptions: What was kept of the pipelines by their ids; the others have the structural one.
        further_jobs: Jobs beside those of the pipelines.
        sensors: Gives further sensors, for the jobs by their pipelines' ids.

    Raises:
        ExecutorError: A pipeline's executor is not there.
    """
    marks = {file.pipeline.id: stale_text(file) for file in stale if file.pipeline is not None}
    texts = {one.id: described_text(one, (descriptions or {}).get(one.id)) for one in pipelines}
    assets = [pipeline_assets(one, stale=marks.get(one.id), described=texts[one.id], specs=specs) for one in pipelines]
    jobs = [
        pipeline_job(
            pipeline,
            made,
            executor=pipeline_executor(pipeline, root),
            stale=marks.get(pipeline.id),
            described=texts[pipeline.id],
            judged=blocking_checks(pipeline),
        )
        for pipeline, made in zip(pipelines, assets, strict=True)
    ]
    both = list(zip(pipelines, jobs, strict=True))
    return dg.Definitions(
        assets=assets,
        asset_checks=[
            one
            for checks in (pipeline_checks, alignment_check, quality_checks)
            for one in map(checks, pipelines)
            if one is not None
        ],
        jobs=[*jobs, *further_jobs],
        schedules=[one for pipeline, job in both for one in pipeline_schedules(pipeline, job)],
        sensors=[
            *(one for pipeline, job in both for one in pipeline_triggers(pipeline, job)),
            *sensors({pipeline.id: job for pipeline, job in both}),
        ],
        resources={**default_resources(root), **(resources or {})},
        executor=executor or default_executor(),
        metadata=_metadata(pipelines, broken, stale),
    )


def _is_strict(strict: bool | None) -> bool:
    return strict if strict is not None else os.environ.get(VALIDATION_VARIABLE, "") not in ("", "0")


def _with_executor(file: LoadedFile, root: Path) -> LoadedFile:
    """The file; as one with an error when its pipeline names an executor that is not there."""
    if file.pipeline is None:
        return file
    try:
        pipeline_executor(file.pipeline, root)
    except ExecutorError as error:
        document, _ = read_file(file.path, file.pipeline.file)
        problems = Problems(file.pipeline.file, document.text)
        problems.add("executor-missing", error.message, document.span(("executor",)), hint=error.hint)
        return LoadedFile(file.path, None, (*file.diagnostics, *problems))
    return file


def default_resources(root: Path) -> dict[str, Any]:
    """The resources that pipelines need, as they are when nobody says otherwise."""
    return {
        "workspace": WorkspaceResource(root=str(root)),
        "tools": ToolsResource(),
        "models": ModelsResource(),
        OUTCOMES_IO: OutcomeIOManager(),
        PRODUCTS_IO: ProductIOManager(),
        ASSETS_IO: AssetValues(),
    }


def shared_resources(root: Path) -> dict[str, Any]:
    """The usual resources of a code location: the same objects for all folders of one root, so that they can be merged.

    Dagster refuses to merge definitions whose resources of one name are different objects.
    """
    stamps = (_stamp(root / name) for name in ("tools.py", "models.yaml"))
    return dict(_resources_of(root, *stamps))


@functools.lru_cache(maxsize=16)
def _resources_of(root: Path, *stamps: tuple[int, int] | None) -> dict[str, Any]:
    return default_resources(root)


def _stamp(path: Path) -> tuple[int, int] | None:
    """When a file was changed, and its size; resources remember what they have read of it."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _metadata(
    pipelines: Sequence[CompiledPipeline], broken: Sequence[LoadedFile], stale: Sequence[LoadedFile]
) -> dict[str, Any]:
    found: dict[str, Any] = {"orchestrator/pipelines": len(pipelines)}
    for name, files in (("broken", broken), ("stale", stale)):
        if files:
            found[f"orchestrator/{name}"] = dg.MarkdownMetadataValue("\n\n".join(map(errors_text, files)))
    return found
