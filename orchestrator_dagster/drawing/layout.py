"""Where everything of a picture stands: rows of boxes, frames around groups, lines that pass between them.

A group is laid out by itself and then stands among its neighbours as one large box. So a frame has everything of its
group inside and nothing else. A line that passes a frame's border does so at a port, which both layouts know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from orchestrator_dagster.drawing.layers import Pull, ordered, placed, rows_of, straightened
from orchestrator_dagster.drawing.picture import Edge, Group, Node, Picture

Size = tuple[float, float]

# Lengths in pixels, chosen by eye at 30 boxes.
_BETWEEN_BOXES, _BESIDE_LINE, _BETWEEN_LINES = 30.0, 20.0, 14.0
_PORT, _BORDER = 16.0, 12.0  # room of a line at a box, and what stays free at the box's corners
_ROW_GAP, _ROW_GAP_MOST, _GAP_BY_DISTANCE = 34.0, 84.0, 0.1  # wider where lines go far aside, or they would lie flat
LABEL_HEIGHT, _LABEL_ZONE, _LABEL_GAP = 16.0, 24.0, 8.0
_FRAME, FRAME_TITLE = 16.0, 26.0


@dataclass(frozen=True)
class Box:
    """A rectangle: its upper left corner and its size, y downward."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Its right side."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Its lower side."""
        return self.y + self.height

    def moved(self, x: float, y: float) -> Box:
        """The same, elsewhere."""
        return replace(self, x=self.x + x, y=self.y + y)


@dataclass(frozen=True)
class Run:
    """A vertical part of a line: nothing else is in its way. Between two runs, a line passes a gap between rows."""

    x: float
    top: float
    bottom: float


@dataclass(frozen=True)
class Wire:
    """Where an edge passes, from its source down to its target, and where its label stands."""

    edge: Edge
    runs: tuple[Run, ...]
    label: Box | None = None


@dataclass(frozen=True)
class Layout:
    """Places of a whole picture, by the ids of nodes and groups; wires in the order of the picture's edges."""

    width: float
    height: float
    nodes: Mapping[str, Box]
    groups: Mapping[str, Box]
    wires: tuple[Wire, ...]


@dataclass(frozen=True)
class _Link:
    """The part of an edge on one level, between two boxes there; None is the border of the frame around the level."""

    edge: int
    upper: str | None
    lower: str | None
    label: float = 0.0  # width


@dataclass
class _Level:
    """What stands in one frame, relative to the upper left corner of its content."""

    boxes: dict[str, Box] = field(default_factory=dict)
    inside: dict[str, _Level] = field(default_factory=dict)
    runs: list[tuple[int, Run]] = field(default_factory=list)
    labels: dict[int, Box] = field(default_factory=dict)
    entries: dict[int, float] = field(default_factory=dict)
    exits: dict[int, float] = field(default_factory=dict)
    width: float = 0.0
    height: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)  # of the content in its frame


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

    def collect(level: _Level, x: float, y: float) -> None:
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
        self.links: dict[str | None, list[_Link]] = {name: [] for name in self.members}
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
            self.links[level].append(_Link(number, upper, None, label if upper == edge.source else 0.0))
            upper = level
        for level in below[: below.index(meeting)]:
            assert level is not None
            self.links[level].append(_Link(number, None, lower))
            lower = level
        self.links[meeting].append(_Link(number, upper, lower, label if upper == edge.source else 0.0))

    def level(self, name: str | None) -> _Level:
        """Lay out what is in a group, or the whole."""
        inside: dict[str, _Level] = {}
        sizes: dict[str, Size] = {}
        for member in self.members[name]:
            if member in self.nodes:
                sizes[member] = self.nodes[member]
                continue
            inner = self.level(member)
            width = max(inner.width + 2 * _FRAME, self.frames[member])
            sizes[member] = (width, inner.height + FRAME_TITLE + 1.5 * _FRAME)
            inside[member] = inner
        return _Rows(sizes, self.links[name], inside).level()


class _Rows:
    """One level in rows. Vertices are boxes, bends of long lines in the rows that these pass, and ports."""

    def __init__(self, sizes: Mapping[str, Size], links: Sequence[_Link], inside: dict[str, _Level]) -> None:
        self.links, self.inside = links, inside
        self.names = list(sizes)
        self.number = {name: vertex for vertex, name in enumerate(self.names)}
        self.widths = [max(sizes[name][0], self._ports_need(name)) for name in self.names]
        self.heights = [sizes[name][1] for name in self.names]
        for name, inner in inside.items():
            inner.shift = ((self.widths[self.number[name]] - inner.width) / 2, FRAME_TITLE + _FRAME / 2)
        self.chains = self._chains()
        count = len(self.widths)
        steps = [step for chain in self.chains for step in pairwise(chain)]
        rows: list[list[int]] = [[] for _ in range(max(self.row, default=-1) + 1)]
        for vertex in range(count):
            rows[self.row[vertex]].append(vertex)
        self.rows = ordered(rows, steps)
        self.from_upper: list[float] = [0.0] * len(links)
        self.to_lower: list[float] = [0.0] * len(links)
        self._spread_ports()
        self.x = placed(self.rows, self._pulls(), self._distance)
        bends = [[one for one in chain if one >= len(self.names)] for chain in self.chains]
        straightened(self.rows, self.x, [chain for chain in bends if chain], self._distance)

    def _ports_need(self, name: str) -> float:
        labels = [link.label + _LABEL_GAP if link.label else _PORT for link in self.links if link.upper == name]
        labelled = any(link.label for link in self.links if link.upper == name)
        return sum(labels) + 2 * _BORDER if labelled else 0.0

    def _chains(self) -> list[list[int]]:
        """The vertices that each link passes, one in each row from its upper to its lower end; fills ``row``."""
        between = [
            (self.number[link.upper], self.number[link.lower])
            for link in self.links
            if link.upper is not None and link.lower is not None
        ]
        first = int(any(link.upper is None for link in self.links))
        self.row = [row + first for row in rows_of(len(self.names), between)]
        last = max(self.row, default=0) + 1
        chains = []
        for link in self.links:
            upper = self.number[link.upper] if link.upper is not None else self._bend(0)
            lower = self.number[link.lower] if link.lower is not None else self._bend(last)
            passed = [self._bend(row) for row in range(self.row[upper] + 1, self.row[lower])]
            chains.append([upper, *passed, lower])
        return chains

    def _bend(self, row: int) -> int:
        self.row.append(row)
        self.widths.append(0.0)
        self.heights.append(0.0)
        return len(self.row) - 1

    def _spread_ports(self) -> None:
        """Where links leave and reach their boxes, relative to the box's middle: in the order of their other ends."""
        position = {vertex: place for row in self.rows for place, vertex in enumerate(row)}
        leaving: list[list[int]] = [[] for _ in self.names]
        reaching: list[list[int]] = [[] for _ in self.names]
        for at, link in enumerate(self.links):
            for name, fixed, lists, ends in (
                (link.upper, "exits", leaving, self.from_upper),
                (link.lower, "entries", reaching, self.to_lower),
            ):
                if name is None:
                    continue
                inner = self.inside.get(name)
                port = getattr(inner, fixed).get(link.edge) if inner else None
                if inner is None or port is None:
                    lists[self.number[name]].append(at)
                else:
                    ends[at] = port + inner.shift[0] - self.widths[self.number[name]] / 2
        for vertex in range(len(self.names)):
            leaving[vertex].sort(key=lambda at: position[self.chains[at][1]])
            reaching[vertex].sort(key=lambda at: position[self.chains[at][-2]])
            room = self.widths[vertex] - 2 * _BORDER
            labels = [self.links[at].label for at in leaving[vertex]]
            needs = [label + _LABEL_GAP if label else _PORT for label in labels]
            for ends, links, wide in (
                (self.from_upper, leaving[vertex], needs),
                (self.to_lower, reaching[vertex], [_PORT] * len(reaching[vertex])),
            ):
                scale = min(1.0, room / sum(wide)) if wide else 1.0
                at_x = -sum(wide) * scale / 2
                for at, need in zip(links, wide, strict=True):
                    ends[at] = at_x + need * scale / 2
                    at_x += need * scale

    def _pulls(self) -> list[Pull]:
        found = []
        boxes = len(self.names)
        for at, chain in enumerate(self.chains):
            for upper, lower in pairwise(chain):
                leaves = self.from_upper[at] if upper == chain[0] else 0.0
                arrives = self.to_lower[at] if lower == chain[-1] else 0.0
                bends = (upper >= boxes) + (lower >= boxes)
                found.append(Pull(upper, lower, leaves - arrives, (1.0, 2.0, 8.0)[bends]))  # long lines straightest
        return found

    def _distance(self, left: int, right: int) -> float:
        bends = (left >= len(self.names)) + (right >= len(self.names))
        free = (_BETWEEN_BOXES, _BESIDE_LINE, _BETWEEN_LINES)[bends]
        return (self.widths[left] + self.widths[right]) / 2 + free

    def level(self) -> _Level:
        """The places found, from 0 to the right and downward."""
        left = min((self.x[vertex] - self.widths[vertex] / 2 for vertex in range(len(self.x))), default=0.0)
        self.x = [x - left for x in self.x]
        tops, bottoms = self._heights()
        made = _Level(inside=self.inside, height=bottoms[-1] if bottoms else 0.0)
        made.width = max((self.x[vertex] + self.widths[vertex] / 2 for vertex in range(len(self.x))), default=0.0)
        for vertex, name in enumerate(self.names):
            width, height = self.widths[vertex], self.heights[vertex]
            made.boxes[name] = Box(self.x[vertex] - width / 2, tops[self.row[vertex]], width, height)
        for at, link in enumerate(self.links):
            chain = self.chains[at]
            for vertex in chain:
                top, bottom, x = tops[self.row[vertex]], bottoms[self.row[vertex]], self.x[vertex]
                if vertex == chain[0] and link.upper is not None:
                    x, top = x + self.from_upper[at], top + self.heights[vertex]
                elif vertex == chain[-1] and link.lower is not None:
                    x, bottom = x + self.to_lower[at], top
                made.runs.append((link.edge, Run(x, top, bottom)))
            ends = made.boxes[link.upper].bottom if link.upper is not None else 0.0
            if link.label:
                middle = self.x[chain[0]] + self.from_upper[at]
                label = Box(middle - link.label / 2, ends + 4, link.label, LABEL_HEIGHT)
                made.labels[link.edge] = label
            self._ports(link, chain, made)
        return made

    def _ports(self, link: _Link, chain: Sequence[int], made: _Level) -> None:
        """Where the link passes the frame around this level, and its way through the frame's border."""
        if link.upper is None:
            x = made.entries[link.edge] = self.x[chain[0]]
            made.runs.append((link.edge, Run(x, -FRAME_TITLE - _FRAME / 2, 0.0)))
        if link.lower is None:
            x = made.exits[link.edge] = self.x[chain[-1]]
            made.runs.append((link.edge, Run(x, made.height, made.height + _FRAME)))

    def _heights(self) -> tuple[list[float], list[float]]:
        """Upper and lower end of every row; labels stand right below the boxes of their row."""
        heights, aside = [0.0] * len(self.rows), [0.0] * len(self.rows)
        for vertex, height in enumerate(self.heights):
            heights[self.row[vertex]] = max(heights[self.row[vertex]], height)
        for at, link in enumerate(self.links):
            chain = self.chains[at]
            if link.label:
                row = self.row[chain[0]]
                heights[row] = max(heights[row], self.heights[chain[0]] + _LABEL_ZONE)
            for upper, lower in pairwise(chain):
                start = self.x[upper] + (self.from_upper[at] if upper == chain[0] else 0.0)
                end = self.x[lower] + (self.to_lower[at] if lower == chain[-1] else 0.0)
                aside[self.row[upper]] = max(aside[self.row[upper]], abs(end - start))
        tops, bottoms, y = [], [], 0.0
        for height, far in zip(heights, aside, strict=True):
            tops.append(y)
            bottoms.append(y + height)
            y += height + min(_ROW_GAP_MOST, _ROW_GAP + far * _GAP_BY_DISTANCE)
        return tops, bottoms
