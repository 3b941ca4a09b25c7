"""A model that may call functions until it answers: calls go out, results go back, both are bounded.

What the functions are, and who may call them, is not known here: a :class:`Toolbox` offers and runs them. A structured
answer is asked for as one more function, so that it costs no call of its own and every model that calls functions can
give it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import groupby
from typing import Protocol

from orchestrator_dagster.errors import (
    ModelError,
    ModelRequestError,
    StepError,
    StepInterruptedError,
    StepTimeoutError,
    ToolCallLimitError,
)
from orchestrator_dagster.models.capabilities import Way, ways_of, why_no_tools
from orchestrator_dagster.models.client import Message, ModelAnswer, ModelClient, ModelRequest, ToolCall, ToolOffer
from orchestrator_dagster.models.structured import (
    ANSWER,
    Asked,
    Check,
    Log,
    Talk,
    as_answer,
    as_said,
    checked,
    empty_answer,
    in_some_way,
    in_way,
    sent_back,
    unfit_answer,
)

MAX_TOOL_CALLS = 10
"""Tool calls that a model may make for one question, when the step says nothing."""
_AT_ONCE = 8  # calls that run at the same time
_ENOUGH = "No more tool calls: you have made {count}, which is as many as you may. {then}"
_NOT_MADE = "This call was not made: the limit of {most} tool calls is reached."
_TOO_EARLY = f"Not taken: {ANSWER} came together with other calls. Look at their results first, then call it alone."


class Toolbox(Protocol):
    """The functions that a model may call."""

    @property
    def offers(self) -> tuple[ToolOffer, ...]:
        """What the model is told of them."""
        ...

    def runs_beside_others(self, call: ToolCall) -> bool:
        """Whether the call changes nothing, so that it may run at the same time as others of that kind."""
        ...

    def run(self, number: int, call: ToolCall, timeout: float | None) -> str:
        """Make a call and give the text that goes back to the model, also for a call that is wrong or fails.

        Args:
            number: Which call it is, from 1.
            call: As the model wrote it, not yet checked. It may name any function, with any text as arguments.
            timeout: Seconds that are left for everything, None without limit.

        Raises:
            StepTimeoutError: The time is over.
            StepInterruptedError: The run was stopped.
        """
        ...


def check_calls_tools(request: ModelRequest) -> None:
    """Refuse a model that is known not to call tools.

    Raises:
        ModelRequestError: With the reason.
    """
    reason = why_no_tools(request.model)
    if reason and "tools" not in (request.abilities or ()):
        raise ModelRequestError(
            f"{request.model} cannot call the tools that the step offers: {reason}",
            hint="name a model that calls tools, or take `tools` out of the step",
        )


def ask_with_tools(
    client: ModelClient,
    request: ModelRequest,
    toolbox: Toolbox,
    check: Check | None = None,
    repair: int = 2,
    *,
    max_tool_calls: int = MAX_TOOL_CALLS,
    timeout: float | None = None,
    interrupted: Callable[[], bool] = lambda: False,
    log: Log = lambda line: None,
) -> Asked:
    """Ask a model that may call the functions of ``toolbox`` before it answers.

    Args:
        client: Who is asked.
        request: With ``tools`` as the toolbox offers them, and a ``schema`` where the answer has a structure.
        toolbox: Runs the calls.
        check: Checks the parsed answer; None for a text.
        repair: Times that a wrong answer is sent back.
        max_tool_calls: Most calls, wrong ones included. After them the model is told to answer without.
        timeout: Seconds that everything together may take, None when only each model call is bounded by the request.
        interrupted: Whether the run wants its steps to stop.
        log: Told when the provider refuses a way of asking for the structure.

    Raises:
        ToolCallLimitError: It called a tool again after it was told to answer.
        StepTimeoutError: A tool was stopped because the time was over; a ModelTimeoutError when it was the model's.
        StepInterruptedError: The run was stopped.
        ModelError: As :func:`~orchestrator_dagster.models.structured.ask_structured` raises it.
    """
    check_calls_tools(request)
    talk = Talk(client, timeout)
    ways: Sequence[Way] = ("prompt",)
    if request.schema is not None and check is not None:
        object_asked = request.schema.get("type") == "object"
        # Any model that is offered tools can be offered one more.
        ways = ("tool", "prompt") if object_asked and ways_of(request.model) else ("prompt",)

    def ask(way: Way) -> Asked:
        loop = _Loop(talk, request, way, toolbox, check, repair, max_tool_calls, interrupted)
        return loop.run()

    try:
        return in_some_way(ways, talk, ask, request, log)
    except ModelError:
        raise
    except StepError as error:  # of a tool that was stopped: what the model took before is not lost
        error.usage = talk.usage
        if isinstance(error, StepTimeoutError) and timeout is not None:
            error.message = f"the step took longer than its timeout of {timeout:g} s: {error.message}"
            error.args = (error.message,)
        raise


class _Loop:
    """One conversation, until its answer."""

    def __init__(
        self,
        talk: Talk,
        request: ModelRequest,
        way: Way,
        toolbox: Toolbox,
        check: Check | None,
        repair: int,
        most: int,
        interrupted: Callable[[], bool],
    ) -> None:
        self.talk, self.toolbox, self.check, self.schema = talk, toolbox, check, request.schema
        self.repair, self.most, self.interrupted = repair, most, interrupted
        self.request = in_way(request, way) if request.schema is not None else request
        self.structured = check is not None
        self.by_call = self.structured and way == "tool"
        self.way: Way | None = way if self.structured else None
        self.made: Counter[str] = Counter()
        self.repairs = 0
        self.closing = False
        if most == 0:
            self.close()

    def run(self) -> Asked:
        """Go on until there is an answer."""
        while True:
            if self.interrupted():
                raise StepInterruptedError("the run was stopped while a model was using tools")
            answer = self.ask()
            calls = [call for call in answer.tool_calls if not (self.by_call and call.name == ANSWER)]
            if calls:
                self.use(answer, calls)
                continue
            asked = self.answered(answer)
            if asked is not None:
                return asked

    def ask(self) -> ModelAnswer:
        """Ask; a provider that does not know how to demand or forbid calls is asked without that."""
        try:
            return self.talk.ask(self.request)
        except ModelRequestError as error:
            if self.request.tool_choice is None or "tool_choice" not in error.message:
                raise
            self.request = replace(self.request, tool_choice=None)
            return self.talk.ask(self.request)

    def answered(self, answer: ModelAnswer) -> Asked | None:
        """The answer when it is one; else it is sent back.

        Raises:
            ModelAnswerError: It is none, and has been sent back as often as it may.
        """
        if self.check is None:
            if not answer.text.strip():
                raise self.talk.failed(empty_answer(answer))
            return self.asked(answer.text, answer)
        plain = as_answer(answer)
        value, problems = checked(plain.text, self.schema, self.check)
        if not problems:
            return self.asked(value, replace(plain, tool_calls=()))
        if self.repairs == self.repair:
            raise self.talk.failed(unfit_answer(self.request, self.repair, problems))
        self.repairs += 1
        self.say(*sent_back(answer, problems))
        if self.by_call and not answer.tool_calls:
            self.request = replace(self.request, tool_choice=ANSWER)
        return None

    def asked(self, value: object, answer: ModelAnswer) -> Asked:
        """The end."""
        return Asked(value, answer, self.talk.usage, self.talk.seconds, self.repairs, self.way)

    def use(self, answer: ModelAnswer, calls: Sequence[ToolCall]) -> None:
        """Make the calls, as many as may be made, and say what they gave, in their order.

        Raises:
            ToolCallLimitError: None may be made any more, and the model knew it.
        """
        if self.closing:
            raise self.talk.failed(self.limit_error(calls))
        taken = calls[: self.most - self.made.total()]
        results = dict(zip(map(id, taken), self.results(taken), strict=True))
        self.made.update(call.name for call in taken)
        late = _NOT_MADE.format(most=self.most)
        self.say(as_said(answer))
        for call in answer.tool_calls:
            early = self.by_call and call.name == ANSWER
            said = _TOO_EARLY if early else results.get(id(call), late)
            self.say(Message("tool", said, tool_call_id=call.id))
        if self.made.total() >= self.most:
            then = f"Call {ANSWER} now." if self.by_call else "Answer now, without another call."
            self.say(Message("user", _ENOUGH.format(count=self.most, then=then)))
            self.close()

    def results(self, calls: Sequence[ToolCall]) -> list[str]:
        """What calls give: neighbours that change nothing at the same time, the others one after another."""

        def run(one: tuple[int, ToolCall]) -> str:
            return self.toolbox.run(*one, self.talk.left)

        found: list[str] = []
        numbered = enumerate(calls, self.made.total() + 1)
        for beside, group in groupby(numbered, lambda one: self.toolbox.runs_beside_others(one[1])):
            some = list(group)
            if not beside or len(some) == 1:
                found += map(run, some)
                continue
            with ThreadPoolExecutor(min(len(some), _AT_ONCE), thread_name_prefix="tool-call") as pool:
                found += pool.map(run, some)
        return found

    def close(self) -> None:
        """From now on no tool may be called. They stay in the request: the conversation has calls of them."""
        self.closing = True
        self.request = replace(self.request, tool_choice=ANSWER if self.by_call else "none")

    def say(self, *messages: Message) -> None:
        """Add to the conversation."""
        self.request = replace(self.request, messages=(*self.request.messages, *messages))

    def limit_error(self, calls: Sequence[ToolCall]) -> ToolCallLimitError:
        """The error with the sums."""
        each = ", ".join(f"{name} ×{count}" for name, count in self.made.most_common())
        usage = self.talk.usage
        cost = "unknown cost" if usage.cost is None else f"${usage.cost:.6f}"
        return ToolCallLimitError(
            f"{self.request.model} has made {self.made.total()} tool calls{f' ({each})' if each else ''}, at most "
            f'{self.most} are allowed; told to answer, it called "{calls[0].name}" again '
            f"({usage.calls} model calls, {usage.tokens} tokens, {cost})",
            hint="raise `max_tool_calls`, ask for less, or offer fewer tools",
        )
