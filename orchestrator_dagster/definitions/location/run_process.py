"""What the process of a run is for, so that it builds the pipelines that its run needs and not the whole location.

Dagster loads the whole location in the process of every run, and in that of every step with the multiprocess executor,
and does not tell the location why. What it was started with does: the arguments of the process. They are no part of
Dagster's public interface; whatever is not understood here means that everything is built.
"""

from __future__ import annotations

import base64
import logging
import multiprocessing
import os
import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Purpose:
    """The job that a process executes; for Dagster's own job of all assets, the keys of those that it makes."""

    job: str
    assets: frozenset[tuple[str, ...]] | None = None


def purpose_of_process() -> Purpose | None:
    """What this process was started for; None when that is unknown, or not one run."""
    try:
        found = _of_child(getattr(multiprocessing.current_process(), "_args", ()))
        return found or _of_command(sys.argv)
    except Exception as error:  # other releases of Dagster start their processes otherwise
        _log.debug("what this process is for cannot be told: %s: %s", type(error).__name__, error)
        return None


def _of_child(arguments: Sequence[Any]) -> Purpose | None:
    """A process that Dagster started with multiprocessing: that of a run, or of a step."""
    from dagster._core.definitions.reconstruct import ReconstructableJob
    from dagster._core.executor.multiprocess import MultiprocessExecutorChildProcessCommand

    for one in arguments:
        if isinstance(one, MultiprocessExecutorChildProcessCommand):
            return _of_run(one.dagster_run)
    if any(isinstance(one, ReconstructableJob) for one in arguments):
        texts = [one for one in arguments if isinstance(one, str)]
        return _of_arguments(texts[0]) if len(texts) == 1 else None
    return None


def _of_command(arguments: Sequence[str]) -> Purpose | None:
    """A process of ``dagster api execute_run`` or ``execute_step``, as launchers in containers start it."""
    command = [one for one in arguments[1:] if not one.startswith("-")]
    if command[:1] != ["api"] or command[1:2] not in (["execute_run"], ["execute_step"]):
        return None
    kind = command[1].upper()
    if "--compressed-input-json" in arguments:
        return _of_arguments(_unpacked(arguments[arguments.index("--compressed-input-json") + 1]))
    if len(command) > 2:
        return _of_arguments(command[2])
    packed, plain = os.environ.get(f"DAGSTER_COMPRESSED_{kind}_ARGS"), os.environ.get(f"DAGSTER_{kind}_ARGS")
    text = _unpacked(packed) if packed else plain
    return _of_arguments(text) if text else None


def _unpacked(text: str) -> str:
    return zlib.decompress(base64.b64decode(text.encode())).decode()


def _of_arguments(text: str) -> Purpose | None:
    """The run that the arguments of a process name."""
    from dagster import DagsterInstance
    from dagster._serdes import deserialize_value

    arguments: Any = deserialize_value(text)
    with DagsterInstance.from_ref(arguments.instance_ref) as instance:
        run = instance.get_run_by_id(arguments.run_id)
    return _of_run(run) if run is not None else None


def _of_run(run: Any) -> Purpose:
    assets = run.asset_selection
    return Purpose(run.job_name, frozenset(tuple(key.path) for key in assets) if assets else None)
