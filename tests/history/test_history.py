"""The report over runs: its sums, its rows, its trend, its page."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner

import orchestrator_dagster as orc
from orchestrator_dagster.cli import main
from orchestrator_dagster.definitions.instance.home import open_instance
from orchestrator_dagster.definitions.runs.resume import resume_run
from orchestrator_dagster.history.charts import columns, lines
from orchestrator_dagster.history.figures import RunFigures, StepFigures, Taken
from orchestrator_dagster.history.page import page
from orchestrator_dagster.history.report import history, width_of
from orchestrator_dagster.testing import Answer, ModelServer, Tokens

NOW = datetime(2026, 3, 10, 12, tzinfo=timezone.utc)


def run(name: str, days: float, status: str = "completed", **more: object) -> RunFigures:
    values = {"root": name, "pipeline": "p", "seconds": 2.0, "whole": status == "completed", **more}
    return RunFigures(id=name, status=status, started_at=NOW - timedelta(days=days), **values)  # type: ignore[arg-type]


def test_sums_and_rows() -> None:
    known, unknown = Taken.of(2, 100, 0.5), Taken.of(1, 50, None)
    steps = {
        "ask": StepFigures("completed", 1.5, 3, known, {"openai:a": known}),
        "mine": StepFigures("completed", 0.5, 1, unknown, {"own:b": unknown}),
        "no": StepFigures("skipped", 0.0),
    }
    found = history(
        [
            run("a", 3, taken=known + unknown, models={"openai:a": known, "own:b": unknown}, steps=steps),
            run("b", 2, "failed", error="ToolError", failed_step="ask", steps={"ask": StepFigures("failed", 0.1)}),
            run("c", 1, root="b", whole=False),  # what has failed was resumed, and completed
            run("d", 1, "failed", error="ToolError", failed_step="ask"),
            run("e", 0, "running", seconds=None),
            run("f", 0, pipeline="q", seconds=9.0),
        ],
        since=NOW - timedelta(days=7),
        until=NOW,
    )
    total = found.total
    assert (total.runs, total.completed, total.failed, total.running, total.resumed) == (6, 3, 2, 1, 1)
    assert total.success_rate == 3 / 4  # a, b with c, f; not d
    assert (total.median_seconds, total.p95_seconds) == (2.0, 9.0)
    assert (total.cost, total.known_cost, total.unpriced_calls, total.tokens) == (None, 0.5, 1, 150)
    assert [(row.pipeline, row.success_rate) for row in found.pipelines] == [("p", 2 / 3), ("q", 1.0)]
    ask, mine = found.steps
    assert (ask.step, ask.runs, ask.failed, ask.retries, ask.median_seconds, ask.cost) == ("ask", 2, 1, 2, 1.5, 0.5)
    assert (mine.cost, mine.known_cost) == (None, 0.0)
    assert [(row.model, row.cost, row.cost_per_call) for row in found.models] == [
        ("openai:a", 0.5, 0.25), ("own:b", None, None),
    ]  # fmt: skip
    (failure,) = found.failures
    assert (failure.runs, failure.last_run, failure.step) == (2, "d", "ask")
    assert found.width == "day"
    assert [row.runs for row in found.trend] == [0, 0, 0, 0, 1, 1, 2, 2]


def test_the_parts_of_a_trend_are_never_too_many() -> None:
    assert [width_of(timedelta(days=days)) for days in (1, 2, 30, 60, 400)] == ["hour", "hour", "day", "day", "week"]
    nothing = history([], since=None, until=NOW)
    assert nothing.total.success_rate is None
    assert page(nothing)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_else() -> None:
    bad = "<script>alert(1)</script>"
    taken = Taken.of(1, 10, 0.25)
    runs = [run(str(day), day, models={bad: taken}, taken=taken, pipeline=bad) for day in range(9)]
    runs += [run("x", 1, "failed", error=bad, failed_step=bad, pipeline=bad, steps={bad: StepFigures("failed", 1.0)})]
    text = page(history(runs, since=NOW - timedelta(days=9), until=NOW))
    tags = _Tags()
    tags.feed(text)
    assert tags.open == []
    assert not tags.seen & {"script", "link", "img", "iframe"}
    assert "http://" not in text
    assert "https://" not in text
    assert text.count('<svg class="chart"') == 4
    assert "completed 1" in text


@pytest.mark.parametrize("values", [[0.0, 0.0], [1.0, 3.0], [0.0001, 12345.678]])
def test_charts_stay_in_their_frame(values: list[float]) -> None:
    for drawn in (columns(["a", "b"], {"x": values}, str, "t"), lines(["a", "b"], {"x": [*values]}, str, "t")):
        for name, most in (("x", 720), ("y", 220), ("cx", 720), ("cy", 220)):
            for number in re.findall(rf' {name}="([^"]+)"', drawn):
                assert -0.01 <= float(number) <= most
    assert "polyline" not in lines(["a", "b"], {"x": [1.0, None]}, str, "t")


PIPELINE = """\
id: paid
default_model: openai:gpt-4o-mini
steps:
  - {id: ask, prompt: Name a tree.}
  - {id: read, dependencies: [ask], tool: filesystem, action: read, parameters: {path: later.txt}}
  - {id: own, dependencies: [read], prompt: Name a bush., model: "openai:nobodys-model"}
outputs: {said: "{{ ask }}"}
"""


def test_recorded_runs_are_summed_once(
    project: Path, write: Callable[[str, str], Path], model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-0123456789abcdef")
    monkeypatch.setenv("OPENAI_BASE_URL", model_server.url)
    model_server.when("tree", reply=Answer("lime", usage=Tokens(1000, 500)))
    model_server.when("bush", reply=Answer("yew", usage=Tokens(10, 5)))
    pipeline = orc.compile(write("pipelines/paid.yaml", PIPELINE))
    failed = pipeline.run()
    (project / "later.txt").write_text("x", encoding="utf-8")
    with open_instance(project) as instance:
        assert resume_run(failed.run_id, root=project, instance=instance)["success"]
    assert pipeline.run().success
    runner = CliRunner()
    done = runner.invoke(main, ["report", "--format", "json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    total = found["total"]
    assert (total["runs"], total["completed"], total["failed"], total["resumed"]) == (3, 2, 1, 1)
    assert total["success_rate"] == 1.0
    assert total["calls"] == len(model_server.calls) == 4  # what the resumed run took over counts once
    assert total["tokens"] == 2 * 1500 + 2 * 15
    assert (total["cost"], total["unpriced_calls"]) == (None, 2)
    assert total["known_cost"] == pytest.approx(2 * (1000 * 0.15 + 500 * 0.6) / 1e6)
    assert {row["step"]: (row["runs"], row["failed"]) for row in found["steps"]} == {
        "ask": (2, 0), "read": (3, 1), "own": (2, 0),
    }  # fmt: skip
    assert [(row["step"], row["error"], row["last_run"]) for row in found["failures"]] == [
        ("read", "FileMissingError", failed.run_id),
    ]  # fmt: skip
    shown = runner.invoke(main, ["report"])
    assert "3 runs" in shown.output
    assert "+ unknown" in shown.output
    written = runner.invoke(main, ["report", "-o", "out/runs.html", "--pipeline", "paid", "--since", "7d"])
    assert written.exit_code == 0, written.output
    assert "<svg" in (project / "out/runs.html").read_text(encoding="utf-8")
    wrong = runner.invoke(main, ["report", "--pipeline", "payed"])
    assert (wrong.exit_code, 'did you mean "paid"?' in wrong.output) == (2, True)
    assert runner.invoke(main, ["report", "--since", "soon"]).exit_code == 2
