"""How the command reads an age and says what was pruned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from orchestrator_dagster.definitions.prune import Pruned, Removed


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
