"""Budgets: what is reserved before a call and booked after it, over threads, processes and re-executions."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from orchestrator_dagster.errors import BudgetError, ModelError, ModelTimeoutError, StorageError
from orchestrator_dagster.models.budget import ASSUMED_OUTPUT, BudgetedClient, Limit, estimated
from orchestrator_dagster.models.client import Message, ModelReference, ModelRequest
from orchestrator_dagster.models.known_models import KnownModels
from orchestrator_dagster.models.ledger import FileLedger, Ledger, RemoteLedger, Spent, ledger_in, places_of
from orchestrator_dagster.models.litellm_client import Endpoint, LiteLLMClient
from orchestrator_dagster.models.prices import Price, price_of
from orchestrator_dagster.models.user_models import UserModel
from orchestrator_dagster.testing import Answer, ModelServer, Tokens, faults

MINI = ModelReference("openai", "gpt-4o-mini")
NOBODYS = ModelReference("openai", "nobodys-model")


def asks(model: ModelReference = MINI, text: str = "Say a word.", **more: Any) -> ModelRequest:
    return ModelRequest(model, (Message("user", text),), **{"max_tokens": 50, "timeout": 20.0, **more})


@pytest.fixture
def within(model_server: ModelServer) -> Callable[..., BudgetedClient]:
    client = LiteLLMClient({"openai": Endpoint(model_server.url, "sk-planted-0123456789abcdef")})

    def make(*limits: Limit, ledger: Ledger | None = None, path: str = "a") -> BudgetedClient:
        return BudgetedClient(client, limits, ledger or Ledger(), path)

    return make


def test_the_estimate() -> None:
    price = price_of(MINI)
    assert price == Price(0.15e-6, 0.60e-6)
    found = estimated(asks(text="x" * 300), price)
    assert (found.input_tokens, found.output_tokens) == (104, 50)
    assert found.cost == pytest.approx(104 * 0.15e-6 + 50 * 0.60e-6)
    assert estimated(asks(max_tokens=None), price).output_tokens == ASSUMED_OUTPUT
    assert estimated(asks(text="字" * 100), price).input_tokens == 104
    assert estimated(asks(schema={"type": "object"}), price).input_tokens > estimated(asks(), price).input_tokens
    assert price_of(NOBODYS) is None
    assert price_of(ModelReference("builtin", "extractive")) == Price(0, 0)
    assert price_of(ModelReference("gemini", "gemini-2.5-pro")).of(300_000, 1) > 300_000 * 2e-6  # type: ignore[union-attr]


def test_prices_of_ones_own_models() -> None:
    own = {
        "paid": UserModel("paid", "openai", "x", "http://127.0.0.1:1/v1", input_price=1e-6, output_price=2e-6),
        "unknown": UserModel("unknown", "openai", "gpt-4o-mini", "http://127.0.0.1:1/v1"),
        "theirs": UserModel("theirs", "openai", "gpt-4o-mini"),
    }
    known = KnownModels(own)
    assert known.price(own["paid"].reference) == Price(1e-6, 2e-6)
    assert known.price(own["unknown"].reference) is None  # another server has prices of its own
    assert known.price(own["theirs"].reference) == known.price(MINI) == price_of(MINI)


def test_before_the_call_the_estimate_counts(within: Any, model_server: ModelServer) -> None:
    client = within(Limit("", 'the pipeline "p"', tokens=40))
    with pytest.raises(BudgetError) as refused:
        client.complete(asks())
    assert 'the budget of the pipeline "p" does not allow another call: 0 of 40 tokens are spent' in str(refused.value)
    assert "8 tokens in and at most 50 out" in str(refused.value)
    assert "raise `tokens` in the `budget` to at least 58" in str(refused.value)
    assert refused.value.permanent
    assert refused.value.usage is not None
    assert refused.value.usage.calls == 0
    assert not model_server.calls


def test_after_the_call_the_bill_counts(within: Any, model_server: ModelServer) -> None:
    model_server.then(Answer("one", usage=Tokens(10, 5)), Answer("two", usage=Tokens(5000, 50)), "three")
    client = within(Limit("", "the step", tokens=200))
    assert client.complete(asks()).text == "one"
    client.check()
    assert client.complete(asks()).text == "two"  # its answer is paid, and is there
    with pytest.raises(BudgetError, match="the step is over its budget: 5,065 of 200 tokens are spent"):
        client.check()
    with pytest.raises(BudgetError, match="does not allow another call"):
        client.complete(asks())
    assert len(model_server.calls) == 2


def test_failed_calls_count(within: Any, model_server: ModelServer) -> None:
    model_server.then(faults.server_error(), faults.rate_limited(), "no more")
    client = within(Limit("", "the step", calls=2))
    for _ in range(2):
        with pytest.raises(ModelError):
            client.complete(asks())
    with pytest.raises(BudgetError, match="2 of 2 calls"):
        client.complete(asks())
    assert len(model_server.calls) == 2


def test_a_call_that_was_given_up_counts_as_estimated(within: Any, model_server: ModelServer) -> None:
    model_server.then(faults.hang())
    ledger = Ledger()
    with pytest.raises(ModelTimeoutError):
        within(Limit("", "the step", cost=1), ledger=ledger).complete(asks(timeout=0.3))
    assert ledger.look("").spent.tokens == 58


def test_every_budget_around_a_call_holds(within: Any, model_server: ModelServer) -> None:
    ledger = Ledger()
    wide, narrow = Limit("", "the pipeline", calls=3), Limit("sub", "the step", calls=2)
    inside = within(wide, narrow, ledger=ledger, path="sub/draft")
    outside = within(wide, ledger=ledger, path="other")
    inside.complete(asks())
    outside.complete(asks())
    inside.complete(asks())
    with pytest.raises(BudgetError, match="the pipeline"):
        outside.complete(asks())
    assert ledger.look("sub").spent.calls == 2
    assert places_of("sub/each[3]/x") == ("", "sub", "sub/each", "sub/each[3]", "sub/each[3]/x")


def test_an_unknown_price_is_not_zero(within: Any, model_server: ModelServer) -> None:
    with pytest.raises(BudgetError, match="openai:nobodys-model has no known price, and the step has a budget of"):
        within(Limit("", "the step", cost=1)).complete(asks(NOBODYS))
    assert not model_server.calls
    ledger = Ledger()
    client = within(Limit("", "the step", cost=1, calls=1), ledger=ledger)
    client.complete(asks(NOBODYS))
    assert ledger.look("").spent.unpriced == 1
    with pytest.raises(BudgetError, match=r"\(and 1 calls of unknown cost\)"):
        client.complete(asks(NOBODYS))


def test_parallel_calls_never_overspend(within: Any, model_server: ModelServer, tmp_path: Path) -> None:
    """What is under way counts as estimated: calls wait for it, and the last ones are refused."""
    model_server.when(lambda request: True, reply=Answer("word", usage=Tokens(8, 2), delay=0.02))
    ledger = FileLedger(tmp_path)
    client = within(Limit("", "the step", tokens=300), ledger=ledger)

    def call(number: int) -> str:
        try:
            return str(client.complete(asks()).text)
        except BudgetError:
            return "refused"

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(call, range(60)))
    spent = ledger.look("").spent
    assert spent.calls == found.count("word") == len(model_server.calls)
    assert spent.tokens <= 300
    # Another call is estimated at 58: all that surely fit were made, though 16 at once are estimated at 928.
    assert spent.tokens > 300 - 58
    client.check()


def test_processes_share_the_book(within: Any, model_server: ModelServer, tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from orchestrator_dagster.models.known_models import KnownModels
from orchestrator_dagster.models.ledger import FileLedger, Spent
ledger = FileLedger(Path(sys.argv[1]))
made = 0
for _ in range(40):
    def judge(sums):
        found = sums("")
        if found.spent.calls + 1 > 50:
            raise ValueError
        return found.spent.calls + found.open.calls + 1 > 50
    try:
        key = ledger.reserve(f"each[{made}]", Spent(1, 10, 0.5), 60, judge, lambda: None)
    except ValueError:
        break
    ledger.settle(key, Spent(1, 7, 0.25))
    made += 1
print(made)
"""
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    made = [int(process.communicate(timeout=60)[0]) for process in running]
    assert sum(made) == 50
    assert ledger_in(tmp_path).look("").spent == Spent(50, 350, 12.5)
    assert ledger_in(tmp_path).look("each").spent.calls == 50
    client = within(Limit("", "the run", calls=50), ledger=ledger_in(tmp_path))
    with pytest.raises(BudgetError, match="50 of 50 calls"):  # what the run before has paid counts
        client.complete(asks())


def test_what_a_killed_process_had_under_way_counts_as_estimated(tmp_path: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from orchestrator_dagster.models.known_models import KnownModels
from orchestrator_dagster.models.ledger import FileLedger, Spent
FileLedger(Path(sys.argv[1])).reserve("a", Spent(1, 10, 0.5), 600, lambda sums: False, lambda: None)
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    (tmp_path / "spent.jsonl").open("a").write('{"id": "half')
    ledger = FileLedger(tmp_path)
    assert ledger.look("").spent == Spent(1, 10, 0.5)
    key = ledger.reserve("b", Spent(1), 60, lambda sums: False, lambda: None)
    ledger.settle(key, Spent(1, 3))
    assert FileLedger(tmp_path).look("").spent == Spent(2, 13, 0.5)


def test_behind_a_url_each_process_has_a_file() -> None:
    from upath import UPath

    folder = UPath("memory://budget-test/spent")
    one, other = RemoteLedger(folder), RemoteLedger(folder)
    key = one.reserve("a", Spent(1, 10), 60, lambda sums: False, lambda: None)
    assert other.look("").open == Spent(1, 10)
    one.settle(key, Spent(1, 7))
    assert other.look("").spent == Spent(1, 7)
    other.settle(other.reserve("b", Spent(1, 2), 60, lambda sums: False, lambda: None), Spent(1, 2))
    assert one.look("").spent == RemoteLedger(folder).look("").spent == Spent(2, 9)


def test_a_book_that_cannot_be_kept_is_said(within: Any, tmp_path: Path, model_server: ModelServer) -> None:
    (tmp_path / "file").write_text("in the way")
    client = within(Limit("", "the step", calls=1), ledger=FileLedger(tmp_path / "file" / "spent"))
    with pytest.raises(StorageError, match="what the run has spent cannot be kept"):
        client.complete(asks())
    assert not model_server.calls


def test_a_run_that_is_stopped_does_not_wait_on(tmp_path: Path) -> None:
    ledger, stopped = Ledger(), threading.Event()
    ledger.reserve("a", Spent(1), 60, lambda sums: False, lambda: None)

    def check() -> None:
        if stopped.is_set():
            raise KeyboardInterrupt

    threading.Timer(0.1, stopped.set).start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        ledger.reserve("b", Spent(1), 60, lambda sums: bool(sums("").open.calls), check)
    assert time.monotonic() - started < 30
    assert json.dumps(ledger.look("").open.calls) == "1"
