"""Asset checks of products: said with the materialization, and on demand by reading the files again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
from dagster import AssetCheckKey, AssetKey, DagsterInstance

import orchestrator_dagster as orc

Locate = Callable[..., dg.Definitions]

TEXT = """id: sales
inputs: {rows: {type: array, default: [{shop: north, total: 3.5}]}}
steps:
  - id: table
    action: echo
    parameters: {message: "{{ rows }}"}
    vars: [table: {type: array, items: {shop: string, total: {type: number, minimum: 0}}}]
    products: [table: table.csv]
  - id: facts
    action: echo
    parameters: {message: {facts: {count: 3}}}
    vars: [facts: {type: object, properties: {count: integer}}]
    products: [facts: facts.json]
  - id: each
    for_each: [a, b]
    action: echo
    parameters: {message: "{{ item }}"}
    products: [each: "{{ item }}.txt"]
"""
KEYS = [AssetKey(["sales", name]) for name in ("table", "facts", "each")]


def evaluations(instance: DagsterInstance, check: str) -> dict[str, dg.AssetCheckEvaluation]:
    keys = [AssetCheckKey(key, check) for key in KEYS]
    found = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    made = {key.asset_key.path[-1]: record.event for key, record in found.items()}
    return {
        name: event.dagster_event.asset_check_evaluation_data
        for name, event in made.items()
        if event is not None and event.dagster_event is not None
    }


def on_demand(definitions: dg.Definitions, instance: DagsterInstance) -> dg.ExecuteInProcessResult:
    """Executes the checks alone, as the button of an asset's page does."""
    job = definitions.resolve_implicit_global_asset_job_def()
    chosen = {AssetCheckKey(key, name) for key in KEYS for name in ("sound", "unchanged")}
    return job.get_subset(asset_selection=set(), asset_check_selection=chosen).execute_in_process(instance=instance)


def passed(found: dict[str, dg.AssetCheckEvaluation]) -> dict[str, bool]:
    return {name: one.passed for name, one in found.items()}


GOOD = dict.fromkeys(("table", "facts", "each"), True)


@pytest.mark.parametrize("way", ["location", "command"])
def test_what_was_written_is_said_to_be_sound(
    way: str, locate: Locate, project: Path, instance: DagsterInstance
) -> None:
    definitions = locate(TEXT)
    if way == "command":
        assert orc.compile("pipelines/sales.yaml").run(instance=instance).success
    else:
        job = definitions.resolve_job_def("sales_job")
        done = job.execute_in_process(instance=instance)
        assert done.success
        assert not [event for event in done.all_events if (event.step_key or "").startswith("check_")]  # no further op
    found = evaluations(instance, "sound")
    assert passed(found) == GOOD
    target = found["table"].target_materialization_data
    event = instance.get_latest_materialization_event(KEYS[0])
    assert target is not None
    assert event is not None
    assert (target.run_id, target.timestamp) == (event.run_id, event.timestamp)
    assert evaluations(instance, "unchanged") == {}
    assert on_demand(definitions, instance).success
    assert passed(evaluations(instance, "sound")) == passed(evaluations(instance, "unchanged")) == GOOD


def test_what_happens_to_files_is_found(locate: Locate, project: Path, instance: DagsterInstance) -> None:
    definitions = locate(TEXT)
    assert orc.compile("pipelines/sales.yaml").run(instance=instance).success
    folder = project / "outputs" / "sales"
    (folder / "table.csv").write_text("shop,total\nnorth,-2\n")
    (folder / "facts.json").unlink()
    (folder / "b.txt").write_text("c")
    assert on_demand(definitions, instance).success
    sound, unchanged = evaluations(instance, "sound"), evaluations(instance, "unchanged")
    assert passed(sound) == {"table": False, "facts": False, "each": True}
    assert passed(unchanged) == {"table": False, "facts": False, "each": False}
    assert "greater than or equal to 0" in (sound["table"].description or "") or "at least 0" in (
        sound["table"].description or ""
    )
    assert "exists" in (sound["facts"].description or "")
    assert "| outputs/sales/table.csv | schema |" in str(sound["table"].metadata["orchestrator/problems"].value)
    assert "materialize sales/table again" in str(sound["table"].metadata["orchestrator/next"].value)
    assert "find out who changed it" in str(unchanged["each"].metadata["orchestrator/next"].value)
    (folder / "facts.json").write_text('{"count": ')
    (folder / "table.csv").write_text("store,total\nnorth,2\n")
    assert on_demand(definitions, instance).success
    sound = evaluations(instance, "sound")
    assert "parses" in (sound["facts"].description or "")
    assert "the column shop is missing" in (sound["table"].description or "")
    assert orc.compile("pipelines/sales.yaml").run(instance=instance).success
    assert passed(evaluations(instance, "sound")) == GOOD


def test_an_empty_product_is_a_warning(locate: Locate, project: Path, instance: DagsterInstance) -> None:
    locate(TEXT)
    assert orc.compile("pipelines/sales.yaml").run(instance=instance, rows=[]).success
    found = evaluations(instance, "sound")["table"]
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert found.metadata["orchestrator/next"].value == "look at what the step table leaves"


def test_checks_of_what_was_never_made(locate: Locate, instance: DagsterInstance) -> None:
    assert on_demand(locate(TEXT), instance).success
    found = evaluations(instance, "sound")["table"]
    assert not found.passed
    assert found.description == "sales/table has never been materialized; next: materialize it"


def test_every_partition_is_checked(locate: Locate, project: Path, instance: DagsterInstance) -> None:
    text = "id: sales\npartitions: {static: [a, b]}\nsteps:\n  - {id: table, action: echo, parameters: {message: '{{ partition.key }}'}, products: [table: '{{ partition.key }}.txt']}\n"
    definitions = locate(text)
    for key in "ab":
        assert orc.compile("pipelines/sales.yaml").run(instance=instance, partition=key).success
    (project / "outputs" / "sales" / "a.txt").write_text("changed")
    job = definitions.resolve_implicit_global_asset_job_def()
    chosen = {AssetCheckKey(KEYS[0], "unchanged")}
    job.get_subset(asset_selection=set(), asset_check_selection=chosen).execute_in_process(instance=instance)
    found = evaluations(instance, "unchanged")["table"]
    assert not found.passed
    assert found.metadata["orchestrator/files"].value == 2
    assert (found.description or "").startswith("outputs/sales/a.txt")
