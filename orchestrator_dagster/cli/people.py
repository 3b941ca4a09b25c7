"""Questions to people on the terminal of a run: below the live view, which waits meanwhile."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from orchestrator_dagster.errors import StepInterruptedError
from orchestrator_dagster.text import visible

if TYPE_CHECKING:
    from orchestrator_dagster.runtime.people import OpenQuestion
    from orchestrator_dagster.tools.people_access import FormField

_LOOK = 0.2  # seconds between two looks at whether the run is stopped
_MOST_DETAILS = 4000  # characters of the details that are shown


@contextlib.contextmanager
def people_at_terminal(console: Console, live: Live | None = None) -> Iterator[None]:
    """While the block runs, questions of the run are asked here, if a person sits here.

    Args:
        console: Where they are shown.
        live: The view that waits while a question is asked.
    """
    from orchestrator_dagster.runtime.people import People

    if not (_is_terminal(sys.stdin) and console.is_terminal):
        yield
        return

    def ask(asked: OpenQuestion, stopped: Callable[[], bool]) -> tuple[dict[str, Any], str | None, str | None] | None:
        if live is not None:
            live.stop()
        try:
            return _Form(console, asked, stopped).fill_in()
        finally:
            if live is not None:
                live.start()

    People.terminal = staticmethod(ask)  # a function, not a method
    try:
        yield
    finally:
        People.terminal = None


def _is_terminal(stream: Any) -> bool:
    try:
        return bool(stream is not None and stream.isatty())
    except ValueError:  # closed
        return False


class _NobodyError(Exception):
    """Nobody answers: the time is over, or the input has ended."""


class _Form:
    """One question on the terminal, until it is answered."""

    def __init__(self, console: Console, asked: OpenQuestion, stopped: Callable[[], bool]) -> None:
        self.console, self.asked, self.stopped = console, asked, stopped
        self.question = asked.question
        self.until = None if self.question.timeout is None else time.monotonic() + self.question.timeout

    def fill_in(self) -> tuple[dict[str, Any], str | None, str | None] | None:
        """The values, the comment and the name; None when nobody answered."""
        self._head()
        try:
            values = {field.id: self._field(field) for field in self.question.fields}
            comment = self._line("comment (may be empty): ") if self.question.kind == "approval" else None
            return values, comment, self._name()
        except _NobodyError:
            self.console.print("no answer", style="yellow")
            return None

    def _head(self) -> None:
        question = self.question
        body = Text(visible(question.message))
        if question.details not in (None, "", [], {}):
            details = question.details
            text = details if isinstance(details, str) else json.dumps(details, ensure_ascii=False, indent=2)
            cut = f"{text[:_MOST_DETAILS]} …" if len(text) > _MOST_DETAILS else text
            body.append(f"\n\n{visible(cut)}", style="dim")
        self.console.print(Panel(body, title=Text(f"{self.asked.pipeline}: {self.asked.step}"), title_align="left"))

    def _field(self, field: FormField) -> Any:
        several = len(self.question.fields) > 1
        asks = "approve" if self.question.kind == "approval" else field.question if several else "answer"
        while True:
            value, problem = field.read(self._line(f"{asks}{_wanted(field)}: "))
            if problem is None:
                return value
            self.console.print(Text(f"  {problem}", style="red"))

    def _name(self) -> str | None:
        with contextlib.suppress(Exception):  # no name of a user is known here
            name = getpass.getuser()
            if not self.question.approvers or name in self.question.approvers:
                return name
        while self.question.approvers:
            name = self._line(f"your name ({', '.join(self.question.approvers)}): ").strip()
            if name in self.question.approvers:
                return name
        return None

    def _line(self, prompt: str) -> str:
        self.console.print(Text(visible(prompt), style="bold"), end="")
        if os.name == "nt":  # there only sockets can be waited for
            try:
                return input()
            except EOFError:
                raise _NobodyError from None
        number = sys.stdin.fileno()
        while not select.select([number], [], [], _LOOK)[0]:
            if self.stopped():
                raise StepInterruptedError("the run was stopped")
            if self.until is not None and time.monotonic() >= self.until:
                self.console.print()
                raise _NobodyError
        data = os.read(number, 65536)  # a terminal gives one line
        if not data:
            raise _NobodyError
        return data.decode("utf-8", "replace").rstrip("\r\n")


def _wanted(field: FormField) -> str:
    """What an answer may be, and what an empty one means."""
    parts = []
    if field.choices:
        parts.append(", ".join(field.choices) + (" (several with commas)" if field.type == "choices" else ""))
    elif field.type == "boolean":
        parts.append("yes/no")
    elif field.type in ("integer", "number"):
        low, high = field.minimum, field.maximum
        parts.append(f"{low:g} to {high:g}" if low is not None and high is not None else field.type)
    if field.default is not None:
        shown = ("yes" if field.default else "no") if field.type == "boolean" else field.default
        parts.append(f"empty: {shown}")
    elif not field.required:
        parts.append("may be empty")
    return f" [{'; '.join(parts)}]" if parts else ""
