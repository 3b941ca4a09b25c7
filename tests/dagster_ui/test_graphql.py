"""What the UI does, over the same GraphQL: look at assets, launch with inputs, wait, read materializations."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(300)

SELECTOR = {"repositoryLocationName": "pipelines", "repositoryName": "__repository__"}
LAUNCH = """
mutation($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on PythonError { message }
  }
}
"""
MATERIALIZATION = """
query($key: AssetKeyInput!) {
  assetOrError(assetKey: $key) {
    ... on Asset {
      assetMaterializations(limit: 1) {
        runId
        metadataEntries {
          label
          ... on TextMetadataEntry { text }
          ... on IntMetadataEntry { intValue }
          ... on FloatMetadataEntry { floatValue }
          ... on MarkdownMetadataEntry { mdStr }
          ... on PathMetadataEntry { path }
        }
      }
    }
  }
}
"""


def launch(
    dev: Any, config: dict[str, Any], assets: list[list[str]] | None = None, job: str = "research_report_job"
) -> dict[str, Any]:
    selector: dict[str, Any] = {**SELECTOR, "jobName": job}
    if assets is not None:
        selector["assetSelection"] = [{"path": path} for path in assets]
    params = {"selector": selector, "runConfigData": config, "mode": "default"}
    found: dict[str, Any] = dev.query(LAUNCH, params=params)["launchRun"]
    return found


def materialization(dev: Any, *path: str) -> dict[str, Any]:
    (found,) = dev.query(MATERIALIZATION, key={"path": list(path)})["assetOrError"]["assetMaterializations"]
    values = {}
    for entry in found["metadataEntries"]:
        label = entry.pop("label")
        values[label] = next(iter(entry.values()), None)
    return {"run": found["runId"], **values}


@pytest.mark.slow
def test_the_ui_launches_the_main_pipeline(dev: Any) -> None:
    nodes = dev.query(
        "{ assetNodes { assetKey { path } groupName opNames dependencyKeys { path } kinds description } }"
    )
    by_name = {node["assetKey"]["path"][-1]: node for node in nodes["assetNodes"]}
    assert set(by_name) == {"findings", "surface_table", "report", "page", "run"}
    assert {"path": ["research_report", "findings"]} in by_name["report"]["dependencyKeys"]
    assert set(by_name["findings"]["kinds"]) == {"json", "extractive"}
    assert all(node["description"] for node in by_name.values())
    # by this the UI knows that "Materialize" has to ask for config first
    fields = dev.query("{ assetNodes { configField { isRequired } } }")["assetNodes"]
    assert all(node["configField"]["isRequired"] for node in fields)

    # the launchpad refuses a launch without the required input
    refused = launch(dev, {})
    assert refused["__typename"] == "RunConfigValidationInvalid"
    assert "topic" in refused["errors"][0]["message"]

    started = launch(dev, {"topic": "trees and drought", "max_findings": 5})
    assert started["__typename"] == "LaunchRunSuccess", started
    run_id = started["run"]["runId"]
    assert dev.wait(run_id) == "SUCCESS"
    said = materialization(dev, "research_report", "findings")
    assert said["run"] == run_id
    assert said["orchestrator/model"] == "builtin:extractive"
    findings = json.loads((dev.project / "outputs/research_report/findings.json").read_text())
    assert 1 <= len(findings) <= 5
    assert said["dagster/row_count"] == len(findings)
    assert "finding" in said["orchestrator/preview"]

    # one product alone, from the same page
    started = launch(dev, {"topic": "trees and drought"}, [["research_report", "surface_table"]])
    assert dev.wait(started["run"]["runId"]) == "SUCCESS"
    assert materialization(dev, "research_report", "surface_table")["run"] == started["run"]["runId"]
    assert materialization(dev, "research_report", "findings")["run"] == run_id
    tags = dev.query(
        "query($id: ID!) { runOrError(runId: $id) { ... on Run { tags { key value } } } }", id=started["run"]["runId"]
    )["runOrError"]["tags"]
    assert {"key": "orchestrator/pipeline", "value": "research_report"} in tags
    assert {"key": "domain", "value": "research"} in tags

    # "Materialize" on an asset's page: a part of Dagster's own job for all assets, with the graph's config
    config = {"ops": {"research_report": {"config": {"topic": "trees and drought"}}}}
    started = launch(dev, config, [["research_report", "findings"]], job="__ASSET_JOB")
    assert started["__typename"] == "LaunchRunSuccess", started
    run_id = started["run"]["runId"]
    assert dev.wait(run_id) == "SUCCESS"

    # a run from the command is recorded in the same instance
    command = [
        sys.executable,
        "-m",
        "orchestrator_dagster.cli",
        "run",
        "pipelines/research_report.yaml",
        "-i",
        "topic=shade",
    ]
    done = subprocess.run(
        command,
        cwd=dev.project,
        env={**os.environ, "DAGSTER_HOME": str(dev.home)},
        capture_output=True,
        text=True,
        check=True,
    )
    document = json.loads(done.stdout)
    assert materialization(dev, "research_report", "run")["run"] == document["execution_id"]
