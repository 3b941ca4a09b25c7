"""The command ``orchestrator dev``: the Dagster UI on a project's pipelines and runs."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
from pathlib import Path

import click

from orchestrator_dagster.errors import OrchestratorError

#: Dagster's own defaults.
_HOST, _PORT = "127.0.0.1", "3000"

#: Dagster's advice to type `dg dev` instead, which nobody who typed `orchestrator dev` can follow.
_ADVICE = "ignore:Function `dev_command` is superseded"


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def dev(arguments: tuple[str, ...]) -> None:
    """Open the Dagster UI on this project's runs; ARGUMENTS go to `dagster dev`, for example `--port 3001`."""
    from orchestrator_dagster.project.loading import find_project

    project = find_project(Path.cwd())
    try:
        _check(project)
        from orchestrator_dagster.definitions.instance.home import instance_home  # it imports Dagster

        home = instance_home(project)
    except OrchestratorError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
    os.environ["DAGSTER_HOME"] = str(home)
    os.chdir(project)
    click.echo(_greeting(arguments, home), err=True)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started by a script in the background
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Dagster takes SIGTERM as it takes this: it could not be ended
    command = [sys.executable, "-W", _ADVICE, "-m", "dagster", "dev", "-w", "workspace.yaml", *arguments]
    os.execv(sys.executable, command)


def _check(project: Path) -> None:
    """Refuse what Dagster would start with and then fail at.

    Raises:
        OrchestratorError: The UI is not installed, or nothing says what to serve.
    """
    if importlib.util.find_spec("dagster_webserver") is None:
        raise OrchestratorError(
            "the Dagster UI is not installed: there is no dagster-webserver",
            hint="pip install 'orchestrator-dagster[ui]'",
        )
    if not (project / "workspace.yaml").is_file():
        raise OrchestratorError(
            f'there is no workspace.yaml in "{project}"',
            hint="write one that loads the module orchestrator_dagster.code_location",
        )


def _greeting(arguments: tuple[str, ...], home: Path) -> str:
    """Where the UI will be, and what to press first."""
    host = _option(arguments, "-h", "--host") or _HOST
    port = _option(arguments, "-p", "--port")
    moved = "" if port else "; when the port is taken, at the one that Dagster names below"
    return (
        f"The UI comes up at http://{host}:{port or _PORT} in some seconds{moved}.\n"
        f"There: Jobs, then a job, then Materialize all. Its runs are recorded in {home}. Ctrl-C ends it."
    )


def _option(arguments: tuple[str, ...], short: str, long: str) -> str | None:
    """The value of an option that goes to Dagster, None when it is not given.

    >>> _option(("-p", "3001"), "-p", "--port"), _option(("--port=3002",), "-p", "--port")
    ('3001', '3002')
    """
    found = None
    for one, following in zip(arguments, (*arguments[1:], None)):  # noqa: B905 - one as long as the other
        if one in (short, long):
            found = following
        elif one.startswith(f"{long}="):
            found = one.partition("=")[2]
        elif one.startswith(short) and not one.startswith("--") and one != short:
            found = one[len(short) :]
    return found
