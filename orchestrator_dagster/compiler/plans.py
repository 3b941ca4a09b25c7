"""The order and the flow of every body: cycles are noted, routes are worked out once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator_dagster.compiler.bodies import Body, Draft
from orchestrator_dagster.compiler.flow import after, circles, find_cycle, levels
from orchestrator_dagster.compiler.routing import FlowStep, RoutePlan, RoutingProblem, plan_routes
from orchestrator_dagster.language.auto_tags import has_auto
from orchestrator_dagster.language.diagnostics import Span
from orchestrator_dagster.language.document import ScalarNode, SequenceNode
from orchestrator_dagster.language.read import Reading
from orchestrator_dagster.language.settings import FailureHandler
from orchestrator_dagster.language.step import FAILURE_POLICIES
from orchestrator_dagster.text import nearest_name

#: What is wrong with a route, by the diagnostics that people know from other places.
_ROUTE_CODES = {
    "unknown-step": "unknown-step",
    "route-to-itself": "dependency-cycle",
    "route-backward": "dependency-cycle",
    "missing-condition": "unused-key",
}


@dataclass(frozen=True)
class BodyFlow:
    """The levels of a body's steps, in which they can run, and its routes; ``plan`` is None when they are wrong.

    A step stands behind those whose routes lead to it, too.
    """

    order: tuple[tuple[str, ...], ...]
    plan: RoutePlan | None


def plan_bodies(top: Body, reading: Reading) -> dict[tuple[str | int, ...], BodyFlow]:
    """The flow of every body, by the place of its steps; cycles and wrong routes are noted."""
    where = {
        draft.step.id: f'inside the loop "{body.owner.step.id}"' if body.owner else "outside this loop"
        for body in top.bodies()
        for draft in body.drafts.values()
    }
    found = {}
    for body in top.bodies():
        if body.goes_back:
            _read_last_pass(body)
        order, plan = _order(body, reading), _plan(body, reading, where)
        found[body.place] = BodyFlow(order if plan is None else plan.levels, plan)
    _check_header_handlers(top, reading)
    return found


def _check_header_handlers(top: Body, reading: Reading) -> None:
    """Note handlers of all steps that go to no step."""
    assert reading.pipeline is not None
    for number, handler in enumerate(reading.pipeline.failure_handlers):
        known = [*top.drafts, *FAILURE_POLICIES]
        if handler.goto is not None and handler.goto not in known and not reading.loose:
            reading.problems.add(
                "unknown-step",
                f'a failure handler of the header goes to "{handler.goto}"; no step or policy is called so',
                reading.document.span(("failure_handlers", number, "goto")),
                suggestion=nearest_name(handler.goto, known),
                hint="name a step of the top level, or a policy: fail, continue, skip",
            )


def _read_last_pass(body: Body) -> None:
    """Where steps of a repeated body wait for each other, what an earlier one reads of a later one is of the last pass.

    "Each other" is on any path, "earlier" in the file. Declared dependencies stay what they are.
    """
    place = {name: number for number, name in enumerate(body.drafts)}
    for circle in circles(body.edges):
        for name in circle:
            draft = body.drafts[name]
            for one, reference in list(draft.edges.items()):
                if one in circle and place[one] > place[name] and reference[-1] != "dependencies":
                    del draft.edges[one]
                    draft.previous.add(one)


def _order(body: Body, reading: Reading) -> tuple[tuple[str, ...], ...]:
    """The levels of the steps; each cycle is noted with its path, at the reference that leads into it."""
    edges: Mapping[str, Sequence[str]] = body.edges
    file_order = {name: number for number, name in enumerate(body.drafts)}
    waiting = circles(edges)
    while waiting:
        group = sorted(waiting.pop(), key=file_order.__getitem__)
        cycle = find_cycle(edges, group)[:-1]
        first = min(range(len(cycle)), key=lambda number: file_order[cycle[number]])
        cycle = [*cycle[first:], *cycle[:first]]  # each waits for the one behind it, the last for the first
        draft = body.drafts[cycle[0]]
        reading.problems.add(
            "dependency-cycle",
            f"these steps wait for each other: {' → '.join([cycle[0], *cycle[:0:-1], cycle[0]])}",
            _reference(draft, body.drafts[cycle[1]], reading),
            step=cycle[0],
            hint="remove one of the dependencies or references",
        )
        rest = set(group).difference(cycle)
        waiting += circles({name: [one for one in edges[name] if one in rest] for name in group if name in rest})
    return levels(edges)


def _reference(draft: Draft, target: Draft, reading: Reading) -> Span:
    """Where a step names another one that it waits for."""
    document, place = reading.document, draft.edges[target.step.id]
    if place[-1] == "dependencies":  # of the step itself, or of one inside it
        node, whole = document.locate(place)
        if isinstance(node, SequenceNode):
            names = [one.text if isinstance(one, ScalarNode) else None for one in node.items]
            return document.span((*place, names.index(target.step.id))) if target.step.id in names else whole
        return document.place_in(place, target.step.id) or whole
    whole = document.span(place)
    places = [document.place_in(place, name) for name in (target.step.id, *target.step.vars)]
    return next((one for one in places if one != whole), whole)


def _plan(body: Body, reading: Reading, elsewhere: Mapping[str, str]) -> RoutePlan | None:
    """The routes between the steps, worked out once; what is wrong with them is noted."""
    pipeline = reading.pipeline
    assert pipeline is not None
    dependencies = body.edges
    _find_handlers(body, dependencies, pipeline.failure_handlers if body.owner is None else ())
    steps = {
        name: FlowStep(
            tuple(dependencies[name]),
            draft.step.condition is not None and not draft.condition_per_item,
            draft.step.on_success,
            draft.step.on_false,
            draft.step.on_failure,
            tuple(one.goto for one in draft.handlers if one.goto is not None),
        )
        for name, draft in body.drafts.items()
    }
    plan, found = plan_routes(steps, elsewhere=elsewhere)
    for one in found:
        if one.code == "unknown-step" and (reading.loose or has_auto(one.target)):
            continue  # of a route that is to be decided, it is said that it cannot be
        reading.problems.add(
            _ROUTE_CODES[one.code],
            one.message,
            _route_span(one, body.drafts[one.step], reading),
            step=one.step,
            suggestion=one.suggestion,
            hint=one.hint,
        )
    return plan


def _find_handlers(body: Body, dependencies: Mapping[str, Sequence[str]], of_all: Sequence[FailureHandler]) -> None:
    """The handlers of every step of a body: its own, then those of all steps.

    No handler of all steps leads away from a step that one of them leads to, nor from what comes after that: the way
    would go back.
    """
    for draft in body.drafts.values():
        draft.handlers = draft.step.failure_handlers
    known = [one for one in of_all if one.goto is None or one.goto in (*body.drafts, *FAILURE_POLICIES)]
    targets = {one.goto for one in known if one.goto in body.drafts}
    edges = {name: list(before) for name, before in dependencies.items()}
    for name, draft in body.drafts.items():
        step = draft.step
        for way in (step.on_success, step.on_false, step.on_failure, *(one.goto for one in step.failure_handlers)):
            if way in edges and way is not None:
                edges[way].append(name)
    behind = targets.union(*(after(edges, one) for one in targets if one is not None))
    stay = tuple(one for one in known if one.goto not in targets)
    for name, draft in body.drafts.items():
        draft.handlers = (*draft.step.failure_handlers, *(stay if name in behind else known))


def _route_span(found: RoutingProblem, draft: Draft, reading: Reading) -> Span:
    """Where a wrong route stands: at its key, or in the handler that names it."""
    document, place = reading.document, (*draft.place, found.key)
    if found.code == "missing-condition":
        return document.key_span(place)
    if getattr(draft.step, found.key) != found.target and found.key == "on_failure":
        for number, handler in enumerate(draft.step.failure_handlers):
            if handler.goto == found.target:
                return document.span((*draft.place, "failure_handlers", number, "goto"))
        return document.span(("failure_handlers",))
    return document.span(place)
