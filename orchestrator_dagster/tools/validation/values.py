"""What the actions of ``validation`` work on: values as they are given, files of the workspace, and schemas."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, TypeAlias
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field

from orchestrator_dagster.errors import FileMissingError, ParametersError
from orchestrator_dagster.language.safe_patterns import check_pattern
from orchestrator_dagster.tools.data.loading import read_table
from orchestrator_dagster.tools.data.plain import rows_of
from orchestrator_dagster.tools.included_files import find_text
from orchestrator_dagster.tools.tool import ToolContext

#: A file of the workspace in the place of a value.
FilePath: TypeAlias = Annotated[
    str | None,
    Field(
        description="A file of the workspace instead of `data`: json, jsonl, csv, tsv, parquet or xlsx.",
        validation_alias=AliasChoices("path", "file", "input_path"),
    ),
]
#: A JSON Schema or the file that holds one.
Schema: TypeAlias = dict[str, Any] | str


def value_of(context: ToolContext, data: Any, path: str | None) -> Any:
    """The value to work on: ``data`` as it is, or what a file holds (tables as rows).

    Raises:
        ParametersError: Neither or both are given, or the file cannot be read in its format.
    """
    if (data is None) == (path is None):
        raise ParametersError("either `data` or `path` is needed, " + ("both are given" if path else "none is given"))
    if path is None:
        return data
    if Path(path).suffix.lower() == ".json":
        return _json(context.workspace.read_text(path), path)
    return rows_of(read_table(context, path))


def _json(text: str, name: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ParametersError(f'"{name}" is not JSON: {error}') from None


def schema_of(context: ToolContext, schema: Schema) -> dict[str, Any]:
    """A schema, read from its file (JSON or YAML) where it is named, and found to be one.

    Raises:
        ParametersError: It is no JSON Schema, or has a pattern that may take forever.
    """
    found = _schema_file(context, schema) if isinstance(schema, str) else schema
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for

    try:
        validator_for(found).check_schema(found)
    except SchemaError as error:
        where = ".".join(map(str, error.absolute_path))
        raise ParametersError(
            f"`schema` is no JSON Schema: {f'`{where}`: ' if where else ''}{error.message[:200]}",
            hint="a schema is a map such as {type: object, properties: {name: {type: string}}, required: [name]}",
        ) from None
    _check_patterns(found)
    return found


def neighbours(context: ToolContext, schema: Schema) -> Callable[[str], Mapping[str, Any] | None]:
    """Gives the schemas that a relative ``$ref`` names: files beside the one that is named, or the pipeline's."""
    folder = PurePosixPath(schema).parent if isinstance(schema, str) else PurePosixPath()

    def find(uri: str) -> Mapping[str, Any] | None:
        parts = urlsplit(uri)
        if parts.scheme or parts.netloc or not parts.path:
            return None
        try:
            found = _schema_file(context, str(folder / parts.path))
        except FileMissingError:
            return None
        _check_patterns(found)
        return found

    return find


def _schema_file(context: ToolContext, name: str) -> dict[str, Any]:
    text = find_text(context, name)
    if name.lower().endswith((".yaml", ".yml")):
        import yaml

        try:
            found = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ParametersError(f'the schema "{name}" is not YAML: {str(error).splitlines()[0]}') from None
    else:
        found = _json(text, name)
    if not isinstance(found, dict):
        raise ParametersError(f'the schema "{name}" holds {type(found).__name__}, a map was expected')
    return found


def _check_patterns(schema: Any, depth: int = 0) -> None:
    if depth > 200:
        raise ParametersError("`schema` is nested more than 200 levels deep")
    if isinstance(schema, dict):
        patterns = schema.get("patternProperties")
        for pattern in [schema.get("pattern"), *(patterns if isinstance(patterns, dict) else ())]:
            if isinstance(pattern, str) and (wrong := check_pattern(pattern)):
                raise ParametersError(f"the pattern {pattern!r} of `schema` {wrong}")
    for inner in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        _check_patterns(inner, depth + 1)


def types_of(schema: Mapping[str, Any]) -> frozenset[str]:
    """The types that a schema names for the value itself; none when it names none."""
    kind = schema.get("type")
    return frozenset((kind,) if isinstance(kind, str) else kind or ())
