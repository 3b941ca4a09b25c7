"""A plain function as a tool.

Example:
    >>> @tool
    ... def word_count(text: str) -> dict:
    ...     \"\"\"Count the words of a text.\"\"\"
    ...     return {"words": len(text.split())}
    >>> word_count.name, word_count.default_action, word_count("two words")
    ('word_count', 'execute', {'words': 2})
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, overload

from orchestrator_dagster.errors import ToolError
from orchestrator_dagster.tools.tool import Tool, ToolContext


@dataclass
class FunctionTool(Tool):
    """A tool with the one action ``execute``; called like the function it was made from, it is that function."""

    function: Callable[..., Any] | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function itself, without the check of its parameters: for tests and other code."""
        assert self.function is not None
        return self.function(*args, **kwargs)


@overload
def tool(name: Callable[..., Any], /) -> FunctionTool: ...
@overload
def tool(
    name: str | None = None,
    /,
    *,
    summary: str | None = None,
    model_may_call: bool = True,
    uses_models: bool = False,
    reads_only: bool = False,
) -> Callable[[Callable[..., Any]], FunctionTool]: ...


def tool(
    name: str | Callable[..., Any] | None = None,
    /,
    *,
    summary: str | None = None,
    model_may_call: bool = True,
    uses_models: bool = False,
    reads_only: bool = False,
) -> FunctionTool | Callable[[Callable[..., Any]], FunctionTool]:
    """Make a tool of a typed function: its parameters are the tool's parameters, checked before each call.

    A first parameter that is named ``context`` or annotated :class:`ToolContext` gets the context (the workspace, the
    log); a function without one is called without it. The function may be ``async``.

    Args:
        name: The tool's name, default the function's.
        summary: One sentence for lists and models, default the first line of the docstring.
        reads_only: Whether it changes nothing: a model's calls of such tools run at the same time.
        model_may_call: False keeps a model from calling it unless the ``tools`` resource allows it by name.
        uses_models: Whether it asks models, through ``context.models``.

    Raises:
        ToolError: The function cannot be called by parameter names.
    """

    def make(function: Callable[..., Any]) -> FunctionTool:
        made = FunctionTool(
            name if isinstance(name, str) else getattr(function, "__name__", "tool"),
            summary=summary if summary is not None else (inspect.getdoc(function) or "").partition("\n")[0],
            model_may_call=model_may_call,
            uses_models=uses_models,
            function=function,
        )
        made.action("execute", default=True, reads_only=reads_only)(_with_context(function))
        return made

    return make(name) if callable(name) else make


def _with_context(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as an action is called: the context first, whether it asks for it or not."""
    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())
    wants_context = bool(parameters) and (parameters[0].name == "context" or _is_context(parameters[0].annotation))
    own = parameters[1:] if wants_context else parameters
    for parameter in own:
        if parameter.kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL):
            raise ToolError(
                f'the tool function "{function.__name__}" takes "{parameter.name}" by position only, '
                "tools are called by parameter names",
                location=f"{function.__code__.co_filename}:{function.__code__.co_firstlineno}",
                permanent=True,
            )

    @functools.wraps(function)
    def action(context: ToolContext, /, **values: Any) -> Any:
        return function(context, **values) if wants_context else function(**values)

    # The schema is read from the signature and the annotations: those of the function, without its own context.
    first = inspect.Parameter("_context", inspect.Parameter.POSITIONAL_ONLY)
    action.__signature__ = signature.replace(parameters=[first, *own])  # type: ignore[attr-defined]
    hidden = parameters[0].name if wants_context else ""
    action.__annotations__ = {key: hint for key, hint in function.__annotations__.items() if key != hidden}
    return action


def _is_context(annotation: Any) -> bool:
    # A text where the module has `from __future__ import annotations`.
    if isinstance(annotation, str):
        return annotation.strip("\"'").split(".")[-1] == ToolContext.__name__
    return annotation is ToolContext
