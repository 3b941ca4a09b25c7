"""One question to a model, in every form: for a text, for a structure, with tools to call on the way."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator_dagster.models.client import ModelClient, ModelRequest
from orchestrator_dagster.models.structured import Asked, Check, Log, ask_structured, ask_text
from orchestrator_dagster.models.tool_use import MAX_TOOL_CALLS, Toolbox, ask_with_tools


def converse(
    client: ModelClient,
    request: ModelRequest,
    *,
    check: Check | None = None,
    toolbox: Toolbox | None = None,
    repair: int = 2,
    max_tool_calls: int = MAX_TOOL_CALLS,
    timeout: float | None = None,
    interrupted: Callable[[], bool] = lambda: False,
    log: Log = lambda line: None,
) -> Asked:
    """The answer to a question, with what all of its calls took.

    Args:
        client: Who is asked, at any number of times; what is around it counts, bounds or stores calls.
        request: The first request. Its ``schema`` is the structure of the answer, its ``tools`` are the toolbox's.
        check: Checks the parsed answer, where there is a schema.
        toolbox: Runs the tools that the model calls; None for none.
        repair: Times that a wrong answer is sent back.
        max_tool_calls: Most tool calls.
        timeout: Seconds that everything may take together.
        interrupted: Whether the run wants its steps to stop.
        log: Told what is decided on the way.

    Raises:
        StepError: As :func:`ask_text`, :func:`ask_structured` and :func:`ask_with_tools` do.
    """
    if toolbox is not None:
        return ask_with_tools(
            client,
            request,
            toolbox,
            check,
            repair,
            max_tool_calls=max_tool_calls,
            timeout=timeout,
            interrupted=interrupted,
            log=log,
        )
    if check is not None:
        return ask_structured(client, request, check, repair, timeout=timeout, log=log)
    return ask_text(client, request)
