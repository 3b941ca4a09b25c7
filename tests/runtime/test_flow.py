"""Flow inside one body, in place: conditions, routes, what the steps after them see."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator_dagster.compiler.routes import State
from orchestrator_dagster.runtime.outcome import Outcome
from orchestrator_dagster.runtime.record import run_record
from tests.runtime.conftest import RUN

INPUTS = "inputs: {given: 3, word: perhaps, blank: {type: string, required: false}, items: [1, 2]}\n"


def echo(name: str, more: str = "", message: str = "'x'") -> str:
    return f"  - {{id: {name}, action: echo, parameters: {{message: {message}}}{', ' if more else ''}{more}}}\n"


def tool(name: str, more: str = "", how: str = "runtime", fail: int = 99) -> str:
    return (
        f"  - {{id: {name}, tool: probe, parameters: {{name: {name}, fail: {fail}, how: {how}}}"
        f"{', ' if more else ''}{more}}}\n"
    )


def words(outcomes: dict[str, Outcome]) -> dict[str, str]:
    return {name: one.state.value for name, one in outcomes.items()}


@pytest.mark.parametrize(
    ("condition", "runs"),
    [
        ("given > 2", True),
        ("given == 4", False),
        ("blank is None", True),
        ("blank == null", True),
        ("inputs.blank is None", True),
        ("parameters.blank is None and given", True),
        ("blank", False),
        ("not blank", True),
        ("len(items) == 2", True),
        ("{{ items | length > 5 }}", False),
        ("{{ blank is none }}", True),
        ("{{ given }} == 3", True),
        ("true", True),
        ("false", False),
        ("'yes' if given else 'no'", True),
        ("word", None),
        ("maybe.value == 1", None),
        ("maybe", None),
        ("not maybe", True),
        ("maybe.skipped", True),
        ("maybe.status == 'skipped'", True),
        ("maybe.result.deep[0] or given == 3", True),
        ("items[9] == 1", None),
        ("given.name", None),
        ("$given >= 3", True),
    ],
)
def test_conditions(flow: Any, condition: str, runs: bool | None) -> None:
    """None: it cannot be evaluated, and fails the step instead of skipping it."""
    text = f"{INPUTS}steps:\n{echo('maybe', 'condition: given > 99')}{echo('asked', f'condition: {json.dumps(condition)}')}"
    found = flow(text)["asked"]
    if runs is None:
        assert (found.status, found.state) == ("failed", State.FAILED)
        assert found.error.type == "ConditionError"
        assert found.error.location == "pipelines/p.yaml:5:5"
    else:
        assert found.status == ("completed" if runs else "skipped"), found.error
        if not runs:
            assert found.reason.startswith("its condition is false: ")


def test_a_condition_over_a_skipped_step_says_why_it_was_skipped(flow: Any) -> None:
    found = flow(f"{INPUTS}steps:\n{echo('maybe', 'condition: given > 99')}{echo('asked', 'condition: maybe > 2')}")
    assert 'step "maybe" was skipped because its condition is false: given > 99' in found["asked"].error.message


def test_a_condition_that_fails_is_a_failure_like_any_other(flow: Any) -> None:
    text = f"{INPUTS}steps:\n{echo('a', 'condition: word, on_false: b, on_failure: c')}{echo('b')}{echo('c')}"
    assert words(flow(text)) == {"a": "failed_routed", "b": "bypassed", "c": "completed"}


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (echo("a", "on_success: d"), "completed bypassed bypassed completed completed"),
        (echo("a", "condition: given > 9, on_false: d"), "skipped_by_condition bypassed bypassed completed completed"),
        (echo("a", "condition: given > 2, on_false: d"), "completed completed completed completed completed"),
        (tool("a", "on_failure: d"), "failed_routed bypassed bypassed completed completed"),
        (tool("a", "on_failure: skip"), "failed_skipping bypassed bypassed bypassed bypassed"),
        (tool("a", "on_failure: continue"), "failed_continued completed completed completed completed"),
        (tool("a", "on_failure: fail"), "failed not_reached not_reached not_reached not_reached"),
        (tool("a"), "failed not_reached not_reached not_reached not_reached"),
    ],
)
def test_every_route(flow: Any, first: str, expected: str) -> None:
    rest = echo("b", "dependencies: [a]") + echo("c", "dependencies: [b]") + echo("d", "dependencies: [c]")
    found = words(flow(f"{INPUTS}steps:\n{first}{rest}{echo('e', 'dependencies: [d]')}{echo('alone')}"))
    assert found.pop("alone") == "completed"
    assert " ".join(found.values()) == expected


def test_the_reason_of_a_skip_is_in_words(flow: Any) -> None:
    text = f"steps:\n{echo('a', 'on_success: c')}{echo('b', 'dependencies: [a]')}{echo('c', 'dependencies: [b]')}"
    text += echo("handler") + tool("x", "on_failure: handler", fail=0) + echo("late", "dependencies: [handler]")
    found = flow(text)
    assert found["b"].reason == "the route on_success of step a goes to c"
    assert found["handler"].reason == "no route to it was taken: on_failure of step x"
    assert found["late"].reason == "routing skipped what it depends on: handler"
    assert found["b"].attempts == 0


def test_steps_behind_a_failure_are_not_reached_and_say_so(flow: Any) -> None:
    found = flow(f"steps:\n{tool('a')}{echo('b', 'dependencies: [a]')}{echo('alone')}")
    assert words(found) == {"a": "failed", "b": "not_reached", "alone": "completed"}
    assert found["b"].status == "skipped"


def test_a_route_decides_the_order_against_the_file(flow: Any) -> None:
    """Steps stand in the file in the order of their dependencies, and a route may lead to an earlier line."""
    text = f"steps:\n{echo('handler')}{tool('a', 'on_failure: handler')}"
    assert words(flow(text)) == {"handler": "completed", "a": "failed_routed"}
    text = f"steps:\n{echo('end', 'dependencies: [handler]')}{echo('handler')}{tool('a', 'on_failure: handler')}"
    assert words(flow(text))["end"] == "completed"


def test_error_is_what_a_handler_reads(flow: Any) -> None:
    text = f"""steps:
{tool("a", "on_failure: handler", how="connection")}{
        echo(
            "handler",
            message="'{{ error.type }}|{{ error.message }}|{{ error.step }}|{{ a.error.message }}|{{ a.status }}'",
        )
    }"""
    kind, message, step, again, status = flow(text)["handler"].value.split("|")
    assert (kind, step, status) == ("ToolError", "a", "failed")
    assert "ConnectionError: a failed at call 1" in message
    assert message == again


def test_error_in_the_condition_of_a_handler(flow: Any) -> None:
    steps = tool("a", "on_failure: handler") + echo("handler", "condition: \"'call 1' in error.message\"")
    assert flow(f"steps:\n{steps}")["handler"].status == "completed"


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{{ maybe | default('none') }}", "none"),
        ("{{ maybe.deep[0].more | default('none') }}", "none"),
        ("{% if maybe %}a{% else %}b{% endif %}", "b"),
        ("{{ maybe is defined }}", False),
        ("{{ maybe and 1 or 2 }}", 2),
        ("{{ maybe.skipped }}", True),
        ("{{ maybe.status }} {{ maybe.success }}", "skipped False"),
        ("{{ maybe.error is none }}", True),
        ("{{ note | default('none') }}", "none"),
        ("{{ maybe }}", None),
        ("{{ maybe.note }}", None),
        ("{{ note }}!", None),
        ("{% for one in maybe %}x{% endfor %}", None),
        ("{{ maybe == 1 }}", None),
        ("{{ maybe | length }}", None),
        ("{{ maybe.location }}", None),
    ],
)
def test_absent_values(flow: Any, template: str, value: Any) -> None:
    """None: using it fails the step, and the message says why it is absent."""
    maybe = echo("maybe", "condition: given > 9, vars: {note: {type: string}}")
    found = flow(f"{INPUTS}steps:\n{maybe}{echo('reads', 'dependencies: [maybe]', chr(34) + template + chr(34))}")[
        "reads"
    ]
    if value is None:
        assert found.error.type == "TemplateError"
        assert 'step "maybe" was skipped because its condition is false: given > 9' in found.error.message or (
            "wrote no product" in found.error.message
        )
    else:
        assert found.value == value


def test_what_failed_and_went_on_is_absent_with_its_error(flow: Any) -> None:
    text = f"""steps:
{tool("a", "on_failure: continue")}{
        echo("says", message="'{{ a | default(0) }} {{ a.error.type }} {{ a.error.attempts }}'")
    }{echo("reads", message="'{{ a }}!'")}"""
    found = flow(text)
    assert found["says"].value == "0 ToolError 1"
    assert 'step "a" failed: ' in found["reads"].error.message
    assert found["a"].failures == (found["a"].error,)


def test_a_tool_that_answers_not_successful_has_failed(flow: Any) -> None:
    found = flow(
        f"steps:\n{tool('a', 'on_failure: b', how='polite')}{echo('b', message=chr(39) + '{{ error.message }}' + chr(39))}"
    )
    assert "a is sorry" in found["b"].value


def test_a_skipped_step_was_tried_again_no_time(flow: Any) -> None:
    pipeline = flow.compile("steps:\n  - {id: a, condition: 1 > 2, action: echo, parameters: {message: x}}\n")
    document = run_record(pipeline, RUN, flow.run(pipeline), {}, completed_at=RUN.started_at)
    assert (document["steps"]["a"]["status"], document["steps"]["a"]["retries"]) == ("skipped", 0)


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ("{{ topic | length > 200 }}", False),
        ("{{ topic | length < 200 }}", True),
        ("'re' in '{{ topic }}' and o is None", True),
        ("before", True),
        ("not before.result", False),
    ],
)
def test_a_step_that_answers_a_condition(flow: Any, condition: str, value: bool) -> None:
    done = flow(f"""
inputs: {{topic: trees, o: {{type: string, required: false}}}}
steps:
  - {{id: before, action: evaluate_condition, parameters: {{condition: true}}}}
  - {{id: answer, action: evaluate_condition, parameters: {{condition: "{condition}"}}, vars: {{ok: "{{{{ result }}}}"}}}}
  - {{id: then, condition: "{{{{ answer.result }}}}", action: echo, parameters: {{message: "{{{{ ok }}}}"}}}}
  - {{id: each, for_each: [1, 2], action: evaluate_condition, parameters: {{condition: item > 1}}}}
""")
    assert done["answer"].value is value
    assert done["then"].status == ("completed" if value else "skipped")
    assert done["each"].value == [False, True]


def test_a_condition_without_an_answer_fails_its_step(flow: Any) -> None:
    done = flow("""
steps:
  - {id: text, action: echo, parameters: {message: maybe}}
  - {id: a, action: evaluate_condition, parameters: {condition: text}, on_failure: continue}
""")
    assert done["a"].error.type == "ConditionError"
    assert "`condition`: the answer of the condition is the text 'maybe'" in done["a"].error.message
