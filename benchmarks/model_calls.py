"""Our model call against bare ``litellm.completion``: the same request to a local server in a process of its own.

Ours is the whole way of a step's call: place at the provider, turn, key check, litellm, answer, usage and cost.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from benchmarks.measuring import Row, medians
from orchestrator_dagster.models.client import Message, ModelReference, ModelRequest
from orchestrator_dagster.models.clients import Calling, ModelClients
from orchestrator_dagster.models.litellm_client import Endpoint
from orchestrator_dagster.models.litellm_module import litellm_module
from orchestrator_dagster.models.run_clients import RunClients

MODELS = {"openai": "gpt-4o-mini", "anthropic": "claude-sonnet-4-5"}
CALLS = 10
WANTED = "at most 5 ms more"
_SERVER = """\
from orchestrator_dagster.testing import ModelServer
with ModelServer(default="word " * 100) as server:
    print(server.url, flush=True)
    input()
"""


@contextmanager
def server() -> Iterator[str]:
    """The base URL of a model server in another process: it takes no time of ours."""
    with subprocess.Popen(
        [sys.executable, "-c", _SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.write("\n")
            process.stdin.close()


def measure(rounds: int = 7) -> list[Row]:
    """The rows of this benchmark, in milliseconds for one call."""
    litellm = litellm_module()
    prompt = "Summarise this text. " + "Trees give shade. " * 100
    rows = []
    with server() as url:
        endpoints = {provider: Endpoint(url, "any-key") for provider in MODELS}
        clients = RunClients(ModelClients(endpoints), {"openai": 64})
        streaming = RunClients(ModelClients(endpoints, Calling(stream_from=1)), {"openai": 64})
        for provider, name in MODELS.items():
            model = ModelReference(provider, name)
            request = ModelRequest(model, (Message("user", prompt),), max_tokens=200)
            bare: dict[str, Any] = {
                "model": f"{provider}/{name}",
                "messages": [{"role": "user", "content": prompt}],
                "max_tokens": 200,
                "api_base": url,
                "api_key": "any-key",
            }

            found = medians(
                {
                    "ours": _times(partial(clients.client(model).complete, request)),
                    "bare": _times(partial(litellm.completion, **bare)),
                    "ours streamed": _times(partial(streaming.client(model).complete, request)),
                    "bare streamed": _times(partial(_streamed, litellm, bare)),
                },
                rounds,
            )
            each = {key: seconds * 1000 / CALLS for key, seconds in found.items()}
            said = "bare litellm.completion"
            rows.append(Row(f"a call to {provider}", each["ours"], each["bare"], said, WANTED, "ms"))
            what = f"a call to {provider}, streamed, 100 words"
            rows.append(Row(what, each["ours streamed"], each["bare streamed"], f"{said}, streamed", WANTED, "ms"))
    return rows


def _streamed(litellm: Any, bare: dict[str, Any]) -> object:
    chunks = list(litellm.completion(**bare, stream=True, stream_options={"include_usage": True}))
    return litellm.stream_chunk_builder(chunks, messages=bare["messages"])


def _times(call: Callable[[], object]) -> Callable[[], None]:
    def calls() -> None:
        for _ in range(CALLS):
            call()

    call()  # litellm makes its HTTP client at the first one
    return calls
