"""Pages with charts: standalone HTML in which nothing runs and nothing is loaded."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator_dagster.tables import cell_text
from orchestrator_dagster.tools.charts.drawing import Drawn
from orchestrator_dagster.tools.charts.style import number_text


def chart_page(drawn: Drawn, svg: bytes, theme: str) -> str:
    """A page with one chart."""
    return page(drawn.title or "Chart", "", {}, [(drawn, svg)], theme, columns=1, heading=False)


def page(
    title: str,
    text: str,
    figures: Mapping[str, Any],
    charts: Sequence[tuple[Drawn, bytes]],
    theme: str,
    *,
    columns: int = 2,
    heading: bool = True,
) -> str:
    """A page with a title, figures in tiles and charts side by side; every text is escaped."""
    style = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
    blocks = []
    if heading:
        about = f"\n<p>{html.escape(text)}</p>" if text.strip() else ""
        blocks.append(f"<header>\n<h1>{html.escape(title)}</h1>{about}\n</header>")
    if figures:
        tiles = "\n".join(_tile(name, value) for name, value in figures.items())
        blocks.append(f'<dl class="figures">\n{tiles}\n</dl>')
    cards = "\n".join(_card(drawn, svg) for drawn, svg in charts)
    blocks.append(f'<main class="columns-{columns}">\n{cards}\n</main>')
    return f"""<!doctype html>
<html lang="en" class="{theme}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>{html.escape(title)}</title>
<style>
{style}</style>
</head>
<body>
{chr(10).join(blocks)}
</body>
</html>
"""


def shown(value: Any) -> str:
    """A figure as people read it."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number_text(float(value)).replace("-", "\u2212")
    return cell_text(value)


def _tile(name: str, value: Any) -> str:
    return f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(shown(value))}</dd></div>"


def _card(drawn: Drawn, svg: bytes) -> str:
    source = base64.b64encode(svg).decode("ascii")
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in drawn.notes)
    below = f"\n<figcaption><ul>{notes}</ul></figcaption>" if notes else ""
    return (
        f'<figure><img src="data:image/svg+xml;base64,{source}" alt="{html.escape(drawn.alt)}"'
        f' width="{drawn.width}" height="{drawn.height}">{below}</figure>'
    )
