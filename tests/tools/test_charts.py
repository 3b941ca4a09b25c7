from __future__ import annotations

import base64
import io
import json
import re
import subprocess
import sys
import threading
import xml.etree.ElementTree as ElementTree
from datetime import date, timedelta

import pytest
from matplotlib.figure import Figure
from PIL import Image

from orchestrator_dagster.errors import FileMissingError, ParametersError, PathError
from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.tools.charts import visualization
from orchestrator_dagster.tools.charts.drawing import draw
from orchestrator_dagster.tools.charts.spec import Chart
from orchestrator_dagster.tools.charts.style import Look, number_text, number_texts
from orchestrator_dagster.tools.data.plain import frame_of_rows
from orchestrator_dagster.tools.tool import ToolContext

SALES = [
    {"shop": "north", "product": "tea", "units": 12, "price": 2.5, "day": "2026-01-01"},
    {"shop": "south", "product": "tea", "units": 7, "price": 2.0, "day": "2026-01-02"},
    {"shop": "north", "product": "coffee", "units": 9, "price": 4.0, "day": "2026-01-03"},
    {"shop": "south", "product": "coffee", "units": None, "price": 4.5, "day": "2026-01-04"},
]


@pytest.fixture
def context(tmp_path):
    return ToolContext(Workspace(tmp_path))


@pytest.fixture
def call(context):
    return lambda action=None, **parameters: visualization.find(action).call(context, parameters)


def axes(rows=SALES, **spec):
    """What is drawn, before it is a picture."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    drawn = draw(Chart(**spec), frame_of_rows(rows), figure, Look.of("light"))
    figure.draw_without_rendering()
    return figure.axes[0], drawn


def ticks(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def test_a_png_is_sharp_coloured_and_the_same_each_time(call, tmp_path):
    first = call(data=SALES, x="shop", y="units", aggregate="sum", title="Units", output_path="out/units.png")
    assert (first["path"], first["files"], first["charts"]) == ("out/units.png", ["out/units.png"], ["out/units.png"])
    data = (tmp_path / "out/units.png").read_bytes()
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    assert picture.size == (1800, 1000) == (2 * first["width"], 2 * first["height"])
    colors = {color: count for count, color in picture.getcolors(1 << 20)}
    assert colors[(0x2F, 0x6D, 0xB5)] > 50_000  # the bars
    assert (
        call(data=SALES, x="shop", y="units", aggregate="sum", title="Units")["base64"]
        == base64.b64encode(data).decode()
    )
    assert "1 of 4 rows" in first["warnings"][0]
    assert first["alt"] == "Units: Bar chart of sum of units by shop: 2 values from 7 to 21."


def test_bars_show_the_aggregated_values_and_say_so():
    ax, drawn = axes(kind="bar", x="shop", y="units", aggregate="sum", y_unit="pcs")
    assert [bar.get_height() for bar in ax.patches] == [21.0, 7.0]
    assert ticks(ax.xaxis) == ["north", "south"]
    assert (ax.get_ylabel(), ax.get_xlabel(), drawn.kind) == ("sum of units (pcs)", "shop", "bar")
    assert axes(kind="bar", x="shop", y="units")[0].get_ylabel() == "mean of units"
    counts = axes(kind="bar", x="shop", group_by="product", stacked=True, aggregate="count")[0]
    assert [(bar.get_y(), bar.get_height()) for bar in counts.patches] == [(0, 1), (0, 1), (1, 1), (1, 1)]
    assert [text.get_text() for text in counts.get_legend().get_texts()] == ["tea", "coffee"]


def test_many_and_long_categories():
    rows = [{"name": f"a long name of a category, number {n}", "v": n} for n in range(60)]
    ax, drawn = axes(rows, kind="bar", x="name", y="v", top=20)
    assert len(ax.patches) == 20
    assert [bar.get_width() for bar in ax.patches] == list(range(40, 60))  # lying
    assert drawn.notes == ["the 20 largest of 60 categories are shown"]
    assert drawn.height > 700
    boxes = [label.get_window_extent() for label in ax.get_yticklabels()]
    ax.figure.set_size_inches(9, drawn.height / 100)
    ax.figure.draw_without_rendering()
    boxes = sorted((label.get_window_extent() for label in ax.get_yticklabels()), key=lambda box: box.y0)
    assert all(low.y1 <= high.y0 + 1 for low, high in zip(boxes, boxes[1:], strict=False)), "labels overlap"
    assert min(box.x0 for box in boxes) >= 0, "labels are cut"
    summed = axes(rows, kind="bar", x="name", y="v", aggregate="sum", top=10, sort="value")[0]
    assert ticks(summed.yaxis)[-1] == "51 others"
    assert sum(bar.get_width() for bar in summed.patches) == sum(range(60))


@pytest.mark.parametrize(
    ("rows", "spec", "kind"),
    [
        (SALES, {}, "line"),
        ([{"a": "x", "n": 1}], {}, "bar"),
        ([{"a": 1, "b": 2}, {"a": 2, "b": 1}], {}, "scatter"),
        ([{"a": 1}, {"a": 4}], {}, "histogram"),
        ([{"a": "x"}, {"a": "y"}], {}, "bar"),
        (SALES, {"x": "shop"}, "bar"),
        (SALES, {"x": "price", "y": "units"}, "scatter"),
        (SALES, {"x": "shop", "y": "product", "cell": "units"}, "heatmap"),
    ],
)
def test_the_kind_that_fits(rows, spec, kind):
    assert axes(rows, **spec)[1].kind == kind


def test_lines_over_dates_are_in_their_order():
    rows = [{"day": (date(2026, 1, 1) + timedelta(n)).isoformat(), "v": n, "w": -n} for n in (3, 1, 2, 0)]
    ax, _ = axes(rows, kind="line", x="day", y=["v", "w"])
    assert [line.get_ydata().tolist() for line in ax.lines] == [[0, 1, 2, 3], [0, -1, -2, -3]]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["v", "w"]
    assert "2026" in " ".join([*ticks(ax.xaxis), ax.xaxis.get_offset_text().get_text()])


def test_histogram_pie_box_heatmap_and_trend():
    numbers = [{"v": n % 10, "g": "ab"[n % 2]} for n in range(100)]
    assert sum(bar.get_height() for bar in axes(numbers, kind="histogram", x="v", bins=5)[0].patches) == 100
    slices, drawn = axes([{"n": f"s{n}", "v": n} for n in range(1, 21)], kind="pie", x="n", y="v")
    labels = [text.get_text() for text in slices.get_legend().get_texts()]
    assert labels[0] == "s20  20 (9.5%)"
    assert labels[-1] == "13 others  91 (43.3%)"
    box = axes(numbers, kind="box", x="g", y="v")[0]
    assert ticks(box.xaxis) == ["a", "b"]
    medians = [
        line.get_ydata()[0] for line in box.lines if len(set(line.get_ydata())) == 1 and line.get_linewidth() == 2
    ]
    assert medians == [4.0, 5.0]
    heat = axes(SALES, kind="heatmap", x="product", y="shop", cell="units")[0]
    assert sorted(text.get_text() for text in heat.texts) == ["12", "7", "9"]
    ax, drawn = axes([{"a": n, "b": 2 * n + 1} for n in range(10)], kind="scatter", x="a", y="b", trend=True)
    assert drawn.notes == ["r = 1.00, slope 2"]
    assert ax.lines[0].get_ydata().tolist() == pytest.approx([1, 19])
    together, drawn = axes([{"a": n, "b": -n, "c": 1} for n in range(5)], kind="heatmap")
    assert {text.get_text() for text in together.texts} == {"1", "\u22121"}


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"data": []}, "nothing to draw"),
        ({"data": {"columns": ["a"], "data": []}}, "nothing to draw: the table has 0 rows"),
        ({"data": [{"a": None, "b": "x"}], "x": "b", "y": "a"}, "no row has a value"),
        ({"data": SALES, "x": "shopp"}, 'did you mean "shop"'),
        ({"data": SALES, "kind": "barr"}, "kind"),
        ({"data": SALES, "kind": "line", "x": "day", "y": "shop"}, "needs a number column"),
        ({"data": [{"a": "x", "b": -1}], "kind": "pie"}, "above 0"),
        ({"data": [{"a": 1, "b": 0}], "kind": "line", "x": "a", "y": "b", "log_y": True}, "logarithmic"),
        ({"data": SALES, "x": "shop", "y": ["units", "price"], "group_by": "product"}, "too much for one chart"),
        ({"data": SALES, "colors": ["bluue"]}, "no colour"),
        ({"data": [{"a": "x"}], "kind": "scatter"}, "column"),
        ({"data": SALES, "output_path": "chart.pdf"}, "no format of a chart"),
        ({"data": SALES, "kind": "heatmap", "x": "shop"}, "needs `x`"),
    ],
)
def test_what_cannot_be_drawn_is_an_error_and_writes_nothing(call, tmp_path, parameters, said):
    with pytest.raises(ParametersError, match=said):
        call(**{"output_path": "chart.png", **parameters})
    assert list(tmp_path.iterdir()) == []


def test_paths_stay_in_the_workspace(call, tmp_path):
    for path in ("../chart.png", "/etc/chart.png"):
        with pytest.raises(PathError):
            call(data=SALES, output_path=path)
    (tmp_path / "away").symlink_to(tmp_path.parent)
    with pytest.raises(PathError):
        call("charts", data=SALES, chart_types=["bar"], output_dir="away/x")
    with pytest.raises((PathError, FileMissingError)):
        call(data="../secret.csv")
    assert not list(tmp_path.parent.glob("chart*"))


HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(1)> $x^2_{$ --> & é東'


def test_text_is_text_in_every_format(call, tmp_path):
    rows = [{HOSTILE: HOSTILE, "v": 1}, {HOSTILE: "b", "v": 2}]
    svg = call(data=rows, x=HOSTILE, y="v", title=HOSTILE, subtitle=HOSTILE, format="svg")["content"]
    tree = ElementTree.fromstring(svg)
    assert not [one for one in tree.iter() if str(one.tag).rpartition("}")[2] in ("script", "image", "foreignObject")]
    assert not [name for one in tree.iter() for name in one.attrib if name.lower().startswith("on")]
    call("dashboard", data=rows, title=HOSTILE, text=HOSTILE, figures={HOSTILE: HOSTILE, "n": 1234567},
         charts=[{"kind": "bar", "title": HOSTILE, "x": HOSTILE, "y": "v"}], output_path="board.html")  # fmt: skip
    page = (tmp_path / "board.html").read_text(encoding="utf-8")
    assert not re.search(r"<(script|iframe|object|link)\b", page)
    assert not re.search(r"<img(?![^>]*src=\"data:image/svg\+xml;base64,[A-Za-z0-9+/=]+\")", page)
    assert page.count("<img ") == 1
    assert "default-src 'none'" in page
    assert "1.23 M" in page


def test_missing_letters_are_told(call):
    made = call(data=[{"stadt": "Zürich", "v": 1}, {"stadt": "\U0001fae8", "v": 2}], x="stadt", y="v")
    assert any("no installed font has the characters \U0001fae8" in note for note in made["warnings"])


def test_several_charts_and_a_dashboard_picture(call, tmp_path):
    made = call(
        "charts", data=SALES, output_dir="pictures", format="svg",
        charts=[{"x": "shop", "y": "units", "title": "Same"}, {"kind": "pie", "x": "product", "title": "Same"}],
    )  # fmt: skip
    assert made["charts"] == made["files"] == ["pictures/same.svg", "pictures/same-2.svg"]
    assert [one["kind"] for one in made["items"]] == ["bar", "pie"]
    by_kind = call("create_charts", data=SALES, chart_types=["bar", "histogram"])
    assert by_kind["files"] == ["charts/01-bar.png", "charts/02-histogram.png"]
    board = call("dashboard", data=SALES, charts=[{"x": "shop"}, {"x": "day", "y": "price"}, {"kind": "box", "y": "price"}],
                 title="Sales", figures={"units": 28}, output_path="board.png")  # fmt: skip
    assert (board["count"], board["kinds"]) == (3, ["bar", "line", "box"])
    assert Image.open(tmp_path / "board.png").size[0] == 2400
    json.dumps([made, by_kind, board])


def test_a_wrong_chart_in_a_list_writes_no_file(call, tmp_path):
    with pytest.raises(ParametersError, match=r'chart 2: `kinnd` is unknown; did you mean "kind"'):
        call("charts", data=SALES, charts=[{"x": "shop"}, {"kinnd": "bar"}])
    with pytest.raises(ParametersError, match="no column"):
        call("charts", data=SALES, charts=[{"x": "shop"}, {"x": "nope"}])
    for wrong in ({}, {"charts": []}, {"charts": [{}], "chart_types": ["bar"]}):
        with pytest.raises(ParametersError):
            call("dashboard", data=SALES, **wrong)
    assert list(tmp_path.iterdir()) == []


def test_threads_draw_what_one_draws(call):
    one = {
        theme: call(data=SALES, x="shop", y="units", theme=theme, width=300)["base64"] for theme in ("light", "dark")
    }
    found: list[bool] = []

    def work(theme):
        found.append(call(data=SALES, x="shop", y="units", theme=theme, width=300)["base64"] == one[theme])

    threads = [threading.Thread(target=work, args=(theme,)) for theme in ("light", "dark") * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 6


def test_numbers_as_people_read_them():
    shown = [number_text(value) for value in (0, 0.25, -3, 1234.5, 3_400_000, 2e9, 0.00001, float("nan"))]
    assert shown == ["0", "0.25", "-3", "1,234", "3.4 M", "2 bn", "1e-05", "–"]
    assert number_texts([23.9, 23.52, -1]) == ["23.90", "23.52", "\u22121.00"]


def test_without_matplotlib_the_extra_is_named():
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from pathlib import Path\n"
        "from orchestrator_dagster.tools.registry import ToolRegistry\n"
        "from orchestrator_dagster.tools.tool import ToolContext\n"
        "from orchestrator_dagster.files.workspace import Workspace\n"
        "from orchestrator_dagster.errors import MissingExtraError\n"
        "try:\n"
        "    ToolRegistry().find('visualization').find(None).call(ToolContext(Workspace(Path('.'))), {'data': [{'a': 1}]})\n"
        "except MissingExtraError as error:\n"
        "    print(error.hint)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "pip install 'orchestrator-dagster[charts]'"
