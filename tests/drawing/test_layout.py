"""Where things stand, on pictures by chance: nothing overlaps, lines go down, frames have what is theirs."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator_dagster.drawing.layers import Pull, crossings, ordered, placed, rows_of
from orchestrator_dagster.drawing.layout import lay_out
from orchestrator_dagster.drawing.picture import Edge, Group, Node, Picture
from orchestrator_dagster.drawing.places import Box, Layout
from orchestrator_dagster.drawing.rows import FRAME_TITLE

Pictures = Callable[..., st.SearchStrategy[Picture]]
NEAR = 0.001


def made(picture: Picture) -> Layout:
    return lay_out(
        picture,
        lambda node: (60.0 + 7 * len(node.title), 30.0 + 15 * len(node.lines)),
        lambda label: 6.0 * len(label),
        lambda group: 6.0 * len(group.title),
    )


def apart(one: Box, other: Box) -> bool:
    return (
        one.right <= other.x + NEAR
        or other.right <= one.x + NEAR
        or one.bottom <= other.y + NEAR
        or other.bottom <= one.y + NEAR
    )


def inside(one: Box, frame: Box) -> bool:
    return (
        frame.x - NEAR <= one.x
        and one.right <= frame.right + NEAR
        and frame.y - NEAR <= one.y
        and one.bottom <= frame.bottom + NEAR
    )


@given(st.data())
def test_boxes_are_apart_and_frames_have_what_is_theirs(pictures: Pictures, data: st.DataObject) -> None:
    picture = data.draw(pictures())
    layout = made(picture)
    boxes = {**layout.nodes, **layout.groups}
    whole = Box(0, 0, layout.width, layout.height)
    assert boxes.keys() == set(picture.ids)
    assert all(inside(box, whole) for box in boxes.values())
    for one, other in combinations(boxes, 2):
        if other in picture.around(one):
            assert inside(boxes[one], boxes[other])
            assert boxes[one].y >= boxes[other].y + FRAME_TITLE  # the frame's words stand above it
        elif one in picture.around(other):
            assert inside(boxes[other], boxes[one])
        else:
            assert apart(boxes[one], boxes[other])


@given(st.data())
def test_lines_go_down_from_box_to_box_and_past_the_others(pictures: Pictures, data: st.DataObject) -> None:
    picture = data.draw(pictures())
    layout = made(picture)
    boxes = {**layout.nodes, **layout.groups}
    for wire in layout.wires:
        source, target = boxes[wire.edge.source], boxes[wire.edge.target]
        assert source.bottom <= target.y
        first, last = wire.runs[0], wire.runs[-1]
        assert first.top == pytest.approx(source.bottom)
        assert last.bottom == pytest.approx(target.y)
        assert source.x <= first.x <= source.right
        assert target.x <= last.x <= target.right
        assert all(upper.bottom <= lower.top + NEAR for upper, lower in pairwise(wire.runs))
        for run in wire.runs:
            line = Box(run.x, run.top, 0, run.bottom - run.top)
            assert all(apart(line, layout.nodes[name]) for name in layout.nodes)


@given(st.data())
def test_curves_stay_between_rows(pictures: Pictures, data: st.DataObject) -> None:
    picture = data.draw(pictures())
    layout = made(picture)
    for wire in layout.wires:
        for upper, lower in pairwise(wire.runs):
            left, right = sorted((upper.x, lower.x))
            curve = Box(left, upper.bottom, right - left, lower.top - upper.bottom)
            assert all(apart(curve, box) for box in layout.nodes.values())


@given(st.data())
def test_labels_overlap_nothing(pictures: Pictures, data: st.DataObject) -> None:
    picture = data.draw(pictures())
    layout = made(picture)
    labels = [wire.label for wire in layout.wires if wire.label is not None]
    assert len(labels) == sum(bool(edge.label) for edge in picture.edges)
    for label in labels:
        assert all(apart(label, box) for box in layout.nodes.values())
    assert all(apart(one, other) for one, other in combinations(labels, 2))
    for wire in layout.wires:
        if wire.label is not None:  # the line behind it is straight
            assert wire.runs[0].top <= wire.label.y
            assert wire.label.bottom <= wire.runs[0].bottom


@given(st.data())
def test_the_same_picture_gets_the_same_places(pictures: Pictures, data: st.DataObject) -> None:
    picture = data.draw(pictures())
    assert made(picture) == made(picture)


def chain(count: int) -> tuple[tuple[Node, ...], list[Edge]]:
    nodes = tuple(Node(f"n{at}", f"Step {at}", "tool") for at in range(count))
    return nodes, [Edge(f"n{at}", f"n{at + 1}") for at in range(count - 1)]


def test_a_chain_is_straight() -> None:
    nodes, edges = chain(8)
    assert all(len(wire.runs) == 1 for wire in made(Picture("", nodes, tuple(edges))).wires)


def test_a_step_that_all_use_takes_the_room_of_one_line() -> None:
    nodes, edges = chain(300)
    edges += [Edge("n0", f"n{at}") for at in range(2, 300)]
    assert made(Picture("", nodes, tuple(edges))).width < 600


def test_a_long_line_beside_a_chain_has_one_straight_way() -> None:
    nodes, edges = chain(12)
    (long,) = [one for one in made(Picture("", nodes, (*edges, Edge("n0", "n11")))).wires if one.edge.target == "n11"][
        1:
    ]
    assert len({run.x for run in long.runs}) <= 3


def test_a_cycle_is_refused() -> None:
    nodes, edges = chain(3)
    with pytest.raises(ValueError, match="cycle"):
        made(Picture("", nodes, (*edges, Edge("n2", "n0"))))
    around = Picture("", nodes, tuple(edges), (Group("g", "", ("n0", "n2")),))
    with pytest.raises(ValueError, match="cycle"):
        made(around)


def test_what_has_one_neighbour_stands_below_it() -> None:
    places = placed([[0, 1], [2]], [Pull(1, 2, 0.0, 1.0)], lambda left, right: 100.0)
    assert places[1] - places[0] >= 100
    assert places[2] == pytest.approx(places[1])


def test_rows_are_near_to_what_follows() -> None:
    links = [(0, 1), (1, 2), (2, 3), (4, 3)]
    assert rows_of(5, links) == [0, 1, 2, 3, 2]


@given(st.integers(1, 7), st.integers(1, 7), st.data())
def test_crossings_are_counted(above: int, below: int, data: st.DataObject) -> None:
    pairs = st.tuples(st.integers(0, above - 1), st.integers(above, above + below - 1))
    links = data.draw(st.lists(pairs, unique=True))
    ends: list[list[int]] = [[] for _ in range(above + below)]
    for upper, lower in links:
        ends[upper].append(lower)
    slow = sum((a - c) * (b - d) < 0 for (a, b), (c, d) in combinations(links, 2))
    assert crossings(range(above), range(above, above + below), ends) == slow


def test_crossings_that_need_not_be_are_gone() -> None:
    rows, links = [[0, 1, 2], [3, 4, 5]], [(0, 5), (1, 4), (2, 3)]
    upper, lower = ordered(rows, links)
    ends = [[lower for upper, lower in links if upper == vertex] for vertex in range(6)]
    assert crossings(upper, lower, ends) == 0
