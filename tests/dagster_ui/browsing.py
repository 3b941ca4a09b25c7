"""A page of headless Chromium on the Dagster UI, used as a person does: by what is written on it."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
        """Follow the link with this text, which leads to another page.

        Not by its accessible name: Dagster's icons are a part of it, and that of Jobs is called ``column_lineage``.
        """
        from playwright.sync_api import expect

        here = self.page.url
        self.page.locator(f'a:text-is("{name}"), a :text-is("{name}")').filter(visible=True).first.click()
        expect(self.page).not_to_have_url(here, timeout=PATIENCE)

    def job(self, name: str) -> None:
        """Open the page of a job."""
        self.follow("Jobs")
        self.follow(name)

    def pick(self, name: str) -> None:
        """Press an asset of the graph."""
        self.see("Materialize")
        self.still()
        self.page.get_by_text(name, exact=True).filter(visible=True).first.click()

    def choose(self, item: str, open_menu: Callable[[], None] | None = None) -> None:
        """Choose an item of a menu, by default that of the first arrow; open it again when the page has closed it."""
        from playwright.sync_api import TimeoutError

        for _ in range(6):
            self.still()
            (open_menu or self.arrow)()
            with suppress(TimeoutError):
                self.page.get_by_text(item).click(timeout=PATIENCE / 6)
                return
            self.page.keyboard.press("Escape")
        raise AssertionError(f"{self.page.url}: no menu with {item!r} stays open")

    def arrow(self) -> None:
        """Press the arrow beside the first button that has one."""
        self.icon("arrow_drop_down")

    def switch(self) -> None:
        """Press the switch of a schedule or sensor."""
        self.page.locator("label:has(input[type=checkbox])").first.click()

    def tick(self, text: str) -> None:
        """Open the result of a sensor's latest tick, until it says this: the tick that has a change served is before.

        By its row of the list: a tick that is being evaluated has no result yet, neither there nor above the list.
        """
        from playwright.sync_api import TimeoutError

        said = "0 runs requested"
        for _ in range(20):
            row = self.page.locator("tr", has_text=said).filter(has_text="View logs").first
            row.get_by_text(said).last.click()  # its status, then its result
            with suppress(TimeoutError):
                self.page.get_by_text(text).filter(visible=True).first.wait_for(timeout=6_000)
                return
            close = self.page.get_by_role("button", name="Close").filter(visible=True)
            if close.count():
                close.last.click()
            self.still()
        raise AssertionError(f"{self.page.url}: no tick came to say {text!r}")

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

    def scaffold(self, name: str, value: str) -> None:
        """Have the launchpad write what is missing, and give it a value."""
        self.press("Scaffold missing config")
        self.see("Missing paths:")
        self.press("Confirm")
        self.gone("Missing paths:")
        self.fill(name, value)

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
