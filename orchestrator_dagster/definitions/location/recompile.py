"""The sensor that notices changed pipeline files: it compiles them, has the location loaded anew, and says what it did.

What is served was loaded from files whose state is noted when the location loads. A tick compares the files with that
note; a process that serves what the files say has nothing to do. So nothing is missed when the daemon, the code server
or the machine restarts, and two hundred changed files are one reload. The cursor has the fingerprints of what was
served at the last tick: what is new by them starts its runs (``on_change: run``), in the new process.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import RunRequest, SensorEvaluationContext, SensorResult

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.definitions.location.describing import Describing
from orchestrator_dagster.definitions.location.reloading import reload_through_proxy, reload_through_webserver
from orchestrator_dagster.definitions.location.served import Served, compile_again
from orchestrator_dagster.definitions.pipelines.jobs import job_name, launch_config
from orchestrator_dagster.definitions.pipelines.partitions import partitions_at
from orchestrator_dagster.project.loading import LoadedFile, shown
from orchestrator_dagster.project.sources import Sources
from orchestrator_dagster.runtime.launches import launch_inputs

#: Seconds between two ticks. A tick looks at the time of change of every file, some 10 µs each.
INTERVAL = 5
#: Seconds that a file must have been left alone, so that half a checkout or half a file is not compiled.
SETTLED = 1.0
#: Ticks that wait for files to be left alone, at most.
PATIENCE = 6
#: Seconds after which a reload that was asked for, and has not come, is asked for again and otherwise.
RELOAD_SECONDS = 60.0
_SHOWN = 10
#: Between two sentences of a tick: the UI shows an end of line as a blank.
_NEXT = ";\n"
#: What is a matter of two files: one of them has to change.
_OF_SEVERAL_FILES = ("duplicate-id", "product-collision", "asset-cycle")

MoreRuns = Callable[[Sequence[CompiledPipeline]], Iterable[RunRequest]]


@dataclass
class _Watch:
    """What one location serves, and what was done about its files since."""

    folder: Path
    root: Path
    served: Served
    sources: Sources
    waited: int = 0
    asked: float | None = None
    asked_for: Sequence[object] = ()

    def waits(self, what: Sequence[object]) -> bool:
        """Whether the location was asked for because of this, and may still come."""
        waiting = self.asked is not None and time.monotonic() - self.asked < RELOAD_SECONDS
        return waiting and what == self.asked_for


def recompile_sensor(
    folder: Path,
    root: Path,
    served: Served,
    sources: Sources,
    jobs: Sequence[Any],
    describing: Describing | None = None,
) -> dg.SensorDefinition:
    """The sensor of one folder.

    Args:
        folder: The folder of pipeline files.
        root: The workspace root.
        served: What the location serves of it.
        sources: Its files as they were before they were loaded.
        jobs: The jobs that it may start.
        describing: What the location shows of its pipelines' descriptions, and the job that makes them.
    """
    sources.add(served.pipelines)
    watch = _Watch(folder, root, served, sources)
    describing = describing or Describing()
    more_runs = describing.runs
    jobs = [*jobs, *([describing.job] if describing.job is not None else ())]

    def evaluate(context: SensorEvaluationContext) -> SensorResult:
        changed = watch.sources.changed() or _mended(watch)
        if changed:
            return SensorResult(skip_reason=_reload(watch, changed, context), cursor=context.cursor)
        watch.waited = 0
        described = describing.come()
        if described and not watch.waits(described):
            said = f"described anew: {', '.join(described[:_SHOWN])}"
            return SensorResult(skip_reason=_load_anew(watch, described, said, context), cursor=context.cursor)
        return _serving(watch, context, more_runs)

    return dg.SensorDefinition(
        name=f"recompile_{re.sub(r'[^A-Za-z0-9_]+', '_', shown(folder, root)).strip('_') or 'pipelines'}",
        evaluation_fn=evaluate,
        jobs=list(jobs) or None,
        minimum_interval_seconds=INTERVAL,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Serves the pipeline files of {shown(folder, root)}/ as they are: it compiles what has changed"
        " and loads this location anew. A file with errors leaves its last good version in place.",
    )


def _mended(watch: _Watch) -> list[Path]:
    """The broken files that compile by now, though they did not change: what they include has come."""
    every = (*watch.served.broken, *watch.served.stale)
    broken = [one for one in every if all(error.code not in _OF_SEVERAL_FILES for error in one.errors)]
    if not broken:
        return []
    found = {one.path: one for one in compile_again(watch.folder, watch.root, [one.path for one in broken])}
    return [one.path for one in broken if _said(found.get(one.path)) != _said(one)]


def _said(file: LoadedFile | None) -> list[tuple[str, str]] | None:
    return None if file is None else [(one.code, one.message) for one in file.errors]


def _reload(watch: _Watch, changed: list[Path], context: SensorEvaluationContext) -> str:
    """Compile what changed and have the location loaded anew; gives what the tick says."""
    now = time.time()
    if 0 <= now - watch.sources.newest(changed) < SETTLED and watch.waited < PATIENCE:
        watch.waited += 1
        return f"{_listed(changed, watch.root)} changed just now: taken at the next tick"
    watch.waited = 0
    if watch.waits(changed):
        return f"{_listed(changed, watch.root)}: the location is being loaded anew"
    files = compile_again(watch.folder, watch.root)
    return _load_anew(watch, changed, _report(files, changed, watch.root), context)


def _load_anew(watch: _Watch, what: Sequence[object], report: str, context: SensorEvaluationContext) -> str:
    """Ask for the location to be loaded anew; gives the report with what becomes of that."""
    again = watch.asked is not None and time.monotonic() - watch.asked >= RELOAD_SECONDS
    watch.asked, watch.asked_for = time.monotonic(), what
    if not again and reload_through_proxy(context.code_location_origin, context.instance):
        return f"{report}{_NEXT}the location is loaded anew"
    origin = context.code_location_origin
    problem = reload_through_webserver(origin.location_name if origin else "")
    if problem is not None:
        context.log.warning(problem)
    return f"{report}{_NEXT}{problem or 'the location is loaded anew'}"


def _report(files: Sequence[LoadedFile], changed: Sequence[Path], root: Path) -> str:
    """What has changed, and what is wrong with it."""
    lines = [f"{_listed(changed, root)} changed"]
    for file in files:
        if file.errors and (file.path in changed or file.pipeline is None or file.stale):
            first = file.errors[0]
            more = f" (and {len(file.errors) - 1} more)" if len(file.errors) > 1 else ""
            what = "its last good version is served" if file.stale else "it is left out"
            lines.append(f"{first.location}: error[{first.code}] {first.message}{more}; {what}")
    return _NEXT.join(lines)


def _listed(paths: Sequence[Path], root: Path) -> str:
    some = ", ".join(shown(path, root) for path in paths[:_SHOWN])
    return some if len(paths) <= _SHOWN else f"{some} and {len(paths) - _SHOWN} more files"


def _serving(watch: _Watch, context: SensorEvaluationContext, more_runs: MoreRuns | None) -> SensorResult:
    """The runs of what has changed since the last tick, and what is served."""
    now = {pipeline.id: pipeline.fingerprint[:16] for pipeline in watch.served.pipelines}
    before = _cursor(context.cursor)
    stale = {file.pipeline.id for file in watch.served.stale if file.pipeline is not None}
    new = [
        pipeline
        for pipeline in watch.served.pipelines
        if before is not None and before.get(pipeline.id) != pipeline.fingerprint[:16] and pipeline.id not in stale
    ]
    requests = [request for pipeline in new if pipeline.on_change for request in _runs(pipeline)]
    started = [*requests, *(more_runs(new) if more_runs and new else ())]
    cursor = json.dumps(now)
    if started:
        names = ", ".join(pipeline.id for pipeline in new)
        context.log.info(f"changed: {names}; {len(started)} runs start")
        return SensorResult(run_requests=started, cursor=cursor)
    return SensorResult(skip_reason=_state(watch, new), cursor=cursor)


def _runs(pipeline: CompiledPipeline) -> list[RunRequest]:
    at = datetime.now(timezone.utc)
    return [
        RunRequest(
            run_key=f"on_change:{pipeline.id}:{pipeline.fingerprint[:16]}{f':{partition}' if partition else ''}",
            job_name=job_name(pipeline),
            run_config=launch_config(pipeline, launch_inputs(pipeline, {}, at, partition=partition)),
            partition_key=partition,
            tags={"orchestrator/on_change": "true"},
        )
        for partition in partitions_at(pipeline, at)
    ]


def _state(watch: _Watch, new: Sequence[CompiledPipeline]) -> str:
    stale = len(watch.served.stale)
    lines = [f"{len(watch.served.pipelines) - stale} pipelines are served as their files say"]
    if new:
        lines.append(f"new or changed: {', '.join(pipeline.id for pipeline in new)}")
    for word, files in (("stale, with errors", watch.served.stale), ("left out, with errors", watch.served.broken)):
        if files:
            lines.append(f"{word}: {_listed([file.path for file in files], watch.root)}")
            lines += [file.errors[0].render().splitlines()[0] for file in files[:_SHOWN] if file.errors]
    return _NEXT.join(lines)


def _cursor(text: str | None) -> Mapping[str, str] | None:
    try:
        found = json.loads(text) if text else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
