"""The routes that the steps of one body name, when they fire, and what can be wrong with them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from orchestrator_dagster.language.step import FAILURE_POLICIES
from orchestrator_dagster.text import nearest_name

RouteKey = Literal["on_success", "on_false", "on_failure"]
ROUTE_KEYS: tuple[RouteKey, ...] = ("on_success", "on_false", "on_failure")
_REPEAT = "routes go forward; to repeat steps use `retries`, or a loop (`while`, `until`)"


class State(str, Enum):
    """How a step ended, as far as the flow of the others depends on it."""

    COMPLETED = "completed"
    SKIPPED_BY_CONDITION = "skipped_by_condition"
    SKIPPED_BY_ROUTING = "skipped_by_routing"
    BYPASSED = "bypassed"
    FAILED_ROUTED = "failed_routed"
    FAILED_CONTINUED = "failed_continued"
    FAILED_SKIPPING = "failed_skipping"
    FAILED = "failed"
    NOT_REACHED = "not_reached"

    @property
    def ran(self) -> bool:
        """Whether it did its work, or failed at it and the run went on."""
        return self in (State.COMPLETED, State.FAILED_ROUTED, State.FAILED_CONTINUED, State.FAILED_SKIPPING)

    @property
    def skipped_by_routing(self) -> bool:
        """Whether routes kept it from running: no route went to it, or one bypassed it."""
        return self in (State.SKIPPED_BY_ROUTING, State.BYPASSED)

    @property
    def blocks(self) -> bool:
        """Whether nothing after it may run: its failure is unhandled, or one before it."""
        return self in (State.FAILED, State.NOT_REACHED)


_FIRED_BY = {
    "on_success": State.COMPLETED,
    "on_false": State.SKIPPED_BY_CONDITION,
    "on_failure": State.FAILED_ROUTED,
}


@dataclass(frozen=True)
class FlowStep:
    """What a step of a body says about flow. ``on_failure`` is a step's id or a policy, ``handlers`` are more of them.

    Which of several ways a failure takes is known when it has failed.
    """

    dependencies: tuple[str, ...] = ()
    condition: bool = False
    on_success: str | None = None
    on_false: str | None = None
    on_failure: str | None = None
    handlers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Route:
    """A way that a step's end can open. ``target`` is None for ``on_failure: skip``, a route to nowhere."""

    source: str
    key: RouteKey
    target: str | None

    def fires(self, state: State, taken: str | None = None) -> bool:
        """Whether it fires when its source ended so.

        Args:
            state: How the source ended.
            taken: The step that the source's failure went to, where several were possible.
        """
        if self.target is None:
            return state is State.FAILED_SKIPPING
        return state is _FIRED_BY[self.key] and (self.key != "on_failure" or taken is None or taken == self.target)

    def __str__(self) -> str:
        return f"{self.key} of step {self.source}"


@dataclass(frozen=True)
class RoutingProblem:
    """What is wrong with one route: the key ``key`` of ``step``.

    ``suggestion`` is the nearest valid name, ``hint`` the one next step.
    """

    code: Literal["unknown-step", "route-to-itself", "route-backward", "missing-condition"]
    message: str
    step: str
    key: RouteKey
    suggestion: str | None = None
    hint: str | None = None
    target: str | None = None


def routes_of(steps: Mapping[str, FlowStep], elsewhere: Mapping[str, str]) -> tuple[list[Route], list[RoutingProblem]]:
    """The routes whose target is a step of the body, or nowhere, and the problems of single routes.

    Args:
        steps: The steps of the body by id, in file order.
        elsewhere: Steps of other bodies by id, with where they stand.
    """
    routes: list[Route] = []
    problems: list[RoutingProblem] = []
    for step, flow in steps.items():
        ways: list[tuple[RouteKey, str | None]] = [(key, getattr(flow, key)) for key in ROUTE_KEYS]
        for key, target in dict.fromkeys((*ways, *(("on_failure", one) for one in flow.handlers))):
            if target is None:
                continue
            if key == "on_false" and not flow.condition:
                message = f'step "{step}" has `on_false` and no `condition` that could be false'
                hint = "add a `condition`, or use `on_success`"
                problems.append(RoutingProblem("missing-condition", message, step, key, hint=hint))
            if key == "on_failure" and target in FAILURE_POLICIES:
                if target == "skip":
                    routes.append(Route(step, key, None))
            elif target == step:
                message = f'step "{step}": `{key}` goes to the step itself'
                problems.append(RoutingProblem("route-to-itself", message, step, key, None, _REPEAT, target))
            elif target not in steps:
                problems.append(_unknown(step, key, target, steps, elsewhere))
            else:
                routes.append(Route(step, key, target))
    return routes, problems


def _unknown(
    step: str, key: RouteKey, target: str, steps: Mapping[str, FlowStep], elsewhere: Mapping[str, str]
) -> RoutingProblem:
    suggestion, hint = None, "name a step of the same body"
    if target in elsewhere:
        message = f'step "{step}": `{key}` names "{target}", which stands {elsewhere[target]}'
        hint = "routes stay within the top level, or within one loop's steps"
    elif target in FAILURE_POLICIES:
        message = f'step "{step}": `{key}` names "{target}", which is no step but a policy of `on_failure`'
    else:
        policies = FAILURE_POLICIES if key == "on_failure" else ()
        message = f'step "{step}": `{key}` names "{target}"; no step{" or policy" if policies else ""} is called so'
        suggestion = nearest_name(target, [*(one for one in steps if one != step), *policies])
        hint = f"name a step of the same body{', or a policy: ' + ', '.join(policies) if policies else ''}"
    return RoutingProblem("unknown-step", message, step, key, suggestion, hint, target)


def backward(dependencies: Mapping[str, tuple[str, ...]], routes: Sequence[Route]) -> Iterator[RoutingProblem]:
    """The routes that close a cycle, each added to D in turn.

    Args:
        dependencies: For each step of the body the steps it depends on.
        routes: Routes within the body, in the order of the file.
    """
    following: dict[str, dict[str, None]] = {step: {} for step in dependencies}
    for step, before in dependencies.items():
        for one in before:
            following[one][step] = None
    for route in routes:
        if route.target is None:
            continue
        path = _path(following, route.target, route.source)
        if path:
            message = (
                f'step "{route.source}": `{route.key}` goes back to "{route.target}", which comes before it: '
                f"{' → '.join([*path, route.target])}"
            )
            yield RoutingProblem("route-backward", message, route.source, route.key, None, _REPEAT, route.target)
        else:
            following[route.source][route.target] = None


def _path(following: Mapping[str, Collection[str]], first: str, last: str) -> list[str]:
    """A shortest path from one step to a later one, both included; empty where there is none."""
    came_from = {first: first}
    queue = [first]
    for step in queue:
        for one in following[step]:
            if one not in came_from:
                came_from[one] = step
                queue.append(one)
    path = [last] if last in came_from else []
    while path and path[-1] != first:
        path.append(came_from[path[-1]])
    return path[::-1]
