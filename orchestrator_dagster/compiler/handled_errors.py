"""The types of errors that handlers of failures name: a name that is nearly one is told."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher

from orchestrator_dagster.compiler.kinds import Place
from orchestrator_dagster.error_names import handler_word, known_errors
from orchestrator_dagster.language.diagnostics import Problems
from orchestrator_dagster.language.document import Document
from orchestrator_dagster.language.pipeline import Pipeline
from orchestrator_dagster.language.settings import FailureHandler
from orchestrator_dagster.language.step import walk_steps
from orchestrator_dagster.text import nearest_name

#: Two names that are so alike are one name, misspelt. Code of one's own may raise errors of any other name.
_MISSPELT = 0.85


def check_handled_errors(pipeline: Pipeline, document: Document, problems: Problems) -> None:
    """Warn of a type of error that is nearly a known one: its handler would never be asked.

    Args:
        pipeline: The pipeline.
        document: Its file.
        problems: Takes the warnings.
    """
    for place, handler, step in _handlers(pipeline):
        for number, name in enumerate(handler.errors):
            known = known_errors()
            word = handler_word(name)
            near = None if word in known or word in ("", "*") else nearest_name(word, known)
            if near is not None and SequenceMatcher(None, word, near).ratio() >= _MISSPELT:
                at = (*place, "errors", number)
                problems.add(
                    "wrong-value",
                    f'the handler is for the error "{name}", and none is called so',
                    document.span(at if document.has(at) else (*place, "errors")),
                    severity="warning",
                    step=step,
                    suggestion=known[near],
                )


def _handlers(pipeline: Pipeline) -> Iterator[tuple[Place, FailureHandler, str | None]]:
    for number, handler in enumerate(pipeline.failure_handlers):
        yield ("failure_handlers", number), handler, None
    for place, step in walk_steps(pipeline.steps):
        for number, handler in enumerate(step.failure_handlers):
            yield (*place, "failure_handlers", number), handler, step.id
