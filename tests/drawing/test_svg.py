"""The SVG: well-formed whatever the texts are, everything in the view, the whole text in the tooltip."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from orchestrator_dagster.drawing.picture import Edge, Group, Node, Picture
from orchestrator_dagster.drawing.svg import svg
from orchestrator_dagster.drawing.text_width import fitted, plain, text_width

SVG = "{http://www.w3.org/2000/svg}"
Pictures = Callable[..., st.SearchStrategy[Picture]]


def parsed(picture: Picture) -> ElementTree.Element:
    return ElementTree.fromstring(svg(picture).encode())


def of_class(root: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [one for one in root.iter() if name in one.get("class", "").split() and "legend" not in one.get("class", "")]


@given(st.data())
def test_any_text_gives_well_formed_xml(pictures: Pictures, data: st.DataObject) -> None:
    picture = data.draw(pictures(8))
    root = parsed(picture)
    nodes = of_class(root, "node")
    assert len(nodes) == len(picture.nodes)
    for element, node in zip(nodes, picture.nodes, strict=True):
        tooltip = element.find(f"{SVG}title")
        assert tooltip is not None
        assert (tooltip.text or "").split("\n")[0] == plain(node.title)
    assert len(of_class(root, "edge")) == len(picture.edges)
    assert svg(picture) == svg(picture)


@given(st.data())
def test_everything_is_in_the_view(pictures: Pictures, data: st.DataObject) -> None:
    root = parsed(data.draw(pictures(8)))
    _, _, width, height = map(float, root.get("viewBox", "").split())
    for box in root.iter(f"{SVG}rect"):
        x, y = float(box.get("x", 0)), float(box.get("y", 0))
        assert x >= 0
        assert y >= 0
        assert x + float(box.get("width", 0)) <= width + 0.2
        assert y + float(box.get("height", 0)) <= height + 0.2
    for path in root.iter(f"{SVG}path"):
        if path.get("class") == "wire":
            x, y = map(float, re.findall(r"-?[\d.]+", path.get("d", ""))[:2])
            assert 0 <= x <= width
            assert 0 <= y <= height


@given(st.text(max_size=80), st.floats(20, 300), st.booleans())
def test_a_fitted_text_fits(text: str, width: float, bold: bool) -> None:
    cut = fitted(text, 11, width, bold)
    assert text_width(cut, 11, bold) <= width
    assert cut == text or text.startswith(cut.removesuffix("…"))


def test_what_is_shown_of_a_box() -> None:
    long = "A title that nobody would ever want to read to its very end because it is long"
    picture = Picture("T", (Node("a", long, "tool", ("one", "two", "three", "four"), None),))
    root = parsed(picture)
    shown = [one.text for one in root.iter(f"{SVG}text")]
    assert shown[:5] == ["T", fitted(long, 13, 250, bold=True), "one", "two", "three"]
    assert str(shown[1]).endswith("…")
    tooltip = of_class(root, "node")[0].find(f"{SVG}title")
    assert tooltip is not None
    assert tooltip.text == f"{long}\none\ntwo\nthree\nfour"


def test_the_legend_has_what_occurs_and_no_more() -> None:
    nodes = (Node("a", "A", "tool"), Node("b", "B", "model"), Node("c", "C", "tool"))
    edges = (Edge("a", "b", "on_failure", "on failure"), Edge("a", "c"))
    text = " ".join(one.text or "" for one in parsed(Picture("", nodes, edges)).iter(f"{SVG}text"))
    assert "goes there on failure" in text
    assert "model" in text
    assert "product" not in text
    assert "condition is false" not in text
    assert "with others between" not in text


def test_a_dependency_that_others_imply_is_faint() -> None:
    nodes = tuple(Node(name, name, "tool") for name in "abcd")
    edges = [Edge("a", "b"), Edge("b", "c"), Edge("a", "c")]
    kinds = [one.get("class") for one in of_class(parsed(Picture("", nodes, tuple(edges))), "edge")]
    assert sorted(map(str, kinds)) == ["edge dependency", "edge dependency", "edge dependency implied"]
    routed = (Edge("a", "b", "on_failure", "on failure"), *edges[1:])  # taken only sometimes: a is not implied
    assert not of_class(parsed(Picture("", nodes, routed)), "implied")


def test_it_stands_alone_and_has_two_schemes() -> None:
    text = svg(Picture("T", (Node("a", "A", "tool"),), (), (Group("g", "G", ("a",)),)))
    assert "prefers-color-scheme:dark" in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "<script" not in text


def test_hundreds_of_boxes() -> None:
    nodes = tuple(Node(f"n{at}", f"Step {at}", "tool", ("filesystem · list",)) for at in range(300))
    edges = [Edge(f"n{at // 2}", f"n{at}") for at in range(1, 300)]
    edges += [Edge(f"n{at}", f"n{at + 37}", "on_failure", "on failure") for at in range(0, 260, 9)]
    assert len(of_class(parsed(Picture("Many", nodes, tuple(edges))), "node")) == 300
