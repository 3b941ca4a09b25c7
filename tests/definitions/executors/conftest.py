"""The folder in which processes tell how far they are."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "told"
    folder.mkdir()
    return folder
