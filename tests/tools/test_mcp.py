"""Real servers of the Model Context Protocol, over standard input and output and over HTTP."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from orchestrator_dagster.errors import (
    MissingExtraError,
    ParametersError,
    PipelineError,
    StepTimeoutError,
    ToolError,
    UnknownToolError,
)
from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.models.clients import ModelClients
from orchestrator_dagster.models.litellm_client import Endpoint
from orchestrator_dagster.project.loading import known
from orchestrator_dagster.testing import Answer, ModelServer, ToolUse
from orchestrator_dagster.tools.registry import ToolRegistry
from orchestrator_dagster.tools.tool import ToolContext
from tests.runtime.conftest import Flow

HERE = Path(__file__).parent
CONFIG = (
    "servers:\n  notes: {command: python, args: [notes_server.py], env: [NOTES_TOKEN], description: Keeps notes.}\n"
)


@pytest.fixture
def servers(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(HERE / "notes_server.py", project)
    (project / "mcp.yaml").write_text(CONFIG)
    monkeypatch.setenv("NOTES_TOKEN", "token-0123456789")
    monkeypatch.setenv("OTHER_TOKEN", "other-0123456789")
    return project


@pytest.fixture
def call(servers: Path) -> Any:
    tool = ToolRegistry().find("mcp")

    def run(action: str, timeout: float | None = None, **parameters: Any) -> Any:
        return tool.find(action).call(ToolContext(Workspace(servers), timeout=timeout), parameters)

    return run


def left(folder: Path) -> list[int]:
    """Processes that the servers were, or have started, and that are alive still."""
    found = [int(line) for line in (folder / "pids.txt").read_text().split()]
    return [one for one in found if psutil.pid_exists(one) and psutil.Process(one).status() != psutil.STATUS_ZOMBIE]


def test_a_server_over_standard_input_and_output(call: Any, servers: Path) -> None:
    answers = call(
        "call_several",
        server="notes",
        calls=[
            {"tool": "add_note", "arguments": {"text": "a", "times": 2}},
            {"tool": "add_note", "arguments": {"text": "b"}},
            {"tool": "variable", "arguments": {"name": "NOTES_TOKEN"}},
            {"tool": "variable", "arguments": {"name": "OTHER_TOKEN"}},
        ],
    )["results"]
    assert [one["data"] for one in answers[:2]] == [{"count": 2}, {"count": 3}]
    assert [one["text"] for one in answers[2:]] == ["token-0123456789", "not set"]
    assert not left(servers)


@pytest.mark.slow
def test_what_a_server_has(call: Any, servers: Path) -> None:
    tools = {one["name"]: one for one in call("list_tools", server="notes")["tools"]}
    assert tools["add_note"]["description"] == "Keep a note."
    assert tools["add_note"]["input_schema"]["required"] == ["text"]
    assert call("list_servers")["servers"] == [
        {"name": "notes", "kind": "stdio", "address": "python notes_server.py", "description": "Keeps notes."}
    ]
    assert call("list_resources", server="notes")["resources"][0]["uri"] == "note://first"
    assert call("read_resource", server="notes", uri="note://first")["text"] == "The pump leaks."


@pytest.mark.slow
def test_errors_of_a_server_are_errors(call: Any, servers: Path) -> None:
    with pytest.raises(UnknownToolError, match='has no tool "add_nte"; did you mean "add_note"'):
        call("call", server="notes", tool="add_nte")
    with pytest.raises(ParametersError, match="text: expected string, found 3; times: expected integer"):
        call("call", server="notes", tool="add_note", arguments={"text": 3, "times": "x"})
    with pytest.raises(ToolError, match=r"notes\.fail failed: .*fail"):
        call("call", server="notes", tool="fail", arguments={"why": "no"})
    with pytest.raises(ToolError, match="Connection closed; it said: the notes server is up I am dying"):
        call("call", server="notes", tool="die")
    assert not left(servers)


@pytest.mark.slow
def test_a_server_ends_with_its_step_and_its_children_too(call: Any, servers: Path) -> None:
    with pytest.raises(StepTimeoutError, match="timeout"):
        call("call", timeout=8, server="notes", tool="wait", arguments={"seconds": 300})
    end = time.monotonic() + 10
    while left(servers) and time.monotonic() < end:
        time.sleep(0.05)
    assert len((servers / "pids.txt").read_text().split()) == 2  # the server, and what it has started
    assert not left(servers)


@pytest.fixture
def http(servers: Path) -> Iterator[str]:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    process = subprocess.Popen([sys.executable, "notes_server.py", str(port)], cwd=servers, stderr=subprocess.PIPE)
    try:
        end = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None, process.stderr
                assert time.monotonic() < end
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_a_server_over_http(call: Any, servers: Path, http: str) -> None:
    (servers / "mcp.yaml").write_text(f"servers:\n  far: {{url: '{http}', bearer: NOTES_TOKEN}}\n")
    assert call("call", server="far", tool="add_note", arguments={"text": "a"})["data"] == {"count": 1}
    assert call("call", server="far", tool="add_note", arguments={"text": "b"})["data"] == {"count": 2}
    with pytest.raises(ToolError, match=r"far\.fail failed"):
        call("call", server="far", tool="fail", arguments={"why": "no"})
    (servers / "mcp.yaml").write_text(f"servers:\n  far: {{url: '{http}', bearer: NOT_SET_ANYWHERE}}\n")
    with pytest.raises(ToolError, match="needs the environment variable NOT_SET_ANYWHERE"):
        call("call", server="far", tool="add_note", arguments={"text": "a"})


def test_what_cannot_be_reached(call: Any, servers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    (servers / "mcp.yaml").write_text(
        f"servers:\n  gone: {{command: no-such-command}}\n  far: {{url: 'http://127.0.0.1:{port}/mcp'}}\n"
    )
    with pytest.raises(ToolError, match='there is no command "no-such-command"'):
        call("call", server="gone", tool="x")
    with pytest.raises(ToolError, match=r'the server "far" \(http://127'):
        call("call", server="far", tool="x")
    with pytest.raises(ToolError, match=r'no server "goen" in mcp\.yaml; did you mean "gone"'):
        call("call", server="goen", tool="x")
    for name in [one for one in sys.modules if one.split(".")[0] == "mcp"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mcp", None)
    with pytest.raises(MissingExtraError) as missing:
        call("call", server="gone", tool="x")
    assert missing.value.hint == "pip install 'orchestrator-dagster[mcp]'"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("servers:\n  a: {command: x, url: 'http://x'}\n", "either a `command` or a `url`"),
        ("servers:\n  a: {comand: x}\n", 'a.comand: there is no such key; did you mean "command"'),
        ("servers:\n  a: {command: x, env: {TOKEN: secret-value}}\n", "env is a list of names"),
        ("servers:\n  a: {url: 'http://u:p@x/mcp'}\n", "holds a user or password"),
        ("servers:\n  a b: {command: x}\n", '"a b" is no name'),
        ("other: 1\n", "one key, `servers`"),
        ("servers: [\n", "cannot be used"),
        ("servers:\n  a: {url: 'http://x', bearer: secret-value}\n", "a.bearer: what stands here names an environment"),
        ("servers:\n  a: {url: 'http://x', headers: {X: secret-value}}\n", "names an environment variable"),
        (
            "servers:\n  a: {command: [x]}\n  b: {arg: 1}\n",
            "a.command: expected a text, found a list\nmcp.yaml:3:7: b.arg",
        ),
    ],
)
def test_a_wrong_file(project: Path, text: str, said: str) -> None:
    (project / "mcp.yaml").write_text(text)
    known.cache_clear()
    with pytest.raises(ToolError) as wrong:
        known(project)
    assert said in wrong.value.message
    assert "secret-value" not in str(wrong.value)
    assert re.search(r"^mcp\.yaml:\d+:\d+: ", str(wrong.value))
    assert wrong.value.hint


STEP = """\
steps:
  - id: add
    tool: mcp_notes
    action: add_note
    parameters: {text: "{{ 'x' }}", times: 3}
outputs: {count: "{{ add.data.count }}"}
"""


def test_a_server_is_a_tool_of_its_own(servers: Path) -> None:
    known.cache_clear()
    flow = Flow(servers)
    flow.services.tools.load_servers(servers)
    assert flow.compile(STEP).steps[0].action == "add_note"
    assert not (servers / "pids.txt").exists()  # nothing is started to check a file
    assert flow(STEP)["add"].value["data"] == {"count": 3}
    with pytest.raises(PipelineError, match='no "dta"'):
        flow.compile(STEP.replace("add.data", "add.dta"))
    with pytest.raises(PipelineError, match="needs an `action`"):
        flow.compile(STEP.replace("    action: add_note\n", ""))
    with pytest.raises(PipelineError, match='did you mean "mcp_notes"'):
        flow.compile(STEP.replace("mcp_notes", "mcp_note"))


@pytest.mark.slow
def test_a_model_is_offered_what_the_server_has(
    servers: Path, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-0123456789abcdef")
    known.cache_clear()
    flow = Flow(servers)
    tools = flow.services.tools
    tools.load_servers(servers)
    clients = ModelClients({"openai": Endpoint(model_server.url, "sk-planted-0123456789abcdef")})
    services = replace(flow.services, models=clients)
    text = "default_model: openai:gpt-4o-mini\nsteps:\n  - {id: a, prompt: Note it., tools: [mcp_notes]}\n"
    refused = flow(text, services)["a"]
    assert refused.error is not None
    assert 'a model may not call "mcp_notes.add_note" without permission' in refused.error.message
    tools.allow_for_models(["mcp_notes"])
    model_server.then(
        Answer(tool_calls=[ToolUse("mcp_notes__add_note", {"text": "x"})]),
        Answer(tool_calls=[ToolUse("mcp_notes__add_note", {"text": 3})]),
        Answer("Noted."),
    )
    done = flow(text, services)["a"]
    assert done.value == "Noted."
    assert {one.name for one in done.tool_calls} == {"mcp_notes.add_note"}
    assert [one.ok for one in done.tool_calls] == [True, False]
    offered = {one["function"]["name"]: one["function"] for one in model_server.calls[0].body["tools"]}
    assert offered["mcp_notes__add_note"]["description"] == "Keep a note."
    assert offered["mcp_notes__add_note"]["parameters"]["required"] == ["text"]
    assert "expected string" in model_server.calls[2].text


def test_no_server_is_started_to_list_tools(servers: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from orchestrator_dagster.project.loading import known\n"
        "print(known(Path.cwd()).tools.find('mcp_notes').summary, 'mcp' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ})
    assert ran.stdout == "Keeps notes. False\n"
