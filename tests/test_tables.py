from __future__ import annotations

import datetime
import decimal
import html
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from orchestrator_dagster.errors import ParametersError
from orchestrator_dagster.markdown_text import render
from orchestrator_dagster.tables import escape_markdown, html_table, markdown_table

# Everything but lone surrogates; control characters are shown as their pictures, which has a test of its own.
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)
MARKS = st.text(alphabet="\\|`*_[]()<>&;#~!-+ \n\tab1.", max_size=20)


class Cells(HTMLParser):
    """The text of every cell of a table; a line break is a line end."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.marks: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.marks.add(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag == "br":
            self.rows[-1][-1] += "\n"

    def handle_data(self, data):
        if self.rows and self.rows[-1] and self.get_starttag_text() != "</td>":
            self.rows[-1][-1] += data


def seen(text: str) -> str:
    """A text as a page shows it: ends cut, blanks run together, each kind of line end one."""
    text = re.sub("\r\n|[\r\v\f\x85\u2028\u2029]", "\n", text.strip())
    return re.sub(r"[ \t]+", " ", re.sub(r"\s*\n\s*", "\n", text)).strip()


@settings(deadline=None)
@given(st.lists(st.tuples(TEXT | MARKS, TEXT | MARKS), min_size=1, max_size=4))
def test_a_cells_text_survives_markdown(rows):
    table = markdown_table([{"a": left, "b": right} for left, right in rows])
    assert all(line.startswith("| ") and line.endswith(" |") for line in table.split("\n"))
    cells = Cells(render(table))
    assert cells.marks <= {"div", "table", "thead", "tbody", "tr", "th", "td", "br"}
    assert [[seen(text) for text in row] for row in cells.rows] == [["a", "b"], *[[seen(a), seen(b)] for a, b in rows]]


@settings(deadline=None)
@given(st.lists(st.tuples(TEXT | MARKS, TEXT | MARKS), min_size=1, max_size=4))
def test_a_cells_text_survives_html(rows):
    cells = Cells(html_table([[left, right] for left, right in rows], columns=["a", "b"]))
    assert [[seen(text) for text in row] for row in cells.rows] == [["a", "b"], *[[seen(a), seen(b)] for a, b in rows]]


@settings(deadline=None)
@given(MARKS.map(lambda text: " ".join(text.split())))
def test_escaped_text_reads_as_it_was_in_a_line(text):
    shown = MarkdownIt("commonmark").enable("strikethrough").renderInline("x " + escape_markdown(text) + " x")
    assert html.unescape(shown) == f"x {text} x"
    assert not re.search(r"<[a-z/]", shown)


def test_columns_numbers_and_padding():
    rows = [
        {"name": "Ana", "score": 9.5, "share": "12%"},
        {"name": "Bo", "score": 10, "share": "3.5%", "late": True},
        {"name": None, "score": decimal.Decimal("1.25"), "share": ""},
    ]
    assert markdown_table(rows) == (
        "| name | score | share | late |\n"
        "| ---- | ----: | ----: | ---- |\n"
        "| Ana  |   9.5 |   12% |      |\n"
        "| Bo   |    10 |  3.5% | true |\n"
        "|      |  1.25 |       |      |"
    )
    assert markdown_table(rows, columns=["score", "name"]).split("\n")[2] == "|   9.5 | Ana  |"


def test_more_rows_are_counted():
    rows = [[n] for n in range(5)]
    assert markdown_table(rows, ["n"], max_rows=2).endswith("|  1 |\n\n*3 more rows*")
    assert markdown_table(rows, ["n"], max_rows=4).endswith("*1 more row*")
    assert "more" not in markdown_table(rows, ["n"], max_rows=5)
    assert html_table(rows, ["n"], max_rows=2).endswith("</table>\n<p><em>3 more rows</em></p>")
    assert html_table(rows, ["n"]).count('<td class="number">') == 5


def test_kinds_of_rows():
    import pandas

    class Row:
        def to_dict(self):
            return {"a": 1}

    assert markdown_table([Row()]) == markdown_table([{"a": 1}]) == markdown_table([["a"], [1]])
    frame = pandas.DataFrame({"a": [1, None], "t": [pandas.Timestamp("2026-01-02"), pandas.NaT]})
    assert markdown_table(frame).split("\n")[2:] == ["| 1.0 | 2026-01-02 00:00:00 |", "|     |                     |"]
    assert markdown_table(["x", "y"]).split("\n")[0] == "| value |"
    assert markdown_table([["a", "b"], [1]]).split("\n")[-1] == "|  1 |   |"
    assert markdown_table([{"a": {"k": ["é"]}, "b": b"12", "d": datetime.date(2026, 1, 2)}]).split("\n")[2] == (
        '| {"k": \\["é"\\]} | 2 bytes | 2026-01-02 |'
    )
    assert markdown_table([]) == "*no rows*"
    assert markdown_table([], columns=["a"]) == "| a |\n| - |"
    assert html_table([]) == "<p><em>no rows</em></p>"


@pytest.mark.parametrize(
    ("rows", "columns", "said"),
    [
        ("text", None, "list of rows, this is str"),
        ({"a": 1}, None, "this is an object"),
        (3, None, "this is int"),
        ([{"a": 1}, [1]], None, "some rows .* are objects and some are not"),
        ([{"score": 1}], ["scroe"], 'no row has the column "scroe"; did you mean "score"'),
        ([[1, 2]], ["a"], "a row of the table has 2 cells, there are 1 columns"),
        ([1, 2], ["a", "b"], "one column name was expected, not 2"),
        ([[1]], "a", "a list of names was expected"),
    ],
)
def test_what_is_no_table(rows, columns, said):
    with pytest.raises(ParametersError, match=said):
        markdown_table(rows, columns)
    with pytest.raises(ParametersError, match=said):
        html_table(rows, columns)


def test_control_characters_are_shown():
    assert markdown_table([{"a": "x\0y\x1b"}]).split("\n")[2] == "| x␀y␛ |"
    assert "x␀y" in html_table([{"a": "x\0y"}])
    with pytest.raises(ParametersError, match="max_rows is -1"):
        markdown_table([], max_rows=-1)
