"""The page of the command, from click."""

from __future__ import annotations

import inspect

import click

from generator.markdown import code, join, table
from orchestrator_dagster.cli.common import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_WRONG
from orchestrator_dagster.cli.main import main


def page() -> str:
    """Every command with its arguments and options."""
    exits = (
        ("0", "The run completed; the files are valid."),
        (str(EXIT_FAILED), "The run failed. The result document is printed all the same."),
        (str(EXIT_WRONG), "The pipeline, an input or the command line is wrong. No run was made."),
        (str(EXIT_INTERRUPTED), "The run was interrupted."),
    )
    parts = [
        "# The command",
        "Relative paths start at the current folder, which is also the workspace root of `run`, `validate` and `tools`."
        " `orchestrator --help` and `orchestrator COMMAND --help` show the same as this page.",
    ]
    for name, command in main.commands.items():
        parts += _command(name, command)
    return join([*parts, "## Exit codes", table(("code", "meaning"), exits)])


def _command(name: str, command: click.Command) -> list[str]:
    context = click.Context(command, info_name=f"orchestrator {name}")
    usage = " ".join([f"orchestrator {name}", *command.collect_usage_pieces(context)])
    rows = []
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is not None and record[1]:
            rows.append((f"`{record[0]}`", record[1]))
    help_text = " ".join(inspect.cleandoc(command.help or "").split())
    return [f"## {name}", code(usage, "text"), help_text, table(("option", "meaning"), rows)]
