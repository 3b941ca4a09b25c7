"""The log of real runs: completed, failed, resumed, canceled, killed, going on, of some products, with models."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner
from dagster import DagsterInstance

import orchestrator_dagster as orc
from orchestrator_dagster.cli import main
from orchestrator_dagster.definitions.instance.home import open_instance
from orchestrator_dagster.definitions.runs.resume import resume_run
from orchestrator_dagster.definitions.runs.run_log import load_log
from orchestrator_dagster.errors import LogError, RunNotFoundError
from orchestrator_dagster.log.document import Log
from orchestrator_dagster.log.items import MOST_ITEMS
from orchestrator_dagster.testing import Answer, ModelServer, Tokens, faults

Write = Callable[[str, str], Path]
SECRET = "planted-password-77"

ASKING = """\
id: asking
selection_schema: {strategy: cost, fallback: [openai:gpt-4.1-nano]}
inputs: {topic: trees, token: {type: string, default: ""}}
steps:
  - {id: read, tool: filesystem, action: read, parameters: {path: notes.txt}}
  - id: ask
    model: [openai:gpt-5-nano, openai:gpt-4o]
    prompt: "Say what {{ read.content }} means for {{ topic }}. {{ token }}"
    products: {ask: said.md}
  - id: never
    condition: "{{ topic == 'stones' }}"
    prompt: Never.
outputs: {said: "{{ ask }}"}
"""


def test_a_run_with_models_is_on_the_log_whole(
    folder: Path, write: Write, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVICE_PASSWORD", SECRET)
    server.when(model="gpt-5-nano", reply=faults.server_error())
    server.when(model="gpt-4.1-nano", reply=Answer(f"<b>{SECRET}</b> | shade", usage=Tokens(100, 20)))
    file = write("pipelines/asking.yaml", ASKING)
    result = orc.compile(file).run(topic="trees", token=SECRET)
    assert result.success, result.error
    found = Log.model_validate(result.log)
    steps = {step.id: step for step in found.steps}
    ask = steps["ask"]
    assert (found.status, steps["read"].status, ask.status, steps["never"].status) == (
        "completed", "completed", "completed", "skipped",
    )  # fmt: skip
    assert ask.model is not None
    assert ask.model.decision is not None
    assert {one.model for one in ask.model.decision.candidates} == {"openai:gpt-5-nano", "openai:gpt-4o"}
    assert len(ask.model.decision.fell_back) == 1
    assert steps["never"].reason is not None
    assert steps["never"].condition == "{{ topic == 'stones' }}"
    assert [one.ended for one in ask.attempts] == ["completed"]
    calls = {(one.kind, one.step, one.ok) for one in found.calls}
    assert calls == {("tool", "read", True), ("model", "ask", False), ("model", "ask", True)}
    assert found.usage.calls == len(server.calls) == len([one for one in found.calls if one.kind == "model"])
    assert found.models[f"{ask.model.provider}:{ask.model.name}"].input_tokens == 100
    assert [(one.path, one.step) for one in found.products] == [("outputs/asking/said.md", "ask")]
    assert "shade" in found.products[0].preview

    made = orc.log.markdown(result.log)
    assert SECRET not in json.dumps(result.log) + made
    assert os.environ["OPENAI_API_KEY"] not in json.dumps(result.log)
    assert "Fell back: " in made
    assert "because its condition is false" in made

    file.write_text(
        ASKING.replace("id: ask", "id: other").replace("{{ ask }}", "{{ other }}").replace("{ask:", "{other:"),
        encoding="utf-8",
    )
    again = orc.load_result(result.run_id[:8])  # of the pipeline as it was launched
    assert again.log == result.log
    assert dict(again.document) == dict(result.document)


def test_the_run_asset_has_numbers_a_report_and_what_each_step_took(
    folder: Path, write: Write, instance: DagsterInstance, server: ModelServer
) -> None:
    server.when("Say what", reply=Answer("shade", usage=Tokens(100, 20)))
    orc.compile(write("pipelines/asking.yaml", ASKING)).run(instance=instance)
    event = instance.get_latest_materialization_event(dg.AssetKey(["asking", "run"]))
    assert event is not None
    assert event.asset_materialization is not None
    said = {name.removeprefix("orchestrator/"): one.value for name, one in event.asset_materialization.metadata.items()}
    numbers = {name: said[name] for name in ("steps", "completed_steps", "skipped_steps", "failed_steps", "products")}
    assert numbers == {"steps": 3, "completed_steps": 2, "skipped_steps": 1, "failed_steps": 0, "products": 1}
    assert (said["tokens"], said["attempts"], said["items"], said["rows"]) == (120, 2, 0, 0)
    assert said["seconds"] > 0
    assert said["report"].startswith("# asking: run ")
    assert "completed" in said["report"].splitlines()[0]
    assert said["by_step"]["ask"]["tokens"] == 120
    assert next(iter(said["by_step"]["ask"]["models"].values()))["calls"] == 1
    assert said["by_step"]["never"]["status"] == "skipped"


FLOW = """\
id: flow
steps:
  - id: first
    tool: filesystem
    action: read
    parameters: {path: notes.txt}
  - id: risky
    tool: filesystem
    action: read
    parameters: {path: absent.txt}
    on_failure: mend
  - {id: mend, action: echo, parameters: {message: mended}}
  - id: each
    dependencies: [first]
    for_each: "{{ range(60) | list }}"
    on_item_failure: skip
    steps:
      - {id: say, action: echo, parameters: {message: "{{ item }}"}}
      - {id: look, condition: "{{ item > 57 }}", tool: filesystem, action: read, parameters: {path: "{{ item }}.txt"}}
  - id: last
    dependencies: [each, mend]
    tool: filesystem
    action: read
    parameters: {path: later.txt}
    retries: {max: 1, delay: 0.01s, on: [Error]}
    products: [content: {path: last.txt}]
  - {id: after, dependencies: [last], action: echo, parameters: {message: done}}
outputs: {last: "{{ last.content }}"}
"""


def test_a_failed_run_says_what_to_do_and_its_resume_has_both(folder: Path, write: Write) -> None:
    file = write("pipelines/flow.yaml", FLOW.replace(", on: [Error]", ""))
    failed = orc.compile(file).run()
    found = Log.model_validate(failed.log)
    first, *others = found.failures
    assert (first.step, first.type, first.handled) == ("last", "FileMissingError", False)
    assert first.location == "pipelines/flow.yaml:20:5"
    assert {(one.step, one.handled) for one in others} == {("risky", True), ("each/look", True)}
    short = failed.run_id[:8]
    assert [one.command for one in found.next if one.command] == [
        f"orchestrator resume {short}", f"orchestrator resume {short} --file pipelines/flow.yaml",
    ]  # fmt: skip
    steps = {step.id: step for step in found.steps}
    assert steps["risky"].goes_to == "mend"
    assert steps["mend"].route is not None
    assert steps["after"].status == "skipped"
    assert "last" in (steps["after"].reason or "")
    loop = steps["each"].loop
    assert loop is not None
    assert (loop.total, loop.failed, len(loop.items), loop.left_out) == (60, 2, MOST_ITEMS, 60 - MOST_ITEMS)
    assert {58, 59} <= {one.index for one in loop.items}
    screen = "\n".join(orc.log.markdown(failed.log).splitlines()[:20])
    assert f"`orchestrator resume {short}`" in screen
    assert "pipelines/flow.yaml:20:5" in screen

    (folder / "later.txt").write_text("It is there.", encoding="utf-8")
    with open_instance(folder) as instance:
        document = resume_run(failed.run_id, root=folder, instance=instance)
    assert document["success"], document["error"]
    resumed = orc.load_result(document["execution_id"])
    found = Log.model_validate(resumed.log)
    steps = {step.id: step for step in found.steps}
    assert [(one.id, one.status) for one in found.runs] == [
        (failed.run_id, "failed"), (resumed.run_id, "completed"),
    ]  # fmt: skip
    assert steps["first"].run == failed.run_id
    assert steps["last"].run == resumed.run_id
    assert [(one.run, one.ended) for one in steps["last"].attempts] == [
        (failed.run_id, "failed"), (resumed.run_id, "completed"),
    ]  # fmt: skip
    before = orc.load_result(failed.run_id).log
    assert before["resumed_by"] == resumed.run_id
    assert f"orchestrator log {resumed.run_id[:8]}" in orc.log.markdown(before)
    assert f"done in run {short}" in orc.log.markdown(resumed.log)


TWO = """\
id: two
steps:
  - {id: a, action: echo, parameters: {message: a}, vars: [text: "{{ result }}"], products: [text: a.txt]}
  - {id: b, dependencies: [a], action: echo, parameters: {message: b}, vars: [more: "{{ result }}"], products: [more: b.txt]}
"""


STOPS = "  - {id: c, dependencies: [a], tool: stop}\n"
STOP = """\
import os
import signal
import time
from pathlib import Path
from orchestrator_dagster import tool


@tool
def stop() -> dict:
    \'\'\'Interrupts the run, once it was seen, while the file says so.\'\'\'
    if Path("stop").exists():
        while not Path("seen").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.5)
    return {}
"""


def test_runs_of_a_product_and_runs_that_were_stopped_or_go_on(
    folder: Path, write: Write, instance: DagsterInstance
) -> None:
    write("tools.py", STOP)
    pipeline = orc.compile(
        write("pipelines/two.yaml", TWO.replace("[a], action: echo", "[a, c], action: echo") + STOPS)
    )
    (folder / "stop").touch()
    seen: list[dict[str, Any]] = []

    def look(event: orc.Progress) -> None:
        if event.kind == "started" and event.step == "c":  # what it waits for is recorded by then
            run = instance.get_runs(limit=1)[0]
            seen.append(load_log(instance, run.run_id, pipeline.compiled).model_dump(mode="json"))
            (folder / "seen").touch()

    stopped = pipeline.run(instance=instance, on_progress=look)
    (going,) = seen
    assert going["status"] == "running"
    assert going["completed_at"] is None
    assert {step["id"]: step["status"] for step in going["steps"]}["a"] == "completed"
    assert going["next"][0]["command"] == f"orchestrator log {stopped.run_id[:8]}"
    assert "is running" in orc.log.markdown(going)
    (folder / "stop").unlink()
    assert stopped.log["status"] == "canceled"
    assert "was canceled" in orc.log.markdown(stopped.log)
    assert f"orchestrator resume {stopped.run_id[:8]}" in orc.log.markdown(stopped.log)

    part = pipeline.run(instance=instance, products=["text"])
    assert part.success
    assert part.log["asked"] == ["text"]
    assert {one["path"] for one in part.log["products"]} >= {"outputs/two/a.txt"}

    whole = pipeline.run(instance=instance)
    before = whole.log
    shutil.rmtree(Path(instance.storage_directory()) / whole.run_id)
    left = orc.load_result(whole.run_id, instance=instance).log
    assert [(step["id"], step["status"]) for step in left["steps"]] == [
        (step["id"], step["status"]) for step in before["steps"]
    ]
    assert any("not kept any more" in note for note in left["notes"])


@pytest.mark.slow
def test_a_run_whose_process_was_killed(folder: Path, write: Write) -> None:
    write("tools.py", "import os, signal\nfrom orchestrator_dagster import tool\n\n\n@tool\ndef die() -> dict:\n"
          '    """Ends the process."""\n    os.kill(os.getpid(), signal.SIGKILL)\n')  # fmt: skip
    write("pipelines/dies.yaml", "id: dies\nsteps:\n  - {id: a, action: echo, parameters: {message: a}}\n"
          "  - {id: b, dependencies: [a], tool: die}\n")  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator_dagster.cli", "run", "pipelines/dies.yaml"],
        cwd=folder, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == -9
    found = CliRunner().invoke(main, ["log"])
    assert found.exit_code == 0, found.output
    assert "that led the run is gone" in found.output
    log = json.loads(CliRunner().invoke(main, ["log", "--format", "json"]).output)
    assert log["status"] == "failed"
    assert {step["id"]: step["status"] for step in log["steps"]} == {"a": "completed", "b": "interrupted"}
    assert f"orchestrator resume {log['run_id'][:8]}" in found.output


def test_a_run_from_the_asset_pages_and_of_several_pipelines(
    folder: Path, write: Write, instance: DagsterInstance
) -> None:
    write("pipelines/two.yaml", TWO)
    write("pipelines/one.yaml", "id: one\nsteps:\n  - {id: a, action: echo, parameters: {message: x}}\n")
    definitions = orc.build_definitions("pipelines", root=folder)
    job = definitions.resolve_implicit_global_asset_job_def()
    done = job.execute_in_process(instance=instance)
    two = orc.compile("pipelines/two.yaml")
    found = orc.load_result(done.run_id, instance=instance, pipeline=two).log
    assert found["pipeline"]["id"] == "two"
    assert {step["id"]: step["status"] for step in found["steps"]} == {"a": "completed", "b": "completed"}
    assert any("other pipelines: one" in note for note in found["notes"])


def test_the_command(folder: Path, write: Write) -> None:
    runner = CliRunner()
    nothing = runner.invoke(main, ["log"])
    assert (nothing.exit_code, "nothing has been run yet" in nothing.output) == (2, True)
    result = orc.compile(write("pipelines/two.yaml", TWO)).run()
    shown = runner.invoke(main, ["log", result.run_id[:8]])
    assert shown.output.rstrip() == orc.log.markdown(result.log).rstrip()
    as_json = runner.invoke(main, ["log", "--format", "json", "-o", "out/log.json"])
    assert as_json.exit_code == 0, as_json.output
    assert json.loads((folder / "out/log.json").read_text(encoding="utf-8")) == result.log
    listed = runner.invoke(main, ["log", "--list"])
    assert result.run_id[:8] in listed.output
    assert "completed" in listed.output
    wrong = runner.invoke(main, ["log", f"{result.run_id[:7]}z"])
    assert wrong.exit_code == 2
    assert f'did you mean "{result.run_id[:8]}"?' in wrong.output
    assert f"the last run is {result.run_id}" in wrong.output
    assert 'did you mean "two"?' in runner.invoke(main, ["log", "--pipeline", "tow"]).output
    assert runner.invoke(main, ["log", "--list", result.run_id]).exit_code == 2

    shutil.rmtree(folder / ".orchestrator/storage/pipelines")
    with pytest.raises(LogError, match="not kept"):
        orc.load_result(result.run_id)
    assert runner.invoke(main, ["log", "--file", "pipelines/two.yaml"]).exit_code == 0
    with pytest.raises(RunNotFoundError):
        orc.load_result("ffffffff")
