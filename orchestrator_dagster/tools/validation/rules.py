"""Rules about tables, and the checks that they make."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from orchestrator_dagster.errors import ParametersError
from orchestrator_dagster.language.safe_patterns import check_pattern
from orchestrator_dagster.text import nearest
from orchestrator_dagster.tools.data.columns import cast, kind, require_columns, require_kind, type_name
from orchestrator_dagster.tools.data.comparing import compare, is_in
from orchestrator_dagster.tools.data.evaluation import condition_of
from orchestrator_dagster.tools.data.ordering import comparable
from orchestrator_dagster.tools.data.plain import plain, plain_values
from orchestrator_dagster.tools.data.types import Column, Frame

#: Interquartile ranges beyond the quartiles from which a number is an outlier: Tukey's "far out" (Exploratory Data
#: Analysis, 1977).
FAR_OUT = 3.0


class Rule(BaseModel):
    """What must hold for a column (or several), for each row (``expression``) or for the number of rows."""

    model_config = ConfigDict(extra="forbid")

    column: str | list[str] | None = Field(default=None, validation_alias=AliasChoices("column", "columns", "field"))
    not_null: bool = Field(default=False, validation_alias=AliasChoices("not_null", "required"))
    unique: bool = False
    type: str | None = None
    min: float | str | None = Field(default=None, validation_alias=AliasChoices("min", "minimum"))
    max: float | str | None = Field(default=None, validation_alias=AliasChoices("max", "maximum"))
    allowed: list[Any] | None = Field(default=None, validation_alias=AliasChoices("allowed", "values", "enum", "in"))
    pattern: str | None = None
    min_length: int | None = Field(default=None, ge=0)
    max_length: int | None = Field(default=None, ge=0)
    expression: str | None = Field(default=None, validation_alias=AliasChoices("expression", "condition"))
    min_rows: int | None = Field(default=None, ge=0)
    max_rows: int | None = Field(default=None, ge=0)
    tolerance: float = Field(default=0.0, ge=0, lt=1)
    severity: Literal["error", "warning"] = "error"
    name: str | None = None


class Check(BaseModel):
    """One check: what it asked (``rule``) of which column, how many rows were looked at and how many failed.

    ``rate`` is the share of right rows; ``examples`` are failing cells and ``rows`` their places, the first row is 1.
    """

    name: str
    column: str | None
    rule: str
    passed: bool
    severity: Literal["error", "warning"]
    checked: int
    failed: int
    rate: float
    message: str
    examples: list[Any]
    rows: list[int]


#: A check, and for each row whether it fails; None where it is not about single rows.
Found = tuple[Check, Any]


def rules_of(given: list[dict[str, Any]] | dict[str, Any]) -> list[Rule]:
    """Rules as a step writes them.

    Raises:
        ParametersError: One has an unknown key or a wrong value, or asks for nothing.
    """
    if isinstance(given, dict):
        for name, rule in given.items():
            if not isinstance(rule, dict):
                raise ParametersError(
                    f'the rule for "{name}" is {rule!r}, a map such as {{not_null: true}} was expected'
                )
        given = [{"column": name, **rule} for name, rule in given.items()]
    if not given:
        raise ParametersError("`rules` is empty", hint="give at least one, or leave it out for the usual checks")
    found = []
    for number, rule in enumerate(given, 1):
        try:
            found.append(Rule.model_validate(rule))
        except ValidationError as error:
            said = "; ".join(_rule_problem(item) for item in error.errors(include_url=False))
            raise ParametersError(f"rule {number}: {said}", hint="a rule has " + ", ".join(Rule.model_fields)) from None
    return found


def _rule_problem(error: Any) -> str:
    place = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"`{place}` is unknown{nearest(place, Rule.model_fields)}"
    return f"`{place}`: {error['msg']}"


def checks_of(frame: Frame, rules: list[Rule], examples: int) -> list[Found]:
    """Every check that the rules ask for.

    Raises:
        ParametersError: A rule names an unknown column, does not fit its column, or asks for nothing.
    """
    found: list[Found] = []
    for number, rule in enumerate(rules, 1):
        made = list(_of_rule(frame, rule, examples))
        if not made:
            raise ParametersError(
                f"rule {number} asks for nothing", hint="give it not_null, unique, min, max, pattern …"
            )
        found += made
    return found


def _of_rule(frame: Frame, rule: Rule, examples: int) -> Iterator[Found]:
    if rule.min_rows is not None or rule.max_rows is not None:
        yield _row_count(frame, rule), None
    if rule.expression is not None:
        holds = condition_of(frame, rule.expression)
        yield _found(frame, None, "expression", ~holds.fillna(False).to_numpy(dtype=bool), rule, examples,
                     f"break {rule.expression}")  # fmt: skip
    names = [rule.column] if isinstance(rule.column, str) else rule.column or []
    about_columns = rule.model_fields_set - {
        "column",
        "expression",
        "min_rows",
        "max_rows",
        "tolerance",
        "severity",
        "name",
    }
    if about_columns and not names:
        raise ParametersError(f"the rule with {', '.join(sorted(about_columns))} names no `column`")
    require_columns(frame, names)
    if rule.unique and len(names) > 1:  # a key of several columns
        yield _unique(frame, names, rule, examples)
    for name in names:
        for asked, failed, said in _of_column(frame, name, rule, len(names) == 1):
            yield _found(frame, name, asked, failed, rule, examples, said)


def _of_column(frame: Frame, name: str, rule: Rule, alone: bool) -> Iterator[tuple[str, Any, str]]:
    column = frame[name]
    present = column.notna()
    if rule.not_null:
        yield "not_null", ~present, "have no value"
    if rule.unique and alone:
        yield "unique", comparable(frame[[name]])[name].duplicated(keep="first") & present, "repeat an earlier value"
    if rule.type is not None:
        cells = cast(column, rule.type, name=name, on_error="null")
        yield "type", cells.isna() & present, f"are no {type_name(rule.type)}"
    if rule.min is not None:
        yield "min", _not(compare(column, ">=", rule.min), present), f"are less than {plain_number(rule.min)}"
    if rule.max is not None:
        yield "max", _not(compare(column, "<=", rule.max), present), f"are more than {plain_number(rule.max)}"
    if rule.allowed is not None:
        shown = ", ".join(map(str, rule.allowed[:8])) + (" …" if len(rule.allowed) > 8 else "")
        yield "allowed", _not(is_in(column, rule.allowed), present), f"are none of {shown}"
    if rule.pattern is not None:
        if wrong := check_pattern(rule.pattern):
            raise ParametersError(f"the pattern {rule.pattern!r} {wrong}")
        texts = require_kind(frame, name, ("text",), "`pattern`")
        pattern = re.compile(rule.pattern)
        holds = texts.map(lambda cell: pattern.search(cell) is not None, na_action="ignore").astype("boolean")
        yield "pattern", _not(holds, present), f"do not match {rule.pattern}"
    for key, limit, word in (("min_length", rule.min_length, "shorter"), ("max_length", rule.max_length, "longer")):
        if limit is not None:
            lengths = require_kind(frame, name, ("text",), f"`{key}`").str.len().astype("Int64")
            broken = lengths < limit if key == "min_length" else lengths > limit
            yield key, broken.fillna(False), f"are {word} than {limit} characters"


def plain_number(bound: float | str) -> str:
    """A bound as people write it: 5, not 5.0."""
    return f"{bound:g}" if isinstance(bound, float) else str(bound)


def _not(holds: Column, present: Column) -> Any:
    return present & ~holds.astype("boolean").fillna(False)


def _found(
    frame: Frame,
    name: str | None,
    asked: str,
    failed: Any,
    rule: Rule,
    examples: int,
    said: str,
    label: str | None = None,
) -> Found:
    import numpy as np

    broken = np.asarray(failed, dtype=bool)
    checked = len(frame) if name is None or asked == "not_null" else int(frame[name].notna().sum())
    count = int(broken.sum())
    rate = 1.0 - count / checked if checked else 1.0
    places = np.flatnonzero(broken)[:examples].tolist()
    cells = [] if name is None or asked == "not_null" else plain_values(frame[name].iloc[places])
    passed = count <= rule.tolerance * checked
    shown = f" ({cells[0]!r} in row {places[0] + 1})" if cells else f" (row {places[0] + 1})" if places else ""
    what = label or name
    text = (
        f"{count:,} of {checked:,} {'cells' if name else 'rows'} {said}{shown}" if count else f"no row fails: {asked}"
    )
    check = Check(
        name=rule.name or " ".join(filter(None, (what, asked))),
        column=name,
        rule=asked,
        passed=passed,
        severity=rule.severity,
        checked=checked,
        failed=count,
        rate=round(rate, 4),
        message=f"{what}: {text}" if what else text,
        examples=cells,
        rows=[place + 1 for place in places],
    )
    return check, broken


def _unique(frame: Frame, names: list[str], rule: Rule, examples: int) -> Found:
    repeated = comparable(frame[names]).duplicated(keep="first")
    return _found(frame, None, "unique", repeated, rule, examples, "repeat an earlier one", " + ".join(names))


def _row_count(frame: Frame, rule: Rule) -> Check:
    low, high, count = rule.min_rows, rule.max_rows, len(frame)
    passed = (low is None or count >= low) and (high is None or count <= high)
    asked = " and ".join(
        filter(None, (f"at least {low:,}" if low is not None else "", f"at most {high:,}" if high is not None else ""))
    )
    return Check(
        name=rule.name or "row count", column=None, rule="row_count", passed=passed, severity=rule.severity,
        checked=1, failed=int(not passed), rate=float(passed),
        message=f"the table has {count:,} rows, {asked} were asked for", examples=[], rows=[],
    )  # fmt: skip


def usual_checks(frame: Frame, examples: int) -> list[Found]:
    """What should hold for any table, without a rule. Blanks, outliers and constant columns are warnings."""
    error, warning = Rule(), Rule(severity="warning")
    whole = comparable(frame)
    found = [_found(frame, None, "duplicate_rows", whole.duplicated(), error, examples, "repeat an earlier one")]
    for name in map(str, frame.columns):
        column = frame[name]
        found.append(_found(frame, name, "not_null", column.isna(), error, examples, "have no value"))
        held = kind(column)
        if held == "mixed":
            found.append(_mixed(frame, name, error, examples))
        elif held == "text":
            blanks = column.notna() & (column != column.str.strip()).astype("boolean").fillna(False)
            found.append(_found(frame, name, "blanks", blanks, warning, examples, "have blanks around them"))
        elif held == "number":
            found.append(_found(frame, name, "outliers", _outliers(column), warning, examples,
                                f"lie more than {FAR_OUT:g} interquartile ranges outside the quartiles"))  # fmt: skip
    return found


def _mixed(frame: Frame, name: str, rule: Rule, examples: int) -> Found:
    kinds = frame[name].map(lambda cell: type(plain(cell)).__name__, na_action="ignore")
    usual = kinds.mode().iloc[0]
    said = f"are of another type than most ({usual})"
    return _found(frame, name, "type", kinds.notna() & (kinds != usual), rule, examples, said)


def _outliers(column: Column) -> Any:
    numbers = column.astype("Float64")
    low, high = numbers.quantile(0.25), numbers.quantile(0.75)
    width = high - low
    outside = (numbers < low - FAR_OUT * width) | (numbers > high + FAR_OUT * width)
    return outside.fillna(False) if width > 0 else numbers.isna() & False
