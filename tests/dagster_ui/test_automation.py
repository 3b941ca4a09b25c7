"""What the page *Automation* and the backfill dialog do, over the same GraphQL, with the real daemon."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from live_dev import SELECTOR, Dev, dagster_dev

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

INTAKE = """\
id: intake
schedule: {cron: "0 6 * * 1-5", timezone: Europe/Berlin, inputs: {source: data/inbox/none.csv}}
triggers: [{files: "data/inbox/*.csv", inputs: {source: "{{ file.path }}"}}]
inputs: [{source: None}]
steps:
  - {id: load, tool: data-processing, action: load, parameters: {data: "{{ source }}"}, products: [{load: rows.json}]}
"""
DAILY = """\
id: daily
partitions: {daily: 2026-01-01}
automation: on_missing
steps:
  - {id: note, action: echo, parameters: {message: "on {{ partition.key }}"}, products: [{note: "{{ partition.key }}.txt"}]}
"""
BROKEN = 'id: broken\nschedule: {cron: "@daily", inputs: {topc: x}}\ninputs: [{topic: trees}]\nsteps: [{id: a, action: echo, parameters: {message: x}}]\n'
STATES = """
query($selector: RepositorySelector!) {
  schedulesOrError(repositorySelector: $selector) {
    ... on Schedules { results { name cronSchedule executionTimezone description scheduleState { id selectorId status } } }
  }
  sensorsOrError(repositorySelector: $selector) {
    ... on Sensors { results { name description sensorType sensorState { id selectorId status } } }
  }
}
"""
RUNS = "{ runsOrError { ... on Runs { results { runId jobName status tags { key value } } } } }"


def states(dev: Dev) -> dict[str, dict[str, Any]]:
    found = dev.query(STATES, selector=SELECTOR)
    every = [*found["schedulesOrError"]["results"], *found["sensorsOrError"]["results"]]
    return {one["name"]: {**one, **(one.get("scheduleState") or one["sensorState"])} for one in every}


def runs(dev: Dev, job: str) -> list[dict[str, Any]]:
    return [one for one in dev.query(RUNS)["runsOrError"]["results"] if one["jobName"] == job]


def until(found: Callable[[], Any], what: str, seconds: float = 120) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := found():
            return answer
        time.sleep(0.3)
    raise AssertionError(f"it did not come: {what}")


def test_what_is_automatic_is_shown_and_switched(
    project: Path, tmp_path: Path, write: Callable[[str, str], Path]
) -> None:
    write("pipelines/intake.yaml", INTAKE)
    write("pipelines/daily.yaml", DAILY)
    write("pipelines/broken.yaml", BROKEN)
    with dagster_dev(project, tmp_path) as dev:
        before = states(dev)
        assert before["intake_schedule"]["cronSchedule"] == "0 6 * * 1-5"
        assert before["intake_schedule"]["executionTimezone"] == "Europe/Berlin"
        assert "data/inbox/*.csv" in before["intake_trigger"]["description"]
        assert {name: one["status"] for name, one in before.items()} == {
            "intake_schedule": "STOPPED",
            "intake_trigger": "STOPPED",
            "default_automation_condition_sensor": "STOPPED",
            "recompile_pipelines": "RUNNING",
        }
        # Inputs are checked when the location loads: a schedule that gives a wrong one is not there to be switched on.
        assert "broken_schedule" not in before
        assert 'there is no input "topc"; did you mean "topic"?' in (tmp_path / "dev.log").read_text()

        dev.query(
            "mutation($s: ScheduleSelector!) { startSchedule(scheduleSelector: $s) { __typename } }",
            s={**SELECTOR, "scheduleName": "intake_schedule"},
        )
        assert states(dev)["intake_schedule"]["status"] == "RUNNING"
        dev.query(
            "mutation($id: String!) { stopRunningSchedule(id: $id) { __typename } }",
            id=states(dev)["intake_schedule"]["id"],
        )
        assert states(dev)["intake_schedule"]["status"] == "STOPPED"

        write("data/inbox/monday.csv", "a,b\n1,2\n")
        dev.query(
            "mutation($s: SensorSelector!) { startSensor(sensorSelector: $s) { __typename } }",
            s={**SELECTOR, "sensorName": "intake_trigger"},
        )

        backfill = dev.query(
            "mutation($p: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $p) {"
            " __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }",
            p={
                "partitionNames": ["2026-01-02", "2026-01-03"],
                "assetSelection": [{"path": ["daily", "note"]}, {"path": ["daily", "run"]}],
            },
        )["launchPartitionBackfill"]
        assert backfill["__typename"] == "LaunchBackfillSuccess", backfill
        for day in ("2026-01-02", "2026-01-03"):
            file = project / f"outputs/daily/{day}.txt"
            until(file.is_file, f"the partition {day}")
            assert file.read_text() == f"on {day}"

        (run,) = until(lambda: runs(dev, "intake_job"), "the run of the file")
        assert dev.wait(run["runId"]) == "SUCCESS"
        assert "monday.csv" in str(run["tags"])
        assert (project / "outputs/intake/rows.json").is_file()
        dev.query(
            "mutation($id: String!) { stopSensor(id: $id) { __typename } }", id=states(dev)["intake_trigger"]["id"]
        )
        assert states(dev)["intake_trigger"]["status"] == "STOPPED"
