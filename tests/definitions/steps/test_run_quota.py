"""What one run may write in all."""

from __future__ import annotations

from pathlib import Path

import pytest
from dagster import DagsterInstance

import orchestrator_dagster as orc
from orchestrator_dagster.definitions.resources import WorkspaceResource

PIPELINE = """id: p
timeout: 60
steps:
  - {id: a, tool: filesystem, action: write, parameters: {path: a.txt, content: "12345678"}}
  - {id: b, tool: filesystem, action: write, parameters: {path: b.txt, content: "12345678"}, depends_on: a}
"""


@pytest.mark.parametrize(("most", "left"), [(12, ["a.txt"]), (16, ["a.txt", "b.txt"])])
def test_the_steps_of_a_run_count_together(
    tmp_path: Path, instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch, most: int, left: list[str]
) -> None:
    """Each step writes in a process of its own, which has a timeout."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines/p.yaml").write_text(PIPELINE)
    resource = WorkspaceResource(root=str(tmp_path), max_run_bytes=most)
    location = orc.build_definitions("pipelines", resources={"workspace": resource})
    done = location.resolve_job_def("p_job").execute_in_process(instance=instance, raise_on_error=False)
    assert sorted(path.name for path in tmp_path.glob("*.txt")) == left
    failed = [event.step_failure_data.error.message for event in done.all_events if event.is_step_failure]  # type: ignore[union-attr]
    assert done.success == (not failed)
    assert all("the run has written 16 bytes, the workspace allows 12 for all of it" in one for one in failed)
    assert bool(failed) == (most == 12)
