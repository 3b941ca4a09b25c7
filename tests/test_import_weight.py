"""What is loaded, and when: a location and the commands stay light."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator_dagster.testing import ModelServer

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


CHOOSING = """
id: choosing
selection_schema: cost
experts: {judge: [anthropic:claude-haiku-4-5, "own:mine"]}
steps:
  - {id: a, prompt: Say a word.}
  - {id: b, prompt: Judge it., expert: judge, requires_model: {min_size: 7b, capabilities: [vision]}}
"""


@pytest.mark.parametrize(
    "code",
    [
        "import orchestrator_dagster.code_location as c; c.defs.get_repository_def().get_all_jobs()",
        "from orchestrator_dagster.project.loading import compile_file, find_project; from pathlib import Path;"
        " assert not list(compile_file(Path('pipelines/choosing.yaml'), Path.cwd()).problems)",
    ],
    ids=["location", "validate"],
)
def test_no_price_list_is_read_and_no_server_asked_before_a_run(
    project: Path, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    """litellm's list takes some 30 ms, a server that does not answer more than a second."""
    (project / "pipelines/choosing.yaml").write_text(CHOOSING)
    (project / "models.yaml").write_text(
        f"models: {{mine: {{model: x, base_url: '{model_server.url}', context: 1000}}}}"
    )
    monkeypatch.setenv("OLLAMA_API_BASE", model_server.url)
    read = "from orchestrator_dagster.models.references import price_map; assert not price_map.cache_info().currsize"
    assert not loaded_after(f"{code}\n{read}", project) & set(HEAVY)
    assert model_server.requests == []


@pytest.mark.parametrize(
    "command",
    [
        ["validate", "pipelines/research_report.yaml"],
        ["tools"],
        ["explain", "unknown-tool"],
        ["--help"],
        ["plan", "pipelines/research_report.yaml"],
        ["run", "pipelines/research_report.yaml", "-i", "topik=wrong"],
        ["models"],
    ],
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
