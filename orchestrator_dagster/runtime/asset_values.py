"""Inputs that are loaded from assets: what was found of an asset becomes the value of an input.

Finding it is Dagster's part (``definitions/pipelines/asset_values.py``). Files are read through the workspace.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Union

from pydantic import ValidationError

from orchestrator_dagster.compiler.products import format_of_path
from orchestrator_dagster.errors import OrchestratorError, ProductError
from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.language.template_filters import json_value
from orchestrator_dagster.language.types import InputSpec
from orchestrator_dagster.language.values import checked_value, sentences
from orchestrator_dagster.runtime.decoding import text_of_bytes, value_of_bytes


@dataclass(frozen=True)
class AssetFile:
    """A file that an asset is: its absolute path or URL, its format (None: by its name), the types of its columns."""

    place: str
    format: str | None = None
    types: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class AssetData:
    """A value that the asset's own IO manager has given, and the file that its metadata names beside it."""

    value: Any
    file: AssetFile | None = None


@dataclass(frozen=True)
class AssetFiles:
    """The files of a product that is one for each item of a loop, in order."""

    files: tuple[AssetFile, ...]


@dataclass(frozen=True)
class AssetParts:
    """The partitions of an asset that is loaded as a whole, by key."""

    parts: Mapping[str, Found]


@dataclass(frozen=True)
class AssetMissing:
    """Nothing: why, and the next step. ``refused`` where it is there, and is not to be used."""

    message: str
    hint: str
    refused: bool = False


Found = Union[AssetFile, AssetFiles, AssetData, AssetParts, AssetMissing]


def loaded_value(name: str, spec: InputSpec, found: Found, workspace: Workspace) -> Any:
    """The value of an input that was loaded; its description is checked.

    Args:
        name: The input's name.
        spec: Its description.
        found: What was found of the asset, not :class:`AssetMissing`.
        workspace: The files that may be read.

    Raises:
        ProductError: The file is not of its format, or the value does not fit the description.
        PathError: The file is not there, or not in the workspace.
    """
    value = _value(spec, found, workspace)
    try:
        return checked_value(spec.typed, value)
    except ValidationError as error:
        reasons = "; ".join(sentences(error))
        raise ProductError(
            f'the input "{name}": what the asset "{spec.asset}" has does not fit: {reasons}',
            hint=f"change the description under `inputs.{name}`, or what makes the asset",
        ) from None


def _value(spec: InputSpec, found: Found, workspace: Workspace) -> Any:
    if isinstance(found, AssetParts):
        return {key: _value(spec, part, workspace) for key, part in found.parts.items()}
    if isinstance(found, AssetFiles):
        return [_value(spec, one, workspace) for one in found.files]
    if isinstance(found, AssetFile):
        return _of_file(spec, found, workspace)
    assert isinstance(found, AssetData)
    if spec.type == "path" and found.file is not None:
        return _of_file(spec, found.file, workspace)
    return _of_data(spec, found.value)


def _of_file(spec: InputSpec, found: AssetFile, workspace: Workspace) -> Any:
    if spec.type == "path":
        return workspace.existing_place(found.place)
    data = workspace.read_place(found.place)
    name = PurePosixPath(found.place).name
    format = found.format or format_of_path(found.place) or "txt"
    if spec.type == "string":
        return text_of_bytes(data, format, name)
    value = value_of_bytes(data, format, name, found.types)
    return _of_data(spec, value)


def _of_data(spec: InputSpec, value: Any) -> Any:
    """A value of Python as the language has it: data frames as lists of objects, dates as text."""
    if spec.type == "path":
        raise ProductError(
            f'the asset "{spec.asset}" is a value and no file, so it has no path',
            hint="take it as it is (without `type: path`), or give its materialization the metadata `path`",
        )
    if hasattr(value, "to_pandas") and not hasattr(value, "iloc"):  # Polars, Arrow
        value = value.to_pandas()
    if hasattr(value, "columns") and hasattr(value, "iloc"):
        from orchestrator_dagster.tools.data.plain import rows_of

        return rows_of(value)
    return _plain(spec, value)


def _plain(spec: InputSpec, value: Any) -> Any:
    if isinstance(value, (bytes, bytearray)):
        raise ProductError(
            f'the asset "{spec.asset}" is no text, and its bytes are no value of a pipeline',
            hint="take it with `type: path`, and give the path to a tool",
        )
    if isinstance(value, Mapping):
        return {str(key): _plain(spec, item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(spec, item) for item in value]
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if hasattr(value, "isoformat") or hasattr(value, "tolist"):
        return json_value(value)
    raise ProductError(
        f'the asset "{spec.asset}" holds {type(value).__name__}, which is no value of a pipeline',
        hint="let it return text, numbers, lists, maps or a data frame, or write a file and say its `path` as metadata",
    )


def problem_of(name: str, error: OrchestratorError) -> str:
    """What is wrong with an input, and the next step, in one line."""
    said = error.message if error.message.startswith("the input ") else f'the input "{name}": {error.message}'
    return f"{said}; next: {error.hint}" if error.hint else said
