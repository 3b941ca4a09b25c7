"""What the compiler must know of tools. It is given the registry; it does not know where tools come from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from pydantic import BaseModel, TypeAdapter


class ToolShapes(Protocol):
    """Every tool that a pipeline may name."""

    def find(self, name: str) -> Any:
        """The tool of that name; UnknownToolError when there is none."""
        ...

    def names(self) -> Iterable[str]:
        """Every name."""
        ...

    def only_in_memory(self, name: str) -> bool:
        """Whether the tool of that name cannot be made again by another process."""
        ...


def known_fields(shape: TypeAdapter[Any]) -> frozenset[str] | None:
    """Fields of a result whose type is a closed object, None when any field may be there."""
    kind = getattr(shape, "_type", None)
    if isinstance(kind, type) and issubclass(kind, BaseModel) and kind.model_config.get("extra") != "allow":
        return frozenset(kind.model_fields)
    return None
