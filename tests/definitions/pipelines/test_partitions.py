"""Partitions and automation: the assets know them, and each partition has files of its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner
from dagster import AssetKey, DagsterInstance

import orchestrator_dagster as orc
from orchestrator_dagster.cli import main
from orchestrator_dagster.definitions.pipelines.partitions import partitions_at, partitions_of
from orchestrator_dagster.errors import InputsError

Locate = Callable[..., dg.Definitions]
Write = Callable[[str, str], Path]

REGIONS = """\
id: regions
partitions: {static: [north, south]}
inputs: {word: region}
steps:
  - id: say
    action: echo
    parameters: {message: "{{ word }} {{ partition.key }}"}
    products: [said: "{{ partition.key }}/said.txt"]
  - id: again
    action: echo
    parameters: {message: "again {{ said }}"}
    products: [again: "{{ partition.key }}/again.md"]
outputs: {key: "{{ partition.key }}"}
"""


def files(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def keys(definitions: dg.Definitions, instance: DagsterInstance, name: str) -> set[str]:
    assert definitions.resolve_asset_graph().get(AssetKey(["regions", name])).partitions_def is not None
    return set(instance.get_materialized_partitions(AssetKey(["regions", name])))


def test_a_backfill_writes_the_files_of_each_partition(
    locate: Locate, instance: DagsterInstance, project: Path
) -> None:
    definitions = locate(REGIONS)
    job = definitions.resolve_job_def("regions_job")
    assert job.partitions_def == dg.StaticPartitionsDefinition(["north", "south"])
    for key in ("north", "south"):
        assert job.execute_in_process(partition_key=key, instance=instance).success
    assert files(project / "outputs" / "regions") == {
        "north/said.txt": "region north",
        "north/again.md": "again region north",
        "south/said.txt": "region south",
        "south/again.md": "again region south",
    }
    for name in ("said", "again", "run"):
        assert keys(definitions, instance, name) == {"north", "south"}


def test_one_product_of_one_partition_from_the_asset_page(
    locate: Locate, instance: DagsterInstance, project: Path
) -> None:
    job = locate(REGIONS).resolve_implicit_global_asset_job_def()
    subset = job.get_subset(asset_selection={AssetKey(["regions", "said"])})
    assert subset.execute_in_process(partition_key="south", instance=instance).success
    assert files(project / "outputs" / "regions") == {"south/said.txt": "region south"}


def test_a_run_from_python_names_its_partition(write: Write, instance: DagsterInstance, project: Path) -> None:
    pipeline = orc.compile(write("pipelines/regions.yaml", REGIONS))
    result = pipeline.run(partition="north", word="land", instance=instance)
    assert result.success, result.error
    assert result.outputs == {"key": "north"}
    assert files(project / "outputs" / "regions")["north/said.txt"] == "land north"
    for wrong, words in (
        (None, "north, south"),
        (None, "next: name it: `--partition KEY`"),
        ("sooth", 'did you mean "south"'),
    ):
        with pytest.raises(InputsError, match=words):
            pipeline.run(partition=wrong, instance=instance)
    plain = orc.compile(
        write("pipelines/plain.yaml", "id: plain\nsteps: [{id: a, action: echo, parameters: {message: x}}]")
    )
    with pytest.raises(InputsError, match="no partitions"):
        plain.run(partition="north", instance=instance)


def test_the_command_takes_a_partition(write: Write, project: Path) -> None:
    path = str(write("pipelines/regions.yaml", REGIONS).relative_to(project))
    done = CliRunner().invoke(main, ["run", path, "--partition", "south", "--quiet"])
    assert done.exit_code == 0, done.output
    assert files(project / "outputs" / "regions")["south/said.txt"] == "region south"
    refused = CliRunner().invoke(main, ["run", path])
    assert refused.exit_code == 2
    assert "north, south" in refused.output


@pytest.mark.parametrize(
    ("partitions", "at", "last"),
    [
        ("{hourly: 2026-01-01 06:00}", "2026-01-01T08:30", "2026-01-01-07:00"),
        ("{daily: 2026-01-01}", "2026-01-03T00:00", "2026-01-02"),
        ("{weekly: 2026-01-01}", "2026-01-12T00:00", "2026-01-04"),
        ("{monthly: 2026-01-01}", "2026-03-15T12:00", "2026-02-01"),
        ("{monthly: 2026-01-01}", "2026-01-15T12:00", None),
        ("{hourly: 2026-01-01 06:00}", "2025-01-01T08:30", None),
    ],
)
def test_the_last_partition_that_has_ended(write: Write, partitions: str, at: str, last: str | None) -> None:
    text = REGIONS.replace("{static: [north, south]}", partitions)
    pipeline = orc.compile(write("pipelines/regions.yaml", text)).compiled
    when = datetime.fromisoformat(at).replace(tzinfo=timezone.utc)
    assert partitions_at(pipeline, when) == ([last] if last else [])
    definition = partitions_of(pipeline)
    assert definition is not None
    assert last is None or last in definition.get_partition_keys()


AUTOMATED = REGIONS.replace("partitions: {static: [north, south]}\n", "automation: eager\n").replace(
    "{{ partition.key }}", "all"
)


NAMES = {AssetKey(["regions", name]) for name in ("said", "again", "run")}


def test_eager_assets_follow_what_they_are_made_from(locate: Locate, instance: DagsterInstance, project: Path) -> None:
    definitions = locate(AUTOMATED)
    graph = definitions.resolve_asset_graph()
    assert {key for key in NAMES if graph.get(key).automation_condition is not None} == NAMES
    job = definitions.resolve_implicit_global_asset_job_def()
    assert job.execute_in_process(asset_selection=list(NAMES), instance=instance).success
    first = dg.evaluate_automation_conditions(definitions, instance)
    assert first.total_requested == 0
    made = {"ops": {"regions": {"config": {"word": "land"}}}}
    assert job.execute_in_process(
        asset_selection=[AssetKey(["regions", "said"])], run_config=made, instance=instance
    ).success
    second = dg.evaluate_automation_conditions(definitions, instance, cursor=first.cursor)
    wanted = {result.key for result in second.results if result.true_subset.size}
    assert wanted == {AssetKey(["regions", "again"]), AssetKey(["regions", "run"])}
    # What the daemon then starts: the implicit job, without inputs.
    assert job.execute_in_process(asset_selection=list(wanted), instance=instance).success
    assert files(project / "outputs" / "regions")["all/again.md"] == "again region all"
    assert dg.evaluate_automation_conditions(definitions, instance, cursor=second.cursor).total_requested == 0


@pytest.mark.parametrize("kind", ["eager", "on_missing"])
def test_a_new_partition_is_made_by_itself(locate: Locate, instance: DagsterInstance, kind: str) -> None:
    definitions = locate(REGIONS.replace("{static: [north, south]}", f"{{daily: 2026-01-01}}\nautomation: {kind}"))
    first = dg.evaluate_automation_conditions(
        definitions, instance, evaluation_time=datetime(2026, 1, 3, 23, tzinfo=timezone.utc)
    )
    second = dg.evaluate_automation_conditions(
        definitions, instance, evaluation_time=datetime(2026, 1, 4, 1, tzinfo=timezone.utc), cursor=first.cursor
    )
    assert first.total_requested == 0
    assert all(second.get_requested_partitions(key) == {"2026-01-03"} for key in NAMES)


def test_assets_are_made_by_the_clock(locate: Locate, instance: DagsterInstance) -> None:
    definitions = locate(AUTOMATED.replace("eager", '{cron: "0 6 * * *", timezone: Europe/Berlin}'))
    before = dg.evaluate_automation_conditions(
        definitions, instance, evaluation_time=datetime(2026, 7, 1, 3, 50, tzinfo=timezone.utc)
    )
    assert before.total_requested == 0
    after = dg.evaluate_automation_conditions(
        definitions, instance, evaluation_time=datetime(2026, 7, 1, 4, 5, tzinfo=timezone.utc), cursor=before.cursor
    )
    assert after.total_requested == 3
