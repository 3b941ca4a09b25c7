"""Steps that wait for people: runs that end with a question open, answers by the command, and the terminal."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from dagster import DagsterInstance

import orchestrator_dagster as orc
from orchestrator_dagster.cli import main
from orchestrator_dagster.definitions.instance.home import open_instance
from orchestrator_dagster.definitions.runs.resume import resume_run
from orchestrator_dagster.definitions.steps.step_context import WAITING_TAG

Write = Callable[[str, str], Path]

RELEASE = """\
id: release
inputs: {verdict: {type: string, required: false}}
steps:
  - {id: build, action: echo, parameters: {message: version 3}}
  - id: gate
    tool: approval-gate
    on_failure: refused
    parameters:
      message: "Release {{ build }}?"
      details: {changes: [a, b]}
      approvers: [ana, ben]
      answer: "{{ verdict | default('') }}"
  - {id: ship, action: echo, dependencies: [gate], parameters: {message: "shipped, approved by {{ gate.by }}"}}
  - {id: refused, action: echo, parameters: {message: "not shipped: {{ error.message }}"}}
outputs: {end: "{{ ship | default(refused) }}"}
"""


def command(*arguments: str) -> Any:
    return CliRunner().invoke(main, list(arguments))


def run_id(result: Any) -> str:
    return str(result.document["execution_id"])


def test_an_approval_is_answered_and_the_run_goes_on(write: Write, project: Path) -> None:
    path = write("pipelines/release.yaml", RELEASE)
    first = command("run", str(path), "--quiet")
    assert first.exit_code == 1, first.output
    document = json.loads(first.stdout)
    run = document["execution_id"]
    assert document["error"]["type"] == "WaitingForAnswerError"
    assert document["steps"]["gate"]["status"] == "failed"
    assert document["outputs"]["end"] is None
    with open_instance(project) as instance:
        assert instance.get_run_by_id(run).tags[WAITING_TAG] == "gate"  # type: ignore[union-attr]
    listed = command("answer")
    assert f"{run[:8]}  release: gate" in listed.output
    assert "Release version 3?" in listed.output
    assert "who may answer: ana, ben" in listed.output
    assert json.loads(command("answer", "--json").output)[0]["question"]["details"] == {"changes": ["a", "b"]}
    wrong = command("answer", run, "--approve", "--by", "eve")
    assert (wrong.exit_code, wrong.stdout) == (2, "")
    assert '"eve" may not answer; these may: ana, ben' in wrong.stderr
    assert "this is an approval" in command("answer", run, "--value", "yes").stderr
    done = command("answer", run[:8], "--approve", "--by", "ana", "--comment", "good", "--quiet")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["outputs"] == {"end": "shipped, approved by ana"}
    assert document["steps"]["gate"]["value"]["comment"] == "good"
    assert document["steps"]["gate"]["value"]["source"] == "command"
    assert "no question is open" in command("answer").output
    assert "no question of this run is open" in command("answer", run, "--approve").stderr


def test_a_rejection_is_a_failure_that_can_be_routed(write: Write, project: Path) -> None:
    path = write("pipelines/release.yaml", RELEASE)
    run = json.loads(command("run", str(path), "--quiet").stdout)["execution_id"]
    done = command("answer", run, "gate", "--reject", "--by", "ben", "--comment", "too early", "--quiet")
    assert json.loads(done.stdout)["outputs"]["end"] == (
        "not shipped: not approved (ben): too early: Release version 3?"
    )


@pytest.mark.parametrize(("verdict", "end"), [("approve", "shipped"), ("no", "not shipped")])
def test_the_launch_may_bring_the_answer(write: Write, instance: DagsterInstance, verdict: str, end: str) -> None:
    path = write("pipelines/release.yaml", RELEASE)
    result = orc.compile(path).run(verdict=verdict, instance=instance)
    assert result.success, result.error
    assert result.outputs["end"].startswith(end)


EACH = """\
id: each
steps:
  - id: ask
    for_each: [a, b, c]
    on_item_failure: {policy}
    tool: user-prompt
    parameters: {{prompt: "Name {{{{ item }}}}", choices: [Ana, Ben]}}
    vars: {{name: "{{{{ result.answer }}}}"}}
  - {{id: last, action: echo, dependencies: [ask], parameters: {{message: "{{{{ ask.results | join(' ') }}}}"}}}}
outputs: {{names: "{{{{ last }}}}"}}
"""


@pytest.mark.parametrize("policy", ["fail", "skip"])
def test_every_item_of_a_loop_asks(write: Write, project: Path, policy: str) -> None:
    path = write("pipelines/each.yaml", EACH.format(policy=policy))
    run = json.loads(command("run", str(path), "--quiet").stdout)["execution_id"]
    assert sorted(one["step"] for one in json.loads(command("answer", "--json").output)) == [
        "ask[0]",
        "ask[1]",
        "ask[2]",
    ]
    assert "several questions of this run are open: ask[0], ask[1]" in command("answer", run, "--value", "Ana").stderr
    wrong = command("answer", run, "ask[1]", "--value", "Bne").stderr
    assert "'Bne' is none of Ana, Ben; did you mean \"Ben\"?" in wrong
    for number, name in enumerate(["Ana", "ben"]):
        kept = command("answer", run, f"ask[{number}]", "--value", name, "--no-resume")
        assert kept.exit_code == 0, kept.output
    done = command("answer", run, "--value", "Ana", "--quiet")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["outputs"] == {"names": "Ana Ben Ana"}


LATE = """\
id: late
steps:
  - id: ask
    tool: user-prompt
    parameters: {prompt: How many?, type: integer, default: "3", timeout: TIME}
outputs: {n: "{{ ask.answer }}", source: "{{ ask.result.source }}"}
"""


def test_a_default_applies_when_the_time_is_over(write: Write, project: Path, instance: DagsterInstance) -> None:
    text = LATE
    first = orc.compile(write("pipelines/late.yaml", text.replace("TIME", "0.1"))).run(instance=instance)
    assert first.error["type"] == "WaitingForAnswerError"
    time.sleep(0.15)
    document = resume_run(run_id(first), root=project, instance=instance)
    assert document["outputs"] == {"n": 3, "source": "default"}
    without = write("pipelines/late.yaml", text.replace('default: "3", timeout: TIME', "timeout: 0.1"))
    again = orc.compile(without).run(instance=instance)
    time.sleep(0.15)
    failed = resume_run(run_id(again), root=project, instance=instance)
    assert "nobody answered within 0.1 seconds" in failed["error"]["message"]


FORM = """\
id: form
steps:
  - id: ask
    tool: feedback-collection
    parameters:
      title: How was it?
      questions:
        - {id: clear, question: Was it clear?, type: rating}
        - {id: long, question: Too long?, type: boolean}
        - {id: topics, question: What about?, choices: [trees, rain], type: choices}
        - {id: more, question: Anything else?, required: false}
  - id: name
    tool: user-prompt
    parameters: {prompt: Your code?, pattern: "[A-Z]{2}\\\\d"}
outputs: {average: "{{ ask.average }}", said: "{{ ask.responses }}", code: "{{ name.answer }}"}
"""


def test_a_form_by_the_command(write: Write, project: Path) -> None:
    run = json.loads(command("run", str(write("pipelines/form.yaml", FORM)), "--quiet").stdout)["execution_id"]
    wrong = command("answer", run, "ask", "--value", "clear=9", "--value", "long=perhaps", "--value", "topcis=x").stderr
    for said in ('"clear": 9 is more than 5', "neither yes nor no", 'no question "topcis"; did you mean', '"topics"'):
        assert said in wrong
    kept = command(
        "answer", run, "ask", *"--value clear=4 --value long=no --value topics=trees,Rain --no-resume".split()
    )
    assert kept.exit_code == 0, kept.stderr
    assert "does not match" in command("answer", run, "--value", "x").stderr
    done = command("answer", run, "--value", "AB1", "--quiet")
    assert json.loads(done.stdout)["outputs"] == {
        "average": 4,
        "said": {"clear": 4, "long": False, "topics": ["trees", "rain"], "more": None},
        "code": "AB1",
    }


def test_what_is_due_goes_on(write: Write, project: Path) -> None:
    release = str(write("pipelines/release.yaml", RELEASE))
    late = LATE.replace("TIME", "0.1").replace("id: late", "id: hurry")
    runs = [
        json.loads(command("run", path, "--quiet").stdout)["execution_id"]
        for path in (release, str(write("pipelines/hurry.yaml", late)), release)
    ]
    assert command("answer", runs[0], "--approve", "--by", "ana", "--no-resume").exit_code == 0
    time.sleep(0.15)
    went_on = [line.split(":") for line in command("answer", "--due").stdout.splitlines()]
    assert [(one[0], one[-1].strip()) for one in went_on] == [(run[:8], "completed") for run in runs[:2]]
    assert command("answer", "--due").stdout == ""
    assert [one["run"] for one in json.loads(command("answer", "--json").output)] == [runs[2]]


@pytest.mark.slow
def test_on_a_terminal_it_is_asked_there(write: Write, project: Path) -> None:
    path = write("pipelines/form.yaml", FORM)
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestrator_dagster.cli", "run", str(path), "-o", "result.json"],
        stdin=child,
        stdout=subprocess.DEVNULL,
        stderr=child,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
        start_new_session=True,
    )
    os.close(child)
    answers = {
        "Was it clear? [1 to 5]: ": ["9", "4"],
        "Too long? [yes/no]: ": ["n"],
        "What about? [trees, rain (several with commas)]: ": ["rain"],
        "Anything else? [may be empty]: ": [""],
        "answer: ": ["AB1"],
    }
    seen, whole = "", ""
    try:
        while process.poll() is None:
            if not select.select([parent], [], [], 60)[0]:
                pytest.fail(f"nothing more after {whole!r}")
            try:
                data = os.read(parent, 65536).decode("utf-8", "replace")
            except OSError:  # the other side is closed
                break
            seen, whole = seen + data, whole + data
            for prompt in [one for one in answers if one in seen and answers[one]]:
                os.write(parent, f"{answers[prompt].pop(0)}\n".encode())
                seen = seen.partition(prompt)[2]
        assert process.wait(60) == 0, whole
    finally:
        process.kill()
        os.close(parent)
    assert "9 is more than 5" in whole
    assert not any(answers.values())
    document = json.loads((project / "result.json").read_text())
    assert document["outputs"]["said"] == {"clear": 4, "long": False, "topics": ["rain"], "more": None}
    assert document["steps"]["name"]["value"]["source"] == "terminal"


GATE = """\
id: gated
inputs: {given: {type: object, required: false}}
steps:
  - id: gate
    tool: approval-gate
    parameters:
      {message: Send it?, details: first, allow_modifications: true, on_rejection: answer, answer: "{{ given }}"}
  - {id: send, condition: gate.approved, action: echo, parameters: {message: "{{ gate.content }}"}}
  - {id: keep, condition: not gate.approved, action: echo, parameters: {message: kept}}
outputs: {end: "{{ send | default(keep) }}"}
"""


@pytest.mark.parametrize(
    ("given", "end"),
    [
        ({"approved": True}, "first"),
        ({"approved": True, "content": "second"}, "second"),
        ({"approved": False, "content": "second"}, "kept"),
    ],
)
def test_what_is_approved_may_be_changed_and_a_rejection_may_be_an_answer(
    write: Write, instance: DagsterInstance, given: dict[str, Any], end: str
) -> None:
    result = orc.compile(write("pipelines/gated.yaml", GATE)).run(instance=instance, given=given)
    assert result.success, result.error
    assert result.outputs["end"] == end


def test_feedback_is_written_to_a_file_too(write: Write, project: Path, instance: DagsterInstance) -> None:
    text = """\
id: asks
steps:
  - id: ask
    tool: feedback-collection
    parameters:
      questions: [{id: score, question: How good?, type: rating}]
      save_to: outputs/feedback.json
      anonymous: true
      answer: {score: 4}
"""
    result = orc.compile(write("pipelines/asks.yaml", text)).run(instance=instance)
    assert result.success, result.error
    written = json.loads((project / "outputs/feedback.json").read_text())
    assert written["responses"] == {"score": 4}
    assert written["by"] is None
