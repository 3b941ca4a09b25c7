"""`orchestrator graph`, as a process."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def graph(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "orchestrator_dagster.cli", "graph", *arguments], cwd=cwd, capture_output=True, text=True
    )


def test_mermaid_is_printed(demo: Path) -> None:
    done = graph("pipelines/research_report.yaml", cwd=demo)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\nflowchart TD\n" in done.stdout
    assert "List the documents" in done.stdout
    assert done.stdout.endswith("\n")
    assert not done.stdout.endswith("\n\n")


def test_svg_is_written_into_a_new_folder(demo: Path) -> None:
    done = graph("pipelines/research_report.yaml", "--format", "svg", "-o", "out/picture.svg", cwd=demo)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    root = ElementTree.parse(demo / "out" / "picture.svg").getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"


def test_a_wrong_file_gets_its_diagnostics(project: Path) -> None:
    (project / "pipelines" / "w.yaml").write_text("id: w\nsteps:\n  - {id: read, tool: filesytem}\n")
    done = graph("pipelines/w.yaml", "-o", "w.mmd", cwd=project)
    assert (done.returncode, done.stdout) == (2, "")
    assert "pipelines/w.yaml:3:" in done.stderr
    assert 'did you mean "filesystem"' in done.stderr
    assert not (project / "w.mmd").exists()


def test_dagster_is_not_imported(demo: Path) -> None:
    code = (
        "import json, sys\nfrom orchestrator_dagster.cli import main\n"
        "main(['graph', 'pipelines/research_report.yaml', '-o', 'x.mmd'], standalone_mode=False)\n"
        "print(json.dumps([one for one in ('dagster', 'litellm', 'pandas') if one in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=demo, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_the_picture_in_the_docs_is_up_to_date() -> None:
    done = graph("pipelines/research_report.yaml", "--format", "svg", cwd=REPOSITORY)
    kept = (REPOSITORY / "docs" / "images" / "research_report.svg").read_text(encoding="utf-8")
    command = "orchestrator graph pipelines/research_report.yaml --format svg -o docs/images/research_report.svg"
    assert done.stdout == kept, f"run: {command}"
