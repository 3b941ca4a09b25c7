"""Places where nothing can be written: the step fails with the path and the reason, and nothing else is touched."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from faulty import left_over, small_disk

import orchestrator_dagster as orc
from orchestrator_dagster.definitions.instance.home import open_instance
from orchestrator_dagster.definitions.runs.resume import resume_run
from orchestrator_dagster.definitions.steps.progress import Progress

ECHO = """
id: places
steps:
  - {id: fine, action: echo, parameters: {message: fine}, vars: [fine: "{{ result }}"], products: [fine: fine.txt]}
  - {id: odd, dependencies: [fine], action: echo, parameters: {message: odd}, vars: [odd: "{{ result }}"], products: [odd: "PATH"]}
"""

Run = Callable[..., "tuple[orc.Result, str]"]


@pytest.fixture
def run(write: Callable[[str, str], Path]) -> Run:
    """Runs the pipeline with a path for its second product; gives the result and what a person reads."""

    def make(path: str = "odd.txt", **inputs: object) -> tuple[orc.Result, str]:
        said: list[Progress] = []
        file = write("pipelines/places.yaml", ECHO.replace("PATH", path))
        result = orc.compile(file).run(on_progress=said.append, **inputs)
        return result, "\n".join(one.message for one in said if one.kind == "failed")

    return make


def test_a_folder_that_cannot_be_written(project: Path, run: Run) -> None:
    with small_disk(project / "outputs", "1m") as grow:
        grow("ro")
        result, said = run()
        assert result.error["step"] == "fine"
        assert result.error["message"] == '"outputs/places" cannot be opened as a folder: Read-only file system'
        assert "next: write to another folder (`output_dir`)" in said
        grow("rw")
        with open_instance(project) as instance:
            assert resume_run(result.run_id, root=project, instance=instance)["success"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write(project: Path, run: Run) -> None:
    (project / "outputs" / "places").mkdir(parents=True)
    (project / "outputs" / "places").chmod(0o555)
    result, said = run()
    assert result.error["message"] == '"outputs/places/fine.txt" cannot be written: Permission denied'
    assert "next: write to another folder" in said


def test_the_output_folder_is_a_file(project: Path, run: Run) -> None:
    (project / "outputs").write_text("a file")
    result, said = run()
    assert result.error["message"] == '"outputs/places" cannot be opened as a folder: Not a directory'
    assert "next: a file stands where a folder is needed" in said
    assert (project / "outputs").read_text() == "a file"


def test_a_folder_stands_where_a_product_goes(project: Path, run: Run) -> None:
    (project / "outputs" / "places" / "odd.txt").mkdir(parents=True)
    result, _ = run()
    assert result.error is not None
    assert result.error.items() >= {
        "type": "PathError", "step": "odd",
        "message": '"outputs/places/odd.txt" is a folder, a file was to be written there',
    }.items()  # fmt: skip
    assert (project / "outputs" / "places" / "fine.txt").read_text() == "fine"
    assert not left_over(project)


@pytest.mark.parametrize("path", ["{{ 'x' * 300 }}.txt", "{{ 'é' * 200 }}.txt", "{{ 'y/' * 2500 }}z.txt"])
def test_a_path_that_is_too_long(path: str, project: Path, run: Run) -> None:
    result, _ = run(path)
    assert result.error["step"] == "odd"
    assert result.error["type"] == "PathError"
    assert "is too long: 255 bytes a name" in result.error["message"]
    assert [one.name for one in (project / "outputs").rglob("*")][:2] == ["places", "fine.txt"]
    assert not left_over(project)


def test_a_template_of_a_tool_that_is_gone_at_run_time(write: Callable[[str, str], Path], project: Path) -> None:
    """What products include is in the compiled pipeline."""
    write("pipelines/page.html.j2", "<p>{{ value }}</p>")
    file = write(
        "pipelines/page.yaml",
        "id: page\nsteps:\n  - {id: odd, action: echo, parameters: {message: odd}, vars: [odd: '{{ result }}'],"
        " products: [odd: {path: odd.html, template: page.html.j2}]}\n",
    )
    pipeline = orc.compile(file)
    (project / "pipelines" / "page.html.j2").unlink()
    file.unlink()
    result = pipeline.run()
    assert result.success, result.error
    assert (project / "outputs" / "page" / "odd.html").read_text() == "<p>odd</p>"
