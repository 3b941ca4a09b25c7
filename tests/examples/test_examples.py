"""Every example runs for real, in a copy of its folder, and its products hold what they should."""

from __future__ import annotations

import csv
import functools
import http.server
import importlib.util
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import dagster as dg
import pandas as pd
import pypdf
import pytest
from dagster import AssetKey, DagsterInstance

import orchestrator_dagster as orc
from orchestrator_dagster.cli import main
from orchestrator_dagster.testing import Answer, ModelServer, Tokens

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TESTED = {
    "approval", "auto_values", "charts", "commands", "described", "desk", "extract", "first_pipeline",
    "hosted_model", "lineage_project", "loops", "mcp", "media", "model_choice", "own_assets", "own_tool",
    "pdf_report", "quality", "routing", "sub_pipelines", "tables", "tool_use", "twelve_tools",
    "two_pipelines", "ui_tour", "web",
}  # fmt: skip
#: Those that need a service; tests/services runs them.
WITH_SERVICES = {"celery", "postgres", "production"}


@pytest.fixture
def example(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the example's folder, which is also the current folder."""
    folder = tmp_path / request.param
    shutil.copytree(EXAMPLES / request.param, folder, ignore=shutil.ignore_patterns("outputs", ".orchestrator"))
    monkeypatch.chdir(folder)
    return folder


def of(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("example", [name], indirect=True)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{path.parent.name}_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    # Dagster serves no module that has a second one.
    assert sum(isinstance(one, dg.Definitions) for one in vars(module).values()) <= 1
    return module


def test_every_example_is_tested_and_described() -> None:
    folders = {path.name for path in EXAMPLES.iterdir() if path.is_dir() and any(path.iterdir())}
    assert folders == TESTED | WITH_SERVICES
    for name in folders:
        readme = (EXAMPLES / name / "README.md").read_text(encoding="utf-8")
        assert all(f"[{path.name}]" in readme for path in (EXAMPLES / name).glob("*.yaml") if path.stem != "workspace")


@of("first_pipeline")
def test_first_pipeline(example: Path, instance: DagsterInstance) -> None:
    result = orc.compile("digest.yaml").run(title="Three weeks", instance=instance)
    assert result.success, result.error
    text = (example / "outputs/digest/digest.md").read_text(encoding="utf-8")
    assert text.startswith("# Three weeks\n")
    places = [text.index(f"## {name}") for name in ("2026-03-02", "2026-03-09", "2026-03-16")]
    assert places == sorted(places)
    for note in (example / "notes").iterdir():
        assert note.read_text(encoding="utf-8").strip() in text
    assert result.outputs == {"notes": 3, "digest": text}
    assert result.document["usage"]["calls"] == 0


@of("extract")
def test_extract(example: Path, instance: DagsterInstance) -> None:
    result = orc.compile("extract.yaml").run(topic="batteries", most=4, instance=instance)
    assert result.success, result.error
    texts = {path.name: " ".join(path.read_text().split()) for path in (example / "documents").iterdir()}
    found = rows(example / "outputs/extract/findings.csv")
    assert 1 <= len(found) <= 4
    assert len(found) == result.outputs["findings"]
    for one in found:
        assert one["quote"] in texts[one["source"]]
        assert "batter" in one["finding"].lower()
    terms = json.loads((example / "outputs/extract/key_terms.json").read_text())
    assert "battery" in terms
    assert 0 <= result.outputs["score"] <= 1
    assert result.steps["find"]["provider"] == "builtin"


@of("extract")
def test_extract_refuses_too_many_findings(example: Path, instance: DagsterInstance) -> None:
    with pytest.raises(orc.InputsError, match="most"):
        orc.compile("extract.yaml").run(topic="batteries", most=21, instance=instance)


ANSWER = {
    "sorted": [
        {"message": "The parcel came two days late, and nobody told me.", "about": "delivery", "content": False},
        {"message": "Great colour, exactly as on the photo!", "about": "product", "content": True},
    ],
    "summary": "One of two writers is content.",
}


@pytest.mark.slow
@of("hosted_model")
def test_hosted_model_by_key_and_address(example: Path, model_server: ModelServer) -> None:
    """As a process: the key and the address come from the environment, as they do for a provider."""
    wrong = {**ANSWER, "sorted": [{**ANSWER["sorted"][0], "about": "weather"}]}  # type: ignore[dict-item]
    model_server.then(json.dumps(wrong), Answer(json.dumps(ANSWER), usage=Tokens(1000, 100)))
    environment = {**os.environ, "OPENAI_API_KEY": "sk-example-0123456789", "OPENAI_BASE_URL": model_server.url}
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator_dagster.cli", "run", "feedback.yaml", "--quiet"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["outputs"] == {"unhappy": 1}
    assert document["usage"]["calls"] == 2
    assert document["usage"]["cost"] > 0
    assert [call.key for call in model_server.calls] == ["sk-example-0123456789"] * 2
    assert rows(example / "outputs/feedback/sorted.csv")[0]["about"] == "delivery"
    assert (example / "outputs/feedback/summary.md").read_text() == ANSWER["summary"]
    assert "sk-example" not in done.stdout


@of("hosted_model")
def test_hosted_model_of_ones_own(example: Path, model_server: ModelServer, capsys: pytest.CaptureFixture[str]) -> None:
    model_server.then(json.dumps(ANSWER))
    assert loaded(example / "local.py").main(model_server.url) == 0
    assert "1 of 2 writers are not content" in capsys.readouterr().out
    (call,) = model_server.calls
    assert call.schema is not None
    assert "Work like a data analyst" in call.body["messages"][0]["content"]
    assert call.body["temperature"] == 0


@of("auto_values")
def test_auto_values(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert loaded(example / "local.py").main() == 0
    said = capsys.readouterr().out
    assert "review.condition: true (One writer has written three times.)" in said
    assert "Please look at the reminders for a returned book; 2 answers" in said
    answers = (example / "outputs/letters/answers.md").read_text(encoding="utf-8")
    assert answers == "- (An answer, apologetic, warm.)\n- (An answer, plain, friendly.)\n"


@of("described")
def test_described(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert loaded(example / "local.py").main() == 0
    said = capsys.readouterr().out
    assert said.startswith("The pipeline reports how the books of a town library were lent this month. From the table")
    assert "- Waits for `order` and `unwanted`." in said
    line = (example / "reminders.yaml").read_text().splitlines().index("  - id: overdue") + 1
    assert f'reminders.yaml:{line}:5: step "overdue": It keeps the readers who still have days left' in said
    assert said.endswith(
        "text: 1.0 of at least 0.8. It names the most lent book with its loans, and the unwanted one.\n"
    )
    text = (example / "outputs/loans/loans.md").read_text(encoding="utf-8")
    assert "The garden of the north was lent 14 times." in text
    assert "Nobody wanted A history of paper." in text


@of("own_tool")
def test_own_tool(example: Path, instance: DagsterInstance) -> None:
    result = orc.compile("outline.yaml").run(instance=instance)
    assert result.success, result.error
    text = (example / "handbook.md").read_text()
    measured = json.loads((example / "outputs/outline/reading.json").read_text())
    assert measured["words"] == result.outputs["words"] == len(text.split())
    assert measured["sentences"] == 8
    assert rows(example / "outputs/outline/headlines.csv") == [
        {"level": "1", "title": "Handbook of the workshop"},
        {"level": "2", "title": "Safety"},
        {"level": "2", "title": "Booking"},
    ]


@of("own_tool")
def test_own_tool_checks_its_parameters(example: Path) -> None:
    text = (example / "outline.yaml").read_text().replace("deepest: 2", "deepest: 9")
    (example / "outline.yaml").write_text(text)
    with pytest.raises(orc.PipelineError, match='the parameter "deepest"'):
        orc.compile("outline.yaml")


@of("own_assets")
def test_own_assets(example: Path, instance: DagsterInstance) -> None:
    definitions: dg.Definitions = loaded(example / "location.py").defs
    graph = definitions.resolve_asset_graph()
    assert graph.get(AssetKey(["stations", "at_sea_level"])).parent_keys == {
        AssetKey(["stations", "means"]),
        AssetKey(["stations", "heights"]),
    }
    done = definitions.resolve_implicit_global_asset_job_def().execute_in_process(instance=instance)
    assert done.success
    means = pd.read_csv(example / "outputs/stations/means.csv").set_index("station")
    assert means.loc["lake", "mean"] == pytest.approx((14.0 + 17.5) / 2)  # the empty reading is left out
    assert means.loc["town", "highest"] == 24.5
    table: Any = done.output_for_node("stations__at_sea_level")
    reduced = {row["station"]: row["reduced"] for row in table}
    assert reduced["hill"] == pytest.approx(15.5 + 640 * 0.0065, abs=0.01)
    event = instance.get_latest_materialization_event(AssetKey(["stations", "at_sea_level"]))
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.metadata["warmest"].value == "town"


@of("two_pipelines")
def test_two_pipelines(example: Path, instance: DagsterInstance) -> None:
    with pytest.raises(orc.InputsError, match=r"market/prices.*never been materialized") as missing:
        orc.compile("pipelines/letter.yaml").run(instance=instance)
    assert any("next: `orchestrator run pipelines/harvest.yaml`" in one for one in missing.value.problems)
    definitions: dg.Definitions = loaded(example / "location.py").defs
    graph = definitions.resolve_asset_graph()
    above = {"harvest/trees", "market/prices"}
    assert {key.to_user_string() for key in graph.get(AssetKey(["letter", "offer"])).parent_keys} == above
    assert {key.to_user_string() for key in graph.get(AssetKey(["letter", "letter"])).parent_keys} == {
        "letter/offer",
        "market/hello",
    }
    done = definitions.resolve_implicit_global_asset_job_def().execute_in_process(instance=instance)
    assert done.success
    offer = json.loads((example / "outputs/letter/offer.json").read_text())
    euros = {row["tree"]: row["euros"] for row in offer}
    assert euros == {"apple": round(218.5 * 1.8, 2), "pear": round(75.5 * 2.4, 2), "plum": round(12 * 3.1, 2)}
    assert done.output_for_node("market__income") == pytest.approx(sum(euros.values()))
    letter = (example / "outputs/letter/letter.md").read_text()
    assert "We picked in the morning." in letter
    assert re.search(r"\| apple \| +218\.5 \|", letter)
    alone = definitions.resolve_job_def("letter_job").execute_in_process(instance=instance)
    assert alone.output_for_node("letter", "run")["outputs"]["total"] == pytest.approx(sum(euros.values()))


@of("lineage_project")
def test_lineage_project(example: Path, instance: DagsterInstance) -> None:
    definitions: dg.Definitions = loaded(example / "location.py").defs
    done = definitions.resolve_implicit_global_asset_job_def().execute_in_process(instance=instance)
    assert done.output_for_node("dashboard__worst_shop") == "north"
    letter = (example / "outputs/board_letter/letter.md").read_text(encoding="utf-8")
    assert re.search(r"\| harbour \| +3\.3 \| +3 \|", letter)
    assert "I waited at the till for twenty minutes." in letter
    assert f"4 findings, of the run {done.run_id[:8]}." in letter
    assert "Sundays" not in letter, "a review without stars is none"


@of("tables")
def test_tables(example: Path, instance: DagsterInstance) -> None:
    result = orc.compile("tables.yaml").run(least_units=6, instance=instance)
    assert result.success, result.error
    found = rows(example / "outputs/tables/ranking.csv")
    # harbour 11 * 9.20 + 8 * 4.80, north 12 * 4.50 + 9 * 8.90, south 7 * 4.50 + 6 * 8.90
    assert [(row["shop"], row["sales"], float(row["total"])) for row in found] == [
        ("harbour", "2", 139.6),
        ("north", "2", 134.1),
        ("south", "2", 84.9),
    ]
    assert [float(row["per_square_metre"]) for row in found] == [3.1, 1.12, 1.06]
    data = json.loads((example / "outputs/tables/ranking.json").read_text())
    assert data[0] == {"shop": "harbour", "manager": "Chi", "sales": 2, "total": 139.6, "per_square_metre": 3.1}
    sheet = pd.read_excel(example / "outputs/tables/ranking.xlsx")
    assert sheet.to_dict("records") == data
    assert result.outputs == {"best": "harbour", "left_out": 2}


@of("charts")
def test_charts(example: Path, instance: DagsterInstance) -> None:
    result = orc.compile("charts.yaml").run(theme="dark", instance=instance)
    assert result.success, result.error
    assert result.outputs["files"] == ["outputs/charts/visits.png", "outputs/charts/dashboard.html"]
    assert "36 values from 958 to 5,815" in result.outputs["shown"]
    assert "1 of 36 rows without a value are left out" in result.outputs["left_out"]
    assert (example / "outputs/charts/visits.png").read_bytes()[:4] == b"\x89PNG"
    assert "<svg" in (example / "outputs/charts/shares.svg").read_text(encoding="utf-8")
    board = (example / "outputs/charts/dashboard.html").read_text(encoding="utf-8")
    assert board.count('<img src="data:image/svg+xml;base64,') == 4
    assert '<html lang="en" class="dark">' in board
    assert 'src="data:image/png;base64,' in (example / "outputs/charts/report.html").read_text(encoding="utf-8")


@pytest.mark.slow
@of("twelve_tools")
def test_twelve_tools(example: Path, instance: DagsterInstance) -> None:
    shutil.copytree(EXAMPLES.parent / "data", example / "data")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory="site")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        (example / "tools.py").write_text((example / "tools.py").read_text().replace("8000", str(port)))
        result = orc.compile("twelve_tools.yaml").run(address=f"http://127.0.0.1:{port}", instance=instance)
        server.shutdown()
    assert result.success, result.error
    assert len({step["tool"] for step in result.steps.values() if step["status"] == "completed"}) == 12
    assert result.document["usage"]["calls"] == 0
    table = pd.read_csv(example / "data/measurements.csv").drop_duplicates()
    at_two = table[table["time"] == "14:00"].groupby(["site", "tree_cover_percent"])["surface_temperature_c"].mean()
    found = {row["site"]: row for row in rows(example / "outputs/twelve_tools/by_site.csv")}
    assert {site: float(row["ground_c"]) for site, row in found.items()} == {
        site: pytest.approx(mean, abs=0.06) for (site, _), mean in at_two.items()
    }
    cover = [float(row["crowns_percent"]) for row in found.values()]
    slope = statistics.linear_regression(cover, [float(row["ground_c"]) for row in found.values()]).slope
    assert result.outputs["per_ten_percent"] == pytest.approx(10 * slope, abs=0.006)
    assert (result.outputs["rows"], result.outputs["tables_in_page"], result.outputs["warnings"]) == (len(table), 1, [])
    text = (example / "outputs/twelve_tools/report.md").read_text(encoding="utf-8")
    for said in ("500 measurements, 3 of them entered twice", "3 of 500 rows repeat", "Lindenau, Rathausdach, 118 m"):
        assert said in text
    document = pypdf.PdfReader(example / "outputs/twelve_tools/report.pdf")
    assert len(document.pages) == result.outputs["pages"]
    assert sum(len(page.images) for page in document.pages) == 3
    page = (example / "outputs/twelve_tools/report.html").read_text(encoding="utf-8")
    assert page.count('src="data:image/png;base64,') == 3


@of("pdf_report")
def test_pdf_report(example: Path, instance: DagsterInstance) -> None:
    result = orc.compile("pdf_report.yaml").run(author="Ana", instance=instance)
    assert result.success, result.error
    assert result.outputs == {"pages": 2, "warnings": []}
    (product,) = result.products
    assert (product["path"], product["format"]) == ("outputs/pdf_report/library.pdf", "pdf")
    (made,) = instance.fetch_materializations(dg.AssetKey(["pdf_report", "report"]), limit=1).records
    preview = made.asset_materialization.metadata["orchestrator/preview"]  # type: ignore[union-attr]
    assert preview.value == f"a PDF of {(example / product['path']).stat().st_size:,} bytes"
    document = pypdf.PdfReader(example / "outputs/pdf_report/library.pdf")
    first, second = (page.extract_text() for page in document.pages)
    assert "Ana · January 2026" in first
    assert len(document.pages[0].images) == 1
    assert "How it was counted" in first
    assert second.count("Hillside") == 12
    assert [entry.title for entry in document.outline] == ["Visits", "How it was counted", "All months"]


@of("quality")
def test_quality(example: Path, instance: DagsterInstance) -> None:
    result = orc.compile("quality.yaml").run(instance=instance)
    assert result.success, result.error
    assert result.outputs["errors"] == [
        "[1].article: 'bench' is none of 'chair', 'parasol', 'table'",
        "[1].day: '2026-02-30' is no date",
    ]
    assert [one.split(":")[0] for one in result.outputs["broken"]] == ["order", "units"]
    assert (result.outputs["valid"], len(result.outputs["warnings"])) == (False, 1)
    assert [row["path"] for row in rows(example / "outputs/quality/problems.csv")] == ["[1].article", "[1].day"]
    shape = json.loads((example / "outputs/quality/shape.json").read_text(encoding="utf-8"))
    assert shape["items"]["properties"]["units"] == {"type": "integer", "minimum": 3, "maximum": 250}
    strict = (
        (example / "quality.yaml")
        .read_text()
        .replace('      data: "{{ orders.results', '      strict: true\n      data: "{{ orders.results')
    )
    (example / "quality.yaml").write_text(strict)
    failed = orc.compile("quality.yaml").run(instance=instance)
    assert failed.error is not None
    assert failed.error["step"] == "check"
    assert "'bench' is none of" in failed.error["message"]


@of("routing")
@pytest.mark.parametrize(
    ("mail", "skipped", "said"),
    [
        ("refund", {"without_orders", "standard_reply"}, ["# For a person", "broken pole", "Order B-2001: parasol"]),
        ("question", {"without_orders", "escalate"}, ["# Standard reply", "Order A-1001: garden chair"]),
        ("no_order", {"escalate"}, ["# Standard reply", "No order was looked up: "]),
    ],
)
def test_routing(example: Path, instance: DagsterInstance, mail: str, skipped: set[str], said: list[str]) -> None:
    result = orc.compile("triage.yaml").run(mail=f"mails/{mail}.txt", instance=instance)
    assert result.success, result.error
    assert {name for name, step in result.steps.items() if step["status"] == "skipped"} == skipped
    assert {name for name, step in result.steps.items() if step["status"] == "failed"} == (
        {"look_up"} if mail == "no_order" else set()
    )
    text = (example / f"outputs/triage/{mail}.md").read_text(encoding="utf-8")
    assert all(one in text for one in said), text
    assert result.outputs == {"escalated": mail == "refund", "ticket": f"outputs/triage/{mail}.md"}


@of("loops")
def test_loops(example: Path, instance: DagsterInstance) -> None:
    result = orc.compile("notes.yaml").run(at_once=2, most_characters=240, instance=instance)
    assert result.success, result.error
    notes = {path.stem: path.read_text() for path in (example / "outputs/notes/notes").iterdir()}
    assert sorted(notes) == ["battery", "empty", "solar", "tariffs"]
    assert notes["empty"] == "# empty.txt (2 of 4)\n\n"
    assert all(notes[name].count("\n- ") == 2 for name in ("battery", "solar", "tariffs"))
    short = (example / "outputs/notes/short.txt").read_text()
    assert 0 < len(short) <= 240
    assert result.outputs == {"documents": 4, "passes": result.outputs["passes"], "short": short}
    assert 2 <= result.outputs["passes"] <= 6
    assert result.document["usage"]["calls"] == 3 + result.outputs["passes"]
    event = instance.get_latest_materialization_event(AssetKey(["notes", "note"]))
    assert event is not None
    assert event.asset_materialization is not None
    files: Any = event.asset_materialization.metadata["orchestrator/files"].value
    assert [Path(one).name for one in files] == ["battery.md", "empty.md", "solar.md", "tariffs.md"]


@of("loops")
def test_loops_fail_at_their_limit(example: Path, instance: DagsterInstance) -> None:
    text = (example / "notes.yaml").read_text().replace("max_iterations: 6", "max_iterations: 2")
    (example / "notes.yaml").write_text(text)
    result = orc.compile("notes.yaml").run(most_characters=80, instance=instance)
    assert not result.success
    assert result.error is not None
    assert (result.error["step"], result.error["type"]) == ("shorten", "LoopLimitError")
    assert result.outputs["documents"] == 4


@of("sub_pipelines")
def test_sub_pipelines(example: Path, instance: DagsterInstance) -> None:
    result = orc.compile("garden.yaml").run(instance=instance)
    assert result.success, result.error
    texts = {path.stem: path.read_text() for path in (example / "texts").iterdir()}
    found = rows(example / "outputs/garden/texts.csv")
    assert [int(row["words"]) for row in found] == sorted((len(text.split()) for text in texts.values()), reverse=True)
    assert result.outputs == {"longest": int(found[0]["words"])}
    gists = {path.stem: path.read_text() for path in (example / "outputs/garden/gists").iterdir()}
    assert sorted(gists.values()) == sorted(row["gist"] for row in found)
    assert all(" ".join(gist.split()) in " ".join(texts[name].split()) for name, gist in gists.items())
    assert instance.get_latest_materialization_event(AssetKey(["figures", "gist"])) is not None


@of("tool_use")
def test_tool_use(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert loaded(example / "scripted.py").main() == 0
    said = capsys.readouterr().out
    shown = (example / "README.md").read_text(encoding="utf-8").split("$ python scripted.py\n")[1].split("```")[0]
    assert said == shown
    assert rows(example / "outputs/offer/offer.csv") == [{"article": "Floor lamp", "pieces": "2", "price_each": "79"}]


@of("approval")
def test_approval(example: Path, instance: DagsterInstance) -> None:
    pipeline = orc.compile("newsletter.yaml")
    waiting = pipeline.run(instance=instance)
    assert waiting.error is not None
    assert waiting.error["type"] == "WaitingForAnswerError"
    assert waiting.steps["write"]["status"] == "completed"
    sent = pipeline.run(verdict="approve", rating=5, instance=instance)
    assert sent.success, sent.error
    assert sent.outputs == {"sent": True, "useful": 5}
    letter = (example / "outputs/newsletter/week-12.md").read_text()
    assert letter.startswith("# Week 12\n\n")
    assert letter.endswith("Approved by the launch.\n")
    kept = pipeline.run(verdict="reject", instance=instance)
    assert kept.success, kept.error
    assert kept.outputs == {"sent": False, "useful": None}
    assert kept.steps["feedback"]["status"] == "skipped"
    assert "Kept back: not approved" in (example / "outputs/newsletter/week-12-kept.md").read_text()


@pytest.mark.slow
@of("mcp")
def test_mcp(example: Path, instance: DagsterInstance) -> None:
    result = orc.compile("order.yaml").run(instance=instance)
    assert result.success, result.error
    assert result.outputs == {"ordered": ["pine"], "remembered": 1}
    assert rows(example / "outputs/order/orders.csv") == [{"tree": "pine", "count": "0", "order": "True"}]
    wrong = orc.compile("order.yaml").run(wanted=["palm"], instance=instance)
    assert wrong.error is not None
    assert "stock.in_stock failed" in wrong.error["message"]


@of("model_choice")
def test_model_choice(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["plan", "feedback.yaml", "--json", "-i", 'messages=["one", "two", "three"]'])
    assert end.value.code == 0
    plan = json.loads(capsys.readouterr().out)
    assert [(step["model"], step["times"], step["fallbacks"]) for step in plan["steps"]] == [
        ("own:small", 1, []),
        ("own:large", 3, []),
        ("own:small", 1, ["own:large"]),
    ]
    assert plan["estimate_complete"]


@of("commands")
def test_commands(example: Path, instance: DagsterInstance) -> None:
    result = orc.compile("commands.yaml").run(slowest=3, instance=instance)
    assert result.success, result.error
    lines = [line.split() for file in (example / "logs").iterdir() for line in file.read_text().splitlines()]
    assert result.outputs == {
        "failures": sum(line[3] == "500" for line in lines),
        "pages": len({line[2] for line in lines}),
    }
    found = {row["path"]: row for row in rows(example / "outputs/log_report/times.csv")}
    times = [int(line[4]) for line in lines if line[2] == "/shop"]
    assert int(found["/shop"]["requests"]) == len(times)
    assert float(found["/shop"]["median_ms"]) == statistics.median(times)
    text = (example / "outputs/log_report/report.md").read_text()
    slowest = sorted((int(line[4]) for line in lines), reverse=True)[:3]
    assert [int(line.split()[-1]) for line in text.split("```")[1].strip().splitlines()] == slowest


@of("web")
def test_web_offline(example: Path, instance: DagsterInstance) -> None:
    pytest.importorskip("trafilatura", reason="the extra `web` is not installed")
    result = orc.compile("offline.yaml").run(instance=instance)
    assert result.success, result.error
    assert sorted(result.outputs["pages"]) == ["site/beans.html", "site/water.html"]
    text = (example / "outputs/garden_search/report.md").read_text()
    assert "## Saving water in the garden" in text
    assert "| Beans    |           12 |   25 |" in text
    assert "Pruning roses" not in text


@of("web")
def test_web_online(example: Path, instance: DagsterInstance) -> None:
    """The site is served on this machine: without the permission of tools.py it is not reached."""
    pytest.importorskip("trafilatura", reason="the extra `web` is not installed")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory="site")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        refused = orc.compile("online.yaml").run(address=f"http://127.0.0.1:{port}", instance=instance)
        assert not refused.success
        assert refused.error is not None
        assert "private, local or reserved" in refused.error["message"]
        (example / "tools.py").write_text((example / "tools.py").read_text().replace("8000", str(port)))
        result = orc.compile("online.yaml").run(address=f"http://127.0.0.1:{port}", instance=instance)
        server.shutdown()
    assert result.success, result.error
    assert result.outputs["longest"] == "Growing beans in dry years"
    found = rows(example / "outputs/garden_online/pages.csv")
    assert [row["url"].rpartition("/")[2] for row in found] == ["beans.html", "water.html", "roses.html"]
    assert int(found[0]["words"]) > int(found[2]["words"]) > 20


@of("ui_tour")
def test_ui_tour(example: Path, instance: DagsterInstance) -> None:
    shutil.copytree(EXAMPLES.parent / "data", example / "data")
    complaint = orc.compile("sort_mail.yaml").run(instance=instance)
    question = orc.compile("sort_mail.yaml").run(mail="Where is your shop?", instance=instance)
    assert (complaint.outputs["escalated"], question.outputs["escalated"]) == (True, False)
    assert "handbook" in (example / "outputs/sort_mail/answer.md").read_text(encoding="utf-8")

    notes = orc.compile("document_notes.yaml").run(instance=instance)
    assert notes.outputs == {"documents": 9}
    assert len(list((example / "outputs/document_notes/notes").glob("*.md"))) == 9

    stock = orc.compile("stock_report.yaml")
    failed = stock.run(instance=instance)
    assert not failed.success
    assert failed.steps["terms"]["status"] == "completed"
    (example / "incoming").mkdir()
    (example / "incoming/stock.csv").write_text("article,pieces\nparasol,4\nawning,0\n", encoding="utf-8")
    assert stock.run(instance=instance).outputs == {"articles": 1}


@of("desk")
def test_desk(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert loaded(example / "local.py").main() == 0
    answer = "Dear Ana, you may keep the book for two more weeks. On Sunday we are open from ten to four."
    assert capsys.readouterr().out.splitlines()[-2:] == [f"letter 1: {answer}", f"letter 2: {answer}"]
    assert (example / "outputs/desk/answer.txt").read_text() == answer
    kept = json.loads(next((example / ".orchestrator/checkpoints/desk").glob("*2.json")).read_text())
    assert (kept["data"], kept["note"]) == ({"answered": 2}, "ana")


@of("media")
def test_media(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert loaded(example / "local.py").main() == 0
    said = "A pump stands in a garden. Water drips from it. The roses are dry"
    assert capsys.readouterr().out.splitlines()[-2:] == [f"heard: {said}", "calls: 5"]
    assert (example / "outputs/media/scene.png").read_bytes().startswith(b"\x89PNG")
    assert (example / "outputs/media/seen.txt").read_text() == said
