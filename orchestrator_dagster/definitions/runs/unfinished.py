"""What is left to do of a run: which of Dagster's steps are not done, have failed, have changed, or come after such."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from dagster import DagsterEventType, DagsterInstance, DagsterRun

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledStep
from orchestrator_dagster.compiler.fingerprint import input_meaning
from orchestrator_dagster.compiler.routes import State
from orchestrator_dagster.definitions.runs.record import RunLog
from orchestrator_dagster.definitions.steps.step_ops import is_gated
from orchestrator_dagster.errors import ResumeError
from orchestrator_dagster.runtime.outcome import Outcome

_ENDS = {DagsterEventType.STEP_START, DagsterEventType.STEP_SUCCESS, DagsterEventType.STEP_OUTPUT}
_UNHANDLED = (State.FAILED_CONTINUED, State.FAILED_SKIPPING)


class Done:
    """Which of Dagster's steps are done, over a chain of runs, and the mapped ones that each decision asked for.

    Args:
        chain: The run and those that it resumed, the first one first.
        instance: Where they are recorded.
    """

    def __init__(self, chain: Iterable[DagsterRun], instance: DagsterInstance) -> None:
        self.keys: set[str] = set()
        self.mapped: dict[str, list[str]] = {}
        for run in chain:
            self._read(run, instance)

    def _read(self, run: DagsterRun, instance: DagsterInstance) -> None:
        if run.step_keys_to_execute is None:  # all of it ran anew
            self.keys, self.mapped = set(), {}
        for key in run.step_keys_to_execute or ():
            self._forget(key)
        for entry in instance.all_logs(run.run_id, of_type=_ENDS):
            event = entry.dagster_event
            if event is None or event.step_key is None:
                continue
            if event.event_type == DagsterEventType.STEP_START:
                self._forget(event.step_key)
                self.mapped.pop(event.step_key, None)
            elif event.event_type == DagsterEventType.STEP_SUCCESS:
                self.keys.add(event.step_key)
            elif event.step_output_data.mapping_key is not None:
                self.mapped.setdefault(event.step_key, []).append(event.step_output_data.mapping_key)

    def _forget(self, key: str) -> None:
        """Take a step as not done; `run[?]` stands for all of them."""
        if key.endswith("[?]"):
            self.keys -= {one for one in self.keys if one.startswith(key[:-2])}
        self.keys.discard(key)


def steps_to_run(
    pipeline: CompiledPipeline, before: CompiledPipeline, log: RunLog, done: Done, in_plan: Collection[str]
) -> list[str]:
    """Dagster's keys of the steps that a resumed run has to run; none when nothing is left to do.

    Args:
        pipeline: The pipeline that is to run.
        before: The pipeline of the run so far.
        log: What that run has left.
        done: Which of its steps are done.
        in_plan: Keys of the steps of the job: one that makes some products has not all of them.

    Raises:
        ResumeError: What was done is not there any more.
    """
    opening, closing = f"{pipeline.op}.inputs", f"{pipeline.op}.finish"
    steps = [step for one in pipeline.plan.steps if set(_all(pipeline, step := pipeline.by_id[one.id])) <= set(in_plan)]
    if opening not in done.keys:
        return [
            one
            for one in (opening, *(key for step in steps for key in _all(pipeline, step)), closing)
            if one in in_plan
        ]
    lost = [step.id for step in steps if step.id in log.lost] or (["inputs"] if log.opened is None else [])
    if lost:
        raise ResumeError(
            f"the run cannot be resumed: what it has left is gone ({', '.join(lost[:5])})",
            hint="`orchestrator prune` removes it when it is old; start a new run",
        )
    keys: list[str] = [opening] if other_inputs(pipeline, before) else []
    again: set[str] = set()
    for step in steps:
        outcome = log.outcomes.get(step.id)
        if (
            _changed(step.id, pipeline, before, outcome)
            or again.intersection(pipeline.plan.by_id[step.id].reads)
            or (outcome is not None and failed_in(outcome))
        ):
            keys += _all(pipeline, step)
            again.add(step.id)
        elif missing := _missing(pipeline, step, done):
            keys += missing
            again.add(step.id)
    gone = before.by_id.keys() - pipeline.by_id.keys()
    if closing in in_plan and (keys or closing not in done.keys or gone or pipeline.outputs != before.outputs):
        keys.append(closing)
    return keys


def other_inputs(pipeline: CompiledPipeline, before: CompiledPipeline) -> bool:
    """Whether the inputs are declared otherwise than they were, so that their values have to be made anew."""
    return _declared(pipeline) != _declared(before)


def same_input(name: str, pipeline: CompiledPipeline, before: CompiledPipeline) -> bool:
    """Whether an input is declared as it was."""
    return name in before.inputs and _declared(pipeline).get(name) == _declared(before)[name]


def failed_in(outcome: Outcome) -> bool:
    """Whether a failure was kept as a value, of a step or of something inside it, and nothing has taken care of it.

    A step whose op has failed is not done: its items that are stay done.
    """
    if outcome.state in _UNHANDLED or outcome.carried:
        return True
    return any(
        one.status == "failed" or any(failed_in(inner) for inner in one.steps.values())
        for one in outcome.iterations or ()
    )


def _declared(pipeline: CompiledPipeline) -> dict[str, Any]:
    return {name: input_meaning(spec) for name, spec in pipeline.inputs.items()}


def _changed(step: str, pipeline: CompiledPipeline, before: CompiledPipeline, outcome: Outcome | None) -> bool:
    """Whether a step does something else than it did, comes about in another way, or its failure goes another way."""
    if step not in before.by_id or before.by_id[step].code_version != pipeline.by_id[step].code_version:
        return True
    if outcome is not None and outcome.error is not None and _after(step, pipeline) != _after(step, before):
        return True
    return bool(_ways(step, pipeline) != _ways(step, before))


def _after(step: str, pipeline: CompiledPipeline) -> Any:
    """What becomes of the step's failure."""
    made = pipeline.by_id[step]
    return made.on_failure, [one.model_dump(mode="json") for one in made.failure_handlers]


def _ways(step: str, pipeline: CompiledPipeline) -> Any:
    """All that decides whether a step runs."""
    plan, routes = pipeline.plan.by_id[step], pipeline.plan.routes
    led = [
        {(routes[number].source, routes[number].key, routes[number].target) for number in numbers}
        for numbers in (plan.targeted_by, plan.bypassed_by)
    ]
    # Which steps can bypass it by a failure with `skip` stands in `reads` alone.
    return plan.condition, set(plan.reads), set(plan.joins), led


def _all(pipeline: CompiledPipeline, step: CompiledStep) -> list[str]:
    key = f"{pipeline.op}.{step.op}"
    return [f"{key}.decide", f"{key}.run[?]", f"{key}.outcome"] if is_gated(pipeline, step) else [key]


def _missing(pipeline: CompiledPipeline, step: CompiledStep, done: Done) -> list[str]:
    """The ops of a step that are not done."""
    key = f"{pipeline.op}.{step.op}"
    if not is_gated(pipeline, step):
        return [] if key in done.keys else [key]
    if f"{key}.decide" not in done.keys:
        return _all(pipeline, step)
    mapped = [f"{key}.run[{one}]" for one in done.mapped.get(f"{key}.decide", ())]
    missing = [one for one in mapped if one not in done.keys]
    if missing or f"{key}.outcome" not in done.keys:
        return [*missing, f"{key}.outcome"]
    return []
