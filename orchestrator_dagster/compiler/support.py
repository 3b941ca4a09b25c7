"""What the language has and this release does not run: said where a file is checked, refused before anything runs.

A file that says such things compiles, so that it can be checked and drawn; a run and a code location refuse it.
"""

from __future__ import annotations

from orchestrator_dagster.language.diagnostics import Problems
from orchestrator_dagster.language.document import Document
from orchestrator_dagster.language.pipeline import Pipeline
from orchestrator_dagster.language.step import Step, walk_steps

#: Codes of what a run is refused for.
REFUSED = frozenset(("not-supported", "no-orchestrator"))
#: Tools that the language names and that this release does not bring; a project may have one of its own.
LATER_TOOLS = frozenset((
    "video_processing",
))  # fmt: skip

_HEADER = {
    "alignment": "alignment checks", "qc": "quality checks",
}  # fmt: skip
_STEP: dict[str, str] = {
}  # fmt: skip


def check_support(pipeline: Pipeline, document: Document, problems: Problems) -> None:
    """Note every key of a pipeline that this release does not run."""
    for key, what in _HEADER.items():
        if getattr(pipeline, key) not in (None, (), {}):
            _refuse(problems, document, (key,), key, what)
    for place, step in walk_steps(pipeline.steps):
        _check_step(step, place, document, problems)


def _check_step(step: Step, place: tuple[str | int, ...], document: Document, problems: Problems) -> None:
    for key, what in _STEP.items():
        if getattr(step, key) not in (None, (), {}):
            _refuse(problems, document, (*place, key), key, what, step.id)


def _refuse(
    problems: Problems, document: Document, place: tuple[str | int, ...], key: str, what: str, step: str | None = None
) -> None:
    problems.add(
        "not-supported",
        f"{f'step {chr(34)}{step}{chr(34)}: ' if step else ''}`{key}`: this release does not run {what}",
        document.key_span(place),
        severity="warning",
        step=step,
        hint="remove it; a run is refused while it stands here",
    )
