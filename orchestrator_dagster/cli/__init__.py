"""The command ``orchestrator``: :func:`main`, with a module for each of its larger parts."""

from orchestrator_dagster.cli.main import main as main
