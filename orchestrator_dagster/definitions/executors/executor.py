"""How the steps of a run are executed: in threads of the run's process, or each in a process of its own."""

from __future__ import annotations

import logging
from importlib import import_module
from types import ModuleType
from typing import Any

import dagster as dg
from dagster import DagsterEvent, DagsterEventType
from dagster import __version__ as dagster_version

_log = logging.getLogger(__name__)
_untyped: Any = dg  # constructors of config types that have no annotations

#: Releases of Dagster that :mod:`orchestrator_dagster.definitions.executors._dagster_private` was tried with.
TRIED_WITH = ("1.13.27",)

_RETRIES = dg.Field(
    _untyped.Selector({"enabled": {}, "disabled": {}}),
    default_value={"enabled": {}},
    description="Whether steps are tried again when they ask for it. By default they are.",
)
_TAG_LIMITS = dg.Field(
    dg.Array(
        _untyped.Shape(
            {
                "key": str,
                "value": dg.Field(
                    dg.ScalarUnion(
                        scalar_type=str, non_scalar_schema=_untyped.Shape({"applyLimitPerUniqueValue": bool})
                    ),
                    is_required=False,
                ),
                "limit": int,
            }
        )
    ),
    is_required=False,
    description="How many steps with a tag, or with one value of it, run at once in this run.",
)
_DEPENDENCIES = dg.Field(
    _untyped.Shape({"require_upstream_step_success": dg.Field(bool, default_value=True)}),
    is_required=False,
    description="Whether a step waits until the steps before it have ended, or only for the outputs it takes.",
)


@dg.executor(
    name="threads",
    config_schema=dg.Field(
        {
            "max_concurrent": dg.Field(int, default_value=64, description="Steps that run at once, at most."),
            "retries": _RETRIES,
            "tag_concurrency_limits": _TAG_LIMITS,
            "step_dependency_config": _DEPENDENCIES,
            "interrupt_grace": dg.Field(
                float,
                default_value=2.0,
                description="Seconds that running steps are given to end when the run is interrupted.",
            ),
        },
        description="Execute each step in a thread of the run's process, as soon as its inputs are there.",
    ),
)
def threads_executor(init_context: dg.InitExecutorContext) -> dg.Executor:
    """Runs each step in a thread of the run's process, as soon as its inputs are there.

    Right for steps that wait: for models, for HTTP, for other processes. Steps share the resources and the memory of
    the process. A run that is interrupted gives its steps ``interrupt_grace`` seconds, then it ends without them.

    Raises:
        dagster.DagsterInvariantViolationError: A setting is out of range, or this Dagster cannot be used.
    """
    threads = _load("threads")
    made: dg.Executor = threads.ThreadsExecutor.from_config(init_context.executor_config)
    return made


def _cross_process(_: Any) -> list[Any]:
    return list(dg.multiprocess_executor.get_requirements({"max_concurrent": None}))


tuned_multiprocess_executor = dg.ExecutorDefinition(
    name="multiprocess",
    config_schema=dg.Field(
        {
            "max_concurrent": dg.Field(
                dg.Noneable(int), default_value=None, description="Steps that run at once, by default one a processor."
            ),
            "retries": _RETRIES,
            "tag_concurrency_limits": _TAG_LIMITS,
            "step_dependency_config": _DEPENDENCIES,
            "preload_modules": dg.Field(
                [str], is_required=False, description="Further modules that are loaded once for all steps."
            ),
        },
        description="Execute each step in a process of its own, forked from one that has everything loaded.",
    ),
    requirements=_cross_process,
    executor_creation_fn=lambda context: _multiprocess(context),
    description="Each step in a process of its own, forked from one that has everything loaded.",
)
"""Runs each step in a process of its own, forked from one that has Dagster, the storages, this package and the code
location loaded. Right for steps that compute. Modules that could not be loaded there are named in the run's log."""


def _multiprocess(context: dg.InitExecutorContext) -> dg.Executor:
    multiprocess = _load("multiprocess")
    made: dg.Executor = multiprocess.PreloadedMultiprocessExecutor.from_config(context.executor_config, context.job)
    return made


def _load(module: str) -> ModuleType:
    """A module of ours that stands on Dagster's insides."""
    try:
        return import_module(f"orchestrator_dagster.definitions.executors.{module}")
    except ImportError as error:
        raise dg.DagsterInvariantViolationError(f"{_unusable(error)}\n  next: use `executor: in_process`") from error


def default_executor() -> dg.ExecutorDefinition:
    """The executor of jobs that name none: threads; with a Dagster whose insides have changed, in process."""
    try:
        import_module("orchestrator_dagster.definitions.executors._dagster_private")
    except ImportError as error:
        _log.warning("%s\n  steps run one after the other instead, in process", _unusable(error))
        return dg.in_process_executor
    return threads_executor


def was_interrupted(event: DagsterEvent) -> bool:
    """Whether an event says that its run was interrupted: that of the executor, or that of a step it stopped."""
    if event.is_step_failure:
        error = event.step_failure_data.error
        return error is not None and error.cls_name in ("DagsterExecutionInterruptedError", "KeyboardInterrupt")
    return event.event_type == DagsterEventType.ENGINE_EVENT and "steps_interrupted" in event.engine_event_data.metadata


def _unusable(error: ImportError) -> str:
    return (
        f"the executors of orchestrator_dagster were tried with Dagster {', '.join(TRIED_WITH)}; "
        f"Dagster {dagster_version} has no longer what it stands on: {error}"
    )
