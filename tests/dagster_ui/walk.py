"""A person's walk through the Dagster UI, in a real browser on a real ``orchestrator dev``.

It does what ``docs/guides/ui.md`` tells its reader to do, in the same order, takes the guide's pictures, and fails where
a text that the guide names is not on the page. By hand::

    python tests/dagster_ui/walk.py docs/images/ui
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync"
).split()
WIDTH, HEIGHT = 1280, 800
#: How long a page may take on a busy machine, in milliseconds: a bound, no expectation.
PATIENCE = 90_000


def browser_path() -> str | None:
    """Where Chromium is on this machine, None when it is not there."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


@contextmanager
def browser_page() -> Iterator[Any]:
    """A page of headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=ARGUMENTS)
        try:
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
            page.set_default_timeout(PATIENCE)
            yield page
        finally:
            browser.close()


@dataclass
class Walk:
    """One walk: the page, the address of the UI, the project that it serves, where pictures go."""

    page: Any
    url: str
    project: Path
    pictures: Path

    def go(self, path: str) -> None:
        self.page.goto(self.url + path)

    def see(self, *texts: str) -> None:
        """Wait until each text is on the page."""
        for text in texts:
            self.page.get_by_text(text).filter(visible=True).first.wait_for()

    def gone(self, text: str) -> None:
        """Wait until a text is not on the page any more, and nothing moves: a dialog gives the focus back as it goes."""
        self.page.get_by_text(text).first.wait_for(state="hidden")
        self.still()

    def press(self, name: str, role: str = "button") -> None:
        """Press the button with this name, of several the last one: that of the dialog in front."""
        named = re.compile(rf"(^|\s){re.escape(name)}$")  # some have the name of an icon before it
        self.page.get_by_role(role, name=named).filter(visible=True).last.click()

    def follow(self, name: str) -> None:
        """Follow the link with this text; press it again where the page did not change."""
        from playwright.sync_api import TimeoutError

        here = self.page.url
        for _ in range(6):
            self.page.get_by_role("link", name=name).filter(visible=True).first.click()
            with suppress(TimeoutError):
                self.page.wait_for_url(lambda url: url != here, timeout=5_000)
                return
        raise AssertionError(f"{here}: the link {name!r} leads nowhere")

    def view(self) -> None:
        """Open the run that a message at the bottom says was launched."""
        self.see("Launched run")
        self.page.get_by_text("View", exact=True).filter(visible=True).last.click()
        self.rest()

    def picture(self, name: str, *texts: str, height: int = HEIGHT) -> None:
        """Take a picture of what the reader sees, with these texts on it; of the upper part where less will do."""
        self.see(*texts)
        self.still()
        part = {"x": 0, "y": 0, "width": WIDTH, "height": height}
        data = small(self.page.screenshot(animations="disabled", clip=part))
        (self.pictures / f"{name}.png").write_bytes(data)

    def until(self, path: str, text: str, without: str = "") -> None:
        """Look at a page again and again until a text is there, or another is not: the sensor takes some ticks."""
        from playwright.sync_api import TimeoutError

        for _ in range(20):
            self.go(path)
            with suppress(TimeoutError):
                self.page.get_by_text(text).first.wait_for(timeout=6_000)
                if not without or not self.page.get_by_text(without).count():
                    return
        raise AssertionError(f"{path} did not come to say {text!r}{f' without {without!r}' if without else ''}")

    def fill(self, name: str, value: str) -> None:
        """Give an input of the launchpad a value: type it over what stands behind its name."""
        line = self.page.locator(".CodeMirror-line", has_text=re.compile(rf"^\s*{name}:")).filter(visible=True).first
        line.click()
        self.page.keyboard.press("End")
        before = line.inner_text()
        for _ in before[before.index(":") + 1 :].strip():
            self.page.keyboard.press("Backspace")
        self.page.keyboard.insert_text(value)

    def filter(self, text: str) -> None:
        """Have the events of a run filtered."""
        self.page.get_by_placeholder("Filter…").fill(text)
        self.page.keyboard.press("Enter")

    def ended(self, how: str) -> None:
        """Wait on a run's page until it has ended, and its message of the start is gone."""
        self.rest()
        self.page.wait_for_url(re.compile("/runs/[0-9a-f]"))
        self.page.get_by_text(how, exact=True).first.wait_for()
        self.page.get_by_text("Launched run").wait_for(state="hidden")

    def gantt(self, name: str, *texts: str, icon: str = "gantt_flat") -> None:
        """Take a picture of the steps alone: the arrows above them hide the events, the icon arranges them."""
        self.page.reload()
        self.icon(icon)
        self.icon("expand_arrows")
        self.rest()
        self.picture(name, *texts)
        self.icon("expand_arrows")

    def rest(self) -> None:
        """Put the mouse where nothing is: what is below it shows more of itself, and messages stay."""
        self.page.mouse.move(110, 450)

    def icon(self, name: str) -> None:
        """Press the first button with this icon."""
        self.page.locator(f"button:has([aria-label={name}])").filter(visible=True).first.click()

    def still(self) -> None:
        """Wait until the text of the page is at rest, or for some seconds where a clock goes on."""
        from playwright.sync_api import TimeoutError

        with suppress(TimeoutError):
            self.page.wait_for_function(
                """() => { const text = document.body.innerText; const now = Date.now();
                if (window.lastText !== text || /Loading|fetching/.test(text)) { window.lastText = text; window.since = now; }
                return now - window.since > 700; }""",
                polling=100,
                timeout=6_000,
            )


def small(png: bytes) -> bytes:
    """The picture with 128 colours, which is enough for a page of text."""
    from PIL import Image

    out = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(128, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()


def prepare(folder: Path) -> None:
    """What the guide tells its reader to do first: the pipelines of the tour beside the main one."""
    folder.mkdir(exist_ok=True)
    shutil.copytree(REPOSITORY / "data", folder / "data")
    shutil.copytree(REPOSITORY / "pipelines", folder / "pipelines")
    shutil.copy(REPOSITORY / "workspace.yaml", folder)
    for file in (REPOSITORY / "examples" / "ui_tour").glob("*.yaml"):
        shutil.copy(file, folder / "pipelines")


def jobs(walk: Walk) -> None:
    walk.go("/jobs")
    walk.picture("jobs", "document_notes_job", "research_report_job", "sort_mail_job", "stock_report_job")


def launch(walk: Walk) -> None:
    walk.go("/jobs")
    walk.follow("research_report_job")
    walk.picture("job", "Structural description", "write a sourced report about a topic", "Show more")
    walk.press("Materialize all")
    walk.press("Scaffold missing config")
    walk.see("Missing paths:")
    walk.press("Confirm")
    walk.gone("Missing paths:")
    walk.fill("topic", "shade and surface temperature")
    walk.picture("launchpad", "What the report is about", "No errors", "max_findings")
    walk.press("Materialize")
    walk.ended("Success")
    walk.gantt("run", "Succeeded (12)", icon="timer")


def lineage(walk: Walk) -> None:
    walk.go("/jobs")
    walk.see("research_report_job")
    walk.see("Lineage")
    walk.go("/asset-groups")  # where that link leads
    walk.see("Global asset lineage", "research_report", "sort_mail")
    walk.picture("lineage_all")
    walk.go("/locations/pipelines/asset-groups/research_report")
    walk.picture("lineage", "findings", "surface_table", "report", "page", "run", "Materialized")


def product(walk: Walk) -> None:
    page = walk.page
    walk.go("/assets/research_report/findings")
    walk.picture("product", "Findings about the topic, each with its source", "quote", "Open research_", "Row count")
    page.get_by_text("orchestrator/model_seconds", exact=True).first.scroll_into_view_if_needed()
    walk.picture("product_metadata", "orchestrator/model", "orchestrator/path")
    walk.press("Checks", "tab")
    walk.press("Execute all")
    page.get_by_text("Succeeded", exact=True).nth(1).wait_for()
    walk.picture("checks", "sound", "unchanged", "Passed")


def alone(walk: Walk) -> None:
    page = walk.page
    walk.go("/locations/pipelines/jobs/research_report_job")
    page.get_by_text("surface_table", exact=True).first.click()
    walk.picture("select", "Materialize selected", "Mean temperatures at 14:00 by surface and tree cover")
    walk.press("Materialize selected")
    walk.press("Scaffold missing config")
    walk.press("Confirm")
    walk.gone("Missing paths:")
    walk.fill("topic", "shade and surface temperature")
    walk.see("No errors")
    walk.press("Materialize")
    walk.ended("Success")
    walk.gantt("alone", "research_report.make_table", "Succeeded (5)")


def figures(walk: Walk) -> None:
    walk.go("/assets/research_report/run")
    walk.see("its outputs, and the record of every step", "orchestrator/model_calls")
    walk.page.get_by_text("orchestrator/model_calls", exact=True).first.scroll_into_view_if_needed()
    walk.picture("record", "orchestrator/steps")
    walk.press("Plots")
    walk.page.get_by_text("orchestrator/seconds", exact=True).first.scroll_into_view_if_needed()
    walk.picture("plots", "orchestrator/seconds")


def routed(walk: Walk) -> None:
    page = walk.page
    walk.go("/locations/pipelines/jobs/sort_mail_job")
    walk.see("hands a complaint to a person")
    walk.icon("arrow_drop_down")
    page.get_by_text("Open launchpad").click()
    walk.see("Launchpad (configure assets)")
    walk.fill("mail", "Where is your shop?")
    walk.picture("launchpad_routed")
    walk.press("Materialize")
    walk.ended("Success")
    walk.gantt("routed", "sort_mail.escalate.run[?]", "Succeeded (8)")
    walk.filter("skipped because")
    walk.picture("routed_reason", "skipped because")


def loop(walk: Walk) -> None:
    walk.go("/locations/pipelines/jobs/document_notes_job")
    walk.press("Materialize all")
    walk.view()
    walk.ended("Success")
    walk.gantt("loop", "document_notes.inputs", "Succeeded (9)")


def failed(walk: Walk) -> None:
    page = walk.page
    walk.go("/locations/pipelines/jobs/stock_report_job")
    walk.press("Materialize all")
    walk.view()
    walk.ended("Failure")
    walk.gantt("failed", "stock_report.load_stock")
    walk.filter("type:STEP_FAILURE")
    page.get_by_text("View full message").filter(visible=True).first.click()
    walk.picture("error", "there is no file", "orchestrator/resume", height=364)  # Dagster's own stack is below
    walk.press("Done")
    walk.still()
    table = walk.project / "incoming" / "stock.csv"
    table.parent.mkdir(exist_ok=True)
    table.write_text("article,pieces\nparasol,4\nawning,0\nlamp,12\n")
    walk.icon("arrow_drop_down")
    page.get_by_text("From failure").click()
    walk.ended("Success")
    walk.gantt("resumed", "stock_report.write_report")


def automation(walk: Walk) -> None:
    page = walk.page
    walk.go("/jobs")
    walk.follow("Automation")
    walk.picture("automation", "stock_report_schedule", "recompile_pipelines", "stock_report_trigger")
    walk.follow("stock_report_schedule")
    walk.see("Stock report: 0 6 * * 1-5 (Europe/Berlin)", "Schedule has never run")
    page.locator("label:has(input[type=checkbox])").first.click()
    walk.picture("schedule", "Next tick")
    page.locator("label:has(input[type=checkbox])").first.click()
    walk.gone("Next tick")
    walk.follow("Automation")
    walk.follow("recompile_pipelines")
    walk.picture("sensor", "Serves the pipeline files of pipelines/", "Latest tick")


def stale(walk: Walk) -> None:
    file = walk.project / "pipelines" / "sort_mail.yaml"
    right = file.read_text(encoding="utf-8")
    file.write_text(right.replace("on_false: standard_reply", "on_false: standard_repli"), encoding="utf-8")
    walk.until("/assets/sort_mail/answer", "this is its last version without any")
    walk.picture("stale", "Stale:", "standard_repli", "orchestrator/stale")
    walk.go("/locations/pipelines/sensors/recompile_pipelines")
    walk.page.get_by_text("0 runs requested").nth(2).click()  # the state, then the latest tick's status and result
    walk.picture("tick", "stale, with errors")
    file.write_text(right, encoding="utf-8")
    walk.until("/assets/sort_mail/answer", "The answer, or the note for a person", without="Stale:")


STEPS = {
    one.__name__: one
    for one in (jobs, launch, lineage, product, alone, figures, routed, loop, failed, automation, stale)
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
        project = Path(folder) / "project"
        prepare(project)
        with dagster_dev(project, Path(folder), command=("orchestrator_dagster.cli", "dev")) as dev:
            take(dev.url, project, pictures)


if __name__ == "__main__":
    main()
