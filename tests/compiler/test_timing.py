"""What starts a pipeline, checked when it is compiled: schedules, triggers, automation, partitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from dagster._utils.schedules import is_valid_cron_schedule
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.compiler.cron import MACROS, cron_hint, cron_problems
from orchestrator_dagster.language.diagnostics import Diagnostic
from orchestrator_dagster.language.pipeline import AutomationCron

Problems = Callable[[str], list[Diagnostic]]

INPUTS = """\
inputs:
  - topic: trees
  - pages: {type: integer, default: 3, minimum: 1, maximum: 9}
  - key: {type: secret, default: SOME_KEY}
"""
STEPS = """\
steps:
  - id: say
    action: echo
    parameters: {message: "{{ topic }}"}
    products: [say: say.txt]
"""
PARTITIONED = STEPS.replace("say.txt", '"{{ partition.key }}.txt"')


def told(found: list[Diagnostic]) -> list[tuple[str, str, str | None]]:
    return [(one.code, one.message, one.suggestion) for one in found]


# Elements and fields near the edge of what is right: ranges that turn, names, steps, last and n-th weekdays.
_NUMBER = st.sampled_from("0 1 5 6 7 8 12 13 23 24 29 30 31 32 59 60 007".split())
_ATOM = _NUMBER | st.sampled_from(["*", "l", "L", "?", "", "x", "mon", "Sun", "fri", "jan", "feb", "dec"])
_ELEMENT = st.one_of(
    _ATOM,
    st.builds("{}-{}".format, _ATOM, _ATOM),
    st.builds("{}/{}".format, _ATOM, _NUMBER),
    st.builds("{}-{}/{}".format, _ATOM, _ATOM, _NUMBER),
    st.builds("{}#{}".format, _ATOM, _NUMBER),
    st.builds("{}-{}#{}".format, _ATOM, _ATOM, _NUMBER),
    st.builds("l{}".format, _ATOM),
    st.text("0159*-/,#l?", max_size=5),
)
_FIELD = st.lists(_ELEMENT, min_size=1, max_size=3).map(",".join) | st.just("*")


@settings(max_examples=500, deadline=None)
@given(st.lists(_FIELD, min_size=4, max_size=6).map(" ".join) | st.sampled_from([*MACROS, "@reboot", "@Daily", ""]))
@example("0 0 30 2 *")
@example("0 0 30 2 mon")
@example("0 0 0-0 * 5-7")
@example("0 0 * * mon#1,tue")
@example("0 0 * * mon#1,0-6,*")
@example("0 0 15-l/2 * l5")
def test_cron_expressions_are_taken_as_dagster_takes_them(text: str) -> None:
    found = cron_problems(text)
    if found == ["that day is in none of its months"]:
        return  # Dagster takes the 31st of April, and finds no tick ever
    assert (not found) == is_valid_cron_schedule(text), found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0 25 * * *", ['the hour "25" is not in 0–23']),
        ("60 * 0 13 8", ["minute", "day of month", "month", "day of week"]),
        ("0 6 * *", ["4 fields"]),
        ("0 0 6 * * *", ["6 fields"]),
        ("every morning", ["2 fields"]),
        ("0 6 * * mno", ["mon"]),
        ("0 6 * * mon-fry", ["fri"]),
        ("*/0 * * * *", ["step"]),
        ("*/x * * * *", ["step"]),
        ("0 6 1,,2 * *", ["comma"]),
        ("0 6 * * mon#6", ["1 to 5 times"]),
        ("0 6 * * mon#1,tue", ["beside"]),
        ("? 6 * * *", ["stands alone"]),
        ("0 0 31 4,6 *", ["none of its months"]),
        ("r * * * *", ["minute"]),  # a random minute, another one whenever Dagster reads it
        ("@dayly", ["@dayly"]),
        ("0 " + "9" * 5000 + " * * *", ["hour"]),
    ],
)
def test_each_mistake_of_a_cron_expression_is_named(text: str, words: list[str]) -> None:
    found = cron_problems(text)
    assert len(found) == (len(words) if len(words) > 1 else 1)
    assert all(word in one for word, one in zip(words, found, strict=True))


def test_the_nearest_name_of_a_schedule_is_the_next_step() -> None:
    assert "@daily" in cron_hint("daily")
    assert "@weekly" in cron_hint("@weekley")
    assert "five fields" in cron_hint("0 6 * *")


def test_what_is_right_is_carried_in_the_compiled_pipeline(compiled: Callable[[str], CompiledPipeline]) -> None:
    pipeline = compiled(
        f"""\
schedule: {{cron: "0 6 * * 1-5", timezone: Europe/Berlin, inputs: {{topic: "news of {{{{ current_date }}}}"}}}}
triggers:
  - files: "data/inbox/*.csv"
    enabled: true
    inputs: {{topic: "{{{{ file.path | basename }}}}", pages: "{{{{ file.size }}}}"}}
  - {{asset: accounts/table, inputs: {{topic: "{{{{ asset.key }}}} {{{{ asset.partition | default('all') }}}}"}}}}
automation: {{cron: "@daily", timezone: Asia/Tokyo}}
{INPUTS}{STEPS}"""
    )
    assert CompiledPipeline.from_json(pipeline.to_json()) == pipeline
    assert pipeline.schedules[0].timezone == "Europe/Berlin"
    assert [one.enabled for one in pipeline.triggers] == [True, False]
    assert pipeline.automation == AutomationCron(cron="@daily", timezone="Asia/Tokyo")
    assert pipeline.partitions is None


@pytest.mark.parametrize(
    ("text", "code", "words", "suggestion"),
    [
        ('schedule: {cron: "0 25 * * *"}', "wrong-value", "hour", None),
        ("schedule: [{cron: '@daily'}, {cron: '0 0 30 2 *'}]", "wrong-value", "months", None),
        ("schedule: {cron: '@daily', timezone: Berlin}", "wrong-value", "time zone", "Europe/Berlin"),
        ("schedule: {cron: '@daily', timezone: ../UTC}", "wrong-value", "time zone", None),
        ("schedule: {cron: '@daily', timezone: europe/berlin}", "wrong-value", "time zone", "Europe/Berlin"),
        ("schedule: {cron: '@daily', inputs: {topc: x}}", "unknown-key", '"topc"', "topic"),
        ("schedule: {cron: '@daily', inputs: {pages: 12}}", "wrong-value", '"pages"', None),
        ("schedule: {cron: '@daily', inputs: {pages: many}}", "wrong-value", '"pages"', None),
        ("schedule: {cron: '@daily', inputs: {key: sk-12345}}", "wrong-value", "environment", None),
        ("schedule: {cron: '@daily', inputs: {topic: '{{ current_dat }}'}}", "unknown-name", "_dat", "current_date"),
        ("schedule: {cron: '@daily', inputs: {topic: '{{ file.path }}'}}", "unknown-name", '"file"', None),
        ("schedule: {cron: '@daily', inputs: {topic: '{{ say }}'}}", "unknown-name", '"say"', None),
        ("schedule: {cron: '@daily', inputs: {topic: '{{ partition.key }}'}}", "unknown-name", '"partition"', None),
        ("schedule: {cron: '@daily', inputs: {topic: '{{ 1 | sluggify }}'}}", "unknown-filter", "slug", "slugify"),
        ("schedule: {cron: '@daily', inputs: {topic: '{{ file: a.md }}'}}", "wrong-value", "included", None),
        ("triggers: [{files: '/etc/*'}]", "wrong-value", "leaves the workspace", None),
        ("triggers: [{files: 'data/../../*'}]", "wrong-value", "leaves the workspace", None),
        ("triggers: [{files: 'data/{{ topic }}/*'}]", "wrong-value", "plain pattern", None),
        ("triggers: [{files: 'outputs/**/*.txt'}]", "wrong-value", "own product", None),
        ("triggers: [{asset: accounts//table}]", "wrong-value", "asset key", None),
        ("triggers: [{asset: 'accounts/[table]'}]", "wrong-value", "asset key", None),
        ("triggers: [{asset: p/say}]", "wrong-value", "itself", None),
        ("triggers: [{asset: p/run}]", "wrong-value", "itself", None),
        ("triggers: [{files: 'in/*', inputs: {topic: '{{ file.pth }}'}}]", "unknown-field", "pth", "path"),
        ("triggers: [{files: 'in/*', inputs: {topic: '{{ file }}'}}]", "unknown-name", "field", None),
        ("triggers: [{asset: a/b, inputs: {topic: '{{ asset.kye }}'}}]", "unknown-field", "kye", "key"),
        ("triggers: [{asset: a/b, inputs: {topic: '{{ file.path }}'}}]", "unknown-name", '"file"', None),
        ("automation: {cron: '61 * * * *'}", "wrong-value", "minute", None),
        ("automation: {cron: '@daily', timezone: UTK}", "wrong-value", "time zone", "UTC"),
        ("automation: {timezone: UTC}", "missing-key", "cron", None),
        ("automation: {crn: '@daily'}", "unknown-key", "crn", "cron"),
        ("automation: {cron: '@daily', zone: UTC}", "unknown-key", "zone", "timezone"),
    ],
)
def test_what_is_wrong_is_told(problems: Problems, text: str, code: str, words: str, suggestion: str | None) -> None:
    found = problems(f"{text}\n{INPUTS}{STEPS}")
    assert [one.code for one in found] == [code], told(found)
    assert words in found[0].message
    if suggestion is not None:
        assert found[0].suggestion == suggestion
    assert found[0].suggestion or found[0].hint
    assert found[0].span.line == 3


def test_what_is_wrong_in_a_map_of_automation_is_told_alone(only: Callable[[str], Any]) -> None:
    assert (
        only(f"automation: {{cron: [1]}}\n{INPUTS}{STEPS}").message
        == "`automation.cron`: expected a text, found a list"
    )


def test_an_input_that_is_required_is_given(problems: Problems) -> None:
    needs = "inputs: {topic: None}\n"
    assert not problems(f"schedule: {{cron: '@daily', inputs: {{topic: x}}}}\n{needs}{STEPS}")
    for head in ("schedule: {cron: '@daily'}", "schedule: [{cron: '@daily', inputs: {topic: null}}]"):
        (found,) = problems(f"{head}\n{needs}{STEPS}")
        assert (found.code, found.span.line) == ("missing-key", 3)
        assert '"topic"' in found.message
    (found,) = problems(f"triggers: [{{files: 'in/*'}}]\n{needs}{STEPS}")
    assert "the trigger does not give" in found.message


@pytest.mark.parametrize("head", ["automation: eager", "automation: on_missing", "automation: {cron: '@daily'}"])
def test_automation_starts_without_inputs(problems: Problems, only: Callable[[str], Any], head: str) -> None:
    assert not problems(f"{head}\n{INPUTS}{STEPS}")
    found = only(f"{head}\ninputs: {{topic: None}}\n{STEPS}")
    assert found.code == "wrong-value"
    assert '"topic"' in found.message
    assert "default" in found.hint


@pytest.mark.parametrize(
    ("partitions", "start"),
    [
        ("{daily: 2026-01-01}", "2026-01-01T00:00:00"),
        ("{weekly: 2026-01-01}", "2026-01-01T00:00:00"),
        ("{monthly: '2026-01-01'}", "2026-01-01T00:00:00"),
        ("{hourly: 2026-01-01}", "2026-01-01T00:00:00"),
        ("{hourly: 2026-01-01 06:00}", "2026-01-01T06:00:00"),
        ("{hourly: 2026-01-01T06:00}", "2026-01-01T06:00:00"),
        ("{hourly: 2026-01-01-06:00}", "2026-01-01T06:00:00"),
        ("{static: [north, south, 2026]}", None),
    ],
)
def test_partitions(compiled: Callable[[str], CompiledPipeline], partitions: str, start: str | None) -> None:
    pipeline = compiled(f"partitions: {partitions}\n{INPUTS}{PARTITIONED}")
    assert pipeline.partitions is not None
    assert (pipeline.partitions.start.isoformat() if pipeline.partitions.start else None) == start
    assert CompiledPipeline.from_json(pipeline.to_json()) == pipeline


@pytest.mark.parametrize(
    ("partitions", "code", "words"),
    [
        ("{daily: 01.01.2026}", "wrong-value", "no date"),
        ("{daily: 2026-02-30}", "wrong-value", "no date"),
        ("{daily: 2026}", "wrong-value", "no date"),
        ("{monthly: 2026-01-01 06:00}", "wrong-value", "no date"),
        ("{hourly: 2026-01-01 25:00}", "wrong-value", "no date"),
        ("{daily: 2026-01-01, weekly: 2026-01-01}", "wrong-value", "one kind"),
        ("{}", "missing-key", "which kind"),
        ("{static: []}", "wrong-value", "no partition"),
        ("{static: [a, b, a]}", "wrong-value", "2 times"),
        ("{static: [a, '']}", "wrong-value", "empty"),
        ("{static: [a...b]}", "wrong-value", "three dots"),
        ('{static: ["a\\tb"]}', "wrong-value", "control character"),
        ("{static: [a/b]}", "wrong-value", "part of a path"),
        ("{static: ['..']}", "wrong-value", "part of a path"),
    ],
)
def test_wrong_partitions(only: Callable[[str], Any], partitions: str, code: str, words: str) -> None:
    found = only(f"partitions: {partitions}\n{INPUTS}{PARTITIONED}")
    assert (found.code, found.span.line) == (code, 3)
    assert words in found.message


@pytest.mark.parametrize(
    "head",
    [
        'output_dir: "out/{{ partition.key }}"',
        'output_dir: "{{ base }}/x"\nconstants: {base: "out/{{ partition.key }}"}',
        'inputs: {topic: x, output_dir: "out/{{ partition.key }}"}',
    ],
)
def test_the_output_folder_can_hold_the_partition(problems: Problems, head: str) -> None:
    inputs = "" if head.startswith("inputs") else "inputs: {topic: x}\n"
    assert not problems(f"partitions: {{static: [a, b]}}\n{head}\n{inputs}{STEPS}")
    head = head.replace("partition.key", "current_date")
    assert [one.code for one in problems(f"partitions: {{static: [a, b]}}\n{head}\n{inputs}{STEPS}")] == [
        "product-path"
    ]


def test_a_partition_where_there_is_none(only: Callable[[str], Any]) -> None:
    found = only(f"{INPUTS}{PARTITIONED}")
    assert found.code == "unknown-name"
    assert "partitions: {daily: 2026-01-01}" in found.hint


def test_a_wrong_start_is_told_once(problems: Problems) -> None:
    """What is wrong in the header makes no further problems in the steps."""
    assert len(problems(f"partitions: {{daily: 01.01.2026}}\n{INPUTS}{PARTITIONED}")) == 1
    assert len(problems(f"partitions: daily\n{INPUTS}{PARTITIONED}")) == 1
