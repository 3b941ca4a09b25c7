"""A run that is killed at any moment, resumed and killed again, until it completes.

Runs happen in processes forked from this one, which has everything imported: a kill then hits the run, and not the
start of Python. Nothing of a run is in this process.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TOOLS = '''
import os
import time
from orchestrator_dagster import tool


@tool
def note(name: str, seconds: float = 0.02) -> dict:
    """Notes that it was called, works a little, and notes that it is done."""
    with open("calls.log", "a") as log:
        log.write(f"begin {name}\\n")
    time.sleep(seconds)
    with open("calls.log", "a") as log:
        log.write(f"end {name}\\n")
    return {"name": name, "text": name * 2000}
'''

PIPELINE = """
id: killed
default_model: openai:gpt-4o-mini
steps:
  - id: first
    tool: note
    parameters: {name: first}
  - id: each
    for_each: [a, b, c, d, e, f]
    max_parallel: 3
    steps:
      - id: read
        tool: note
        parameters: {name: "read-{{ item }}"}
      - id: ask
        prompt: "Say {{ read.name }}"
        retries: 0
        products:
          - ask: "each/{{ item }}.txt"
  - id: gate
    condition: len(each.results) == 6
    tool: note
    parameters: {name: gate}
    on_false: never
  - id: never
    tool: note
    parameters: {name: never}
  - id: passes
    until: iteration >= 3
    tool: note
    parameters: {name: "pass-{{ iteration }}"}
  - id: report
    dependencies: [gate, passes]
    prompt: "Report {{ each.results | join(' ') }} {{ first.name }}"
    retries: 0
    vars: [report: The report, score: {type: number}]
    products:
      - report: report.md
      - score: score.json
outputs: {report: "{{ report.report }}", gate: "{{ gate.name }}"}
"""


@dataclass
class Course:
    """What happened: how often it was killed, how long it took, what was called, and the document at the end."""

    kills: int = 0
    seconds: float = 0.0
    begun: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    document: dict[str, Any] = field(default_factory=dict)


def forked(work: Callable[[], object], kill_after: float | None) -> bool:
    """Do some work in a process forked from this one; gives whether it ended by itself.

    Args:
        work: What is done.
        kill_after: Seconds until SIGKILL, None for never.
    """
    child = os.fork()
    if child == 0:
        os.setsid()
        try:
            work()
            os._exit(0)
        except BaseException:  # the process must not go on into the tests
            traceback.print_exc()
            os._exit(70)
    if kill_after is not None:
        until = time.monotonic() + kill_after
        while time.monotonic() < until:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                assert os.waitstatus_to_exitcode(status) == 0
                return True
            time.sleep(0.002)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, -signal.SIGKILL), code
    return code == 0


def run_until_done(project: Path, base_url: str, chance: random.Random | None, longest: float = 0.0) -> Course:
    """Run the pipeline in a project; with ``chance``, kill it at random moments and resume it until it completes.

    Args:
        project: Its folder.
        base_url: The model server.
        chance: Decides when it is killed; None for never.
        longest: Seconds that the run takes when nothing disturbs it.
    """
    from dagster import DagsterInstance, DagsterRunStatus

    from orchestrator_dagster.definitions.instance.home import open_instance
    from orchestrator_dagster.definitions.runs.execution import run_pipeline
    from orchestrator_dagster.definitions.runs.record import load_record
    from orchestrator_dagster.definitions.runs.resume import resume_run
    from orchestrator_dagster.project.loading import compile_or_raise

    os.environ.update(OPENAI_API_BASE=base_url, OPENAI_BASE_URL=base_url, OPENAI_API_KEY="sk-test-0123456789")
    (project / "tools.py").write_text(TOOLS, encoding="utf-8")
    (project / "killed.yaml").write_text(PIPELINE, encoding="utf-8")
    (project / "workspace.yaml").touch()
    result, course = project / "result.json", Course()
    forked(lambda: open_instance(project), None)  # the tables are made before anything is killed

    def instance() -> DagsterInstance:
        os.chdir(project)
        return open_instance(project)

    def start() -> None:
        with instance() as found:
            document = run_pipeline(
                compile_or_raise(project / "killed.yaml", project), {}, root=project, instance=found
            )
        result.write_text(json.dumps(document, default=str), encoding="utf-8")

    def go_on() -> None:
        with instance() as found:
            last = next(iter(found.get_runs(limit=1)), None)
            if last is None:
                start()
                return
            if last.status == DagsterRunStatus.SUCCESS:  # it was killed when it had nothing left to do but to say so
                document = load_record(found, last.run_id, compile_or_raise(project / "killed.yaml", project))
            else:
                document = resume_run(last.run_id, root=project, instance=found)
        result.write_text(json.dumps(document, default=str), encoding="utf-8")

    work, began = start, time.monotonic()
    while not forked(work, chance.uniform(0.05, longest) if chance else None):
        course.kills += 1
        work = go_on
    course.seconds = time.monotonic() - began
    course.document = json.loads(result.read_text(encoding="utf-8"))
    for line in (project / "calls.log").read_text(encoding="utf-8").splitlines():
        kind, _, name = line.partition(" ")
        (course.begun if kind == "begin" else course.ended)[name] += 1
    return course


def products_of(project: Path) -> dict[str, bytes]:
    """Every file below the output folder."""
    folder = project / "outputs"
    return {str(one.relative_to(folder)): one.read_bytes() for one in sorted(folder.rglob("*")) if one.is_file()}


@contextmanager
def serve(log: Path) -> Iterator[tuple[str, Callable[[], list[str]]]]:
    """A model server in a process of its own; gives its URL, and the prompts it has answered so far.

    Args:
        log: Where it notes them.
    """
    from orchestrator_dagster.testing import ModelServer

    def answer(request: Any) -> str:
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(request.prompt) + "\n")
        if request.prompt.startswith("Report"):
            return json.dumps({"report": f"# Report\n\n{len(request.prompt)} letters", "score": 0.5})
        return f"said: {request.prompt[:40]}"

    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        with ModelServer(default=answer) as server:
            os.write(write, server.url.encode())
            os.close(write)
            signal.pause()
        os._exit(0)
    os.close(write)
    url = os.read(read, 200).decode()
    os.close(read)
    try:
        yield url, lambda: log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def main(wanted: int, seed: int) -> None:
    """Kill as often as is wanted, and say what it came to."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm  # noqa: F401 - in this process once, and not in each that is forked from it

    kills, runs, doubled, paid = 0, 0, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "calm").mkdir()
        with serve(home / "calm.calls") as (url, calls):
            longest = run_until_done(home / "calm", url, None).seconds
            expected, once = products_of(home / "calm"), len(calls())
        while kills < wanted:
            project = home / f"p{runs}"
            project.mkdir()
            with serve(home / f"{runs}.calls") as (url, calls):
                course = run_until_done(project, url, random.Random(seed + runs), longest)
                asked = len(calls())
            assert course.document["success"], course.document["error"]
            assert products_of(project) == expected
            twice = {name: count for name, count in course.ended.items() if count > 1}
            doubled += sum(count - 1 for count in twice.values())
            paid += asked - once
            kills, runs = kills + course.kills, runs + 1
            print(
                f"{runs} runs, {kills} kills; done twice {doubled} {twice}; calls more than needed {paid}", flush=True
            )
            shutil.rmtree(project)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
