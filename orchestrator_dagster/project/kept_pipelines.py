"""Compiled pipelines kept by fingerprint, so that a run or its resume has the pipeline that it was launched with.

A pipeline is one file, ``<storage>/pipelines/<fingerprint>-<content>.json``: the first part says what it does (its file
and what it includes), the second is of everything the compiler made of it (its tools, and where its file stands).
Files are written whole and never changed, so many processes may write and read at once.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.files.stored_files import write_whole

FOLDER = "pipelines"
#: Hex digits of a fingerprint that name it: what the tags of runs have.
DIGITS = 16
_KEY = re.compile(rf"(?P<fingerprint>[0-9a-f]{{{DIGITS},64}})(?:-(?P<content>[0-9a-f]{{{DIGITS}}}))?\Z")


def keep_pipeline(storage: Path, pipeline: CompiledPipeline) -> str:
    """Keep a compiled pipeline; nothing is written when it is there.

    Args:
        storage: The instance's storage folder.
        pipeline: The pipeline.

    Returns:
        Its key: :func:`kept_pipeline` gives exactly this pipeline for it.

    Raises:
        OSError: The folder cannot be written.
    """
    text = pipeline.to_json()
    content = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    key = f"{pipeline.fingerprint[:DIGITS]}-{content[:DIGITS]}"
    _keep(storage / FOLDER / f"{key}.json", text)
    return key


def _keep(path: Path, text: str) -> None:
    """Write the file, or say that it is of use: the newest of one fingerprint is the one served last."""
    if path.is_file():
        with contextlib.suppress(OSError):
            os.utime(path)
    else:
        write_whole(path, text)


def kept_pipeline(storage: Path, fingerprint: str) -> CompiledPipeline | None:
    """The pipeline of a fingerprint, None when it is not kept or cannot be read.

    Args:
        storage: The instance's storage folder.
        fingerprint: A pipeline's fingerprint or its first 16 digits, as a run's tag ``orchestrator/fingerprint`` has
            it: the one kept last. Or the key that :func:`keep_pipeline` gave: exactly that one.
    """
    found = _KEY.match(fingerprint)
    if found is None:
        return None
    folder = storage / FOLDER
    if found["content"]:
        paths = [folder / f"{found['fingerprint'][:DIGITS]}-{found['content']}.json"]
    else:
        paths = sorted(folder.glob(f"{found['fingerprint'][:DIGITS]}-*.json"), key=_time, reverse=True)
    for path in paths:
        with contextlib.suppress(OSError, ValueError):  # not there, or of a version of this package that wrote another
            pipeline = CompiledPipeline.from_json(path.read_text(encoding="utf-8"))
            if pipeline.fingerprint.startswith(found["fingerprint"]):
                return pipeline
    return None


def _time(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def keep_list(storage: Path, entries: Sequence[Mapping[str, Any]]) -> str:
    """Keep which pipelines a location serves.

    Args:
        storage: The instance's storage folder.
        entries: A JSON object for each pipeline.

    Returns:
        Its name, for :func:`kept_list`.

    Raises:
        OSError: The folder cannot be written.
    """
    text = json.dumps(list(entries), ensure_ascii=False)
    name = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    _keep(_list_path(storage, name), text)
    return name


def kept_list(storage: Path, name: str) -> list[dict[str, Any]] | None:
    """What :func:`keep_list` has kept; None when it is not there."""
    if re.fullmatch("[0-9a-f]{32}", name):
        with contextlib.suppress(OSError, ValueError):
            found: list[dict[str, Any]] = json.loads(_list_path(storage, name).read_text(encoding="utf-8"))
            return found
    return None


def _list_path(storage: Path, name: str) -> Path:
    return storage / FOLDER / f"served-{name}.json"
