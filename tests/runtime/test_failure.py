"""Failures in place: handlers, fallbacks, retries, what is permanent, what is kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from orchestrator_dagster.compiler.routes import State
from orchestrator_dagster.errors import HttpStatusError, ModelRateLimitError, StepInterruptedError
from orchestrator_dagster.language.settings import Retries
from orchestrator_dagster.runtime.in_place import delay_before


def failing(handlers: str, how: str = "own", more: str = "", fail: int = 99) -> str:
    return f"""inputs: {{word: perhaps}}
steps:
  - id: a
    tool: probe
    parameters: {{name: a, fail: {fail}, how: {how}, value: fine}}
    failure_handlers: [{handlers}]
{more}  - {{id: b, action: echo, dependencies: [a], parameters: {{message: "{{{{ a | default('absent') }}}}"}}}}
"""


@pytest.mark.parametrize(
    ("handlers", "value"),
    [
        ("{errors: [ToolError], fallback: 1}", 1),  # its own class
        ("{errors: StepError, fallback: 1}", 1),  # a class above it
        ("{errors: [OrchestratorError], fallback: 1}", 1),
        ("{errors: [OwnError], fallback: 1}", 1),  # the class of its cause
        ("{errors: [ConnectionError], fallback: 1}", 1),  # a class above that
        ("{errors: [builtins.OSError], fallback: 1}", 1),
        ("{errors: connection, fallback: 1}", 1),
        ("{errors: [Exception], fallback: 1}", 1),
        ("{errors: ['*'], fallback: 1}", 1),
        ("{fallback: 1}", 1),
        ("{errors: [ValueError], fallback: 1}, {errors: [ConnectionError], fallback: 2}", 2),
        ("{errors: [ConnectionError], fallback: 1}, {fallback: 2}", 1),  # the first that fits
        ("{errors: [TimeoutError, OwnError], fallback: 1}", 1),
        ("{fallback: null}", None),
        ("{fallback: {deep: [1, 2]}}", {"deep": [1, 2]}),
        ("{fallback: '{{ word }}'}", "perhaps"),
    ],
)
def test_the_first_handler_that_fits(flow: Any, handlers: str, value: Any) -> None:
    found = flow(failing(handlers))
    assert (found["a"].status, found["a"].state, found["a"].value) == ("completed", State.COMPLETED, value)
    assert "a failed at call 1" in found["a"].error.message
    assert found["b"].value == value
    assert found["a"].failures == ()


@pytest.mark.parametrize("handlers", ["{errors: [ValueError], fallback: 1}", "{errors: [ModelError], goto: skip}"])
def test_no_handler_fits(flow: Any, handlers: str) -> None:
    found = flow(failing(handlers))
    assert found["a"].state is State.FAILED
    assert found["b"].state is State.NOT_REACHED


@pytest.mark.parametrize(
    ("goto", "state", "after"),
    [
        ("continue", State.FAILED_CONTINUED, State.COMPLETED),
        ("skip", State.FAILED_SKIPPING, State.BYPASSED),
        ("fail", State.FAILED, State.NOT_REACHED),
        ("c", State.FAILED_ROUTED, State.BYPASSED),
    ],
)
def test_a_handler_goes_to_a_step_or_is_a_policy(flow: Any, goto: str, state: State, after: State) -> None:
    more = (
        "  - {id: c, action: echo, parameters: {message: '{{ error.message | default(0) }}'}}\n" if goto == "c" else ""
    )
    found = flow(failing(f"{{errors: [OSError], goto: {goto}, message: the line is dead}}", more=more))
    assert (found["a"].state, found["b"].state) == (state, after)
    assert found["a"].error.note == "the line is dead"
    if goto == "c":
        assert "a failed at call 1" in found["c"].value


def test_a_handler_is_stronger_than_the_policy_and_only_for_its_errors(flow: Any) -> None:
    text = failing("{errors: [ValueError], goto: skip}", more="    on_failure: continue\n")
    assert flow(text)["a"].state is State.FAILED_CONTINUED
    assert flow(text.replace("how: own", "how: value"))["a"].state is State.FAILED_SKIPPING


def test_a_message_alone_changes_nothing_but_the_note(flow: Any) -> None:
    found = flow(failing("{message: known trouble}", more="    on_failure: continue\n"))
    assert (found["a"].state, found["a"].error.note) == (State.FAILED_CONTINUED, "known trouble")
    found = flow(failing("{message: 'no {{ word }}'}", more="    on_failure: continue\n"))
    assert found["a"].error.note == "no perhaps"


VARS = "    vars: {score: {type: number, maximum: 1}, note: {type: string}}\n"


def test_a_fallback_fills_the_variables(flow: Any) -> None:
    more = VARS + "  - {id: c, action: echo, parameters: {message: '{{ score }} {{ a.note }}'}}\n"
    found = flow(failing("{fallback: {score: 0.5, note: none}}", more=more))
    assert found["a"].variables == {"score": 0.5, "note": "none"}
    assert found["c"].value == "0.5 none"


def test_a_fallback_that_does_not_fit_fails_the_step_alone(flow: Any) -> None:
    text = """steps:
  - id: each
    for_each: [0, 99]
    on_item_failure: skip
    steps:
      - id: a
        tool: probe
        parameters: {name: "a{{ item }}", fail: "{{ item }}", value: {score: 1, note: x}}
        vars: {score: {type: number, maximum: 1}, note: {type: string}}
        failure_handlers: [{fallback: {score: "{{ item }}", note: x}}]
"""
    found = flow(text)["each"]
    assert [one.status for one in found.iterations] == ["completed", "failed"]
    error = found.iterations[1].error
    assert error.type == "VariablesError"
    assert "the fallback cannot be used" in error.message
    assert "a99 failed at call 1" in error.message  # why it was needed


def test_a_failing_product_is_handled(flow: Any) -> None:
    text = """steps:
  - id: a
    action: echo
    parameters: {message: 5}
    vars: {n: {type: integer}}
    products: {n: n.csv}
    on_failure: continue
"""
    assert flow(text)["a"].error.type == "ProductError"


def test_handlers_of_the_header_come_after_those_of_the_step_and_never_lead_back(flow: Any) -> None:
    text = """failure_handlers: [{errors: [ConnectionError], goto: rescue}, {errors: [ValueError], fallback: header}]
steps:
  - {id: a, tool: probe, parameters: {name: a, fail: 9, how: %s}, failure_handlers: [{errors: [OwnError], fallback: own}]}
  - {id: rescue, action: echo, parameters: {message: rescued}}
  - {id: later, tool: probe, dependencies: [rescue], parameters: {name: later, fail: 9, how: connection}}
"""
    assert flow(text % "own")["a"].value == "own"
    assert flow(text % "value")["a"].value == "header"
    found = flow(text % "connection")
    assert (found["a"].state, found["rescue"].value) == (State.FAILED_ROUTED, "rescued")
    # what comes after the handler cannot go back to it: its failure is unhandled and not swallowed
    assert found["later"].state is State.FAILED


RETRIED = """steps:
  - {id: a, tool: probe, retries: %s, parameters: {name: a, fail: %d, how: %s, value: fine}, on_failure: continue}
"""


@pytest.mark.parametrize(
    ("retries", "fail", "how", "calls", "works"),
    [
        ("2", 2, "runtime", 3, True),
        ("2", 9, "runtime", 3, False),
        ("2", 1, "polite", 2, True),
        ("3", 9, "permanent", 1, False),
        ("0", 1, "runtime", 1, False),
        ("{max: 2, delay: 0.001s, backoff: exponential, jitter: full}", 2, "runtime", 3, True),
        ("{max: 2, delay: 0.001s, backoff: linear, jitter: plus_minus}", 2, "runtime", 3, True),
    ],
)
def test_retries(flow: Any, retries: str, fail: int, how: str, calls: int, works: bool) -> None:
    found = flow(RETRIED % (retries, fail, how))["a"]
    assert flow.calls == ["a"] * calls
    assert found.attempts == calls
    assert found.status == ("completed" if works else "failed")
    assert found.error is None if works else found.error.attempts == calls
    assert sum("is tried again in" in line for line in flow.said) == calls - 1


def test_the_policy_retry_is_two_retries_and_then_fail(flow: Any) -> None:
    text = """steps:
  - {id: a, tool: probe, on_failure: retry, parameters: {name: a, fail: 9}}
  - {id: each, for_each: [1], on_failure: retry, steps: [{id: b, tool: probe, parameters: {name: b, fail: 2, value: 7}}]}
  - {id: c, tool: probe, on_failure: retry, retries: 3, parameters: {name: c, fail: 3, value: 7}}
"""
    found = flow(text)
    assert (found["a"].state, found["a"].attempts) == (State.FAILED, 3)
    assert (found["each"].value, found["each"].attempts) == ([7], 3)
    assert found["c"].value == 7
    assert [flow.calls.count(one) for one in "abc"] == [3, 3, 4]


def test_a_loop_is_tried_again_unless_what_failed_inside_is_permanent(flow: Any) -> None:
    text = "steps:\n  - {id: e, for_each: [1], retries: 3, steps: [{id: b, tool: probe, parameters: {name: b, fail: 9, how: %s}}]}\n"
    assert flow(text % "runtime")["e"].attempts == 4
    assert flow(text % "permanent")["e"].attempts == 1


def test_a_condition_is_not_tried_again(flow: Any) -> None:
    text = "inputs: {word: perhaps}\nsteps:\n  - {id: a, tool: probe, retries: 3, condition: word, parameters: {name: a}}\n"
    assert flow(text)["a"].attempts == 1
    assert not flow.calls


@pytest.mark.parametrize(
    ("policy", "delays"),
    [
        (Retries(max=3, delay=2.0), [2, 2, 2]),
        (Retries(max=3, delay=2.0, backoff="linear"), [2, 4, 6]),
        (Retries(max=3, delay=2.0, backoff="exponential"), [2, 6, 14]),
        (Retries(max=3), [0, 0, 0]),
        (Retries(max=3, backoff="linear"), [1, 2, 3]),
        (Retries(max=100, delay=60.0, backoff="exponential"), [60, 180, 420]),
    ],
)
def test_delays_are_those_of_dagster(policy: Retries, delays: list[float]) -> None:
    from orchestrator_dagster.definitions.steps.step_context import retry_policy

    made = retry_policy(policy)
    assert made is not None
    for attempt, delay in enumerate(delays, 1):
        assert delay_before(policy, attempt) == delay == made.calculate_delay(attempt)


def test_jitter_and_limits_of_delays() -> None:
    full = [delay_before(Retries(max=1, delay=4.0, jitter="full"), 1) for _ in range(200)]
    around = [delay_before(Retries(max=1, delay=4.0, jitter="plus_minus"), 1) for _ in range(200)]
    assert 0 <= min(full) < 2 < max(full) <= 4
    assert 0 <= min(around) < 3 < 5 < max(around) <= 8
    assert delay_before(Retries(max=100, delay=60.0, backoff="exponential"), 90) == 3600
    assert delay_before(Retries(max=1), 1, ModelRateLimitError("slow", retry_after=7.5)) == 7.5
    assert delay_before(Retries(max=1), 1, HttpStatusError("slow", status=429, retry_after=7.5)) == 7.5


def test_the_wait_before_a_retry_ends_when_the_run_is_stopped(flow: Any) -> None:
    """An hour's delay; the run is stopped as soon as the wait begins."""
    pipeline = flow.compile(RETRIED % ("{max: 1, delay: 1h}", 9, "runtime"))
    services = replace(flow.services, interrupted=lambda: any("tried again" in line for line in flow.said))
    with pytest.raises(StepInterruptedError):
        flow.run(pipeline, services)
    assert flow.calls == ["a"]


def test_a_stopped_run_starts_nothing(flow: Any) -> None:
    pipeline = flow.compile(RETRIED % ("0", 0, "runtime"))
    with pytest.raises(StepInterruptedError):
        flow.run(pipeline, replace(flow.services, interrupted=lambda: True))
    assert flow.calls == []


def test_a_secret_is_in_no_error(flow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIN", "swordfish-4711")
    text = """inputs: {pin: {type: secret, required: true}}
steps:
  - {id: a, tool: probe, on_failure: b, parameters: {name: "{{ pin }}", fail: 9, how: connection}}
  - {id: b, action: echo, parameters: {message: "{{ error.message }} {{ a.error }}"}}
"""
    found = flow(text, pin="PIN")
    assert flow.calls == ["swordfish-4711"]
    assert "swordfish" not in "".join(one.model_dump_json() for one in found.values())
    assert "failed at call 1" in found["b"].value
