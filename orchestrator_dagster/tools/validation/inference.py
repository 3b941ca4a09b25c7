"""The action infer_schema: the JSON Schema that values fit."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from orchestrator_dagster.errors import ParametersError
from orchestrator_dagster.tools.tool import ToolContext
from orchestrator_dagster.tools.validation.checking import as_asked
from orchestrator_dagster.tools.validation.values import FilePath, value_of

DRAFT = "https://json-schema.org/draft/2020-12/schema"
#: Distinct texts of one place that are remembered; where there are more, it is no list of choices.
_MOST_TEXTS = 100
_MOST_DEPTH = 100
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_URI = re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)


class InferredSchema(TypedDict):
    """A JSON Schema, and how many values it was made from (a list is looked at item by item)."""

    schema: dict[str, Any]
    count: int


@dataclass
class _Seen:
    """What has been seen at one place."""

    types: Counter[str] = field(default_factory=Counter)
    objects: int = 0
    fields: dict[str, _Seen] = field(default_factory=dict)
    present: Counter[str] = field(default_factory=Counter)
    items: _Seen | None = None
    texts: Counter[str] = field(default_factory=Counter)
    formats: set[str] | None = None
    low: float | None = None
    high: float | None = None


def infer_schema(
    context: ToolContext,
    data: Annotated[Any, Field(description="The value, or JSON text of one; usually a list of objects.")] = None,
    path: FilePath = None,
    formats: Annotated[bool, Field(description="Whether to note date, date-time, email and uri.")] = True,
    ranges: Annotated[bool, Field(description="Whether to note the smallest and largest number.")] = False,
    max_choices: Annotated[
        int,
        Field(
            ge=0,
            le=_MOST_TEXTS,
            description="Texts of at most so many different values, each seen twice on average, are an enum; 0: never.",
        ),
    ] = 0,
    closed: Annotated[bool, Field(description="Whether objects may have no further fields.")] = False,
) -> InferredSchema:
    """Find the JSON Schema that a value fits: types, required fields, formats.

    A field is required when every object at its place has it. Places that hold several types name them all.

    Raises:
        ParametersError: There is nothing to look at: an empty list, map or text.
    """
    value = value_of(context, data, path)
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        value = as_asked(value, {"type": ["array", "object"]})
    if isinstance(value, dict) and {"data", "columns", "row_count"} <= value.keys():
        value = value["data"]
    if value in ([], {}, ""):
        raise ParametersError("there is nothing to infer a schema from: the data is empty")
    seen = _Seen()
    _look(seen, value, 0)
    made = _schema(seen, formats, ranges, max_choices, closed)
    return {"schema": {"$schema": DRAFT, **made}, "count": len(value) if isinstance(value, list) else 1}


def _look(seen: _Seen, value: Any, depth: int) -> None:
    if depth > _MOST_DEPTH:
        raise ParametersError(f"the data is nested more than {_MOST_DEPTH} levels deep")
    kind = _type(value)
    seen.types[kind] += 1
    if isinstance(value, Mapping):
        seen.objects += 1
        for name, one in value.items():
            seen.present[str(name)] += 1
            _look(seen.fields.setdefault(str(name), _Seen()), one, depth + 1)
    elif isinstance(value, list | tuple):
        seen.items = seen.items or _Seen()
        for one in value:
            _look(seen.items, one, depth + 1)
    elif isinstance(value, str):
        if value in seen.texts or len(seen.texts) <= _MOST_TEXTS:
            seen.texts[value] += 1
        found = _format(value)
        seen.formats = {found} if seen.formats is None else seen.formats & {found}
    elif kind in ("integer", "number"):
        seen.low = value if seen.low is None else min(seen.low, value)
        seen.high = value if seen.high is None else max(seen.high, value)


def _type(value: Any) -> str:
    if value is None:
        return "null"
    for kind, name in ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"), (Mapping, "object")):
        if isinstance(value, kind):
            return name
    if isinstance(value, list | tuple):
        return "array"
    raise ParametersError(f"the data has a value of the type {type(value).__name__}, JSON values were expected")


def _format(text: str) -> str:
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            return "date" if date.fromisoformat(text) else ""
        if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", text):
            return "date-time" if datetime.fromisoformat(text[:19]) else ""
    except ValueError:
        return ""
    return "email" if _EMAIL.fullmatch(text) else "uri" if _URI.fullmatch(text) else ""


def _schema(seen: _Seen, formats: bool, ranges: bool, choices: int, closed: bool) -> dict[str, Any]:
    types = [name for name, _ in seen.types.most_common()]
    if "number" in types and "integer" in types:
        types.remove("integer")
    types.sort(key=lambda name: name == "null")  # what may be missing is said last
    made: dict[str, Any] = {"type": types[0] if len(types) == 1 else types} if types else {}
    if seen.objects:
        made["properties"] = {name: _schema(one, formats, ranges, choices, closed) for name, one in seen.fields.items()}
        made["required"] = [name for name in seen.fields if seen.present[name] == seen.objects]
        if closed:
            made["additionalProperties"] = False
    if seen.items is not None and seen.items.types:
        made["items"] = _schema(seen.items, formats, ranges, choices, closed)
    count = seen.types["string"]
    if count and set(types) <= {"string", "null"} and len(seen.texts) <= choices and count >= 2 * len(seen.texts):
        made["enum"] = [*sorted(seen.texts), *([None] if "null" in types else [])]
    elif formats and seen.formats and (found := next(iter(seen.formats))):
        made["format"] = found
    if ranges and seen.low is not None:
        made.update(minimum=seen.low, maximum=seen.high)
    return made
