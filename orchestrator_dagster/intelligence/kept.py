"""Descriptions kept by fingerprint, prompts and model: a pipeline is described once, and anew when it has changed.

A description is one file, ``<storage>/descriptions/<key>.json``. Only what the model has made in full is kept: what is
structural is made at once, and what a model failed to make is asked for again.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.compiler.fingerprint import digest
from orchestrator_dagster.files.stored_files import write_whole
from orchestrator_dagster.intelligence.description import (
    PROMPTS,
    Description,
    names_orchestrator,
    structural_description,
)

FOLDER = "descriptions"


def description_path(storage: Path, pipeline: CompiledPipeline) -> Path:
    """Where the description of a pipeline is kept.

    Args:
        storage: The instance's storage folder.
        pipeline: The pipeline.
    """
    key = digest([pipeline.id, pipeline.fingerprint, PROMPTS, pipeline.orchestrator])
    return storage / FOLDER / f"{key[:32]}.json"


def keep_description(storage: Path, pipeline: CompiledPipeline, description: Description) -> bool:
    """Keep a description, when the model has made all of it; whether it was kept.

    Raises:
        OSError: The folder cannot be written.
    """
    if not description.complete:
        return False
    write_whole(description_path(storage, pipeline), description.model_dump_json())
    return True


def kept_description(storage: Path, pipeline: CompiledPipeline) -> Description | None:
    """The description of exactly this pipeline, None when there is none or it cannot be read."""
    if not names_orchestrator(pipeline):
        return None
    with contextlib.suppress(OSError, ValueError):
        return Description.model_validate_json(description_path(storage, pipeline).read_text(encoding="utf-8"))
    return None


def description_of(pipeline: CompiledPipeline, storage: Path | None) -> Description:
    """The kept description, else the structural one. No model is asked.

    Args:
        pipeline: The pipeline.
        storage: The instance's storage folder, None when there is none.
    """
    kept = kept_description(storage, pipeline) if storage is not None else None
    return kept or structural_description(pipeline)
