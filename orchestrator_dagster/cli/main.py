"""The command ``orchestrator``. What a command does not need is not imported: ``validate`` never imports Dagster."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import click

from orchestrator_dagster.cli.answer import answer
from orchestrator_dagster.cli.common import stop, writable
from orchestrator_dagster.cli.compile import compile
from orchestrator_dagster.cli.dev import dev
from orchestrator_dagster.cli.limits import limits
from orchestrator_dagster.cli.log import log
from orchestrator_dagster.cli.models import models
from orchestrator_dagster.cli.plan import plan
from orchestrator_dagster.cli.prune import prune
from orchestrator_dagster.cli.report import report
from orchestrator_dagster.cli.run import resume, run
from orchestrator_dagster.cli.validate import validate
from orchestrator_dagster.errors import OrchestratorError

# A command makes many objects that stay until its end: looking through them often is a tenth of `validate`.
gc.set_threshold(50_000, 20, 20)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="orchestrator-dagster", prog_name="orchestrator")
def main() -> None:
    """AI pipelines written as YAML, run as Dagster assets."""


for command in (run, resume, validate, plan, compile, answer, log, report, models, limits, prune, dev):
    main.add_command(command)


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(["mermaid", "svg"]), default="mermaid", help="Default mermaid.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the picture here, not to stdout.")
def graph(file: Path, form: str, output: Path | None) -> None:
    """Draw a pipeline FILE: steps, what they wait for, where they may go, products. Nothing runs."""
    from orchestrator_dagster.drawing.from_pipeline import picture_of
    from orchestrator_dagster.drawing.mermaid import mermaid
    from orchestrator_dagster.drawing.svg import svg
    from orchestrator_dagster.project.loading import compile_or_raise

    try:
        picture = picture_of(compile_or_raise(file, Path.cwd()))
    except OrchestratorError as error:
        stop(error)
    text = svg(picture) if form == "svg" else mermaid(picture)
    if output is None:
        click.echo(text, nl=False)
    else:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")


@main.command()
@click.argument("name", required=False)
def tools(name: str | None) -> None:
    """List the tools, or show the actions and parameters of the tool NAME."""
    from orchestrator_dagster.cli.tools import list_tools, show_tool
    from orchestrator_dagster.project.loading import known

    try:
        registry: Any = known(Path.cwd()).tools
        click.echo(show_tool(registry.find(name), Path.cwd()) if name else list_tools(registry))
    except OrchestratorError as error:
        stop(error)


@main.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path())
def init(folder: Path) -> None:
    """Write a first pipeline into FOLDER (default here): it runs as it is."""
    from orchestrator_dagster.project.starter import write_starter

    try:
        written = write_starter(folder)
    except OrchestratorError as error:
        stop(error)
    for path in written:
        click.echo(f"wrote {path}")
    enter = "" if folder == Path() else f"cd {folder} && "
    click.echo(f"\nRun it: {enter}orchestrator run pipelines/first.yaml\nLook at it: {enter}orchestrator dev")


@main.command()
@click.argument("code", required=False)
def explain(code: str | None) -> None:
    """Say what the CODE of a problem means, with a wrong and a right example; without CODE, list all codes."""
    from orchestrator_dagster.language.diagnostics import CODES
    from orchestrator_dagster.language.explanations import as_list, as_text, explanation
    from orchestrator_dagster.text import nearest

    if code is None:
        click.echo(as_list())
    elif code in CODES:
        click.echo(as_text(explanation(code)))
    else:
        stop(
            OrchestratorError(
                f'there is no code "{code}"{nearest(code, CODES)}', hint="`orchestrator explain` lists all codes"
            )
        )


@main.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the schema here, not to stdout.")
def schema(output: Path | None) -> None:
    """Print the JSON Schema of a pipeline file, for editors; the names of this project's tools are suggestions."""
    from orchestrator_dagster.project.editor_schema import schema_text
    from orchestrator_dagster.project.loading import known

    try:
        registry: Any = known(Path.cwd()).tools
        text = schema_text(registry, registry.names())
    except OrchestratorError as error:  # the project's own tools.py cannot be read
        stop(error)
    if output is None:
        click.echo(text, nl=False)
    elif not writable(output):
        stop(OrchestratorError(f'the schema cannot be written to "{output}"', hint="give a file in a folder of yours"))
    else:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")
