"""The command ``orchestrator log``: what a recorded run did, as a report or as JSON; or the last runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from orchestrator_dagster.definitions.runs.recorded import RunLine

_COLOURS = {"completed": "green", "failed": "red", "canceled": "yellow", "running": "cyan"}


@click.command()
@click.argument("run_id", required=False)
@click.option("--format", "form", type=click.Choice(["markdown", "json"]), default="markdown", help="Default markdown.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the log here, not to stdout.")
@click.option("--file", type=click.Path(path_type=Path), help="The pipeline, where the run's own is not kept.")
@click.option("--list", "listed", is_flag=True, help="List the last runs.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, help="How many runs are listed; default 20.")
@click.option("--pipeline", metavar="ID", help="List the runs of this pipeline, or take the last of them.")
def log(
    run_id: str | None,
    form: str,
    output: Path | None,
    file: Path | None,
    listed: bool,
    limit: int,
    pipeline: str | None,
) -> None:
    """Show what the run RUN_ID did: failures and what to do first, steps, times, models, calls, costs, products.

    RUN_ID may be the beginning of an id; without it, it is the last run.
    """
    from orchestrator_dagster.cli.common import stop, writable
    from orchestrator_dagster.definitions.instance.home import open_instance
    from orchestrator_dagster.errors import OrchestratorError
    from orchestrator_dagster.project.loading import compile_or_raise, find_project

    if listed and run_id:
        raise click.UsageError("--list takes no RUN_ID")
    if run_id and pipeline:
        raise click.UsageError("--pipeline is for --list, and for the last run: give it or RUN_ID")
    if output is not None and not writable(output):
        stop(OrchestratorError(f'the log cannot be written to "{output}"', hint="give a file in a folder of yours"))
    try:
        with open_instance(find_project(Path.cwd())) as instance:
            if listed:
                from orchestrator_dagster.definitions.runs.recorded import recent_runs

                _list(recent_runs(instance, limit, pipeline), form, output)
                return
            given = compile_or_raise(file, Path.cwd()) if file is not None else None
            text = _text(instance, run_id, pipeline, given, form)
    except OrchestratorError as error:
        stop(error)
    _write(text, output, form)


def _text(instance: Any, run_id: str | None, pipeline: str | None, given: Any, form: str) -> str:
    from orchestrator_dagster.definitions.runs.recorded import find_run, last_run, pipeline_of_run
    from orchestrator_dagster.definitions.runs.run_log import load_log
    from orchestrator_dagster.log.report import report

    run = find_run(run_id, instance) if run_id else last_run(instance, pipeline)
    made = load_log(instance, run.run_id, pipeline_of_run(run, instance, given))
    return (
        report(made) if form == "markdown" else json.dumps(made.model_dump(mode="json"), ensure_ascii=False, indent=2)
    )


def _write(text: str, output: Path | None, form: str) -> None:
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text if text.endswith("\n") else f"{text}\n", encoding="utf-8")
    elif form == "markdown" and sys.stdout.isatty():
        from rich.markdown import Markdown
        from rich.theme import Theme

        from orchestrator_dagster.cli.models import console

        out = console()
        ended = text.partition("\n")[0].rpartition(" ")[2]
        out.push_theme(Theme({"markdown.h1": f"bold {_COLOURS.get(ended, '')}".strip()}))
        out.print(Markdown(text, hyperlinks=False))
    else:
        click.echo(text.rstrip("\n"))


def _list(runs: Sequence[RunLine], form: str, output: Path | None) -> None:
    from dataclasses import asdict

    if form == "json" or output is not None:
        _write(json.dumps([asdict(one) for one in runs], ensure_ascii=False, indent=2, default=str), output, "json")
        return
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from orchestrator_dagster.cli.models import console
    from orchestrator_dagster.log.words import duration, moment

    out = console()
    if not runs:
        out.print("no runs are recorded here")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", padding=(0, 1))
    for name in ("run", "pipeline", "status", "began (UTC)", "duration", "launched by", "resumes"):
        table.add_column(name, justify="right" if name == "duration" else "left", overflow="fold")
    for one in runs:
        table.add_row(
            one.id[:8],
            Text(one.pipeline),
            Text(one.status, style=_COLOURS[one.status]),
            moment(one.started_at).removesuffix(" UTC"),
            duration(one.seconds),
            Text(one.launched_by),
            one.resumes or "",
        )
    out.print(table)
