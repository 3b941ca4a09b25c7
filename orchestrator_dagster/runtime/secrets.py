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
        self.own = tuple(secrets)
        values = {value for name, value in os.environ.items() if _SECRET_NAME.search(name)} | set(self.own)
        # Short values would blot out ordinary words.
        hidden = sorted((value for value in values if len(value) >= _SHORTEST), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, hidden))) if hidden else None

    def text(self, text: str) -> str:
        """The text without secrets."""
        return self._pattern.sub(MASK, text) if self._pattern else text

    def finds(self, value: Any) -> bool:
        """Whether there is a secret in a text, or in any text of a JSON value."""
        if self._pattern is None:
            return False
        if isinstance(value, str):
            return self._pattern.search(value) is not None
        if isinstance(value, Mapping):
            return any(self.finds(name) or self.finds(item) for name, item in value.items())
        return isinstance(value, (list, tuple)) and any(map(self.finds, value))

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
