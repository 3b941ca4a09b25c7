"""The metadata that materializations and outputs carry, under one namespace."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Optional

import dagster as dg
from dagster._core.definitions.metadata.metadata_set import NamespacedMetadataSet, TableMetadataSet
from dagster._utils.warnings import disable_dagster_warnings

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledStep
from orchestrator_dagster.definitions.steps.decision_metadata import decision_metadata
from orchestrator_dagster.files.remote_files import is_url
from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.runtime.outcome import Decision, ModelUsage, Outcome, ProductFile, UsageInfo

_FILES_SHOWN = 20


class ProductMetadata(NamespacedMetadataSet):
    """What a product's materialization says. Numbers plot in the UI; ``cost`` is in US dollars, absent when unknown."""

    preview: Optional[dg.MarkdownMetadataValue] = None  # noqa: UP045 - Dagster reads these annotations on Python 3.10 too
    path: Optional[str] = None  # noqa: UP045
    format: Optional[str] = None  # noqa: UP045
    model: Optional[str] = None  # noqa: UP045
    model_about: Optional[str] = None  # noqa: UP045
    model_reason: Optional[str] = None  # noqa: UP045
    input_tokens: Optional[int] = None  # noqa: UP045
    output_tokens: Optional[int] = None  # noqa: UP045
    cost: Optional[float] = None  # noqa: UP045
    cached_tokens: Optional[int] = None  # noqa: UP045
    model_calls: Optional[int] = None  # noqa: UP045
    model_seconds: Optional[float] = None  # noqa: UP045
    served: Optional[int] = None  # noqa: UP045
    seconds: Optional[float] = None  # noqa: UP045
    attempts: Optional[int] = None  # noqa: UP045
    step: Optional[str] = None  # noqa: UP045
    variable: Optional[str] = None  # noqa: UP045
    defined_at: Optional[str] = None  # noqa: UP045
    bytes: Optional[int] = None  # noqa: UP045
    sha256: Optional[str] = None  # noqa: UP045
    file: Optional[dg.PathMetadataValue] = None  # noqa: UP045
    files: Optional[dg.JsonMetadataValue] = None  # noqa: UP045

    @classmethod
    def namespace(cls) -> str:
        """The namespace of all metadata of this package."""
        return "orchestrator"


class OutcomeMetadata(NamespacedMetadataSet):
    """What the event log says of an outcome, so that a run can be read without its values."""

    status: Optional[str] = None  # noqa: UP045
    reason: Optional[str] = None  # noqa: UP045
    route: Optional[str] = None  # noqa: UP045
    error: Optional[str] = None  # noqa: UP045
    goes_to: Optional[str] = None  # noqa: UP045
    items: Optional[int] = None  # noqa: UP045
    failed_items: Optional[int] = None  # noqa: UP045
    model: Optional[str] = None  # noqa: UP045
    structure: Optional[str] = None  # noqa: UP045
    tool_calls: Optional[int] = None  # noqa: UP045
    failed_tool_calls: Optional[int] = None  # noqa: UP045
    attempts: Optional[int] = None  # noqa: UP045
    seconds: Optional[float] = None  # noqa: UP045

    @classmethod
    def namespace(cls) -> str:
        """The namespace of all metadata of this package."""
        return "orchestrator"


class UsageMetadata(NamespacedMetadataSet):
    """What model calls took, on every event that says it: an outcome, a failure, an attempt that another follows.

    It is the sum over the attempts so far. ``cost`` is in US dollars, absent when a price is unknown. ``model_seconds``
    is the time of all calls together, ``models`` is the same by model.
    """

    model_calls: Optional[int] = None  # noqa: UP045
    input_tokens: Optional[int] = None  # noqa: UP045
    output_tokens: Optional[int] = None  # noqa: UP045
    cached_tokens: Optional[int] = None  # noqa: UP045
    cost: Optional[float] = None  # noqa: UP045
    served: Optional[int] = None  # noqa: UP045
    model_seconds: Optional[float] = None  # noqa: UP045
    models: Optional[dg.JsonMetadataValue] = None  # noqa: UP045

    @classmethod
    def namespace(cls) -> str:
        """The namespace of all metadata of this package."""
        return "orchestrator"


def decisions_metadata(decisions: Sequence[Decision]) -> dict[str, Any]:
    """Metadata of what was decided for ``<AUTO>`` values; none when nothing was."""
    if not decisions:
        return {}
    return {"orchestrator/decisions": dg.JsonMetadataValue([one.model_dump(mode="json") for one in decisions])}


def usage_metadata(usage: UsageInfo) -> dict[str, Any]:
    """Metadata of what model calls took; none when none was made or served."""
    if not usage.calls and not usage.served:
        return {}
    found = UsageMetadata(
        model_calls=usage.calls,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_tokens=usage.cached_tokens or None,
        cost=usage.cost,
        served=usage.served or None,
        model_seconds=usage.seconds,
        models=dg.JsonMetadataValue({name: one.model_dump() for name, one in usage.models.items()})
        if usage.models
        else None,
    )
    return dict(found)


def run_metadata(usage: UsageInfo) -> dict[str, Any]:
    """Metadata of what a whole run took: sums, each a number that plots, and by model a table to read.

    Where several models were asked, each has numbers of its own; those of a single one are the sums.

    ``model_calls`` and ``cost`` are there for a run without calls too, so that their plot has no gaps.
    """
    found: dict[str, Any] = {"orchestrator/model_calls": usage.calls, **usage_metadata(usage)}
    found.pop("orchestrator/models", None)
    if usage.cost is not None:
        found["orchestrator/cost"] = usage.cost
    if usage.calls:
        found["orchestrator/seconds_per_call"] = round(usage.seconds / usage.calls, 3)
    if not usage.models:
        return found
    lines = ["| model | calls | tokens in | out | cached | cost | seconds |", "| --- | " + "---: | " * 6]
    for name, one in sorted(usage.models.items()):
        cost = "unknown" if one.cost is None else f"${one.cost:.6f}"
        lines.append(
            f"| {name.replace('|', '')} | {one.calls:,} | {one.input_tokens:,} | {one.output_tokens:,} | "
            f"{one.cached_tokens:,} | {cost} | {one.seconds:.1f} |"
        )
        if len(usage.models) > 1:
            key = f"orchestrator/by_model/{name}"
            found |= {f"{key}/calls": one.calls, f"{key}/tokens": one.input_tokens + one.output_tokens}
            found |= {f"{key}/seconds": one.seconds, **({} if one.cost is None else {f"{key}/cost": one.cost})}
    return {**found, "orchestrator/by_model": dg.MarkdownMetadataValue("\n".join(lines))}


def usage_of_metadata(metadata: Mapping[str, Any]) -> UsageInfo:
    """What :func:`usage_metadata` has written."""
    found = UsageMetadata.extract(metadata)
    if found.model_calls is None:
        return UsageInfo()
    value = found.models.value if found.models is not None else None
    by_model = value if isinstance(value, Mapping) else {}
    return UsageInfo(
        calls=found.model_calls,
        input_tokens=found.input_tokens or 0,
        output_tokens=found.output_tokens or 0,
        cached_tokens=found.cached_tokens or 0,
        cost=found.cost,
        served=found.served or 0,
        seconds=found.model_seconds or 0.0,
        models={name: ModelUsage.model_validate(one) for name, one in by_model.items()},
    )


def product_metadata(
    pipeline: CompiledPipeline, step: CompiledStep, outcome: Outcome, product: ProductFile, workspace: Workspace
) -> dict[str, Any]:
    """Metadata of a product's materialization."""
    usage, model = outcome.usage, outcome.model
    table: dict[str, Any] = {}
    if product.rows is not None:
        table = dict(TableMetadataSet(row_count=product.rows, column_schema=_schema(product)))
    return {
        **ProductMetadata(
            preview=dg.MarkdownMetadataValue(product.preview) if product.preview else None,
            path=product.path,
            format=product.format,
            model=f"{model.provider}:{model.name}" if model else None,
            model_about=model.about if model else None,
            model_reason=model.reason if model else None,
            input_tokens=usage.input_tokens if model else None,
            output_tokens=usage.output_tokens if model else None,
            cost=usage.cost if model else None,
            served=usage.served or None,
            seconds=round(outcome.duration, 3),
            **_calls(usage),
            attempts=outcome.attempts,
            step=step.id,
            variable=product.variable,
            defined_at=pipeline.location(step),
            bytes=product.bytes,
            sha256=product.sha256,
            file=dg.PathMetadataValue(_absolute(product.path, workspace)),
        ),
        **decision_metadata(model),
        **table,
    }


def files_metadata(
    pipeline: CompiledPipeline, step: CompiledStep, outcome: Outcome, files: Sequence[ProductFile], workspace: Workspace
) -> tuple[dict[str, Any], str]:
    """Metadata of a product that is one file for each item of a loop, and the hash of all of them."""
    usage, first = outcome.usage, files[0]
    rows = "\n".join(f"| {one.path} | {one.bytes:,} |" for one in files[:_FILES_SHOWN])
    more = f"\n\nand {len(files) - _FILES_SHOWN:,} more" if len(files) > _FILES_SHOWN else ""
    version = hashlib.sha256("\n".join(f"{one.path} {one.sha256}" for one in files).encode()).hexdigest()
    folder = _folder_of([one.path for one in files])
    found = ProductMetadata(
        preview=dg.MarkdownMetadataValue(f"| file | bytes |\n| --- | ---: |\n{rows}{more}"),
        path=folder,
        format=first.format,
        input_tokens=usage.input_tokens if usage.calls else None,
        output_tokens=usage.output_tokens if usage.calls else None,
        cost=usage.cost if usage.calls else None,
        served=usage.served or None,
        seconds=round(outcome.duration, 3),
        **_calls(usage),
        attempts=outcome.attempts,
        step=step.id,
        variable=first.variable,
        defined_at=pipeline.location(step),
        bytes=sum(one.bytes for one in files),
        sha256=version,
        file=dg.PathMetadataValue(_absolute(folder, workspace)),
        files=dg.JsonMetadataValue([_absolute(one.path, workspace) for one in files]),
    )
    return dict(found), version


def _absolute(path: str, workspace: Workspace) -> str:
    """Where a product is for those who know no workspace root: an absolute path, or its URL."""
    return path if is_url(path) else str(workspace.resolve(path))


def _folder_of(paths: Sequence[str]) -> str:
    """The folder that all files have in common."""
    if is_url(paths[0]):
        scheme, _, _ = paths[0].partition("://")
        return f"{scheme}://{_folder_of([path.partition('://')[2] for path in paths])}"
    return os.path.commonpath([str(PurePosixPath(path).parent) for path in paths]) or "."


def _calls(usage: UsageInfo) -> dict[str, Any]:
    """The numbers of calls that were made; none when none was."""
    if not usage.calls:
        return {}
    return {
        "model_calls": usage.calls,
        "cached_tokens": usage.cached_tokens or None,
        "model_seconds": usage.seconds,
    }


def _schema(product: ProductFile) -> dg.TableSchema:
    columns = zip(product.columns or (), product.column_types or (), strict=True)
    return dg.TableSchema(columns=[dg.TableColumn(name, type=kind) for name, kind in columns])


def outcome_metadata(outcome: Outcome, route: str | None = None) -> dict[str, Any]:
    """Metadata of a step's outcome; ``route`` is the one that made it run or that bypassed it."""
    model, calls = outcome.model, outcome.all_tool_calls
    said = dict(
        OutcomeMetadata(
            status=outcome.status,
            reason=outcome.reason,
            route=route,
            error=outcome.error.message if outcome.error else None,
            goes_to=outcome.routed_to,
            items=len(outcome.iterations) if outcome.iterations is not None else None,
            failed_items=sum(one.status == "failed" for one in outcome.iterations or ()) or None,
            model=f"{model.provider}:{model.name}" if model else None,
            structure=model.structure if model else None,
            tool_calls=len(calls) or None,
            failed_tool_calls=sum(not call.ok for call in calls) or None,
            attempts=outcome.attempts if outcome.attempts > 1 else None,
            seconds=round(outcome.duration, 3),
        )
    )
    return {
        **said,
        **decision_metadata(model),
        **usage_metadata(outcome.usage),
        **decisions_metadata(outcome.decisions),
    }


def code_reference(pipeline: CompiledPipeline, step: CompiledStep | None = None) -> dict[str, Any]:
    """Where a step, or the pipeline, stands: the UI opens the line."""
    if not pipeline.folder:
        return {}
    file = str(Path(pipeline.folder) / Path(pipeline.file).name)
    with disable_dagster_warnings():  # code references are in beta; users can do nothing about it
        reference = dg.LocalFileCodeReference(file_path=file, line_number=step.line if step else 1)
        return {"dagster/code_references": dg.CodeReferencesMetadataValue(code_references=[reference])}
