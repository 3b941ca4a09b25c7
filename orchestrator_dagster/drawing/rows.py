"""One level of a picture in rows: what stands in one frame, and the parts of the lines there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from orchestrator_dagster.drawing.layers import Pull, ordered, placed, rows_of, snapped, straightened
from orchestrator_dagster.drawing.picture import EdgeKind
from orchestrator_dagster.drawing.places import Box, Run

Size = tuple[float, float]
_Stem = tuple[str, EdgeKind, bool]

# Lengths in pixels, chosen by eye at 30 boxes.
_BETWEEN_BOXES, _BESIDE_LINE, _BETWEEN_LINES = 30.0, 20.0, 14.0
_PORT, _BORDER = 16.0, 12.0  # room of a line at a box, and what stays free at the box's corners
_ROW_GAP, _ROW_GAP_MOST, _GAP_BY_DISTANCE = 34.0, 84.0, 0.1  # wider where lines go far aside, or they would lie flat
LABEL_HEIGHT, _LABEL_ZONE, _LABEL_GAP = 16.0, 24.0, 8.0
_BUSY = 6  # lines at one box; fewer are easier to follow each by itself
FRAME, FRAME_TITLE = 16.0, 26.0


@dataclass(frozen=True)
class Link:
    """The part of an edge on one level, between two boxes there; None is the border of the frame around the level."""

    edge: int
    upper: str | None
    lower: str | None
    kind: EdgeKind
    label: float = 0.0  # width


@dataclass
class Level:
    """What stands in one frame, relative to the upper left corner of its content."""

    boxes: dict[str, Box] = field(default_factory=dict)
    inside: dict[str, Level] = field(default_factory=dict)
    runs: list[tuple[int, Run]] = field(default_factory=list)
    labels: dict[int, Box] = field(default_factory=dict)
    entries: dict[int, float] = field(default_factory=dict)
    exits: dict[int, float] = field(default_factory=dict)
    width: float = 0.0
    height: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)  # of the content in its frame


class Rows:
    """One level in rows. Vertices are boxes, bends of long lines in the rows that these pass, and ports."""

    def __init__(self, sizes: Mapping[str, Size], links: Sequence[Link], inside: dict[str, Level]) -> None:
        self.links, self.inside = links, inside
        self.names = list(sizes)
        self.number = {name: vertex for vertex, name in enumerate(self.names)}
        self.leaving: dict[str | None, list[Link]] = {}
        for link in links:
            self.leaving.setdefault(link.upper, []).append(link)
        self.widths = [max(sizes[name][0], self._ports_need(name)) for name in self.names]
        self.heights = [sizes[name][1] for name in self.names]
        for name, inner in inside.items():
            inner.shift = ((self.widths[self.number[name]] - inner.width) / 2, FRAME_TITLE + FRAME / 2)
        self.chains = self._chains()
        count = len(self.widths)
        steps = list(dict.fromkeys(step for chain in self.chains for step in pairwise(chain)))
        rows: list[list[int]] = [[] for _ in range(max(self.row, default=-1) + 1)]
        for vertex in range(count):
            rows[self.row[vertex]].append(vertex)
        self.rows = ordered(rows, steps)
        self.from_upper: list[float] = [0.0] * len(links)
        self.to_lower: list[float] = [0.0] * len(links)
        self._spread_ports()
        rough, exact = self._pulls()
        self.x = placed(self.rows, rough, self._distance)
        snapped(self.rows, self.x, exact, self._distance)
        straightened(self.rows, self.x, self._lines(), self._distance)

    def _ports_need(self, name: str) -> float:
        """Least width of a box whose lines have labels right below it."""
        links = self.leaving.get(name, [])
        wide = sum(link.label + _LABEL_GAP if link.label else _PORT for link in links)
        return wide + 2 * _BORDER if any(link.label for link in links) else 0.0

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
        shared: dict[tuple[int, _Stem], int] = {}
        chains = []
        for link, stem in zip(self.links, self._stems(), strict=True):
            upper = self.number[link.upper] if link.upper is not None else self._bend(0)
            lower = self.number[link.lower] if link.lower is not None else self._bend(last)
            passed = []
            for row in range(self.row[upper] + 1, self.row[lower]):
                if stem is None:
                    bend = self._bend(row)
                else:
                    way = (row, stem)
                    bend = shared[way] if way in shared else self._bend(row)
                    shared[way] = bend
                passed.append(bend)
            chains.append([upper, *passed, lower])
        return chains

    def _stems(self) -> list[_Stem | None]:
        """What long lines of one kind share their way with: those that leave, or those that reach, the same box.

        Each line belongs to the busier of its two ends. So a box that hundreds use takes the room of one line.
        """
        leave = Counter((link.upper, link.kind) for link in self.links)
        reach = Counter((link.lower, link.kind) for link in self.links)
        found: list[_Stem | None] = []
        for link in self.links:
            leaving, reaching = leave[link.upper, link.kind], reach[link.lower, link.kind]
            if link.upper is None or link.lower is None or link.label or max(leaving, reaching) < _BUSY:
                found.append(None)
            elif leaving >= reaching:
                found.append((link.upper, link.kind, True))
            else:
                found.append((link.lower, link.kind, False))
        return found

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
            self._spread(vertex, leaving[vertex], 1, self.from_upper)
            self._spread(vertex, reaching[vertex], -2, self.to_lower)

    def _spread(self, vertex: int, links: Sequence[int], following: int, ends: list[float]) -> None:
        """Spread the ends of links along a box; links that go on to the same bend have one end."""
        ports: dict[int, list[int]] = {}
        for at in links:
            other = self.chains[at][following]
            ports.setdefault(other if other >= len(self.names) else -1 - at, []).append(at)
        labels = [self.links[port[0]].label if following == 1 else 0.0 for port in ports.values()]
        wide = [label + _LABEL_GAP if label else _PORT for label in labels]
        scale = min(1.0, (self.widths[vertex] - 2 * _BORDER) / sum(wide)) if wide else 1.0
        x = -sum(wide) * scale / 2
        for port, need in zip(ports.values(), wide, strict=True):
            for at in port:
                ends[at] = x + need * scale / 2
            x += need * scale

    def _pulls(self) -> tuple[list[Pull], list[Pull]]:
        """The links' wishes: roughly, then to the pixel.

        Roughly, two boxes stand middle below middle: else the places of their ends would carry long chains aside.
        """
        rough: dict[tuple[int, int, float], Pull] = {}
        exact: dict[tuple[int, int, float], Pull] = {}
        boxes = len(self.names)
        for at, chain in enumerate(self.chains):
            for upper, lower in pairwise(chain):
                leaves = self.from_upper[at] if upper == chain[0] else 0.0
                arrives = self.to_lower[at] if lower == chain[-1] else 0.0
                bends = (upper >= boxes) + (lower >= boxes)
                weight = (1.0, 2.0, 8.0)[bends]  # long lines straightest
                aside = leaves - arrives
                exact[upper, lower, aside] = Pull(upper, lower, aside, weight)
                aside = aside if bends else 0.0
                rough[upper, lower, aside] = Pull(upper, lower, aside, weight)
        return list(rough.values()), list(exact.values())

    def _lines(self) -> list[tuple[list[int], list[float]]]:
        """Every line with bends: these, and where it leaves and reaches boxes; of lines on one way, the longest."""
        found: list[tuple[list[int], list[float]]] = []
        seen: set[int] = set()
        for at in sorted(range(len(self.links)), key=lambda at: -len(self.chains[at])):
            link, chain = self.links[at], self.chains[at]
            bends = [one for one in chain if one >= len(self.names)]
            ends = [self.x[chain[0]] + self.from_upper[at]] if link.upper is not None else []
            ends += [self.x[chain[-1]] + self.to_lower[at]] if link.lower is not None else []
            if bends and seen.isdisjoint(bends):
                found.append((bends, ends))
                seen.update(bends)
        return found

    def _distance(self, left: int, right: int) -> float:
        bends = (left >= len(self.names)) + (right >= len(self.names))
        free = (_BETWEEN_BOXES, _BESIDE_LINE, _BETWEEN_LINES)[bends]
        return (self.widths[left] + self.widths[right]) / 2 + free

    def level(self) -> Level:
        """The places found, from 0 to the right and downward."""
        left = min((self.x[vertex] - self.widths[vertex] / 2 for vertex in range(len(self.x))), default=0.0)
        self.x = [x - left for x in self.x]
        tops, bottoms = self._heights()
        made = Level(inside=self.inside, height=bottoms[-1] if bottoms else 0.0)
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

    def _ports(self, link: Link, chain: Sequence[int], made: Level) -> None:
        """Where the link passes the frame around this level, and its way through the frame's border."""
        if link.upper is None:
            x = made.entries[link.edge] = self.x[chain[0]]
            made.runs.append((link.edge, Run(x, -FRAME_TITLE - FRAME / 2, 0.0)))
        if link.lower is None:
            x = made.exits[link.edge] = self.x[chain[-1]]
            made.runs.append((link.edge, Run(x, made.height, made.height + FRAME)))

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
