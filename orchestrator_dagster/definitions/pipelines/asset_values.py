"""Finding what an asset holds: the file that its latest materialization names, else the value its IO manager keeps.

For the inputs of pipelines, and for products that an asset written by hand takes. Dagster draws the lineage.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import dagster as dg
from dagster import AssetKey, AssetMaterialization, DagsterInstance, InputContext, OutputContext
from dagster._core.definitions.metadata.metadata_set import TableMetadataSet
from dagster._core.storage.tags import PARTITION_NAME_TAG

from orchestrator_dagster.compiler.across import makers
from orchestrator_dagster.compiler.compiled import AssetPath, CompiledPipeline
from orchestrator_dagster.definitions.pipelines.quality_gate import stopped_by_quality
from orchestrator_dagster.definitions.steps.metadata import ProductMetadata
from orchestrator_dagster.definitions.steps.shared_parts import OUTCOMES_IO
from orchestrator_dagster.project.loading import load_folder
from orchestrator_dagster.runtime.asset_values import (
    AssetData,
    AssetFile,
    AssetFiles,
    AssetMissing,
    AssetParts,
    Found,
)

#: Metadata in which people say where an asset's file is, the most telling one first.
_PATHS = ("path", "file", "dagster/uri", "uri", "orchestrator/path")
#: Suffixes of files that only the IO manager that wrote them reads.
_OWN = ("", ".pickle", ".pkl")
#: What to do about a product that has failed its quality check.
AGAIN = "mend and materialize it again, or execute its check `quality` again"


class AssetValues(dg.ConfigurableIOManager):
    """Finds what the inputs of pipelines are loaded from. Files are read by the op, through the workspace."""

    def handle_output(self, context: OutputContext, obj: Any) -> None:
        """Refuse: nothing is stored here.

        Raises:
            TypeError: Always.
        """
        raise TypeError("orchestrator_assets loads inputs of pipelines, and stores nothing")

    def load_input(self, context: InputContext) -> Found:
        """What was found of the input's asset."""
        return find(context, own_value=True)


def find(context: InputContext, *, own_value: bool = False) -> Found:
    """What there is of the asset of an input.

    Args:
        context: Of the input.
        own_value: Whether the asset's own IO manager is asked where no file is named.
    """
    key = context.asset_key
    wanted = _partitions(context)
    made = materializations(context.instance, key, wanted)
    if any(map(_is_product, made.values())) and (stopped := stopped_by_quality(context.instance, key)):
        return AssetMissing(stopped, AGAIN, refused=True)
    files = {partition: file_of(one) for partition, one in made.items()}
    if own_value and not any(map(_is_product, made.values())):
        value = _own_value(context, next(iter(files.values()), None), bool(made))
        if value is not None:
            return value
    found = {partition: one or _unreadable(key.to_user_string()) for partition, one in files.items()}
    missing = next((one for one in found.values() if isinstance(one, AssetMissing)), None)
    if not found or missing:
        return missing or never(key, wanted)
    if wanted is None or (len(wanted) == 1 and _own_partition(context) is not None):
        return next(iter(found.values()))
    return AssetParts({str(partition): one for partition, one in found.items()})


def materializations(
    instance: DagsterInstance, key: AssetKey, wanted: Collection[str] | None
) -> dict[str | None, AssetMaterialization]:
    """The latest materialization of each partition that has one; of None for an asset without partitions.

    Args:
        instance: Where they are recorded.
        key: The asset.
        wanted: Keys of partitions, an empty collection for all that are materialized, None for the latest of any.
    """
    if wanted is None:
        latest = next(_latest(instance, key, None), None)
        return {None: latest} if latest is not None else {}
    if not wanted:
        wanted = sorted(instance.get_materialized_partitions(key))
    return {partition: one for partition in wanted for one in _latest(instance, key, partition)}


def _latest(instance: DagsterInstance, key: AssetKey, partition: str | None) -> Iterator[AssetMaterialization]:
    partitions = [partition] if partition is not None else None
    records = instance.fetch_materializations(dg.AssetRecordsFilter(asset_key=key, asset_partitions=partitions), 1)
    for record in records.records:
        if record.asset_materialization is not None:
            yield record.asset_materialization


def _partitions(context: InputContext) -> Collection[str] | None:
    """The partitions of the asset that are wanted, as :func:`materializations` takes them.

    Where Dagster knows the asset's partitions, it says which ones belong to those of the run. Elsewhere (a run of the
    command knows its own pipeline alone) it is the one of the run's key, or all of them when the run is for none.
    """
    if context.has_asset_partitions:
        return list(context.asset_partition_keys)
    latest = next(_latest(context.instance, context.asset_key, None), None)
    if latest is None or latest.partition is None:
        return None
    own = _own_partition(context)
    return [own] if own is not None else []


def _own_partition(context: InputContext) -> str | None:
    """The partition that the run is for."""
    if context._step_context is None:  # somebody loads the asset outside of any run
        return context.asset_partition_key if context.has_asset_partitions else None
    return context.step_context.dagster_run.tags.get(PARTITION_NAME_TAG)


def never(key: AssetKey, wanted: Collection[str] | None = None) -> AssetMissing:
    """What there is of an asset that was not materialized."""
    which = f" for the partition {', '.join(sorted(wanted)[:5])}" if wanted else ""
    return AssetMissing(f'the asset "{key.to_user_string()}" has never been materialized{which}', "")


def _unreadable(key: str) -> AssetMissing:
    return AssetMissing(
        f'the asset "{key}" names no file, and its value is kept by an IO manager that this run does not have',
        "launch the pipeline from the code location that has the asset, or give its materialization the metadata"
        " `path`",
    )


def file_of(made: AssetMaterialization) -> AssetFile | AssetFiles | None:
    """The file that a materialization names, None when it names none that others can read."""
    product = ProductMetadata.extract(made.metadata)
    if product.file is not None and product.format is not None:
        if product.files is not None:
            return AssetFiles(tuple(AssetFile(str(path), product.format) for path in product.files.data or ()))
        return AssetFile(str(product.file.path), product.format, _types(made))
    for name in _PATHS:
        value = getattr(made.metadata.get(name), "value", None)
        if isinstance(value, str) and PurePosixPath(value).suffix.lower() not in _OWN:
            return AssetFile(value, None, _types(made))
    return None


def _is_product(made: AssetMaterialization) -> bool:
    """Whether it is one of a pipeline's product, whose IO manager keeps nothing but the file."""
    return ProductMetadata.extract(made.metadata).format is not None


def _types(made: AssetMaterialization) -> dict[str, str]:
    table = TableMetadataSet.extract(made.metadata)
    return {one.name: one.type for one in table.column_schema.columns} if table.column_schema else {}


def _own_value(context: InputContext, file: AssetFile | AssetFiles | None, was_made: bool) -> Found | None:
    """The value that the asset's own IO manager gives; None when it has none, or nothing where there is a file.

    Args:
        context: Of the input.
        file: The file that the asset's metadata names. The IO manager may have written it as well.
        was_made: Whether the asset was materialized.
    """
    beside = file if isinstance(file, AssetFile) else None
    step = context.step_context
    layer, key = step.job_def.asset_layer, context.asset_key
    node = layer.get(key) if layer.has(key) else None
    if node is None:
        return None
    manager = node.io_manager_key
    if not node.is_materializable and "dagster/io_manager_key" not in node.metadata:
        if not (was_made and key.path[-1] == "run" and _is_run(context)):
            return None
        manager = OUTCOMES_IO
    elif node.is_materializable and not was_made:
        return None
    live = step.scoped_resources_builder.resource_instance_dict.get(manager)
    try:
        if live is not None:
            value = live.load_input(context)  # type: ignore[attr-defined]
        else:
            with dg.build_resources(_with_those_needed(manager, step.job_def.resource_defs), context.instance) as built:
                value = getattr(built, manager).load_input(context)
        return None if value is None and file is not None else AssetData(value, beside)
    except Exception as error:  # whatever a person's IO manager raises
        if file is not None or not was_made:
            return None
        said = str(error).strip().splitlines()
        name = key.to_user_string()
        return AssetMissing(
            f'the asset "{name}": its IO manager "{manager}" gives no value: {type(error).__name__}'
            + (f": {said[0]}" if said else ""),
            f"materialize {name} again; where it is a file and no value, give its materialization the metadata `path`",
        )


def _with_those_needed(name: str, resources: Mapping[str, Any]) -> dict[str, Any]:
    """A resource and those that it requires, by key."""
    found: dict[str, Any] = {}
    waiting = [name]
    while waiting:
        one = waiting.pop()
        if one in resources and one not in found:
            found[one] = resources[one]
            waiting += getattr(resources[one], "required_resource_keys", None) or ()
    return found


def _is_run(context: InputContext) -> bool:
    """Whether the latest materialization is that of a pipeline's run."""
    latest = next(_latest(context.instance, context.asset_key, None), None)
    return latest is not None and "orchestrator/steps" in latest.metadata


def needed_inputs(pipeline: CompiledPipeline, selected: Collection[AssetPath] | None) -> set[str]:
    """The inputs of assets that a run of the selected assets reads; None for the whole pipeline."""
    if selected is None or pipeline.run_key in selected:
        return set(pipeline.asset_inputs)
    waiting = [product.step for product in pipeline.products if product.key in selected]
    seen: set[str] = set()
    while waiting:
        step = waiting.pop()
        if step not in seen:
            seen.add(step)
            waiting += pipeline.plan.by_id[step].reads
    return {name for step in seen for name in pipeline.by_id[step].asset_inputs}


def how_to_make(key: AssetPath, pipeline: CompiledPipeline, root: Path) -> str:
    """The command that makes an asset, when another file of the pipeline's folder does; else where to look."""
    name = "/".join(key)
    others = [file.pipeline for file in load_folder(Path(pipeline.folder), root) if file.pipeline is not None]
    maker = makers(others).get(key)
    file = next((other.file for other in others if other.id == maker), None)
    return f"`orchestrator run {file}`" if file else f"materialize {name} first, in the UI (`orchestrator dev`)"


def missing_before(
    pipeline: CompiledPipeline, instance: DagsterInstance, root: Path, selected: Collection[AssetPath] | None
) -> list[str]:
    """What is wrong with inputs of assets before a run is made: never materialized, or stopped by a check."""
    problems = []
    for name in sorted(needed_inputs(pipeline, selected)):
        spec = pipeline.asset_inputs[name]
        key = AssetKey(spec.asset_key)
        if stopped := stopped_by_quality(instance, key):
            problems.append(f'the input "{name}": {stopped}; next: {AGAIN}')
        elif not spec.may_be_absent and instance.get_latest_materialization_event(key) is None:
            problems.append(
                f'the input "{name}": {never(key).message}; next: {how_to_make(spec.asset_key, pipeline, root)}'
            )
    return problems
