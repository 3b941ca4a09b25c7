"""Places for calls of a provider that all runs of an instance share: slots of the Dagster pool ``provider:NAME``.

A pool has slots when somebody has set its size (``orchestrator limits set``, or Dagster's own page for pools). The slot
of a call is held in the name of its run, under a key that tells which process holds it. A process that was killed frees
nothing, and Dagster does so only after the run has ended and where its daemon is told to; so whoever waits for a slot
looks for holders that are gone, and frees theirs.
"""

from __future__ import annotations

import functools
import hashlib
import os
import socket
import threading
import time
import uuid
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dagster import DagsterInstance, RunsFilter
from dagster._core.storage.dagster_run import FINISHED_STATUSES

from orchestrator_dagster.errors import StepInterruptedError
from orchestrator_dagster.models.client import Watch
from orchestrator_dagster.models.traffic import out_of_turn
from orchestrator_dagster.processes import started

PREFIX = "provider:"
_HOLDER = "model-call"
_FRESH = 5.0  # seconds for which the sizes of the pools are taken as known
_FIRST_LOOK, _LAST_LOOK = 0.05, 1.0  # seconds between two tries for a slot
_SAID_AFTER = 10.0  # seconds of waiting after which the log says so
_sizes: weakref.WeakKeyDictionary[DagsterInstance, dict[str, tuple[float, int | None]]] = weakref.WeakKeyDictionary()
_sizes_lock = threading.Lock()


def pool_of(provider: str) -> str:
    """The pool that holds a provider's calls."""
    return f"{PREFIX}{provider}"


def pool_sizes(instance: DagsterInstance) -> dict[str, int]:
    """Calls at once by provider, of the pools that somebody has given a size; Dagster's default size is for steps."""
    storage = instance.event_log_storage
    if not storage.supports_global_concurrency_limits:
        return {}
    limits = [one for one in storage.get_pool_limits() if one.name.startswith(PREFIX) and not one.from_default]
    return {one.name.removeprefix(PREFIX): one.limit for one in limits}


def _size(instance: DagsterInstance, provider: str) -> int | None:
    """Calls at once of a provider, None for any number."""
    storage = instance.event_log_storage
    if not storage.supports_global_concurrency_limits:
        return None
    # Not from the list of all limits: Dagster fails to make it after the last one was taken away from under a call.
    info = storage.get_concurrency_info(pool_of(provider))
    return None if info.using_default_limit or info.slot_count == 0 else info.slot_count


class PoolSlots:
    """Slots for the calls of one run. Thread-safe.

    Args:
        instance: Where the pools are.
        run_id: The run that holds the slots.
    """

    def __init__(self, instance: DagsterInstance, run_id: str) -> None:
        self._instance, self._run_id = instance, run_id

    @contextmanager
    def hold(self, provider: str, watch: Watch) -> Iterator[None]:
        """Hold a slot of the provider's pool while a call goes on; nothing is held where the pool has no size.

        Raises:
            ModelTurnError: The deadline came before a slot was free.
            StepInterruptedError: The run wants its steps to stop.
        """
        if self._known(provider) is None:
            yield
            return
        key = f"{_HOLDER}/{_place()}/{os.getpid()}/{started(os.getpid())}/{uuid.uuid4().hex}"
        try:
            self._claim(provider, key, watch)
            yield
        finally:
            self._instance.event_log_storage.free_concurrency_slot_for_step(self._run_id, key)

    def _known(self, provider: str, *, fresh: bool = False) -> int | None:
        """The size of the provider's pool, asked for some seconds ago at most."""
        now = time.monotonic()
        with _sizes_lock:
            sizes = _sizes.setdefault(self._instance, {})
            found = sizes.get(provider)
            if fresh or found is None or now - found[0] > _FRESH:
                found = sizes[provider] = (now, _size(self._instance, provider))
            return found[1]

    def _claim(self, provider: str, key: str, watch: Watch) -> None:
        storage, pool = self._instance.event_log_storage, pool_of(provider)
        begun, look, said = time.monotonic(), _FIRST_LOOK, False
        while not storage.claim_concurrency_slot(pool, self._run_id, key).is_claimed:
            now = time.monotonic()
            if watch.interrupted is not None and watch.interrupted():
                raise StepInterruptedError(f"the run was stopped while a call waited for its turn at {provider}")
            if watch.deadline is not None and now >= watch.deadline:
                raise out_of_turn(provider, f"all {self._known(provider)} slots of its pool are taken")
            if look >= _LAST_LOOK:  # it takes long: is somebody gone who holds one?
                free_abandoned(self._instance, provider)
                if self._known(provider, fresh=True) is None:
                    return  # the limit was taken away
                self._queue_anew(pool, key)
            if not said and watch.progress is not None and now - begun >= _SAID_AFTER:
                said = True
                watch.progress(f'a call waits for a slot of the pool "{pool}"; other runs hold them all')
            time.sleep(look)
            look = min(look * 1.5, _LAST_LOOK)

    def _queue_anew(self, pool: str, key: str) -> None:
        """Give up the place in the queue where a slot is free and given to nobody.

        Dagster gives a slot that is freed to the first in the queue. A call that comes into it at that very moment is
        missed, and would wait until another slot is freed; one that comes now finds the slot.
        """
        info = self._instance.event_log_storage.get_concurrency_info(pool)
        if info.assigned_step_count < info.slot_count:
            self._instance.event_log_storage.free_concurrency_slot_for_step(self._run_id, key)


def free_abandoned(instance: DagsterInstance, provider: str) -> int:
    """Free the slots and the places in the queue of a provider's calls whose process, or run, is gone.

    Returns:
        How many calls were found that nobody makes any more.
    """
    storage = instance.event_log_storage
    info = storage.get_concurrency_info(pool_of(provider))
    holders = {(one.run_id, one.step_key) for one in info.claimed_slots}
    holders |= {(one.run_id, one.step_key) for one in info.pending_steps}
    ours = {one for one in holders if one[1].startswith(f"{_HOLDER}/")}
    runs = sorted({run for run, _ in ours})
    ended = set()
    if runs:
        found = instance.get_run_records(RunsFilter(run_ids=runs, statuses=FINISHED_STATUSES))
        ended = {one.dagster_run.run_id for one in found}
    gone = [(run, key) for run, key in ours if _is_gone(key, run in ended)]
    for run, key in gone:
        storage.free_concurrency_slot_for_step(run, key)
    return len(gone)


def _is_gone(key: str, run_ended: bool) -> bool:
    _, place, process, start, _ = key.split("/")
    if place != _place():  # another machine's processes cannot be seen from here
        return run_ended
    return started(int(process)) != start


@functools.cache
def _place() -> str:
    """A name for this machine, and within it for the name space of its process ids; new after each boot."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    with suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:12]
