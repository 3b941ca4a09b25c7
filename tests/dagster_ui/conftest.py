"""Fixtures of the tests with a real ``dagster dev``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from live_dev import Dev, dagster_dev


@pytest.fixture
def dev(demo: Path, tmp_path: Path) -> Iterator[Dev]:
    """``dagster dev`` serving the main pipeline."""
    with dagster_dev(demo, tmp_path) as found:
        yield found
