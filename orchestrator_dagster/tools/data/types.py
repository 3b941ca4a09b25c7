"""Names for annotations that need no pandas at run time: the schemas of the actions are made without loading it."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import AliasChoices, Field

# pandas.DataFrame and pandas.Series. They are Any for the type checker too: the stubs of pandas 2 and 3 disagree, and
# the library itself has none.
Frame: TypeAlias = Any
Column: TypeAlias = Any
Row: TypeAlias = dict[str, Any]

_DATA_HELP = (
    "The table: a list of objects, a map of columns to lists, {columns: [...], data: [[...], ...]}, CSV or JSON text, "
    "a path in the workspace (csv, tsv, json, jsonl, parquet, xlsx), or a result of this tool."
)

#: What every action takes as its table.
Table: TypeAlias = Annotated[list[Any] | dict[str, Any] | str, Field(description=_DATA_HELP)]
#: The same, also under the names that people use for a file.
Source: TypeAlias = Annotated[
    list[Any] | dict[str, Any] | str,
    Field(description=_DATA_HELP, validation_alias=AliasChoices("data", "path", "file", "source", "input_path")),
]
#: A table that may be left out, under the same names.
OptionalSource: TypeAlias = Annotated[
    list[Any] | dict[str, Any] | str | None,
    Field(description=_DATA_HELP, validation_alias=AliasChoices("data", "file", "source", "input_path")),
]
OutputPath: TypeAlias = Annotated[
    str | None,
    Field(description="Also write the table to this file of the workspace; its ending says the format."),
]
Names: TypeAlias = str | list[str]
