"""Colours, fonts and the small marks of the kinds."""

from __future__ import annotations

from orchestrator_dagster.drawing.picture import EdgeKind, NodeKind
from orchestrator_dagster.drawing.text_width import FONT_FAMILY

#: A mark for each kind, as a path in a square of 14 by 14, drawn in lines.
MARKS: dict[str, str] = {
    "input": "M1 7H8.5M5.5 4L8.5 7L5.5 10M8 1.5H12.5V12.5H8",
    "output": "M4.5 7H12.5M9.5 4L12.5 7L9.5 10M6 1.5H1.5V12.5H6",
    "tool": "M7 1L12.2 4V10L7 13L1.8 10V4ZM7 4.8A2.2 2.2 0 1 1 7 9.2A2.2 2.2 0 1 1 7 4.8Z",
    "model": "M7 .8C7.5 4.8 9.2 6.5 13.2 7C9.2 7.5 7.5 9.2 7 13.2C6.5 9.2 4.8 7.5 .8 7C4.8 6.5 6.5 4.8 7 .8Z",
    "builtin": "M3 1.5H11L12.5 3V11L11 12.5H3L1.5 11V3ZM4.5 7H9.5",
    "pipeline": "M3.5 1.5H10.5V5H3.5ZM7 5V9M3.5 9H10.5V12.5H3.5Z",
    "loop": "M11.9 4.4A5.5 5.5 0 1 0 12.5 7.5M12.4 1.2V4.6H9",
    "product": "M3 1H8.5L11.5 4V13H3ZM8.5 1V4H11.5M5 7H9.5M5 9.8H9.5",
}

_INK = {"page": ("#ffffff", "#12161d"), "name": ("#1b2330", "#eef2f7"), "line": ("#556070", "#a9b4c2")}
_WIRE = ("#7d899a", "#8290a3")
_IMPLIED = ("#bcc5d0", "#475362")
#: Line and fill of boxes, each in light and dark.
_NODES: dict[NodeKind, tuple[tuple[str, str], tuple[str, str]]] = {
    "input": (("#5b6b7b", "#94a3b5"), ("#f2f4f7", "#1d232c")),
    "output": (("#5b6b7b", "#94a3b5"), ("#f2f4f7", "#1d232c")),
    "tool": (("#2563eb", "#6ea0ff"), ("#f3f7ff", "#172033")),
    "model": (("#7c3aed", "#b794ff"), ("#f8f4ff", "#211a33")),
    "builtin": (("#64748b", "#9aa8bb"), ("#f7f8fa", "#1b2029")),
    "pipeline": (("#0f766e", "#4fd1c2"), ("#effaf8", "#12262a")),
    "loop": (("#b45309", "#f0a94e"), ("#fff8ec", "#2a2118")),
    "product": (("#15803d", "#5fca84"), ("#f0faf3", "#14271c")),
}
_EDGES: dict[EdgeKind, tuple[str, str]] = {
    "on_success": ("#15803d", "#5fca84"),
    "on_false": ("#b45309", "#f0a94e"),
    "on_failure": ("#dc2626", "#ff7b72"),
    "makes": ("#15803d", "#5fca84"),
}


def style() -> str:
    """The style sheet: shapes once, then the light colours, then the dark ones where the reader prefers them."""
    shapes = (
        f"text{{font-family:{FONT_FAMILY}}}"
        ".heading{font-size:18px;font-weight:bold}.name{font-size:13px;font-weight:bold}.line{font-size:11px}"
        ".frame-name{font-size:11px;font-weight:bold}.word{font-size:10.5px}"
        ".box{stroke-width:1.2}.border{stroke-width:1.2;fill-opacity:.6}"
        ".mark{fill:none;stroke-width:1.3;stroke-linejoin:round;stroke-linecap:round}"
        ".wire{fill:none;stroke-width:1.4}.pill{stroke-width:1}"
        ".on_success .wire,.on_false .wire,.on_failure .wire{stroke-dasharray:6 4;stroke-width:1.7}"
        ".implied .wire{stroke-width:1}"
        ".makes .wire{stroke-dasharray:1.5 3}"
    )
    return f"{shapes}{_colours(0)}@media(prefers-color-scheme:dark){{{_colours(1)}}}"


def _colours(scheme: int) -> str:
    page, name, line = (_INK[one][scheme] for one in ("page", "name", "line"))
    rules = [
        f".page{{fill:{page}}}.heading,.name,.frame-name{{fill:{name}}}.line{{fill:{line}}}.pill{{fill:{page}}}",
        f".frame-name{{paint-order:stroke;stroke:{_NODES['loop'][1][scheme]};stroke-width:4px}}",
        f".wire,.pill{{stroke:{_WIRE[scheme]}}}.head,.word{{fill:{_WIRE[scheme]}}}",
    ]
    rules.append(f".implied .wire{{stroke:{_IMPLIED[scheme]}}}.implied .head{{fill:{_IMPLIED[scheme]}}}")
    for kind, (stroke, fill) in _NODES.items():
        rules.append(f".{kind} .box,.{kind} .border{{stroke:{stroke[scheme]};fill:{fill[scheme]}}}")
        rules.append(f".{kind} .mark{{stroke:{stroke[scheme]}}}")
    for edge, colour in _EDGES.items():
        rules.append(f".{edge} .wire,.{edge} .pill{{stroke:{colour[scheme]}}}")
        rules.append(f".{edge} .head,.{edge} .word{{fill:{colour[scheme]}}}")
    return "".join(rules)
