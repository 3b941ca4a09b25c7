"""The command ``orchestrator compile``: what a pipeline is meant to do, how it is built, and whether both agree."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from orchestrator_dagster.intelligence.description import Description


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--refresh", is_flag=True, help="Ask the orchestrator anew, also when the description is kept.")
def compile(file: Path, as_json: bool, refresh: bool) -> None:
    """Compile a pipeline FILE and print its intention, architecture and alignment.

    The model that the file names as `orchestrator` writes them, once for each version of the file. Without one, and
    where it cannot be reached, they are made from the steps alone and say so. Exits with 2 when the pipeline does not
    do what it is meant to do.
    """
    from orchestrator_dagster.cli.common import EXIT_WRONG, stop
    from orchestrator_dagster.errors import AlignmentError, OrchestratorError
    from orchestrator_dagster.intelligence.description import names_orchestrator, structural_description
    from orchestrator_dagster.project.loading import compile_or_raise

    root = Path.cwd()
    try:
        pipeline = compile_or_raise(file, root)
        if names_orchestrator(pipeline):
            from orchestrator_dagster.definitions.location.outside_runs import described_here
            from orchestrator_dagster.definitions.location.served import storage_of

            found, kept = described_here(pipeline, root, storage=storage_of(root), refresh=refresh)
        else:
            found, kept = structural_description(pipeline, _why_none(pipeline.orchestrator)), False
    except OrchestratorError as error:
        stop(error)
    if as_json:
        click.echo(json.dumps({**found.to_json(), "kept": kept}, ensure_ascii=False, indent=2))
    else:
        _show(found)
        if not kept and found.usage.calls:
            click.echo(_usage(found), err=True)
    try:
        found.alignment.check(pipeline.id)
    except AlignmentError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(EXIT_WRONG)


def _why_none(orchestrator: str | None) -> str:
    if orchestrator is None:
        return "the pipeline names no `orchestrator`"
    return f"{orchestrator} cannot describe a pipeline: it only takes sentences from given text"


def _show(found: Description) -> None:
    click.echo(f"# Intention\n\n{found.intention.labelled}\n\n# Architecture\n\n{found.architecture.labelled}\n")
    judged = found.alignment
    click.echo("# Alignment\n")
    if judged.state == "not checked":
        click.echo(f"Not checked: {judged.reason}")
    elif judged.state == "aligned":
        click.echo("The build does what is intended.")
    else:
        click.echo("The build does not do what is intended:")
        for finding in judged.findings:
            click.echo(f"- {finding}")
        if judged.ignored:
            click.echo(f"\nIt is accepted: {judged.ignored}")


def _usage(found: Description) -> str:
    usage = found.usage
    cost = "" if usage.cost is None else f", ${usage.cost:.6f}"
    times = f"{usage.calls} call{'s' if usage.calls != 1 else ''}"
    tokens = usage.input_tokens + usage.output_tokens
    return f"asked {found.orchestrator}: {times}, {tokens:,} tokens{cost}, {usage.seconds:.1f} s"
