"""Whether a step runs: the routes and failures before it, then its own condition."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from orchestrator_dagster.compiler.compiled import CompiledStep
from orchestrator_dagster.compiler.routes import State
from orchestrator_dagster.compiler.routing import RoutePlan, decide
from orchestrator_dagster.errors import ConditionError
from orchestrator_dagster.language.auto_tags import has_auto
from orchestrator_dagster.language.expressions import Expression, ExpressionSyntaxError, parse_condition
from orchestrator_dagster.language.expressions import decide as answer
from orchestrator_dagster.runtime.auto import decide_condition
from orchestrator_dagster.runtime.failure import step_errors
from orchestrator_dagster.runtime.outcome import Outcome
from orchestrator_dagster.runtime.scope import Scope


@dataclass(frozen=True)
class Verdict:
    """Whether a step runs; when not, how it counts and the ``reason``, as words that follow "because".

    ``route`` is the fired route that made it run or that bypasses it, in words. ``error`` is what it has as ``error``.
    """

    state: State | None = None
    reason: str | None = None
    route: str | None = None
    error: Mapping[str, Any] | None = None

    @property
    def go(self) -> bool:
        """Whether it runs."""
        return self.state is None

    def skipped(self, step: CompiledStep) -> Outcome:
        """What a step leaves that does not run."""
        assert self.state is not None
        now = datetime.now(timezone.utc)
        return Outcome(
            step=step.id,
            status="skipped",
            state=self.state,
            reason=self.reason,
            tool=step.tool,
            action=step.action,
            attempts=0,
            started_at=now,
            completed_at=now,
        )


def judge(step: CompiledStep, plan: RoutePlan, outcomes: Mapping[str, Outcome], scope: Scope) -> Verdict:
    """Whether a step runs.

    Args:
        step: The step.
        plan: The flow of its body.
        outcomes: How the steps of its body have ended, at least those that it depends on or that can route to it.
        scope: Where it would run.

    Raises:
        ConditionError: Its condition cannot be evaluated.
    """
    states = {name: outcome.state for name, outcome in outcomes.items()}
    taken = {name: outcome.routed_to for name, outcome in outcomes.items()}
    decision = decide(step.id, plan, states, taken)
    route = str(decision.route) if decision.route else None
    if decision.state is not None:
        return Verdict(decision.state, decision.reason, route)
    failed = outcomes[decision.error_of].error if decision.error_of else None
    error = {"type": failed.type, "message": failed.message, "step": failed.step} if failed else None
    if step.condition is not None and not holds(step.condition, step, scope, error, "condition"):
        reason = f"its condition is false: {_short(step.condition)}"
        return Verdict(State.SKIPPED_BY_CONDITION, reason, route)
    return Verdict(None, None, route, error)


def holds(
    condition: str | bool, step: CompiledStep, scope: Scope, error: Mapping[str, Any] | None = None, key: str = ""
) -> bool:
    """The answer of a condition of a step.

    Args:
        condition: As it is written.
        step: The step it belongs to.
        scope: Where it is asked.
        error: What the step has as ``error``.
        key: The key it stands under, for the message.

    Raises:
        ConditionError: It has no value, or its answer is none.
    """
    if isinstance(condition, bool):
        return condition
    with step_errors(step, scope):
        names = _names(scope, error)
        if has_auto(condition):
            found, names = decide_condition(condition, key or "condition", step, scope, names)
            if isinstance(found, bool):
                return found
            condition = found
        return _answered(condition, names, scope, key)


def evaluated(condition: str | bool, key: str, names: Mapping[str, Any], scope: Scope) -> bool:
    """The answer of a condition that a step is there to give.

    Args:
        condition: As it is written, with names in place of its ``<AUTO>`` tags.
        key: What it is called, for the message.
        names: The names that it may use.
        scope: Where it is asked.

    Raises:
        ConditionError: It has no value, or its answer is none.
    """
    return condition if isinstance(condition, bool) else _answered(condition, _with_absent(names, scope), scope, key)


def _answered(condition: str, names: Mapping[str, Any], scope: Scope, key: str) -> bool:
    try:
        expression = _parsed(condition, scope.pipeline.dashed)
    except ExpressionSyntaxError as wrong:
        raise ConditionError(f"`{key}` cannot be read: {wrong.message}", hint=wrong.hint) from None
    try:
        return answer(expression, names.__getitem__)
    except ConditionError as wrong:
        raise ConditionError(f"`{key}`: {wrong.message}", hint=wrong.hint) from None


def _names(scope: Scope, error: Mapping[str, Any] | None) -> dict[str, Any]:
    """The names of a place as conditions see them."""
    return _with_absent(scope.names(error), scope)


def _with_absent(given: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    """The names of templates as conditions see them: an input that was not given is null."""
    names = dict(given)
    absent = {name: None for name in scope.pipeline.inputs if name not in scope.inputs}
    if absent:
        names.update(absent)
        names["inputs"] = names["parameters"] = {**names["inputs"], **absent}
    return names


@functools.lru_cache(maxsize=1024)
def _parsed(condition: str, dashed: frozenset[str]) -> Expression:
    return parse_condition(condition, dashed)


def _short(condition: str | bool) -> str:
    text = " ".join(str(condition).split())
    return text if len(text) <= 120 else f"{text[:117]}..."
