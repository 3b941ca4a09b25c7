"""Steps on threads: at once, in order, within limits, in a real job with a real instance on disk."""

# No `from __future__ import annotations` here: Dagster looks at the types of ops themselves.

import threading
from collections import defaultdict
from typing import Any

import dagster as dg
from dagster import DagsterEventType, DagsterInstance
from executing import PATIENCE, AtOnce, dag_job, job_of, op, run_job
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator_dagster.definitions.executors.executor import threads_executor


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
