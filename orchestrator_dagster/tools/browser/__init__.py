"""The tool ``headless-browser``: reads pages of the web, or HTML files of the workspace.

Without ``javascript`` a page is read as it was sent, which is fast and needs the extra ``web``. With it, Chromium runs
the page's scripts first (the extra ``browser``).
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AliasChoices, BaseModel, Field

from orchestrator_dagster.errors import HttpStatusError, ParametersError, ToolError
from orchestrator_dagster.files.workspace import MEGABYTE
from orchestrator_dagster.retry_after import retry_after
from orchestrator_dagster.tools.browser.chromium import render
from orchestrator_dagster.tools.browser.page import Link, Parsed, Table
from orchestrator_dagster.tools.coroutines import run_coroutine
from orchestrator_dagster.tools.network.decoding import decode
from orchestrator_dagster.tools.network.fetching import Request, checked_url, fetch, shown
from orchestrator_dagster.tools.private_folder import private_folder
from orchestrator_dagster.tools.tool import Tool, ToolContext

headless_browser = Tool("headless-browser", summary="Reads web pages: their main text, links and tables.")

_WORD = re.compile(r"\w+(?:['’]\w+)*")
_ACCEPT = {"accept": "text/html,application/xhtml+xml,text/plain;q=0.9,*/*;q=0.8"}

Url = Annotated[str | None, Field(description="http or https URL of the page.")]
File = Annotated[
    str | None,
    Field(description="HTML file of the workspace, instead of a URL.", validation_alias=AliasChoices("path", "file")),
]
JavaScript = Annotated[bool, Field(description="Whether Chromium runs the page's scripts first.")]
WaitFor = Annotated[
    str | None, Field(description="With `javascript`: a CSS selector to wait for until the page is taken.")
]
Timeout = Annotated[float, Field(gt=0, le=600, description="Seconds for all of it.")]
MaxBytes = Annotated[int, Field(ge=1, description="Most bytes of the page.")]
Headers = Annotated[dict[str, str] | None, Field(description="Further headers.")]


class PageResult(BaseModel):
    """A page. ``content`` is its main text as Markdown, ``text`` as plain text; ``word_count`` counts that.

    ``url`` is where it came from in the end, or the path of a file; ``status_code`` null for a file. ``html`` is only
    there when it was asked for.
    """

    url: str
    status_code: int | None
    success: bool
    title: str
    description: str
    author: str
    language: str | None
    content: str
    text: str
    word_count: int
    links: list[Link]
    tables: list[Table]
    html: str | None


class LinksResult(BaseModel):
    """The links of a page, each once, in its order."""

    url: str
    links: list[Link]
    count: int


class TablesResult(BaseModel):
    """The tables of a page, in its order."""

    url: str
    tables: list[Table]
    count: int


class PictureResult(BaseModel):
    """A picture of a page: a PNG file, its size in bytes."""

    url: str
    title: str
    path: str
    size: int


@headless_browser.action(
    "fetch",
    aliases=("execute", "extract", "extract_text", "scrape", "scrape_page", "read", "browse", "navigate"),
    default=True,
)
def fetch_page(
    context: ToolContext,
    url: Url = None,
    path: File = None,
    javascript: JavaScript = False,
    wait_for: WaitFor = None,
    include_html: Annotated[bool, Field(description="Whether the result has the page's whole HTML too.")] = False,
    headers: Headers = None,
    timeout: Timeout = 30.0,
    max_bytes: MaxBytes = 5 * MEGABYTE,
) -> PageResult:
    """Read a page: its main text, title, links and tables."""
    got = _page(context, url, path, javascript, wait_for, headers, timeout, max_bytes)
    if not got.is_markup:
        return _plain_page(got)
    page = Parsed(got.markup, got.base)
    content, text = page.main_text()
    return PageResult(
        url=got.url,
        status_code=got.status,
        success=True,
        title=page.title,
        description=page.meta("description", "og:description"),
        author=page.meta("author", "article:author"),
        language=page.language,
        content=content,
        text=text,
        word_count=len(_WORD.findall(text)),
        links=page.links(),
        tables=page.tables(),
        html=got.markup if include_html else None,
    )


@headless_browser.action("links", aliases=("extract_links", "get_links"))
def find_links(
    context: ToolContext,
    url: Url = None,
    path: File = None,
    contains: Annotated[
        str | None, Field(description="Only links whose URL or text has this, whatever its case.")
    ] = None,
    javascript: JavaScript = False,
    wait_for: WaitFor = None,
    headers: Headers = None,
    timeout: Timeout = 30.0,
    max_bytes: MaxBytes = 5 * MEGABYTE,
) -> LinksResult:
    """List the links of a page."""
    got = _page(context, url, path, javascript, wait_for, headers, timeout, max_bytes)
    found = Parsed(got.markup, got.base).links() if got.is_markup else []
    if contains:
        wanted = contains.casefold()
        found = [link for link in found if wanted in link.url.casefold() or wanted in link.text.casefold()]
    return LinksResult(url=got.url, links=found, count=len(found))


@headless_browser.action("tables", aliases=("extract_tables", "get_tables"))
def find_tables(
    context: ToolContext,
    url: Url = None,
    path: File = None,
    javascript: JavaScript = False,
    wait_for: WaitFor = None,
    headers: Headers = None,
    timeout: Timeout = 30.0,
    max_bytes: MaxBytes = 5 * MEGABYTE,
) -> TablesResult:
    """Read the tables of a page."""
    got = _page(context, url, path, javascript, wait_for, headers, timeout, max_bytes)
    found = Parsed(got.markup, got.base).tables() if got.is_markup else []
    return TablesResult(url=got.url, tables=found, count=len(found))


@headless_browser.action(aliases=("take_screenshot", "capture"))
def screenshot(
    context: ToolContext,
    url: Annotated[str, Field(description="http or https URL of the page.")],
    save_to: Annotated[
        str,
        Field(
            description="PNG file of the workspace.", validation_alias=AliasChoices("save_to", "path", "output_path")
        ),
    ],
    full_page: Annotated[bool, Field(description="Whether the whole page is in it, or what a window shows.")] = True,
    wait_for: WaitFor = None,
    headers: Headers = None,
    timeout: Timeout = 30.0,
    max_bytes: MaxBytes = 5 * MEGABYTE,
) -> PictureResult:
    """Take a picture of a page, its scripts run."""
    context.workspace.resolve(save_to)  # before anything is asked for
    request = Request(url, headers={**_ACCEPT, **(headers or {})}, timeout=timeout, max_bytes=max_bytes)
    with private_folder() as profile:
        work = render(context.settings, request, profile, wait_for=wait_for, picture=True, whole=full_page)
        done = run_coroutine("headless_browser.screenshot", work, context.timeout, context.interrupted)
    _check_status(done.url, done.status, {})
    assert done.picture is not None
    written = context.workspace.write(save_to, done.picture)
    return PictureResult(
        url=done.url,
        title=Parsed(done.markup, done.url).title,
        path=context.workspace.relative(written.path),
        size=written.bytes,
    )


class _Page(BaseModel):
    """A page as it came. ``base`` is where its links start, empty for a file."""

    url: str
    base: str
    status: int | None
    markup: str
    is_markup: bool


def _page(
    context: ToolContext,
    url: str | None,
    path: str | None,
    javascript: bool,
    wait_for: str | None,
    headers: dict[str, str] | None,
    timeout: float,
    max_bytes: int,
) -> _Page:
    if (url is None) == (path is None):
        raise ParametersError("headless_browser takes either `url` or `path`")
    if wait_for is not None and not javascript:
        raise ParametersError(
            "headless_browser: `wait_for` is for pages whose scripts run", hint="add `javascript: true`"
        )
    if path is not None:
        if javascript:
            raise ParametersError("headless_browser: `javascript` is for a `url`; a file is read as it is")
        text, _ = decode(context.workspace.read_bytes(path), markup=True)
        shown_path = context.workspace.relative(context.workspace.resolve(path))
        return _Page(url=shown_path, base="", status=None, markup=text, is_markup=True)
    request = Request(str(url), headers={**_ACCEPT, **(headers or {})}, timeout=timeout, max_bytes=max_bytes)
    name = "headless_browser"
    if javascript:
        with private_folder() as profile:
            work = render(context.settings, request, profile, wait_for=wait_for)
            done = run_coroutine(name, work, context.timeout, context.interrupted)
        _check_status(done.url, done.status, {})
        return _Page(url=done.url, base=done.url, status=done.status, markup=done.markup, is_markup=True)
    got = run_coroutine(name, fetch(context.settings, request), context.timeout, context.interrupted)
    context.log(f"GET {shown(checked_url(got.url))}: {got.status}, {len(got.data):,} bytes in {got.seconds:.2f} s")
    _check_status(got.url, got.status, got.headers)
    if not got.is_text:
        raise ToolError(
            f"{shown(checked_url(got.url))} is {got.kind or 'no text'}, not a page",
            hint="http-client saves it to a file: `save_to`",
            permanent=True,
        )
    return _Page(url=got.url, base=got.url, status=got.status, markup=got.text()[0], is_markup=got.is_markup)


def _check_status(url: str, status: int, headers: dict[str, str]) -> None:
    if status >= 400:
        raise HttpStatusError(
            f"{shown(checked_url(url))} answers with the status {status}",
            status=status,
            retry_after=retry_after(headers) if status in (429, 503) else None,
            permanent=status < 500 and status not in (408, 425, 429),
        )


def _plain_page(got: _Page) -> PageResult:
    """A text that is no page: all of it is its content."""
    return PageResult(
        url=got.url,
        status_code=got.status,
        success=True,
        title="",
        description="",
        author="",
        language=None,
        content=got.markup,
        text=got.markup,
        word_count=len(_WORD.findall(got.markup)),
        links=[],
        tables=[],
        html=None,
    )
