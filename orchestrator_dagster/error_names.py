"""What the errors of steps are called in pipeline files: handlers of failures name them."""

from __future__ import annotations

import builtins
import functools
from collections.abc import Iterator, Mapping

from orchestrator_dagster.errors import StepError

#: What errors of ours are called in Python and its libraries: handlers name them so.
ALSO_CALLED: Mapping[str, tuple[str, ...]] = {
    "FileMissingError": ("FileNotFoundError", "OSError", "IOError"),
    "PathError": ("PermissionError", "OSError", "IOError"),
    "ParametersError": ("ValueError", "TypeError", "ValidationError"),
    "VariablesError": ("ValueError", "ValidationError"),
    "TemplateError": ("KeyError", "UndefinedError", "AttributeError"),
    "ToolError": ("RuntimeError",),
    "HttpStatusError": ("HTTPError", "HTTPStatusError"),
    "StepTimeoutError": ("TimeoutError", "Timeout"),
    "ModelTimeoutError": ("TimeoutError", "Timeout"),
    "ModelUnreachableError": ("ConnectionError", "APIConnectionError", "NetworkError"),
    "ModelRateLimitError": ("RateLimitError",),
    "ModelKeyError": ("AuthenticationError",),
    "ModelError": ("APIError",),
}


def handler_word(name: str) -> str:
    """What counts of an error's name: not its module, not how it is capitalized, not the ending.

    >>> handler_word("requests.exceptions.HTTPError"), handler_word("http")
    ('http', 'http')
    """
    return name.rpartition(".")[2].lower().removesuffix("error").removesuffix("exception")


@functools.lru_cache(maxsize=1)
def known_errors() -> Mapping[str, str]:
    """All errors of steps, what they are also called, and Python's own: names by what counts of them."""
    return {handler_word(name): name for name in _names()}


def _names() -> Iterator[str]:
    yield from (name for names in ALSO_CALLED.values() for name in names)
    yield from (name for name, one in vars(builtins).items() if isinstance(one, type) and issubclass(one, Exception))
    left: list[type] = [StepError]
    while left:
        one = left.pop()
        yield one.__name__
        left += one.__subclasses__()
