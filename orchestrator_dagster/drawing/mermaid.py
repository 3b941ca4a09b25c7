"""A picture as Mermaid text, which code hosts and editors draw."""

from __future__ import annotations

import json
from collections.abc import Iterator

from orchestrator_dagster.drawing.picture import ROUTES, Edge, EdgeKind, Node, NodeKind, Picture
from orchestrator_dagster.drawing.text_width import plain

_LONGEST, _LINES = 60, 3  # characters of a line, lines of detail
_JOINING = frozenset("._-/")  # plain inside a word; at its edge they may be Markdown, which Mermaid reads in labels
_SHAPES: dict[NodeKind, tuple[str, str]] = {
    "input": ("[/", "/]"), "output": ("[/", "/]"), "model": ("([", "])"), "product": ("[(", ")]"),
    "pipeline": ("[[", "]]"), "loop": ("{{", "}}"),
}  # fmt: skip
_ARROWS: dict[EdgeKind, str] = {"makes": "--o", **dict.fromkeys(ROUTES, "-.->")}
# Light boxes with dark text can be read on a light and on a dark page.
_STYLES: dict[NodeKind, str] = {
    "input": "fill:#eef1f5,stroke:#5b6b7b,color:#1c2430",
    "output": "fill:#eef1f5,stroke:#5b6b7b,color:#1c2430",
    "tool": "fill:#e8f0fe,stroke:#2563eb,color:#1c2430",
    "model": "fill:#f3e8ff,stroke:#7c3aed,color:#1c2430",
    "builtin": "fill:#f1f5f9,stroke:#64748b,color:#1c2430",
    "pipeline": "fill:#e0f5f2,stroke:#0f766e,color:#1c2430",
    "loop": "fill:#fff3df,stroke:#b45309,color:#1c2430",
    "product": "fill:#e7f6ea,stroke:#15803d,color:#1c2430",
}
_LINKS: dict[EdgeKind, str] = {"on_success": "#15803d", "on_false": "#b45309", "on_failure": "#dc2626"}


def mermaid(picture: Picture) -> str:
    """The picture as a Mermaid flowchart from top to bottom.

    Routes are dashed and have labels; groups are subgraphs; every kind of box is a class. Whatever a text holds, it
    is shown and never read as Mermaid: all but letters, digits and marks inside words is written as ``#code;``.
    """
    return "\n".join([*_lines(picture), ""])


def _lines(picture: Picture) -> Iterator[str]:
    ids = {node.id: f"n{number}" for number, node in enumerate(picture.nodes, 1)}
    ids |= {group.id: f"g{number}" for number, group in enumerate(picture.groups, 1)}
    if plain(picture.title):
        yield from ("---", f"title: {json.dumps(plain(picture.title), ensure_ascii=False)}", "---")
    yield "flowchart TD"
    yield from _level(picture, None, ids, "  ")
    for edge in picture.edges:
        yield f"  {ids[edge.source]} {_arrow(edge)} {ids[edge.target]}"
    kinds = {node.kind for node in picture.nodes}
    for kind, style in _STYLES.items():
        if kind in kinds:
            yield f"  classDef {kind} {style}"
    for key, colour in _LINKS.items():
        numbers = [str(number) for number, edge in enumerate(picture.edges) if edge.kind == key]
        if numbers:
            yield f"  linkStyle {','.join(numbers)} stroke:{colour}"


def _level(picture: Picture, frame: str | None, ids: dict[str, str], indent: str) -> Iterator[str]:
    for node in picture.nodes:
        if picture.parents.get(node.id) == frame:
            yield f"{indent}{ids[node.id]}{_box(node)}"
    for group in picture.groups:
        if group.parent == frame:
            yield f'{indent}subgraph {ids[group.id]}["{_escaped(group.title)}"]'
            yield from _level(picture, group.id, ids, f"{indent}  ")
            yield f"{indent}end"


def _box(node: Node) -> str:
    opened, closed = _SHAPES.get(node.kind, ("[", "]"))
    text = "<br/>".join(_escaped(line) for line in (node.title, *node.lines[:_LINES]))
    return f'{opened}"{text}"{closed}:::{node.kind}'


def _arrow(edge: Edge) -> str:
    arrow = _ARROWS.get(edge.kind, "-->")
    return f'{arrow}|"{_escaped(edge.label)}"|' if edge.label else arrow


def _escaped(text: str) -> str:
    """A text that Mermaid shows as it is, cut when long; never empty, for an empty text would not be one."""
    line = plain(text) or "…"
    if len(line) > _LONGEST:
        line = line[: _LONGEST - 1].rstrip() + "…"
    around = f" {line} "
    return "".join(
        one
        if one.isalnum() or one in " ," or (one in _JOINING and before.isalnum() and after.isalnum())
        else f"#{ord(one)};"
        for before, one, after in zip(around, line, around[2:], strict=False)
    )
