"""The action transform: a list of operations on the columns of a table, one after the other."""

from __future__ import annotations

import functools
from typing import Annotated, Any

from pydantic import AfterValidator, AliasChoices, Field

from orchestrator_dagster.errors import ParametersError
from orchestrator_dagster.text import nearest
from orchestrator_dagster.tools.data.loading import read_table
from orchestrator_dagster.tools.data.operations import OPERATIONS
from orchestrator_dagster.tools.data.plain import table_result
from orchestrator_dagster.tools.data.results import TableResult
from orchestrator_dagster.tools.data.types import OutputPath, Source
from orchestrator_dagster.tools.tool import Action, ToolContext

_NAME_KEYS = ("operation", "type", "op")
_SPELLINGS = {"fillna": "fill_null", "fill_missing": "fill_null", "dropna": "drop_null", "drop_missing": "drop_null",
              "astype": "cast", "convert": "cast", "add_column": "derive", "compute": "derive", "shift": "lag",
              "normalise": "normalize", "rolling_mean": "rolling", "drop_columns": "drop",
              "rename_columns": "rename", "select_columns": "select"}  # fmt: skip


def _are_known(operations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Whether there are operations of these names, which can be told before the table is there."""
    for number, spec in enumerate(operations, 1):
        try:
            _operation(spec, number)
        except ParametersError as error:
            raise ValueError(error.message) from None
    return operations


def transform(
    context: ToolContext,
    data: Source,
    operations: Annotated[
        list[dict[str, Any]],
        Field(
            description=(
                "In order, each {operation: name, ...} or {name: ...}: filter, rename, select, drop, cast, "
                "parse_dates, fill_null, drop_null, derive (new column -> expression), normalize, clip, replace, "
                "split, lag, rolling, bin, sort"
            ),
            validation_alias=AliasChoices("operations", "transformations", "steps"),
        ),
        AfterValidator(_are_known),
    ],
    output_path: OutputPath = None,
) -> TableResult:
    """Change the columns of a table.

    An operation is written ``{operation: cast, columns: {zip: text}}`` or, short, ``{cast: {zip: text}}``: the value
    of the short form is the operation's parameters where all its keys are names of these, else its first parameter.

    Example:
        >>> transform(context, [{"a": 2}], [{"derive": {"b": "a * 10"}}])["data"]  # doctest: +SKIP
        [{'a': 2, 'b': 20}]

    Raises:
        ParametersError: An unknown operation, parameter or column, or cells that do not fit; the operation is named.
    """
    frame = read_table(context, data).reset_index(drop=True)
    for number, spec in enumerate(operations, 1):
        action, parameters = _operation(spec, number)
        try:
            frame = action.function(frame, **action.check(parameters)).reset_index(drop=True)
        except ParametersError as error:
            error.message = f"operation {number} ({action.name}): {error.message}"
            raise
    return table_result(TableResult, context, frame, output_path)


@functools.cache
def _action(name: str) -> Action:
    return Action("data_processing", name, OPERATIONS[name])


def _operation(spec: dict[str, Any], number: int) -> tuple[Action, dict[str, Any]]:
    key = next((key for key in _NAME_KEYS if isinstance(spec.get(key), str)), None)
    if key is not None:
        action = _action(_known(spec[key], number))
        given = {name: value for name, value in spec.items() if name != key}
        if action.name == "derive" and "expression" in given:
            target = given.pop("column", None) or given.pop("into", None)
            return action, {"columns": {str(target): given.pop("expression")}, **given}
        return action, _columns(action, given)
    if len(spec) != 1:
        raise ParametersError(
            f"operation {number} names none: {sorted(spec)}", hint="write {operation: cast, columns: {zip: text}}"
        )
    name, value = next(iter(spec.items()))
    action = _action(_known(name, number))
    fields = action.parameters.model_fields
    if isinstance(value, dict) and value.keys() <= {*fields, "column"} and _is_parameters(action, value):
        return action, _columns(action, value)
    return action, {next(iter(fields)): value}


def _is_parameters(action: Action, value: dict[str, Any]) -> bool:
    # {rename: {columns: titles}} renames the column "columns": its value is no map, which rename's parameter must be.
    if action.name == "filter":
        return "conditions" in value
    maps = action.name in ("rename", "cast", "derive")
    return not maps or isinstance(value.get("columns"), dict)


def _columns(action: Action, given: dict[str, Any]) -> dict[str, Any]:
    """`column` is accepted for `columns` where an operation takes several."""
    fields = action.parameters.model_fields
    if "column" in given and "column" not in fields and "columns" in fields and "columns" not in given:
        return {"columns" if name == "column" else name: value for name, value in given.items()}
    return given


def _known(name: str, number: int) -> str:
    wanted = "_".join(name.strip().lower().replace("-", " ").split())
    found = _SPELLINGS.get(wanted, wanted)
    if found not in OPERATIONS:
        raise ParametersError(
            f'operation {number}: there is no operation "{name}"{nearest(wanted, [*OPERATIONS, *_SPELLINGS])}',
            hint=f"use one of {', '.join(OPERATIONS)}",
        )
    return found
