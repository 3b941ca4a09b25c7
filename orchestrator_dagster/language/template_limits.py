"""How much one render may make and how long it may take.

A template is code: without limits, twenty characters fill the memory (``'a' * 10**10``, a list in a list in a list).
Every operation that can make something larger than what it got is counted here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jinja2.exceptions import SecurityError

#: Characters that one text may have, and the output of a render.
MAX_TEXT = 10 * 1024 * 1024
#: Characters and list entries that all operations of one render may make together, in multiples of one text.
MAX_WORK = 25
#: Entries that one list or map may have, and all that stand in it.
MAX_ENTRIES = 1_000_000
#: Values that one value may be made of, all the way down.
MAX_VALUES = 10_000_000
#: Characters of all texts in one value together, as often as each stands in it: as JSON it has them all.
MAX_CHARACTERS = 256 * 1024 * 1024
#: Bits of an integer.
MAX_BITS = 100_000


class _Spent(threading.local):
    """What the render of this thread has used up."""

    deadline = float("inf")
    seconds = 0.0
    work = 0


SPENT = _Spent()


def start(seconds: float) -> tuple[float, float, int]:
    """Begin a render that may take so long; gives what :func:`restore` takes when it is over."""
    before = SPENT.deadline, SPENT.seconds, SPENT.work
    SPENT.deadline, SPENT.seconds, SPENT.work = time.monotonic() + seconds, seconds, 0
    return before


def restore(before: tuple[float, float, int]) -> None:
    """End a render: a render around it goes on with its own limits."""
    SPENT.deadline, SPENT.seconds, SPENT.work = before


def check_time() -> None:
    """Fail when the render has run for too long.

    Raises:
        SecurityError: It has.
    """
    if time.monotonic() > SPENT.deadline:
        raise SecurityError(f"the template ran for more than {SPENT.seconds:g} seconds")


def check_size(size: int) -> None:
    """Fail when something of this size may not be made.

    Raises:
        SecurityError: It may not.
    """
    if size > MAX_TEXT:
        raise SecurityError(f"a text of {size:,} characters; at most {MAX_TEXT:,} are allowed")


def check_entries(count: int) -> None:
    """Fail when a list or map of so many entries may not be made.

    Raises:
        SecurityError: It may not.
    """
    if count > MAX_ENTRIES:
        raise SecurityError(f"a value of {count:,} entries; at most {MAX_ENTRIES:,} are allowed")


def spend_result(result: Any) -> Any:
    """Count what an operation made; gives it back.

    Raises:
        SecurityError: See :func:`spend`.
    """
    if isinstance(result, (list, tuple, dict)):
        check_entries(len(result))
        spend(len(result))
    elif isinstance(result, str):
        spend(len(result))
    return result


def spend(size: int) -> None:
    """Count something of this size that is being made.

    Raises:
        SecurityError: It is too large, the render has made too much altogether, or has run for too long.
    """
    check_size(size)
    SPENT.work += size
    if SPENT.work > MAX_WORK * MAX_TEXT:
        raise SecurityError(f"the template made more than {MAX_WORK * MAX_TEXT:,} characters and entries altogether")
    check_time()


def measured(value: Any) -> Any:
    """``value``, when it has not too many characters and entries, all the way down.

    A list may stand in a list many times: what counts is how large it would be written out.

    Raises:
        SecurityError: It has too many.
    """
    size, entries, waiting = 0, 0, [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            size += len(one)
            check_size(size)
        elif isinstance(one, (Mapping, list, tuple)):
            entries += len(one)
            check_entries(entries)
            waiting.extend(one if not isinstance(one, Mapping) else [item for pair in one.items() for item in pair])
    SPENT.work += entries
    check_time()
    return value


def ticking(values: Iterable[Any]) -> Iterator[Any]:
    """Iterate with an eye on the clock."""
    for value in values:
        check_time()
        yield value
