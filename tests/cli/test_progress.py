"""What progress shows on a terminal: texts of models and tools, and no commands to the terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from orchestrator_dagster.cli.progress import _plain, _View
from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.definitions.steps.progress import Progress
from orchestrator_dagster.text import visible


def test_escape_sequences_of_a_message_are_shown_and_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    event = Progress("failed", "sort", 'mood: found the text "\x1b[2Jred\x1b]0;x\x07", é 树\n  next: …')
    _plain(event)
    assert (
        capsys.readouterr().err == 'sort: failed\n  mood: found the text "\\x1b[2Jred\\x1b]0;x\\x07", é 树\n  next: …\n'
    )
    view = _View(CompiledPipeline.model_construct(id="p", name="p", steps=()))
    view.states["sort"] = ("running", "")
    view.note(event)
    out = io.StringIO()
    Console(file=out, width=100).print(view)
    assert "\\x1b[2Jred" in out.getvalue()
    assert "\x1b" not in out.getvalue()


def test_what_turns_the_direction_of_a_text_is_shown() -> None:
    assert visible("pay \u202eeno\u2069\x9b1m\ud800") == "pay \\u202eeno\\u2069\\x9b1m\ufffd"
