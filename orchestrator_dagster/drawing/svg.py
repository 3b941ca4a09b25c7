"""A picture as a standalone SVG document: it needs no font, script or file beside it, and fits light and dark pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from xml.sax.saxutils import escape

from orchestrator_dagster.drawing.layout import lay_out
from orchestrator_dagster.drawing.picture import NODE_KINDS, EdgeKind, Group, Node, NodeKind, Picture
from orchestrator_dagster.drawing.places import Box, Wire
from orchestrator_dagster.drawing.rows import LABEL_HEIGHT
from orchestrator_dagster.drawing.svg_style import MARKS, style
from orchestrator_dagster.drawing.text_width import fitted, plain, text_width

# Lengths in pixels.
_TITLE, _LINE, _LABEL, _HEADING = 13.0, 11.0, 10.5, 18.0  # font sizes
_LINES, _LINE_STEP = 3, 15.0
_MARK, _TEXT_LEFT, _TEXT_RIGHT, _TEXT_MOST, _LEAST = 11.0, 36.0, 14.0, 250.0, 110.0
_FRAME_TITLE_MOST = 420.0
_MARGIN, _HEADING_HEIGHT, _LEGEND_ROW, _ARROW = 24.0, 40.0, 22.0, 7.0
_MARK_SIZE = 14.0

_NODE_WORDS: dict[NodeKind, str] = {
    "input": "inputs", "tool": "tool", "model": "model", "builtin": "built-in action", "pipeline": "pipeline",
    "loop": "loop", "product": "product", "output": "outputs",
}  # fmt: skip
_EDGE_WORDS: dict[EdgeKind, str] = {
    "dependency": "then", "on_success": "goes there on success", "on_false": "goes there if the condition is false",
    "on_failure": "goes there on failure", "makes": "makes",
}  # fmt: skip


def svg(picture: Picture) -> str:
    """The picture as an SVG document. What is cut for room stands whole in the tooltip of its box.

    Raises:
        ValueError: The edges make a cycle, where each group counts as one box.
    """
    layout = lay_out(picture, _size, _label_width, _frame_width)
    heading = fitted(plain(picture.title), _HEADING, 900, bold=True)
    wide = max(layout.width, text_width(heading, _HEADING, bold=True), 320.0)
    implied = _implied(picture)
    entries = list(_legend_entries(picture, any(implied)))
    rows = _legend_rows(entries, wide)
    width = wide + 2 * _MARGIN
    top = _MARGIN + (_HEADING_HEIGHT if heading else 0)
    legend_top = top + layout.height + 1.5 * _MARGIN
    height = legend_top + len(rows) * _LEGEND_ROW + _MARGIN / 2
    x, y = _MARGIN + (wide - layout.width) / 2, top
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_n(width)}" height="{_n(height)}"'
        f' viewBox="0 0 {_n(width)} {_n(height)}" role="img" aria-labelledby="picture-title">',
        f'<title id="picture-title">{_text(picture.title)}</title>',
        f"<style>{style()}</style>",
        f'<rect class="page" width="{_n(width)}" height="{_n(height)}"/>',
    ]
    if heading:
        parts.append(_words(heading, _MARGIN, _MARGIN + _HEADING, _HEADING, "heading", bold=True))
    outer_first = sorted(picture.groups, key=lambda group: len(picture.around(group.id)))
    parts += [line for group in outer_first for line in _frame(group, layout.groups[group.id].moved(x, y))]
    for faint, wire in sorted(zip(implied, layout.wires, strict=True), key=lambda pair: not pair[0]):  # strong on top
        parts += _wire(wire, x, y, faint)
    parts += [_frame_title(group, layout.groups[group.id].moved(x, y)) for group in outer_first]
    for node in picture.nodes:
        parts += _node(node, layout.nodes[node.id].moved(x, y))
    for wire in layout.wires:
        if wire.label is not None:
            parts += _label(wire.edge.label, wire.edge.kind, wire.label.moved(x, y))
    for number, row in enumerate(rows):
        parts += _legend_row(row, legend_top + (number + 0.5) * _LEGEND_ROW)
    return "\n".join([*parts, "</svg>", ""])


def _n(number: float) -> str:
    return f"{round(number, 1):g}" if abs(number) < 1e5 else f"{number:.1f}"


def _text(text: str) -> str:
    return escape(plain(text))


def _shown(node: Node) -> tuple[str, list[str]]:
    """Title and lines of a box, cut to its widest."""
    title = fitted(plain(node.title), _TITLE, _TEXT_MOST, bold=True)
    return title, [fitted(plain(line), _LINE, _TEXT_MOST) for line in node.lines[:_LINES]]


def _size(node: Node) -> tuple[float, float]:
    title, lines = _shown(node)
    text = max([text_width(title, _TITLE, bold=True), *(text_width(line, _LINE) for line in lines)])
    return max(_LEAST, _TEXT_LEFT + text + _TEXT_RIGHT), 34.0 + _LINE_STEP * len(lines)


def _label_width(label: str) -> float:
    return text_width(_label_text(label), _LABEL) + 12.0


def _label_text(label: str) -> str:
    return fitted(plain(label), _LABEL, 160)


def _frame_width(group: Group) -> float:
    title = fitted(plain(group.title), _LINE, _FRAME_TITLE_MOST, bold=True)
    return text_width(title, _LINE, bold=True) + _TEXT_LEFT + _TEXT_RIGHT


def _words(text: str, x: float, y: float, size: float, kind: str, bold: bool = False) -> str:
    """One line of text. Where its width is known, it is fixed: in another font too, the text stays in its box."""
    width = _n(text_width(text, size, bold))
    fixed = f' textLength="{width}" lengthAdjust="spacingAndGlyphs"' if text and text.isascii() else ""
    return f'<text class="{kind}" x="{_n(x)}" y="{_n(y)}"{fixed}>{escape(text)}</text>'


def _mark(kind: str, x: float, y: float) -> str:
    return f'<path class="mark" transform="translate({_n(x)} {_n(y)})" d="{MARKS[kind]}"/>'


def _tooltip(node: Node) -> str:
    return "\n".join(escape(plain(line)) for line in (node.title, *node.lines))


def _node(node: Node, box: Box) -> Iterator[str]:
    title, lines = _shown(node)
    yield f'<g class="node {node.kind}"><title>{_tooltip(node)}</title>'
    yield _rectangle(box, 8, "box")
    yield _mark(node.kind, box.x + _MARK, box.y + 10)
    yield _words(title, box.x + _TEXT_LEFT, box.y + 22, _TITLE, "name", bold=True)
    for number, line in enumerate(lines, 1):
        yield _words(line, box.x + _TEXT_LEFT, box.y + 23 + number * _LINE_STEP, _LINE, "line")
    yield "</g>"


def _frame(group: Group, box: Box) -> Iterator[str]:
    yield f'<g class="frame loop"><title>{_text(group.title)}</title>'
    yield _rectangle(box, 12, "border")
    yield _mark("loop", box.x + _MARK, box.y + 7) + "</g>"


def _frame_title(group: Group, box: Box) -> str:
    """The words on a frame, above lines that pass its border."""
    title = fitted(plain(group.title), _LINE, box.width - _TEXT_LEFT - _TEXT_RIGHT + 0.1, bold=True)
    return _words(title, box.x + _TEXT_LEFT - 4, box.y + 18, _LINE, "frame-name", bold=True)


def _rectangle(box: Box, radius: float, kind: str) -> str:
    return (
        f'<rect class="{kind}" x="{_n(box.x)}" y="{_n(box.y)}" width="{_n(box.width)}"'
        f' height="{_n(box.height)}" rx="{_n(radius)}"/>'
    )


def _implied(picture: Picture) -> list[bool]:
    """For each edge, whether other dependencies say the same: its target comes after its source without it too."""
    below: dict[str, list[str]] = {name: [] for name in picture.ids}
    waiting = dict.fromkeys(below, 0)
    for edge in picture.edges:
        if edge.kind != "dependency":
            continue  # what is taken only sometimes implies nothing
        below[edge.source].append(edge.target)
        waiting[edge.target] += 1
    bit = {name: 1 << number for number, name in enumerate(below)}
    order = [name for name, count in waiting.items() if not count]
    for name in order:  # grows while it is read
        for lower in below[name]:
            waiting[lower] -= 1
            if not waiting[lower]:
                order.append(lower)
    after: dict[str, int] = {}  # as bits, what comes after each: thousands of boxes are no matter
    for name in reversed(order):
        after[name] = 0
        for lower in below[name]:
            after[name] |= bit[lower] | after[lower]
    return [
        edge.kind == "dependency" and any(after[other] & bit[edge.target] for other in below[edge.source])
        for edge in picture.edges
    ]


def _wire(wire: Wire, x: float, y: float, faint: bool) -> Iterator[str]:
    """A line: straight beside boxes, curved between rows, an arrowhead at its end."""
    runs = [(run.x + x, run.top + y, run.bottom + y) for run in wire.runs]
    end_x, end = runs[-1][0], runs[-1][2]
    path = f"M{_n(runs[0][0])} {_n(runs[0][1])}"
    for (from_x, _, start), (to_x, stop, _) in pairwise(runs):
        stop = min(stop, end - _ARROW)
        half = (stop - start) / 2
        path += f"V{_n(start)}C{_n(from_x)} {_n(start + half)} {_n(to_x)} {_n(stop - half)} {_n(to_x)} {_n(stop)}"
    path += f"V{_n(end - _ARROW)}"
    kind = f"{wire.edge.kind} implied" if faint else wire.edge.kind
    yield f'<g class="edge {kind}"><path class="wire" d="{path}"/>{_arrow(end_x, end)}</g>'


def _arrow(x: float, y: float) -> str:
    return f'<path class="head" d="M{_n(x)} {_n(y)}l-4 -{_n(_ARROW + 1)}h8z"/>'


def _label(label: str, kind: EdgeKind, box: Box) -> Iterator[str]:
    text = _label_text(label)
    yield f'<g class="label {kind}"><title>{_text(label)}</title>{_rectangle(box, LABEL_HEIGHT / 2, "pill")}'
    yield _words(text, box.x + 6, box.y + 11.5, _LABEL, "word") + "</g>"


_LegendEntry = tuple[str, str, float]  # class, word, width


def _legend_entries(picture: Picture, implied: bool) -> Iterator[_LegendEntry]:
    """The kinds that the picture has, each with its word and its width in the legend."""
    nodes = {node.kind for node in picture.nodes} | ({"loop"} if picture.groups else set())
    edges = {edge.kind for edge in picture.edges}
    for kind in NODE_KINDS:
        if kind in nodes:
            yield kind, _NODE_WORDS[kind], 22 + text_width(_NODE_WORDS[kind], _LINE) + 18
    lines = [(str(line), word) for line, word in _EDGE_WORDS.items() if line in edges]
    if implied:
        lines.insert(1, ("dependency implied", "then, with others between"))
    for line, word in lines:
        yield line, word, 34 + text_width(word, _LINE) + 18


def _legend_rows(entries: Sequence[_LegendEntry], width: float) -> list[list[_LegendEntry]]:
    rows: list[list[_LegendEntry]] = []
    used = width + 1
    for entry in entries:
        if used + entry[2] > width:
            rows.append([])
            used = 0.0
        rows[-1].append(entry)
        used += entry[2]
    return rows


def _legend_row(row: Sequence[_LegendEntry], y: float) -> Iterator[str]:
    x = _MARGIN
    for kind, word, width in row:
        if kind in MARKS:
            yield f'<g class="legend node {kind}">{_mark(kind, x, y - _MARK_SIZE / 2)}'
            at = 20.0
        else:
            yield f'<g class="legend edge {kind}"><path class="wire" d="M{_n(x)} {_n(y)}h21"/>'
            yield f'<path class="head" d="M{_n(x + 27)} {_n(y)}l-8 -4v8z"/>'
            at = 32.0
        yield _words(word, x + at, y + 4, _LINE, "line") + "</g>"
        x += width
