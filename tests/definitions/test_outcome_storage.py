"""Outcomes in storages other than a plain folder: what executors on several machines need."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest
from dagster import DagsterInstance

import orchestrator_dagster as orc
from orchestrator_dagster.definitions.io_managers import OutcomeIOManager

PIPELINE = """
id: passes
steps:
  - {id: one, action: echo, parameters: {message: "grüße"}}
  - {id: two, action: echo, parameters: {message: "{{ one }} again"}}
outputs: {said: "{{ two }}"}
"""


@pytest.mark.parametrize("base", ["memory://outcomes", "file://{folder}/by_url", "{folder}/by_path"])
def test_outcomes_pass_through_it(
    base: str, write: Callable[[str, str], Path], tmp_path: Path, instance: DagsterInstance
) -> None:
    place = base.format(folder=tmp_path)
    keeps = {"orchestrator_outcomes": OutcomeIOManager(base_path=place)}
    result = orc.compile(write("p.yaml", PIPELINE)).run(instance=instance, resources=keeps)
    assert result.success, result.error
    assert result.outputs == {"said": "grüße again"}
    system, path = fsspec.core.url_to_fs(f"{place}/{result.run_id}")
    kept = [name.rpartition(result.run_id)[2] for name in system.find(path)]
    assert sorted(kept) == [
        "/passes.inputs/inputs.json", "/passes.one/outcome.json", "/passes.two/outcome.json"
    ]  # fmt: skip
    assert not list(Path(instance.storage_directory()).rglob("outcome.json"))
