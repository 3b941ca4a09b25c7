"""Which process leads a run: written in its tags, so that a resume can tell whether that process is gone."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from dagster import DagsterRun
from dagster._core.storage.tags import HIDDEN_TAG_PREFIX

#: Tags of a run that its pages do not show: the process that leads it, when that process began, and its machine.
PROCESS_TAG = f"{HIDDEN_TAG_PREFIX}orchestrator/process"
BEGAN_TAG = f"{HIDDEN_TAG_PREFIX}orchestrator/process_began"
HOST_TAG = f"{HIDDEN_TAG_PREFIX}orchestrator/host"

_led: set[str] = set()


def lead(run_id: str) -> None:
    """Note that this process leads a run from now on."""
    _led.add(run_id)


def give_up(run_id: str) -> None:
    """Note that this process leads a run no more: it has ended, or could not be recorded."""
    _led.discard(run_id)


def process_tags() -> dict[str, str]:
    """The tags of a run that this process leads."""
    began = _began(os.getpid())
    return {
        PROCESS_TAG: str(os.getpid()),
        HOST_TAG: socket.gethostname(),
        **({BEGAN_TAG: began} if began is not None else {}),
    }


def is_alive(run: DagsterRun) -> bool | None:
    """Whether the process that leads a run lives; None when it is not known, or is one of another machine.

    Runs that Dagster launches are not led by the process of their tags, which they may have from the run before.

    Numbers of processes are used again, in a container at every start. So the time when the process began counts as
    well, where the system tells it (Linux).
    """
    tags, process = run.tags, run.tags.get(PROCESS_TAG, "")
    if run.remote_job_origin is not None or not process.isdigit() or tags.get(HOST_TAG) != socket.gethostname():
        return None
    if int(process) == os.getpid():
        return run.run_id in _led
    began = _began(int(process))
    if began is not None and BEGAN_TAG in tags:
        return began == tags[BEGAN_TAG]
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return began != ""


def _began(process: int) -> str | None:
    """When a process began, in ticks since the machine did; empty for one that has ended and is not waited for.

    None where the system does not tell, or there is no such process. (proc(5): fields 3 and 22 of `stat`.)
    """
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return "" if fields[0] in ("Z", "X") else fields[19]
