"""Budgets: a client that makes a call only when every budget around it allows the estimate, and books the bill.

It stands below structure, repairs, tool loops and retries: each of their calls is a call here.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from orchestrator_dagster.errors import BudgetError, ModelError, ModelTimeoutError, StorageError
from orchestrator_dagster.models.client import ModelAnswer, ModelClient, ModelReference, ModelRequest, Usage
from orchestrator_dagster.models.ledger import Ledger, Spent, Sums
from orchestrator_dagster.models.media import MediaAnswer, MediaRequest, as_question, maker
from orchestrator_dagster.models.prices import Price, price_of

#: Tokens that an answer is estimated at when the request has no ``max_tokens``.
ASSUMED_OUTPUT = 1000
#: UTF-8 bytes for a token. Text has about four in English, three in code and in most other scripts: an estimate that
#: is too low would let a budget be overspent, one that is too high only asks for some reserve.
BYTES_PER_TOKEN = 3
_PER_MESSAGE = 4  # tokens that providers add to each message (platform.openai.com, "Counting tokens")
_PER_IMAGE = 1500  # tokens of a large image in high detail, as providers count it
_GRACE = 30.0  # seconds after its timeout in which a call has surely ended


@dataclass(frozen=True)
class Limit:
    """One budget: the most that all calls at a place, and below it, may take; None for no limit.

    ``place`` is a path in the run (``""`` is all of it), ``what`` names it in messages.
    """

    place: str
    what: str
    cost: float | None = None
    tokens: int | None = None
    calls: int | None = None


@dataclass(frozen=True)
class Estimate:
    """What a call may take: tokens in and out, US dollars, None when the price is unknown."""

    input_tokens: int
    output_tokens: int
    cost: float | None

    @property
    def spent(self) -> Spent:
        """As it stands in the book until the bill is there."""
        return Spent(1, self.input_tokens + self.output_tokens, self.cost or 0.0, int(self.cost is None))


def estimated(request: ModelRequest, price: Price | None) -> Estimate:
    """What a call may take: the prompt by its size, the answer by ``max_tokens`` or :data:`ASSUMED_OUTPUT`."""
    messages, size = request.messages, 0
    for message in messages:
        size += len(message.content.encode("utf-8", "replace"))
        size += sum(len(call.name) + len(call.arguments.encode("utf-8", "replace")) for call in message.tool_calls)
    if request.schema is not None:
        size += len(json.dumps(request.schema, default=str))
    for tool in request.tools:
        size += len(tool.name) + len(tool.description) + len(json.dumps(dict(tool.parameters), default=str))
    images = sum(len(getattr(message, "images", ())) for message in messages)
    tokens = math.ceil(size / BYTES_PER_TOKEN) + _PER_MESSAGE * len(messages) + _PER_IMAGE * images
    output = request.max_tokens if request.max_tokens is not None else ASSUMED_OUTPUT
    return Estimate(tokens, output, None if price is None else price.of(tokens, output))


class BudgetedClient:
    """Another client, within budgets. Thread-safe.

    Args:
        client: The client.
        limits: The budgets that hold, the widest first.
        ledger: The run's book.
        path: Where in the run the calls are made.
        prices: Gives the price of a model, None for an unknown one.
        interrupted: Called while a call waits for others to end; raises when the run is stopped.
    """

    def __init__(
        self,
        client: ModelClient,
        limits: Sequence[Limit],
        ledger: Ledger,
        path: str = "",
        prices: Callable[[ModelReference], Price | None] = price_of,
        interrupted: Callable[[], None] = lambda: None,
    ) -> None:
        self._client, self._limits, self._ledger, self._path = client, tuple(limits), ledger, path
        self._prices, self._interrupted = prices, interrupted
        self._lock = threading.Lock()
        self._over: list[str] = []

    @property
    def behind(self) -> ModelClient:
        """The client that is asked."""
        return self._client

    def complete(self, request: ModelRequest) -> ModelAnswer:
        """Ask once, when every budget allows it. Near its end a budget lets calls wait for those under way.

        Raises:
            BudgetError: A budget does not allow the call; it was not made.
            StorageError: The book cannot be kept.
            ModelError: As the other client does.
        """
        return self._within(self._client, request)

    def _within(self, client: ModelClient, request: ModelRequest) -> ModelAnswer:
        price = self._prices(request.model)
        estimate = estimated(request, price)
        key = self._ledger.reserve(
            self._path,
            estimate.spent,
            request.timeout + _GRACE,
            lambda sums: self._judge(request, estimate, sums),
            self._interrupted,
        )
        try:
            answer = client.complete(request)
        except ModelError as error:
            self._settle(
                key, _bill(error.usage or Usage(calls=1), price, estimate, isinstance(error, ModelTimeoutError))
            )
            raise
        except BaseException:
            self._settle(key, estimate.spent)
            raise
        self._settle(key, _bill(answer.usage, price, estimate))
        return answer

    def make(self, request: MediaRequest) -> MediaAnswer:
        """The same for pictures, sound and vectors."""
        made = list[MediaAnswer]()

        class Asking:
            def complete(_, question: ModelRequest) -> ModelAnswer:  # noqa: N805 - the budget's own client is `self`
                made.append(maker(self._client, request.model).make(request))
                return ModelAnswer("", made[0].model, usage=made[0].usage)

        self._within(Asking(), as_question(request))
        return made[0]

    def check(self) -> None:
        """Fail when a bill has gone over a budget. The answers are there by then, and can be kept.

        Raises:
            BudgetError: One has.
        """
        if self._over:
            raise _error(self._over[0], _RAISE)

    def _judge(self, request: ModelRequest, estimate: Estimate, sums: Callable[[str], Sums]) -> bool:
        """Whether the call has to wait.

        Raises:
            BudgetError: A budget does not allow it, whatever the calls under way will take.
        """
        waits = False
        for limit in self._limits:
            if limit.cost is not None and estimate.cost is None and limit.tokens is None and limit.calls is None:
                raise _error(
                    f"{request.model} has no known price, and {limit.what} has a budget of ${limit.cost:g}",
                    "bound it by `tokens` or `calls` in the `budget` as well, or use a model whose price is known",
                )
            found = sums(limit.place)
            if _too_much(limit, found.spent + estimate.spent):
                raise _refusal(limit, found.spent, estimate, request)
            waits = waits or bool(_too_much(limit, found.spent + found.open + estimate.spent))
        return waits

    def _settle(self, key: str, bill: Spent) -> None:
        try:
            found = self._ledger.settle(key, bill, [limit.place for limit in self._limits])
        except StorageError:  # the answer is paid and is not thrown away; its estimate counts, the next call says why
            return
        for limit, spent in zip(self._limits, found, strict=True):
            if _too_much(limit, spent):
                with self._lock:
                    self._over.append(f"{limit.what} is over its budget: {_sums(limit, spent)}")


_RAISE = "raise the `budget`, then resume the run: what is paid is served from the call store, and counts"


def _error(message: str, hint: str) -> BudgetError:
    error = BudgetError(message, hint=hint)
    error.usage = Usage()  # it is no call
    return error


def _bill(usage: Usage, price: Price | None, estimate: Estimate, given_up: bool = False) -> Spent:
    """What a call took. One that was given up may be billed, nobody knows: its estimate counts."""
    if given_up and usage.tokens == 0:
        return replace(estimate.spent, calls=max(usage.calls, 1))
    cost = usage.cost
    if cost is None and price is not None:
        cost = price.of(usage.input_tokens, usage.output_tokens)
    return Spent(usage.calls, usage.tokens, cost or 0.0, int(cost is None))


def _too_much(limit: Limit, spent: Spent) -> str | None:
    """The first key of a budget that is overspent."""
    if limit.calls is not None and spent.calls > limit.calls:
        return "calls"
    if limit.tokens is not None and spent.tokens > limit.tokens:
        return "tokens"
    if limit.cost is not None and spent.cost > limit.cost + 1e-12:
        return "cost"
    return None


def _refusal(limit: Limit, spent: Spent, estimate: Estimate, request: ModelRequest) -> BudgetError:
    after = spent + estimate.spent
    key = _too_much(limit, after)
    price = "" if estimate.cost is None else f", ${estimate.cost:.6f}"
    least = {"calls": f"{after.calls}", "tokens": f"{after.tokens:,}", "cost": f"${after.cost:.6f}"}[str(key)]
    output = "at most" if request.max_tokens is not None else "assumed"
    return _error(
        f"the budget of {limit.what} does not allow another call: {_sums(limit, spent)}; the call to {request.model} "
        f"is estimated at {estimate.input_tokens:,} tokens in and {output} {estimate.output_tokens:,} out{price}",
        f"raise `{key}` in the `budget` to at least {least}, then resume the run: what is paid is not paid again",
    )


def _sums(limit: Limit, spent: Spent) -> str:
    """What is spent of each part of a budget."""
    parts = []
    if limit.cost is not None:
        unknown = f" (and {spent.unpriced} calls of unknown cost)" if spent.unpriced else ""
        parts.append(f"${spent.cost:.6f} of ${limit.cost:g}{unknown}")
    if limit.tokens is not None:
        parts.append(f"{spent.tokens:,} of {limit.tokens:,} tokens")
    if limit.calls is not None:
        parts.append(f"{spent.calls:,} of {limit.calls:,} calls")
    return ", ".join(parts) + " are spent"
