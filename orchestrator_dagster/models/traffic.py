"""The calls of this process to each provider: how many at once, how many a minute, and who is left alone for a while.

A lane is one provider at one address. All runs and steps of a process share it, whatever resource they came with.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from orchestrator_dagster.errors import (
    ModelCoolingDownError,
    ModelError,
    ModelRateLimitError,
    ModelTimeoutError,
    ModelTurnError,
    ModelUnreachableError,
    StepInterruptedError,
)
from orchestrator_dagster.models.client import UNWATCHED, ModelReference, Usage, Watch
from orchestrator_dagster.models.rates import MinuteWindow, Taken

_LOOK = 0.25  # seconds between two looks at whether the run wants its steps to stop
_LONGEST_BLOCK = 3600.0  # seconds; a provider that asks for more is taken to have asked for this


@dataclass(frozen=True)
class Patience:
    """How calls deal with a provider that cannot serve them now.

    Args:
        retries: Times that a call which the provider turned away (429, or another status with ``Retry-After``) is made
            again, before it fails. Nothing is paid for these. The step's own retries come on top.
        longest_wait: Seconds that a call waits at most for a provider that asked for it or that cools down. Where
            more is asked for, the call fails and says until when.
        cool_down_after: Failures in a row (no connection, a server error, no answer in time) after which a provider
            is left alone.
        cool_down: Seconds that it is left alone, doubled each time it fails again at once, at most 16 times as long.
    """

    retries: int = 2
    longest_wait: float = 60.0
    cool_down_after: int = 5
    cool_down: float = 15.0


@dataclass(frozen=True)
class Rates:
    """What a provider lets one have: requests and tokens a minute, None for no limit that is known."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


@dataclass
class _Block:
    until: float
    reason: str


@dataclass
class _Trouble:
    """Failures of an endpoint in a row, and how often it was left alone for them."""

    failures: int = 0
    rounds: int = 0
    lock_until: float = field(default=0.0)


class Lane:
    """One provider at one address. Thread-safe.

    Args:
        name: For messages.
        clock: Seconds that only go forward.
        wait: Waits on a condition, whose lock is held, for some seconds or until it is told of a change.
    """

    def __init__(
        self,
        name: str,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[threading.Condition, float], object] = lambda condition, seconds: condition.wait(seconds),
    ) -> None:
        self.name = name
        self._clock, self._sleep = clock, wait
        self._changed = threading.Condition()
        self._going = 0
        self._window = MinuteWindow()
        self._blocks: dict[str, _Block] = {}
        self._trouble = _Trouble()

    @contextmanager
    def one_of(self, at_once: int | None, watch: Watch = UNWATCHED) -> Iterator[None]:
        """Hold one of ``at_once`` places; only calls that have such a limit are counted.

        Raises:
            ModelTurnError: The deadline came first.
            StepInterruptedError: The run wants its steps to stop.
        """
        if at_once is None:
            yield
            return
        with self._changed:
            while self._going >= at_once:
                self._wait(None, watch, f"{at_once} calls at once are allowed")
            self._going += 1
        try:
            yield
        finally:
            with self._changed:
                self._going -= 1
                self._changed.notify_all()

    def turn(self, model: ModelReference, tokens: int, rates: Rates, patience: Patience, watch: Watch) -> Taken:
        """Wait until a call may go, and count it.

        Raises:
            ModelCoolingDownError: The model is left alone for longer than the call can wait.
            ModelTurnError: The rates leave no room before the deadline.
            StepInterruptedError: The run wants its steps to stop.
        """
        with self._changed:
            while True:
                now = self._clock()
                block = self._block(model, now)
                if block is not None:
                    self._check_block(model, block, now, patience, watch)
                    self._wait(block.until - now, watch, block.reason)
                    continue
                wait = self._window.wait(now, tokens, rates.requests_per_minute, rates.tokens_per_minute)
                if wait <= 0:
                    return self._window.take(now, tokens)
                self._wait(wait, watch, _allowed(rates))

    def billed(self, taken: Taken, tokens: int) -> None:
        """Say what a call really took."""
        with self._changed:
            taken.tokens = tokens
            self._changed.notify_all()

    def ask_again_after(self, model: ModelReference, seconds: float) -> None:
        """The provider has asked to leave ``model`` alone for some seconds: all calls wait."""
        seconds = min(seconds, _LONGEST_BLOCK)
        with self._changed:
            until = self._clock() + seconds
            known = self._blocks.get(str(model))
            if known is None or known.until < until:
                self._blocks[str(model)] = _Block(until, f"{model.provider} asked to wait {seconds:g} s")

    def served(self) -> None:
        """The endpoint has answered."""
        with self._changed:
            self._trouble = _Trouble()
            if self._blocks.pop("", None) is not None:
                self._changed.notify_all()

    def failed(self, error: ModelError, patience: Patience) -> None:
        """A call has failed; after some in a row the endpoint is left alone."""
        if not _is_trouble(error):
            if not isinstance(error, (ModelCoolingDownError, ModelTurnError, ModelRateLimitError)):
                self.served()  # it has said something, even if it was no
            return
        with self._changed:
            trouble, now = self._trouble, self._clock()
            trouble.failures += 1
            if trouble.failures < patience.cool_down_after or now < trouble.lock_until:
                return
            seconds = patience.cool_down * 2 ** min(trouble.rounds, 4)
            trouble.rounds += 1
            trouble.lock_until = now + seconds
            many = f"{trouble.failures} failures in a row" if trouble.failures > 1 else "a failure"
            reason = f"it is left alone for {seconds:g} s after {many}, the last: {error.message}"
            self._blocks[""] = _Block(now + seconds, reason)

    def cooling(self, model: ModelReference) -> float:
        """Seconds for which ``model`` is left alone from now on, 0 for not at all."""
        with self._changed:
            now = self._clock()
            block = self._block(model, now)
            return 0.0 if block is None else block.until - now

    def _block(self, model: ModelReference, now: float) -> _Block | None:
        for name in ("", str(model)):
            if name in self._blocks and self._blocks[name].until <= now:
                del self._blocks[name]
        found = [self._blocks[name] for name in ("", str(model)) if name in self._blocks]
        return max(found, key=lambda one: one.until, default=None)

    def _check_block(self, model: ModelReference, block: _Block, now: float, patience: Patience, watch: Watch) -> None:
        left = block.until - now
        if left <= patience.longest_wait and (watch.deadline is None or block.until < watch.deadline):
            return
        until = (datetime.now(timezone.utc) + timedelta(seconds=left)).strftime("%H:%M:%S UTC")
        error = ModelCoolingDownError(
            f"{model} is not asked until {until} (in {left:.0f} s): {block.reason}",
            retry_after=left,
            hint="run it again then, or name another model",
        )
        error.usage = Usage()
        raise error

    def _wait(self, seconds: float | None, watch: Watch, why: str) -> None:
        """Wait for a change, at most some seconds; the lock is held on both sides."""
        if watch.interrupted is not None and watch.interrupted():
            raise StepInterruptedError(f"the run was stopped while a call waited for its turn at {self.name}")
        now = self._clock()
        if watch.deadline is not None and now >= watch.deadline:
            raise out_of_turn(self.name, why)
        longest = [one for one in (seconds, watch.deadline and watch.deadline - now) if one is not None]
        if watch.interrupted is not None:
            longest.append(_LOOK)
        self._sleep(self._changed, max(min(longest, default=3600.0), 0.001))

    def pause(self, seconds: float, watch: Watch) -> None:
        """Wait some seconds before a call is made again.

        Raises:
            ModelTurnError: The deadline comes first.
            StepInterruptedError: The run wants its steps to stop.
        """
        with self._changed:
            until = self._clock() + seconds
            while (left := until - self._clock()) > 0:
                self._wait(left, watch, f"a pause of {seconds:.1f} s")


def out_of_turn(provider: str, why: str) -> ModelTurnError:
    """A call to ``provider`` that could not go before its deadline."""
    error = ModelTurnError(
        f"no call to {provider} could go in time: {why}", hint="raise the step's timeout, or the limit"
    )
    error.usage = Usage()
    return error


def back_off(attempt: int) -> float:
    """Seconds before a call is made again where the provider named none: 1, 2, 4 …, each a quarter more or less."""
    return float(2**attempt * random.uniform(0.75, 1.25))


def _is_trouble(error: ModelError) -> bool:
    if isinstance(error, (ModelUnreachableError, ModelTimeoutError)):
        return True
    return type(error) is ModelError  # a server error, or a connection that was cut


def _allowed(rates: Rates) -> str:
    parts = [
        f"{number:,} {what} a minute"
        for number, what in ((rates.requests_per_minute, "requests"), (rates.tokens_per_minute, "tokens"))
        if number is not None
    ]
    return f"{' and '.join(parts)} are allowed"


_lanes: dict[tuple[str, str], Lane] = {}
_lanes_lock = threading.Lock()


def lane(provider: str, address: str | None) -> Lane:
    """The lane of this process for a provider at an address, None for its usual one."""
    with _lanes_lock:
        return _lanes.setdefault((provider, address or ""), Lane(provider))
