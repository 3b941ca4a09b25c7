"""For your own tests: a model server on this machine with scripted answers and faults, and a pytest fixture for it.

No key, no network and no money is needed, and every fault that a provider can show is at hand::

    from orchestrator_dagster.testing import Answer, ModelServer, ToolUse, faults

    with ModelServer() as server:
        server.then(faults.rate_limited(retry_after=1), "Paris")            # the first call fails, the second answers
        server.when("weather", reply=Answer(tool_calls=[ToolUse("forecast", {"city": "Paris"})]))
        server.when(model="gpt-5-mini", reply=lambda request: request.prompt.upper())
        ...                                                                 # point your pipeline at server.url
        assert server.calls[0].key == "the key that was sent"

In pytest, take the fixture ``model_server``: a started server with an empty script, closed after the test.
What is not scripted is answered too: with a short text, or, where the request asks for a JSON schema, with an instance
of that schema that is the same every time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator_dagster.testing import faults
    from orchestrator_dagster.testing.schemas import schema_instance
    from orchestrator_dagster.testing.script import Answer, Request, Tokens, ToolUse
    from orchestrator_dagster.testing.server import ModelServer

__all__ = ["Answer", "ModelServer", "Request", "Tokens", "ToolUse", "faults", "schema_instance"]

_HOME = {
    "Answer": "script",
    "Request": "script",
    "Tokens": "script",
    "ToolUse": "script",
    "ModelServer": "server",
    "schema_instance": "schemas",
}


def __getattr__(name: str) -> Any:
    # The pytest plugin lives in this package and is imported in every test session: load the server only when used.
    if name == "faults":
        return import_module("orchestrator_dagster.testing.faults")
    if name in _HOME:
        value = getattr(import_module(f"orchestrator_dagster.testing.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
