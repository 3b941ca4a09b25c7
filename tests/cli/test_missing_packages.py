"""What is not installed is said before a run does anything, or pays for it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import requires
from pathlib import Path

from orchestrator_dagster.compiler import packages

Write = Callable[[str, str], Path]

INNER = """\
id: inner
steps:
  - {id: page, tool: pdf-compiler, parameters: {content: hello, output_path: out/a.pdf}}
"""
OUTER = """\
id: outer
steps:
  - {id: rows, action: echo, parameters: {message: [{a: 1}]}, vars: {rows: "{{ result }}"}, products: {rows: rows.parquet}}
  - {id: never, condition: 1 > 2, pipeline: inner.yaml}
"""
WITHOUT = (
    "import sys; sys.modules.update(dict.fromkeys(['reportlab'])); from orchestrator_dagster.cli import main; main()"
)
SAID = (
    'pipelines/inner.yaml:3:5: step "page" needs the package "reportlab", which is not installed: '
    "pip install 'orchestrator-dagster[pdf]'"
)


def without_reportlab(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", WITHOUT, *arguments], capture_output=True, text=True)


def test_each_package_comes_with_its_extra() -> None:
    declared: dict[str, set[str]] = {}
    for line in requires("orchestrator-dagster") or ():
        if found := re.match(r"([\w-]+).*extra == ['\"](\w+)", line):
            declared.setdefault(found[2], set()).add(found[1])
    for package, extra in (*packages._OF_TOOLS.values(), *packages._OF_FORMATS.values()):
        assert package in declared[extra]


def test_a_plan_says_what_is_not_installed(write: Write, project: Path) -> None:
    write("pipelines/inner.yaml", INNER)
    write("pipelines/outer.yaml", OUTER)
    planned = without_reportlab("plan", "pipelines/outer.yaml")
    assert planned.returncode == 1
    assert SAID in " ".join(planned.stderr.split())
    assert "pyarrow" not in planned.stderr


def test_a_run_says_it_first_and_runs_what_does_not_need_it(write: Write, project: Path) -> None:
    write("pipelines/inner.yaml", INNER)
    write("pipelines/outer.yaml", OUTER)
    ran = without_reportlab("run", "pipelines/outer.yaml", "-o", "result.json")
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.startswith(f"warning: {SAID}\n")
    assert (project / "outputs/outer/rows.parquet").is_file()
