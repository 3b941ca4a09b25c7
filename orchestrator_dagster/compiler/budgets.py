"""Budgets that bound nothing, or US dollars over models without a known price: an unknown price is not zero."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator_dagster.compiler.bodies import Body, Draft
from orchestrator_dagster.compiler.kinds import Place
from orchestrator_dagster.language.base import has_template
from orchestrator_dagster.language.nodes import MappingNode
from orchestrator_dagster.language.read import Reading
from orchestrator_dagster.language.settings import Budget

#: Whether the price of a model is known, by its name as it is written.
IsPriced = Callable[[str], bool]


def check_budgets(reading: Reading, top: Body, is_priced: IsPriced) -> None:
    """Note each empty budget, and each step under one of ``cost`` alone whose model is fixed and has no known price.

    A model that is only known when the step runs is refused then.
    """
    _check_bounds(reading, ())
    for draft in top.walk():
        _check_bounds(reading, draft.place, draft.step.id)
        if draft.work is None or draft.models is None or len(draft.models.names) != 1:
            continue
        name = draft.models.names[0]
        if has_template(name):
            continue
        for place, owner in _bare(draft, reading):
            if is_priced(name):
                break
            reading.problems.add(
                "unknown-price",
                f'step "{draft.step.id}" asks {name}, whose price is unknown, under a budget of `cost` alone',
                reading.document.span(place),
                step=draft.step.id,
                hint=f"bound {owner} by `tokens` or `calls` as well: `budget: {{cost: …, calls: 50}}`",
            )
            break


def _check_bounds(reading: Reading, owner: Place, step: str | None = None) -> None:
    node, span = reading.document.locate((*owner, "budget"))
    if isinstance(node, MappingNode) and not node.pairs:
        reading.problems.add(
            "wrong-value",
            "this `budget` bounds nothing",
            span,
            step=step,
            hint="write one or more of `cost`, `tokens` and `calls`",
        )


def _bare(draft: Draft, reading: Reading) -> list[tuple[Place, str]]:
    """The budgets around a step that only bound the cost: its own, those of loops, the pipeline's."""
    assert reading.pipeline is not None
    found: list[tuple[Place, str]] = []
    for one in (draft, *draft.home.around()):
        if _only_cost(one.step.budget):
            found.append(((*one.place, "budget"), f'the step "{one.step.id}"'))
    if _only_cost(reading.pipeline.budget):
        found.append((("budget",), "the pipeline"))
    return found


def _only_cost(budget: Budget | None) -> bool:
    return budget is not None and budget.cost is not None and budget.tokens is None and budget.calls is None
