"""JSON documents in folders of the workspace, for tools that keep something: names, texts, reading."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from pydantic_core import PydanticSerializationError, to_jsonable_python

from orchestrator_dagster.errors import ParametersError, ToolError
from orchestrator_dagster.files.workspace import Workspace

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")


def checked_name(name: str, what: str) -> str:
    """The name, when a file may be called so on every system.

    Raises:
        ParametersError: It may not.
    """
    if not _NAME.match(name) or name.endswith("."):
        raise ParametersError(
            f'"{name}" is no name for {what}: letters, digits, "_", "-" and "." are allowed, at most 100, and it '
            "begins with a letter or digit",
            hint="for other texts use the filter `slugify`",
        )
    return name


def as_json(value: Any, what: str) -> Any:
    """The value as JSON has it: dates become texts, tuples lists.

    Raises:
        ParametersError: It is no JSON value.
    """
    try:
        made = to_jsonable_python(value)
        json.dumps(made, allow_nan=False)
    except (PydanticSerializationError, ValueError, TypeError, RecursionError) as error:
        raise ParametersError(f"{what} cannot be kept as JSON: {error}", hint="give plain values") from None
    return made


def text_of(document: Any) -> bytes:
    """A document as it is written."""
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "surrogatepass")


def read_document(workspace: Workspace, path: Path, format_: int, what: str) -> dict[str, Any]:
    """A document that was written before.

    Raises:
        ToolError: It is none of this format. FileMissingError and others as the workspace raises them.
    """
    try:
        document = json.loads(workspace.read_bytes(path))
        if isinstance(document, dict) and document.get("format") == format_:
            return document
    except ValueError:
        pass
    raise ToolError(
        f'"{workspace.relative(path)}" is no {what} that this release has written',
        hint="delete the file",
        permanent=True,
    )
