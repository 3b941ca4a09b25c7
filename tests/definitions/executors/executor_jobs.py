"""Jobs and a small command that the tests of the executors run in processes of their own.

``python executor_jobs.py JOB FOLDER`` runs a job with the instance of DAGSTER_HOME. Files in FOLDER tell how far it is.
"""

# No `from __future__ import annotations` here: Dagster looks at the types of ops themselves.

import os
import subprocess
import sys
import threading
from pathlib import Path

import dagster as dg
from dagster import DagsterInstance
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run_iterator

from orchestrator_dagster.definitions.executors.executor import threads_executor, tuned_multiprocess_executor
from orchestrator_dagster.definitions.steps.interruption import interruption

FOLDER = {"folder": str}


def tell(context: dg.OpExecutionContext, name: str, text: str = "") -> None:
    """Write a file that the test waits for, whole at once."""
    folder = Path(context.op_config["folder"])
    (folder / f".{name}").write_text(text)
    (folder / f".{name}").rename(folder / name)


@dg.op(config_schema=FOLDER)
def hangs(context: dg.OpExecutionContext) -> None:
    tell(context, "hangs")
    threading.Event().wait()


@dg.op(config_schema=FOLDER)
def has_a_child(context: dg.OpExecutionContext) -> None:
    child = subprocess.Popen(["sleep", "600"])
    tell(context, "has_a_child", str(child.pid))
    child.wait()


@dg.op(config_schema=FOLDER)
def has_a_stubborn_group(context: dg.OpExecutionContext) -> None:
    script = "trap '' TERM; sleep 600 & echo $!; while true; do wait; done"
    with subprocess.Popen(["sh", "-c", script], start_new_session=True, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        tell(context, "has_a_stubborn_group", f"{child.pid} {child.stdout.readline()}")
        child.wait()


@dg.op(config_schema=FOLDER)
def looks_at_interruption(context: dg.OpExecutionContext) -> None:
    tell(context, "looks_at_interruption")
    assert interruption().wait(120)
    tell(context, "was_asked_to_stop")


@dg.op(config_schema=FOLDER)
async def awaits(context: dg.OpExecutionContext) -> None:
    import asyncio

    tell(context, "awaits")
    await asyncio.sleep(600)


@dg.op(ins={"before": dg.In(dg.Nothing)}, config_schema=FOLDER)
def comes_after(context: dg.OpExecutionContext) -> None:
    tell(context, "comes_after")


@dg.job(executor_def=threads_executor)
def interrupted() -> None:
    comes_after([hangs(), has_a_child(), has_a_stubborn_group(), looks_at_interruption(), awaits()])


@dg.op(config_schema=FOLDER, retry_policy=dg.RetryPolicy(max_retries=1, delay=600))
def fails_once(context: dg.OpExecutionContext) -> None:
    tell(context, "fails_once")
    raise ValueError("not yet")


@dg.job(executor_def=threads_executor)
def waits_for_retry() -> None:
    fails_once()


@dg.op
def one() -> int:
    return 1


@dg.op
def loaded_before(before: int) -> int:
    """The process that loaded this package's definitions: not this one, when it was forked from a server."""
    from orchestrator_dagster.definitions.executors import preloaded

    return before if os.getpid() == preloaded.PROCESS else -before


@dg.op
def check(value: int) -> None:
    assert value == -1


@dg.job(
    executor_def=tuned_multiprocess_executor.configured({"max_concurrent": 2, "preload_modules": ["no_such_module_x"]})
)
def forked() -> None:
    check(loaded_before(one()))


@dg.op
def works_once(context: dg.OpExecutionContext) -> str:
    assert context.run.parent_run_id is None, "it worked already"
    return "kept"


@dg.op
def fails_at_first(context: dg.OpExecutionContext, given: str) -> str:
    if context.run.parent_run_id is None:
        raise ValueError("not in the first run")
    return given


@dg.op
def takes_both(context: dg.OpExecutionContext, given: str, kept: str) -> None:
    context.log.info(f"took {given} and {kept}")


@dg.job(executor_def=threads_executor)
def fails_in_the_middle() -> None:
    kept = works_once()
    takes_both(fails_at_first(kept), kept)


@dg.op
def prints_its_name(context: dg.OpExecutionContext) -> None:
    print("from", context.op_handle.name)


@dg.job(executor_def=threads_executor)
def prints() -> None:
    prints_its_name.alias("first")()
    prints_its_name.alias("second")()


def main(name: str, folder: str) -> None:
    """Run a job to its end in this process."""
    job: dg.JobDefinition = globals()[name]
    with DagsterInstance.get() as instance:
        if name == "forked":
            result = dg.execute_job(dg.reconstructable(forked), instance)
            assert result.success
            return
        takes = [node.name for node in job.graph.nodes if node.definition.has_config_field]
        config = {"ops": {node: {"config": {"folder": folder}} for node in takes}}
        run = instance.create_run_for_job(job, run_config=config)
        for _ in execute_run_iterator(InMemoryJob(job), run, instance):
            pass


if __name__ == "__main__":
    main(*sys.argv[1:])
