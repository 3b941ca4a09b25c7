"""What the compiler must know of tools. It is given the registry; it does not know where tools come from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from pydantic import BaseModel, TypeAdapter


class ActionShape(Protocol):
    """An operation of a tool, by the types of its parameters and its result."""

    name: str

    @property
    def parameters(self) -> type[BaseModel]:
        """Pydantic model of the parameters."""
        ...

    @property
    def result(self) -> TypeAdapter[Any]:
        """Type of the result."""
        ...


class ToolShape(Protocol):
    """A tool, by its operations."""

    name: str
    default_action: str | None

    @property
    def actions(self) -> Mapping[str, Any]:
        """Its operations by name."""
        ...

    def find(self, name: str | None) -> Any:
        """The operation of that name or alias; UnknownToolError when there is none."""
        ...

    def action_names(self) -> list[str]:
        """Every name and alias."""
        ...


class ToolShapes(Protocol):
    """Every tool that a pipeline may name."""

    def find(self, name: str) -> Any:
        """The tool of that name; UnknownToolError when there is none."""
        ...

    def names(self) -> Iterable[str]:
        """Every name."""
        ...


def known_fields(shape: TypeAdapter[Any]) -> frozenset[str] | None:
    """Fields of a result whose type is a closed object, None when any field may be there."""
    kind = getattr(shape, "_type", None)
    if isinstance(kind, type) and issubclass(kind, BaseModel) and kind.model_config.get("extra") != "allow":
        return frozenset(kind.model_fields)
    return None
