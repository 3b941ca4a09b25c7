"""``orchestrator prune``: old outcomes, stored calls and kept pipelines are removed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator_dagster.cli.common import EXIT_FAILED, stop
from orchestrator_dagster.errors import OrchestratorError

if TYPE_CHECKING:
    from orchestrator_dagster.definitions.runs.prune import Pruned, Removed


def seconds(context: click.Context, parameter: click.Parameter, value: str) -> float:
    """The seconds of a duration such as ``30d`` or ``12h``; a usage error for what is none."""
    from orchestrator_dagster.language.base import seconds_of

    found = seconds_of(value)
    if found is None:
        raise click.BadParameter(f'"{value}" is no duration; write 30d, 12h or 90m')
    return found


def pruned_text(pruned: Pruned, dry_run: bool) -> str:
    """What was removed, or would be, one line a kind."""
    verb = "would remove" if dry_run else "removed"
    lines = [
        f"{verb} {_count(one.files, what)}{_runs(one)}, {one.bytes:,} bytes"
        for one, what in (
            (pruned.calls, "stored call"),
            (pruned.outcomes, "outcome"),
            (pruned.pipelines, "kept pipeline"),
            (pruned.questions, "question or answer"),
        )
        if one.files or one.bytes
    ]
    if not lines:
        lines = ["nothing to remove"]
    if pruned.in_progress:
        lines.append(f"left alone: {_count(pruned.in_progress, 'run')} in progress")
    return "\n".join(lines)


def _runs(removed: Removed) -> str:
    return f" of {_count(removed.runs, 'run')}" if removed.runs else ""


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


@click.command()
@click.option(
    "--older-than", default="30d", callback=seconds, metavar="DURATION", help="How old is too old; default 30d."
)
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@click.option("--call-store", metavar="FOLDER", help="Folder or URL of `call_store`, where `models` has one.")
@click.option(
    "--outcomes", metavar="FOLDER", help="Folder or URL of `base_path`, where `orchestrator_outcomes` has one."
)
def prune(older_than: float, dry_run: bool, call_store: str | None, outcomes: str | None) -> None:
    """Remove old outcomes, stored calls and kept pipelines.

    Runs in progress, what locations serve, products and records of runs are left alone.
    """
    from orchestrator_dagster.definitions.instance.home import open_instance
    from orchestrator_dagster.definitions.runs.prune import prune as prune_files
    from orchestrator_dagster.project.loading import find_project

    try:
        with open_instance(find_project(Path.cwd())) as instance:
            pruned = prune_files(instance, older_than, call_store=call_store, outcomes=outcomes, dry_run=dry_run)
    except OrchestratorError as error:
        stop(error)
    click.echo(pruned_text(pruned, dry_run))
    for problem in pruned.problems:
        click.echo(f"error: {problem}", err=True)
    sys.exit(EXIT_FAILED if pruned.problems else 0)
