"""The report over runs as one HTML page: it needs no other file, no network and no script."""

from __future__ import annotations

import html
from collections.abc import Sequence
from datetime import datetime, timezone

from orchestrator_dagster.history.charts import bar, columns, lines
from orchestrator_dagster.history.report import History, Width
from orchestrator_dagster.history.words import money, rate
from orchestrator_dagster.log.words import count, cut, dollars, duration, moment

_MOST = 200

_STYLE = """
:root{color-scheme:light dark;--text:#1c2330;--quiet:#5b6472;--ground:#fff;--soft:#f4f6f8;--line:#d9dee5;
--ok:#2f8f5b;--bad:#c8452f;--other:#b98a1d;--one:#1f5fae;--two:#8aa9d6}
@media (prefers-color-scheme:dark){:root{--text:#e4e8ee;--quiet:#9aa4b2;--ground:#14181f;--soft:#1d232c;--line:#323a46;
--ok:#4fb57c;--bad:#e8715c;--other:#d9ae4a;--one:#6aa3ea;--two:#3f6699}}
*{box-sizing:border-box}
body{margin:0 auto;padding:2rem 1.25rem 4rem;max-width:1080px;background:var(--ground);color:var(--text);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
h1{font-size:1.6rem;margin:0}h2{font-size:1.1rem;margin:2.25rem 0 .6rem}p.quiet,figcaption,.key{color:var(--quiet)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:.75rem;margin:1.25rem 0}
.card{background:var(--soft);border-radius:8px;padding:.75rem .9rem}.card b{display:block;font-size:1.35rem}
.card span{color:var(--quiet);font-size:.85rem}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,460px),1fr));gap:1.25rem}
figure{margin:0}figcaption{font-size:.9rem;margin-bottom:.25rem}svg.chart{width:100%;height:auto;display:block}
svg text{fill:var(--quiet);font-size:12px}svg .end{text-anchor:end}svg .mid{text-anchor:middle}
svg .grid{stroke:var(--line);stroke-width:1}svg polyline{fill:none;stroke-width:2}
rect.completed{fill:var(--ok)}rect.failed{fill:var(--bad)}rect.canceled,rect.running{fill:var(--other)}
rect.known{fill:var(--one)}rect.tokens{fill:var(--one)}rect.time{fill:var(--one)}rect.ground{fill:var(--line)}
polyline.median{stroke:var(--one)}circle.median{fill:var(--one)}polyline.p95{stroke:var(--two)}circle.p95{fill:var(--two)}
.key i{display:inline-block;width:.7em;height:.7em;border-radius:2px;margin:0 .3em 0 .9em}
.key .completed{background:var(--ok)}.key .failed{background:var(--bad)}.key .canceled{background:var(--other)}
.key .median{background:var(--one)}.key .p95{background:var(--two)}
.table{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.92rem}
th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
th{color:var(--quiet);font-weight:600;white-space:nowrap}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;
white-space:nowrap}svg.bar{width:70px;height:8px;vertical-align:middle;margin-left:.5rem;border-radius:2px}
code{font-family:ui-monospace,Consolas,monospace;font-size:.92em}
"""
_KEY = (
    '<span class="key"><i class="completed"></i>completed<i class="failed"></i>failed'
    '<i class="canceled"></i>canceled, running or waiting</span>'
)
_TIMES = '<span class="key"><i class="median"></i>median<i class="p95"></i>95th percentile</span>'


def page(found: History) -> str:
    """The whole page."""
    about = f" of {html.escape(found.pipeline)}" if found.pipeline else ""
    span = f"{moment(found.since)} to {moment(found.until)}"
    body = [
        f"<h1>Runs{about}</h1>",
        f'<p class="quiet">{html.escape(span)}</p>',
        _cards(found),
        _charts(found),
        _pipelines(found),
        _failures(found),
        _models(found),
        _steps(found),
        '<p class="quiet">Times are those of completed runs that did their whole pipeline by themselves. A run that was'
        " resumed counts as completed when the last resume completed. Costs are in US dollars; an unknown price is not"
        " zero.</p>",
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>Runs{about}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n" + "\n".join(filter(None, body)) + "\n"
        "</body>\n</html>\n"
    )


def _cards(found: History) -> str:
    total = found.total
    ended = ", ".join(f"{number:,} {what}" for number, what in _ends(found) if number)
    unpriced = f"{count(total.unpriced_calls, 'call')} without a price" if total.unpriced_calls else ""
    cards = [
        (f"{total.runs:,}", "runs" if total.runs != 1 else "run", ended),
        (rate(total.success_rate), "success", f"{total.resumed:,} resumed" if total.resumed else ""),
        (duration(total.median_seconds) or "–", "median time", f"95 %: {duration(total.p95_seconds) or '–'}"),
        (f"{total.tokens:,}", "tokens", count(total.calls, "model call")),
        (
            money(total.cost, total.known_cost),
            "cost",
            unpriced,
        ),
    ]
    made = "".join(
        f'<div class="card"><span>{html.escape(name)}</span><b>{html.escape(value)}</b><span>{html.escape(more)}</span>'
        "</div>"
        for value, name, more in cards
    )
    return f'<div class="cards">{made}</div>'


def _ends(found: History) -> list[tuple[int, str]]:
    total = found.total
    return [
        (total.completed, "completed"),
        (total.failed, "failed"),
        (total.canceled, "canceled"),
        (total.running, "running or waiting"),
    ]


def label(at: datetime, width: Width) -> str:
    """When a part of the trend begins, short."""
    at = at.astimezone(timezone.utc)
    return at.strftime("%H:%M") if width == "hour" else at.strftime("%b %d").replace(" 0", " ")


def _charts(found: History) -> str:
    labels = [label(row.begins, found.width) for row in found.trend]
    each = f"by {found.width}"
    runs = {
        "completed": [float(row.completed) for row in found.trend],
        "failed": [float(row.failed) for row in found.trend],
        "canceled": [float(row.canceled + row.running) for row in found.trend],
    }
    times = {
        "median": [row.median_seconds for row in found.trend],
        "p95": [row.p95_seconds for row in found.trend],
    }
    charts = [
        _figure(f"Runs {each} {_KEY}", columns(labels, runs, lambda value: f"{value:g}", f"Runs {each}")),
        _figure(f"Time of a run {each} {_TIMES}", lines(labels, times, duration, f"Time of a run {each}")),
    ]
    if found.total.calls:
        tokens = {"tokens": [float(row.tokens) for row in found.trend]}
        charts.append(_figure(f"Tokens {each}", columns(labels, tokens, _thousands, f"Tokens {each}")))
    if found.total.known_cost:
        costs = {"known": [row.known_cost for row in found.trend]}
        said = "Known cost" if found.total.unpriced_calls else "Cost"
        charts.append(_figure(f"{said} {each}", columns(labels, costs, dollars, f"{said} {each}")))
    return f'<h2>Over time</h2>\n<div class="charts">{"".join(charts)}</div>'


def _figure(caption: str, chart: str) -> str:
    return f"<figure><figcaption>{caption}</figcaption>{chart}</figure>"


def _thousands(value: float) -> str:
    return f"{value / 1e6:g}M" if value >= 1e6 else f"{value / 1e3:g}k" if value >= 1e3 else f"{value:g}"


def _pipelines(found: History) -> str:
    rows = [
        [
            html.escape(row.pipeline),
            f"{row.runs:,}",
            f"{rate(row.success_rate)}{bar(row.success_rate or 0.0)}",
            duration(row.median_seconds),
            duration(row.p95_seconds),
            f"{row.tokens:,}",
            html.escape(money(row.cost, row.known_cost)),
        ]
        for row in found.pipelines
    ]
    return _table("Pipelines", ["pipeline", "runs", "success", "median", "95 %", "tokens", "cost"], rows, text={0})


def _failures(found: History) -> str:
    rows = [
        [
            html.escape(row.pipeline),
            html.escape(cut(row.step or "outside of its steps", 80)),
            html.escape(cut(row.error, 80)),
            f"{row.runs:,}",
            moment(row.last_at),
            f"<code>orchestrator log {html.escape(row.last_run[:8])}</code>",
        ]
        for row in found.failures
    ]
    titles = ["pipeline", "step", "failure", "runs", "last", "look at it"]
    return _table("What failed", titles, rows, text={0, 1, 2, 4, 5})


def _models(found: History) -> str:
    most = max((row.known_cost for row in found.models), default=0.0)
    rows = [
        [
            html.escape(cut(row.model, 80)),
            f"{row.calls:,}",
            f"{row.tokens:,}",
            html.escape(money(row.cost, row.known_cost)) + (bar(row.known_cost / most, "known") if most else ""),
            "unknown" if row.cost_per_call is None else dollars(row.cost_per_call),
        ]
        for row in found.models
    ]
    return _table("Models", ["model", "calls", "tokens", "cost", "a call"], rows, text={0})


def _steps(found: History) -> str:
    most = max((row.median_seconds or 0.0 for row in found.steps), default=0.0)
    rows = [
        [
            html.escape(row.pipeline),
            html.escape(row.step),
            f"{row.runs:,}",
            f"{row.failed:,}" if row.failed else "",
            f"{row.retries:,}" if row.retries else "",
            duration(row.median_seconds) + (bar((row.median_seconds or 0.0) / most, "time") if most else ""),
            duration(row.p95_seconds),
            f"{row.tokens:,}" if row.calls else "",
            html.escape(money(row.cost, row.known_cost)) if row.calls else "",
        ]
        for row in found.steps
    ]
    titles = ["pipeline", "step", "runs", "failed", "retries", "median", "95 %", "tokens", "cost"]
    return _table("Steps", titles, rows, text={0, 1})


def _table(title: str, titles: Sequence[str], rows: Sequence[Sequence[str]], text: set[int]) -> str:
    """A table of cells that are HTML; ``text`` are the columns that are not numbers."""
    if not rows:
        return ""

    def line(tag: str, cells: Sequence[str]) -> str:
        kinds = ("" if at in text else ' class="n"' for at in range(len(cells)))
        return "<tr>" + "".join(f"<{tag}{kind}>{c}</{tag}>" for c, kind in zip(cells, kinds, strict=True)) + "</tr>"

    body = "\n".join(line("td", row) for row in rows[:_MOST])
    more = f'<p class="quiet">and {len(rows) - _MOST:,} more</p>' if len(rows) > _MOST else ""
    return (
        f'<h2>{title}</h2>\n<div class="table"><table>\n<thead>{line("th", titles)}</thead>\n'
        f"<tbody>\n{body}\n</tbody>\n"
        f"</table></div>{more}"
    )
