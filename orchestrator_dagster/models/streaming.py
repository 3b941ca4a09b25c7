"""Calls that are bounded in time, and answers that come as a stream: collected, and given up when they stall."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from orchestrator_dagster.errors import StepInterruptedError
from orchestrator_dagster.models.client import UNWATCHED, ModelReference, Watch

_CHARACTERS_PER_TOKEN = 4
_FIRST_SAID = 10.0  # seconds after which a long answer is first spoken of; then each time half as long again
_PACE = 1.5
_LOOK = 0.2  # seconds between two looks at whether the run was stopped


class StalledError(Exception):
    """Nothing came for longer than it may take; ``tokens`` is about what had come before."""

    def __init__(self, tokens: int) -> None:
        super().__init__(tokens)
        self.tokens = tokens


@dataclass(frozen=True)
class _End:
    error: BaseException | None = None


def within(seconds: float, call: Callable[[], Any], watch: Watch = UNWATCHED) -> Any:
    """What ``call`` gives.

    The HTTP clients only bound the wait for the next byte, and some providers send blanks to stay connected. A thread
    cannot be stopped: a call that is given up goes on until its connection ends, and nobody hears of it.

    Raises:
        TimeoutError: It took longer than ``seconds``.
        StepInterruptedError: The run was stopped meanwhile.
    """
    done: queue.SimpleQueue[tuple[Any, Exception | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            done.put((call(), None))
        except Exception as error:
            done.put((None, error))

    threading.Thread(target=run, name="model-call", daemon=True).start()
    try:
        value, error = _next_of(done, time.monotonic() + seconds, watch)
    except queue.Empty:
        raise TimeoutError from None
    if error is not None:
        raise error
    return value


def _next_of(arrived: queue.SimpleQueue[Any], end: float, watch: Watch) -> Any:
    """What comes next, until a time of ``time.monotonic``, and while the run goes on.

    Raises:
        queue.Empty: Nothing came.
        StepInterruptedError: The run was stopped.
    """
    while True:
        left = end - time.monotonic()
        try:
            return arrived.get(timeout=max(0.0, left if watch.interrupted is None else min(left, _LOOK)))
        except queue.Empty:
            if watch.interrupted is not None and watch.interrupted():
                raise StepInterruptedError("the run was stopped while a model was asked") from None
            if time.monotonic() >= end:
                raise


def collected(
    open_stream: Callable[[], Iterable[Any]],
    seconds: float,
    stall: float,
    said: Callable[[int], None],
    watch: Watch = UNWATCHED,
) -> list[Any]:
    """All chunks of a stream.

    Args:
        open_stream: Begins the call and gives its chunks.
        seconds: For all of it.
        stall: For the wait for the next chunk; the first one may take all of ``seconds``, since models think first.
        said: Called with the tokens so far, about, at every chunk.
        watch: Says when the run is stopped.

    Raises:
        TimeoutError: It took longer than ``seconds``.
        StalledError: A chunk took longer than ``stall``.
        StepInterruptedError: The run was stopped meanwhile.
    """
    arrived: queue.SimpleQueue[Any] = queue.SimpleQueue()
    given_up = threading.Event()

    def read() -> None:
        try:
            for chunk in open_stream():
                if given_up.is_set():
                    return
                arrived.put(chunk)
            arrived.put(_End())
        except Exception as error:
            arrived.put(_End(error))

    threading.Thread(target=read, name="model-stream", daemon=True).start()
    end, chunks, characters = time.monotonic() + seconds, list[Any](), 0
    while True:
        left = end - time.monotonic()
        try:
            found = _next_of(arrived, time.monotonic() + (min(left, stall) if chunks else left), watch)
        except StepInterruptedError:
            given_up.set()
            raise
        except queue.Empty:
            given_up.set()
            if chunks and stall < left:
                raise StalledError(characters // _CHARACTERS_PER_TOKEN) from None
            raise TimeoutError from None
        if isinstance(found, _End):
            if found.error is not None:
                raise found.error
            return chunks
        chunks.append(found)
        characters += sum(map(len, _texts(found)))
        said(characters // _CHARACTERS_PER_TOKEN)


def progress_of(
    model: ModelReference, watch: Watch, clock: Callable[[], float] = time.monotonic
) -> Callable[[int], None]:
    """Says how a long answer comes along: after 10 s, then after 15, 22, 34 … and nothing of a short one.

    Args:
        model: Who answers.
        watch: With the callback, which may be None.
        clock: Seconds that only go forward.
    """
    started, due = clock(), _FIRST_SAID

    def said(tokens: int) -> None:
        nonlocal due
        seconds = clock() - started
        if watch.progress is None or seconds < due:
            return
        due = seconds * _PACE
        watch.progress(f"{model} is answering: about {tokens:,} tokens after {seconds:.0f} s")

    return said


def _texts(chunk: Any) -> Iterator[str]:
    for choice in getattr(chunk, "choices", None) or []:
        delta = getattr(choice, "delta", None)
        for name in ("content", "reasoning_content"):
            text = getattr(delta, name, None)
            if isinstance(text, str):
                yield text
        for call in getattr(delta, "tool_calls", None) or []:
            yield str(getattr(call.function, "arguments", None) or "")
