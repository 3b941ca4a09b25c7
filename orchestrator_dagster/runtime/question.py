"""A question of a step to a model: answered from the call store when it was answered and accepted before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledStep
from orchestrator_dagster.errors import ModelError, StorageError
from orchestrator_dagster.models.call_store import CallKey, CallStore, StoredCall
from orchestrator_dagster.models.client import ModelAnswer, ModelClient, ModelRequest
from orchestrator_dagster.models.references import BUILTIN
from orchestrator_dagster.models.structured import Asked
from orchestrator_dagster.runtime.outcome import UsageInfo
from orchestrator_dagster.runtime.services import Services

#: Asks a client and checks its answer. It is called with the store in the place of a model too.
Ask = Callable[[ModelClient], Asked]


@dataclass(frozen=True)
class _Stored:
    """A stored answer as a client: what is served goes through the same checks as what a model says."""

    call: StoredCall

    def complete(self, request: ModelRequest) -> ModelAnswer:
        """The stored answer."""
        return self.call.answer()


class Question:
    """One question, from asking to acceptance.

    The built-in model's answers are not stored: they cost nothing, and are the same every time.

    Args:
        pipeline: The pipeline of the step.
        step: Who asks; its ``cache`` says whether and for how long the answer is kept.
        request: The first request, before any repair.
        services: With the call store, if there is one.
    """

    def __init__(self, pipeline: CompiledPipeline, step: CompiledStep, request: ModelRequest, services: Services):
        self._request, self._services, self._reason = request, services, step.model_reason
        self._occurrence = f"{pipeline.id}/{services.occurrence or step.id}"
        self._store: CallStore | None = None
        self._asked: Asked | None = None
        if services.calls is not None and step.cache != "off" and request.model.provider != BUILTIN:
            self._store = services.calls
            occurrence = self._occurrence if step.cache == "run" else None
            self._key: CallKey = self._store.key(request, occurrence, services.models.address(request.model))

    def ask(self, ask: Ask) -> tuple[Asked, UsageInfo]:
        """The answer and what it took now: nothing when it comes from the store.

        Raises:
            ModelError: As ``ask`` does.
        """
        found = self._find(ask)
        if found is not None:
            return found
        self._services.log(f"asks {self._request.model} ({self._reason})")
        self._asked = asked = ask(self._services.models.client(self._request.model))
        return asked, UsageInfo.of(asked.usage, asked.seconds)

    def is_answered(self) -> bool:
        """Whether the store has an answer to it."""
        try:
            return self._store is not None and self._store.get(self._key) is not None
        except StorageError:
            return False  # asking says so

    def accept(self) -> None:
        """The step has taken the answer and everything in it: from now on it is served. A served one is kept as it is.

        A store that cannot be written does not fail the step, whose answer is paid: the log says it.
        """
        asked, services = self._asked, self._services
        if self._store is None or asked is None:
            return
        call = StoredCall(asked.answer.text, asked.answer.model, asked.usage, asked.seconds)
        finds = services.redactor.finds
        try:
            # Escapes in JSON text can hide a secret that its value shows.
            kept = not finds(asked.value) and self._store.put(self._key, call, self._occurrence, finds)
        except StorageError as error:
            services.log(f"{error.message}; the answer is not kept")
            return
        if not kept:
            services.log("the answer has a secret in it and is not kept in the call store")

    def _find(self, ask: Ask) -> tuple[Asked, UsageInfo] | None:
        if self._store is None:
            return None
        try:
            call = self._store.get(self._key)
            if call is None:
                return None
            asked = ask(_Stored(call))
        except StorageError as error:
            self._services.log(f"{error.message}; the model is asked")
            return None
        except ModelError:  # it was accepted under other rules than today's
            return None
        calls = max(call.usage.calls, 1)
        many = "1 call" if calls == 1 else f"{calls} calls"
        self._services.log(
            f"served from the store: the answer of {call.model}; {many} ({call.usage.tokens} tokens) not paid again"
        )
        return asked, UsageInfo(served=calls)
