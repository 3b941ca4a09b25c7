"""``orchestrator validate``: every problem of every file, and nothing runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator_dagster.cli.common import EXIT_WRONG, stop
from orchestrator_dagster.errors import OrchestratorError

if TYPE_CHECKING:
    from orchestrator_dagster.language.diagnostics import Diagnostic


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "form", flag_value="json", help="Print the diagnostics as JSON.")
@click.option("--sarif", "form", flag_value="sarif", help="Print them as SARIF 2.1.0, for code hosts.")
def validate(files: tuple[Path, ...], form: str | None) -> None:
    """Check pipeline FILES (or folders of them): every problem of every file, in file order."""
    from orchestrator_dagster.language.diagnostics import render_all

    root = Path.cwd()
    try:
        found = _validated(files, root)
    except OrchestratorError as error:  # the project's own tools.py or personalities cannot be read
        stop(error)
    if not found:
        stop(OrchestratorError(f"there is no pipeline file in {', '.join(map(str, files))}", hint="check the path"))
    every = [diagnostic for _, problems in found for diagnostic in problems]
    wrong = sum(any(one.severity == "error" for one in problems) for _, problems in found)
    if form == "json":
        click.echo(json.dumps([one.as_json() for one in every], ensure_ascii=False, indent=2))
    elif form == "sarif":
        from orchestrator_dagster.language.sarif import sarif

        click.echo(json.dumps(sarif(every), ensure_ascii=False, indent=2))
    else:
        for path, problems in found:
            if problems:
                click.echo(render_all(problems), err=True)
            if not any(one.severity == "error" for one in problems):
                click.echo(f"{path}: valid")
        if len(found) != 1:
            click.echo(f"{len(found)} files, {wrong} with errors")
        if wrong and sys.stderr.isatty():
            code = next(one.code for one in every if one.severity == "error")
            click.echo(f"what a code means: orchestrator explain {code}", err=True)
    sys.exit(EXIT_WRONG if wrong else 0)


def _validated(files: Iterable[Path], root: Path) -> list[tuple[str, list[Diagnostic]]]:
    """The diagnostics of every file, by its name; the files of a folder are checked against each other too."""
    from orchestrator_dagster.project.loading import compile_file, load_folder, shown

    found: list[tuple[str, list[Diagnostic]]] = []
    for path in files:
        if path.is_dir():
            found += [(shown(one.path, root), list(one.diagnostics)) for one in load_folder(path, root)]
        else:
            found.append((str(path), list(compile_file(path, root, str(path)).problems)))
    return found
