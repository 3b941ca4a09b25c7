"""A pipeline with every kind of control flow, and a model server that describes and judges it as a test wants."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.definitions.resources import ModelEndpoint, ModelsResource
from orchestrator_dagster.project.loading import compile_or_raise
from orchestrator_dagster.testing import ModelServer, Request

Compile = Callable[[str], CompiledPipeline]

LETTERS = """\
id: letters
description: Answers the letters of a town library and files them in one list
orchestrator: openai:gpt-4o-mini
default_model: builtin:extractive
inputs:
  - letters: {type: array, items: string, default: [When are you open on Sundays?, Thank you for the reading room.]}
steps:
  - id: pick
    for_each: "{{ letters }}"
    as: letter
    steps:
      - id: question
        condition: contains(letter, "?")
        action: echo
        parameters: {message: "An answer to: {{ letter }}"}
  - id: gather
    action: echo
    parameters: {message: "{{ pick.results | select | list | length }} letters are answered."}
    on_failure: excuse
    vars: {summary: "{{ result }}"}
    products: {summary: summary.md}
  - id: excuse
    action: echo
    parameters: {message: "No letter was answered: {{ error.message }}"}
outputs:
  summary: "{{ gather.summary | default(excuse) }}"
"""

INTENTION = {
    "sentences": [
        {
            "text": "Letters to a town library are answered where they ask something.",
            "steps": ["pick", "pick/question"],
        },
        {"text": "The answers are counted into `summary.md` by `gather`.", "steps": ["gather"]},
        {"text": "When that fails, `excuse` says why no letter was answered.", "steps": ["excuse"]},
    ]
}
ARCHITECTURE = {
    "overview": "A loop over `letters` feeds one step that writes the product, with a handler beside it.",
    "steps": [
        {"step": "pick", "does": "Goes through `letters` one by one."},
        {"step": "pick/question", "does": "Puts an answer together for a letter."},
        {"step": "gather", "does": "Counts the answers and writes `summary.md`."},
        {"step": "excuse", "does": "Says what went wrong."},
    ],
    "control_flow": [
        {"step": "pick", "kind": "loop", "means": "The body runs once for each letter."},
        {"step": "pick/question", "kind": "condition", "means": "A letter without a question mark is left out."},
        {"step": "gather", "kind": "route", "means": "A failure leads to `excuse`."},
        {"step": "gather", "kind": "failure", "means": "The run can still succeed after it."},
        {"step": "excuse", "kind": "route", "means": "It runs when `gather` has failed."},
        {"step": "excuse", "kind": "failure", "means": "It handles the error of `gather`."},
    ],
    "serves": "Each letter is looked at, and the list holds those with an answer.",
}
ALIGNED: dict[str, Any] = {"aligned": True, "findings": []}
MISALIGNED = {
    "aligned": False,
    "findings": [
        {"step": "gather", "what": "It counts the answers and files none of them.", "fix": "Put the answers into it."}
    ],
}


class Orchestrator:
    """What the model server says to each question: :meth:`answers` changes it."""

    def __init__(self, server: ModelServer) -> None:
        self.server = server
        self.scripts: dict[str, list[Any]] = {}
        for name, reply in (("intention", INTENTION), ("architecture", ARCHITECTURE), ("alignment", ALIGNED)):
            self.answers(name, reply)
        server.when(lambda request: self.question(request) in self.scripts, reply=self._reply)

    def answers(self, question: str, *replies: Any) -> None:
        """Script the answers to one question, the last one again and again."""
        self.scripts[question] = list(replies)

    def _reply(self, request: Request) -> Any:
        left = self.scripts[self.question(request)]
        return left.pop(0) if len(left) > 1 else left[0]

    @staticmethod
    def question(request: Request) -> str:
        """Which of the questions a request is."""
        for mark, name in (
            ("You document data pipelines", "intention"),
            ("You document the architecture", "architecture"),
            ("You review data pipelines", "alignment"),
            ("You judge the products", "quality"),
        ):
            if mark in request.text:
                return name
        return "another"

    def asked(self) -> list[str]:
        """The questions that were asked, in order."""
        return [self.question(call) for call in self.server.calls]

    @property
    def resources(self) -> dict[str, Any]:
        """Resources that lead to the server."""
        return {"models": ModelsResource(endpoints=[ModelEndpoint(provider="openai", base_url=self.server.url)])}


@pytest.fixture
def letters() -> str:
    """The text of the pipeline that the answers are about."""
    return LETTERS


@pytest.fixture
def good() -> SimpleNamespace:
    """The good answers, and a judgement that finds something."""
    return SimpleNamespace(INTENTION=INTENTION, ARCHITECTURE=ARCHITECTURE, ALIGNED=ALIGNED, MISALIGNED=MISALIGNED)


@pytest.fixture
def orchestrator(model_server: ModelServer) -> Orchestrator:
    """The scripted orchestrator: it gives the good answers until a test says otherwise."""
    return Orchestrator(model_server)


@pytest.fixture
def compiled(project: Path) -> Compile:
    """Compiles the text of a pipeline file."""

    def make(text: str) -> CompiledPipeline:
        path = project / "pipelines" / "one.yaml"
        path.write_text(text, encoding="utf-8")
        return compile_or_raise(path, project)

    return make
