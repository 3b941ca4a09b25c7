"""Libraries that come with extras, imported when an action needs them."""

from __future__ import annotations

import importlib
from typing import Any

from orchestrator_dagster.errors import MissingExtraError


def library(module: str, extra: str) -> Any:
    """The module, imported.

    Raises:
        MissingExtraError: It is not installed; the hint names the extra.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f'the tool "data_processing" needs the library "{module}" for this, and it is not installed',
            hint=f'pip install "orchestrator-dagster[{extra}]"',
        ) from error
