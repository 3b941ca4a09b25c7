"""The executors: real jobs, a real instance on disk, real threads and processes."""

# No `from __future__ import annotations` here: Dagster looks at the types of ops themselves.

import ast
import asyncio
import contextvars
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import pytest
from dagster import DagsterEventType, DagsterInstance, DagsterRunStatus
from dagster import __version__ as dagster_version
from dagster._core.code_pointer import FileCodePointer
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.definitions.reconstruct import ReconstructableJob, ReconstructableRepository
from dagster._core.execution.api import create_execution_plan, execute_run_iterator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import orchestrator_dagster as orc
from orchestrator_dagster.definitions.executors import _dagster_private, executor
from orchestrator_dagster.definitions.executors._dagster_private import InstanceConcurrencyContext, PromptClaims
from orchestrator_dagster.definitions.executors.executor import default_executor, threads_executor, was_interrupted
from orchestrator_dagster.definitions.executors.multiprocess import PRELOADED
from orchestrator_dagster.definitions.instance.event_log import event_log_open
from orchestrator_dagster.definitions.location.factory import definitions_of
from orchestrator_dagster.definitions.pipelines.jobs import job_name

JOBS = Path(__file__).with_name("executor_jobs.py")
#: Seconds after which a test gives up waiting for something that must come.
PATIENCE = 60


@dataclass
class Ran:
    """A run that has ended, and what it told."""

    run: dg.DagsterRun
    events: list[dg.DagsterEvent]
    instance: DagsterInstance

    @property
    def success(self) -> bool:
        return self.run.status == DagsterRunStatus.SUCCESS

    def steps(self, kind: DagsterEventType) -> list[str]:
        """Keys of the steps with an event of this kind, in the order of the events."""
        return [event.step_key or "" for event in self.events if event.event_type == kind]

    def records(self) -> list[Any]:
        return list(self.instance.all_logs(self.run.run_id))


def run_job(
    job: dg.JobDefinition,
    instance: DagsterInstance,
    *,
    steps: Sequence[str] | None = None,
    config: dict[str, Any] | None = None,
) -> Ran:
    plan = create_execution_plan(job, run_config=config or {}, step_keys_to_execute=steps)
    run = instance.create_run_for_job(job, execution_plan=plan, run_config=config)
    events = list(execute_run_iterator(InMemoryJob(job), run, instance))
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return Ran(found, events, instance)


def job_of(*nodes: Any, config: dict[str, Any] | None = None, **settings: Any) -> dg.JobDefinition:
    """A job of independent ops, on threads."""
    graph = dg.GraphDefinition("independent", node_defs=list(nodes))
    return graph.to_job(executor_def=threads_executor.configured(config) if config else threads_executor, **settings)


def op(name: str, work: Callable[[Any], Any], **settings: Any) -> dg.OpDefinition:
    @dg.op(name=name, **settings)
    def body(context: dg.OpExecutionContext) -> Any:
        return work(context)

    return body


class AtOnce:
    """How many are inside at once, at most."""

    def __init__(self) -> None:
        self.lock, self.now, self.most = threading.Lock(), 0, 0

    def __enter__(self) -> None:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.now -= 1


# --- at once, and in what order -------------------------------------------------------------------------------------


def test_steps_run_at_once(instance: DagsterInstance) -> None:
    barrier = threading.Barrier(20)
    ran = run_job(job_of(*(op(f"meets_{n}", lambda _: barrier.wait(PATIENCE) and None) for n in range(20))), instance)
    assert ran.success
    assert len(ran.steps(DagsterEventType.STEP_SUCCESS)) == 20


def test_no_more_at_once_than_configured(instance: DagsterInstance) -> None:
    pairs, inside = threading.Barrier(2), AtOnce()

    def work(_: Any) -> None:
        with inside:
            pairs.wait(PATIENCE)  # passes only when two run at once

    assert run_job(job_of(*(op(f"o{n}", work) for n in range(6)), config={"max_concurrent": 2}), instance).success
    assert inside.most == 2


def test_limits_by_tag(instance: DagsterInstance) -> None:
    meets, inside = threading.Barrier(4), AtOnce()

    def limited(context: Any) -> None:
        with inside:
            if context.op.name == "limited_0":
                meets.wait(PATIENCE)

    ops = [op(f"limited_{n}", limited, tags={"kind": "db"}) for n in range(3)]
    ops += [op(f"free_{n}", lambda _: meets.wait(PATIENCE) and None) for n in range(3)]
    limits = [{"key": "kind", "value": "db", "limit": 1}]
    assert run_job(job_of(*ops, config={"tag_concurrency_limits": limits}), instance).success
    assert inside.most == 1


def test_priority(instance: DagsterInstance) -> None:
    order: list[str] = []
    ops = [
        op(name, lambda context: order.append(context.op.name), tags={"dagster/priority": priority})
        for name, priority in {"last": "-1", "second": "1", "first": "7", "third": "0"}.items()
    ]
    assert run_job(job_of(*ops, config={"max_concurrent": 1}), instance).success
    assert order == ["first", "second", "third", "last"]


@st.composite
def dags(draw: st.DrawFn) -> list[list[int]]:
    """For each node the earlier nodes that it takes."""
    size = draw(st.integers(2, 6))
    return [sorted(draw(st.sets(st.integers(0, node - 1), max_size=3))) if node else [] for node in range(size)]


def dag_job(dag: list[list[int]], seen: dict[str, Any], made_by: dg.ExecutorDefinition) -> dg.JobDefinition:
    def node(number: int) -> dg.OpDefinition:
        def compute(_: dg.OpExecutionContext, given: Any) -> Iterator[dg.Output[Any]]:
            seen[f"n{number}"] = dict(given)
            yield dg.Output(number + sum(given.values()), "result")

        return dg.OpDefinition(
            compute, f"n{number}", ins={f"from_{one}": dg.In(int) for one in dag[number]}, outs={"result": dg.Out(int)}
        )

    return dg.GraphDefinition(
        "dag",
        node_defs=[node(number) for number in range(len(dag))],
        dependencies={
            f"n{number}": {f"from_{one}": dg.DependencyDefinition(f"n{one}", "result") for one in takes}
            for number, takes in enumerate(dag)
        },
    ).to_job(executor_def=made_by)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(dag=dags())
def test_every_step_sees_what_it_sees_in_process(instance: DagsterInstance, dag: list[list[int]]) -> None:
    in_threads: dict[str, Any] = {}
    in_process: dict[str, Any] = {}
    ran = run_job(dag_job(dag, in_threads, threads_executor), instance)
    assert ran.success
    assert run_job(dag_job(dag, in_process, dg.in_process_executor), instance).success
    assert in_threads == in_process
    assert len(in_threads) == len(dag)
    events = [(event.event_type, event.step_key) for event in ran.events]
    for number, takes in enumerate(dag):
        started = events.index((DagsterEventType.STEP_START, f"n{number}"))
        assert all(events.index((DagsterEventType.STEP_SUCCESS, f"n{one}")) < started for one in takes)


def test_the_events_of_a_step_keep_their_order(instance: DagsterInstance) -> None:
    def both(executor_def: dg.ExecutorDefinition) -> dict[str, list[Any]]:
        ran = run_job(dag_job([[], [], [0, 1], [0], [2, 3]], {}, executor_def), instance)
        recorded, yielded = defaultdict(list), defaultdict(list)
        for record in ran.records():
            if record.dagster_event and record.step_key:
                recorded[record.step_key].append(record.dagster_event.event_type)
        for event in ran.events:
            if event.step_key:
                yielded[event.step_key].append(event.event_type)
        assert recorded == yielded
        return dict(yielded)

    assert both(threads_executor) == both(dg.in_process_executor)


# --- what Dagster's steps can do ------------------------------------------------------------------------------------


def test_a_fan_out_of_100_is_collected(instance: DagsterInstance) -> None:
    taken: list[list[int]] = []

    @dg.op(out=dg.DynamicOut(int))
    def numbers() -> Iterator[dg.DynamicOutput[int]]:
        for number in range(100):
            yield dg.DynamicOutput(number, str(number))

    @dg.op
    def double(number: int) -> int:
        return 2 * number

    @dg.op
    def collect(numbers: list[int]) -> None:
        taken.append(numbers)

    @dg.job(executor_def=threads_executor)
    def fan_out() -> None:
        collect(numbers().map(double).collect())

    assert run_job(fan_out, instance).success
    assert taken == [[2 * number for number in range(100)]]


def test_what_is_not_given_is_skipped(instance: DagsterInstance) -> None:
    taken: dict[str, Any] = {}

    @dg.op(out={"some": dg.Out(is_required=False), "other": dg.Out(is_required=False)})
    def gives_some() -> Iterator[dg.Output[int]]:
        yield dg.Output(1, "some")

    @dg.op(out=dg.DynamicOut(int))
    def no_items() -> Iterator[dg.DynamicOutput[int]]:
        yield from ()

    @dg.op(out=dg.DynamicOut(int, is_required=False))
    def skipped_items() -> Iterator[dg.DynamicOutput[int]]:
        yield from ()

    @dg.op
    def passes(value: int) -> int:
        return value

    @dg.op
    def takes(context: dg.OpExecutionContext, values: list[int]) -> None:
        taken[context.op_handle.name] = values

    @dg.job(executor_def=threads_executor)
    def skips() -> None:
        some, other = gives_some()
        takes.alias("fan_in")([passes(some), passes.alias("not_given")(other)])
        takes.alias("of_none")(no_items().map(passes.alias("none")).collect())
        takes.alias("of_skipped")(skipped_items().map(passes.alias("skipped")).collect())

    ran = run_job(skips, instance)
    assert ran.success
    assert taken == {"fan_in": [1], "of_none": []}
    assert {"not_given", "of_skipped"} <= set(ran.steps(DagsterEventType.STEP_SKIPPED))


def test_other_steps_go_on_while_one_waits_for_its_retry(instance: DagsterInstance) -> None:
    order: list[str] = []

    def work(context: dg.OpExecutionContext) -> None:
        order.append(f"{context.op.name} {context.retry_number}")
        if context.op.name == "fails_once" and context.retry_number == 0:
            raise ValueError("not yet")

    policy = dg.RetryPolicy(max_retries=2, delay=1)
    ops = [op("fails_once", work, retry_policy=policy, tags={"dagster/priority": "1"}), op("other", work)]
    assert run_job(job_of(*ops, config={"max_concurrent": 1}), instance).success
    assert order == ["fails_once 0", "other 0", "fails_once 1"]


def test_retries(instance: DagsterInstance) -> None:
    def asks_itself(context: dg.OpExecutionContext) -> None:
        if context.retry_number < 2:
            raise dg.RetryRequested(max_retries=2)

    def fails(_: Any) -> None:
        raise ValueError("always")

    def cannot_pass(_: Any) -> None:
        raise dg.Failure("no use", allow_retries=False)

    policy = dg.RetryPolicy(max_retries=2)
    ops = [
        op("asks_itself", asks_itself),
        op("fails", fails, retry_policy=policy),
        op("cannot_pass", cannot_pass, retry_policy=policy),
    ]
    ran = run_job(job_of(*ops), instance)
    assert ran.run.status == DagsterRunStatus.FAILURE
    again = ran.steps(DagsterEventType.STEP_UP_FOR_RETRY)
    assert {name: again.count(name) for name in ("asks_itself", "fails", "cannot_pass")} == {
        "asks_itself": 2, "fails": 2, "cannot_pass": 0,
    }  # fmt: skip
    assert set(ran.steps(DagsterEventType.STEP_FAILURE)) == {"fails", "cannot_pass"}

    never = run_job(job_of(ops[0], config={"retries": {"disabled": {}}}), instance)
    assert never.run.status == DagsterRunStatus.FAILURE
    assert not never.steps(DagsterEventType.STEP_UP_FOR_RETRY)


def test_a_pool_of_one(instance: DagsterInstance) -> None:
    storage = instance.event_log_storage
    storage.set_concurrency_slots("one", 1)
    inside, outside = AtOnce(), threading.Barrier(2)

    def alone(context: dg.OpExecutionContext) -> None:
        with inside:
            if context.op.name == "alone_0" and context.retry_number == 0:
                raise ValueError("gives its slot back before its retry")

    def meets(_: Any) -> None:
        outside.wait(PATIENCE)

    policy = dg.RetryPolicy(max_retries=1)
    ops = [op(f"alone_{n}", alone, pool="one", retry_policy=policy) for n in range(5)]
    ran = run_job(job_of(*ops, *(op(f"free_{n}", meets) for n in range(2))), instance)
    assert ran.success
    assert inside.most == 1
    left = storage.get_concurrency_info("one")
    assert (left.active_slot_count, left.pending_step_count) == (0, 0)


def test_a_slot_that_is_given_back_is_taken_at_once(instance: DagsterInstance) -> None:
    instance.event_log_storage.set_concurrency_slots("one", 1)
    run = instance.create_run_for_job(job_of(op("any", lambda _: None)))
    with PromptClaims(instance, run) as claims:
        assert claims.claim("one", "holds")
        assert not claims.claim("one", "waits")
        assert not claims.claim("one", "more_important", 3)
        claims.free_step("holds")
        assert not claims.claim("one", "waits")
        assert claims.claim("one", "more_important", 3)
        claims.free_step("more_important")
        assert claims.claim("one", "waits")
        claims.free_step("waits")
    with InstanceConcurrencyContext(instance, run) as usual:  # Dagster's own would have to wait
        assert usual.claim("one", "holds")
        assert not usual.claim("one", "waits")
        usual.free_step("holds")
        assert not usual.claim("one", "waits")


def test_resources_are_made_once_and_shared(instance: DagsterInstance) -> None:
    made, seen, meets = [], set(), threading.Barrier(8)

    @dg.resource
    def shared(_: Any) -> Iterator[object]:
        made.append("set up")
        yield object()
        made.append("torn down")

    def work(context: dg.OpExecutionContext) -> None:
        meets.wait(PATIENCE)
        seen.add(id(context.resources.shared))

    ops = [op(f"o{n}", work, required_resource_keys={"shared"}) for n in range(8)]
    assert run_job(job_of(*ops, resource_defs={"shared": shared}), instance).success
    assert made == ["set up", "torn down"]
    assert len(seen) == 1


def test_async_ops_run_at_once(instance: DagsterInstance) -> None:
    meets = threading.Barrier(4)

    def asynchronous(name: str) -> dg.OpDefinition:
        @dg.op(name=name)
        async def body() -> int:
            await asyncio.sleep(0)
            return await asyncio.get_running_loop().run_in_executor(None, meets.wait, PATIENCE)

        return body

    assert run_job(job_of(*(asynchronous(f"o{n}") for n in range(4))), instance).success


def test_hooks(instance: DagsterInstance) -> None:
    called: list[str] = []

    @dg.success_hook
    def after_success(context: dg.HookContext) -> None:
        called.append(f"success of {context.op.name}")

    @dg.failure_hook
    def after_failure(context: dg.HookContext) -> None:
        called.append(f"failure of {context.op.name}: {context.op_exception}")

    def fails(_: Any) -> None:
        raise ValueError("as planned")

    job = job_of(op("works", lambda _: None), op("fails", fails)).with_hooks({after_success, after_failure})
    ran = run_job(job, instance)
    assert sorted(called) == ["failure of fails: as planned", "success of works"]
    assert sorted(ran.steps(DagsterEventType.HOOK_COMPLETED)) == ["fails", "works"]


def test_context_variables_are_those_of_the_caller(instance: DagsterInstance) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("of the caller")
    seen: list[str] = []
    assert run_job(job_of(op("reads", lambda _: seen.append(variable.get()))), instance).success
    assert seen == ["of the caller"]


def test_a_pipeline_as_this_package_makes_it(
    project: Path, write: Callable[[str, str], Path], instance: DagsterInstance
) -> None:
    path = write(
        "pipelines/small.yaml",
        """\
id: small
inputs: {topic: heat}
steps:
  - {id: a, tool: filesystem, action: write, parameters: {path: out/a.txt, content: "{{ topic }}"},
     vars: {size_a: "{{ result.size }}"}, products: {size_a: a.json}}
  - {id: b, tool: filesystem, action: write, parameters: {path: out/b.txt, content: "{{ topic }}!"},
     vars: {size_b: "{{ result.size }}"}, products: {size_b: b.json}}
  - {id: c, tool: filesystem, action: write, parameters: {path: out/c.txt, content: "{{ size_a + size_b }}"}}
outputs: {sum: "{{ size_a + size_b }}"}
""",
    )
    pipeline = orc.compile(path).compiled
    found = {}
    for name, made_by in {"threads": threads_executor, "in process": dg.in_process_executor}.items():
        job = definitions_of([pipeline], root=project, executor=made_by).resolve_job_def(job_name(pipeline))
        ran = run_job(job, instance, config={"topic": name})
        assert ran.success, [event.message for event in ran.events if event.is_failure]
        found[name] = sorted(
            str(event.asset_key.to_user_string())
            for event in ran.events
            if event.event_type == DagsterEventType.ASSET_MATERIALIZATION and event.asset_key
        )
        assert (project / "out" / "b.txt").read_text() == f"{name}!"
    assert found["threads"] == found["in process"]
    assert "small/run" in found["threads"]


# --- failures -------------------------------------------------------------------------------------------------------


def test_independent_steps_go_on_after_a_failure(instance: DagsterInstance) -> None:
    failed = threading.Event()

    @dg.op
    def fails() -> int:
        failed.set()
        raise ValueError("as planned")

    @dg.op
    def waits() -> int:
        assert failed.wait(PATIENCE)
        return 1

    @dg.op
    def takes(value: int) -> int:
        return value

    @dg.job(executor_def=threads_executor)
    def branches() -> None:
        takes.alias("after_failure_2")(takes.alias("after_failure")(fails()))
        takes.alias("after_success")(waits())

    ran = run_job(branches, instance)
    assert ran.run.status == DagsterRunStatus.FAILURE
    assert set(ran.steps(DagsterEventType.STEP_SUCCESS)) == {"waits", "after_success"}
    assert ran.steps(DagsterEventType.STEP_FAILURE) == ["fails"]
    assert not any(event.step_key and "after_failure" in event.step_key for event in ran.events)


def test_an_error_of_the_executor_fails_the_run(instance: DagsterInstance) -> None:
    @dg.op
    def leaves_no_memory_for_threads() -> int:
        threading.stack_size(1 << 46)
        return 1

    @dg.op
    def comes_after(value: int) -> None:
        raise AssertionError(f"started with {value}")

    @dg.job(executor_def=threads_executor)
    def breaks() -> None:
        comes_after(leaves_no_memory_for_threads())

    before = threading.stack_size()
    try:
        ran = run_job(breaks, instance)
    finally:
        threading.stack_size(before)
    assert ran.run.status == DagsterRunStatus.FAILURE
    ended = ran.events[-1]
    assert ended.event_type == DagsterEventType.RUN_FAILURE
    assert "can't start new thread" in ended.job_failure_data.error.message


def test_what_escapes_from_a_step_ends_the_run(instance: DagsterInstance) -> None:
    """A step that raises an interrupt itself ends the run, as in process; others are asked to stop."""
    running = threading.Event()

    def raises(_: Any) -> None:
        assert running.wait(PATIENCE)
        raise KeyboardInterrupt

    def looks(context: dg.OpExecutionContext) -> None:
        from orchestrator_dagster.definitions.steps.interruption import interruption

        running.set()
        assert interruption().wait(PATIENCE)

    ran = run_job(job_of(op("raises", raises), op("looks", looks), config={"interrupt_grace": 30.0}), instance)
    assert ran.run.status == DagsterRunStatus.FAILURE
    assert ran.steps(DagsterEventType.STEP_FAILURE) == ["raises"]
    assert ran.steps(DagsterEventType.STEP_SUCCESS) == ["looks"]
    assert [event for event in ran.events if was_interrupted(event)]


def test_a_plan_that_cannot_go_on_fails(instance: DagsterInstance) -> None:
    limits = [{"key": "kind", "value": "db", "limit": 0}]
    job = job_of(op("never", lambda _: None, tags={"kind": "db"}), config={"tag_concurrency_limits": limits})
    ran = run_job(job, instance)
    assert ran.run.status == DagsterRunStatus.FAILURE
    assert "without completing the execution plan" in ran.events[-1].job_failure_data.error.message


@pytest.mark.parametrize("config", [{"max_concurrent": 0}, {"interrupt_grace": -1.0}])
def test_settings_out_of_range(config: dict[str, Any], instance: DagsterInstance) -> None:
    ran = run_job(job_of(op("any", lambda _: None), config=config), instance)
    assert ran.run.status == DagsterRunStatus.FAILURE
    assert next(iter(config)) in ran.events[-1].job_failure_data.error.message
    assert not ran.steps(DagsterEventType.STEP_START)


def test_only_the_steps_asked_for(instance: DagsterInstance) -> None:
    seen: dict[str, Any] = {}
    job = dag_job([[], [0], [1]], seen, threads_executor)
    ran = run_job(job, instance, steps=["n0", "n1"])
    assert ran.success
    assert set(seen) == {"n0", "n1"}


def test_reexecution_from_failure(instance: DagsterInstance) -> None:
    job = reconstructable("fails_in_the_middle")
    first = dg.execute_job(job, instance)
    assert not first.success
    again = dg.execute_job(
        job, instance, reexecution_options=dg.ReexecutionOptions.from_failure(first.run_id, instance)
    )
    assert again.success
    started = {event.step_key for event in again.all_events if event.event_type == DagsterEventType.STEP_START}
    assert started == {"fails_at_first", "takes_both"}


def reconstructable(name: str) -> ReconstructableJob:
    """A job of the other file, as a run's process gets it."""
    return ReconstructableJob(ReconstructableRepository(FileCodePointer(str(JOBS), name)), name)


# --- logs -----------------------------------------------------------------------------------------------------------


def test_the_process_output_is_captured_once(files: Path, instance: DagsterInstance) -> None:
    assert start("prints", files, instance).wait(PATIENCE) == 0  # Dagster captures nothing inside of pytest
    (run,) = instance.get_runs()
    events = [record.dagster_event for record in instance.all_logs(run.run_id) if record.dagster_event]
    (captured,) = [event for event in events if event.event_type == DagsterEventType.LOGS_CAPTURED]
    data = captured.logs_captured_data
    assert set(data.step_keys or ()) == {"first", "second"}
    logs = instance.compute_log_manager.get_log_data([run.run_id, "compute_logs", data.file_key])
    assert sorted((logs.stdout or b"").decode().split("\n")[:-1]) == ["from first", "from second"]


def test_log_lines_stay_with_their_step(instance: DagsterInstance) -> None:
    """Many writers at once: nothing is lost in the SQLite event log, and no step takes the records of another."""
    steps, lines, meets = 16, 10, threading.Barrier(16)

    def work(context: dg.OpExecutionContext) -> None:
        logger = dg.get_dagster_logger()
        meets.wait(PATIENCE)
        for _ in range(lines):
            logger.info("by logger of %s", context.op.name)
            context.log.info(f"by context of {context.op.name}")

    ran = run_job(job_of(*(op(f"o{n}", work) for n in range(steps))), instance)
    assert ran.success
    found: dict[str, list[str]] = defaultdict(list)
    for record in ran.records():
        if record.level == logging.INFO and " of " in record.user_message:
            found[record.step_key].append(record.user_message)
    assert len(found) == steps
    for name, said in found.items():
        assert sorted(said) == sorted([f"by logger of {name}", f"by context of {name}"] * lines)


def test_the_sqlite_journal_is_kept_while_a_run_writes(instance: DagsterInstance) -> None:
    run = instance.create_run_for_job(job_of(op("any", lambda _: None)))
    journal = Path(f"{instance.event_log_storage.path_for_shard(run.run_id)}-wal")  # type: ignore[attr-defined]
    instance.report_engine_event("one", run)
    assert not journal.exists()
    with event_log_open(instance, run.run_id):
        instance.report_engine_event("two", run)
        assert journal.exists()
    assert not journal.exists()
    assert [record.dagster_event.message for record in instance.all_logs(run.run_id)] == ["one", "two"]
    with DagsterInstance.ephemeral() as other, event_log_open(other, run.run_id):
        other.report_engine_event("three", run)  # a storage without files is left alone


# --- interrupts -----------------------------------------------------------------------------------------------------


def start(job: str, folder: Path, instance: DagsterInstance) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "DAGSTER_HOME": instance.root_directory}
    return subprocess.Popen([sys.executable, str(JOBS), job, str(folder)], env=environment)


def wait_for(what: Callable[[], Any]) -> Any:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        found = what()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "told"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    ("number", "asked_for"), [(signal.SIGTERM, True), (signal.SIGINT, False)], ids=["terminated", "Ctrl-C"]
)
def test_an_interrupted_run(number: int, asked_for: bool, files: Path, instance: DagsterInstance) -> None:
    """Dagster calls a run canceled when somebody asked for it before, else failed."""
    steps = {"hangs", "has_a_child", "has_a_stubborn_group", "looks_at_interruption", "awaits"}
    process = start("interrupted", files, instance)
    try:
        wait_for(lambda: steps <= set(os.listdir(files)))
        children = [int(pid) for name in files.iterdir() for pid in name.read_text().split()]
        assert len(children) == 3
        (run,) = instance.get_runs()
        if asked_for:
            instance.report_run_canceling(run)
        process.send_signal(number)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()

    (run,) = instance.get_runs()
    assert run.status == (DagsterRunStatus.CANCELED if asked_for else DagsterRunStatus.FAILURE)
    wait_for(lambda: not any(psutil.pid_exists(child) for child in children))
    assert "was_asked_to_stop" in os.listdir(files)
    assert "comes_after" not in os.listdir(files)
    events = [record.dagster_event for record in instance.all_logs(run.run_id) if record.dagster_event]
    ended = {event.step_key: event.event_type for event in events if event.is_step_failure or event.is_step_success}
    assert set(ended) == steps
    assert ended["looks_at_interruption"] == DagsterEventType.STEP_SUCCESS
    assert ended["hangs"] == ended["awaits"] == DagsterEventType.STEP_FAILURE
    interrupted = [event for event in events if was_interrupted(event)]
    assert {"hangs", "awaits"} <= {event.step_key for event in interrupted}
    assert not interrupted[0].is_step_failure  # the executor says first that it stops


def test_a_run_that_only_waits_is_interrupted(files: Path, instance: DagsterInstance) -> None:
    process = start("waits_for_retry", files, instance)
    try:
        wait_for(lambda: "fails_once" in os.listdir(files))
        (run,) = instance.get_runs()
        wait_for(lambda: any(
            record.dagster_event and record.dagster_event.is_step_up_for_retry
            for record in instance.all_logs(run.run_id)
        ))  # fmt: skip
        instance.report_run_canceling(run)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
    (run,) = instance.get_runs()
    assert run.status == DagsterRunStatus.CANCELED


def test_a_closed_run_leaves_its_steps_behind(instance: DagsterInstance) -> None:
    go_on, started = threading.Event(), threading.Event()

    def waits(context: dg.OpExecutionContext) -> None:
        started.set()
        assert go_on.wait(PATIENCE)
        context.log.info("too late")

    job = job_of(op("waits", waits))
    run = instance.create_run_for_job(job)
    events = execute_run_iterator(InMemoryJob(job), run, instance)
    while next(events).event_type != DagsterEventType.STEP_START:
        pass
    assert started.wait(PATIENCE)
    (thread,) = [one for one in threading.enumerate() if one.name == "step waits"]
    events.close()  # type: ignore[attr-defined]
    before = len(instance.all_logs(run.run_id))
    go_on.set()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert len(instance.all_logs(run.run_id)) == before


# --- Dagster's insides, and processes -------------------------------------------------------------------------------


def private_names() -> list[tuple[str, str]]:
    tree = ast.parse(Path(_dagster_private.__file__).read_text(encoding="utf-8"))
    return [
        (node.module, name.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and "._" in node.module
        for name in node.names
    ]


@pytest.mark.parametrize("module", PRELOADED)
def test_what_is_preloaded_is_there(module: str) -> None:
    try:
        import_module(module)
    except ImportError:
        pytest.fail(
            f"Dagster {dagster_version} has no {module}: adapt PRELOADED in definitions/executors/multiprocess.py"
        )


@pytest.mark.parametrize(("module", "name"), private_names())
def test_dagster_still_has_what_the_executors_stand_on(module: str, name: str) -> None:
    try:
        found = hasattr(import_module(module), name)
    except ImportError:
        found = False
    assert found, (
        f"Dagster {dagster_version} has no {module}.{name}; the executors were tried with Dagster "
        f"{', '.join(executor.TRIED_WITH)}: adapt definitions/executors/_dagster_private.py"
    )


def test_without_them_steps_run_in_process() -> None:
    code = """
import logging, dagster as dg, dagster._core.execution.plan.active as active
del active.ActiveExecution
logging.basicConfig()
from orchestrator_dagster.definitions.instance.event_log import event_log_open
from orchestrator_dagster.definitions.executors.executor import default_executor, threads_executor
assert default_executor() is dg.in_process_executor
try:
    threads_executor.executor_creation_fn(None)
except dg.DagsterInvariantViolationError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for text in (done.stdout, done.stderr):
        assert f"tried with Dagster {', '.join(executor.TRIED_WITH)}" in text
        assert "ActiveExecution" in text
    assert "executor: in_process" in done.stdout


def test_threads_are_the_default() -> None:
    assert default_executor() is threads_executor
    assert threads_executor.name == "threads"


def test_steps_are_forked_from_a_process_that_has_everything_loaded(files: Path, instance: DagsterInstance) -> None:
    process = start("forked", files, instance)
    try:
        assert process.wait(150) == 0
    finally:
        process.kill()
    (run,) = instance.get_runs()
    assert run.status == DagsterRunStatus.SUCCESS
    warnings = [record.user_message for record in instance.all_logs(run.run_id) if record.level == logging.WARNING]
    assert len(warnings) == 1
    (named,) = [line for line in warnings[0].splitlines() if line.startswith("  - ")]
    assert "no_such_module_x: ModuleNotFoundError" in named
