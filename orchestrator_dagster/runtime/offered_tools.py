"""The tools that a model step offers its model: as functions with JSON Schemas, called for the model, on the record.

Each action is one function. That of a tool with one action has the tool's name, the others are ``tool__action``, so
that every function has a schema of its own. What is wrong with a call goes back to the model as its result.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import to_jsonable_python

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.errors import (
    ParametersError,
    StepError,
    StepInterruptedError,
    StepTimeoutError,
    ToolError,
    ToolNotAllowedError,
    UnknownToolError,
)
from orchestrator_dagster.models.client import ToolCall, ToolOffer
from orchestrator_dagster.models.structured import ANSWER, as_data
from orchestrator_dagster.runtime.audit import audited_tool
from orchestrator_dagster.runtime.killable.call import call_killable
from orchestrator_dagster.runtime.outcome import ToolCallInfo
from orchestrator_dagster.runtime.secrets import Redactor
from orchestrator_dagster.runtime.services import Services
from orchestrator_dagster.runtime.work import tool_context
from orchestrator_dagster.text import nearest
from orchestrator_dagster.tools.registry import ToolRegistry
from orchestrator_dagster.tools.tool import Action, Tool

RESULT_CHARACTERS = 20_000
"""Most characters of a result that a model is given; what is beyond is cut, and the model is told so."""
MAX_SECONDS = 600.0
"""Most seconds of one call, also where the step has no timeout: a model is not to hold a run up for ever."""
_MAX_FUNCTIONS = 128  # of one request, https://platform.openai.com/docs/api-reference/chat/create
_NAME_CHARACTERS = 64
_SHOWN_ARGUMENTS = 500
_NO_NAME = re.compile(r"[^A-Za-z0-9_-]")


def offered_actions(entries: Sequence[str], tools: ToolRegistry) -> dict[str, tuple[Tool, Action]]:
    """The actions that entries such as ``filesystem`` or ``filesystem.read`` mean, by the names of their functions.

    Raises:
        UnknownToolError: No tool or action has the name.
        ToolNotAllowedError: Models may call it only where the resource allows it.
        ParametersError: There are more than a request can have.
    """
    found: dict[str, tuple[Tool, Action]] = {}
    for entry in entries:
        tool, actions = tools.offered(entry)
        for action in actions:
            if not tools.model_may_call(tool, action.name):
                raise ToolNotAllowedError(
                    f'a model may not call "{tool.name}.{action.name}" without permission',
                    hint=f'allow it: ToolsResource(allow_for_models=["{tool.name}"]), or take it out of `tools`',
                )
            found[function_name(tool, action)] = (tool, action)
    if len(found) > _MAX_FUNCTIONS:
        raise ParametersError(
            f"the step offers {len(found)} functions, a request can have {_MAX_FUNCTIONS}",
            hint="name single actions in `tools`, such as filesystem.read",
        )
    return found


def function_name(tool: Tool, action: Action) -> str:
    """The name of an action as a function."""
    name = tool.name if len(tool.actions) == 1 else f"{tool.name}__{action.name}"
    name = _NO_NAME.sub("_", name)[:_NAME_CHARACTERS]
    return f"{name}_" if name == ANSWER else name


def offer(name: str, tool: Tool, action: Action) -> ToolOffer:
    """An action as a function for a model.

    Raises:
        ToolError: Its signature cannot be said as a JSON Schema.
    """
    try:
        schema = action.parameters.model_json_schema()
    except Exception as error:  # Pydantic's own, for types that JSON does not have
        raise ToolError(
            f"{tool.name}.{action.name} cannot be offered to a model: {type(error).__name__}: {error}",
            hint="annotate its parameters with types that JSON has",
            permanent=True,
        ) from None
    return ToolOffer(name, action.summary or tool.summary, _without_titles(schema))


def _without_titles(value: Any, names: bool = False) -> Any:
    """A schema without Pydantic's titles; ``names`` says that the keys are those of properties."""
    if isinstance(value, dict):
        return {
            key: _without_titles(item, key in ("properties", "$defs") and not names)
            for key, item in value.items()
            if names or key != "title"
        }
    return [_without_titles(item) for item in value] if isinstance(value, list) else value


class OfferedTools:
    """The toolbox of one attempt at a model step. Safe for threads.

    Args:
        entries: What the step says in ``tools``.
        pipeline: The pipeline of the step.
        services: The tools, files and log of the run.

    Raises:
        StepError: As :func:`offered_actions` and :func:`offer` do.
    """

    def __init__(self, entries: Sequence[str], pipeline: CompiledPipeline, services: Services) -> None:
        for entry in entries:
            services.tools.offered(entry)[0].prepare(tool_context(pipeline, services, MAX_SECONDS))
        self._actions = offered_actions(entries, services.tools)
        self._pipeline, self._services = pipeline, services
        self._offers = tuple(offer(name, *one) for name, one in self._actions.items())
        self._calls: dict[tuple[int, int], ToolCallInfo] = {}
        self._turn = 0

    @property
    def offers(self) -> tuple[ToolOffer, ...]:
        """The functions, in the order of the step's ``tools``."""
        return self._offers

    @property
    def calls(self) -> tuple[ToolCallInfo, ...]:
        """The calls so far, in the model's order."""
        return tuple(self._calls[place] for place in sorted(self._calls))

    def begin(self) -> None:
        """Another model is asked, and starts anew: the calls of the one before stay on record."""
        self._turn += 1

    def runs_beside_others(self, call: ToolCall) -> bool:
        """Whether the action only reads."""
        found = self._actions.get(call.name)
        return found is not None and found[1].reads_only

    def run(self, number: int, call: ToolCall, timeout: float | None) -> str:
        """Make a call; see :meth:`~orchestrator_dagster.models.tool_use.Toolbox.run`."""
        started = time.monotonic()
        ok = False
        try:
            name, result = self._result(call, timeout)
            refused = isinstance(result, Mapping) and result.get("success") is False
            text, ok = _text(result, self._services.redactor), not refused
        except (StepInterruptedError, StepTimeoutError) as error:
            ends = isinstance(error, StepInterruptedError) or (timeout is not None and timeout <= MAX_SECONDS)
            name, text = self._shown_name(call), _said(error)
            if ends:
                self._note(number, name, call, started, text, ok)
                raise
        except StepError as error:
            name, text = self._shown_name(call), _said(error)
        text = self._services.redactor.text(text)
        self._note(number, name, call, started, text, ok)
        return _delimited(text)

    def _result(self, call: ToolCall, timeout: float | None) -> tuple[str, Any]:
        found = self._actions.get(call.name)
        if found is None:
            raise UnknownToolError(
                f'there is no function "{call.name}"{nearest(call.name, self._actions)}',
                hint=f"call one of {', '.join(self._actions)}",
            )
        tool, action = found
        parameters = _arguments(call)
        seconds = MAX_SECONDS if timeout is None else min(timeout, MAX_SECONDS)
        context = tool_context(self._pipeline, self._services, seconds)
        in_place = (
            action.is_async or action.stays or (timeout is None and self._services.tools.only_in_memory(tool.name))
        )
        with audited_tool(self._services, tool.name, action.name, parameters, by="model") as made:
            if in_place:
                result = action.call(context, parameters)
            else:  # a function that runs cannot be stopped, a process can
                result = call_killable(self._services.tools, action, context, parameters)
            made.result = result
        return f"{tool.name}.{action.name}", result

    def _shown_name(self, call: ToolCall) -> str:
        found = self._actions.get(call.name)
        return (
            f"{found[0].name}.{found[1].name}" if found else self._services.redactor.text(call.name)[:_NAME_CHARACTERS]
        )

    def _note(self, number: int, name: str, call: ToolCall, started: float, text: str, ok: bool) -> None:
        arguments = self._services.redactor.text(_plain_arguments(call.arguments))
        if len(arguments) > _SHOWN_ARGUMENTS:
            arguments = f"{arguments[:_SHOWN_ARGUMENTS]}…"
        seconds = time.monotonic() - started
        info = ToolCallInfo(name=name, arguments=arguments, seconds=round(seconds, 3), characters=len(text), ok=ok)
        self._calls[self._turn, number] = info
        end = f"{len(text)} characters" if ok else f"failed: {text[:_SHOWN_ARGUMENTS]}"
        self._services.log(f"tool call {number} of the model: {name} {arguments}: {end}, {seconds:.2f} s")


def _arguments(call: ToolCall) -> dict[str, Any]:
    try:
        arguments = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError) as error:
        raise ParametersError(
            f"the arguments of {call.name} are no JSON: {error}", hint="call it again with a JSON object"
        ) from None
    if not isinstance(arguments, dict):
        raise ParametersError(
            f"the arguments of {call.name} are no JSON object", hint="call it again with a JSON object"
        )
    return arguments


def _plain_arguments(text: str) -> str:
    """Arguments in one line, without escapes in which a secret could hide."""
    try:
        return json.dumps(json.loads(text or "{}"), ensure_ascii=False)
    except (ValueError, RecursionError):
        return " ".join(text.split())


def _said(error: StepError) -> str:
    return f"error: {error.message}" + (f"; next: {error.hint}" if error.hint else "")


def _text(result: Any, redactor: Redactor) -> str:
    if isinstance(result, str):
        return result
    plain = to_jsonable_python(result, fallback=str, bytes_mode="base64", inf_nan_mode="strings")
    return json.dumps(redactor.value(plain), ensure_ascii=False)


def _delimited(text: str) -> str:
    shown = as_data({"result": text[:RESULT_CHARACTERS]})
    if len(text) <= RESULT_CHARACTERS:
        return shown
    return f"{shown}\n(cut: the first {RESULT_CHARACTERS} of {len(text)} characters; ask for a part of it)"
