"""What the commands share: exit codes, how they end with an error, inputs from the command line."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from orchestrator_dagster.errors import InputsError, OrchestratorError, PipelineError

EXIT_FAILED, EXIT_WRONG, EXIT_INTERRUPTED = 1, 2, 130


def stop(error: OrchestratorError, code: int = EXIT_WRONG) -> Any:
    """Say what is wrong, and end with the code."""
    click.echo(str(error) if isinstance(error, PipelineError) else f"error: {error}", err=True)
    sys.exit(code)


def say(line: str) -> None:
    """A line on stderr."""
    with suppress(ValueError, OSError):  # a tool has closed stderr, or who reads it is gone
        click.echo(line, err=True)


def writable(path: Path) -> bool:
    """Whether a file can be written there, as far as can be told without writing it."""
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    return not path.is_dir() and folder.is_dir() and os.access(folder, os.W_OK)


def given_inputs(given: tuple[str, ...], inputs_file: Path | None) -> dict[str, Any]:
    """Inputs from a file and from ``-i``, which wins.

    Raises:
        InputsError: The file cannot be read, or an option is no KEY=VALUE.
    """
    values: dict[str, Any] = {}
    if inputs_file is not None:
        from orchestrator_dagster.language.diagnostics import render_all
        from orchestrator_dagster.language.document import read_file

        document, problems = read_file(inputs_file)
        if problems.errors:
            raise InputsError("the inputs file is wrong", [render_all(problems)])
        if not isinstance(document.value(), dict):
            raise InputsError("the inputs file is wrong", [f"{inputs_file}: a map of names and values was expected"])
        values.update(document.value())
    for item in given:
        name, found, value = item.partition("=")
        if not found or not name.strip():
            raise InputsError("the inputs are wrong", [f'"{item}" is no KEY=VALUE'])
        values[name.strip()] = _typed(value)
    return values


def _typed(text: str) -> Any:
    """A list or map when the text is JSON for one; any other text stays text, its input's type decides."""
    if text[:1] in "[{" and text:
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text
