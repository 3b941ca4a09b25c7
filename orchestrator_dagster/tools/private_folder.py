"""Folders for one call's own files."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """A new folder outside the workspace that only this user can read; it is removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="orchestrator-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
