"""Flow: every sentence of the rules, and plan and decisions against a slow interpreter of the same rules."""

from __future__ import annotations

import runpy
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from orchestrator_dagster.compiler.routing import (
    Decision,
    FlowStep,
    Route,
    RoutePlan,
    RoutingProblem,
    State,
    decide,
    plan_routes,
)

reference = runpy.run_path(str(Path(__file__).with_name("reference_flow.py")))

WORDS = {
    State.COMPLETED: "completed",
    State.SKIPPED_BY_CONDITION: "skipped: condition",
    State.SKIPPED_BY_ROUTING: "skipped: routing",
    State.BYPASSED: "skipped: bypassed",
    State.FAILED: "failed: unhandled",
    State.FAILED_ROUTED: "failed: routed",
    State.FAILED_CONTINUED: "failed: continue",
    State.FAILED_SKIPPING: "failed: skip",
    State.NOT_REACHED: "not reached",
}
RAN, FALSE, UNROUTED, BYPASSED = (
    State.COMPLETED,
    State.SKIPPED_BY_CONDITION,
    State.SKIPPED_BY_ROUTING,
    State.BYPASSED,
)


def step(*dependencies: str, **keys: Any) -> FlowStep:
    return FlowStep(dependencies, condition=keys.pop("condition", "on_false" in keys), **keys)


def plan_of(**steps: FlowStep) -> RoutePlan:
    plan, problems = plan_routes(steps)
    assert not problems
    assert plan is not None
    return plan


def problems_of(*, elsewhere: Mapping[str, str] | None = None, **steps: FlowStep) -> tuple[RoutingProblem, ...]:
    plan, problems = plan_routes(steps, elsewhere=elsewhere)
    assert plan is None
    return problems


POLICIES = {
    "fail": State.FAILED,
    "retry": State.FAILED,
    "continue": State.FAILED_CONTINUED,
    "skip": State.FAILED_SKIPPING,
}


def execute(
    plan: RoutePlan,
    false: Collection[str] = (),
    failing: Collection[str] = (),
    order: Sequence[str] | None = None,
    ways: Mapping[str, str] | None = None,
) -> tuple[dict[str, State], dict[str, Decision]]:
    """Run a body as an executor does: each step sees the states it reads, the first ready one of ``order`` is next.

    ``ways`` says where the failures of steps with handlers go: to a step, or a policy.
    """
    taken: dict[str, str | None] = {}
    waiting = list(order or [one.id for one in plan.steps])
    states: dict[str, State] = {}
    decisions: dict[str, Decision] = {}
    while waiting:
        name = next(one for one in waiting if set(plan.by_id[one].reads) <= set(states))
        waiting.remove(name)
        own = plan.by_id[name]
        decision = decisions[name] = decide(name, plan, {one: states[one] for one in own.reads}, taken)
        if decision.state is not None:
            states[name] = decision.state
        elif own.condition and name in false:
            states[name] = FALSE
        elif name not in failing:
            states[name] = RAN
        elif ways and name in ways:
            states[name] = POLICIES.get(ways[name], State.FAILED_ROUTED)
            if states[name] is State.FAILED_ROUTED:
                taken[name] = ways[name]
        else:
            states[name] = own.failed
    return states, decisions


def ends(plan: RoutePlan, false: Collection[str] = (), failing: Collection[str] = ()) -> dict[str, State]:
    return execute(plan, false, failing)[0]


# --- Rule 1


def test_when_a_route_fires_every_step_after_its_source_that_is_not_after_its_target_is_bypassed() -> None:
    plan = plan_of(a=step(on_success="d"), b=step("a"), c=step("b"), d=step("c"), e=step("d"), side=step())
    states, decisions = execute(plan)
    assert states == {"a": RAN, "b": BYPASSED, "c": BYPASSED, "d": RAN, "e": RAN, "side": RAN}
    assert decisions["b"].reason == "the route on_success of step a goes to d"
    assert decisions["b"].route == decisions["d"].route == Route("a", "on_success", "d")


def test_what_comes_after_the_target_on_one_path_and_after_the_source_on_another_is_not_bypassed() -> None:
    plan = plan_of(a=step(on_success="t"), b=step("a"), t=step("a"), end=step("b", "t"))
    assert ends(plan) == {"a": RAN, "b": BYPASSED, "t": RAN, "end": RAN}


def test_what_comes_after_the_source_only_through_another_route_is_bypassed_too() -> None:
    plan = plan_of(a=step(on_success="t", on_failure="h"), t=step("a"), h=step(), clean=step("h"))
    assert ends(plan) == {"a": RAN, "t": RAN, "h": BYPASSED, "clean": BYPASSED}


def test_a_route_that_does_not_fire_bypasses_nothing() -> None:
    plan = plan_of(a=step(on_false="d"), b=step("a"), d=step("b"))
    assert ends(plan) == {"a": RAN, "b": RAN, "d": RAN}
    assert ends(plan, false="a") == {"a": FALSE, "b": BYPASSED, "d": RAN}


# --- Rule 2


def test_a_target_runs_if_a_route_to_it_fired() -> None:
    plan = plan_of(a=step(on_failure="h"), h=step())
    states, decisions = execute(plan, failing="a")
    assert states == {"a": State.FAILED_ROUTED, "h": RAN}
    assert decisions["h"].error_of == "a"


def test_a_target_runs_if_a_dependency_ran_that_comes_after_a_source() -> None:
    plan = plan_of(a=step(on_false="publish"), b=step("a"), publish=step("b"))
    states, decisions = execute(plan)
    assert states["publish"] == RAN
    assert decisions["publish"].route is None
    assert plan.by_id["publish"].joins == ("b",)


def test_otherwise_it_is_skipped() -> None:
    plan = plan_of(a=step(on_failure="h"), h=step())
    states, decisions = execute(plan)
    assert states == {"a": RAN, "h": UNROUTED}
    assert decisions["h"].reason == "no route to it was taken: on_failure of step a"


def test_a_dependency_before_or_beside_the_source_gives_values_and_no_reason_to_run() -> None:
    plan = plan_of(setup=step(), a=step("setup", on_failure="h"), beside=step("setup"), h=step("setup", "beside"))
    assert plan.by_id["h"].joins == ()
    assert ends(plan)["h"] == UNROUTED
    assert ends(plan, failing="a")["h"] == RAN


def test_an_error_handler_that_depends_on_its_source_runs_only_on_errors() -> None:
    plan = plan_of(a=step(on_failure="h"), h=step("a"))
    assert ends(plan)["h"] == UNROUTED
    assert ends(plan, failing="a")["h"] == RAN


def test_a_dependency_after_the_source_through_a_route_is_a_join_too() -> None:
    plan = plan_of(a=step(on_failure="h", on_success="end"), h=step(), end=step("h"))
    assert ends(plan, failing="a") == {"a": State.FAILED_ROUTED, "h": RAN, "end": RAN}
    assert ends(plan) == {"a": RAN, "h": BYPASSED, "end": RAN}


def test_a_join_that_failed_and_let_the_run_go_on_ran() -> None:
    plan = plan_of(a=step(on_false="end"), b=step("a", on_failure="continue"), end=step("b"))
    assert ends(plan, failing="b") == {"a": RAN, "b": State.FAILED_CONTINUED, "end": RAN}


def test_a_join_that_its_own_condition_skipped_did_not_run() -> None:
    plan = plan_of(a=step(on_false="end"), b=step("a", condition=True), end=step("b"))
    assert ends(plan, false="b") == {"a": RAN, "b": FALSE, "end": UNROUTED}


def test_one_fired_route_is_enough_when_the_source_of_the_other_was_skipped() -> None:
    plan = plan_of(a=step(on_success="t"), gone=step(condition=True, on_success="t"), t=step())
    assert ends(plan, false=["gone"]) == {"a": RAN, "gone": FALSE, "t": RAN}


def test_two_keys_of_a_step_may_name_one_target() -> None:
    plan = plan_of(a=step(on_success="t", on_failure="t"), t=step())
    _, completed = execute(plan)
    _, failed = execute(plan, failing="a")
    assert completed["t"] == Decision(route=Route("a", "on_success", "t"))
    assert failed["t"] == Decision(route=Route("a", "on_failure", "t"), error_of="a")


def test_a_target_reached_by_a_success_and_by_a_failure_reads_the_error() -> None:
    plan = plan_of(a=step(on_success="t"), b=step(on_failure="t"), t=step())
    decision = execute(plan, failing="b")[1]["t"]
    assert decision == Decision(route=Route("b", "on_failure", "t"), error_of="b")


# --- Rule 3


def test_a_step_whose_dependencies_were_all_skipped_by_routing_is_skipped_too() -> None:
    plan = plan_of(a=step(on_failure="h"), h=step(), report=step("h"), archive=step("report"))
    states, decisions = execute(plan)
    assert states == {"a": RAN, "h": UNROUTED, "report": UNROUTED, "archive": UNROUTED}
    assert decisions["report"].reason == "routing skipped what it depends on: h"
    assert plan.by_id["report"].gated
    assert plan.by_id["archive"].gated


def test_bypassed_dependencies_skip_a_step_that_no_route_bypasses_itself() -> None:
    plan = plan_of(
        a=step(on_success="t"),
        b=step(on_success="u"),
        t=step(),
        u=step(),
        left=step("t", "b"),
        right=step("u", "a"),
        end=step("left", "right"),
    )
    assert plan.by_id["end"].bypassed_by == ()
    assert plan.by_id["end"].gated
    states = ends(plan)
    assert (states["left"], states["right"], states["end"]) == (BYPASSED, BYPASSED, UNROUTED)


def test_one_dependency_that_was_not_skipped_by_routing_is_enough() -> None:
    plan = plan_of(a=step(on_failure="h"), h=step(), end=step("a", "h"))
    assert ends(plan) == {"a": RAN, "h": UNROUTED, "end": RAN}


def test_a_dependency_skipped_by_its_own_condition_does_not_skip_its_dependents() -> None:
    plan = plan_of(a=step(condition=True), b=step("a"))
    assert ends(plan, false="a") == {"a": FALSE, "b": RAN}


def test_a_dependency_skipped_by_its_own_condition_is_not_skipped_by_routing() -> None:
    plan = plan_of(a=step(on_failure="h"), h=step(), c=step(condition=True), end=step("h", "c"))
    assert ends(plan, false="c")["end"] == RAN


def test_a_false_condition_skips_the_step_and_fires_on_false() -> None:
    plan = plan_of(a=step(on_false="other"), other=step(), b=step("a"))
    assert ends(plan, false="a") == {"a": FALSE, "other": RAN, "b": BYPASSED}
    assert ends(plan) == {"a": RAN, "other": UNROUTED, "b": RAN}


def test_a_step_skipped_by_routing_fires_nothing() -> None:
    plan = plan_of(
        a=step(on_success="end"), b=step("a", on_false="x", on_success="y", on_failure="z"), x=step(), y=step(),
        z=step(), end=step(),
    )  # fmt: skip
    assert ends(plan, false="b", failing="b") == {
        "a": RAN, "b": BYPASSED, "x": BYPASSED, "y": BYPASSED, "z": BYPASSED, "end": RAN,
    }  # fmt: skip
    plan = plan_of(a=step(on_failure="h"), h=step(on_false="x", on_success="y"), x=step(), y=step(), after=step("y"))
    assert set(ends(plan, false="h").values()) == {RAN, UNROUTED}


# --- Rule 4


def test_a_fired_route_is_stronger_than_a_bypass() -> None:
    plan = plan_of(a=step(on_success="d"), b=step("a"), c=step("b"), d=step("c"), watch=step(on_success="b"))
    assert ends(plan) == {"a": RAN, "watch": RAN, "b": RAN, "c": BYPASSED, "d": RAN}


def test_a_bypass_is_stronger_than_a_joins_own_dependency() -> None:
    plan = plan_of(
        a=step(on_false="join"),
        b=step("a"),
        watch=step(on_success="end"),
        mid=step("watch"),
        join=step("b", "mid"),
        end=step(),
    )
    assert plan.by_id["join"].joins == ("b",)
    assert ends(plan) == {"a": RAN, "b": RAN, "watch": RAN, "mid": BYPASSED, "join": BYPASSED, "end": RAN}


def test_a_step_after_a_target_that_a_route_saved_stays_bypassed_unless_a_route_goes_to_it() -> None:
    plan = plan_of(
        a=step(on_success="d"), b=step("a", on_success="c"), c=step("b"), d=step(), watch=step(on_success="b")
    )
    assert ends(plan) == {"a": RAN, "watch": RAN, "b": RAN, "c": RAN, "d": RAN}


# --- Rule 5


def test_an_unknown_target_is_an_error_with_the_nearest_name() -> None:
    (problem,) = problems_of(a=step(on_success="publsh"), publish=step("a"))
    assert (problem.code, problem.step, problem.key) == ("unknown-step", "a", "on_success")
    assert problem.suggestion == "publish"
    assert '"publsh"' in problem.message


def test_an_unknown_policy_is_an_error_with_the_nearest_policy() -> None:
    (problem,) = problems_of(a=step(on_failure="contineu"))
    assert problem.suggestion == "continue"
    assert "no step or policy" in problem.message
    assert problem.hint is not None
    assert "fail, continue, skip, retry" in problem.hint


def test_a_policy_belongs_to_on_failure() -> None:
    (problem,) = problems_of(a=step(on_success="skip"))
    assert problem.code == "unknown-step"
    assert "policy of `on_failure`" in problem.message


def test_a_target_in_another_body_is_unknown_here() -> None:
    (problem,) = problems_of(a=step(on_success="inner"), elsewhere={"inner": 'inside the loop "each"'})
    assert problem.code == "unknown-step"
    assert 'inside the loop "each"' in problem.message


@pytest.mark.parametrize("key", ["on_success", "on_failure", "on_false"])
def test_a_route_to_itself_is_an_error(key: str) -> None:
    (problem,) = problems_of(a=step(**{key: "a"}))
    assert (problem.code, problem.step, problem.key) == ("route-to-itself", "a", key)


def test_a_route_backward_is_an_error_that_shows_the_path() -> None:
    (problem,) = problems_of(a=step(), b=step("a"), c=step("b", on_failure="a"))
    assert (problem.code, problem.step, problem.key) == ("route-backward", "c", "on_failure")
    assert "a → b → c → a" in problem.message


def test_routes_that_only_together_make_a_cycle_go_backward_at_the_last() -> None:
    (problem,) = problems_of(a=step(on_success="b"), b=step(on_failure="c"), c=step(on_success="a"), d=step())
    assert (problem.step, problem.key) == ("c", "on_success")
    assert "a → b → c → a" in problem.message


def test_on_false_without_a_condition_is_an_error() -> None:
    (problem,) = problems_of(a=FlowStep(on_false="b"), b=step())
    assert (problem.code, problem.step, problem.key) == ("missing-condition", "a", "on_false")


def test_all_problems_are_found_at_once_in_file_order() -> None:
    found = problems_of(
        a=step(on_success="nowhere"), b=step("a", on_success="a", on_failure="b"), c=FlowStep(("b",), on_false="zzz")
    )
    assert [(one.step, one.key, one.code) for one in found] == [
        ("a", "on_success", "unknown-step"),
        ("b", "on_success", "route-backward"),
        ("b", "on_failure", "route-to-itself"),
        ("c", "on_false", "missing-condition"),
        ("c", "on_false", "unknown-step"),
    ]


def test_a_cycle_of_dependencies_alone_gives_no_plan_and_no_problem_of_routing() -> None:
    assert problems_of(a=step("b", on_success="c"), b=step("a"), c=step()) == ()
    assert problems_of(a=step("a")) == ()


# --- Failure


def test_fail_lets_nothing_after_the_step_run_a_routes_target_included() -> None:
    plan = plan_of(a=step(on_success="t"), b=step("a"), t=step(), x=step("t"), watch=step(on_success="b"), side=step())
    states, decisions = execute(plan, failing="a")
    stopped = State.NOT_REACHED
    assert states == {"a": State.FAILED, "b": stopped, "t": stopped, "x": stopped, "watch": RAN, "side": RAN}
    assert decisions["b"].reason == "step a failed"
    assert decisions["x"].reason == "step t was not reached"


@pytest.mark.parametrize("policy", [None, "fail", "retry"])
def test_fail_is_the_default_and_retry_is_fail_when_the_retries_are_over(policy: str | None) -> None:
    plan = plan_of(a=step(on_failure=policy), b=step("a"))
    assert ends(plan, failing="a") == {"a": State.FAILED, "b": State.NOT_REACHED}
    assert not plan.by_id["b"].gated
    assert plan.routes == ()


def test_continue_lets_dependents_run_and_fires_no_on_success() -> None:
    plan = plan_of(a=step(on_failure="continue", on_success="t"), b=step("a"), t=step("a"), side=step("b"))
    assert ends(plan, failing="a") == {"a": State.FAILED_CONTINUED, "b": RAN, "t": UNROUTED, "side": RAN}


def test_skip_is_a_route_to_nowhere() -> None:
    plan = plan_of(a=step(on_failure="skip", on_success="t"), b=step("a"), t=step(), end=step("b", "side"), side=step())
    states, decisions = execute(plan, failing="a")
    failed = State.FAILED_SKIPPING
    assert states == {"a": failed, "b": BYPASSED, "t": BYPASSED, "end": BYPASSED, "side": RAN}
    assert decisions["b"].reason == "on_failure of step a is skip, and it failed"
    assert plan.by_id["b"].gated
    assert not plan.by_id["side"].gated


def test_skip_is_weaker_than_a_fired_route_from_elsewhere() -> None:
    plan = plan_of(a=step(on_failure="skip"), b=step("a"), watch=step(on_success="b"))
    assert ends(plan, failing="a") == {"a": State.FAILED_SKIPPING, "watch": RAN, "b": RAN}


def test_routing_to_a_step_handles_the_failure() -> None:
    plan = plan_of(a=step(on_failure="h"), b=step("a"), h=step("a"), end=step("b", "h"))
    assert ends(plan, failing="a") == {"a": State.FAILED_ROUTED, "b": BYPASSED, "h": RAN, "end": RAN}
    assert ends(plan) == {"a": RAN, "b": RAN, "h": UNROUTED, "end": RAN}


def test_of_several_handlers_the_one_that_was_taken_counts() -> None:
    plan = plan_of(
        a=step(handlers=("h", "g", "continue")), b=step("a"), h=step("a"), g=step("a"), end=step("b", "h", "g")
    )
    assert [str(route) for route in plan.routes] == ["on_failure of step a"] * 2
    ran, skipped, passed = RAN, UNROUTED, BYPASSED

    def after(way: str) -> list[State]:
        return list(execute(plan, failing="a", ways={"a": way})[0].values())[1:]

    assert [one.id for one in plan.steps] == ["a", "b", "h", "g", "end"]
    assert after("h") == [passed, ran, passed, ran]
    assert after("g") == [passed, passed, ran, ran]
    assert after("continue") == [ran, skipped, skipped, ran]
    assert after("fail") == [State.NOT_REACHED] * 4
    assert list(ends(plan).values()) == [ran, ran, skipped, skipped, ran]
    _, decisions = execute(plan, failing="a", ways={"a": "g"})
    assert (decisions["g"].error_of, decisions["h"].error_of) == ("a", None)
    assert decisions["h"].reason == "the route on_failure of step a goes to g"


def test_a_handler_that_skips_is_a_route_to_nowhere() -> None:
    plan = plan_of(a=step(on_failure="h", handlers=("skip",)), b=step("a"), h=step())
    states, _ = execute(plan, failing="a", ways={"a": "skip"})
    assert states == {"a": State.FAILED_SKIPPING, "b": BYPASSED, "h": BYPASSED}
    assert ends(plan, failing="a") == {"a": State.FAILED_ROUTED, "b": BYPASSED, "h": RAN}


# --- The plan


def test_a_step_without_routes_around_it_is_a_plain_op() -> None:
    plan = plan_of(a=step(), b=step("a"), c=step("b", condition=True), d=step("c"))
    assert {one.id: one.gated for one in plan.steps} == {"a": False, "b": False, "c": True, "d": False}
    assert plan.by_id["d"].reads == ("c",)


def test_a_step_that_depends_on_a_handler_and_on_what_it_stands_in_for_is_a_plain_op() -> None:
    plan = plan_of(a=step(on_failure="h"), b=step("a"), h=step("a"), end=step("b", "h"), mail=step("end"))
    assert [one.id for one in plan.steps if one.gated] == ["b", "h"]
    plan = plan_of(a=step(on_failure="h"), b=step("a", on_failure="skip"), h=step("a"), c=step("b"), end=step("c", "h"))
    assert [one.id for one in plan.steps if one.gated] == ["b", "h", "c", "end"]


def test_a_plan_has_edges_levels_and_what_each_decision_reads() -> None:
    plan = plan_of(a=step(on_failure="h"), b=step("a"), c=step("b"), h=step(), end=step("c", "h"))
    assert plan.levels == (("a",), ("b", "h"), ("c",), ("end",))
    assert plan.edges == {"a": (), "b": ("a",), "h": ("a",), "c": ("b",), "end": ("c", "h")}
    assert plan.by_id["c"].reads == ("b", "a")
    assert plan.by_id["c"].bypassed_by == (0,)
    assert plan.by_id["end"].bypassed_by == ()
    assert plan.by_id["h"].targeted_by == (0,)
    assert plan.by_id["h"].bypassed_by == ()
    assert [one.id for one in plan.steps if one.gated] == ["b", "h", "c"]


def test_decide_without_a_state_it_reads_is_an_error() -> None:
    plan = plan_of(a=step(), b=step("a"))
    with pytest.raises(KeyError, match="a"):
        decide("b", plan, {})


def test_dependencies_outside_the_body_are_no_flow() -> None:
    assert plan_of(a=step("outer")).by_id["a"].dependencies == ()


def test_ten_thousand_steps_in_a_chain_need_no_recursion() -> None:
    steps = {f"s{number}": step(*([f"s{number - 1}"] if number else [])) for number in range(10_000)}
    steps["s0"] = step(on_failure="s9999")
    plan, _ = plan_routes(steps)
    assert plan is not None
    assert plan.by_id["s9998"].bypassed_by == (0,)
    back = {**steps, "s9999": step("s9998", on_failure="s1")}
    _, problems = plan_routes(back)
    assert [one.code for one in problems] == ["route-backward"]


# --- Against the reference


@st.composite
def bodies(draw: st.DrawFn, forward: bool = True) -> dict[str, FlowStep]:
    """Up to 12 steps in any file order; routes and dependencies forward in the order of the names, or anywhere."""
    count = draw(st.sampled_from(range(12, 0, -1)))
    names = [f"s{number}" for number in range(count)]
    found: dict[str, FlowStep] = {}
    # Of 12 + none chances: where everything is a target or bypassed, joins and chains of skips are rare.
    none = draw(st.sampled_from((12, 36, 84)))
    for number, name in enumerate(names):
        later = names[number + 1 :] if forward else names
        target = st.sampled_from([None] * none + later * (12 // len(later))) if later else st.none()
        near = st.sampled_from(names[max(0, number - 4) : number]) if number else st.nothing()
        before = st.lists(near, min_size=min(number, draw(st.integers(0, 1))), max_size=3 if number else 0)
        condition = draw(st.booleans())
        handlers = st.lists(target | st.sampled_from(tuple(POLICIES)), max_size=draw(st.sampled_from((0, 0, 3))))
        found[name] = FlowStep(
            tuple(draw(before)),
            condition,
            on_success=draw(target),
            on_false=draw(target) if condition else None,
            on_failure=draw(target | target | st.sampled_from(tuple(POLICIES))),
            handlers=tuple(one for one in draw(handlers) if one),
        )
    return {name: found[name] for name in draw(st.permutations(names))}


Run = tuple[dict[str, FlowStep], list[str], dict[str, str], list[str]]


@st.composite
def runs(draw: st.DrawFn) -> Run:
    """A body, the steps whose condition is false, the ways that failures take, and an order of preference."""
    steps = draw(bodies())
    some = st.lists(st.sampled_from(sorted(steps)), max_size=3)
    ways = {}
    for name in draw(some):
        flow = steps[name]
        ways[name] = draw(st.sampled_from((flow.on_failure or "fail", *flow.handlers)))
    return steps, draw(some), ways, draw(st.permutations(sorted(steps)))


@given(runs())
@settings(max_examples=300, deadline=None)
def test_plan_and_decisions_agree_with_the_reference_in_every_order(
    drawn: Run,
) -> None:
    steps, false, failing, order = drawn
    plan, problems = plan_routes(steps)
    assert not problems
    assert plan is not None
    states, decisions = execute(plan, false, failing, order, failing)
    expected = reference["run"]({name: asdict(flow) for name, flow in steps.items()}, false, failing)
    assert {name: WORDS[state] for name, state in states.items()} == {name: end.word for name, end in expected.items()}
    for name, decision in decisions.items():
        causes = {tuple(cause) for cause in expected[name].causes}
        route = decision.route
        assert (route is None) == (not causes)
        assert route is None or (route.source, route.key, route.target) in causes
        assert decision.go == (decision.reason is None)
        errors = {source for source, key, _ in causes if key == "on_failure"} if decision.go else set()
        assert decision.error_of in errors if errors else decision.error_of is None
    assert states == execute(plan, false, failing, ways=failing)[0]
    for own in plan.steps:
        assert own.gated or WORDS[states[own.id]].split(":")[0] != "skipped"


@given(bodies(forward=False))
@settings(max_examples=100, deadline=None)
def test_a_body_has_a_plan_exactly_when_no_route_closes_a_cycle(steps: dict[str, FlowStep]) -> None:
    plan, problems = plan_routes(steps)
    plain = {name: asdict(flow) for name, flow in steps.items()}
    assert (plan is None) == reference["has_cycle"](plain)
    assert (plan is None) == bool(problems)
    for problem in problems:
        said = plain[problem.step]
        if said[problem.key] == problem.target:
            said[problem.key] = None
        if problem.key == "on_failure":
            said["handlers"] = [one for one in said["handlers"] if one != problem.target]
    assert not reference["has_cycle"](plain)
    if plan is not None:
        seen: set[str] = set()
        for level in plan.levels:
            assert all(reference["right_before"](plain, name) <= seen for name in level)
            seen.update(level)
        assert [name for level in plan.levels for name in level] == [own.id for own in plan.steps]


@given(bodies())
@settings(max_examples=50, deadline=None)
def test_a_plan_is_the_same_after_a_way_through_json(steps: dict[str, FlowStep]) -> None:
    plan, _ = plan_routes(steps)
    assert plan is not None
    adapter = TypeAdapter(RoutePlan)
    again = adapter.validate_json(adapter.dump_json(plan))
    assert again == plan
    assert hash(again) == hash(plan)
