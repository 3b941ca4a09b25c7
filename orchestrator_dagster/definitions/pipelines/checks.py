"""Asset checks of products: ``sound`` (it is there, can be read, holds something, is what its variable declares) and
``unchanged`` (its file is the one that was written).

``sound`` is said with every materialization, by the step that made the file. On demand one op for each pipeline reads
the files again and says both.
"""

# No `from __future__ import annotations` here: Dagster looks at the type of `context` itself.

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import dagster as dg
from dagster import AssetCheckSeverity, AssetKey, AssetMaterialization, OpExecutionContext
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledProduct
from orchestrator_dagster.definitions.pipelines.asset_values import file_of, materializations
from orchestrator_dagster.definitions.steps.metadata import ProductMetadata
from orchestrator_dagster.definitions.steps.shared_parts import NO_CONFIG, checks_after, computes
from orchestrator_dagster.errors import StepError
from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.runtime.asset_values import AssetFile, AssetFiles
from orchestrator_dagster.runtime.product_checks import Fault, faults_of, spec_of

SOUND, UNCHANGED = "sound", "unchanged"
_ABOUT = {
    SOUND: "The file is there, can be read in its format, holds something, and is what its variable declares.",
    UNCHANGED: "The file is the one that was written: its hash is that of the materialization.",
}


def pipeline_checks(pipeline: CompiledPipeline) -> dg.AssetChecksDefinition | None:
    """The checks of a pipeline's products, which can be executed from their pages; None when it has no product."""
    products = {AssetKey(product.key): product for product in pipeline.products}
    if not products:
        return None

    @computes
    def check(context: OpExecutionContext, _: Mapping[str, Any]) -> Iterator[dg.AssetCheckResult]:
        workspace = context.resources.workspace.workspace()
        wanted: dict[AssetKey, list[str]] = {}
        for one in sorted(context.selected_asset_check_keys):
            wanted.setdefault(one.asset_key, []).append(one.name)
        for key, names in wanted.items():
            product = products[key]
            partitions: Sequence[str] | None = [] if pipeline.partitions is not None else None
            made = materializations(context.instance, key, partitions)
            if not made:
                yield from (_never(key, name) for name in names)
                continue
            read = [_read(pipeline, product, one, workspace) for one in made.values()]
            found = [(fault, place) for faults, _ in read for fault, place in faults]
            files = sum(count for _, count in read)
            for name in names:
                own = [one for one in found if (one[0].part == UNCHANGED) == (name == UNCHANGED)]
                own += [one for one in found if name == UNCHANGED and one[0].part == "exists"]
                yield dg.AssetCheckResult(
                    passed=not own,
                    asset_key=key,
                    check_name=name,
                    severity=severity_of(fault for fault, _ in own),
                    description=f"{own[0][1]}: {own[0][0]}" if own else None,
                    metadata=fault_metadata(own, files),
                )

    specs = {
        f"{name}_{number}": dg.AssetCheckSpec(name, asset=key, description=about)
        for number, key in enumerate(products)
        for name, about in _ABOUT.items()
    }
    # Made directly, of shared parts: a location makes one for each of its pipelines.
    ins, outs = checks_after(len(products), specs)
    made: dg.AssetChecksDefinition = dg.AssetChecksDefinition.create(
        keys_by_input_name=dict(zip(ins, products, strict=True)),
        node_def=dg.OpDefinition(
            name=f"check_products_of__{pipeline.op}",
            description="Reads the products again and checks them.",
            compute_fn=check,
            ins=ins,
            outs=outs,
            config_schema=NO_CONFIG,
            required_resource_keys={"workspace"},
        ),
        check_specs_by_output_name=specs,
        can_subset=True,
    )
    return made


def _never(key: AssetKey, name: str) -> dg.AssetCheckResult:
    said = f"{key.to_user_string()} has never been materialized; next: materialize it"
    return dg.AssetCheckResult(
        passed=False, asset_key=key, check_name=name, severity=AssetCheckSeverity.WARN, description=said
    )


def severity_of(faults: Any) -> AssetCheckSeverity:
    """A warning where a product is only empty, which may be right; an error for everything else."""
    parts = {fault.part for fault in faults}
    return AssetCheckSeverity.WARN if parts == {"not empty"} else AssetCheckSeverity.ERROR


def fault_metadata(faults: Sequence[tuple[Fault, str]], files: int) -> dict[str, Any]:
    """How many files were checked where it is not one; what failed and the next step, as the UI shows it."""
    found: dict[str, Any] = {"orchestrator/files": files} if files != 1 else {}
    if not faults:
        return found
    rows = "\n".join(
        f"| {place} | {fault.part} | {_cell(fault.message)} | {_cell(fault.next)} |" for fault, place in faults[:20]
    )
    more = f"\n\nand {len(faults) - 20:,} more" if len(faults) > 20 else ""
    table = f"| file | fails | why | next |\n| --- | --- | --- | --- |\n{rows}{more}"
    return {**found, "orchestrator/problems": dg.MarkdownMetadataValue(table), "orchestrator/next": faults[0][0].next}


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _read(
    pipeline: CompiledPipeline, product: CompiledProduct, made: AssetMaterialization, workspace: Workspace
) -> tuple[list[tuple[Fault, str]], int]:
    """What is wrong with the files of a materialization, each with its file; and how many files there are."""
    found = file_of(made)
    files = found.files if isinstance(found, AssetFiles) else (found,) if isinstance(found, AssetFile) else ()
    spec = spec_of(pipeline, product)
    again = f"materialize {'/'.join(product.key)} again"
    faults: list[tuple[Fault, str]] = []
    hashes: list[tuple[str, str]] = []
    for file in files:
        place = file.place
        try:
            data = workspace.read_place(place)
            shown = workspace.existing_place(place)
        except StepError as error:
            faults.append((Fault("exists", error.message, error.hint or again), PurePosixPath(place).name))
            continue
        hashes.append((shown, hashlib.sha256(data).hexdigest()))
        faults += [(one, shown) for one in faults_of(data, product, spec, PurePosixPath(place).name)]
    written = ProductMetadata.extract(made.metadata)
    if len(hashes) == len(files) and written.sha256 != _hash(hashes, isinstance(found, AssetFiles)):
        said = "it is not the content that the run wrote"
        faults.append((Fault("unchanged", said, f"find out who changed it, or {again}"), written.path or ""))
    return faults, len(files)


def _hash(hashes: Sequence[tuple[str, str]], of_items: bool) -> str | None:
    """The hash as the materialization has it: of the one file, or of all files of a loop."""
    if not of_items:
        return hashes[0][1] if hashes else None
    return hashlib.sha256("\n".join(f"{path} {digest}" for path, digest in hashes).encode()).hexdigest()


def sound_at_once(
    key: Sequence[str], faults: Sequence[tuple[Fault, str]], files: int, target: Mapping[str, Any] | None
) -> dg.AssetCheckEvaluation:
    """What the step that wrote a product says of it.

    Args:
        key: The product's asset key.
        faults: What is wrong, with the file.
        files: How many files it is.
        target: Storage id, run id and timestamp of the materialization; None when it is not known.
    """
    return dg.AssetCheckEvaluation(
        asset_key=AssetKey(list(key)),
        check_name=SOUND,
        passed=not faults,
        severity=severity_of(fault for fault, _ in faults),
        description=f"{faults[0][1]}: {faults[0][0]}" if faults else None,
        metadata=fault_metadata(faults, files),
        target_materialization_data=AssetCheckEvaluationTargetMaterializationData(**target) if target else None,
    )
