"""Pictures made by chance: nodes in an order that edges follow, frames around neighbours, frames in frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st

from orchestrator_dagster.drawing.picture import EDGE_KINDS, NODE_KINDS, Edge, Group, Node, Picture


def anything(most: int) -> st.SearchStrategy[str]:
    return st.text(max_size=most) | st.sampled_from(
        ["end", 'a "b" [c]', "<b>&amp;", "]]>", "%%{init}%%", "日本", "\x00\n"]
    )


def _frames(first: int, last: int, depth: int, draw: Any, found: list[tuple[int, int]]) -> None:
    """Ranges of nodes, each inside or beside the others: with edges only forward, no frame is on a cycle."""
    start = first
    while start < last and depth < 3:
        end = draw(st.integers(start + 1, last))
        if draw(st.integers(0, 2)) == 0:
            found.append((start, end))
            _frames(start, end, depth + 1, draw, found)
        start = end


@st.composite
def _pictures(draw: Any, most: int = 14) -> Picture:
    count = draw(st.integers(1, most))
    names = [f"n{number}" for number in range(count)]
    ranges: list[tuple[int, int]] = []
    _frames(0, count, 0, draw, ranges)
    inner: dict[int, int] = {}
    for number, (start, end) in enumerate(ranges):  # frames come before those inside them
        inner.update(dict.fromkeys(range(start, end), number))
    parents = []
    for number, (start, end) in enumerate(ranges):
        around = [at for at in range(number) if ranges[at][0] <= start and end <= ranges[at][1]]
        parents.append(f"g{around[-1]}" if around else None)
    groups = tuple(
        Group(
            f"g{number}",
            draw(anything(80)),
            tuple(names[at] for at, group in inner.items() if group == number),
            parents[number],
        )
        for number in range(len(ranges))
    )
    nodes = tuple(
        Node(
            name, draw(anything(60)), draw(st.sampled_from(NODE_KINDS)), tuple(draw(st.lists(anything(60), max_size=4)))
        )
        for name in names
    )
    ends = [(name, at, at + 1) for at, name in enumerate(names)]
    ends += [(f"g{number}", start, end) for number, (start, end) in enumerate(ranges)]
    possible = [(one, other) for one, _, end in ends for other, start, _ in ends if end <= start]
    chosen = draw(st.lists(st.sampled_from(possible), max_size=2 * count)) if possible else []
    edges = tuple(
        Edge(one, other, draw(st.sampled_from(EDGE_KINDS)), draw(st.sampled_from(["", "on failure", "w" * 40])))
        for one, other in chosen
    )
    return Picture(draw(anything(40)), nodes, edges, groups)


@pytest.fixture(scope="session")
def pictures() -> Callable[..., st.SearchStrategy[Picture]]:
    """The strategy of such pictures, by the most nodes they may have."""
    return _pictures
