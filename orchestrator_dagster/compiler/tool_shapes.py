"""What the compiler must know of tools. It is given the registry; it does not know where tools come from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import UnionType
from typing import Any, Protocol, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter
from typing_extensions import NotRequired, Required, get_type_hints, is_typeddict


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


def known_fields(shape: TypeAdapter[Any], path: Sequence[str | int] = ()) -> frozenset[str] | None:
    """Fields of a result, or of what a path reaches in it, when that is a closed object; None when any may be there.

    Args:
        shape: The type of the result.
        path: Fields and indexes that lead into it.
    """
    kind = _without_none(getattr(shape, "_type", None))
    for part in path:
        if isinstance(part, int):
            inner = get_args(kind) if get_origin(kind) in (list, tuple) else ()
            kind = _without_none(inner[0]) if inner else None
        else:
            kind = _without_none((_fields(kind) or {}).get(part))
    fields = _fields(kind)
    return frozenset(fields) if fields is not None else None


def _fields(kind: Any) -> dict[str, Any] | None:
    """The fields of a closed object with their types: of a Pydantic model or a TypedDict; None for other types."""
    if is_typeddict(kind):
        hints = get_type_hints(kind)
        return {name: _required(hint) for name, hint in hints.items()}
    if isinstance(kind, type) and issubclass(kind, BaseModel) and kind.model_config.get("extra") != "allow":
        return {name: field.annotation for name, field in kind.model_fields.items()}
    return None


def _required(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) in (NotRequired, Required) else hint


def _without_none(kind: Any) -> Any:
    """A type without ``| None``; nothing where several types are left."""
    if get_origin(kind) in (Union, UnionType):
        kinds = [one for one in get_args(kind) if one is not type(None)]
        return kinds[0] if len(kinds) == 1 else None
    return kind
