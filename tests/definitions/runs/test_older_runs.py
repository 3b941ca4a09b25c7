"""Files of the earlier dialect are run as they are, against the local model server."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance

import orchestrator_dagster as orc
from orchestrator_dagster.testing import ModelServer

pytestmark = pytest.mark.slow
OLDER = Path(__file__).resolve().parents[2] / "compiler" / "older"
ANSWER = "This is the answer of the test server."

SALES = "region,product,amount,status\nnorth,a,10,active\nsouth,b,20,inactive\nnorth,b,5,active\n"
ORDERS = [
    {"id": 1, "amount": 5, "region": "north", "product": "a"},
    {"id": 2, "amount": 7, "region": "south", "product": "b"},
]

Run = Callable[..., orc.Result]


@pytest.fixture
def run(project: Path, instance: DagsterInstance, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs one of the files in a project with some data; the catalogue's models of OpenAI are the local server."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-0123456789abcdef")
    monkeypatch.setenv("OPENAI_BASE_URL", model_server.url)
    data = project / "data"
    data.mkdir()
    (data / "sales.csv").write_text(SALES, encoding="utf-8")
    (data / "orders.json").write_text(json.dumps(ORDERS), encoding="utf-8")
    (data / "config.json").write_text('{"name": "x", "port": 80}', encoding="utf-8")
    (data / "sample.py").write_text("print(1)\n", encoding="utf-8")
    for name in ("file1.txt", "file2.txt"):
        (data / name).write_text(f"The content of {name}.", encoding="utf-8")

    def start(name: str, **inputs: Any) -> orc.Result:
        shutil.copy(OLDER / f"{name}.yaml", project / "pipelines")
        return orc.compile(f"pipelines/{name}.yaml").run(instance=instance, **inputs)

    return start


def test_rows_are_filtered_and_written_as_csv(run: Run, project: Path) -> None:
    result = run("filtered_rows")
    assert result.success, result.error
    assert (project / result.outputs["filtered"]).read_text(encoding="utf-8").splitlines() == [
        "region,product,amount,status", "north,a,10,active", "north,b,5,active",
    ]  # fmt: skip


def test_orders_are_validated_added_up_and_sorted(run: Run, project: Path) -> None:
    result = run("orders")
    assert result.success, result.error
    assert result.outputs["valid"] is True
    assert [row["total_amount"] for row in result.outputs["summary"]] == [5, 7]
    assert [row["total_amount"] for row in result.steps["top"]["value"]["data"]] == [7, 5]
    assert len(json.loads((project / "outputs/orders/summary.json").read_text())) == 2


def test_every_file_of_a_list(run: Run, project: Path) -> None:
    result = run("each_file")
    assert result.success, result.error
    assert result.outputs["count"] == 2
    assert (project / "outputs/for_loop/processed_file2.txt").read_text() == ANSWER


def test_auto_values_without_an_orchestrator(run: Run, project: Path, model_server: ModelServer) -> None:
    result = run("auto_tags")
    assert result.success, result.error
    assert (project / "outputs/auto/out.md").exists()
    asked = [call.prompt for call in model_server.calls]
    assert any("To decide: how long should the text be?" in one for one in asked)
    assert any("Is the analysis worth a longer text?" in one for one in asked)


def test_what_is_remembered(run: Run) -> None:
    result = run("memory")
    assert result.success, result.error
    assert result.outputs["profile"]["name"] == "Ana"
    assert result.outputs["keys"] == 1
    chat = run("chat")
    assert chat.success, chat.error
    assert chat.outputs == {"answer": ANSWER, "turns": 2}


def test_pipelines_inside_a_step(run: Run, project: Path) -> None:
    result = run("inline_pipelines")
    assert result.success, result.error
    assert (project / "outputs/modular/report.md").read_text() == f"# Report\n{ANSWER}\n"


def test_branches_with_steps_written_in_them(run: Run) -> None:
    result = run("then_else")
    assert result.success, result.error
    status = {name: step["status"] for name, step in result.steps.items()}
    assert [status[name] for name in ("good", "bad", "plain", "fallback", "end")] == [
        "skipped", "completed", "skipped", "completed", "completed",
    ]  # fmt: skip
    assert result.steps["end"]["value"] == "low"
    assert run("branches_in_loop").outputs == {"said": ["1 odd", "2 even", "3 odd"]}


def test_steps_with_config(run: Run, project: Path) -> None:
    result = run("config_of_steps")
    assert result.success, result.error
    assert (project / "outputs/config/out.csv").read_text().splitlines() == [
        "product,amount_sum,amount_mean", "a,10,10.0", "b,5,5.0",
    ]  # fmt: skip


def test_tables_are_joined(run: Run, project: Path) -> None:
    result = run("joined_tables")
    assert result.success, result.error
    assert result.outputs["rows"] == 2
    assert "| Ana | 15.00 |" in (project / "outputs/etl/by_manager.md").read_text()
    assert (project / "outputs/etl/by_manager.csv").read_text() == "manager,amount_sum\nAna,15\nBo,20\n"


def test_structures_are_read_by_their_fields(run: Run, project: Path) -> None:
    result = run("payments")
    assert result.success, result.error
    assert result.outputs["payments"][0].keys() == {"payer", "payee", "amount"}
    blog = run("blog_posts")
    assert blog.success, blog.error
    assert list((project / "outputs/blog").glob("0_*.md"))
    review = run("code_review")
    assert review.success, review.error
    story = run("story", genre="fantasy")
    assert story.success, story.error


def test_rules_before_a_model(run: Run) -> None:
    result = run("loan")
    assert result.success, result.error
    assert result.outputs == {"decision": ANSWER, "rule": "completed", "ratio": 0.214}
    assert result.steps["review"]["status"] == "skipped"


def test_failures_by_their_names_in_python(run: Run) -> None:
    result = run("error_chain")
    assert not result.success
    assert result.error is not None
    assert result.error["step"] == "optional"  # `continue` ends the run as failed, after everything else
    last = result.steps["last"]["value"]
    assert last.startswith("(no file) ")
    assert last.endswith("all failed: secondary")
    route = run("error_route")
    assert route.success, route.error
    assert route.steps["end"]["value"].startswith("fallback: there is no file")


def test_a_loop_that_only_its_limit_ends(run: Run, project: Path) -> None:
    result = run("polling")
    assert result.success, result.error
    assert len((project / "outputs/monitor/log.txt").read_text().splitlines()) == 2
    assert (project / "outputs/monitor/report.md").read_text() == result.outputs["log"]
