from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator_dagster.errors import FileMissingError, ParametersError, PathError, TemplateError
from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.markdown_text import headings, nest_headings, render
from orchestrator_dagster.tools.report import report_generator
from orchestrator_dagster.tools.tool import ToolContext

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
HOSTILE = (
    "<script>alert(1)</script> <img src=x onerror=alert(1)> [a](javascript:alert(1)) [b](vbscript:x) "
    "![c](javascript:alert(1)) <a href='data:text/html,x'>d</a> [e](data:text/html;base64,PHNjcmlwdD4=) "
    '<javascript:alert(1)>\n\n<iframe src="https://x.test"></iframe>\n\n[f]: javascript:alert(1)\n\n'
    '[f] `<script>` **"><script>**\n\n```"><script>\n</pre><script>'
)


class Page(HTMLParser):
    """The tags of a page with their attributes, and whether it is well nested."""

    VOID = frozenset({"meta", "br", "img", "hr"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        assert tag in self.VOID
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, name: str) -> list[dict]:
        return [attributes for tag, attributes in self.tags if tag == name]


def assert_nothing_runs(page: Page) -> None:
    assert not {tag for tag, _ in page.tags} & {"script", "iframe", "object", "embed", "form", "link", "base", "svg"}
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")]
        assert not re.match(r"\s*(javascript|vbscript|data|file):", attributes.get("href") or "", re.IGNORECASE), tag
        assert (attributes.get("src") or "data:image/").startswith("data:image/")


@pytest.fixture
def log():
    return []


@pytest.fixture
def context(tmp_path, log):
    return ToolContext(Workspace(tmp_path), folders=(str(tmp_path / "pipelines"), str(tmp_path)), log=log.append)


@pytest.fixture
def report(context):
    return lambda **parameters: report_generator.find(None).call(context, parameters)


def test_a_markdown_report(report):
    made = report(
        title="Findings",
        author="Ana",
        date="2026-03-01",
        content="An introduction.",
        sections=[
            {"title": "Numbers", "content": [{"name": "a|b", "n": 1}, {"name": "c", "n": 22}]},
            {"heading": "Notes", "content": ["one", {"k": "v"}], "level": 2},
            {"title": "Facts", "content": {"mean": 1.5, "tags": ["x"], "inner": {"deep": "y"}, "none": None}},
        ],
    )
    assert made["content"] == (
        "# Findings\n\n*Ana · 2026-03-01*\n\nAn introduction.\n\n## Numbers\n\n"
        "| name |  n |\n| ---- | -: |\n| a\\|b |  1 |\n| c    | 22 |\n\n"
        "### Notes\n\n- one\n- - **k:** v\n\n"
        "## Facts\n\n- **mean:** 1.5\n- **tags:**\n  - x\n- **inner:**\n  - **deep:** y\n- **none:**\n"
    )
    assert made["sections"] == ["Numbers", "Notes", "Facts"]
    assert (made["format"], made["title"], made["warnings"]) == ("markdown", "Findings", [])
    words = """Findings Ana · 2026-03-01 An introduction. Numbers name n a|b 1 c 22 Notes one k: v
        Facts mean: 1.5 tags: x inner: deep: y none:"""
    assert made["word_count"] == len(words.split())


def test_sections_as_a_map_and_aliases(report, context):
    by_map = report(title="T", sections={"One": "text", "Two": [1, 2]})
    assert by_map["content"] == "# T\n\n## One\n\ntext\n\n## Two\n\n- 1\n- 2\n"
    for action in ("create", "execute"):
        assert report_generator.find(action).call(context, {"title": "T", "format": "md"})["content"] == "# T\n"


def test_a_whole_report_as_content(report):
    made = report(title="Data Report", content="# Data Report\n\n## Schema\n\nx\n\n### Detail\n\n## End")
    assert made["content"] == "# Data Report\n\n## Schema\n\nx\n\n### Detail\n\n## End\n"
    assert made["sections"] == ["Schema", "End"]


def test_headings_of_a_section_stay_below_it_and_code_stays_inside(report):
    made = report(sections=[
        {"title": "A", "content": "# A\n\n# Top\n\nSub\n---\n\n```\n# no heading\n```\n\n```py\nopen = 1"},
        {"title": "B", "content": "x"},
    ])  # fmt: skip
    found = [(each.level, each.text) for each in headings(made["content"])]
    assert found == [(1, "Report"), (2, "A"), (3, "Top"), (4, "Sub"), (2, "B")]
    assert "# no heading" in made["content"]


def test_contents_lead_to_their_headings(report):
    names = ("Same", "Same", "What's *new*?", "Ünï", "Contents", "T", "!!")
    sections = [{"title": name, "content": "x"} for name in names]
    sections[0]["sections"] = [{"title": "Inner", "content": "y"}]
    made = report(title="T", contents=True, sections=sections)
    links = re.findall(r"\]\(#([^)]*)\)", made["content"])
    assert links[:4] == ["same", "inner", "same-1", "whats-new"]
    assert [unquote(link) for link in links] == [each.anchor for each in headings(made["content"])][2:]
    page = Page(report(title="T", contents=True, format="html", sections=sections)["content"])
    ids = [attributes["id"] for tag, attributes in page.tags if "id" in attributes]
    assert [unquote(link["href"]) for link in page.all("a")] == [f"#{each}" for each in ids]
    assert len(set(ids)) == len(ids) == 8


def test_the_page_stands_alone_and_is_escaped(report):
    made = report(title='A <b> & "c"', author="<i>Ana</i>", format="html", sections=[
        {"title": "<script>x</script>", "content": HOSTILE, "table": [{"<u>": "<script>", "n": 1}]},
    ])  # fmt: skip
    page = Page(made["content"])
    assert_nothing_runs(page)
    assert made["format"] == "html"
    assert made["content"].startswith("<!doctype html>")
    assert '<h1>A &lt;b&gt; &amp; "c"</h1>' in made["content"].replace("&quot;", '"')
    policy = page.all("meta")[2]["content"]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert "prefers-color-scheme: dark" in made["content"]
    assert page.all("td")[1] == {"style": "text-align:right"}


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("<>&\"'/\\[]()!`*_#-=|~:; \n\tascriptjvon1"), max_size=60))
def test_no_text_makes_anything_run(text):
    assert_nothing_runs(Page("<div>" + render(text) + "</div>"))


@settings(deadline=None)
@given(st.text(alphabet="#=`~ \nabc.", max_size=60), st.integers(1, 5))
def test_nested_headings_are_below(text, level):
    nested = nest_headings(text, level)
    assert all(each.level > level for each in headings(nested))
    assert [each.text for each in headings(nested)] == [each.text for each in headings(text)]


def test_a_table_is_read_from_a_file_and_from_a_result(report, context):
    context.workspace.write("sums.csv", b"shop,units\nnorth,12\n")
    rows = [{"shop": "north", "units": 12}]
    result = {"data": rows, "columns": ["shop", "units"], "row_count": 1, "path": None, "preview": rows}
    made = [report(sections=[{"title": "A", "table": one}])["content"] for one in (rows, "sums.csv", result)]
    assert made[0] == made[1] == made[2]
    assert "| north |    12 |" in made[0]
    with pytest.raises(FileMissingError):
        report(sections=[{"title": "A", "table": "sms.csv"}])


def test_images_are_put_into_the_page(report, context):
    context.workspace.write("charts/a b.png", PNG)
    context.workspace.write("charts/c.svg", b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>')
    sections = [{"title": "A", "image": {"path": "charts/a b.png", "alt": "A <chart>", "caption": "Figure 1"}},
                {"title": "B", "image": "charts/c.svg", "content": "![inline](charts/a%20b.png)"}]  # fmt: skip
    markdown = report(sections=sections)["content"]
    assert "![A \\<chart>](charts/a%20b.png)\n\n*Figure 1*" in markdown
    made = report(sections=sections, format="html")
    images = Page(made["content"]).all("img")
    assert [image["src"].split(",")[0] for image in images] == [
        "data:image/png;base64", "data:image/png;base64", "data:image/svg+xml;base64",
    ]  # fmt: skip
    assert base64.b64decode(images[0]["src"].split(",")[1]) == PNG
    assert images[0]["alt"] == "A <chart>"
    assert made["warnings"] == []
    with pytest.raises(FileMissingError):
        report(sections=[{"title": "A", "image": "charts/gone.png"}])
    with pytest.raises(PathError, match="leaves the workspace"):
        report(sections=[{"title": "A", "image": "../x.png"}])


def test_images_that_text_asks_for_are_only_images_of_the_workspace(report, log, tmp_path):
    secret = tmp_path / "keys.png"
    secret.write_text("OPENAI_API_KEY=planted")
    text = f"![a](keys.png) ![b]({secret}) ![c](../x.png) ![d](https://x.test/a.png) ![e](//x.test/a) ![f](gone.png)"
    made = report(content=text, format="html")
    page = Page(made["content"])
    assert_nothing_runs(page)
    assert page.all("img") == []
    assert "planted" not in made["content"]
    assert base64.b64encode(b"OPENAI_API_KEY").decode()[:16] not in made["content"]
    assert len(made["warnings"]) == 6
    assert log == made["warnings"]
    assert "is no PNG" in made["warnings"][0]


def test_a_template_makes_the_report(report, context):
    context.workspace.write(
        "pipelines/brief.md.j2",
        b"# {{ title }} for {{ reader }}\n\n{{ rows | markdown_table }}\n"
        b"{% for s in sections %}\n## {{ s.title }}\n\n{{ s.content }}\n{% endfor %}\n",
    )
    context.workspace.write("page.html.j2", b"<h1>{{ title }}</h1>{{ markdown(note) }}{{ html_table(rows) }}")
    values = {"title": "A & B", "reader": "Ana", "rows": [{"n": 1}], "sections": {"One": "x"}, "note": HOSTILE}
    made = report(template="brief.md.j2", **values)
    assert made["content"] == "# A & B for Ana\n\n|  n |\n| -: |\n|  1 |\n## One\n\nx\n"
    assert made["sections"] == ["One"]
    page = report(template="brief.md.j2", format="html", **values)
    assert page["format"] == "html"
    assert '<h2 id="one">One</h2>' in page["content"]
    html = report(template="page.html.j2", **values)
    assert html["format"] == "html"
    assert html["content"].startswith("<h1>A &amp; B</h1>")
    assert '<td class="number">1</td>' in html["content"]
    assert_nothing_runs(Page(html["content"]))
    with pytest.raises(ParametersError, match="makes HTML, `format` says markdown"):
        report(template="page.html.j2", format="markdown", **values)
    with pytest.raises(TemplateError, match=r'the template "brief\.md\.j2".*reader'):
        report(template="brief.md.j2", rows=[])


def test_a_template_is_sandboxed_and_found_only_in_its_folders(report, context, tmp_path):
    (tmp_path.parent / "outside.md.j2").write_text("outside")
    for name in ("../outside.md.j2", "../../outside.md.j2", "/etc/passwd", "~/x.j2"):
        with pytest.raises(PathError):
            report(template=name)
    with pytest.raises(FileMissingError):
        report(template="gone.md.j2")
    context.workspace.write("evil.md.j2", b"{{ title.__class__.__mro__[1].__subclasses__() }}")
    with pytest.raises(TemplateError):
        report(template="evil.md.j2")
    context.workspace.write("include.md.j2", b"{{ file:../outside.md.j2 }}")
    with pytest.raises(TemplateError, match="leaves the workspace"):
        report(template="include.md.j2")


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"secions": []}, 'no parameter "secions"; did you mean "sections"'),
        ({"sections": ["text"]}, r"`sections\[0\]` is a text"),
        (
            {"sections": [{"title": "A", "contents": "x"}]},
            r'`sections\[0\]\.contents` is unknown; did you mean "content"',
        ),
        ({"sections": [{"content": "x"}]}, r"`sections\[0\]\.title`: Field required"),
        ({"sections": [{"title": "A", "level": 9}]}, r"`sections\[0\]\.level`"),
        ({"format": "pdf"}, '"format"'),
        ({"sections": [{"title": "A", "table": [{"a": 1}]}], "max_rows": -1}, '"max_rows"'),
    ],
)
def test_what_is_refused(report, parameters, said):
    with pytest.raises(ParametersError, match=said):
        report(**parameters)


def test_long_tables_are_cut_with_a_note(report):
    made = report(sections={"A": [{"n": n} for n in range(10)]}, max_rows=3)
    assert "|  2 |\n\n*7 more rows*" in made["content"]
    assert "|  3 |" not in made["content"]


def test_a_report_is_written_to_a_file_too(report, tmp_path):
    made = report(title="T", content="x", output_path="out/t.md")
    assert made["path"] == "out/t.md"
    assert (tmp_path / "out/t.md").read_text() == made["content"]
