"""The rules of flow read aloud: a slow interpreter of one body, without a plan, that shares nothing with the compiler.

It knows the whole run at every step: every route that has fired so far, every end so far. Each question about the
graph is answered by walking it anew.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

Steps = Mapping[str, Mapping[str, Any]]
POLICIES = ("fail", "continue", "skip", "retry")


class Fired(NamedTuple):
    source: str
    key: str
    target: str | None


class End(NamedTuple):
    """How a step ended, and the fired routes that each suffice as its cause."""

    word: str
    causes: frozenset[Fired] = frozenset()


def routes_from(steps: Steps, source: str) -> set[tuple[str, str]]:
    """Keys and targets, policies left out; a handler is one more way of `on_failure`."""
    named = [(key, steps[source].get(key)) for key in ("on_success", "on_false", "on_failure")]
    named += [("on_failure", target) for target in steps[source].get("handlers", ())]
    return {(key, target) for key, target in named if target and target not in POLICIES}


def targets(steps: Steps, source: str) -> set[str]:
    return {target for _, target in routes_from(steps, source)}


def right_before(steps: Steps, step: str) -> set[str]:
    """Edges of D that end in the step."""
    found = {one for one in steps[step].get("dependencies", ()) if one in steps}
    return found | {source for source in steps if step in targets(steps, source)}


def everything_before(steps: Steps, step: str) -> set[str]:
    found: set[str] = set()
    grown = right_before(steps, step)
    while grown - found:
        found |= grown
        grown = set().union(*(right_before(steps, one) for one in found))
    return found


def comes_after(steps: Steps, step: str, other: str) -> bool:
    return other in everything_before(steps, step)


def has_cycle(steps: Steps) -> bool:
    return any(comes_after(steps, step, step) for step in steps)


def run(steps: Steps, false: Collection[str] = (), failing: Mapping[str, str] | None = None) -> dict[str, End]:
    """The end of every step; conditions of the steps ``false`` are false, the steps ``failing`` fail if they run.

    ``failing`` says which of its ways each failure takes: that of `on_failure`, or of one of its handlers.
    """
    failing = failing or {}
    ends: dict[str, End] = {}
    fired: list[Fired] = []
    while len(ends) < len(steps):
        step = next(one for one in steps if one not in ends and everything_before(steps, one) <= set(ends))
        ends[step] = end_of(steps, step, ends, fired, step in false, failing.get(step))
        word = ends[step].word
        for key, target in routes_from(steps, step):
            if word == "completed" and key == "on_success":
                fired.append(Fired(step, key, target))
            if word == "skipped: condition" and key == "on_false":
                fired.append(Fired(step, key, target))
            if word == "failed: routed" and key == "on_failure" and target == failing[step]:
                fired.append(Fired(step, key, target))
        if word == "failed: skip":
            fired.append(Fired(step, "on_failure", None))
    return ends


def end_of(
    steps: Steps, step: str, ends: Mapping[str, End], fired: list[Fired], is_false: bool, fails: str | None
) -> End:
    # fail: nothing after the step in D runs, a route's target included
    if any(end.word == "failed: unhandled" and comes_after(steps, step, one) for one, end in ends.items()):
        return End("not reached")
    to_it = frozenset(route for route in fired if route.target == step)
    if not to_it:  # a fired route is stronger than a bypass
        around_it = frozenset(route for route in fired if bypasses(steps, route, step))
        if around_it:  # a bypass is stronger than a join's own dependency
            return End("skipped: bypassed", around_it)
        if not has_reason(steps, step, ends):
            return End("skipped: routing")
    if is_false and steps[step].get("condition"):
        return End("skipped: condition", to_it)
    if fails is None:
        return End("completed", to_it)
    words = {"fail": "unhandled", "retry": "unhandled", "continue": "continue", "skip": "skip"}
    return End(f"failed: {words.get(fails, 'routed')}", to_it)


def bypasses(steps: Steps, route: Fired, step: str) -> bool:
    """Every step that comes after S in D, is not T and does not come after T."""
    if not comes_after(steps, step, route.source):
        return False
    return route.target is None or (step != route.target and not comes_after(steps, step, route.target))


def has_reason(steps: Steps, step: str, ends: Mapping[str, End]) -> bool:
    """Whether a step runs to which no route fired and which no route bypasses."""
    before = [one for one in steps[step].get("dependencies", ()) if one in steps]
    sources = [one for one in steps if step in targets(steps, one)]
    if sources:
        for dependency in before:
            did_run = ends[dependency].word == "completed" or ends[dependency].word.startswith("failed")
            if did_run and any(comes_after(steps, dependency, source) for source in sources):
                return True
        return False
    by_routing = [one for one in before if ends[one].word in ("skipped: routing", "skipped: bypassed")]
    return not before or len(set(by_routing)) < len(set(before))
