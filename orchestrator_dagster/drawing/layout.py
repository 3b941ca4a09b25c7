"""Where everything of a picture stands: rows of boxes, frames around groups, lines that pass between them.

A group is laid out by itself and then stands among its neighbours as one large box. So a frame has everything of its
group inside and nothing else. A line that passes a frame's border does so at a port, which both layouts know.
"""

from __future__ import annotations

from collections.abc import Callable

from orchestrator_dagster.drawing.picture import Edge, Group, Node, Picture
from orchestrator_dagster.drawing.places import Box, Layout, Run, Wire
from orchestrator_dagster.drawing.rows import FRAME, FRAME_TITLE, Level, Link, Rows, Size


def lay_out(
    picture: Picture,
    size: Callable[[Node], Size],
    label_width: Callable[[str], float],
    frame_width: Callable[[Group], float],
) -> Layout:
    """Find places for everything; the same picture always gets the same ones.

    Args:
        picture: What is drawn.
        size: Width and height of a node's box, in pixels.
        label_width: Width of an edge's label, in pixels.
        frame_width: Least width of a group's frame, in pixels, for its title.

    Raises:
        ValueError: The edges make a cycle, where each group counts as one box.
    """
    whole = _Planner(picture, size, label_width, frame_width).level(None)
    nodes: dict[str, Box] = {}
    groups: dict[str, Box] = {}
    runs: list[list[Run]] = [[] for _ in picture.edges]
    labels: dict[int, Box] = {}

    def collect(level: Level, x: float, y: float) -> None:
        for edge, run in level.runs:
            runs[edge].append(Run(run.x + x, run.top + y, run.bottom + y))
        labels.update({edge: box.moved(x, y) for edge, box in level.labels.items()})
        for name, box in level.boxes.items():
            place = box.moved(x, y)
            inner = level.inside.get(name)
            if inner is None:
                nodes[name] = place
            else:
                groups[name] = place
                collect(inner, place.x + inner.shift[0], place.y + inner.shift[1])

    collect(whole, 0.0, 0.0)
    wires = tuple(Wire(edge, _joined(runs[at]), labels.get(at)) for at, edge in enumerate(picture.edges))
    return Layout(whole.width, whole.height, nodes, groups, wires)


def _joined(runs: list[Run]) -> tuple[Run, ...]:
    """The runs of a line from top to bottom; those that continue each other are one."""
    done: list[Run] = []
    for run in sorted(runs, key=lambda one: (one.top, one.bottom)):
        if done and abs(done[-1].x - run.x) < 0.01:
            done[-1] = Run(run.x, done[-1].top, max(run.bottom, done[-1].bottom))
        else:
            done.append(run)
    return tuple(done)


class _Planner:
    """Lays out levels, the innermost first."""

    def __init__(
        self,
        picture: Picture,
        size: Callable[[Node], Size],
        label_width: Callable[[str], float],
        frame_width: Callable[[Group], float],
    ) -> None:
        self.nodes = {node.id: size(node) for node in picture.nodes}
        self.frames = {group.id: frame_width(group) for group in picture.groups}
        self.members: dict[str | None, list[str]] = {None: [], **{name: [] for name in self.frames}}
        listed: set[str] = set()
        for node in picture.nodes:  # a group stands where its first node does
            for name in (node.id, *picture.around(node.id)):
                if name not in listed:
                    listed.add(name)
                    self.members[picture.parents.get(name)].append(name)
        self.links: dict[str | None, list[Link]] = {name: [] for name in self.members}
        for number, edge in enumerate(picture.edges):
            self._split(number, edge, picture, label_width(edge.label) if edge.label else 0.0)

    def _split(self, number: int, edge: Edge, picture: Picture, label: float) -> None:
        """Note on every level the part of an edge there."""
        above = [*picture.around(edge.source), None]
        below = [*picture.around(edge.target), None]
        meeting = next(level for level in above if level in below)
        upper, lower = edge.source, edge.target
        for level in above[: above.index(meeting)]:
            assert level is not None
            self.links[level].append(Link(number, upper, None, edge.kind, label if upper == edge.source else 0.0))
            upper = level
        for level in below[: below.index(meeting)]:
            assert level is not None
            self.links[level].append(Link(number, None, lower, edge.kind))
            lower = level
        self.links[meeting].append(Link(number, upper, lower, edge.kind, label if upper == edge.source else 0.0))

    def level(self, name: str | None) -> Level:
        """Lay out what is in a group, or the whole."""
        inside: dict[str, Level] = {}
        sizes: dict[str, Size] = {}
        for member in self.members[name]:
            if member in self.nodes:
                sizes[member] = self.nodes[member]
                continue
            inner = self.level(member)
            width = max(inner.width + 2 * FRAME, self.frames[member])
            sizes[member] = (width, inner.height + FRAME_TITLE + 1.5 * FRAME)
            inside[member] = inner
        return Rows(sizes, self.links[name], inside).level()
