"""The action filter: conditions as a list, a map or an expression."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AliasChoices, Field

from orchestrator_dagster.errors import ParametersError
from orchestrator_dagster.text import nearest
from orchestrator_dagster.tools.data.columns import require_columns
from orchestrator_dagster.tools.data.comparing import SYMBOLS, compare, is_in, match_text
from orchestrator_dagster.tools.data.evaluation import condition_of
from orchestrator_dagster.tools.data.loading import read_table
from orchestrator_dagster.tools.data.plain import table_result
from orchestrator_dagster.tools.data.results import PartResult
from orchestrator_dagster.tools.data.types import Column, Frame, OutputPath, Source
from orchestrator_dagster.tools.tool import ToolContext

_SPELLINGS = {
    "=": "==", "eq": "==", "equals": "==", "equal": "==", "is": "==", "<>": "!=", "ne": "!=", "not_equals": "!=",
    "not_equal": "!=", "gt": ">", "greater_than": ">", "gte": ">=", "ge": ">=", "lt": "<", "less_than": "<",
    "lte": "<=", "le": "<=", "notin": "not_in", "nin": "not_in", "startswith": "starts_with",
    "endswith": "ends_with", "regex": "matches", "match": "matches", "isnull": "is_null", "notnull": "not_null",
    "is_not_null": "not_null",
}  # fmt: skip
_TEXT = ("contains", "starts_with", "ends_with", "matches")
_WITHOUT_VALUE = ("is_null", "not_null")
OPERATORS = (*SYMBOLS, "in", "not_in", *_TEXT, *_WITHOUT_VALUE, "between")
_KEYS = ("column", "field", "operator", "op", "value", "ignore_case")


def _are_readable(conditions: Any) -> Any:
    """Whether conditions can be read, which can be told before the table is there."""
    for number, condition in enumerate([] if isinstance(conditions, str) else _listed(conditions), 1):
        try:
            _read(condition, number)
        except ParametersError as error:
            raise ValueError(error.message) from None
    return conditions


def filter(
    context: ToolContext,
    data: Source,
    conditions: Annotated[
        list[dict[str, Any]] | dict[str, Any] | str,
        Field(
            description=(
                "A list of {column, operator, value}, a map column -> value (a list of values: one of them), or an "
                "expression such as: price > 10 and region in ['a', 'b']. Operators: " + " ".join(OPERATORS)
            ),
            validation_alias=AliasChoices("conditions", "condition", "where", "filters", "expression"),
        ),
        AfterValidator(_are_readable),
    ],
    match: Annotated[Literal["all", "any"], Field(description="Whether all conditions must hold or one")] = "all",
    output_path: OutputPath = None,
) -> PartResult:
    """Keep the rows for which the conditions hold, in their order.

    A comparison with a missing cell does not hold, ``!=`` and ``not_in`` included; ``is_null`` finds missing cells.

    Example:
        >>> filter(context, [{"a": 1}, {"a": 5}], "a > 2")  # doctest: +SKIP
        {'data': [{'a': 5}], 'columns': ['a'], 'row_count': 1, 'rows_before': 2}

    Raises:
        ParametersError: An unknown column or operator, or a value of another type than the column's.
    """
    frame = read_table(context, data)
    kept = frame[keep(frame, conditions, match)]
    return table_result(PartResult, context, kept, output_path, rows_before=len(frame))


def keep(frame: Frame, conditions: Any, match: str = "all") -> Any:
    """Which rows the conditions hold for: a numpy array of booleans."""
    if isinstance(conditions, str):
        return condition_of(frame, conditions).fillna(False).to_numpy(dtype=bool)
    result = None
    for number, condition in enumerate(_listed(conditions), 1):
        holds = _holds(frame, condition, number)
        result = holds if result is None else result & holds if match == "all" else result | holds
    if result is None:
        raise ParametersError("`conditions` is empty", hint="give at least one, or leave the filter out")
    return result.fillna(False).to_numpy(dtype=bool)


def _listed(conditions: list[dict[str, Any]] | dict[str, Any]) -> list[dict[str, Any]]:
    if not isinstance(conditions, dict):
        return conditions
    single = {"operator", "op"} & conditions.keys() and {"column", "field"} & conditions.keys()
    return [conditions] if single else [_equal_to(name, value) for name, value in conditions.items()]


def _equal_to(name: str, value: Any) -> dict[str, Any]:
    return {"column": name, "operator": "in" if isinstance(value, list) else "==", "value": value}


def operator_name(name: Any) -> str:
    """The operator behind a spelling.

    Raises:
        ParametersError: There is none of this name.
    """
    wanted = "_".join(str(name).strip().lower().split())
    found = _SPELLINGS.get(wanted, wanted)
    if found not in OPERATORS:
        raise ParametersError(
            f'there is no operator "{name}"{nearest(wanted, [*OPERATORS, *_SPELLINGS])}',
            hint=f"use one of {', '.join(OPERATORS)}",
        )
    return found


def _read(condition: dict[str, Any], number: int) -> tuple[str, str]:
    """The column and the operator of a condition."""
    for key in condition:
        if key not in _KEYS:
            raise ParametersError(f'condition {number} has an unknown key "{key}"{nearest(key, _KEYS)}')
    name = condition.get("column", condition.get("field"))
    if not isinstance(name, str):
        raise ParametersError(f"condition {number} names no `column`", hint="write {column, operator, value}")
    operator = operator_name(condition.get("operator", condition.get("op", "==")))
    if operator not in _WITHOUT_VALUE and "value" not in condition:
        raise ParametersError(f'condition {number} ("{name}" {operator}) has no `value`')
    ignore_case = condition.get("ignore_case", False)
    if not isinstance(ignore_case, bool) or (ignore_case and operator not in _TEXT):
        raise ParametersError(f"`ignore_case` of condition {number} is true or false, for {', '.join(_TEXT)} only")
    return name, operator


def _holds(frame: Frame, condition: dict[str, Any], number: int) -> Column:
    name, operator = _read(condition, number)
    require_columns(frame, [name])
    column, value = frame[name], condition.get("value")
    if operator in SYMBOLS:
        return compare(column, operator, value)
    if operator in _TEXT:
        return match_text(column, operator, value, ignore_case=condition.get("ignore_case", False))
    return _OTHERS[operator](column, value)


def _list(operator: str, column: Column, value: Any) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        raise ParametersError(f'`{operator}` of the column "{column.name}" needs a list, the value is {value!r}')
    return list(value)


def _between(column: Column, value: Any) -> Column:
    bounds = _list("between", column, value)
    if len(bounds) != 2:
        raise ParametersError(f'`between` of the column "{column.name}" needs [from, to], the value is {value!r}')
    return compare(column, ">=", bounds[0]) & compare(column, "<=", bounds[1])


_OTHERS: dict[str, Callable[[Column, Any], Column]] = {
    "in": lambda column, value: is_in(column, _list("in", column, value)),
    "not_in": lambda column, value: ~is_in(column, _list("not_in", column, value)),
    "is_null": lambda column, value: column.isna().astype("boolean"),
    "not_null": lambda column, value: column.notna().astype("boolean"),
    "between": _between,
}
