"""Requests and tokens per minute: what a provider's calls of the last minute leave for the next one."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

MINUTE = 60.0


@dataclass
class Taken:
    """What a call has of its minute: ``tokens`` is the estimate until the bill comes."""

    at: float
    tokens: int


class MinuteWindow:
    """The calls of the last 60 seconds. Not thread-safe by itself: its owner holds a lock.

    A window of 60 s that slides, and not a bucket that refills: a bucket would let twice the allowed number through in
    the first minute. The calls' own times are passed in, so that nothing here reads a clock.

    Example:
        >>> window = MinuteWindow()
        >>> window.take(0.0, 10).tokens, window.wait(1.0, 10, requests=1, tokens=None)
        (10, 59.0)
        >>> window.wait(60.0, 10, requests=1, tokens=None)
        0.0
    """

    def __init__(self) -> None:
        self._calls: deque[Taken] = deque()

    def wait(self, now: float, estimate: int, requests: int | None, tokens: int | None) -> float:
        """Seconds until a call of about ``estimate`` tokens may go, none when it may go at once.

        Args:
            now: The time.
            estimate: Tokens that the call will take. One that is larger than the limit goes when nothing else does.
            requests: Calls that a minute may have, None for any number.
            tokens: Tokens that a minute may have, None for any number.
        """
        self._forget(now)
        wait = 0.0
        if requests is not None and len(self._calls) >= requests:
            wait = self._calls[len(self._calls) - requests].at + MINUTE - now
        if tokens is not None:
            over = sum(call.tokens for call in self._calls) + estimate - tokens
            for call in self._calls:
                if over <= 0:
                    break
                over -= call.tokens
                wait = max(wait, call.at + MINUTE - now)
        return max(wait, 0.0)

    def take(self, now: float, estimate: int) -> Taken:
        """Count a call that goes now. Its ``tokens`` are set to what it really took when that is known."""
        taken = Taken(now, estimate)
        self._calls.append(taken)
        return taken

    def _forget(self, now: float) -> None:
        while self._calls and now - self._calls[0].at >= MINUTE:
            self._calls.popleft()
