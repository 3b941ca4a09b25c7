"""The models of a step, lent to its tool: what a tool asks counts for the step, and is answered from the store."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledStep
from orchestrator_dagster.compiler.needs import StepChoice
from orchestrator_dagster.errors import (
    ModelError,
    StepError,
    StepInterruptedError,
    StepTimeoutError,
)
from orchestrator_dagster.language.json_schema import schema_problems
from orchestrator_dagster.language.templates import render_tree
from orchestrator_dagster.models.client import Message, ModelClient, ModelReference, ModelRequest, Watch
from orchestrator_dagster.models.converse import converse
from orchestrator_dagster.models.personalities import find_personality
from orchestrator_dagster.models.references import BUILTIN
from orchestrator_dagster.models.run_clients import timeout_of
from orchestrator_dagster.models.structured import Asked
from orchestrator_dagster.models.tool_use import Toolbox, check_calls_tools
from orchestrator_dagster.runtime.failure import usage_of
from orchestrator_dagster.runtime.model_choice import UNDECIDED, ask_in_turn, candidate_info, decide
from orchestrator_dagster.runtime.outcome import ModelUse, ToolCallInfo, UsageInfo
from orchestrator_dagster.runtime.question import Ask, Question
from orchestrator_dagster.runtime.services import Services
from orchestrator_dagster.runtime.tool_media import MediaAsking
from orchestrator_dagster.tools.model_access import ModelChoiceMade, ModelReply, Strategy

#: What the models are that are no language models, by provider.
ABOUT = {BUILTIN: "built-in extractive model (no language model): every sentence is taken from the given text"}
DEFAULT_REPAIR = 2


@dataclass(frozen=True)
class _Defaults:
    """What the step says about its model calls: used where the tool says nothing."""

    models: tuple[Any, ...]
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
        self._tool_calls: list[ToolCallInfo] = []
        self._uses: list[ModelUse] = []
        self._failures: list[StepError] = []

    @property
    def usage(self) -> UsageInfo:
        """What all calls took so far, failed ones included."""
        with self._lock:
            return self._usage

    @property
    def tool_calls(self) -> tuple[ToolCallInfo, ...]:
        """The tool calls that models have made so far."""
        with self._lock:
            return tuple(self._tool_calls)

    @property
    def use(self) -> ModelUse | None:
        """The model that answered, with all of them in the reason when there were several; None before an answer."""
        with self._lock:
            uses = list(self._uses)
        names = list(dict.fromkeys(f"{one.provider}:{one.name}" for one in uses))
        if len(names) < 2:
            return uses[0] if uses else None
        return uses[0].model_copy(update={"reason": f"asked {len(names)} models: {', '.join(names)}"})

    def ask(
        self,
        prompt: str,
        *,
        system: str | None = None,
        model: str | None = None,
        schema: Mapping[str, Any] | None = None,
        images: Sequence[bytes] = (),
        tools: Sequence[str] = (),
        temperature: float | None = None,
        max_tokens: int | None = None,
    ) -> ModelReply:
        """Ask once; see :meth:`ModelAccess.ask`.

        Raises:
            ModelError: What went wrong; what it took is counted for the step, also when the tool handles it.
            StepTimeoutError: The time of the step is over.
            StepInterruptedError: The run was stopped.
        """
        from orchestrator_dagster.runtime.offered_tools import OfferedTools  # which calls tools itself

        box: OfferedTools | None = None
        try:
            self._check_going_on()
            request = self._request(prompt, system, schema, images, temperature, max_tokens)
            if tools:
                box = OfferedTools(tools, self._pipeline, self._services)
                request = replace(request, tools=box.offers)
            step = _needing(self._step, ["vision"] * bool(images) + ["tools"] * bool(tools))
            step = step if model is None else _told(step)
            names = self._defaults.models if model is None else (model,)
            chosen = decide(step, names, request, self._services)
            services = self._services_for(request, str(chosen.order[0]))
            try:
                done = ask_in_turn(chosen, self._pipeline, step, request, services, partial(self._answer, box))
            except ModelError as error:
                with self._lock:
                    self._usage += usage_of(error)
                raise
        except StepError as error:
            error.paid = UsageInfo()  # it is counted here
            with self._lock:
                self._failures.append(error)
            raise
        finally:
            calls = box.calls if box is not None else ()
            with self._lock:
                self._tool_calls += calls
        answer = done.asked.answer
        with self._lock:
            self._usage += done.usage
            self._open.append(done.question)
            self._uses.append(
                ModelUse(
                    name=answer.model.name,
                    provider=answer.model.provider,
                    reason=done.reason,
                    about=ABOUT.get(answer.model.provider),
                    decision=done.decision,
                )
            )
        return ModelReply(
            text=answer.text,
            value=done.asked.value if schema is not None else None,
            model=str(answer.model),
            tokens=done.usage.tokens,
            cost=done.usage.cost,
            tools_used=tuple(one.name for one in calls),
        )

    def choose(
        self,
        prompt: str,
        *,
        models: Sequence[str] = (),
        strategy: Strategy | None = None,
        capabilities: Sequence[str] = (),
        max_cost: float | None = None,
        max_tokens: int | None = None,
    ) -> ModelChoiceMade:
        """Choose without asking; see :meth:`ModelAccess.choose`.

        Raises:
            NoModelError: No model fits; with the reason of each.
            UnknownModelError: A name is no model's.
        """
        request = self._request(prompt, None, None, (), None, max_tokens)
        own = self._step.choice or StepChoice()
        changes: dict[str, Any] = {} if strategy is None else {"strategy": strategy}
        changes |= {} if max_cost is None else {"max_cost_per_call": max_cost}
        required = tuple(dict.fromkeys((*own.needs.required, *capabilities)))
        choice = StepChoice(
            selection=own.selection.model_copy(update=changes),
            needs=own.needs.model_copy(update={"required": required}),
            catalogue=own.catalogue and not models,
        )
        reason = "the models that the tool was given" if models else None
        step = self._step.model_copy(update={"choice": choice, "model_reason": reason or self._step.model_reason})
        chosen = decide(step, models or self._defaults.models, request, self._services)
        return ModelChoiceMade(
            model=str(chosen.order[0]),
            reason=chosen.reason,
            candidates=[candidate_info(one).model_dump() for one in chosen.decision.considered],
        )

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
        schema: Mapping[str, Any] | None,
        images: Sequence[bytes],
        temperature: float | None,
        max_tokens: int | None,
    ) -> ModelRequest:
        own = self._defaults
        system = system or own.system
        messages = [Message("system", system)] if system else []
        messages.append(Message("user", prompt, images=tuple(images)))
        return ModelRequest(
            model=UNDECIDED,
            messages=tuple(messages),
            schema=schema,
            temperature=temperature if temperature is not None else own.temperature,
            max_tokens=max_tokens if max_tokens is not None else own.max_tokens,
            timeout=self._seconds(UNDECIDED),
            settings=own.settings,
            watch=Watch(deadline=None if self._timeout is None else self._end),
        )

    def _put(self, request: ModelRequest, ask: Ask) -> tuple[Asked, UsageInfo]:
        """Put one question to one model, and count what it took."""
        try:
            self._check_going_on()
            question = Question(self._pipeline, self._step, request, self._services_for(request, str(request.model)))
            try:
                asked, usage = question.ask(ask)
            except ModelError as error:
                with self._lock:
                    self._usage += usage_of(error)
                raise
        except StepError as error:
            error.paid = UsageInfo()  # it is counted here
            with self._lock:
                self._failures.append(error)
            raise
        model, reason = asked.answer.model, self._step.model_reason or "the tool's choice"
        with self._lock:
            self._usage += usage
            self._open.append(question)
            self._uses.append(ModelUse(name=model.name, provider=model.provider, reason=reason))
        return asked, usage

    def _named_model(self) -> str | None:
        spec, models = self._step.spec, self._defaults.models
        named = spec.model or spec.expert or "model" in self._step.settings
        return str(models[0]) if named and models else None

    def _bounded(self, request: ModelRequest) -> ModelRequest:
        deadline = None if self._timeout is None else self._end
        return replace(request, timeout=self._seconds(request.model), watch=Watch(deadline=deadline))

    def _seconds(self, model: ModelReference) -> float:
        """Seconds that a call may take."""
        return timeout_of(self._services.models, model) if self._timeout is None else self._end - time.monotonic()

    def _services_for(self, request: ModelRequest, model: str) -> Services:
        """The services with the place of this question in the run: one that is asked twice is two questions."""
        with self._lock:
            self._seen[key := f"{model} {replace(request, timeout=0)!r}"] += 1
            count = self._seen[key]
        if count == 1:
            return self._services
        return replace(self._services, occurrence=f"{self._services.occurrence or self._step.id}#{count}")

    def _answer(self, box: Toolbox | None, client: ModelClient, request: ModelRequest) -> Asked:
        schema = request.schema
        if box is not None:
            check_calls_tools(request)

        def check(value: Any) -> tuple[Any, list[str]]:
            return value, schema_problems(schema or {}, value)

        return converse(
            client,
            request,
            check=None if schema is None else check,
            toolbox=box,
            repair=self._step.spec.repair if self._step.spec.repair is not None else DEFAULT_REPAIR,
            timeout=None if self._timeout is None else request.timeout,
            interrupted=self._services.interrupted,
            log=self._services.log,
        )


def _needing(step: CompiledStep, capabilities: list[str]) -> CompiledStep:
    """The step when its model must be able to do more than the step says."""
    if not capabilities:
        return step
    choice = step.choice or StepChoice()
    needs = choice.needs.model_copy(update={"capabilities": (*choice.needs.capabilities, *capabilities)})
    return step.model_copy(update={"choice": choice.model_copy(update={"needs": needs})})


def _told(step: CompiledStep) -> CompiledStep:
    """The step when its tool names the model: it is that one, whatever else the step says."""
    choice = (step.choice or StepChoice()).model_copy(update={"catalogue": False})
    return step.model_copy(update={"choice": choice, "model_reason": "the tool's choice"})


def _defaults(
    pipeline: CompiledPipeline, step: CompiledStep, names: Mapping[str, Any], services: Services
) -> _Defaults:
    rendered = render_tree(
        {
            "models": step.models,
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
    return _Defaults(tuple(rendered["models"]), system, temperature, settings.pop("max_tokens", None), settings)
