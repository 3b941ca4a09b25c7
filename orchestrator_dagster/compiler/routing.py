"""Whether a step runs: conditions, routes and failure policies, worked out once for one body.

A body is the top level of a pipeline, or one loop's steps. :func:`plan_routes` reads its flow when the pipeline is
compiled; :func:`decide` answers for one step when the steps it reads have ended. D is the graph of all dependency
edges and of an edge from each route's source to its target; "after" means after in D, on any path.

What :func:`decide` asks, the first that holds being the answer:

1. An unhandled failure before the step in D: it is not reached, a route's target included.
2. A route to it fired: it runs.
3. A fired route bypasses it: skipped.
4. It is a route's target: it runs when one of its joins ran (its dependencies that come after a source of one of its
   routes), else it is skipped.
5. It has dependencies and all of them were skipped by routing: skipped.
6. It runs.

What follows from the rules where their words leave room:

- A route fires by its source's own end alone: ``on_success`` when it completed, ``on_failure`` when it failed,
  ``on_false`` when it was skipped by its own false condition. A step that was skipped by routing fires nothing, its
  condition is not even evaluated. One fired route is enough, whatever became of the sources of the others.
- Skips form chains: a step skipped by answer 5 counts as skipped by routing for those that depend on it. A step
  skipped by its own condition does not.
- A target that depends on its source, or on steps before or beside it, has no join in them: an error handler with
  ``dependencies: [setup, source]`` runs on errors alone.
- A join ran when it completed, or failed and the run went on (its failure was handled, or ``continue``). A join that
  was skipped did not run, also when its own condition skipped it.
- A fired route protects its target from other bypasses, not what comes after the target: that stays bypassed when it
  comes after the other source, unless a fired route goes to it as well.
- ``on_failure: skip`` bypasses everything after the step, the target of its ``on_success`` included. Like every
  bypass it is weaker than a fired route from elsewhere.
- After a failure with ``continue`` the dependents run; ``on_success`` does not fire, so a target of it that has no
  join is skipped, also when it depends on the step.
- ``retry`` is ``fail`` here: the retries are over when a step has failed. A condition that cannot be evaluated is a
  failure of its step like any other.
- Two keys of a step may name one target. Where routes make a cycle only together, the last of them in the file is
  the one that goes backward.
- Dependencies outside the body are left out: flow is decided within the body.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from orchestrator_dagster.compiler.flow import levels
from orchestrator_dagster.compiler.routes import (
    ROUTE_KEYS,
    FlowStep,
    Route,
    RoutingProblem,
    State,
    backward,
    routes_of,
)

__all__ = [
    "Decision",
    "FlowStep",
    "Route",
    "RoutePlan",
    "RoutingProblem",
    "State",
    "StepPlan",
    "decide",
    "plan_routes",
]

Failure = Literal["fail", "continue", "skip", "route"]
_FAILED = {
    "fail": State.FAILED,
    "continue": State.FAILED_CONTINUED,
    "skip": State.FAILED_SKIPPING,
    "route": State.FAILED_ROUTED,
}


@dataclass(frozen=True)
class StepPlan:
    """What decides whether one step runs. Numbers are places in :attr:`RoutePlan.routes`.

    ``dependencies`` are those within the body; ``predecessors`` are its edges in D: its dependencies, then the sources
    of the routes to it. ``reads`` are the steps whose states :func:`decide` needs: its predecessors, then the sources
    of routes that can bypass it. ``joins`` are the dependencies that make a route's target run without a route.
    ``gated`` says that it may not run although nothing failed. ``failure`` is what its own failure does.
    """

    id: str
    dependencies: tuple[str, ...] = ()
    predecessors: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    targeted_by: tuple[int, ...] = ()
    bypassed_by: tuple[int, ...] = ()
    joins: tuple[str, ...] = ()
    condition: bool = False
    gated: bool = False
    failure: Failure = "fail"

    @property
    def failed(self) -> State:
        """Its state when it has failed and no attempt is left."""
        return _FAILED[self.failure]


@dataclass(frozen=True)
class RoutePlan:
    """The flow of one body: ``steps`` in an order in which they can run, ``routes`` in the order of the file.

    ``levels`` are groups of steps that can run at once, by their edges in D.
    """

    steps: tuple[StepPlan, ...] = ()
    routes: tuple[Route, ...] = ()
    levels: tuple[tuple[str, ...], ...] = ()

    @cached_property
    def by_id(self) -> dict[str, StepPlan]:
        """Every step by its id."""
        return {step.id: step for step in self.steps}

    @property
    def edges(self) -> dict[str, tuple[str, ...]]:
        """D: for each step those right before it."""
        return {step.id: step.predecessors for step in self.steps}


@dataclass(frozen=True)
class Decision:
    """Whether a step runs, before its own condition is asked.

    ``state`` is None when it runs, else one of ``SKIPPED_BY_ROUTING``, ``BYPASSED`` and ``NOT_REACHED``, with the
    ``reason`` as words that follow "because". ``route`` is the fired route that made it run or that bypasses it.
    ``error_of`` is the step whose failure is the ``error`` of a step that ``on_failure`` went to.
    """

    state: State | None = None
    reason: str | None = None
    route: Route | None = None
    error_of: str | None = None

    @property
    def go(self) -> bool:
        """Whether it runs, as far as routes decide."""
        return self.state is None


def decide(
    step: str, plan: RoutePlan, states: Mapping[str, State], taken: Mapping[str, str | None] | None = None
) -> Decision:
    """Whether a step runs, as far as routes and failures decide; its condition is evaluated after a go.

    Args:
        step: Id of the step.
        plan: The plan of its body.
        states: At least the states of the steps in its ``reads``; others are not looked at.
        taken: The step that the failure of a step went to, of those where several were possible.

    Raises:
        KeyError: A step of ``reads`` has no state.
    """
    own, to = plan.by_id[step], taken or {}
    blocking = [one for one in own.reads if states[one].blocks]
    if blocking:
        failed = next((one for one in blocking if states[one] is State.FAILED), None)
        reason = f"step {failed} failed" if failed else f"step {blocking[0]} was not reached"
        return Decision(State.NOT_REACHED, reason)
    fired = [
        route for route in _routes(plan, own.targeted_by) if route.fires(states[route.source], to.get(route.source))
    ]
    if fired:
        error = next((route for route in fired if route.key == "on_failure"), None)
        return Decision(route=error or fired[0], error_of=error.source if error else None)
    for route in _routes(plan, own.bypassed_by):
        if route.fires(states[route.source], to.get(route.source)):
            where = f"the route {route} goes to {route.target}"
            return Decision(State.BYPASSED, where if route.target else f"{route} is skip, and it failed", route)
    if own.targeted_by:
        if not any(states[one].ran for one in own.joins):
            return Decision(State.SKIPPED_BY_ROUTING, _not_taken(plan, own))
    elif own.dependencies and all(states[one].skipped_by_routing for one in own.dependencies):
        return Decision(State.SKIPPED_BY_ROUTING, f"routing skipped what it depends on: {_listed(own.dependencies)}")
    return Decision()


def plan_routes(
    steps: Mapping[str, FlowStep], *, elsewhere: Mapping[str, str] | None = None
) -> tuple[RoutePlan | None, tuple[RoutingProblem, ...]]:
    """The flow of one body, and every problem of its routes.

    Near-linear in steps and edges; what can bypass what is at most routes times steps.

    Args:
        steps: The steps of the body by id, in file order. Unknown dependencies are left out: they are no flow.
        elsewhere: The pipeline's steps in other bodies by id, with words for where they stand.

    Returns:
        The plan, None when there is a problem or when dependencies alone make a cycle; the problems in file order.
    """
    routes, problems = routes_of(steps, elsewhere or {})
    dependencies = {
        step: tuple(dict.fromkeys(one for one in flow.dependencies if one in steps)) for step, flow in steps.items()
    }
    edges = {step: dict.fromkeys(before) for step, before in dependencies.items()}
    for route in routes:
        if route.target is not None:
            edges[route.target][route.source] = None
    predecessors = {step: tuple(before) for step, before in edges.items()}
    found = levels(predecessors)
    if sum(map(len, found)) < len(steps):
        wrong = backward(dependencies, routes)
        place = {step: number for number, step in enumerate(steps)}
        problems = sorted([*problems, *wrong], key=lambda one: (place[one.step], ROUTE_KEYS.index(one.key)))
        return None, tuple(problems)
    if problems:
        return None, tuple(problems)
    order = [step for level in found for step in level]
    return RoutePlan(_step_plans(order, steps, dependencies, predecessors, routes), tuple(routes), found), ()


def _step_plans(
    order: Sequence[str],
    steps: Mapping[str, FlowStep],
    dependencies: Mapping[str, tuple[str, ...]],
    predecessors: Mapping[str, tuple[str, ...]],
    routes: Sequence[Route],
) -> tuple[StepPlan, ...]:
    place = {step: number for number, step in enumerate(order)}
    after = _after(order, predecessors)
    targeted: dict[str, list[int]] = {step: [] for step in order}
    bypassed: dict[str, list[int]] = {step: [] for step in order}
    for number, route in enumerate(routes):
        passed = after[place[route.source]]
        if route.target is not None:
            targeted[route.target].append(number)
            to = place[route.target]
            passed &= ~(after[to] | 1 << to)
        for one in _bits(passed):
            bypassed[order[one]].append(number)
    plans: list[StepPlan] = []
    skippable = _skippable(order, dependencies, targeted, bypassed)
    for step in order:
        reach = 0
        for number in targeted[step]:
            reach |= after[place[routes[number].source]]
        before = dependencies[step]
        sources = (routes[number].source for number in bypassed[step])
        plans.append(
            StepPlan(
                step,
                dependencies=before,
                predecessors=predecessors[step],
                reads=tuple(dict.fromkeys((*predecessors[step], *sources))),
                targeted_by=tuple(targeted[step]),
                bypassed_by=tuple(bypassed[step]),
                joins=tuple(one for one in before if reach >> place[one] & 1),
                condition=steps[step].condition,
                gated=steps[step].condition or step in skippable,
                failure=_failure(steps[step].on_failure),
            )
        )
    return tuple(plans)


def _after(order: Sequence[str], predecessors: Mapping[str, tuple[str, ...]]) -> list[int]:
    """For each place in the order, the places after it in D, as the bits of a number."""
    place = {step: number for number, step in enumerate(order)}
    after = [0] * len(order)
    for number in range(len(order) - 1, -1, -1):
        reached = after[number] | 1 << number
        for one in predecessors[order[number]]:
            after[place[one]] |= reached
    return after


def _skippable(
    order: Sequence[str],
    dependencies: Mapping[str, tuple[str, ...]],
    targeted: Mapping[str, list[int]],
    bypassed: Mapping[str, list[int]],
) -> set[str]:
    """The steps that routing may skip.

    ``causes`` has, for each step, routes of which one has fired when it was skipped, as the bits of a number; None
    for what may be skipped without any. When all dependencies of a step are skipped, no route to one of them fired:
    a step that depends on a handler and on what the handler stands in for always runs.
    """
    causes: dict[str, int | None] = {}
    for step in order:
        before = dependencies[step]
        to_these = _number(route for one in before for route in targeted[one])
        known = [cause & ~to_these for one in before if (cause := causes[one]) is not None]
        if targeted[step] or (before and not known):
            causes[step] = None
        else:
            causes[step] = _number(bypassed[step]) | min(known, key=int.bit_count, default=0)
    return {step for step, cause in causes.items() if cause != 0}


def _number(bits: Iterable[int]) -> int:
    number = 0
    for bit in bits:
        number |= 1 << bit
    return number


def _bits(number: int) -> Iterator[int]:
    while number:
        lowest = number & -number
        yield lowest.bit_length() - 1
        number ^= lowest


def _failure(on_failure: str | None) -> Failure:
    if on_failure is None or on_failure in ("fail", "retry"):
        return "fail"
    if on_failure == "continue":
        return "continue"
    return "skip" if on_failure == "skip" else "route"


def _routes(plan: RoutePlan, numbers: Sequence[int]) -> list[Route]:
    return [plan.routes[number] for number in numbers]


def _not_taken(plan: RoutePlan, own: StepPlan) -> str:
    names = [str(route) for route in _routes(plan, own.targeted_by)]
    return f"no route to it was taken: {_listed(names)}"


def _listed(names: Sequence[str], most: int = 4) -> str:
    """The names; many are cut short."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
