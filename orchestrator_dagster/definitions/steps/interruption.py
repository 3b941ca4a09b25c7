"""Whether the step that runs in this thread shall stop: known where steps run in threads, which nothing can stop."""

from __future__ import annotations

import contextvars
import threading

_never = threading.Event()
_current: contextvars.ContextVar[threading.Event] = contextvars.ContextVar("orchestrator_interruption", default=_never)


def interruption() -> threading.Event:
    """An event that is set when the step that runs in this thread shall stop; outside of such a step it never is.

    A thread cannot be stopped from outside: work that takes long, or loops, looks at this.
    """
    return _current.get()


def interrupted_by(event: threading.Event) -> None:
    """Let :func:`interruption` give ``event`` from now on, in this context."""
    _current.set(event)
