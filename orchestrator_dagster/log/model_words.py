"""The part of a report on models: what each took, why each was chosen, what was decided for `<AUTO>` values."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator_dagster.log.document import Log, LogModel
from orchestrator_dagster.log.words import brief, code, count, cut, dollars, duration, plain
from orchestrator_dagster.runtime.outcome import DecisionInfo
from orchestrator_dagster.tables import cell_text, markdown_table

_CANDIDATES, _DECISIONS, _CHOICES, _FAILED = 8, 50, 30, 20


def models_part(log: Log) -> str:
    """The section on models; empty for a run that asked none."""
    parts = [_by_model(log), *_choices(log), _decisions(log), _failed_calls(log)]
    text = "\n\n".join(part for part in parts if part)
    return f"## Models\n\n{text}" if text else ""


def _by_model(log: Log) -> str:
    rows = [
        {
            "model": cut(name, 80),
            "calls": f"{used.calls:,}",
            "tokens in": f"{used.input_tokens:,}",
            "tokens out": f"{used.output_tokens:,}",
            "cost": dollars(used.cost),
            "time": duration(used.seconds),
            "a call": duration(used.seconds / used.calls) if used.calls else "",
        }
        for name, used in log.models.items()
    ]
    return markdown_table(rows) if rows else ""


def _choices(log: Log) -> Iterator[str]:
    """The models that steps have asked, each with its reason; steps with one choice together."""
    found: dict[str, tuple[LogModel, list[str]]] = {}
    for step in log.steps:
        if step.model is not None:
            key = step.model.model_copy(update={"structure": None}).model_dump_json()
            found.setdefault(key, (step.model, []))[1].append(step.id)
    for model, steps in list(found.values())[:_CHOICES]:
        names = ", ".join(code(step) for step in steps[:10]) + (f" and {len(steps) - 10:,} more" * (len(steps) > 10))
        yield f"{names}: **{plain(f'{model.provider}:{model.name}')}**, {plain(model.reason)}"
        if model.decision is not None:
            yield _decision(model.decision)


def _decision(made: DecisionInfo) -> str:
    parts = []
    if len(made.candidates) > 1:
        shown = made.candidates[:_CANDIDATES]
        rows = [
            {
                "candidate": f"{cut(one.model, 80)}{' (asked)' if one.model == made.taken else ''}",
                "score": "" if one.score is None else f"{one.score:.3f}",
                "quality": "" if one.quality is None else f"{one.quality:g}",
                "$ / 1M tokens": "unknown" if one.price is None else f"{one.price:.3f}",
                "why not": cut(one.refused or one.notes or "", 120),
            }
            for one in shown
        ]
        left = made.left_out + len(made.candidates) - len(shown)
        parts.append(markdown_table(rows) + (f"\n\n*and {count(left, 'candidate')} more*" if left else ""))
    parts += [f"Fell back: {plain(failure)}" for failure in made.fell_back]
    return "\n\n".join(parts)


def _decisions(log: Log) -> str:
    rows = [
        {
            "place": cut(f"{step.id}: {made.place}", 80),
            "asked": cut(made.question, 120),
            "value": cut(cell_text(made.value), 120),
            "because": cut(made.reason, 160),
            "by": cut(made.model, 60) + (" (served)" if made.served else ""),
        }
        for step in log.steps
        for made in step.decisions
    ]
    return f"Decided for `<AUTO>`:\n\n{markdown_table(rows, max_rows=_DECISIONS)}" if rows else ""


def _failed_calls(log: Log) -> str:
    failed = [one for one in log.calls if one.kind == "model" and not one.ok]
    if not failed:
        return ""
    rows = [
        {
            "step": cut(one.step, 60),
            "model": cut(one.name, 60),
            "time": duration(one.seconds),
            "error": brief(one.error or "", 200),
        }
        for one in failed
    ]
    return f"Calls that failed:\n\n{markdown_table(rows, max_rows=_FAILED)}"
