"""What a drawing shows: boxes, lines between them, and frames around them. It knows nothing of pipelines or formats."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

NodeKind = Literal["input", "tool", "model", "builtin", "pipeline", "loop", "product", "output"]
EdgeKind = Literal["dependency", "on_success", "on_false", "on_failure", "makes"]
NODE_KINDS: tuple[NodeKind, ...] = get_args(NodeKind)
EDGE_KINDS: tuple[EdgeKind, ...] = get_args(EdgeKind)
#: Edges that are taken only when their source ended in a certain way.
ROUTES: tuple[EdgeKind, ...] = ("on_success", "on_false", "on_failure")


@dataclass(frozen=True)
class Node:
    """A box: its title, and lines of detail below it. ``product`` is the asset's key where the box is a product."""

    id: str
    title: str
    kind: NodeKind
    lines: tuple[str, ...] = ()
    product: str | None = None


@dataclass(frozen=True)
class Edge:
    """A line from a node or group to another, read downward."""

    source: str
    target: str
    kind: EdgeKind = "dependency"
    label: str = ""


@dataclass(frozen=True)
class Group:
    """A frame around nodes, and around the groups whose ``parent`` it is."""

    id: str
    title: str
    members: tuple[str, ...]
    parent: str | None = None


@dataclass(frozen=True)
class Picture:
    """All that is drawn. Nodes and groups share one set of ids; a group counts as one box among its neighbours.

    Raises:
        ValueError: An id is there twice, an edge or a group names what is not there, a node is in two groups, a group
            has nothing in it or lies in itself, or an edge joins a group with something inside it.
    """

    title: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...] = ()
    groups: tuple[Group, ...] = ()

    def __post_init__(self) -> None:
        ids, known = self.ids, set(self.ids)
        nodes, groups = {node.id for node in self.nodes}, {group.id for group in self.groups}
        members = [member for group in self.groups for member in group.members]
        if len(known) != len(ids):
            raise ValueError("nodes and groups need different ids")
        if len(set(members)) != len(members) or not nodes.issuperset(members):
            raise ValueError("the members of groups are nodes, each in one group at most")
        if any(group.parent is not None and group.parent not in groups for group in self.groups):
            raise ValueError("the parent of a group is a group")
        for group in self.groups:
            if group.id in list(self._upwards(group.id)):
                raise ValueError(f'the group "{group.id}" lies in itself')
        filled = {above for member in members for above in self._upwards(member)}
        if groups - filled:
            raise ValueError(f"groups without anything in them: {sorted(groups - filled)}")
        for edge in self.edges:
            if edge.source not in known or edge.target not in known or edge.source == edge.target:
                raise ValueError(f'no edge can lead from "{edge.source}" to "{edge.target}"')
            if edge.source in self.around(edge.target) or edge.target in self.around(edge.source):
                raise ValueError(f'"{edge.source}" and "{edge.target}" lie in each other')

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all nodes, then of all groups."""
        return (*(node.id for node in self.nodes), *(group.id for group in self.groups))

    @cached_property
    def parents(self) -> dict[str, str]:
        """The group that each node or group lies in, where it lies in one."""
        found = {member: group.id for group in self.groups for member in group.members}
        return found | {group.id: group.parent for group in self.groups if group.parent is not None}

    def _upwards(self, name: str) -> Iterator[str]:
        """The groups around a node or group, from the innermost; it ends also when groups lie in each other."""
        for _ in range(len(self.groups)):
            if name not in self.parents:
                return
            name = self.parents[name]
            yield name

    def around(self, name: str) -> tuple[str, ...]:
        """The groups around a node or group, from the innermost to the outermost."""
        return tuple(self._upwards(name))
