"""Limits on calls of a provider: in the header, over processes, and the command that sets them."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner
from dagster import DagsterInstance

import orchestrator_dagster as orc
from orchestrator_dagster.cli import main
from orchestrator_dagster.definitions.instance import call_slots
from orchestrator_dagster.definitions.instance.call_slots import PoolSlots, free_abandoned, pool_of
from orchestrator_dagster.definitions.instance.home import open_instance
from orchestrator_dagster.errors import ModelTurnError, StepInterruptedError
from orchestrator_dagster.models.client import UNWATCHED, Watch
from orchestrator_dagster.testing import ModelServer

Write = Callable[[str, str], Path]
KEY = "sk-planted-0123456789abcdef"


def claimed(instance: DagsterInstance) -> int:
    return len(instance.event_log_storage.get_concurrency_info(pool_of("openai")).claimed_slots)


@contextmanager
def holder(home: Path, run_id: str) -> Iterator[subprocess.Popen[str]]:
    script = Path(__file__).with_name("call_slots_holder.py")
    command = [sys.executable, str(script), str(home), run_id]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


@pytest.mark.slow
def test_slots_are_shared_by_processes_and_those_of_a_killed_one_are_freed(
    instance: DagsterInstance, tmp_path: Path
) -> None:
    instance.event_log_storage.set_concurrency_slots(pool_of("openai"), 2)
    home, slots = tmp_path / "dagster_home", PoolSlots(instance, "mine")
    with holder(home, "first") as one, holder(home, "second") as two:
        with pytest.raises(ModelTurnError, match="all 2 slots of its pool are taken"):
            slots.hold("openai", Watch(deadline=time.monotonic() + 0.3)).__enter__()
        with pytest.raises(StepInterruptedError):
            slots.hold("openai", Watch(interrupted=lambda: True)).__enter__()
        with slots.hold("anthropic", UNWATCHED):  # another pool, which has no size
            assert free_abandoned(instance, "openai") == 0

        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
        with slots.hold("openai", Watch(deadline=time.monotonic() + 60)):
            assert claimed(instance) == 2
        two.kill()
        two.wait()
        with slots.hold("openai", UNWATCHED):
            assert claimed(instance) == 2  # the killed one's is still taken
            with PoolSlots(instance, "other").hold("openai", Watch(deadline=time.monotonic() + 60)):
                assert claimed(instance) == 2  # and now it is not
    assert claimed(instance) == 0
    assert not instance.event_log_storage.get_concurrency_info(pool_of("openai")).pending_steps


def test_a_limit_that_is_taken_away_lets_those_go_that_wait(instance: DagsterInstance) -> None:
    instance.event_log_storage.set_concurrency_slots(pool_of("openai"), 1)
    went = threading.Event()

    def wait() -> None:
        with PoolSlots(instance, "second").hold("openai", UNWATCHED):
            went.set()

    with PoolSlots(instance, "first").hold("openai", UNWATCHED):
        thread = threading.Thread(target=wait)
        thread.start()
        instance.event_log_storage.delete_concurrency_limit(pool_of("openai"))
        assert went.wait(30)
    thread.join()
    assert claimed(instance) == 0


LIMITED = """\
id: limited
default_model: openai:gpt-4o-mini
limits: {openai: 2}
steps:
  - id: each
    for_each: [a, b, c, d, e, f]
    max_parallel: 6
    prompt: Say {{ item }}.
outputs: {said: "{{ each.count }}"}
"""


def test_the_header_holds_calls_and_a_pool_does_too(
    write: Write, instance: DagsterInstance, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    most, going, lock = 0, 0, threading.Lock()
    slots: list[int] = []

    def reply(_: object) -> str:
        nonlocal most, going
        with lock:
            going += 1
            most = max(most, going)
        slots.append(claimed(instance))
        with lock:
            going -= 1
        return "yes"

    model_server.when(lambda _: True, reply=reply)
    endpoint = orc.ModelEndpoint(provider="openai", base_url=model_server.url, api_key=KEY)
    resources = {"models": orc.ModelsResource(endpoints=[endpoint])}
    pipeline = orc.compile(write("pipelines/limited.yaml", LIMITED))
    result = pipeline.run(instance=instance, resources=resources)
    assert result.success, result.error
    assert len(model_server.calls) == 6
    assert most <= 2
    assert set(slots) == {0}  # no size is set for the pool

    monkeypatch.setattr(call_slots, "_FRESH", 0.0)
    instance.event_log_storage.set_concurrency_slots(pool_of("openai"), 1)
    slots.clear()
    most = 0
    result = pipeline.run(instance=instance, resources=resources)
    assert result.success, result.error
    assert most == 1
    assert set(slots) == {1}
    assert claimed(instance) == 0


def test_wrong_limits_are_said(write: Write) -> None:
    text = LIMITED.replace("{openai: 2}", "{opnai: 2, google: 1, anthropic: 0}")
    with pytest.raises(orc.PipelineError) as caught:
        orc.compile(write("pipelines/limited.yaml", text))
    said = str(caught.value)
    assert '"opnai" is no provider whose calls can be limited; did you mean "openai"?' in said
    assert 'did you mean "gemini"?' in said
    assert '"anthropic": at least 1 call at once is needed, found 0' in said


def test_the_command(project: Path) -> None:
    run = CliRunner().invoke
    assert "no limits are set" in run(main, ["limits"]).stdout
    assert run(main, ["limits", "set", "google", "3"]).stdout == "gemini: 3 calls at once\n"
    assert run(main, ["limits", "set", "openai", "4"]).exit_code == 0
    listed = json.loads(run(main, ["limits", "list", "--json"]).stdout)
    assert listed[1] == {"provider": "openai", "limit": 4, "calling": 0, "waiting": 0}
    assert run(main, ["limits", "unset", "openai"]).exit_code == 0
    assert run(main, ["limits"]).stdout == "gemini: 3 calls at once; 0 now, 0 waiting\n"
    wrong = run(main, ["limits", "set", "opnai", "4"])
    assert wrong.exit_code == 2
    assert 'did you mean "openai"?' in wrong.stderr
    assert run(main, ["limits", "unset", "openai"]).exit_code == 2
    with open_instance(project) as instance, PoolSlots(instance, "mine").hold("gemini", UNWATCHED):
        busy = run(main, ["limits", "unset", "gemini"])
        assert busy.exit_code == 2
        assert "1 calls to gemini hold slots" in busy.stderr
        assert "gemini: 3 calls at once; 1 now, 0 waiting" in run(main, ["limits"]).stdout
    assert run(main, ["limits", "set", "openai", "0"]).exit_code == 2


def test_an_asset_of_ones_own_asks(instance: DagsterInstance, model_server: ModelServer) -> None:
    instance.event_log_storage.set_concurrency_slots(pool_of("openai"), 1)
    held: list[int] = []

    def reply(_: object) -> dict[str, str]:
        held.append(claimed(instance))
        return {"headline": "Water saved"}

    @dg.asset
    def headline(models: orc.ModelsResource) -> dg.MaterializeResult[None]:
        schema = {"type": "object", "properties": {"headline": {"type": "string"}}, "required": ["headline"]}
        reply = models.ask("One headline about water.", model="openai:gpt-4o-mini", schema=schema)
        vectors = models.access().embed(["water"], model="openai:text-embedding-3-small").vectors
        return dg.MaterializeResult(metadata={"said": reply.value["headline"], "size": len(vectors[0])})

    model_server.when(lambda _: True, reply=reply)
    endpoint = orc.ModelEndpoint(provider="openai", base_url=model_server.url, api_key=KEY)
    models = orc.ModelsResource(endpoints=[endpoint])
    done = dg.materialize([headline], resources={"models": models}, instance=instance)
    (event,) = done.asset_materializations_for_node("headline")
    assert event.metadata["said"].value == "Water saved"
    assert held == [1]
    assert claimed(instance) == 0
    assert models.ask("Again.", model="openai:gpt-4o-mini").text  # outside of a run, without slots


def test_a_free_slot_that_was_given_to_nobody_is_found(instance: DagsterInstance) -> None:
    """Dagster misses a call that queues up between the freeing of a slot and the look at the queue."""
    storage: Any = instance.event_log_storage
    storage.set_concurrency_slots(pool_of("openai"), 1)
    went = threading.Event()

    def call() -> None:
        with PoolSlots(instance, "late").hold("openai", Watch(deadline=time.monotonic() + 60)):
            went.set()

    with PoolSlots(instance, "first").hold("openai", UNWATCHED):
        thread = threading.Thread(target=call)
        thread.start()
        while not storage.get_concurrency_info(pool_of("openai")).pending_steps[1:]:
            time.sleep(0.01)
        storage._free_concurrency_slots("first")
        storage._remove_pending_steps("first")  # and nobody is given the slot
    assert went.wait(60)
    thread.join()
