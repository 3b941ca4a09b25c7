"""The models of a step, lent to its tool: what a tool asks counts for the step, and is answered from the store."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledStep
from orchestrator_dagster.errors import (
    ModelError,
    ModelRequestError,
    StepError,
    StepInterruptedError,
    StepTimeoutError,
)
from orchestrator_dagster.language.json_schema import schema_problems
from orchestrator_dagster.language.templates import render_tree
from orchestrator_dagster.models.client import Message, ModelClient, ModelReference, ModelRequest, Watch
from orchestrator_dagster.models.personalities import find_personality
from orchestrator_dagster.models.references import BUILTIN
from orchestrator_dagster.models.run_clients import timeout_of
from orchestrator_dagster.models.structured import Asked, ask_structured, ask_text
from orchestrator_dagster.runtime.failure import usage_of
from orchestrator_dagster.runtime.model_choice import UNDECIDED, decide
from orchestrator_dagster.runtime.outcome import ModelUse, UsageInfo
from orchestrator_dagster.runtime.question import Ask, Question
from orchestrator_dagster.runtime.services import Services
from orchestrator_dagster.runtime.tool_media import MediaAsking
from orchestrator_dagster.tools.model_access import ModelReply

#: What the models are that are no language models, by provider.
ABOUT = {BUILTIN: "built-in extractive model (no language model): every sentence is taken from the given text"}
DEFAULT_REPAIR = 2


@dataclass(frozen=True)
class _Defaults:
    """What the step says about its model calls: used where the tool says nothing."""

    models: Sequence[Any]
    system: str | None
    temperature: float | None
    max_tokens: int | None
    settings: Mapping[str, Any]


class StepModels(MediaAsking):
    """A :class:`~orchestrator_dagster.tools.model_access.ModelAccess` for one attempt at a step. Safe for threads.

    Args:
        pipeline: The pipeline of the step.
        step: The step, with the models that the compiler found for it.
        names: The names that the templates of its settings may use.
        services: The clients of the models, the store of answers, the log.
        timeout: Seconds for all of the step, None without limit.
    """

    def __init__(
        self,
        pipeline: CompiledPipeline,
        step: CompiledStep,
        names: Mapping[str, Any],
        services: Services,
        timeout: float | None = None,
    ) -> None:
        self._pipeline, self._step, self._services = pipeline, step, services
        self._defaults = _defaults(pipeline, step, names, services)
        self._timeout = timeout
        self._end = math.inf if timeout is None else time.monotonic() + timeout
        self._lock = threading.Lock()
        self._usage = UsageInfo()
        self._seen: Counter[str] = Counter()
        self._open: list[Question] = []
        self._answered: list[ModelReference] = []
        self._failures: list[StepError] = []

    @property
    def usage(self) -> UsageInfo:
        """What all calls took so far, failed ones included."""
        with self._lock:
            return self._usage

    @property
    def use(self) -> ModelUse | None:
        """The model that answered, with all of them in the reason when there were several; None before an answer."""
        with self._lock:
            answered = list(dict.fromkeys(self._answered))
        if not answered:
            return None
        reason = self._step.model_reason or "the tool's choice"
        if len(answered) > 1:
            reason = f"asked {len(answered)} models: {', '.join(map(str, answered))}"
        return ModelUse(
            name=answered[0].name, provider=answered[0].provider, reason=reason, about=ABOUT.get(answered[0].provider)
        )

    def ask(
        self,
        prompt: str,
        *,
        system: str | None = None,
        model: str | None = None,
        schema: Mapping[str, Any] | None = None,
        images: Sequence[bytes] = (),
        temperature: float | None = None,
        max_tokens: int | None = None,
    ) -> ModelReply:
        """Ask once; see :meth:`ModelAccess.ask`.

        Raises:
            ModelError: What went wrong; what it took is counted for the step, also when the tool handles it.
            StepTimeoutError: The time of the step is over.
            StepInterruptedError: The run was stopped.
        """
        with self._failing():
            request = self._request(prompt, system, model, schema, images, temperature, max_tokens)
        asked, usage = self._put(request, lambda client: self._answer(client, request))
        return ModelReply(
            text=asked.answer.text,
            value=asked.value if schema is not None else None,
            model=str(asked.answer.model),
            tokens=usage.tokens,
            cost=usage.cost,
        )

    def _put(self, request: ModelRequest, ask: Ask) -> tuple[Asked, UsageInfo]:
        """Put a question and count what it took."""
        with self._failing():
            self._check_going_on()
            question = Question(self._pipeline, self._step, request, self._services_for(request))
            try:
                asked, usage = question.ask(ask)
            except ModelError as error:
                with self._lock:
                    self._usage += usage_of(error)
                raise
        with self._lock:
            self._usage += usage
            self._open.append(question)
            self._answered.append(asked.answer.model)
        return asked, usage

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Note a failure of a call: what it took is counted here."""
        try:
            yield
        except StepError as error:
            error.paid = UsageInfo()
            with self._lock:
                self._failures.append(error)
            raise

    def settle(self, error: StepError | None = None) -> None:
        """The tool has ended: what it was answered is accepted, so that a retry does not pay for it again.

        Args:
            error: Why the step failed. After a failure of a call the answers before it still count; after any other
                one an answer may have been its cause, so none is kept.
        """
        with self._lock:
            taken, self._open = self._open, []
            fits = error is None or error in self._failures
        if fits or isinstance(error, (StepTimeoutError, StepInterruptedError)):
            for question in taken:
                question.accept()

    def _check_going_on(self) -> None:
        if self._services.interrupted():
            raise StepInterruptedError("the run was stopped")
        if time.monotonic() >= self._end:
            raise StepTimeoutError(
                f"{self._step.tool} took longer than its timeout of {self._timeout:g} seconds and was stopped",
                hint="raise the step's `timeout`, or give it less to do",
            )

    def _request(
        self,
        prompt: str,
        system: str | None,
        model: str | None,
        schema: Mapping[str, Any] | None,
        images: Sequence[bytes],
        temperature: float | None,
        max_tokens: int | None,
    ) -> ModelRequest:
        own = self._defaults
        system = system or own.system
        messages = [Message("system", system)] if system else []
        messages.append(Message("user", prompt, images=tuple(images)))
        request = ModelRequest(
            model=UNDECIDED,
            messages=tuple(messages),
            schema=schema,
            temperature=temperature if temperature is not None else own.temperature,
            max_tokens=max_tokens if max_tokens is not None else own.max_tokens,
            settings=own.settings,
        )
        return self._bounded(replace(request, model=self._model(model, request)))

    def _model(self, name: str | None, request: ModelRequest) -> ModelReference:
        """The model that a request goes to: the one that the tool names, else as for a model step."""
        if name is not None:
            return self._services.known_models.parse(name)
        if self._step.choice is None and not self._defaults.models:
            raise ModelRequestError(
                f'the tool "{self._step.tool}" asks a model, and nothing names one',
                hint="set `model` at the step, or `default_model` in the header",
            )
        return decide(self._step, self._defaults.models, request, self._services).order[0]

    def _named_model(self) -> str | None:
        spec = self._step.spec
        named = spec.model or spec.expert or "model" in self._step.settings
        models = self._defaults.models
        return str(models[0]) if named and models else None

    def _bounded(self, request: ModelRequest) -> ModelRequest:
        deadline = None if self._timeout is None else self._end
        return replace(request, timeout=self._seconds(request.model), watch=Watch(deadline=deadline))

    def _seconds(self, model: ModelReference) -> float:
        """Seconds that a call may take."""
        return timeout_of(self._services.models, model) if self._timeout is None else self._end - time.monotonic()

    def _services_for(self, request: ModelRequest) -> Services:
        """The services with the place of this question in the run: one that is asked twice is two questions."""
        with self._lock:
            self._seen[repr(replace(request, timeout=0))] += 1
            count = self._seen[repr(replace(request, timeout=0))]
        if count == 1:
            return self._services
        return replace(self._services, occurrence=f"{self._services.occurrence or self._step.id}#{count}")

    def _answer(self, client: ModelClient, request: ModelRequest) -> Asked:
        if request.schema is None:
            return ask_text(client, request)
        schema = request.schema

        def check(value: Any) -> tuple[Any, list[str]]:
            return value, schema_problems(schema, value)

        repair = self._step.spec.repair if self._step.spec.repair is not None else DEFAULT_REPAIR
        return ask_structured(
            client, request, check, repair, timeout=None if self._timeout is None else request.timeout
        )


def _defaults(
    pipeline: CompiledPipeline, step: CompiledStep, names: Mapping[str, Any], services: Services
) -> _Defaults:
    rendered = render_tree(
        {
            "models": list(step.models),
            "settings": {name: value for name, value in step.settings.items() if name != "model"},
            "personality": step.spec.personality or pipeline.personality,
        },
        names,
        dashed=pipeline.dashed,
    )
    settings = dict(rendered["settings"])
    system, temperature = settings.pop("system_prompt", None), settings.pop("temperature", None)
    if rendered["personality"]:
        personality = find_personality(rendered["personality"], services.personality_folders)
        system = system or personality.system_prompt
        temperature = temperature if temperature is not None else personality.temperature
    return _Defaults(rendered["models"], system, temperature, settings.pop("max_tokens", None), settings)
