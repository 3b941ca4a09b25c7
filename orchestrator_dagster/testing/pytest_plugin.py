"""The pytest fixture ``model_server``; pytest finds it through the package's entry point."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from orchestrator_dagster.testing.server import ModelServer


@pytest.fixture
def model_server() -> Iterator[ModelServer]:
    """A model server on 127.0.0.1 with an empty script, for one test: ``model_server.url`` is its base URL."""
    # Imported here: this module is loaded in every test session of every project that has this package installed.
    from orchestrator_dagster.testing.server import ModelServer

    with ModelServer() as server:
        yield server
