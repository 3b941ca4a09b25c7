"""Descriptions and judgements that are asked for outside of any run: by the command and from Python."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import AssetKey, AssetMaterialization

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.definitions.pipelines.intelligence import materials_of, products_of
from orchestrator_dagster.definitions.resources import ModelsResource, WorkspaceResource
from orchestrator_dagster.errors import OrchestratorError, StorageError
from orchestrator_dagster.intelligence.asking import TIMEOUT
from orchestrator_dagster.intelligence.describing import describe
from orchestrator_dagster.intelligence.description import Description
from orchestrator_dagster.intelligence.kept import description_of, keep_description, kept_description
from orchestrator_dagster.intelligence.quality import Quality, judge, judged_together
from orchestrator_dagster.runtime.services import Services
from orchestrator_dagster.tools.registry import ToolRegistry


def judge_run(
    pipeline: CompiledPipeline,
    run_id: str,
    root: Path,
    instance: dg.DagsterInstance,
    resources: Mapping[str, Any] | None = None,
) -> Quality:
    """Judge the products of one run.

    Args:
        pipeline: With ``qc``.
        run_id: The run.
        root: The workspace root.
        instance: Where the run is recorded.
        resources: Resources instead of the usual ones.
    """
    services = services_here(root, resources)
    records = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION).records
    made: dict[AssetKey, list[AssetMaterialization]] = {}
    for record in records:
        one = record.asset_materialization
        if one is not None:
            made[one.asset_key] = [one]  # the last one: a resumed run writes it again
    intention = description_of(pipeline, Path(instance.storage_directory())).intention.text
    judged = []
    for names in judged_together(pipeline):
        materials = [
            material
            for product in products_of(pipeline, names)
            for material in materials_of(product, made.get(AssetKey(product.key), ()), services.workspace)
        ]
        judged.append(judge(pipeline, names, materials, intention, services))
    return Quality(judgements=tuple(judged))


def described_here(
    pipeline: CompiledPipeline,
    root: Path,
    *,
    storage: Path,
    resources: Mapping[str, Any] | None = None,
    refresh: bool = False,
    timeout: float | None = None,
) -> tuple[Description, bool]:
    """The kept description of a pipeline, else a new one, which is kept; and whether it was kept before.

    Args:
        pipeline: The pipeline.
        root: The workspace root.
        storage: The instance's storage folder.
        resources: Resources instead of the usual ones.
        refresh: Whether the model is asked although there is a kept one.
        timeout: Seconds that each question may take, None for the usual ones.

    Raises:
        StorageError: The description cannot be kept.
    """
    kept = None if refresh else kept_description(storage, pipeline)
    if kept is not None:
        return kept, True
    made = describe(pipeline, services_here(root, resources), timeout=timeout or TIMEOUT)
    try:
        keep_description(storage, pipeline, made)
    except OSError as error:
        raise StorageError(
            f'the description cannot be kept in "{storage}": {error.strerror}', hint="make the folder writable"
        ) from None
    return made, False


def services_here(root: Path, resources: Mapping[str, Any] | None = None) -> Services:
    """The models and files of a project, outside of any run.

    Args:
        root: The workspace root.
        resources: Resources ``models`` and ``workspace`` instead of the usual ones.

    Raises:
        StepError: ``models.yaml`` has errors.
    """
    given = {"models": ModelsResource(), "workspace": WorkspaceResource(root=str(root)), **(resources or {})}
    try:
        models, workspace = (given[name].process_config_and_initialize() for name in ("models", "workspace"))
    except dg.DagsterInvalidConfigError as error:
        raise OrchestratorError(f"a resource is wrong: {error.message}") from None
    return Services(
        workspace=workspace.workspace(),
        tools=ToolRegistry(),
        models=models.clients(),
        known_models=models.known(root),
    )
