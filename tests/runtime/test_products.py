"""Products: every format, tables, previews, templates, names."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from orchestrator_dagster.compiler.compiled import CompiledProduct
from orchestrator_dagster.errors import PathError, ProductError, TemplateError
from orchestrator_dagster.runtime.decoding import decode, value_of_bytes
from orchestrator_dagster.runtime.products import encode, preview, table_rows

ROWS = [{"city": "Graz", "count": 3, "share": 0.5}, {"city": 'Wien, "Mitte"\nNord', "count": None, "share": 1.25}]


def product(format: str) -> CompiledProduct:
    return CompiledProduct(variable="v", step="s", key=("p", "v"), path=f"v.{format}", format=format)


def read_back(data: bytes, format: str, tmp_path: Path, **options: Any) -> Any:
    path = tmp_path / f"v.{format}"
    path.write_bytes(data)
    return decode(str(path), format, **options)


@pytest.mark.parametrize("format", ["json", "jsonl", "yaml"])
def test_values_survive(tmp_path: Path, format: str) -> None:
    assert read_back(encode(ROWS, product(format)), format, tmp_path) == ROWS


@pytest.mark.parametrize("format", ["csv", "tsv", "parquet", "xlsx"])
def test_tables_survive(tmp_path: Path, format: str) -> None:
    frame = read_back(encode(ROWS, product(format)), format, tmp_path, as_frame=True)
    assert list(frame.columns) == ["city", "count", "share"]
    assert frame["city"].tolist() == ["Graz", 'Wien, "Mitte"\nNord']
    assert frame["share"].tolist() == [0.5, 1.25]
    assert frame["count"].iloc[0] == 3
    assert pd.isna(frame["count"].iloc[1])


def test_csv_has_every_column_of_any_row() -> None:
    text = encode([{"a": 1}, {"b": [1, 2]}], product("csv")).decode()
    assert list(csv.DictReader(io.StringIO(text))) == [{"a": "1", "b": ""}, {"a": "", "b": "[1, 2]"}]


def test_texts_are_written_to_the_byte() -> None:
    text = "line\r\n  é {{ not a template }} \n\n"
    for format in ("txt", "md", "html"):
        assert encode(text, product(format)) == text.encode()
    assert encode(ROWS, product("md")).decode().startswith("| city")


def test_a_text_that_is_json_is_not_quoted_again() -> None:
    assert json.loads(encode('{"a": 1}', product("json"))) == {"a": 1}
    assert json.loads(encode("just words", product("json"))) == "just words"


@pytest.mark.parametrize(
    ("value", "format"),
    [
        (3, "csv"),
        ("a,b", "parquet"),
        (float("nan"), "json"),
        ("not base64!", "png"),
        ([1], "svg"),
        ("out/a.pdf", "pdf"),
    ],
)
def test_what_has_no_such_form_is_refused(value: Any, format: str) -> None:
    with pytest.raises(ProductError):
        encode(value, product(format))


def test_images() -> None:
    data = b"\x89PNG\r\n\x1a\nxx"
    import base64

    text = base64.b64encode(data).decode()
    assert encode(data, product("png")) == data
    assert encode(text, product("png")) == data
    assert encode({"base64": text}, product("png")) == data
    assert encode(f"data:image/png;base64,{text}", product("png")) == data
    assert encode("<svg></svg>", product("svg")) == b"<svg></svg>"
    assert encode(base64.b64encode(b"%PDF-1.4").decode(), product("pdf")) == b"%PDF-1.4"
    assert value_of_bytes(b"%PDF-1.4", "pdf", "a.pdf") == b"%PDF-1.4"
    with pytest.raises(ProductError, match="is no PDF"):
        value_of_bytes(b"hello", "pdf", "a.pdf")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_json_round_trip(value: Any) -> None:
    if isinstance(value, str):
        return  # a text may be JSON itself
    assert json.loads(encode(value, product("json"))) == value


@given(JSON)
def test_yaml_round_trip(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return  # lone surrogates are no text
    found = yaml.safe_load(encode(value, product("yaml")))
    assert json.loads(json.dumps(found)) == json.loads(json.dumps(value))


@given(JSON)
def test_a_preview_never_fails_and_is_short(value: Any) -> None:
    for format in ("md", "json", "csv", "png"):
        assert len(preview(value, format)) < 8000


def test_the_rows_of_a_table() -> None:
    assert table_rows(pd.DataFrame(ROWS)) is not None
    assert table_rows({"data": ROWS, "columns": ["city"]}) == ROWS
    assert table_rows([]) is None
    assert table_rows([1, 2]) is None


def test_a_long_table_says_how_many_rows_it_leaves_out() -> None:
    text = preview([{"n": number} for number in range(500)], "csv")
    assert text.endswith("… 490 more rows")


PIPELINE = """\
id: p
inputs: {topic: Street Trees}
output_dir: out
steps:
  - id: make
    action: echo
    parameters: {message: [{name: a, size: 1}, {name: b, size: 2}]}
    vars: {rows: "{{ result }}"}
    products:
      - rows: PRODUCT
"""


def test_paths_are_templates_and_hashes_are_of_the_file(run_all: Callable[..., Any], project: Path) -> None:
    text = PIPELINE.replace("PRODUCT", '"{{ topic | slugify }}/{{ rows | length }}.csv"')
    (written,) = run_all(text)["make"].products
    assert written.path == "out/street-trees/2.csv"
    data = (project / written.path).read_bytes()
    assert data == b"name,size\na,1\nb,2\n"
    assert written.sha256 == hashlib.sha256(data).hexdigest()
    assert written.bytes == len(data)
    assert (written.rows, written.columns, written.column_types) == (2, ("name", "size"), ("string", "integer"))
    assert "| a" in written.preview


def test_a_template_makes_the_text_and_html_is_escaped(run_all: Callable[..., Any], project: Path) -> None:
    (project / "pipelines" / "page.html.j2").write_text(
        "<p>{{ topic }}: {% for r in rows %}{{ r.name }} {% endfor %}</p>\n"
    )
    text = PIPELINE.replace("PRODUCT", "{path: page.html, template: page.html.j2}")
    run_all(text, topic="<script>alert(1)</script>")
    assert (project / "out/page.html").read_text() == "<p>&lt;script&gt;alert(1)&lt;/script&gt;: a b </p>\n"


@pytest.mark.parametrize("path", ["../x.csv", "/tmp/x.csv", "a/../../x.csv", "~/x.csv"])
def test_rendered_paths_stay_in_the_folder(run_all: Callable[..., Any], project: Path, path: str) -> None:
    text = PIPELINE.replace("PRODUCT", '{path: "{{ topic }}", format: csv}')
    with pytest.raises((PathError, ProductError)):
        run_all(text, topic=path)
    assert not list(project.rglob("x.csv"))


def test_nothing_is_written_when_a_later_path_fails(run_all: Callable[..., Any], project: Path) -> None:
    text = PIPELINE.replace("      - rows: PRODUCT", "").replace(
        'vars: {rows: "{{ result }}"}', 'vars: {rows: "{{ result }}", more: "{{ result }}"}'
    )
    text = text.replace(
        "    products:\n", '    products:\n      - rows: a.csv\n      - more: "{{ rows[5].name }}.csv"\n'
    )
    with pytest.raises(TemplateError):
        run_all(text)
    assert not (project / "out").exists()


def picture(width: int, height: int) -> bytes:
    """A PNG of noise, which does not compress."""
    import random
    import struct
    import zlib

    rows = b"".join(b"\0" + random.Random(row).randbytes(3 * width) for row in range(height))

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_pictures_are_shown_small() -> None:
    small, large = picture(20, 10), picture(800, 600)
    assert preview(None, "png", small).startswith("![20 × 10 pixels")
    assert base64.b64encode(small).decode() in preview(None, "png", small)
    shown = preview(None, "png", large)
    assert f"800 × 600 pixels, {len(large):,} bytes" in shown
    assert len(shown) < 40_000
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"/>'
    assert f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}" in preview(svg.decode(), "svg", svg)
    assert preview(None, "svg", svg + b" " * 100_000) == f"a picture of {len(svg) + 100_000:,} bytes"
    assert preview(None, "png", b"no picture" * 10_000) == "a picture of 100,000 bytes"


@pytest.mark.parametrize("format", ["csv", "tsv", "parquet", "xlsx", "json"])
def test_a_table_without_rows_has_its_columns(tmp_path: Path, format: str) -> None:
    data = encode([], product(format), ["shop", "total"])
    frame = read_back(data, format, tmp_path, as_frame=True)
    assert len(frame) == 0
    if format != "json":
        assert list(frame.columns) == ["shop", "total"]
    assert read_back(data, format, tmp_path) == []
