"""What a run asset says of its run: numbers that plot, the beginning of its report, and what each step took."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

import dagster as dg

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.definitions.steps.metadata import run_metadata
from orchestrator_dagster.log.build import Recorded, build_log
from orchestrator_dagster.log.document import RunStatus
from orchestrator_dagster.log.report import short_report
from orchestrator_dagster.runtime.names import RunInfo
from orchestrator_dagster.runtime.outcome import Outcome, UsageInfo

#: What each step took, as JSON by its id; and the beginning of the report, as Markdown.
BY_STEP, REPORT = "orchestrator/by_step", "orchestrator/report"
_MOST_STEPS = 500


def run_numbers(outcomes: Mapping[str, Outcome], seconds: float) -> dict[str, Any]:
    """Metadata of a run that plots: how its steps ended, what they made, how often they tried, what models took."""
    made = [product for outcome in outcomes.values() for product in outcome.products]
    items = [one for outcome in outcomes.values() for one in outcome.iterations or ()]
    states = [outcome.status for outcome in outcomes.values()]
    usage = sum((outcome.usage for outcome in outcomes.values()), UsageInfo())
    numbers: dict[str, Any] = {
        "steps": len(outcomes),
        "completed_steps": states.count("completed"),
        "skipped_steps": states.count("skipped"),
        "failed_steps": states.count("failed"),
        "products": len(made),
        "bytes": sum(one.bytes for one in made),
        "rows": sum(one.rows or 0 for one in made),
        "items": len(items),
        "failed_items": sum(one.status == "failed" for one in items),
        "seconds": round(seconds, 3),
        "attempts": sum(outcome.attempts for outcome in outcomes.values()),
        "tokens": usage.tokens,
    }
    return {**{f"orchestrator/{name}": value for name, value in numbers.items()}, **run_metadata(usage)}


def by_step(outcomes: Mapping[str, Outcome]) -> dict[str, dict[str, Any]]:
    """What each step took, as the report over runs reads it: of the first 500 steps."""
    return {step: _of_step(outcome) for step, outcome in list(outcomes.items())[:_MOST_STEPS]}


def _of_step(outcome: Outcome) -> dict[str, Any]:
    usage = outcome.usage
    found: dict[str, Any] = {"status": outcome.status, "seconds": round(outcome.duration, 3)}
    if outcome.attempts > 1:
        found["attempts"] = outcome.attempts
    if usage.calls or usage.served:
        found |= {"calls": usage.calls, "tokens": usage.tokens, "cost": usage.cost}
        found["models"] = {
            name: {"calls": one.calls, "tokens": one.input_tokens + one.output_tokens, "cost": one.cost}
            for name, one in usage.models.items()
        }
    return found


def run_report(
    pipeline: CompiledPipeline,
    run: RunInfo,
    outcomes: Mapping[str, Outcome],
    *,
    status: RunStatus = "completed",
    outputs: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Metadata of a run for people and for the report over runs: its report's beginning, and what each step took."""
    now = datetime.now(timezone.utc)
    log = build_log(
        Recorded(
            pipeline=pipeline,
            run_id=run.id,
            status=status,
            started_at=run.started_at,
            completed_at=now,
            now=now,
            outcomes=outcomes,
            outputs=outputs or {},
            partition=run.partition_key,
        )
    )
    return {REPORT: dg.MarkdownMetadataValue(short_report(log)), BY_STEP: dg.JsonMetadataValue(by_step(outcomes))}
