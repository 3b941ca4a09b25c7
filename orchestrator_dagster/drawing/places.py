"""Where things stand in a picture: boxes, and the lines between them. Lengths are pixels, y goes downward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from orchestrator_dagster.drawing.picture import Edge


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
