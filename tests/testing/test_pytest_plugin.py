from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

_TEST = """
import json
import urllib.request

def test_it(model_server):
    model_server.then("hello")
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    request = urllib.request.Request(model_server.url + "/chat/completions", json.dumps(body).encode())
    answer = json.load(urllib.request.urlopen(request, timeout=20))
    assert answer["choices"][0]["message"]["content"] == "hello"
    assert len(model_server.calls) == 1

def test_the_next_one_has_a_server_of_its_own(model_server):
    assert model_server.requests == []
"""


def test_the_fixture_works_in_a_project_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(_TEST)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "orchestrator_dagster.testing.pytest_plugin"]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    ran = subprocess.run(
        [*command, "--rootdir", str(tmp_path), str(tmp_path)], capture_output=True, text=True, env=environment
    )
    assert "2 passed" in ran.stdout, ran.stdout + ran.stderr


def test_the_plugin_loads_nothing_heavy() -> None:
    code = (
        "import json, sys, pytest; before = set(sys.modules); import orchestrator_dagster.testing.pytest_plugin;"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = json.loads(ran.stdout)
    assert [name for name in loaded if not name.startswith("orchestrator_dagster")] == []
    assert "orchestrator_dagster.testing.server" not in loaded


def test_every_public_name_is_what_it_says_in_a_fresh_process() -> None:
    code = (
        "import orchestrator_dagster.testing as t;"
        "from orchestrator_dagster.testing import ModelServer, schema_instance;"
        "assert schema_instance({'type': 'integer', 'minimum': 3}) == 3;"
        "assert all(getattr(t, name) is not None for name in t.__all__); t.faults.hang()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
