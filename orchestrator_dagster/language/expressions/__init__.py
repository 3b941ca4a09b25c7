"""Conditions: a closed language of expressions over JSON values.

``parse_condition`` reads a text once; ``names`` and ``check_types`` tell what can be known before a run; ``decide``
gives the answer and ``evaluate`` the value. Nothing in it is Python code, and nothing of Python can be reached from it.

    >>> condition = parse_condition("score > 0.5 and len(items) > 0")
    >>> decide(condition, {"score": 0.7, "items": ["a"]}.__getitem__)
    True
    >>> [reference.path for reference in names(condition)]
    [('score',), ('items',)]
"""

from __future__ import annotations

from orchestrator_dagster.language.expressions.check import check_types, names
from orchestrator_dagster.language.expressions.evaluate import decide, evaluate
from orchestrator_dagster.language.expressions.parser import parse_condition
from orchestrator_dagster.language.expressions.syntax import Expression, ExpressionSyntaxError, Reference

__all__ = [
    "Expression",
    "ExpressionSyntaxError",
    "Reference",
    "check_types",
    "decide",
    "evaluate",
    "names",
    "parse_condition",
]
