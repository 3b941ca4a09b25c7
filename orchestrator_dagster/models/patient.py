"""A client that waits for its turn, and that asks again where the provider has turned it away."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from orchestrator_dagster.errors import ModelError, ModelRateLimitError
from orchestrator_dagster.models.client import ModelAnswer, ModelClient, ModelReference, ModelRequest, Usage, Watch
from orchestrator_dagster.models.media import MediaAnswer, MediaRequest, maker
from orchestrator_dagster.models.traffic import Lane, Patience, Rates, back_off, out_of_turn

_CHARACTERS_PER_TOKEN = 4  # OpenAI's rule of thumb for English (help.openai.com, "What are tokens")
_ANSWER = 500  # tokens that an answer is taken to have where no limit is given, until its bill is there
_IMAGE = 1000  # tokens of a picture in a prompt, about what providers count for one of 1,000 by 1,000 pixels

_Answer = TypeVar("_Answer", ModelAnswer, MediaAnswer)


class PatientClient:
    """Calls through another client, in the order and at the pace that the provider's lane allows. Thread-safe.

    Args:
        inner: Makes the calls.
        lane: The provider's, shared in the process.
        rates: Requests and tokens a minute.
        patience: How long and how often it waits.
    """

    def __init__(self, inner: ModelClient, lane: Lane, rates: Rates, patience: Patience) -> None:
        self._inner, self._lane, self._rates, self._patience = inner, lane, rates, patience

    def complete(self, request: ModelRequest) -> ModelAnswer:
        """Ask, when it is the call's turn.

        Raises:
            ModelCoolingDownError: The provider is left alone for longer than a call waits.
            ModelTurnError: The call's turn did not come before its deadline.
            StepInterruptedError: The run was stopped while it waited.
            ModelError: What the inner client raises.
        """

        def call(timeout: float) -> ModelAnswer:
            return self._inner.complete(replace(request, timeout=timeout))

        return self._call(request.model, _tokens(request), request.timeout, request.watch, call)

    def make(self, request: MediaRequest) -> MediaAnswer:
        """The same for pictures, sound and vectors."""
        inner = maker(self._inner, request.model)

        def call(timeout: float) -> MediaAnswer:
            return inner.make(replace(request, timeout=timeout))

        estimate = math.ceil(sum(map(len, request.texts)) / _CHARACTERS_PER_TOKEN)
        return self._call(request.model, estimate, request.timeout, request.watch, call)

    def _call(
        self, model: ModelReference, tokens: int, timeout: float, watch: Watch, call: Callable[[float], _Answer]
    ) -> _Answer:
        attempt = 0
        while True:
            taken = self._lane.turn(model, tokens, self._rates, self._patience, watch)
            try:
                answer = call(_left(model, timeout, watch))
            except ModelError as error:
                self._lane.billed(taken, (error.usage or Usage()).tokens)
                self._lane.failed(error, self._patience)
                if not self._is_turned_away(error):
                    raise
                wait = error.retry_after
                if wait is not None:
                    self._lane.ask_again_after(model, wait)
                attempt += 1
                if attempt > self._patience.retries or (wait or 0) > self._patience.longest_wait:
                    raise
                if wait is None:
                    self._lane.pause(back_off(attempt - 1), watch)
                if watch.progress is not None:
                    watch.progress(
                        f"{model} turned the call away; asking again ({attempt} of {self._patience.retries})"
                    )
            except BaseException:
                self._lane.billed(taken, 0)
                raise
            else:
                self._lane.billed(taken, answer.usage.tokens)
                self._lane.served()
                return answer

    def _is_turned_away(self, error: ModelError) -> bool:
        """Whether the provider did not take the call, and may take it later."""
        if isinstance(error, ModelRateLimitError):
            return not error.out_of_quota
        return error.retry_after is not None and not error.permanent


def _left(model: ModelReference, timeout: float, watch: Watch) -> float:
    if watch.deadline is None:
        return timeout
    left = watch.deadline - time.monotonic()
    if left <= 0:
        raise out_of_turn(model.provider, "the time was over when its turn came")
    return min(timeout, left)


def _tokens(request: ModelRequest) -> int:
    """About what a call will take, for limits of tokens a minute."""
    characters = sum(len(message.content) for message in request.messages)
    pictures = sum(len(message.images) for message in request.messages)
    return math.ceil(characters / _CHARACTERS_PER_TOKEN) + pictures * _IMAGE + (request.max_tokens or _ANSWER)
