"""The command ``orchestrator report``: what recorded runs came to, over time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from orchestrator_dagster.history.report import History

_STEPS, _FAILURES, _TREND = 30, 10, 31
_BLOCKS = " ▁▂▃▄▅▆▇█"


@click.command()
@click.option("--pipeline", metavar="ID", help="The runs of this pipeline only.")
@click.option("--since", default="30d", metavar="DURATION", help="How far back, as 7d or 12h, or `all`; default 30d.")
@click.option(
    "--format", "form", type=click.Choice(["table", "html", "json"]), default=None, help="Default table, or by -o."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the report here, not to stdout.")
def report(pipeline: str | None, since: str, form: str | None, output: Path | None) -> None:
    """Sum up the recorded runs: success, time, tokens and cost, by pipeline, step and model, and their trend."""
    from datetime import datetime, timedelta, timezone

    from orchestrator_dagster.cli.common import stop, writable
    from orchestrator_dagster.definitions.instance.home import open_instance
    from orchestrator_dagster.definitions.runs.run_figures import known_pipelines, run_figures
    from orchestrator_dagster.errors import OrchestratorError, RunNotFoundError
    from orchestrator_dagster.history.report import history
    from orchestrator_dagster.project.loading import find_project
    from orchestrator_dagster.text import nearest

    until = datetime.now(timezone.utc)
    began = until - timedelta(seconds=_seconds(since)) if since != "all" else None
    form = form or {".html": "html", ".htm": "html", ".json": "json"}.get(output.suffix if output else "", "table")
    if output is not None and not writable(output):
        stop(OrchestratorError(f'the report cannot be written to "{output}"', hint="give a file in a folder of yours"))
    try:
        with open_instance(find_project(Path.cwd())) as instance:
            known = list(known_pipelines(instance))
            if pipeline is not None and pipeline not in known:
                raise RunNotFoundError(
                    f'no run of "{pipeline}" is recorded{nearest(pipeline, known)}',
                    hint=f"there are runs of {', '.join(known[:10])}" if known else "nothing has been run yet",
                )
            found = history(
                run_figures(instance, since=began, pipeline=pipeline), since=began, until=until, pipeline=pipeline
            )
    except OrchestratorError as error:
        stop(error)
    _write(found, form, output)


def _seconds(text: str) -> float:
    from orchestrator_dagster.language.base import seconds_of

    found = seconds_of(text)
    if found is None or found <= 0:
        raise click.BadParameter(f'"{text}" is no duration; write 7d, 12h, 90m or all', param_hint="--since")
    return found


def _write(found: History, form: str, output: Path | None) -> None:
    if form == "table" and output is None:
        from orchestrator_dagster.cli.models import console

        _show(found, console())
        return
    if form == "html":
        from orchestrator_dagster.history.page import page

        text = page(found)
    elif form == "json":
        text = found.model_dump_json(indent=2) + "\n"
    else:
        text = _as_text(found)
    if output is None:
        click.echo(text, nl=False)
    else:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")


def _as_text(found: History) -> str:
    import io

    from rich.console import Console

    text = io.StringIO()
    _show(found, Console(file=text, width=140, highlight=False))
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def _show(found: History, out: Any) -> None:
    from rich.text import Text

    from orchestrator_dagster.history.words import money, rate
    from orchestrator_dagster.log.words import count, cut, dollars, duration, moment

    total = found.total
    about = f" of {found.pipeline}" if found.pipeline else ""
    out.print(Text(f"{count(total.runs, 'run')}{about}, {moment(found.since)} to {moment(found.until)}", style="bold"))
    if not total.runs:
        return
    ends = {
        "completed": total.completed,
        "failed": total.failed,
        "canceled": total.canceled,
        "running or waiting": total.running,
    }
    said = ", ".join(f"{number:,} {what}" for what, number in ends.items() if number)
    resumed = f", {total.resumed:,} of them resumed another" if total.resumed else ""
    out.print(Text(f"{said}{resumed}; success {rate(total.success_rate)}"))
    out.print(_sparks(found))
    out.print(
        _table(
            ["pipeline", "runs", "success", "median", "95 %", "tokens", "cost"],
            [
                [
                    row.pipeline,
                    f"{row.runs:,}",
                    rate(row.success_rate),
                    duration(row.median_seconds),
                    duration(row.p95_seconds),
                    f"{row.tokens:,}",
                    money(row.cost, row.known_cost),
                ]
                for row in found.pipelines
            ],
            left=1,
        )
    )
    if found.failures:
        out.print(
            _table(
                ["what failed", "step", "failure", "runs", "last run"],
                [
                    [row.pipeline, cut(row.step or "", 50), cut(row.error, 50), f"{row.runs:,}", row.last_run[:8]]
                    for row in found.failures[:_FAILURES]
                ],
                left=3,
            )
        )
        _more(out, len(found.failures) - _FAILURES)
    if found.models:
        out.print(
            _table(
                ["model", "calls", "tokens", "cost", "a call"],
                [
                    [
                        cut(row.model, 60),
                        f"{row.calls:,}",
                        f"{row.tokens:,}",
                        money(row.cost, row.known_cost),
                        dollars(row.cost_per_call),
                    ]
                    for row in found.models
                ],
                left=1,
            )
        )
    out.print(
        _table(
            ["pipeline", "step", "runs", "failed", "retries", "median", "95 %", "tokens", "cost"],
            [
                [
                    row.pipeline,
                    row.step,
                    f"{row.runs:,}",
                    f"{row.failed:,}" if row.failed else "",
                    f"{row.retries:,}" if row.retries else "",
                    duration(row.median_seconds),
                    duration(row.p95_seconds),
                    f"{row.tokens:,}" if row.calls else "",
                    money(row.cost, row.known_cost) if row.calls else "",
                ]
                for row in found.steps[:_STEPS]
            ],
            left=2,
        )
    )
    _more(out, len(found.steps) - _STEPS)


def _more(out: Any, left: int) -> None:
    if left > 0:
        out.print(f"and {left:,} more\n")


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]], left: int) -> Any:
    """A table whose first columns are texts, the others numbers."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", padding=(0, 1))
    for at, title in enumerate(titles):
        table.add_column(title, justify="left" if at < left else "right", overflow="fold", no_wrap=at >= left)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _sparks(found: History) -> Any:
    """The trend as small columns, one character for each hour, day or week."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    last = found.trend[-_TREND:]
    rows: list[tuple[str, list[float]]] = [
        ("runs", [float(row.runs) for row in last]),
        ("failed", [float(row.failed) for row in last]),
        ("median time", [row.median_seconds or 0.0 for row in last]),
        ("tokens", [float(row.tokens) for row in last]),
        ("cost", [row.known_cost for row in last]),
    ]
    for name, values in rows:
        if any(values):
            table.add_row(name, _spark(values), f"by {found.width}")
    return table


def _spark(values: Sequence[float]) -> str:
    top = max(values)
    return "".join(_BLOCKS[0 if value <= 0 else max(1, round(value / top * 8))] for value in values)
