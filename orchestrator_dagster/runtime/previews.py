"""The beginning of a product as Markdown: some rows of a table, the first lines of a text, a small picture."""

from __future__ import annotations

import base64
import io
import json
import struct
from collections.abc import Mapping
from typing import Any

from orchestrator_dagster.language.template_filters import json_value
from orchestrator_dagster.tables import markdown_table

_LINES = 20
_ROWS = 10
_CHARACTERS = 4000
#: The most bytes of a picture that stand in the event log; what is larger is made smaller, or only described.
_PICTURE = 24_000
_THUMBNAIL = (480, 360)
_PNG = b"\x89PNG\r\n\x1a\n"


def table_rows(value: Any) -> list[Mapping[str, Any]] | None:
    """The rows when a value is a table: a list of maps, a data frame, or a map whose ``data`` is one."""
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        value = value.to_dict("records")
    if isinstance(value, Mapping) and isinstance(value.get("data"), list) and "columns" in value:
        value = value["data"]
    if isinstance(value, (list, tuple)) and value and all(isinstance(row, Mapping) for row in value):
        return list(value)
    return None


def preview(value: Any, format: str, data: bytes = b"") -> str:
    """The beginning of a product as Markdown; never more than some thousand characters.

    Args:
        value: What was written.
        format: Its product format.
        data: The content of the file, for pictures.
    """
    if format in ("png", "svg") and data:
        return _picture(data, format)
    rows = table_rows(value)
    if rows is not None:
        return _table(rows)
    if format == "pdf":
        return f"a PDF of {len(data):,} bytes"
    if format in ("png", "xlsx", "parquet"):
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2, default=json_value)
    lines = text.splitlines()
    shown = "\n".join(lines[:_LINES])[:_CHARACTERS]
    if format not in ("md", "markdown"):
        shown = f"```{format}\n{shown}\n```"
    return shown if len(lines) <= _LINES else f"{shown}\n\n… {len(lines) - _LINES} more lines"


def _table(rows: list[Mapping[str, Any]]) -> str:
    """As many of the first rows as fit, and how many more there are."""
    text = ""
    for count in range(min(len(rows), _ROWS), 0, -1):
        text = markdown_table(rows[:count])
        if len(text) <= _CHARACTERS:
            break
    more = len(rows) - count
    return f"{text}\n\n… {more} more rows" if more else text


def _picture(data: bytes, format: str) -> str:
    """The picture itself where it is small, else a smaller one, else its size."""
    kind = "image/png" if format == "png" else "image/svg+xml"
    size = _size_of_png(data) if format == "png" else None
    said = f"{size[0]:,} × {size[1]:,} pixels, {len(data):,} bytes" if size else f"{len(data):,} bytes"
    shown = data if len(data) <= _PICTURE else _smaller(data) if format == "png" else None
    if shown is None:
        return f"a picture of {said}"
    return f"![{said}](data:{kind};base64,{base64.b64encode(shown).decode('ascii')})\n\n{said}"


def _size_of_png(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels, as its first chunk says."""
    if not data.startswith(_PNG) or len(data) < 24:
        return None
    width, height = struct.unpack(">II", data[16:24])
    return int(width), int(height)


def _smaller(data: bytes) -> bytes | None:
    """A thumbnail as PNG; None where Pillow is not installed, or cannot make one that is small enough."""
    try:
        from PIL import Image

        with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            picture.thumbnail(_THUMBNAIL)
            for colours in (256, 64, 16):
                made = io.BytesIO()
                picture.convert("RGB").quantize(colours).save(made, "PNG", optimize=True)
                if made.tell() <= _PICTURE:
                    return made.getvalue()
    except Exception:
        return None  # no Pillow, or bytes that are no picture: a preview less, and the product is written all the same
    return None
