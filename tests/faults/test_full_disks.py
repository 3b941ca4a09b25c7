"""Disks that are full: what was done stays, nothing half is left, and the run goes on when there is space again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from faulty import PIPELINE, TOOLS, calls, command, left_over, small_disk

import orchestrator_dagster as orc
from orchestrator_dagster.definitions.instance.home import open_instance
from orchestrator_dagster.definitions.runs.resume import resume_run
from orchestrator_dagster.definitions.steps.progress import Progress
from orchestrator_dagster.errors import RecordingError


@pytest.fixture
def pipeline(write: Callable[[str, str], Path]) -> Path:
    write("tools.py", TOOLS)
    return write("pipelines/big.yaml", PIPELINE)


def resumed(project: Path, run_id: str) -> dict:
    with open_instance(project) as instance:
        return resume_run(run_id, root=project, instance=instance)


def last_run(project: Path) -> str:
    with open_instance(project) as instance:
        return instance.get_runs(limit=1)[0].run_id


def hints(said: list[Progress]) -> str:
    return "\n".join(one.message for one in said if one.kind == "failed")


def products(project: Path) -> dict[str, int]:
    folder = project / "outputs" / "big"
    return {one.name: one.stat().st_size for one in sorted(folder.iterdir())}


def test_a_product_that_does_not_fit(project: Path, pipeline: Path) -> None:
    with small_disk(project / "outputs", "64k") as grow:
        (project / "outputs" / "big").mkdir()
        (project / "outputs" / "big" / "large.txt").write_text("what an earlier run has made")
        said: list[Progress] = []
        result = orc.compile(pipeline).run(on_progress=said.append)
        assert not result.success
        assert result.error is not None
        assert result.error.items() >= {
            "type": "PathError", "step": "large",
            "message": '"outputs/big/large.txt" cannot be written: No space left on device',
        }.items()  # fmt: skip
        assert "next: free space" in hints(said)
        assert (project / "outputs" / "big" / "large.txt").read_text() == "what an earlier run has made"
        assert not left_over(project)
        assert calls(project) == ["1000", "300000"]
        grow("size=1m")
        document = resumed(project, result.run_id)
        assert document["success"], document["error"]
        assert products(project) == {"after.txt": 10, "large.txt": 300000, "small.txt": 1000}
        assert calls(project) == ["1000", "300000", "300000", "10"]


def test_no_inode_is_left(project: Path, pipeline: Path) -> None:
    with small_disk(project / "outputs", "1m", ",nr_inodes=3") as grow:
        result = orc.compile(pipeline).run()
        assert result.error["message"] == '"outputs/big/large.txt" cannot be written: No space left on device'
        assert not left_over(project)
        grow("nr_inodes=100")
        assert resumed(project, result.run_id)["success"]


def test_outcomes_that_do_not_fit(project: Path, pipeline: Path) -> None:
    with small_disk(project / ".orchestrator" / "storage", "100k") as grow:
        said: list[Progress] = []
        result = orc.compile(pipeline).run(on_progress=said.append)
        assert result.error["type"] == "StorageError"
        place = project / ".orchestrator" / "storage"
        assert result.error["message"] == f'what "large" has left cannot be kept in "{place}": No space left on device'
        assert "next: free space" in hints(said)
        assert not left_over(project)
        grow("size=4m")
        document = resumed(project, result.run_id)
        assert document["success"], document["error"]
        assert calls(project) == ["1000", "300000", "300000", "10"]
        assert products(project) == {"after.txt": 10, "large.txt": 300000, "small.txt": 1000}


def test_the_event_log_does_not_fit(project: Path, pipeline: Path) -> None:
    """The run ends where it can be recorded no longer, and is resumed from what was recorded."""
    with small_disk(project / ".orchestrator", "1m") as grow:
        with pytest.raises(RecordingError) as caught:
            orc.compile(pipeline).run()
        assert not left_over(project)
        before = calls(project)
        grow("size=30m")
        run_id = last_run(project)
        assert f'the run {run_id} cannot be recorded in "{project / ".orchestrator"}": no space left' in str(
            caught.value
        )
        assert f"orchestrator resume {run_id}" in str(caught.value)
        document = resumed(project, run_id)
        assert document["success"], document["error"]
        assert products(project) == {"after.txt": 10, "large.txt": 300000, "small.txt": 1000}
        assert len(calls(project)) <= len(before) + 3  # a step that ended while nothing could be recorded runs again


@pytest.mark.slow
def test_the_command_says_it_in_a_few_lines(project: Path, pipeline: Path) -> None:
    with small_disk(project / ".orchestrator", "1m") as grow:
        ran = command("run", str(pipeline), "-o", "result.json")
        assert ran.returncode == 1
        assert "no space left" in ran.stderr
        assert "Traceback" not in ran.stderr
        assert len(ran.stderr.splitlines()) < 25
        grow("size=30m")
        (run_id,) = {
            word
            for line in ran.stderr.splitlines()
            if "orchestrator resume" in line
            for word in line.strip("`").split()[-1:]
        }
        ran = command("resume", run_id, "-q")
        assert ran.returncode == 0, ran.stderr


def test_the_instance_cannot_even_be_made(project: Path, pipeline: Path) -> None:
    with small_disk(project / ".orchestrator", "100k"):
        ran = command("run", str(pipeline))
        assert ran.returncode == 1
        assert "the runs cannot be recorded" in ran.stderr
        assert "Traceback" not in ran.stderr
        assert len(ran.stderr.splitlines()) < 8, ran.stderr
        assert not calls(project)
