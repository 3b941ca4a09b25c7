"""One step at a time: names, variables, inputs, secrets."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from orchestrator_dagster.errors import InputsError, PipelineError, TemplateError, VariablesError
from orchestrator_dagster.runtime.inputs import complete_inputs
from orchestrator_dagster.runtime.names import RunInfo, names_for
from orchestrator_dagster.runtime.outcome import Outcome, UsageInfo
from orchestrator_dagster.runtime.secrets import Redactor

RunAll = Callable[..., dict[str, Outcome]]
NOW = datetime(2026, 1, 31, tzinfo=timezone.utc)
ONE_STEP = "steps:\n  - {id: a, action: echo, parameters: {message: hi}}\n"


def said(run_all: RunAll, template: str, before: str = "", **inputs: Any) -> Any:
    """What a template gives in a step after ``before``."""
    step = f"  - id: say\n    action: echo\n    parameters: {{message: {template}}}\n"
    return run_all(f"id: p\ninputs: {{topic: trees, days: 3}}\nsteps:\n{before}{step}", **inputs)["say"].value


BEFORE = """\
  - id: read-it
    action: echo
    parameters: {message: {items: [10, 20], status: open, name: x}}
  - id: named
    action: echo
    parameters: {message: {a: 1, b: [1, 2]}}
    vars: {a: "{{ result.a }}", b: "{{ result.b }}"}
"""


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ('"{{ topic }}"', "trees"),
        ('"{{ inputs.days }}"', 3),
        ('"{{ parameters.days + 1 }}"', 4),
        ('"{{ $topic }}"', "trees"),
        ('"{{ read-it.items }}"', [10, 20]),
        ('"{{ read-it.result.items[1] }}"', 20),
        ('"{{ read-it.status }}"', "completed"),
        ('"{{ read-it.result.status }}"', "open"),
        ('"{{ read-it.success }}"', True),
        ('"{{ steps.named.a }}"', 1),
        ('"{{ results.named }}"', {"a": 1, "b": [1, 2]}),
        ('"{{ previous_results.named.b[0] }}"', 1),
        ('"{{ a }} and {{ b | length }}"', "1 and 2"),
        ('"{{ named.value.b }}"', [1, 2]),
        ('"{{ pipeline_id }}/{{ execution.id }}/{{ execution.date }}"', "p/run-1/2026-01-31"),
        ('"{{ null is none }}"', True),
        ('"{{ named.error is none }}"', True),
    ],
)
def test_names(run_all: RunAll, template: str, value: Any) -> None:
    assert said(run_all, template, BEFORE) == value


def test_what_is_rendered_is_never_a_template_again(run_all: RunAll) -> None:
    assert said(run_all, '"{{ topic }}"', topic="{{ days }}") == "{{ days }}"


def test_the_environment_is_closed(run_all: RunAll, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CITY", "Graz")
    with pytest.raises(TemplateError, match='"CITY" is not allowed'):
        said(run_all, '"{{ env.CITY }}"')


def test_absent_values_know_why() -> None:
    skipped = Outcome(
        step="maybe",
        status="skipped",
        reason="its condition is false",
        started_at="2026-01-01",
        completed_at="2026-01-01",
    )
    assert skipped.absent_reason == 'step "maybe" was skipped because its condition is false'


def test_a_variable_that_the_result_lacks(run_all: RunAll) -> None:
    text = """\
id: p
steps:
  - id: make
    action: echo
    parameters: {message: {count: 1, names: [a]}}
    vars: {cuont: integer, names: {type: array, items: integer}}
"""
    with pytest.raises(VariablesError) as wrong:
        run_all(text)
    assert 'the result has no "cuont"; did you mean "count"?' in wrong.value.message
    assert '"names"' in wrong.value.message


def test_types_are_kept_and_converted(run_all: RunAll) -> None:
    text = """\
id: p
steps:
  - id: make
    action: echo
    parameters: {message: {n: "7", x: 3, when: "2026-01-31", free: [1]}}
    vars: {n: integer, x: number, when: {format: date}, free: What it is}
"""
    assert run_all(text)["make"].variables == {"n": 7, "x": 3, "when": "2026-01-31", "free": [1]}


def test_secrets_are_given_by_name_and_shown_nowhere(
    run_all: RunAll, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVICE_PASS", "hunter2-hunter2")
    text = """\
id: p
inputs: {password: {type: secret, default: SERVICE_PASS}}
steps:
  - id: use
    tool: filesystem
    action: write
    parameters: {path: used.txt, content: "{{ password }}"}
  - id: show
    action: echo
    parameters: {message: "it is {{ password }}"}
  - id: last
    depends_on: [use, show]
    tool: filesystem
    action: read
    parameters: {path: "{{ password }}.txt"}
"""
    with pytest.raises(Exception) as wrong:
        run_all(text)
    assert "hunter2" not in str(wrong.value)
    assert "***.txt" in str(wrong.value)
    assert (project / "used.txt").read_text() == "hunter2-hunter2"


def test_a_secret_that_is_not_set(run_all: RunAll) -> None:
    text = f"id: p\ninputs: {{key: {{type: secret, required: true}}}}\n{ONE_STEP}"
    with pytest.raises(InputsError, match="that it names is not set"):
        run_all(text, key="NOT_SET_ANYWHERE")


def test_wrong_inputs_say_what_to_give(compiled: Callable[[str], Any]) -> None:
    pipeline = compiled("id: p\ninputs: {topic: None, most: 3}\n" + ONE_STEP)
    with pytest.raises(InputsError) as wrong:
        complete_inputs(pipeline, {"topik": "x"}, RunInfo("r", NOW))
    last = str(wrong.value).splitlines()[-1]
    assert last == "  next: give topic (string); if wanted, most (integer), output_dir (path)"


def test_the_redactor_hides_keys_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", "abcdefgh12345678")
    redactor = Redactor()
    assert redactor.value({"a": ["x abcdefgh12345678 y"], "n": 1}) == {"a": ["x *** y"], "n": 1}


def test_a_default_may_be_a_template(compiled: Callable[[str], Any]) -> None:
    pipeline = compiled("id: p\ninputs: {topic: trees, title: 'About {{ topic }}'}\n" + ONE_STEP)
    run = RunInfo("r", NOW)
    assert complete_inputs(pipeline, {"topic": "shade"}, run)["title"] == "About shade"
    assert complete_inputs(pipeline, {"title": "{{ topic }}"}, run)["title"] == "{{ topic }}"


def test_an_input_without_value_is_absent_but_guardable(run_all: RunAll) -> None:
    text = """\
id: p
inputs: {hint: {type: string, required: false}}
steps:
  - {id: a, action: echo, parameters: {message: "{{ hint | default('none') }}"}}
"""
    assert run_all(text)["a"].value == "none"


def test_usage_with_an_unknown_price_is_unknown() -> None:
    assert (UsageInfo(calls=1, cost=0.5) + UsageInfo(calls=1, cost=None)).cost is None


def test_names_for_has_no_value_of_steps_that_are_not_there(compiled: Callable[[str], Any]) -> None:
    names = names_for(compiled(f"id: p\n{ONE_STEP}"), {}, {}, RunInfo("r", NOW))
    assert "a" not in names["steps"]


def test_outputs_may_be_read_by_later_steps_and_by_other_outputs(run_all: RunAll) -> None:
    text = """\
id: p
steps:
  - {id: last, action: echo, parameters: {message: "{{ outputs.line }}!"}}
  - {id: first, action: echo, parameters: {message: hello}}
outputs:
  line: "{{ outputs.word }} {{ outputs.word }}"
  word: "{{ first }}"
"""
    assert run_all(text)["last"].value == "hello hello!"


def test_constants_are_names_with_fixed_values(run_all: RunAll) -> None:
    text = """\
id: p
inputs: {topic: trees}
constants: {config: {limit: 3, label: "About {{ topic }}"}, unit: K}
steps:
  - {id: a, action: echo, parameters: {message: "{{ config.label }}: {{ config.limit + 1 }} {{ unit }}"}}
"""
    assert run_all(text)["a"].value == "About trees: 4 K"


@pytest.mark.parametrize(
    ("header", "message", "problem"),
    [
        ("constants: {config: {limit: 3}}", "{{ config.limt }}", "limit"),
        ("inputs: {x: 1}\nconstants: {x: 1}", "hi", "hides the input"),
        ('constants: {x: "{{ a }}"}', "hi", "cannot read the step"),
        ("constants: {a: 1}", "hi", "hides the constant"),
    ],
)
def test_wrong_constants(compiled: Callable[[str], Any], header: str, message: str, problem: str) -> None:
    with pytest.raises(PipelineError, match=problem):
        compiled(f'{header}\nsteps: [{{id: a, action: echo, parameters: {{message: "{message}"}}}}]')
