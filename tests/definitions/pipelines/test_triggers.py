"""Triggers: each new or changed file, and each materialization, starts its run once."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path

import dagster as dg
import pytest
from dagster import AssetKey, DagsterInstance, DefaultSensorStatus, RunRequest
from dagster._core.definitions.sensor_definition import SensorExecutionData

from orchestrator_dagster.definitions.pipelines.triggers import MOST_RUNS
from orchestrator_dagster.runtime.watched_files import FileCursor, WatchedFile

Locate = Callable[..., dg.Definitions]
Launch = Callable[[dg.Definitions, RunRequest], dg.ExecuteInProcessResult]

INBOX = """\
id: watch
triggers:
  - files: "data/inbox/*.csv"
    inputs:
      source: "{{ file.path }}"
      about: "{{ file.name }} {{ file.stem }} {{ file.folder }} {{ file.modified }}"
      size: "{{ file.size }}"
inputs:
  - source: None
  - about: ""
  - size: {type: integer, default: 0, maximum: 100}
steps:
  - id: read
    tool: filesystem
    action: read
    parameters: {path: "{{ source }}"}
  - id: note
    action: echo
    parameters: {message: "{{ about }} {{ size }}: {{ read.content }}"}
    products: [note: "{{ source | basename }}.txt"]
"""


def tick(
    definitions: dg.Definitions, instance: DagsterInstance, cursor: str | None, name: str = "watch_trigger"
) -> SensorExecutionData:
    """One tick. A context that is made anew each time, with nothing but the cursor, is a restart too."""
    repository = definitions.get_repository_def()
    sensor = repository.get_sensor_def(name)
    # As the daemon has it: the resources that the sensor asks for, and no others.
    resources = {key: repository.get_top_level_resources()[key] for key in sensor.required_resource_keys}
    with dg.build_sensor_context(
        instance=instance, cursor=cursor, repository_def=repository, resources=resources
    ) as context:
        return sensor.evaluate_tick(context)


def sources(requests: Sequence[RunRequest] | None) -> list[str]:
    return [request.run_config["source"].removeprefix("data/inbox/") for request in requests or ()]


def put(project: Path, name: str, text: str = "a,b\n", at: int = 1_767_225_600) -> Path:
    """A file of the inbox; ``at`` is the time of its last change, in seconds."""
    path = project / "data" / "inbox" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (at, at))
    return path


def test_a_new_file_starts_one_run(locate: Locate, launch: Launch, instance: DagsterInstance, project: Path) -> None:
    definitions = locate(INBOX)
    sensor = definitions.get_repository_def().get_sensor_def("watch_trigger")
    assert sensor.default_status is DefaultSensorStatus.STOPPED
    assert sensor.minimum_interval_seconds == 30

    first = tick(definitions, instance, None)  # there is no folder yet
    assert not first.run_requests
    put(project, "one.csv")
    put(project, "one.txt")
    put(project, "deeper/two.csv")
    second = tick(definitions, instance, first.cursor)
    assert not second.run_requests  # it may still be written
    assert "1 new or changed" in str(second.skip_message)
    third = tick(definitions, instance, second.cursor)
    (request,) = third.run_requests or ()
    assert request.run_config == {
        "source": "data/inbox/one.csv",
        "about": "one.csv one data/inbox 2026-01-01T00:00:00+00:00",
        "size": 4,
    }
    assert request.run_key == "data/inbox/one.csv:1767225600000000000-4"
    assert launch(definitions, request).success
    note = (project / "outputs" / "watch" / "one.csv.txt").read_text()
    assert note == "one.csv one data/inbox 2026-01-01T00:00:00+00:00 4: a,b\n"
    fourth = tick(definitions, instance, third.cursor)
    assert not fourth.run_requests
    assert not tick(definitions, instance, fourth.cursor).run_requests


def test_a_changed_file_starts_one_more(locate: Locate, instance: DagsterInstance, project: Path) -> None:
    definitions = locate(INBOX)
    put(project, "one.csv")
    cursor, seen = None, []
    for change in (None, None, None, ("a,b\n1,2\n", 1_767_225_600), None, ("a,b\n1,2\n", 1_767_225_700), None, None):
        if change:
            put(project, "one.csv", *change)
        done = tick(definitions, instance, cursor)
        cursor = done.cursor
        seen.append([request.run_key for request in done.run_requests or ()])
    assert [len(one) for one in seen] == [0, 1, 0, 0, 1, 0, 1, 0]
    assert len({key for one in seen for key in one}) == 3


def test_a_file_that_grows_waits(locate: Locate, instance: DagsterInstance, project: Path) -> None:
    definitions = locate(INBOX)
    cursor, seen = None, []
    for size in (1, 2, 3, 4, 4, 4):
        put(project, "one.csv", "x" * size)
        done = tick(definitions, instance, cursor)
        cursor = done.cursor
        seen.append(sources(done.run_requests))
    assert seen == [[], [], [], [], ["one.csv"], []]


def test_a_full_inbox_is_taken_in_parts_the_oldest_first(
    locate: Locate, instance: DagsterInstance, project: Path
) -> None:
    definitions = locate(INBOX)
    names = [f"{number:03}.csv" for number in range(MOST_RUNS + 5)]
    for number, name in enumerate(names):
        put(project, name, at=1_767_225_600 - number)
    first = tick(definitions, instance, None)
    second = tick(definitions, instance, first.cursor)
    third = tick(definitions, instance, second.cursor)
    assert sources(second.run_requests) == names[::-1][:MOST_RUNS]
    assert sources(third.run_requests) == names[::-1][MOST_RUNS:]
    assert not tick(definitions, instance, third.cursor).run_requests


def test_a_file_whose_inputs_are_wrong_does_not_stop_the_others(
    locate: Locate, instance: DagsterInstance, project: Path
) -> None:
    definitions = locate(INBOX)
    put(project, "large.csv", "x" * 101, at=1_767_225_000)
    first = tick(definitions, instance, None)
    alone = tick(definitions, instance, first.cursor)
    assert "large.csv starts no run" in str(alone.skip_message)
    assert '"size"' in str(alone.skip_message)
    put(project, "large.csv", "y" * 102, at=1_767_225_000)
    put(project, "one.csv")
    both = tick(definitions, instance, tick(definitions, instance, alone.cursor).cursor)
    assert sources(both.run_requests) == ["one.csv"]


def test_links_out_of_the_workspace_are_no_files(
    locate: Locate, instance: DagsterInstance, project: Path, tmp_path: Path
) -> None:
    definitions = locate(INBOX)
    target = put(project, "one.csv")
    (tmp_path / "secret.csv").write_text("s")
    (target.parent / "out.csv").symlink_to(tmp_path / "secret.csv")
    (target.parent / "in.csv").symlink_to(target)
    (target.parent / "none.csv").symlink_to("nothing.csv")
    done = tick(definitions, instance, tick(definitions, instance, None).cursor)
    assert sorted(sources(done.run_requests)) == ["in.csv", "one.csv"]


def test_strange_names_and_times(locate: Locate, instance: DagsterInstance, project: Path) -> None:
    definitions = locate(INBOX)
    put(project, "{{ size }}.csv")
    Path(os.fsdecode(os.fsencode(project / "data" / "inbox") + b"/\xff.csv")).write_text("x")
    done = tick(definitions, instance, tick(definitions, instance, None).cursor)
    assert sources(done.run_requests) == ["{{ size }}.csv"]  # a name is never read as a template
    far = WatchedFile("far.csv", 1, 2**40 * 1_000_000_000).fields()
    assert "none that a calendar has" in far["modified"].reason


@pytest.mark.parametrize("pattern", ["data/inbox/**/*.csv", "**/*.csv", "data/*/one.csv", "./data/inbox/one.csv"])
def test_patterns(locate: Locate, instance: DagsterInstance, project: Path, pattern: str) -> None:
    definitions = locate(INBOX.replace("data/inbox/*.csv", pattern))
    put(project, "one.csv")
    put(project, ".hidden.csv")
    done = tick(definitions, instance, tick(definitions, instance, None).cursor)
    assert sources(done.run_requests) == ["one.csv"]


def test_a_cursor_forgets_files_that_are_gone() -> None:
    cursor = FileCursor.read(None)
    file = WatchedFile("a.csv", 1, 1)
    cursor.look([file])
    cursor.take(file)
    assert json.loads(cursor.text())["taken"] == {"a.csv": "1-1"}
    again = FileCursor.read(cursor.text())
    assert again.look([]) == ([], 0)
    assert again.text() == FileCursor().text()


ASSET = """\
id: watch
triggers:
  - asset: accounts/table
    enabled: true
    inputs: {source: "{{ asset.path }}", about: "{{ asset.key }} {{ asset.partition | default('whole') }}"}
inputs: {source: None, about: ""}
steps:
  - id: read
    tool: filesystem
    action: read
    parameters: {path: "{{ source }}"}
  - id: note
    action: echo
    parameters: {message: "{{ about }}: {{ read.content }}"}
    products: [note: note.txt]
"""
ACCOUNTS = """\
id: accounts
inputs: {total: 1}
steps:
  - id: make
    action: echo
    parameters: {message: "total {{ total }}"}
    products: [table: table.txt]
"""


def test_a_new_materialization_starts_one_run(
    locate: Locate, launch: Launch, instance: DagsterInstance, project: Path
) -> None:
    definitions = locate(ASSET, ACCOUNTS)
    sensor = definitions.get_repository_def().get_sensor_def("watch_trigger")
    assert sensor.default_status is DefaultSensorStatus.RUNNING
    accounts = definitions.resolve_job_def("accounts_job")

    first = tick(definitions, instance, None)
    assert not first.run_requests
    for total in (2, 3):
        assert accounts.execute_in_process(run_config={"total": total}, instance=instance).success
    second = tick(definitions, instance, first.cursor)
    assert [request.run_config for request in second.run_requests or ()] == [
        {"source": "outputs/accounts/table.txt", "about": "accounts/table whole"}
    ] * 2
    assert len({request.run_key for request in second.run_requests or ()}) == 2
    assert launch(definitions, (second.run_requests or [])[1]).success
    assert (project / "outputs" / "watch" / "note.txt").read_text() == "accounts/table whole: total 3"
    third = tick(definitions, instance, second.cursor)
    assert not third.run_requests
    assert "no new materialization" in str(third.skip_message)


def test_what_was_made_before_counts_once(locate: Locate, instance: DagsterInstance) -> None:
    """As with Dagster's own asset sensors: at the first tick the latest materialization is new."""
    definitions = locate(ASSET, ACCOUNTS)
    accounts = definitions.resolve_job_def("accounts_job")
    for total in (2, 3):
        assert accounts.execute_in_process(run_config={"total": total}, instance=instance).success
    first = tick(definitions, instance, None)
    assert len(first.run_requests or ()) == 1
    assert not tick(definitions, instance, first.cursor).run_requests


def test_a_materialization_hands_on_its_partition(locate: Locate, instance: DagsterInstance) -> None:
    watch = ASSET.replace("id: watch\n", "id: watch\npartitions: {static: [north, south]}\n")
    watch = watch.replace("note.txt", '"{{ partition.key }}.txt"').replace("source: None", "source: x")
    definitions = locate(watch.replace("'whole'", "partition.key"))
    for partition in ("south", "west", None):
        instance.report_runless_asset_event(
            dg.AssetMaterialization(AssetKey(["accounts", "table"]), partition=partition, metadata={"path": "a.txt"})
        )
    done = tick(definitions, instance, "0")
    made = [(one.partition_key, one.run_config["ops"]["watch"]["config"]["about"]) for one in done.run_requests or ()]
    assert made == [
        ("south", "accounts/table south"),
        ("north", "accounts/table west"),
        ("south", "accounts/table west"),
        ("north", "accounts/table north"),
        ("south", "accounts/table south"),
    ]
    assert len({one.run_key for one in done.run_requests or ()}) == 5


def test_a_file_makes_the_last_month_that_has_ended(
    locate: Locate, launch: Launch, instance: DagsterInstance, project: Path
) -> None:
    text = INBOX.replace("{{ source | basename }}.txt", "{{ partition.key }}.txt").replace("source: None", "source: x")
    definitions = locate(text.replace("id: watch\n", "id: watch\npartitions: {monthly: 2026-01-01}\n"))
    put(project, "one.csv")
    cursor = tick(definitions, instance, None).cursor
    (request,) = tick(definitions, instance, cursor).run_requests or ()
    assert str(request.partition_key) < datetime.now(timezone.utc).strftime("%Y-%m")
    assert launch(definitions, request).success
    assert [one.stem for one in (project / "outputs" / "watch").iterdir()] == [request.partition_key]


def test_before_the_first_partition_has_ended_nothing_is_taken(
    locate: Locate, instance: DagsterInstance, project: Path
) -> None:
    text = INBOX.replace("{{ source | basename }}.txt", "{{ partition.key }}.txt").replace("source: None", "source: x")
    definitions = locate(text.replace("id: watch\n", "id: watch\npartitions: {monthly: 2999-01-01}\n"))
    put(project, "one.csv")
    done = tick(definitions, instance, tick(definitions, instance, None).cursor)
    assert "not ended" in str(done.skip_message)
    assert done.cursor is None
