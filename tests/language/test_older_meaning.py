"""Files of the earlier dialect mean what they say: nothing that changes what happens is read over."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator_dagster.language.diagnostics import Problems
from orchestrator_dagster.language.document import read_text
from orchestrator_dagster.language.nodes import plain
from orchestrator_dagster.language.older import rewrite
from orchestrator_dagster.language.read import read_pipeline_text

MODEL = "id: g\naction: generate\n"


def rewritten(text: str) -> tuple[Any, Problems]:
    document, problems = read_text(text, "p.yaml")
    rewrite(document, problems)
    return plain(document.root), problems


def step(lines: str) -> tuple[Any, Problems]:
    body = "".join(f"    {line}\n" for line in lines.strip().splitlines())
    root, problems = rewritten(f"steps:\n  -\n{body}  - {{id: h, action: echo, parameters: {{message: h}}}}\n")
    return root["steps"][0], problems


def errors(problems: Problems) -> list[tuple[str, str]]:
    return [(one.code, f"{one.span.line}:{one.span.column}") for one in problems.errors]


def test_attempts_and_time_among_the_parameters_of_a_model_step_are_the_steps_own() -> None:
    made, problems = step(MODEL + "parameters: {prompt: x, max_retries: 3, timeout: 5}")
    assert made == {"id": "g", "action": "generate", "parameters": {"prompt": "x"}, "retries": 2, "timeout": 5}
    assert [(one.code, one.hint) for one in problems] == [
        ("older-spelling", "write `retries: 2`"), ("older-spelling", "write `timeout: 5`"),
    ]  # fmt: skip


def test_beside_a_prompt_of_the_step_they_are_data() -> None:
    made, problems = step("id: g\nprompt: x\nparameters: {max_retries: 3, timeout: 5}")
    assert made["parameters"] == {"max_retries": 3, "timeout": 5}
    assert not list(problems)


def test_two_numbers_of_attempts_are_an_error() -> None:
    _, problems = step(MODEL + "max_retries: 4\nparameters: {prompt: x, max_retries: 3}")
    assert errors(problems) == [("older-unsupported", "6:29")]


def test_a_pause_alone_is_that_of_the_usual_retries_of_a_model_step() -> None:
    assert step(MODEL + "retry_delay: 5\nparameters: {prompt: x}")[0]["retries"] == {"max": 2, "delay": 5}
    assert "retries" not in step("id: g\ntool: t\nretry_delay: 5")[0]


@pytest.mark.parametrize(("said", "today"), [("true", "full"), ("plus_minus", "plus_minus")])
def test_pauses_are_spread(said: str, today: str) -> None:
    made, problems = step(f"id: g\ntool: t\nretry_config: {{max_attempts: 2, jitter: {said}}}")
    assert made["retries"] == {"max": 1, "jitter": today}
    assert not problems.errors


def test_attempts_in_a_handler_are_counted_as_everywhere() -> None:
    made, _ = step("id: g\ntool: t\non_error: {handler_task_id: h, max_retries: 3}")
    assert (made["retries"], made["on_failure"]) == (2, "h")
    assert step("id: g\ntool: t\non_error: {handler_task_id: h, retry_count: 3}")[0]["retries"] == 3


def test_a_handler_goes_one_way() -> None:
    _, problems = step("id: g\ntool: t\non_error: {handler_task_id: h, fallback_value: x}")
    assert errors(problems) == [("older-unsupported", "5:16")]
    assert "handler_task_id" in problems.errors[0].message
    today = "steps:\n  - {id: g, tool: t, failure_handlers: [{goto: h, fallback: x}]}\n"
    reading = read_pipeline_text(today, "p.yaml")
    assert [one.code for one in reading.problems.errors] == ["unused-key"]


def test_what_is_refused_is_not_called_without_effect() -> None:
    _, problems = step("id: g\ntool: t\non_error: {handlers: []}")
    assert [one.code for one in problems] == ["older-unsupported"]


@pytest.mark.parametrize("action", ["parallel_map", "for_each", "foreach"])
def test_items_are_what_an_action_repeats_a_tool_over(action: str) -> None:
    made, problems = step(f"id: g\naction: {action}\nitems: [1, 2]\ntool: t")
    assert made == {"id": "g", "for_each": [1, 2], "tool": "t"}
    assert not problems.errors


def test_a_property_that_may_lack_stays_one() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}, "required": ["a"]}
    made, _ = step(f"{MODEL}parameters: {{prompt: x, schema: {schema}}}")
    assert made["vars"] == {"g": {"schema": schema}}
    both = {**schema, "required": ["a", "b"]}
    assert set(step(f"{MODEL}parameters: {{prompt: x, schema: {both}}}")[0]["vars"]) == {"a", "b"}


PLACED = "steps:\n  - {id: g, action: echo, parameters: {message: x}, location: '%s'}\n"


def test_a_location_in_a_folder_of_the_constants_is_the_path_as_written() -> None:
    root, _ = rewritten("config: {output_dir: out}\n" + PLACED % "{{ config.output_dir }}/x.txt")
    assert root["output_dir"] == "."
    assert root["steps"][0]["products"] == {"g": "{{ config.output_dir }}/x.txt"}


def test_a_location_in_a_file_that_reads_the_output_folder_is_below_it() -> None:
    reads = "outputs: {where: '{{ output_dir }}'}\n"
    assert "output_dir" not in rewritten(reads + PLACED % "x.txt")[0]


def test_a_variable_that_is_called_like_the_output_folder_is_it() -> None:
    root, problems = rewritten("variables: {output_dir: out}\n" + PLACED % "{{ output_dir }}/x.txt")
    assert root["output_dir"] == "out"
    assert root["steps"][0]["products"] == {"g": "x.txt"}
    assert not problems.errors
    _, problems = rewritten("output_dir: a\nvariables: {output_dir: out}\n" + PLACED % "x.txt")
    assert errors(problems) == [("older-unsupported", "2:13")]


def test_a_variable_that_a_name_of_the_run_hides_is_an_error_where_it_is_read() -> None:
    _, problems = rewritten("variables: {timestamp: 5}\n" + PLACED % "{{ timestamp }}.txt")
    assert errors(problems) == [("older-unsupported", "1:13")]
    _, problems = rewritten("variables: {timestamp: 5}\n" + PLACED % "{{ variables.timestamp }}.txt")
    assert not problems.errors


def test_a_queue_said_twice_is_one() -> None:
    queue = "create_parallel_queue: {on: [1], action_loop: [{id: q, prompt: x}]}"
    made, problems = step(f"id: g\naction: create-parallel-queue\n{queue}")
    assert made == {"id": "g", "for_each": [1], "steps": [{"id": "q", "prompt": "x"}]}
    assert not problems.errors


def test_handlers_below_todays_key_are_told_apart_from_it() -> None:
    _, problems = step("id: g\ntool: t\non_failure: {handler_task_id: h}")
    assert [one.message for one in problems] == ['step "g": `on_failure: {…}` is an older spelling of `on_failure`']


def test_a_policy_that_is_known_at_run_time_only_is_refused() -> None:
    _, problems = step("id: g\ntool: t\non_error: '{{ config.policy }}'")
    assert errors(problems) == [("older-unsupported", "5:15")]
    made, problems = step("id: g\ntool: t\non_error: 'No {{ topic }} today'")
    assert made["failure_handlers"] == [{"message": "No {{ topic }} today"}]


def test_a_parameters_word_is_shown_as_it_is_written_today() -> None:
    made, problems = step("id: g\ntool: validation\nparameters: {data: [1], mode: lenient}")
    assert made["parameters"] == {"data": [1], "strict": False}
    assert [one.hint for one in problems] == ["write `strict: false`"]
