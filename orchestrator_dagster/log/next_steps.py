"""What to do after a run: mend the cause, go on with it, or look again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from orchestrator_dagster.log.document import WAITING, Log, LogNext
from orchestrator_dagster.log.failures import ROUTED

#: How many digits of a run's id stand for it in commands.
DIGITS = 8
_HINTS = 5


def next_steps(log: Log, *, opened: bool = True) -> tuple[LogNext, ...]:
    """What to do now, the first thing first; nothing after a run in which all went well.

    Args:
        log: The log; its own ``next`` does not matter.
        opened: Whether the inputs were accepted: else nothing has run, and there is nothing to go on with.
    """
    return tuple(_steps(log, opened))


def _steps(log: Log, opened: bool) -> Iterator[LogNext]:
    run = log.run_id[:DIGITS]
    if log.status == "running":
        yield LogNext(text="It goes on. Look again", command=f"orchestrator log {run}")
        return
    open_ = [one for one in log.failures if not one.handled]
    questions = [one for one in open_ if one.type == WAITING]
    if questions and log.resumed_by is None:
        for one in questions[:_HINTS]:
            yield LogNext(text="To answer it, and go on", command=one.hint)
        open_ = [one for one in open_ if one.type != WAITING]
        if not open_:
            return
    hints = list(dict.fromkeys(one.hint for one in open_ if one.hint and not _resumes(one.hint)))
    for hint in hints[:_HINTS]:
        yield LogNext(text=_sentence(hint))
    if log.resumed_by is not None:
        later = log.resumed_by[:DIGITS]
        yield LogNext(text="It was resumed or re-executed since: look at that run", command=f"orchestrator log {later}")
        return
    if log.status in ("failed", "canceled"):
        if not opened:
            yield LogNext(text="No step has run. Start it again with inputs that fit", command=_start(log))
            return
        done = sum(step.status == "completed" for step in log.steps)
        kept = f" ({done} of {len(log.steps)} steps are done and stay done)" if done else ""
        first = "Then go on" if hints else "Go on" if log.status == "canceled" else "Mend the cause, then go on"
        yield LogNext(text=f"{first} with the run{kept}", command=f"orchestrator resume {run}")
        if log.status == "failed":
            file = shlex.quote(log.pipeline.file)
            yield LogNext(
                text="Or, when you have changed the pipeline's file", command=f"orchestrator resume {run} --file {file}"
            )
    elif any(not one.effect.startswith(ROUTED) for one in log.failures):
        yield LogNext(text="To repeat what failed and was passed over", command=f"orchestrator resume {run}")


def _start(log: Log) -> str:
    return f"orchestrator run {shlex.quote(log.pipeline.file)} -i NAME=VALUE"


def _resumes(hint: str) -> bool:
    """Whether a hint is the one of the run's own end, which says what stands below anyway."""
    return "orchestrator resume" in hint


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
