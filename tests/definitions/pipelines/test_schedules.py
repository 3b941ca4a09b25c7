"""Schedules: what a tick asks for, and that the run which it starts gets its inputs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterInstance, DefaultScheduleStatus, RunRequest

from orchestrator_dagster.errors import InputsError

Locate = Callable[..., dg.Definitions]
Launch = Callable[[dg.Definitions, RunRequest], dg.ExecuteInProcessResult]

#: 5:00 in Berlin is 3:00 in UTC in summer.
AT = datetime(2026, 7, 1, 22, 30, tzinfo=timezone.utc)

DIGEST = """\
id: watch
schedule:
  cron: "30 0 * * 1-5"
  timezone: Europe/Berlin
  inputs: {topic: "news of {{ current_date }} at {{ timestamp }}", pages: 4, tags: [a, b]}
inputs:
  - topic: None
  - pages: {type: integer, default: 2}
  - tags: {type: array, default: []}
  - style: plain
steps:
  - id: say
    action: echo
    parameters: {message: "{{ topic }}, {{ pages }} pages, {{ tags | join('+') }}, {{ style }}"}
    products: [said: said.txt]
"""


def tick(definitions: dg.Definitions, name: str, instance: DagsterInstance, at: datetime = AT) -> list[RunRequest]:
    with dg.build_schedule_context(
        instance=instance, scheduled_execution_time=at, repository_def=definitions.get_repository_def()
    ) as context:
        data = definitions.get_schedule_def(name).evaluate_tick(context)
    assert bool(data.run_requests) != bool(data.skip_message)
    return list(data.run_requests or ())


def test_a_tick_starts_a_run_with_its_inputs(
    locate: Locate, launch: Launch, instance: DagsterInstance, project: Path
) -> None:
    definitions = locate(DIGEST)
    schedule = definitions.get_schedule_def("watch_schedule")
    assert schedule.cron_schedule == "30 0 * * 1-5"
    assert schedule.execution_timezone == "Europe/Berlin"
    assert schedule.job_name == "watch_job"
    assert schedule.default_status is DefaultScheduleStatus.STOPPED

    (request,) = tick(definitions, "watch_schedule", instance)
    # In Berlin it is the next day already.
    assert request.run_config == {
        "topic": "news of 2026-07-02 at 2026-07-02T00:30:00+02:00",
        "pages": 4,
        "tags": ["a", "b"],
    }
    assert launch(definitions, request).success
    said = (project / "outputs" / "watch" / "said.txt").read_text()
    assert said == "news of 2026-07-02 at 2026-07-02T00:30:00+02:00, 4 pages, a+b, plain"


def test_several_schedules_are_numbered_and_one_is_on(locate: Locate, instance: DagsterInstance) -> None:
    schedules = 'schedule: [{cron: "@daily"}, {cron: "0 6 * * *", enabled: true, inputs: {topic: six}}]\n'
    definitions = locate(
        f"id: watch\n{schedules}inputs: {{topic: x}}\nsteps: [{{id: say, action: echo, parameters: {{message: hi}}}}]"
    )
    both = [definitions.get_schedule_def(f"watch_schedule_{number}") for number in (1, 2)]
    assert [one.default_status for one in both] == [DefaultScheduleStatus.STOPPED, DefaultScheduleStatus.RUNNING]
    assert [tick(definitions, one.name, instance)[0].run_config for one in both] == [{}, {"topic": "six"}]


def test_a_schedule_without_inputs_takes_the_defaults(
    locate: Locate, launch: Launch, instance: DagsterInstance, project: Path
) -> None:
    text = DIGEST.replace("  - topic: None", "  - topic: trees")
    definitions = locate("\n".join(line for line in text.split("\n") if not line.startswith("  inputs:")))
    (request,) = tick(definitions, "watch_schedule", instance)
    assert request.run_config == {}
    assert launch(definitions, request).success
    assert (project / "outputs" / "watch" / "said.txt").read_text() == "trees, 2 pages, , plain"


def test_an_input_that_does_not_fit_stops_the_tick(locate: Locate, instance: DagsterInstance) -> None:
    definitions = locate(DIGEST.replace("pages: 4", 'pages: "{{ current_date }}"'))
    with pytest.raises(InputsError, match='the input "pages"'):
        tick(definitions, "watch_schedule", instance)


def test_a_schedule_of_days_makes_the_last_day_that_has_ended(
    locate: Locate, launch: Launch, instance: DagsterInstance, project: Path
) -> None:
    text = DIGEST.replace("said.txt", '"{{ partition.key }}.txt"').replace("None", "trees")
    definitions = locate(text.replace("id: watch\n", "id: watch\npartitions: {daily: 2026-06-30}\n"))
    (request,) = tick(definitions, "watch_schedule", instance)
    assert request.partition_key == "2026-06-30"
    assert launch(definitions, request).success
    assert [path.name for path in (project / "outputs" / "watch").iterdir()] == ["2026-06-30.txt"]
    assert tick(definitions, "watch_schedule", instance, datetime(2026, 6, 30, 22, 30, tzinfo=timezone.utc)) == []


def test_a_schedule_of_static_partitions_makes_each(locate: Locate, instance: DagsterInstance) -> None:
    text = DIGEST.replace("said.txt", '"{{ partition.key }}.txt"').replace("None", "trees")
    text = text.replace("news of", "news of the {{ partition.key }} of")
    definitions = locate(text.replace("id: watch\n", "id: watch\npartitions: {static: [north, south]}\n"))
    requests = tick(definitions, "watch_schedule", instance)
    assert [one.partition_key for one in requests] == ["north", "south"]
    assert [one.run_key for one in requests] == ["north", "south"]
    assert [one.run_config["ops"]["watch"]["config"]["topic"].split(" of ")[1] for one in requests] == [
        "the north",
        "the south",
    ]
