"""The few actions that need neither a tool nor a model, and what each of them must be given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator_dagster.language.diagnostics import Problems
from orchestrator_dagster.language.document import Document
from orchestrator_dagster.language.step import Step
from orchestrator_dagster.text import nearest_name

#: The action that answers a condition, and what the condition is called among its parameters.
EVALUATE = "evaluate_condition"
CONDITION_PARAMETERS = ("condition", "expression")
BUILTIN_ACTIONS = ("echo", "debug", "log", EVALUATE)

Place = tuple[str | int, ...]


def says_what(
    step: Step, action: str, parameters: Mapping[str, Any], place: Place, document: Document, problems: Problems
) -> bool:
    """Whether a built-in action has what it needs: something to show, or one condition to answer.

    Args:
        step: The step.
        action: One of :data:`BUILTIN_ACTIONS`.
        parameters: What it is given.
        place: Where the step stands.
        document: The file.
        problems: Takes what is wrong.
    """
    if action != EVALUATE:
        silent = not document.has((*place, "parameters"))  # else what stood there may be what was wrong
        if silent and not parameters:
            problems.add(
                "missing-parameter",
                f'step "{step.id}" has nothing to {action}',
                document.span((*place, "action")),
                step=step.id,
                hint="give it `parameters: {message: …}`",
            )
        return bool(parameters) or not silent
    named = [name for name in parameters if name in CONDITION_PARAMETERS]
    further = [name for name in parameters if name not in CONDITION_PARAMETERS] + named[1:]
    for name in further:
        problems.add(
            "unknown-parameter",
            f'step "{step.id}": `{EVALUATE}` answers one condition, and has no use for `{name}`',
            document.key_span((*place, "parameters", name)),
            step=step.id,
            suggestion=None if named else nearest_name(name, ("condition",)),
            hint="keep `condition` alone",
        )
    if not named:
        problems.add(
            "missing-parameter",
            f'step "{step.id}": `{EVALUATE}` has no condition to answer',
            document.span((*place, "action")),
            step=step.id,
            hint="give it `parameters: {condition: …}`",
        )
    elif not isinstance(parameters[named[0]], str | bool):
        problems.add(
            "wrong-type",
            f'step "{step.id}": a condition is a text or true or false',
            document.span((*place, "parameters", named[0])),
            step=step.id,
            hint="write an expression, for example `condition: len(rows) > 0`",
        )
        return False
    return bool(named) and not further
