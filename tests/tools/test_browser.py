"""The tool ``headless-browser``: pages as they are sent, and as their scripts leave them."""

from __future__ import annotations

import shutil
import time

import pytest
from nasty_site import ARTICLE, serve

import orchestrator_dagster as orc
from orchestrator_dagster.errors import (
    HttpStatusError,
    ParametersError,
    PathError,
    SizeLimitError,
    StepTimeoutError,
    ToolError,
)
from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.tools.browser import headless_browser
from orchestrator_dagster.tools.browser.page import Parsed
from orchestrator_dagster.tools.registry import ToolRegistry
from orchestrator_dagster.tools.settings import ToolSettings
from orchestrator_dagster.tools.tool import ToolContext

pytest.importorskip("trafilatura", reason="the extra `web` is not installed")


@pytest.fixture
def site():
    with serve() as one:
        yield one


@pytest.fixture
def call(tmp_path, site):
    def make(action, path=None, **parameters):
        context = ToolContext(Workspace(tmp_path), settings=ToolSettings(allowed_hosts=[site.host]))
        url = {} if path is None else {"url": site.url + path if path.startswith("/") else path}
        return headless_browser.find(action).call(context, {**url, **parameters})

    return make


def test_a_page(call, site):
    page = call("fetch", "/to?url=/article")
    assert page["url"] == f"{site.url}/article"
    assert (page["status_code"], page["success"], page["language"], page["author"]) == (200, True, "en", "Ana Silva")
    assert page["title"] == "Growing beans in dry years"
    assert page["description"] == "What beans need when it does not rain"
    assert "## Watering" in page["content"]
    assert f"[measurements of 2021]({site.url}/garden/measurements.html)" in page["content"]
    for text in (page["content"], page["text"]):
        assert "Beans need less water than most people think." in text
        assert not [word for word in ("Shop our seeds", "tracker", "All rights reserved") if word in text]
    assert 100 < page["word_count"] < 200
    assert page["links"] == [
        {"url": f"{site.url}/", "text": "Home"},
        {"url": f"{site.url}/shop", "text": "Shop our seeds today"},
        {"url": f"{site.url}/garden/measurements.html", "text": "measurements of 2021"},
    ]
    assert page["html"] is None
    assert call("scrape", "/article", include_html=True)["html"] == ARTICLE
    assert ToolRegistry().find("headless-browser") is headless_browser


def test_short_pages():
    page = Parsed(
        "<nav><a href='/'>Home</a></nav><main><h1>Peas</h1><p>Peas like <a href='/w'>water</a>.</p></main>",
        "http://x.test/",
    )
    assert page.main_text() == ("# Peas\n\nPeas like [water](http://x.test/w).", "Peas\nPeas like water.")


def test_links_and_tables(call):
    assert call("links", "/article", contains="SHOP")["count"] == 1
    (table,) = call("tables", "/article")["tables"]
    assert (table["caption"], table["columns"]) == ("Harvest by year", ["Year", "Rain (mm)", "Harvest (kg)"])
    assert [list(row.values()) for row in table["rows"]] == [
        ["2020", "310", "41"], ["2021", "280", "38"], ["2022", "300", "40"], ["2022", "301", "42"],
    ]  # fmt: skip


def test_tables_as_pages_have_them():
    def tables(markup):
        return [(one.columns, [list(row.values()) for row in one.rows]) for one in Parsed(markup, "").tables()]

    assert tables("<table><tr><td>1<td>2<tr><td>3</table>") == [(["column_1", "column_2"], [["1", "2"], ["3", ""]])]
    assert tables("<table><tr><th>a<th>a<th><tr><td colspan=2>x<td>y</table>") == [
        (["a", "a_2", "column_3"], [["x", "x", "y"]])
    ]
    assert tables("<table><tr><td>layout<table><tr><td>1<td>2</table></table>") == [
        (["column_1", "column_2"], [["1", "2"]])
    ]
    assert tables("<table><tr><td>only</table><p>no</p>") == []
    began = time.monotonic()
    many = "<td colspan=1000 rowspan=65534>x</td>" * 1000
    with pytest.raises(SizeLimitError, match="500,000 cells"):
        tables(f"<table>{f'<tr>{many}</tr>' * 20}</table>")
    assert len(tables(f"<table><tr>{'<th>a</th>' * 20000}</tr><tr><td>1</td></tr></table>")[0][0]) == 20000
    assert tables("<table><tr><td colspan=99999999999999999999>x<td rowspan=-1>y</table>")[0][1] == [["x", "y"]]
    assert time.monotonic() - began < 60


@pytest.mark.parametrize(
    "markup",
    [
        "x", "<p>unclosed <b>tags", "<div>" * 5000 + "deep" + "</div>" * 5000, "<html><body></body></html>", "\0\0<p>nul</p>",
        "<?xml version='1.0' encoding='utf-16'?><html><body><p>said wrongly</p></body></html>",
        "<a href='http://[::1'>half</a><a href='  '>b</a><a>c</a>", "<title></title>" * 100, "<!-- only -->text", "\ud800<p>half</p>",
        "<a href='java\nscript:alert(1)'>a</a><a href='vbscript:x'>b</a>",
    ],
)  # fmt: skip
def test_broken_pages(markup):
    page = Parsed(markup, "http://example.com/")
    content, text = page.main_text()
    assert isinstance(page.title, str)
    assert isinstance(content + text, str)
    assert page.links() == []
    assert page.tables() == []


def test_files(call, tmp_path):
    (tmp_path / "page.html").write_bytes(
        '<html><head><meta charset="cp1252"><title>Käse</title></head><body><p>Der Käse.</p><a href="b.html">B</a></body></html>'.encode(
            "cp1252"
        )
    )
    page = call("fetch", path=None, file="page.html")
    assert (page["url"], page["status_code"], page["title"]) == ("page.html", None, "Käse")
    assert "Der Käse." in page["text"]
    assert page["links"] == [{"url": "b.html", "text": "B"}]
    with pytest.raises(PathError):
        call("fetch", file="../page.html")
    for parameters in (
        {},
        {"file": "a", "url": "http://x/"},
        {"file": "page.html", "javascript": True},
        {"file": "page.html", "wait_for": "p"},
    ):
        with pytest.raises(ParametersError):
            call("fetch", **parameters)


def test_what_is_no_page(call):
    assert call("fetch", "/encoded?really=utf-8")["text"].startswith("Der Käse")
    with pytest.raises(ToolError, match="application/octet-stream, not a page"):
        call("fetch", "/bytes")
    with pytest.raises(HttpStatusError, match="404"):
        call("fetch", "/missing")
    with pytest.raises(ToolError, match="private, local"):
        call("fetch", "/to?url=http://169.254.169.254/latest/meta-data/")
    with pytest.raises(SizeLimitError):
        call("fetch", "/endless", max_bytes=100_000)
    with pytest.raises(StepTimeoutError):
        call("fetch", "/drip", timeout=0.5)


def _no_chromium() -> str:
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        return "there is no Chromium"
    try:
        import playwright  # noqa: F401
    except ModuleNotFoundError:
        return "the extra `browser` is not installed"
    return ""


with_browser = pytest.mark.skipif(bool(_no_chromium()), reason=_no_chromium())


@with_browser
@pytest.mark.slow
def test_scripts_run_when_it_is_said(call, tmp_path):
    assert "nothing yet" in call("fetch", "/script")["text"]
    page = call("fetch", "/to?url=/script", javascript=True)
    assert "This sentence was written by a script." in page["text"]
    assert "nothing yet" not in page["text"]
    assert page["url"].endswith("/script")
    assert call("fetch", "/script", javascript=True, wait_for="#text")["title"] == "Made by a script"
    with pytest.raises(StepTimeoutError):
        call("fetch", "/script", javascript=True, wait_for="#never", timeout=4)
    with pytest.raises(HttpStatusError):
        call("fetch", "/missing", javascript=True)
    with pytest.raises(ToolError, match="not a page"):
        call("fetch", "/bytes", javascript=True)
    taken = call("screenshot", "/article", save_to="shots/article.png")
    data = (tmp_path / "shots/article.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert (taken["title"], taken["size"]) == ("Growing beans in dry years", len(data))


@with_browser
@pytest.mark.slow
def test_a_page_cannot_reach_the_neighbours(call, site):
    """Its scripts try: images, frames, fetch, sockets, beacons, redirects. Nothing of it arrives."""
    with serve() as secret:
        page = call("fetch", f"/spy?target={secret.url}", javascript=True)
        assert "Asking the neighbours" in page["text"]
        assert secret.requests == []
        # Where the neighbour is allowed they arrive: the page does try.
        settings = ToolSettings(allowed_hosts=[site.host, secret.host])
        url = f"{site.url}/spy?target={secret.url}"
        headless_browser.find("fetch").call(
            ToolContext(Workspace("."), settings=settings), {"url": url, "javascript": True}
        )
        assert {"/by-frame", "/by-fetch", "/by-beacon", "/by-redirect"} <= set(secret.paths)
    with pytest.raises(ToolError, match="private, local"):
        headless_browser.find("fetch").call(
            ToolContext(Workspace(".")), {"url": f"{site.url}/script", "javascript": True}
        )


@with_browser
@pytest.mark.slow
def test_a_browser_ends_with_its_step(project, write, instance, site):
    import psutil

    write(
        "tools.py",
        f"from orchestrator_dagster import ToolSettings\nsettings = ToolSettings(allowed_hosts=['{site.host}'])\n",
    )
    write(
        "pipelines/p.yaml",
        f"""
id: p
steps:
  - id: never
    tool: headless-browser
    parameters: {{url: "{site.url}/script", javascript: true, wait_for: "#never"}}
    timeout: 4
    on_failure: skip
  - id: page
    tool: headless-browser
    action: fetch
    parameters: {{url: "{site.url}/article"}}
    vars: {{words: {{type: integer, value: "{{{{ result.word_count }}}}"}}, title: "{{{{ result.title }}}}"}}
outputs: {{title: "{{{{ page.title }}}}"}}
""",
    )
    result = orc.compile("pipelines/p.yaml").run(instance=instance)
    assert result.steps["never"]["error_type"] == "StepTimeoutError"
    assert result.outputs["title"] == "Growing beans in dry years"
    own = psutil.Process().children(recursive=True)
    assert not [one for one in own if "chrom" in one.name() and one.status() != psutil.STATUS_ZOMBIE]
