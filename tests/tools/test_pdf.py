from __future__ import annotations

import base64
import hashlib
import io
import re
import subprocess
import sys
import threading

import pypdf
import pytest
from PIL import Image

from orchestrator_dagster.errors import FileMissingError, ParametersError, PathError
from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.tools.pdf import pdf_compiler
from orchestrator_dagster.tools.report import report_generator
from orchestrator_dagster.tools.tool import ToolContext


@pytest.fixture
def context(tmp_path):
    (tmp_path / "w").mkdir()
    return ToolContext(Workspace(tmp_path / "w"))


@pytest.fixture
def make(context, tmp_path):
    """Make a PDF and read it: the result, and the document."""

    def call(content=None, **parameters):
        given = {"output_path": "out/report.pdf", **parameters}
        made = pdf_compiler.find(None).call(context, given if content is None else {**given, "content": content})
        return made, pypdf.PdfReader(tmp_path / "w" / made["output_path"])

    return call


def text_of(document) -> str:
    return "\n".join(page.extract_text() for page in document.pages)


def picture(size=(300, 200), form="PNG") -> bytes:
    target = io.BytesIO()
    Image.new("RGB", size, "#b8434e").save(target, form)
    return target.getvalue()


def test_everything_of_markdown_is_on_the_pages(make, tmp_path):
    (tmp_path / "w/charts").mkdir()
    (tmp_path / "w/charts/red one.png").write_bytes(picture())
    made, document = make(
        "# The *report*\n\nZürich, Łódź, Ελλάδα, Привет and **bold** `code`.\n\n## Part one\n\n- first\n  - inner\n- second\n\n"
        "3. three\n4. four\n\n> quoted\n\n| name | n |\n| --- | --: |\n| a \\| b | 1.5 |\n\n```\nx  =  1\n```\n\n"
        "![A red one](charts/red%20one.png)\n\nSee [part one](#part-one) and [the site](https://example.com/?a=1&b=2).\n\n### Deeper\n",
        author="Ana Müller",
        date="2026-11-28",
        header="Internal",
        subject="Tests",
    )
    text = text_of(document)
    for part in ("The report", "Ana Müller · 2026-11-28", "Internal", "Zürich, Łódź, Ελλάδα, Привет", "Part one", "first",
                 "inner", "3.", "four", "quoted", "a | b", "1.5", "x", "1 / 1"):  # fmt: skip
        assert part in text, part
    assert len(document.pages[0].images) == 1
    links = [one.get_object() for one in document.pages[0]["/Annots"]]
    assert [one["/A"]["/URI"] for one in links if "/A" in one] == ["https://example.com/?a=1&b=2"]
    assert [one["/Dest"][0] for one in links if "/Dest" in one] == [document.pages[0].indirect_reference]
    assert [document.outline[0].title, document.outline[1][0].title] == ["Part one", "Deeper"]
    assert (document.metadata.title, document.metadata.author, document.metadata.subject) == (
        "The report",
        "Ana Müller",
        "Tests",
    )
    data = (tmp_path / "w/out/report.pdf").read_bytes()
    assert made == {
        "success": True, "output_path": "out/report.pdf", "path": "out/report.pdf", "files": ["out/report.pdf"],
        "base64": None,
        "title": "The report", "pages": 1, "size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "warnings": [],
    }  # fmt: skip


def test_without_a_path_the_result_has_the_pdf_and_nothing_is_written(context, make, tmp_path):
    written = make("# A")[0]
    made = pdf_compiler.find(None).call(context, {"content": "# A"})
    assert (made["path"], made["files"], made["sha256"]) == (None, [], written["sha256"])
    assert pypdf.PdfReader(io.BytesIO(base64.b64decode(made["base64"]))).pages[0].extract_text().startswith("A")
    assert [path.name for path in (tmp_path / "w").rglob("*.pdf")] == ["report.pdf"]


def test_the_same_text_gives_the_same_bytes(make):
    first = make("# A\n\ntext 東京", contents=True)[0]
    again, document = make("# A\n\ntext 東京", contents=True)
    assert first["sha256"] == again["sha256"]
    assert "are not embedded" in again["warnings"][0]
    assert "東京" in text_of(document)


def test_contents_have_the_pages_on_which_things_are(make):
    parts = "\n\n".join(f"## Part {n}\n\n" + "word " * 900 + f"\n\n### Inside {n}\n\ntext" for n in range(1, 9))
    made, document = make(f"# Long\n\n{parts}", contents=True)
    shown = document.pages[0].extract_text(extraction_mode="layout")
    listed = dict(re.findall(r"((?:Part|Inside) \d)[ .]*(\d+)", shown))
    assert len(listed) == 16
    for name, page in listed.items():
        assert name in document.pages[int(page) - 1].extract_text(), f"{name} is not on page {page}"
    assert made["pages"] == len(document.pages) > 8
    assert f"2 / {made['pages']}" in document.pages[1].extract_text()


def test_long_tables_repeat_their_heading_and_lose_no_row(make):
    rows = "\n".join(f"| row{n}x | {'text ' * (n % 30)} | {n} |" for n in range(300))
    made, document = make(f"| first | second | third |\n|---|---|--:|\n{rows}")
    pages = [page.extract_text() for page in document.pages]
    assert made["pages"] > 5
    assert all("second" in page for page in pages)
    assert sorted(map(int, re.findall(r"row(\d+)x", "".join(pages)))) == list(range(300))


def test_what_is_too_large_for_a_page(make, tmp_path):
    (tmp_path / "w/tall.png").write_bytes(picture((200, 4000)))
    made, document = make(
        f"| a | b |\n|---|---|\n| x | {'much text in one cell ' * 1200} END |\n\n![tall](tall.png)\n\n"
        f"{'Donaudampfschifffahrt' * 60}\n\n```\n{'0123456789' * 100}\n```\n\n"
        f"|{'|'.join(f'column{n}' for n in range(25))}|\n|{'---|' * 25}\n|{'|'.join('12345.678' for _ in range(25))}|",
        page_size="A5",
    )
    text = text_of(document)
    assert "END" in text
    assert text.count("0123456789"[:5]) >= 90
    assert made["warnings"] == ["a table of 25 columns is too wide for the page: some of its words are broken"]
    assert round(float(document.pages[0].mediabox.width)) == round(148 / 25.4 * 72)
    wide = make("x", page_size="A4", orientation="landscape")[1]
    assert wide.pages[0].mediabox.width > wide.pages[0].mediabox.height


def test_files_reports_and_values(make, context, tmp_path):
    (tmp_path / "w/docs").mkdir()
    (tmp_path / "w/docs/pic.jpg").write_bytes(picture(form="JPEG"))
    (tmp_path / "w/docs/notes.md").write_text("\ufeff# Notes\n\n![p](pic.jpg)\n", encoding="utf-8")
    assert len(make(path="docs/notes.md")[1].pages[0].images) == 1
    (tmp_path / "w/plain.txt").write_text("# no heading\n- no *list*\n  1. indented & <b>\n", encoding="utf-8")
    text = text_of(make(path="plain.txt")[1])
    assert "# no heading\n- no *list*\n" in text.replace("\xa0", " ")
    assert "  1. indented & <b>" in text.replace("\xa0", " ")
    report = report_generator.find(None).call(context, {"title": "Made", "sections": {"One": [{"a": 1, "b": "x"}]}})
    made, document = make(report)
    assert made["title"] == "Made"
    assert text_of(document).count("Made") == 1  # not as the title and as a heading
    assert "One" in text_of(document)
    assert "units" in text_of(make([{"shop": "north", "units": 1}])[1])


HOSTILE = (
    "<script>alert(1)</script> <img src='file:///etc/passwd'/> <para> </para> &lt; <b>not bold</b> "
    "<font color=\"[[[getattr(pow, Word('__globals__'))['os'].system('touch {mark}') for Word in [1]]] and 'red'\">x</font> "
    "[js](javascript:alert(1)) [file](file:///etc/passwd) [gone](#nowhere) <a href=\"x\">y</a> <seq/> <onDraw name='x'/>"
)


def test_text_is_text_and_nothing_is_fetched_or_run(make, tmp_path, model_server):
    mark = tmp_path / "mark"
    hostile = HOSTILE.replace("{mark}", str(mark))
    (tmp_path / "secret.png").write_bytes(picture())
    (tmp_path / "w/away.png").symlink_to(tmp_path / "secret.png")
    (tmp_path / "w/bad.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    (tmp_path / "w/drawing.svg").write_text("<svg><image href='file:///etc/passwd'/></svg>")
    images = ["../secret.png", "away.png", "/etc/passwd", f"{model_server.url}/x.png", "//x.test/a.png", "bad.png",
              "drawing.svg", "nothing.png", "data:image/png;base64,AAAA"]  # fmt: skip
    made, document = make(
        f"# {hostile}\n\n{hostile}\n\n| {hostile.replace('|', '')} |\n|---|\n| {hostile} |\n\n```\n{hostile}\n```\n\n"
        + "\n\n".join(f"![the image {number}]({image})" for number, image in enumerate(images)),
        author=hostile, header=hostile, contents=True,
    )  # fmt: skip
    text = " ".join(text_of(document).split())
    assert "<script>alert(1)</script>" in text
    assert "<b>not bold</b>" in text
    assert "root:" not in text
    assert not mark.exists()
    assert not model_server.calls
    assert len(made["warnings"]) == len(images)
    assert not any(page.images for page in document.pages)
    links = [str(one.get_object()) for page in document.pages for one in page.get("/Annots", ())]
    assert not [one for one in links if "javascript" in one or "file:" in one]


def test_a_picture_inside_the_text(make):
    inside = base64.b64encode(picture(form="WEBP")).decode()
    made, document = make(f"![inside](data:image/webp;base64,{inside})")
    assert (len(document.pages[0].images), made["warnings"]) == (1, [])


@pytest.mark.parametrize(
    ("parameters", "error", "said"),
    [
        ({"content": "  \n"}, ParametersError, "nothing to write"),
        ({}, ParametersError, "either `content` or `path`"),
        ({"content": "x", "path": "y.md"}, ParametersError, "either `content` or `path`"),
        ({"content": "<!DOCTYPE html><p>x"}, ParametersError, "is HTML"),
        ({"content": {"content": "<p>", "format": "html"}}, ParametersError, "is HTML"),
        ({"content": "x", "output_path": "report.docx"}, ParametersError, "does not end with .pdf"),
        ({"content": "x", "output_path": "../report.pdf"}, PathError, "workspace"),
        ({"path": "../secret.md"}, PathError, "workspace"),
        ({"path": "missing.md"}, FileMissingError, "no file"),
        ({"content": "x", "page_size": "A9"}, ParametersError, "page_size"),
    ],
)
def test_wrong_calls_write_nothing(make, tmp_path, parameters, error, said):
    with pytest.raises(error, match=said):
        make(**parameters)
    assert not list(tmp_path.rglob("*.pdf"))


def test_letters_that_cannot_be_set_are_told(make):
    made, _ = make("emoji \U0001fae8 and العربية and \x00 \u200b control")
    assert made["warnings"] == [
        "no font has the characters \U0001fae8",
        "Arabic and Hebrew letters are set from left to right, unjoined",
    ]


def test_threads_make_what_one_makes(make, context):
    texts = [f"# Title {n}\n\n" + "\n".join(f"- {'äöü' * n} {i}" for i in range(50)) for n in range(4)]
    one = [make(text)[0]["sha256"] for text in texts]
    found: dict[int, str] = {}

    def work(number):
        done = pdf_compiler.find(None).call(context, {"content": texts[number], "output_path": f"{number}.pdf"})
        found[number] = done["sha256"]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[number] for number in range(4)] == one


def test_without_reportlab_the_extra_is_named():
    code = (
        "import sys; sys.modules['reportlab'] = None\n"
        "from pathlib import Path\n"
        "from orchestrator_dagster.tools.registry import ToolRegistry\n"
        "from orchestrator_dagster.tools.tool import ToolContext\n"
        "from orchestrator_dagster.files.workspace import Workspace\n"
        "from orchestrator_dagster.errors import MissingExtraError\n"
        "try:\n"
        "    ToolRegistry().find('pdf-compiler').find(None).call(ToolContext(Workspace(Path('.'))),"
        " {'content': 'x', 'output_path': 'x.pdf'})\n"
        "except MissingExtraError as error:\n"
        "    print(error.hint)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "pip install 'orchestrator-dagster[pdf]'"
