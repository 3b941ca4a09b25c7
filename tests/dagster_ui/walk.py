"""A person's walk through the Dagster UI, in a real browser on a real ``orchestrator dev``.

It does what ``docs/guides/ui.md`` tells its reader to do, in the same order, takes the guide's pictures, and fails where
a text that the guide names is not on the page. By hand::

    python tests/dagster_ui/walk.py docs/images/ui
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from browsing import Walk, browser_page

REPOSITORY = Path(__file__).resolve().parents[2]
#: What of the repository the guide's commands work with.
NEEDED = ("Makefile", "pyproject.toml", "workspace.yaml", "constraints", "data", "pipelines", "examples/ui_tour")
STOCK = "article,pieces\nparasol,4\nawning,0\nlamp,12\n"
TOPIC = "shade and surface temperature"


def prepare(folder: Path) -> None:
    """What the guide tells its reader to do first, in a copy of the repository: run the demo, copy the tour."""
    for name in NEEDED:
        source, target = REPOSITORY / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy2(source, target)
    installed = ["--old-file", f"{sys.prefix}/.runs", f"VENV={sys.prefix}"]  # in the environment of this process
    subprocess.run(["make", *installed, "demo"], cwd=folder, env=environment(), check=True)
    for file in (folder / "examples" / "ui_tour").glob("*.yaml"):
        shutil.copy(file, folder / "pipelines")


def environment() -> dict[str, str]:
    """Of a shell in which the package is installed and nothing is set."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**{name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}, "PATH": path}


def jobs(walk: Walk) -> None:
    walk.go("/")
    walk.follow("Jobs")
    walk.picture("jobs", "document_notes_job", "research_report_job", "sort_mail_job", "stock_report_job")


def launch(walk: Walk) -> None:
    walk.follow("research_report_job")
    walk.picture("job", "Structural description", "write a sourced report about a topic", "Show more")
    walk.press("Show more")
    walk.see("Show less")
    walk.press("Materialize all")
    walk.scaffold("topic", TOPIC)
    walk.picture("launchpad", "What the report is about", "No errors", "max_findings")
    walk.press("Materialize")
    walk.ended("Success")
    walk.gantt("run", "Succeeded (12)", icon="timer")


def lineage(walk: Walk) -> None:
    walk.follow("Lineage")
    walk.picture("lineage_all", "Global asset lineage", "research_report", "sort_mail")
    group = walk.page.get_by_text("research_report", exact=True).filter(visible=True).last
    walk.choose("Filter to this group", lambda: group.click(button="right"))
    walk.gone("document_notes")
    walk.icon("zoom_in")
    walk.picture("lineage", "findings", "surface_table", "report", "page", "run", "Materialized")


def product(walk: Walk) -> None:
    page = walk.page
    walk.pick("findings")
    walk.follow("View in Asset Catalog")
    walk.picture("product", "Findings about the topic, each with its source", "quote", "Open research_", "Row count")
    opens = page.get_by_role("link").filter(has_text="Open research_").first.get_attribute("href")
    file, line = re.fullmatch(r"vscode://file/(.+\.yaml):(\d+)", opens or "").groups()  # type: ignore[union-attr]
    assert "findings" in Path(file).read_text(encoding="utf-8").splitlines()[int(line) - 1]
    page.get_by_text("orchestrator/model_seconds", exact=True).first.scroll_into_view_if_needed()
    walk.picture("product_metadata", "orchestrator/model", "orchestrator/path")
    walk.press("Checks", "tab")
    walk.press("Execute all")
    page.get_by_text("Succeeded", exact=True).nth(1).wait_for()
    walk.picture("checks", "sound", "unchanged", "Passed")


def figures(walk: Walk) -> None:
    walk.follow("research_report")
    walk.follow("run")
    walk.see("its outputs, and the record of every step", "orchestrator/model_calls")
    walk.page.get_by_text("orchestrator/model_calls", exact=True).first.scroll_into_view_if_needed()
    walk.picture("record", "orchestrator/steps")
    walk.press("Plots")
    walk.page.get_by_text("orchestrator/seconds", exact=True).first.scroll_into_view_if_needed()
    walk.picture("plots", "orchestrator/seconds")


def alone(walk: Walk) -> None:
    walk.job("research_report_job")
    walk.pick("surface_table")
    walk.picture("select", "Materialize selected", "Mean temperatures at 14:00 by surface and tree cover")
    walk.press("Materialize selected")
    walk.scaffold("topic", TOPIC)
    walk.see("No errors")
    walk.press("Materialize")
    walk.ended("Success")
    walk.gantt("alone", "research_report.make_table", "Succeeded (5)")
    walk.job("research_report_job")
    walk.pick("surface_table")
    walk.follow("View in Asset Catalog")
    walk.press("Materialize")
    walk.scaffold("topic", TOPIC)
    walk.picture("launchpad_asset", "No errors", "resources:")
    walk.press("Materialize")
    walk.ended("Success")
    walk.filter("make_table")
    walk.see('Finished execution of step "research_report.make_table"')


def routed(walk: Walk) -> None:
    walk.job("sort_mail_job")
    walk.see("hands a complaint to a person")
    walk.choose("Open launchpad")
    walk.see("Launchpad (configure assets)")
    walk.fill("mail", "Where is your shop?")
    walk.picture("launchpad_routed")
    walk.press("Materialize")
    walk.ended("Success")
    walk.gantt("routed", "sort_mail.escalate.run[?]", "Succeeded (8)")
    walk.filter("skipped because")
    walk.picture("routed_reason", "skipped because")


def loop(walk: Walk) -> None:
    walk.job("document_notes_job")
    walk.press("Materialize all")
    walk.view()
    walk.ended("Success")
    walk.gantt("loop", "document_notes.inputs", "Succeeded (9)")


def failed(walk: Walk) -> None:
    page, table = walk.page, walk.project / "incoming" / "stock.csv"
    _fail(walk)
    walk.gantt("failed", "stock_report.load_stock", "stock_report.terms")
    _error(walk)
    walk.picture("error", "there is no file", "orchestrator/resume", height=364)  # Dagster's own stack is below
    walk.press("Done")
    walk.still()
    table.parent.mkdir()
    table.write_text(STOCK)
    walk.choose("From failure")
    walk.ended("Success")
    walk.gantt("resumed", "stock_report.write_report")
    assert not page.get_by_text("stock_report.terms").count()
    table.unlink()  # once more, to go on by the command
    _fail(walk)
    _error(walk)
    command = page.get_by_text(re.compile("^orchestrator resume ")).filter(visible=True).first.inner_text()
    table.write_text(STOCK)
    options = {"cwd": walk.project, "env": environment(), "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    said = subprocess.run(shlex.split(command), text=True, timeout=120, **options)
    assert said.returncode == 0, said.stdout
    assert "wrote outputs/stock_report/stock.md" in said.stdout, said.stdout
    assert "terms: started" not in said.stdout, said.stdout
    walk.press("Done")


def _fail(walk: Walk) -> None:
    walk.job("stock_report_job")
    walk.press("Materialize all")
    walk.view()
    walk.ended("Failure")


def _error(walk: Walk) -> None:
    walk.filter("type:STEP_FAILURE")
    walk.page.get_by_text("View full message").filter(visible=True).first.click()
    walk.see("there is no file")


def automation(walk: Walk) -> None:
    walk.follow("Automation")
    walk.picture("automation", "stock_report_schedule", "recompile_pipelines", "stock_report_trigger")
    walk.follow("stock_report_schedule")
    walk.see("Stock report: 0 6 * * 1-5 (Europe/Berlin)", "Schedule has never run")
    walk.switch()
    walk.picture("schedule", "Next tick")
    walk.switch()
    walk.gone("Next tick")
    walk.follow("Automation")
    walk.follow("stock_report_trigger")
    walk.switch()
    walk.page.get_by_text("1 run requested").nth(1).wait_for()  # above, and in the list of ticks
    walk.picture("trigger", "Stock report: files incoming/*.csv")


def sensor(walk: Walk) -> None:
    walk.follow("Automation")
    walk.follow("recompile_pipelines")
    walk.picture("sensor", "Serves the pipeline files of pipelines/", "Latest tick")


def stale(walk: Walk) -> None:
    file = walk.project / "pipelines" / "sort_mail.yaml"
    right = file.read_text(encoding="utf-8")
    file.write_text(right.replace("on_false: standard_reply", "on_false: standard_repli"), encoding="utf-8")
    walk.until("/assets/sort_mail/answer", "this is its last version without any")
    walk.picture("stale", "Stale:", "standard_repli", "orchestrator/stale")
    walk.follow("Automation")
    walk.follow("recompile_pipelines")
    walk.tick("stale, with errors")
    walk.picture("tick", "stale, with errors")
    file.write_text(right, encoding="utf-8")
    walk.until("/assets/sort_mail/answer", "The answer, or the note for a person", without="Stale:")


STEPS = {
    one.__name__: one
    for one in (jobs, launch, lineage, product, figures, alone, routed, loop, failed, automation, sensor, stale)
}


def take(url: str, project: Path, pictures: Path) -> None:
    """The whole walk.

    Args:
        url: Where the UI is.
        project: The project that it serves, as :func:`prepare` has made it.
        pictures: Folder of the pictures.
    """
    pictures.mkdir(parents=True, exist_ok=True)
    with browser_page() as page:
        walk = Walk(page, url, project, pictures)
        for name, step in STEPS.items():
            try:
                step(walk)
            except Exception as error:
                page.screenshot(path=pictures / "failed_here.png")
                raise AssertionError(f"{name}: {page.url}: {error}") from error


def main() -> None:
    """Take the pictures into the folder that the command names, of a project and a UI of their own."""
    from live_dev import dagster_dev

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    pictures = parser.parse_args().pictures.absolute()
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "reports"
        prepare(project)
        with dagster_dev(project, Path(folder), command=("orchestrator_dagster.cli", "dev")) as dev:
            take(dev.url, project, pictures)


if __name__ == "__main__":
    main()
