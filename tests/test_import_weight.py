"""What is loaded, and when: a location and the commands stay light."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("litellm", "pandas", "numpy", "httpx", "openai", "pyarrow", "duckdb", "matplotlib", "playwright")


def loaded_after(code: str, folder: Path) -> set[str]:
    """Top-level modules that a fresh process has loaded after ``code``."""
    script = f"{code}\nimport json, sys\nprint(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, env=dict(os.environ), capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_a_location_with_model_steps_loads_nothing_heavy(demo: Path) -> None:
    loaded = loaded_after(
        "import orchestrator_dagster.code_location as c; c.defs.get_repository_def().get_all_jobs()", demo
    )
    assert "dagster" in loaded
    assert not loaded & set(HEAVY)


def test_importing_the_package_loads_nothing(project: Path) -> None:
    loaded = loaded_after("import orchestrator_dagster", project)
    assert not loaded & {*HEAVY, "dagster", "pydantic", "jinja2", "yaml"}


@pytest.mark.parametrize(
    "command", [["validate", "pipelines/research_report.yaml"], ["tools"], ["explain", "unknown-tool"], ["--help"]]
)
def test_light_commands_do_not_load_dagster(demo: Path, command: list[str]) -> None:
    code = f"""
import sys
sys.argv = ["orchestrator", *{command!r}]
from orchestrator_dagster.cli import main
try:
    main()
except SystemExit:
    pass
"""
    assert not loaded_after(code, demo) & {*HEAVY, "dagster"}
