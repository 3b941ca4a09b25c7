"""What Dagster's ops can do works on threads: fan-out, retries, pools, resources, hooks, async ops."""

# No `from __future__ import annotations` here: Dagster looks at the types of ops themselves.

import asyncio
import contextvars
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterEventType, DagsterInstance, DagsterRunStatus
from executing import PATIENCE, AtOnce, job_of, op, run_job

import orchestrator_dagster as orc
from orchestrator_dagster.definitions.executors._dagster_private import InstanceConcurrencyContext, PromptClaims
from orchestrator_dagster.definitions.executors.executor import threads_executor
from orchestrator_dagster.definitions.location.factory import definitions_of
from orchestrator_dagster.definitions.pipelines.jobs import job_name


@pytest.mark.slow
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
