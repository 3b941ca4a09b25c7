"""Pages that are made by scripts: Chromium through Playwright, without a way to the network of its own.

Every request of the page is answered from here, through the same checks as those of other HTTP tools. The browser
itself resolves no name and has a proxy that does not exist, so what is not asked for here is not reached.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator_dagster.errors import OrchestratorError, SizeLimitError, StepTimeoutError, ToolError
from orchestrator_dagster.tools.network.fetching import Fetched, Request, checked_url, fetch, shown
from orchestrator_dagster.tools.settings import ToolSettings
from orchestrator_dagster.tools.tool import require

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, Page, Route

MOST_REQUESTS = 500
_IDLE = 5.0  # seconds that a page may go on loading after it is there
_LEFT_OUT = frozenset(("image", "media", "font"))  # nothing of theirs is text
_OWN = frozenset(("content-encoding", "content-length", "transfer-encoding", "connection", "set-cookie"))
_NOT_SENT = frozenset(("host", "connection", "content-length", "accept-encoding"))
_PLACES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
_ARGUMENTS = (
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--proxy-server=http://nowhere.invalid:9",
    "--proxy-bypass-list=<-loopback>",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--disable-quic",
    "--dns-prefetch-disable",
)


@dataclass(frozen=True)
class Rendered:
    """A page as its scripts have left it: where it came from, its status, its markup, and a picture when asked for."""

    url: str
    status: int
    markup: str
    picture: bytes | None


async def render(
    settings: ToolSettings,
    request: Request,
    profile: Path,
    *,
    wait_for: str | None = None,
    picture: bool = False,
    whole: bool = True,
) -> Rendered:
    """Load a page, let its scripts work, and take what they have made.

    Args:
        settings: Which hosts may be reached.
        request: The page; its limits of size hold for each answer and, ten times, for all; its time is that of all.
        profile: An empty folder for the browser's files.
        wait_for: A CSS selector that must be there.
        picture: Whether to take a picture.
        whole: Whether the picture is of the whole page, or of what a window shows.

    Raises:
        MissingExtraError: The extra ``browser`` is not installed.
        StepTimeoutError: It took longer than its time.
        ToolError: There is no browser, or the page cannot be reached.
    """
    require("playwright", "browser", "headless_browser")
    url = checked_url(request.url)
    try:
        return await asyncio.wait_for(_render(settings, request, profile, wait_for, picture, whole), request.timeout)
    except asyncio.TimeoutError:
        raise StepTimeoutError(
            f"{shown(url)} was not ready within {request.timeout:g} seconds", hint="raise `timeout`, or try again later"
        ) from None


async def _render(
    settings: ToolSettings, request: Request, profile: Path, wait_for: str | None, picture: bool, whole: bool
) -> Rendered:
    from playwright.async_api import Error, async_playwright

    first = await fetch(settings, request)
    if first.status >= 400:
        return Rendered(first.url, first.status, "", None)
    if not first.is_markup:
        raise ToolError(f"{shown(checked_url(first.url))} is {first.kind or 'no HTML'}, not a page", permanent=True)
    async with async_playwright() as playwright:
        context = await _launch(playwright, profile)
        try:
            answers = _Answers(settings, request, first, picture)
            await answers.listen(context)
            page = await context.new_page()
            await page.goto(first.url, wait_until="load", timeout=0)
            if wait_for is not None:
                await page.wait_for_selector(wait_for, state="attached", timeout=0)
            await _idle(page)
            markup = await page.content()
            taken = await page.screenshot(full_page=whole, timeout=0) if picture else None
            return Rendered(first.url, first.status, _checked(markup, request, first.url), taken)
        except Error as error:
            said = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ToolError(f"{shown(checked_url(first.url))}: the browser cannot show it: {said}") from None
        finally:
            with contextlib.suppress(Error):
                await context.close()


def _checked(markup: str, request: Request, url: str) -> str:
    if len(markup) > request.max_bytes:
        raise SizeLimitError(
            f"{shown(checked_url(url))} has become larger than {request.max_bytes:,} bytes", hint="raise `max_bytes`"
        )
    return markup


async def _launch(playwright: Any, profile: Path) -> BrowserContext:
    """A browser that knows nothing yet: the one that Playwright has installed, else that of the system."""
    from playwright.async_api import Error

    kind = playwright.chromium
    own = os.path.exists(kind.executable_path)  # noqa: PTH110
    found = None if own else next(filter(None, map(shutil.which, _PLACES)), None)
    if not own and found is None:
        raise ToolError(
            "there is no Chromium that the browser tool can use",
            hint="playwright install chromium, or install the chromium of your system",
            permanent=True,
        )
    # Chromium's own sandbox cannot be used by root.
    sandbox = not (hasattr(os, "geteuid") and os.geteuid() == 0)
    try:
        context: BrowserContext = await kind.launch_persistent_context(
            profile,
            executable_path=found,
            args=list(_ARGUMENTS),
            chromium_sandbox=sandbox,
            headless=True,
            accept_downloads=False,
            service_workers="block",
            locale="en-US",
        )
        return context
    except Error as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise ToolError(f"Chromium cannot be started: {lines[0] if lines else error}", permanent=True) from None


async def _idle(page: Page) -> None:
    """Wait until the page asks for nothing more, but not for one that never stops."""
    from playwright.async_api import Error

    with contextlib.suppress(Error):
        await page.wait_for_load_state("networkidle", timeout=_IDLE * 1000)


class _Answers:
    """Answers what the pages of a browser ask for."""

    def __init__(self, settings: ToolSettings, request: Request, first: Fetched, picture: bool) -> None:
        self._settings, self._request, self._picture = settings, request, picture
        self._first: Fetched | None = first
        self._count, self._bytes = 0, len(first.data)

    async def listen(self, context: BrowserContext) -> None:
        """Answer every request of a context; sockets are closed."""
        await context.route("**/*", self._answer)
        await context.route_web_socket("**/*", lambda socket: socket.close())

    async def _answer(self, route: Route) -> None:
        from playwright.async_api import Error

        with contextlib.suppress(Error):  # the page has gone on
            got = await self._got(route)
            if got is None:
                await route.abort("blockedbyclient")
                return
            headers = {name: text for name, text in got.headers.items() if name not in _OWN}
            await route.fulfill(status=got.status, headers=headers, body=got.data)

    async def _got(self, route: Route) -> Fetched | None:
        """The answer to a request; None for what is not to be asked for, or has none."""
        asked = route.request
        if self._first is not None and asked.url == self._first.url and asked.is_navigation_request():
            got, self._first = self._first, None
            return got
        self._count += 1
        over = self._count > MOST_REQUESTS or self._bytes > 10 * self._request.max_bytes
        if over or (asked.resource_type in _LEFT_OUT and not self._picture):
            return None
        headers = {name: text for name, text in (await asked.all_headers()).items() if name not in _NOT_SENT}
        try:
            got = await fetch(
                self._settings,
                Request(
                    asked.url,
                    method=asked.method,
                    headers={name: text for name, text in headers.items() if not name.startswith(":")},
                    content=asked.post_data_buffer,
                    max_bytes=self._request.max_bytes,
                    timeout=self._request.timeout,
                ),
            )
        except OrchestratorError:
            return None
        self._bytes += len(got.data)
        return got
