"""Secrets stay out of everything that is written: known values are replaced wherever text leaves a step."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

_SECRET_NAME = re.compile(r"(?:^|_)(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)(?:_|$)", re.IGNORECASE)
_SHORTEST = 8
MASK = "***"


class Redactor:
    """Replaces secrets by ``***``: values of environment variables that are named like one, and those it is given.

    Args:
        secrets: Further values to hide, such as those of ``secret`` inputs.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        values = {value for name, value in os.environ.items() if _SECRET_NAME.search(name)} | set(secrets)
        # Short values would blot out ordinary words.
        hidden = sorted((value for value in values if len(value) >= _SHORTEST), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, hidden))) if hidden else None

    def text(self, text: str) -> str:
        """The text without secrets."""
        return self._pattern.sub(MASK, text) if self._pattern else text

    def value(self, value: Any) -> Any:
        """A JSON value without secrets in any of its texts."""
        if self._pattern is None:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.value(name): self.value(item) for name, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.value(item) for item in value]
        return value
