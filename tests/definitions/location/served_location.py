"""A code location as a file that Dagster loads by path: the pipelines of the folder it stands in."""

from pathlib import Path

from orchestrator_dagster import build_definitions

defs = build_definitions("pipelines", root=Path(__file__).parent)
