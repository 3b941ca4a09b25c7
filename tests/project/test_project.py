"""A folder of pipelines, the project around it, and how little `validate` loads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator_dagster.errors import PipelineError
from orchestrator_dagster.project.loading import compile_or_raise, find_project, load_folder, pipeline_files

REPOSITORY = Path(__file__).resolve().parents[2]
STEP = "default_model: builtin:extractive\nsteps: [{id: a, prompt: x}]\n"


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def test_pipeline_files_are_found_below_the_folder(tmp_path: Path) -> None:
    names = [
        "b.yaml",
        "a.yml",
        "sub/c.YAML",
        "_draft.yaml",
        ".hidden.yaml",
        "_parts/d.yaml",
        ".git/e.yaml",
        "f.json",
        "g.yaml.bak",
    ]
    write(tmp_path, dict.fromkeys(names, STEP))
    (tmp_path / "folder.yaml").mkdir()
    assert [path.relative_to(tmp_path).as_posix() for path in pipeline_files(tmp_path)] == [
        "a.yml",
        "b.yaml",
        "sub/c.YAML",
    ]
    assert list(pipeline_files(tmp_path / "none")) == []


def test_of_two_files_with_one_id_the_first_serves(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "a.yaml": f"id: sales-report\n{STEP}",
            "b.yaml": f"# two\nname: x\nid: sales_report\n{STEP}",
            "Sales-Report.yaml": STEP,
        },
    )
    loaded = {one.path.name: one for one in load_folder(tmp_path, tmp_path)}
    assert [name for name, one in loaded.items() if one.pipeline] == ["Sales-Report.yaml"]
    (problem,) = loaded["b.yaml"].errors
    assert (problem.code, problem.span.line, problem.span.column) == ("duplicate-id", 3, 5)
    assert "is taken by Sales-Report.yaml" in problem.message


def test_a_broken_file_takes_no_id_and_no_other_file_down(tmp_path: Path) -> None:
    write(tmp_path, {"a.yaml": "id: x\nsteps: [}", "b.yaml": f"id: x\n{STEP}", "c.yaml": "\x00"})
    loaded = load_folder(tmp_path, tmp_path)
    assert [one.pipeline is not None for one in loaded] == [False, True, False]
    assert all(one.errors for one in loaded if one.pipeline is None)


def test_a_file_with_errors_is_an_error_with_all_of_them(tmp_path: Path) -> None:
    write(tmp_path, {"a.yaml": "nam: x\nsteps: [{id: a}]\n"})
    with pytest.raises(PipelineError) as caught:
        compile_or_raise(tmp_path / "a.yaml", tmp_path)
    assert [one.location for one in caught.value.diagnostics] == ["a.yaml:1:1", "a.yaml:2:10"]
    assert "2 errors" in str(caught.value)


def test_the_project_is_the_nearest_folder_with_a_mark(tmp_path: Path) -> None:
    write(tmp_path, {"workspace.yaml": "", "deep/er/a.yaml": STEP})
    assert find_project(tmp_path / "deep" / "er" / "a.yaml") == tmp_path
    assert find_project(tmp_path / "deep") == tmp_path


def test_validate_loads_only_what_it_needs(tmp_path: Path) -> None:
    script = (
        "import json, sys\nfrom orchestrator_dagster.cli import main\n"
        "try:\n    main(['validate', sys.argv[1]])\nexcept SystemExit as end:\n    code = end.code\n"
        "print(json.dumps([code, sorted(sys.modules)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "pipelines/research_report.yaml"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    code, modules = json.loads(done.stdout.splitlines()[-1])
    assert code == 0
    loaded = {name.partition(".")[0] for name in modules}
    assert not loaded & {
        "dagster",
        "litellm",
        "pandas",
        "numpy",
        "httpx",
        "jsonschema",
        "openai",
        "rich",
        "markdown_it",
    }
