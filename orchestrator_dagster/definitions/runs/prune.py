"""Removes what runs left behind and nobody will ask for again: outcomes of steps, answers of models, old pipelines.

Outcomes and answers of a run serve its retries and its re-executions. A run, its re-executions and their re-executions
are one family here: nothing of a family is removed while one of them is in progress or has ended too lately. Products,
records of runs (the assets ``[<id>, run]``), logs and Dagster's own tables are left alone.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from dagster import DagsterInstance

from orchestrator_dagster.definitions.pipelines.jobs import FINGERPRINT_TAG
from orchestrator_dagster.definitions.pipelines.launched import PIPELINE_TAG
from orchestrator_dagster.definitions.steps.step_context import QUESTIONS, SPENT
from orchestrator_dagster.files.stored_files import files_below, is_temporary, modified, open_folder, shown
from orchestrator_dagster.models.call_store import ALWAYS, RUN
from orchestrator_dagster.project.kept_pipelines import FOLDER as PIPELINES
from orchestrator_dagster.project.kept_pipelines import kept_list

if TYPE_CHECKING:
    from upath import UPath

    AnyPath = Union[Path, UPath]

#: Dagster's run ids; a folder of that name in the storage folder is a run's, also of one that has been deleted.
_RUN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_LOGS = "compute_logs"


@dataclass
class Removed:
    """Files of one kind that were removed, or would be: how many, of how many runs, how many bytes."""

    files: int = 0
    runs: int = 0
    bytes: int = 0


@dataclass
class Pruned:
    """What pruning came to.

    ``in_progress`` families of runs were left alone; ``problems`` has a line for each file that could not be removed.
    """

    calls: Removed = field(default_factory=Removed)
    outcomes: Removed = field(default_factory=Removed)
    pipelines: Removed = field(default_factory=Removed)
    questions: Removed = field(default_factory=Removed)
    in_progress: int = 0
    problems: list[str] = field(default_factory=list)


def prune(
    instance: DagsterInstance,
    seconds: float,
    *,
    call_store: str | None = None,
    outcomes: str | None = None,
    dry_run: bool = False,
) -> Pruned:
    """Remove the stored calls, outcomes, questions to people and kept pipelines that are older than so many seconds.

    What belongs to a run is as old as the end of the run's family. Answers that count in every run, and what runs left
    that the instance does not know (any more), are as old as their files.

    Args:
        instance: Where the runs are recorded.
        seconds: How old is too old.
        call_store: The ``call_store`` of the resource ``models``, where it has one.
        outcomes: The ``base_path`` of the IO manager of outcomes, where it has one.
        dry_run: Remove nothing, only say what would be.

    Raises:
        StorageError: A URL cannot be opened.
    """
    storage = instance.storage_directory()
    calls = open_folder(call_store or Path(storage) / "calls")
    runs = open_folder(outcomes or storage)
    pruning = _Pruning(_Families(instance), time.time() - seconds, dry_run)
    pruning.in_runs(_folders(calls / RUN), files_below, pruning.done.calls)
    pruning.in_runs(_folders(Path(storage) / QUESTIONS), files_below, pruning.done.questions)
    pruning.by_age(files_below(calls / ALWAYS), pruning.done.calls)
    pruning.in_runs((one for one in _folders(runs) if _RUN_ID.match(one.name)), _outcomes_of, pruning.done.outcomes)
    pruning.by_age(_pipelines_unused(Path(storage), pruning.families.pipelines(pruning.limit)), pruning.done.pipelines)
    pruning.done.in_progress = len(pruning.busy)
    return pruning.done


class _Families:
    """When the families of runs ended: a run, and everything that was re-executed from it."""

    def __init__(self, instance: DagsterInstance) -> None:
        self._instance = instance
        self._roots: dict[str, str] = {}
        self._ends: dict[str, float | None] = {}
        self._pipelines: dict[str, set[str]] = {}
        for record in instance.get_run_records():
            run = record.dagster_run
            root = run.root_run_id or run.run_id
            end = (record.end_time or record.update_timestamp.timestamp()) if run.is_finished else None
            self._roots[run.run_id] = root
            self._pipelines.setdefault(root, set()).update(
                run.tags[tag] for tag in (PIPELINE_TAG, FINGERPRINT_TAG) if tag in run.tags
            )
            before = self._ends.get(root, 0.0)
            self._ends[root] = None if end is None or before is None else max(end, before)

    def knows(self, run: str) -> bool:
        """Whether the instance has the run, or one that was re-executed from it."""
        return run in self._roots or run in self._ends

    def pipelines(self, limit: float) -> set[str]:
        """Keys and fingerprints of the pipelines of families that are in progress, or have ended since ``limit``."""
        ends = self._ends.items()
        return {key for root, end in ends if end is None or end >= limit for key in self._pipelines.get(root, ())}

    def root(self, run: str) -> str:
        """The first run of the family."""
        return self._roots.get(run, run)

    def end(self, run: str) -> float | None:
        """When the last one of the run's family ended, in seconds since the epoch; None while one is in progress."""
        return self._ends[self.root(run)]


class _Pruning:
    """One go through the folders."""

    def __init__(self, families: _Families, limit: float, dry_run: bool) -> None:
        self.families, self.limit, self.dry_run = families, limit, dry_run
        self.done = Pruned()
        self.busy: set[str] = set()

    def in_runs(self, folders: Iterable[AnyPath], files: Callable[[AnyPath], Iterable[Any]], removed: Removed) -> None:
        """Remove the files of the runs whose folders these are."""
        for folder in folders:
            found = list(files(folder))
            if self.families.knows(folder.name):
                end = self.families.end(folder.name)
                if end is None:
                    self.busy.add(self.families.root(folder.name))
                old = end is not None and end < self.limit
            else:
                old = bool(found) and all(self._is_old(path) for path in found)
            if old and found:
                before = removed.files
                for path in found:
                    self._remove(path, removed)
                removed.runs += removed.files > before
            if old and not self.dry_run:
                _remove_empty(folder)

    def by_age(self, files: Iterable[Any], removed: Removed) -> None:
        """Remove those of the files that are old."""
        for path in list(files):
            if self._is_old(path):
                self._remove(path, removed)

    def _is_old(self, path: AnyPath) -> bool:
        try:
            at = modified(path)
        except FileNotFoundError:  # somebody else removes too
            return False
        return at is not None and at < self.limit

    def _remove(self, path: AnyPath, removed: Removed) -> None:
        try:
            size = path.stat().st_size
            if not self.dry_run:
                path.unlink()
        except FileNotFoundError:
            return
        except OSError as error:
            self.done.problems.append(f'"{shown(path)}" cannot be removed: {error.strerror or type(error).__name__}')
            return
        removed.bytes += size
        removed.files += not is_temporary(path.name)


def _folders(folder: AnyPath) -> Iterator[Any]:
    if folder.exists():
        yield from (one for one in folder.iterdir() if one.is_dir())


def _outcomes_of(folder: AnyPath) -> Iterator[Any]:
    """The outcomes in a run's folder, where Dagster and others have files too: JSON, one folder deep or more.

    What the run has spent goes with them, the record of its calls stays.
    """
    for path in files_below(folder):
        parts = path.relative_to(folder).parts
        ours = path.name.endswith(".json") or is_temporary(path.name) or parts[0] == SPENT
        if ours and len(parts) > 1 and parts[0] != _LOGS:
            yield path


def _pipelines_unused(storage: Path, of_runs: set[str]) -> Iterator[Path]:
    """Kept pipelines that no run of ``of_runs`` and no code location needs, and the lists of what was served then."""
    folder = storage / PIPELINES
    needed = set(of_runs)
    for index in folder.glob("index-*.json"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):  # of another version
            kept = json.loads(index.read_text(encoding="utf-8"))
            needed |= {entry["key"] for entry in kept["files"].values()} | set(kept.get("good", {}).values())
    for path in folder.glob("*.json"):
        if path.name.startswith("served-"):
            served = kept_list(storage, path.stem.removeprefix("served-")) or []
            if not {str(one.get("key")) for one in served} <= needed:
                yield path
        elif not path.name.startswith("index-") and needed.isdisjoint({path.stem, path.stem.partition("-")[0]}):
            yield path


def _remove_empty(folder: AnyPath) -> None:
    """Remove the folder and those below it that have nothing in them. Buckets have no folders to remove."""
    if isinstance(folder, Path):
        below = [path for path in folder.rglob("*") if path.is_dir() and not path.is_symlink()]
        for path in [*sorted(below, key=lambda path: len(path.parts), reverse=True), folder]:
            with contextlib.suppress(OSError):  # it is not empty
                path.rmdir()
