"""Tables for people: rows of values as a Markdown or an HTML table.

A cell's text survives: what Markdown or HTML would read as a mark is escaped, so rendering shows the characters that
were there. Numbers are right-aligned, line ends inside a cell become ``<br>``.

Example:
    >>> print(markdown_table([{"name": "a|b", "n": 1}, {"name": "c", "n": 20}]))
    | name |  n |
    | ---- | -: |
    | a\\|b |  1 |
    | c    | 20 |
"""

from __future__ import annotations

import datetime
import decimal
import html
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from orchestrator_dagster.errors import ParametersError
from orchestrator_dagster.text import nearest

# Cells longer than this do not widen their whole column in the Markdown source.
_WIDEST_PADDED = 60
_NUMBER = re.compile(r"[-+−]?(\d{1,3}(,\d{3})+|\d+)?(\.\d+)?([eE][-+]?\d+)?\s?%?")
_LINE_END = re.compile("\r\n|[\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029]")
_CONTROL = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n\v\f\r\x1c\x1d\x1e"} | {0x7F: 0x2421}
_PUNCTUATION = re.escape("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
# What starts a mark inside a line of Markdown (CommonMark, and GitHub's tables and strikethrough).
_MARK = re.compile(
    rf"\\(?=[{_PUNCTUATION}]|[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]|$)"  # an escape
    r"|[`*\[\]~]"
    r"|(?<![^\W_])_|_(?![^\W_])"  # an underscore inside a word marks nothing
    r"|<(?=[A-Za-z/!?])"  # a tag or a link in angle brackets
    r"|&(?=#?\w+;)"  # an entity
)


def escape_markdown(text: str) -> str:
    """``text`` so that Markdown shows it as it is, inside one line.

    >>> escape_markdown("snake_case is *not* marked")
    'snake_case is \\\\*not\\\\* marked'
    """
    return _MARK.sub(lambda found: "\\" + found.group(), text.translate(_CONTROL))


def markdown_table(rows: Any, columns: Sequence[str] | None = None, max_rows: int | None = None) -> str:
    """Rows as a GitHub-style Markdown table, padded so that the source reads well too.

    Args:
        rows: A list of objects, of lists (the first is the heading when ``columns`` is not given), of values with
            ``to_dict`` or ``model_dump``, of single values; or a data frame.
        columns: Which columns, in this order; default all, in order of first appearance.
        max_rows: Show at most so many rows and say below how many more there are.

    Returns:
        Lines without a final line end; without rows and columns the note ``*no rows*``.

    Raises:
        ParametersError: The rows are no list, differ in kind, or a column is in none of them.
    """
    table = _Table.of(rows, columns, max_rows)
    if not table.columns:
        return "*no rows*"
    cells = [[_markdown_cell(text) for text in line] for line in (table.columns, *table.lines)]
    widths = [_width(column, right) for column, right in zip(zip(*cells, strict=True), table.numeric, strict=True)]

    def line(texts: Sequence[str]) -> str:
        places = zip(texts, widths, table.numeric, strict=True)
        return "| " + " | ".join(text.rjust(w) if right else text.ljust(w) for text, w, right in places) + " |"

    rule = line([f"{'-' * (w - right)}{':' * right}" for w, right in zip(widths, table.numeric, strict=True)])
    lines = [line(cells[0]), rule, *map(line, cells[1:])]
    return "\n".join(lines + (["", f"*{table.more}*"] if table.more else []))


def _width(column: Sequence[str], right: bool) -> int:
    # A rule cell has at least one dash, and the colon of a right-aligned one.
    return max(1 + right, *(len(text) for text in column if len(text) <= _WIDEST_PADDED), 0)


def html_table(rows: Any, columns: Sequence[str] | None = None, max_rows: int | None = None) -> str:
    """Rows as an HTML ``<table>``; every cell is escaped, cells of number columns have the class ``number``.

    Args, errors: as :func:`markdown_table`. Without rows and columns: ``<p><em>no rows</em></p>``.
    """
    table = _Table.of(rows, columns, max_rows)
    if not table.columns:
        return "<p><em>no rows</em></p>"

    def line(tag: str, texts: Sequence[str]) -> str:
        kinds = [' class="number"' if right else "" for right in table.numeric]
        cells = [f"<{tag}{kind}>{_html_cell(text)}</{tag}>" for kind, text in zip(kinds, texts, strict=True)]
        return "<tr>" + "".join(cells) + "</tr>"

    body = "\n".join(line("td", texts) for texts in table.lines)
    note = f"\n<p><em>{table.more}</em></p>" if table.more else ""
    return f"<table>\n<thead>\n{line('th', table.columns)}\n</thead>\n<tbody>\n{body}\n</tbody>\n</table>{note}"


def cell_text(value: Any) -> str:
    """One value as a reader sees it: nothing for None and NaN, JSON for lists and maps, ISO dates."""
    if (
        value is None
        or (isinstance(value, float) and math.isnan(value))
        or type(value).__name__ in ("NAType", "NaTType")
    ):
        return ""  # the last two are pandas' missing values, which do not compare
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, bytes | bytearray):
        return f"{len(value):,} bytes"
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


@dataclass(frozen=True)
class _Table:
    """Headings and cells as text; ``numeric`` tells the columns of numbers, ``more`` notes the rows left out."""

    columns: list[str]
    lines: list[list[str]]
    numeric: list[bool]
    more: str

    @classmethod
    def of(cls, rows: Any, columns: Sequence[str] | None, max_rows: int | None) -> _Table:
        if max_rows is not None and max_rows < 0:
            raise ParametersError(f"max_rows is {max_rows}, a number from 0 was expected")
        names, values = _columns_and_values(_row_list(rows), columns)
        shown = values if max_rows is None else values[:max_rows]
        left = len(values) - len(shown)
        numeric = [_all_numbers(line[index] for line in shown) for index in range(len(names))]
        more = f"{left:,} more row{'s' if left != 1 else ''}" if left else ""
        return cls(names, [[cell_text(value) for value in line] for line in shown], numeric, more)


def _row_list(rows: Any) -> list[Any]:
    if hasattr(rows, "to_dicts"):  # polars
        rows = rows.to_dicts()
    elif hasattr(rows, "to_dict") and hasattr(rows, "columns"):  # pandas
        rows = rows.to_dict(orient="records")
    if isinstance(rows, str | bytes | Mapping) or not isinstance(rows, Iterable):
        kind = "an object" if isinstance(rows, Mapping) else type(rows).__name__
        raise ParametersError(f"a table is made from a list of rows, this is {kind}")
    return [_plain_row(row) for row in rows]


def _plain_row(row: Any) -> Any:
    for method in ("to_dict", "model_dump"):
        if hasattr(row, method):
            return getattr(row, method)()
    return row


def _columns_and_values(rows: list[Any], columns: Sequence[str] | None) -> tuple[list[str], list[list[Any]]]:
    if isinstance(columns, str):
        raise ParametersError(f'columns is the text "{columns}", a list of names was expected')
    if all(isinstance(row, Mapping) for row in rows):
        known = {str(name): name for row in rows for name in row}
        for name in columns or ():
            if rows and name not in known:
                raise ParametersError(
                    f'no row has the column "{name}"{nearest(name, known)}',
                    hint="the columns are " + ", ".join(f'"{key}"' for key in islice(known, 20)),
                )
        names = list(known) if columns is None else list(columns)
        return names, [[row.get(known[name]) for name in names] for row in rows]
    if any(isinstance(row, Mapping) for row in rows):
        raise ParametersError("some rows of the table are objects and some are not")
    if not all(isinstance(row, list | tuple) for row in rows):
        if columns is not None and len(columns) != 1:
            raise ParametersError(
                f"the table's rows are single values: one column name was expected, not {len(columns)}"
            )
        return list(columns or ["value"]), [[row] for row in rows]
    if columns is None:
        width = max(len(row) for row in rows)
        names = [cell_text(name) for name in rows[0]] + [""] * (width - len(rows[0]))
        rows = rows[1:]
    else:
        names, width = list(columns), len(columns)
    longest = max((len(row) for row in rows), default=0)
    if longest > width:
        raise ParametersError(f"a row of the table has {longest} cells, there are {width} columns")
    return names, [[*row, *[None] * (width - len(row))] for row in rows]


def _all_numbers(values: Iterable[Any]) -> bool:
    seen = False
    for value in values:
        if cell_text(value).strip() == "":
            continue
        if isinstance(value, str):
            text = value.strip()
            if not (any(sign.isdigit() for sign in text) and _NUMBER.fullmatch(text)):
                return False
        elif isinstance(value, bool) or not (
            isinstance(value, int | float | decimal.Decimal) or hasattr(value, "__float__")
        ):
            return False
        seen = True
    return seen


def _markdown_cell(text: str) -> str:
    escaped = escape_markdown(text.strip()).replace("|", "\\|")
    return _LINE_END.sub("<br>", escaped).replace("\t", " ")


def _html_cell(text: str) -> str:
    return _LINE_END.sub("<br>", html.escape(text.strip()).translate(_CONTROL))
