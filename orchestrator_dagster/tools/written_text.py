"""Values as the text of a file, by the kind of the file."""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import to_jsonable_python

from orchestrator_dagster.errors import ParametersError
from orchestrator_dagster.language.template_filters import to_csv, to_yaml


def as_table(content: Any, suffix: str) -> str | None:
    """CSV or YAML text of a value for a file of that kind; of what `data-processing` gives its rows, or its text."""
    if suffix in (".yaml", ".yml"):
        return None if content is None else to_yaml(content)
    if suffix != ".csv":
        return None
    if (
        isinstance(content, dict)
        and {"content", "format", "row_count"} <= content.keys()
        and content["format"] == "csv"
    ):
        return str(content["content"])
    rows = (
        content["data"] if isinstance(content, dict) and {"data", "columns", "row_count"} <= content.keys() else content
    )
    if not isinstance(rows, list | tuple) or not rows or not all(isinstance(row, dict) for row in rows):
        return None
    return to_csv(rows)


def as_json(content: Any, path: str, suffix: str) -> str:
    """JSON text of a value, for a file of that kind.

    Raises:
        ParametersError: It is no JSON file, or the value has no JSON form.
    """
    if suffix not in (".json", ".jsonl"):
        kind = {dict: "a map", list: "a list", tuple: "a list", bool: "a boolean"}.get(type(content), "no text")
        raise ParametersError(
            f'`content` is {"empty (null)" if content is None else kind}, and "{path}" is not a JSON file',
            hint="name the file .json, .jsonl or .yaml (a list of maps: .csv), "
            "or make it text: {{ value | to_yaml }}, {{ rows | markdown_table }}",
        )
    try:
        plain = to_jsonable_python(content, inf_nan_mode="constants")
        if suffix == ".json":
            return json.dumps(plain, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
        lines = plain if isinstance(plain, list) else [plain]
        return "".join(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n" for line in lines)
    except ValueError as error:  # NaN and infinity, and what has no JSON form
        raise ParametersError(f"`content` cannot be written as JSON: {error}") from None
