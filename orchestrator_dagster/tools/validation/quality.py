"""The action quality_check: a table against rules, or against what any table should be."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, Field

from orchestrator_dagster.errors import ParametersError, ToolError
from orchestrator_dagster.tools.data.loading import read_table
from orchestrator_dagster.tools.data.types import Source
from orchestrator_dagster.tools.tool import ToolContext
from orchestrator_dagster.tools.validation.rules import Check, Rule, checks_of, rules_of, usual_checks


class QualityReport(BaseModel):
    """Whether a table passed, the share of what was checked that is right (``score``, 0 to 1), and each check.

    ``valid`` is ``passed`` under another name. ``errors`` and ``warnings`` are the checks that failed, as sentences.
    ``failed_rows`` counts the rows that break at least one check.
    """

    passed: bool
    valid: bool
    score: float
    errors: list[str]
    warnings: list[str]
    checks: list[Check]
    row_count: int
    column_count: int
    failed_rows: int


def quality_check(
    context: ToolContext,
    data: Source,
    rules: Annotated[
        list[dict[str, Any]] | dict[str, Any] | None,
        Field(
            description="[{column, "
            + ", ".join(name for name in Rule.model_fields if name != "column")
            + "}], or a map"
            " column -> rule. Without rules: missing cells, repeated rows, mixed types, blanks around texts, outliers.",
            validation_alias=AliasChoices("rules", "checks", "quality_rules"),
        ),
    ] = None,
    min_score: Annotated[float | None, Field(ge=0, le=1, description="Least score to pass, besides the rules.")] = None,
    strict: Annotated[bool, Field(description="Whether a table that does not pass fails the step.")] = False,
    examples: Annotated[int, Field(ge=0, le=100, description="Failing cells to show for each check.")] = 5,
) -> QualityReport:
    """Check a table by rules: `not_null`, `unique`, `type`, bounds, allowed values, patterns, expressions.

    A cell without a value breaks ``not_null`` only. A rule may let a share of its rows fail (``tolerance``) and may be
    a warning (``severity``), which is reported and does not fail the table.

    Example:
        >>> quality_check(context, [{"a": 1}, {"a": 9}], [{"column": "a", "max": 5}]).errors  # doctest: +SKIP
        ['a: 1 of 2 rows are more than 5 (9 in row 2)']

    Raises:
        ParametersError: A rule is wrong, or there is nothing to check: no columns, or no rows and no rule for that.
        ToolError: The table does not pass, and ``strict`` is set.
    """
    frame = read_table(context, data)
    given = rules_of(rules) if rules is not None else None
    if not len(frame.columns) or (not len(frame) and not any(rule.min_rows == 0 for rule in given or ())):
        raise ParametersError(
            f"there is nothing to check: the table has {len(frame.columns)} columns and {len(frame)} rows",
            hint="a table that may be empty needs a rule with `min_rows: 0`",
        )
    found = usual_checks(frame, examples) if given is None else checks_of(frame, given, examples)
    checks = [check for check, _ in found]
    score = round(sum(check.rate for check in checks) / len(checks), 4) if checks else 1.0
    errors = [check.message for check in checks if not check.passed and check.severity == "error"]
    if min_score is not None and score < min_score:
        errors.append(f"the score is {score:g}, at least {min_score:g} was asked for")
    broken = [failed for check, failed in found if failed is not None and not check.passed]
    if errors and strict:
        raise ToolError(
            f"the table does not pass {len(errors)} of {len(checks)} checks: " + "; ".join(errors[:10]), permanent=True
        )
    return QualityReport(
        passed=not errors,
        valid=not errors,
        score=score,
        errors=errors,
        warnings=[check.message for check in checks if not check.passed and check.severity == "warning"],
        checks=checks,
        row_count=len(frame),
        column_count=len(frame.columns),
        failed_rows=int(sum(broken[1:], broken[0]).astype(bool).sum()) if broken else 0,
    )
