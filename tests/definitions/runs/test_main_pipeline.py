"""The main pipeline, in process, with the built-in model: no key, no network."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
from dagster import AssetKey, DagsterInstance

import orchestrator_dagster as orc
from orchestrator_dagster.definitions.steps.metadata import ProductMetadata

TOPIC = "shade and surface temperature"


@pytest.fixture
def pipeline(demo: Path) -> orc.Pipeline:
    return orc.compile(demo / "pipelines" / "research_report.yaml")


def latest(instance: DagsterInstance, name: str) -> dict[str, object]:
    event = instance.get_latest_materialization_event(AssetKey(["research_report", name]))
    assert event is not None
    assert event.asset_materialization is not None
    return {key: value.value for key, value in event.asset_materialization.metadata.items()}


def test_a_whole_run(demo: Path, pipeline: orc.Pipeline, instance: DagsterInstance) -> None:
    seen: list[orc.Progress] = []
    result = pipeline.run(topic=TOPIC, instance=instance, on_progress=seen.append)

    assert result.success, result.error
    folder = demo / "outputs" / "research_report"
    findings = json.loads((folder / "findings.json").read_text())
    documents = {path.name: path.read_text() for path in (demo / "data" / "documents").iterdir()}
    assert 3 <= len(findings) <= 10
    for finding in findings:  # everything is taken from the documents, and says from which
        text = " ".join(documents[finding["source"]].split())
        assert finding["quote"] in text
    report = (folder / "report.md").read_text()
    assert report == result.outputs["report"]
    assert "# Shade and surface temperature" in report
    assert all(finding["finding"] in report for finding in findings)
    rows = list(csv.DictReader((folder / "surfaces.csv").read_text().splitlines()))
    assert {row["surface"] for row in rows} == {"asphalt", "grass", "gravel", "paving", "water-bound"}
    open_asphalt = next(row for row in rows if row["surface"] == "asphalt" and row["shade"] == "few trees")
    assert float(open_asphalt["surface_c"]) > float(open_asphalt["air_c"]) + 10
    page = (folder / "report.html").read_text()
    assert page.lower().startswith("<!doctype html>")
    assert "<script" not in page

    assert {event.step for event in seen if event.kind == "completed"} == set(result.steps)
    assert not list(demo.rglob("*.tmp"))


def test_the_result_document(pipeline: orc.Pipeline, instance: DagsterInstance) -> None:
    document = pipeline.run(topic=TOPIC, instance=instance).document
    assert document["pipeline_id"] == "research_report"
    assert document["status"] == "completed"
    assert document["error"] is None
    assert instance.get_run_by_id(document["execution_id"]) is not None
    step = document["steps"]["extract_findings"]
    assert step["status"] == "completed"
    assert step["model"] == "extractive"
    assert step["provider"] == "builtin"
    assert step["dependencies"] == ["read_documents"]
    assert step["retries"] == 0
    order = document["execution_order"]
    assert order.index("read_documents") < order.index("extract_findings") < order.index("write_report")
    assert document["execution_levels"][0] == ["list_documents", "load_measurements"]
    assert document["usage"]["calls"] == 2
    assert document["usage"]["cost"] == 0.0
    json.dumps(document)


def test_what_a_materialization_says(demo: Path, pipeline: orc.Pipeline, instance: DagsterInstance) -> None:
    pipeline.run(topic=TOPIC, instance=instance)
    said = latest(instance, "findings")
    file = demo / "outputs" / "research_report" / "findings.json"
    assert said["orchestrator/path"] == "outputs/research_report/findings.json"
    assert said["orchestrator/file"] == str(file)
    assert said["orchestrator/bytes"] == file.stat().st_size
    assert said["orchestrator/model"] == "builtin:extractive"
    assert "no language model" in str(said["orchestrator/model_about"])
    assert said["orchestrator/model_reason"] == "the pipeline's default_model"
    assert said["orchestrator/input_tokens"] > 1000
    assert said["orchestrator/cost"] == 0.0
    assert said["dagster/row_count"] == len(json.loads(file.read_text()))
    assert [column.name for column in said["dagster/column_schema"].columns] == ["finding", "source", "quote"]
    line = int(str(said["orchestrator/defined_at"]).split(":")[1])
    text = (demo / "pipelines" / "research_report.yaml").read_text().splitlines()
    assert "extract_findings" in text[line - 1]
    table = latest(instance, "surface_table")
    kinds = {column.name: column.type for column in table["dagster/column_schema"].columns}
    assert kinds["measurements"] == "integer"
    assert kinds["surface_c"] == "number"
    assert kinds["surface"] == "string"
    record = latest(instance, "run")
    assert record["orchestrator/steps"] == 10
    assert record["orchestrator/outputs"]["reliability"] > 0


def test_two_runs_give_the_same_bytes(demo: Path, pipeline: orc.Pipeline, instance: DagsterInstance) -> None:
    first = {one["variable"]: one["sha256"] for one in pipeline.run(topic=TOPIC, instance=instance).products}
    second = {one["variable"]: one["sha256"] for one in pipeline.run(topic=TOPIC, instance=instance).products}
    assert first == second
    assert set(first) == {"findings", "surface_table", "report", "page"}


def test_one_product_alone_runs_only_what_it_needs(
    demo: Path, pipeline: orc.Pipeline, instance: DagsterInstance
) -> None:
    result = pipeline.run(topic=TOPIC, products=["surface_table"], instance=instance)
    assert result.success
    ran = {step for step, record in result.steps.items() if record["status"] == "completed"}
    assert ran == {"load_measurements", "clean_measurements", "compare_surfaces", "make_table"}
    assert [one["variable"] for one in result.products] == ["surface_table"]
    assert [path.name for path in (demo / "outputs" / "research_report").iterdir()] == ["surfaces.csv"]


def test_a_product_that_is_not_selected_is_not_written(
    demo: Path, pipeline: orc.Pipeline, instance: DagsterInstance
) -> None:
    pipeline.run(topic=TOPIC, products=["report"], instance=instance)
    assert [path.name for path in (demo / "outputs" / "research_report").iterdir()] == ["report.md"]


def test_the_assets_in_dagster(pipeline: orc.Pipeline) -> None:
    definitions = pipeline.definitions()
    dg.Definitions.validate_loadable(definitions)
    graph = definitions.resolve_asset_graph()
    key = AssetKey(["research_report", "report"])
    node = graph.get(key)
    assert node.parent_keys == {
        AssetKey(["research_report", "findings"]),
        AssetKey(["research_report", "surface_table"]),
    }
    assert node.group_name == "research_report"
    assert set(node.owners) == {"team:research", "ana@example.com"}
    assert node.kinds == {"report", "markdown"}
    assert node.tags["domain"] == "research"
    references = node.metadata["dagster/code_references"].code_references
    assert references[0].file_path.endswith("research_report.yaml")
    run = graph.get(AssetKey(["research_report", "run"]))
    assert key in run.parent_keys


@pytest.mark.parametrize("names", [["surface_table"], ["findings", "report"], ["run"]])
def test_materializing_from_the_asset_pages(
    pipeline: orc.Pipeline, instance: DagsterInstance, demo: Path, names: list[str]
) -> None:
    keys = [AssetKey(["research_report", name]) for name in names]
    job = pipeline.definitions().resolve_implicit_global_asset_job_def()
    subset = job.get_subset(asset_selection=set(keys))
    assert subset.run_config_schema is not None
    config = {"ops": {"research_report": {"config": {"topic": TOPIC}}}}
    result = subset.execute_in_process(run_config=config, instance=instance)
    assert {event.asset_key for event in result.get_asset_materialization_events()} == set(keys)


def test_launch_config_is_typed(pipeline: orc.Pipeline, instance: DagsterInstance) -> None:
    job = pipeline.definitions().resolve_job_def("research_report_job")
    schema = job.run_config_schema
    assert schema is not None
    with pytest.raises(dg.DagsterInvalidConfigError, match="topic"):
        job.execute_in_process(run_config={}, instance=instance)
    with pytest.raises(dg.DagsterInvalidConfigError, match="max_findings"):
        job.execute_in_process(run_config={"topic": "x", "max_findings": "many"}, instance=instance)
    with pytest.raises(dg.DagsterInvalidConfigError, match="topc"):
        job.execute_in_process(run_config={"topc": "x"}, instance=instance)
    failed = job.execute_in_process(
        run_config={"topic": "x", "max_findings": 99}, instance=instance, raise_on_error=False
    )
    assert not failed.success
    (failure,) = [event for event in failed.all_events if event.is_step_failure]
    assert failure.step_key == "research_report.inputs"
    assert "50" in str(failure.step_failure_data.user_failure_data.description)


def test_a_downstream_asset_loads_a_product(pipeline: orc.Pipeline, instance: DagsterInstance) -> None:
    pipeline.run(topic=TOPIC, instance=instance)
    loaded = {}

    @dg.asset(
        ins={
            "frame": dg.AssetIn(key=["research_report", "surface_table"], input_manager_key="orchestrator_products"),
            "findings": dg.AssetIn(key=["research_report", "findings"], input_manager_key="orchestrator_products"),
            "report": dg.AssetIn(key=["research_report", "report"], input_manager_key="orchestrator_products"),
        }
    )
    def downstream(frame: pd.DataFrame, findings: list, report: str) -> None:  # type: ignore[type-arg]
        loaded.update(frame=frame, findings=findings, report=report)

    definitions = dg.Definitions.merge(pipeline.definitions(), dg.Definitions(assets=[downstream]))
    job = definitions.resolve_implicit_global_asset_job_def()
    assert job.execute_in_process(asset_selection=[AssetKey("downstream")], instance=instance).success
    assert loaded["frame"]["surface_c"].dtype == float
    assert loaded["findings"][0].keys() == {"finding", "source", "quote"}
    assert loaded["report"].startswith("# Shade")


def test_metadata_has_one_namespace() -> None:
    assert all(name.startswith("orchestrator/") for name in dict(ProductMetadata(path="x", format="md")))
