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
PATIENCE = 20_000


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

    def picture(self, name: str, *texts: str) -> None:
        """Take a picture of what the reader sees, with these texts on it."""
        self.see(*texts)
        self.still()
        data = small(self.page.screenshot(animations="disabled"))
        (self.pictures / f"{name}.png").write_bytes(data)

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
        self.page.wait_for_url(re.compile("/runs/[0-9a-f]"))
        self.page.get_by_text(how, exact=True).first.wait_for()
        self.page.get_by_text("Launched run").wait_for(state="hidden")

    def gantt(self, name: str, *texts: str) -> None:
        """Take a picture of the steps alone: the arrows above them hide the events."""
        arrows = self.page.locator("button:has([aria-label=expand_arrows])").filter(visible=True)
        arrows.first.click()
        self.picture(name, *texts)
        arrows.first.click()

    def still(self) -> None:
        """Wait until the text of the page is at rest, or for some seconds where a clock goes on."""
        from playwright.sync_api import TimeoutError

        with suppress(TimeoutError):
            self.page.wait_for_function(
                """() => { const text = document.body.innerText; const now = Date.now();
                if (window.lastText !== text || text.includes("Loading")) { window.lastText = text; window.since = now; }
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
    walk.press("research_report_job", "link")
    walk.picture("job", "Write a sourced report about a topic", "Extract findings", "Materialize all")
    walk.press("Materialize all")
    walk.press("Scaffold missing config")
    walk.see("Missing paths:")
    walk.press("Confirm")
    walk.gone("Missing paths:")
    walk.fill("topic", "shade and surface temperature")
    walk.picture("launchpad", "What the report is about", "No errors", "max_findings")
    walk.press("Materialize")
    walk.ended("Success")
    walk.gantt("run", "research_report.extract_findings", "Succeeded")


def lineage(walk: Walk) -> None:
    walk.go("/jobs")
    walk.press("Lineage", "link")
    walk.see("Global asset lineage", "research_report", "sort_mail")
    walk.picture("lineage_all")
    walk.go("/locations/pipelines/asset-groups/research_report")
    walk.picture("lineage", "findings", "surface_table", "report", "page", "run", "Materialized")


def product(walk: Walk) -> None:
    page = walk.page
    walk.go("/assets/research_report/findings")
    walk.picture("product", "Findings about the topic, each with its source", "quote", "Open research_", "Row count")
    page.get_by_text("Filter metadata keys").or_(
        page.get_by_placeholder("Filter metadata keys")
    ).first.scroll_into_view_if_needed()
    page.get_by_text("orchestrator/sha256").first.scroll_into_view_if_needed()
    walk.picture("product_metadata", "orchestrator/model", "orchestrator/path")
    walk.press("Checks", "tab")
    walk.press("Execute all")
    walk.picture("checks", "sound", "unchanged")


def alone(walk: Walk) -> None:
    walk.go("/assets/research_report/surface_table")
    walk.press("Materialize")
    walk.see("Launchpad (configure assets)")
    walk.picture("alone")


def routed(walk: Walk) -> None:
    page = walk.page
    walk.go("/locations/pipelines/jobs/sort_mail_job")
    walk.see("Hands a complaint to a person")
    page.locator("button:has([aria-label=arrow_drop_down])").filter(visible=True).first.click()
    page.get_by_text("Open launchpad").click()
    walk.see("Launchpad (configure assets)")
    walk.fill("mail", "Where is your shop?")
    walk.picture("launchpad_routed")
    walk.press("Materialize")
    walk.ended("Success")
    walk.gantt("routed", "sort_mail.standard_reply.run")
    walk.filter("skipped because")
    walk.picture("routed_reason", "skipped because")


def loop(walk: Walk) -> None:
    walk.go("/locations/pipelines/jobs/document_notes_job")
    walk.press("Materialize all")
    walk.press("View")
    walk.ended("Success")
    walk.gantt("loop", "document_notes.each_document.run")


def failed(walk: Walk) -> None:
    page = walk.page
    walk.go("/locations/pipelines/jobs/stock_report_job")
    walk.press("Materialize all")
    walk.press("View")
    walk.ended("Failure")
    walk.gantt("failed", "stock_report.load_stock")
    walk.filter("type:STEP_FAILURE")
    page.get_by_text("View full message").filter(visible=True).first.click()
    walk.picture("error", "there is no file", "orchestrator/resume")
    walk.press("Done")
    table = walk.project / "incoming" / "stock.csv"
    table.parent.mkdir(exist_ok=True)
    table.write_text("article,pieces\nparasol,4\nawning,0\nlamp,12\n")
    page.locator("button:has([aria-label=arrow_drop_down])").filter(visible=True).first.click()
    walk.picture("resume", "From failure")
    page.get_by_text("From failure").click()
    walk.ended("Success")
    walk.gantt("resumed", "stock_report.write_report")


def automation(walk: Walk) -> None:
    page = walk.page
    walk.go("/automation")
    walk.see("stock_report_schedule", "recompile_pipelines", "stock_report_trigger")
    page.get_by_role("switch").or_(page.locator("input[type=checkbox]")).nth(4)
    walk.picture("automation")
    walk.press("recompile_pipelines", "link")
    walk.picture("ticks", "pipelines are served")


STEPS = {one.__name__: one for one in (jobs, launch, lineage, product, alone, routed, loop, failed, automation)}


def main() -> None:
    """Take the pictures into the folder that the command names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--url")
    parser.add_argument("--only", nargs="*")
    found = parser.parse_args()
    with browser_page() as page:
        walk = Walk(page, found.url, Path("/tmp/uix/p"), found.pictures)
        try:
            for name in found.only or STEPS:
                STEPS[name](walk)
        finally:
            page.screenshot(path="/tmp/uix/last.png")
            print(page.url)


if __name__ == "__main__":
    main()
