"""The report of a run: what failed and what to do first, then what happened."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from orchestrator_dagster.log.document import WAITING, Log, LogFailure, LogStep
from orchestrator_dagster.log.model_words import models_part
from orchestrator_dagster.log.timeline import timeline
from orchestrator_dagster.log.words import block, brief, code, count, cut, dollars, duration, moment, plain, prose, size
from orchestrator_dagster.tables import cell_text, markdown_table

_FAILURES, _STEPS, _CALLS, _ITEMS, _PRODUCTS, _VALUES = 10, 200, 50, 10, 20, 20
#: What would be read as markup in a table.
_MARKUP = re.compile(r"(?<!\\)(?:<(?!br>)[A-Za-z/!?]|\]\(|`|&#?\w+;)")
_ENDS = ("failed", "waiting", "interrupted", "running", "skipped")
_DONE = {"completed": "completed", "failed": "failed", "canceled": "was canceled", "running": "is running"}


def report(log: Log) -> str:
    """The whole report, as Markdown."""
    parts = [
        first_screen(log),
        _section("Failures that were handled", "\n\n".join(_failures(log, handled=True))),
        _section("Timeline", _timeline(log)),
        models_part(log),
        _section("Items of loops", _loops(log)),
        _section("Tool calls", _tool_calls(log)),
        _section("Products", _products(log)),
        _section("Inputs and outputs", _values(log)),
        _section("Runs", _runs(log)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def short_report(log: Log) -> str:
    """The beginning of a report, for places that have little room: no more than 50 steps, and where the rest is."""
    whole = f"The whole report: {code(f'orchestrator log {log.run_id[:8]}')}"
    return "\n\n".join(part for part in (first_screen(log, 50), _timeline(log), whole) if part)


def first_screen(log: Log, most_steps: int = _STEPS) -> str:
    """The beginning of a report: how it went, failures with the next thing to do, sums, and the steps.

    Args:
        log: The log.
        most_steps: How many steps the table shows.
    """
    name = plain(log.pipeline.name or log.pipeline.id, 100)
    ended = "waits for an answer" if log.waits else _DONE[log.status]
    parts = [f"# {name}: run {log.run_id[:8]} {ended}", *_failures(log, handled=False)]
    parts += [*_next(log), _summary(log)]
    parts += [f"> Note: {plain(note)}" for note in log.notes]
    parts.append(f"## Steps\n\n{_steps(log, most_steps)}")
    return "\n\n".join(parts)


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n{text}" if text else ""


def _failures(log: Log, handled: bool) -> Iterator[str]:
    chosen = [one for one in log.failures if one.handled is handled]
    for one in chosen[:_FAILURES]:
        yield _failure(one)
    if len(chosen) > _FAILURES:
        yield f"and {count(len(chosen) - _FAILURES, 'failure')} more"


def _failure(one: LogFailure) -> str:
    if one.step is None:
        what = "The run failed"
    elif one.items:
        what = f"{count(one.items, 'item')} of {code(one.step)} failed"
    elif one.step == "inputs":
        what = "The inputs were refused"
    else:
        what = f"{code(one.step)} failed"
    said = one.message.strip()
    if one.type == WAITING:
        what, _, said = f"{code(one.step)} waits for an answer", *said.partition(": ")[1:]
    long = "\n" in said or len(said) > 300
    text = f"**{what}**\n\n{block(said, lines=15)}" if long else f"**{what}:** {prose(said)}"
    tried = f"after {one.attempts:,} tries" if one.attempts > 1 else ""
    parts = [code(one.location) if one.location else "", plain(one.type), tried, plain(one.effect)]
    text += f"\n\n{' · '.join(part for part in parts if part)}"
    if one.note:
        text += f"\n\n{plain(one.note)}"
    if one.handled and one.hint:
        text += f"\n\nNext: {prose(one.hint)}"
    if one.trace:
        text += f"\n\n{block(one.trace, lines=8)}"
    return text


def _next(log: Log) -> Iterator[str]:
    if not log.next:
        return
    lines = ["**Next**", ""]
    for number, one in enumerate(log.next, 1):
        end = ":" if one.command else ""
        lines.append(f"{number}. {prose(one.text)}{end}" + (f" {code(one.command, 300)}" if one.command else ""))
    yield "\n".join(lines)


def _summary(log: Log) -> str:
    states: list[str] = [one.shown for one in log.steps]
    done = f"{states.count('completed')} of {len(states)}"
    others = [
        f"{states.count(one)} {one}"
        for one in ("failed", "waiting", "interrupted", "running", "skipped")
        if one in states
    ]
    usage = log.usage
    row: dict[str, Any] = {
        "status": "waiting" if log.waits else log.status,
        "duration": duration(log.seconds),
        "steps": ", ".join([done, *others]),
        "products": f"{len(log.products) + log.products_left_out:,}",
        "model calls": f"{usage.calls:,}" + (f" + {usage.served:,} served" if usage.served else ""),
        "tokens": f"{usage.tokens:,}",
        "cost": dollars(usage.cost),
    }
    began = f"began {moment(log.started_at)}"
    who = log.runs[-1].launched_by if log.runs else ""
    said = [began, f"launched by {plain(who)}" if who else "", code(log.pipeline.file)]
    said += [f"partition {plain(log.partition)}"] if log.partition else []
    if log.asked is not None:
        said.append(f"asked for {plain(', '.join(log.asked))} only")
    if len(log.runs) > 1:
        said.append(f"resumed {code(log.runs[-2].id[:8])}")
    return f"{markdown_table([row])}\n\n{' · '.join(one for one in said if one)}"


def _steps(log: Log, most: int) -> str:
    shown = _of_interest(log, most)
    rows = [_step_row(one, log) for one in shown]
    table = markdown_table(rows, [name for name in rows[0] if any(row[name] for row in rows)])
    left = len(log.steps) - len(shown)
    return f"{table}\n\n*and {count(left, 'step')} more*" if left else table


def _of_interest(log: Log, most: int) -> list[LogStep]:
    """The steps in their order; of too many, those that did not complete go before the others."""
    order = sorted(range(len(log.steps)), key=lambda at: (log.steps[at].status in ("completed", "skipped"), at))
    return [log.steps[at] for at in sorted(order[:most])]


def _step_row(one: LogStep, log: Log) -> dict[str, str]:
    used = one.usage
    model = f"{one.model.provider}:{one.model.name}" if one.model else ""
    return {
        "step": one.id,
        "status": one.shown,
        "time": duration(one.seconds) if one.status != "skipped" else "",
        "does": cut(model or one.does, 60),
        "tokens": f"{used.tokens:,}" if used.calls or used.served else "",
        "cost": dollars(used.cost) if used.calls or used.served else "",
        "note": "; ".join(_notes(one, log)),
    }


def _notes(one: LogStep, log: Log) -> Iterator[str]:
    if one.reason and one.status == "skipped":
        yield cut(f"because {one.reason}", 160)
    if one.status != "skipped" and one.condition is not None:
        yield cut(f"if {one.condition}", 100)
    if one.route:
        yield f"route: {cut(one.route, 100)}"
    if one.goes_to:
        yield f"went to {one.goes_to}"
    if one.error:
        yield brief(one.error.message, 80)
    if one.loop:
        yield _items_said(one)
    tries = sum(tried.run == one.run for tried in one.attempts) if not one.loop else 0
    if tries > 1:
        yield f"{tries} tries"
    if one.usage.served:
        yield f"{count(one.usage.served, 'answer')} served from the store"
    if one.run not in (None, log.run_id):
        yield f"done in run {(one.run or '')[:8]}"
    if one.products:
        more = f" and {len(one.products) - 2:,} more" if len(one.products) > 2 else ""
        yield cut(f"wrote {', '.join(one.products[:2])}{more}", 160)


def _items_said(one: LogStep) -> str:
    loop = one.loop
    assert loop is not None
    parts = [f"{loop.failed:,} failed" if loop.failed else "", f"{loop.skipped:,} skipped" if loop.skipped else ""]
    said = ", ".join(part for part in parts if part)
    what = "pass" if one.does.startswith("again") else "item"
    total = f"{loop.total:,} {what}{'' if loop.total == 1 else 'es' if what == 'pass' else 's'}"
    return f"{total}: {said}" if said else total


def _timeline(log: Log) -> str:
    drawn = timeline(log)
    return block(drawn, lines=1000, longest=100_000) if drawn else ""


def _loops(log: Log) -> str:
    parts = []
    for step in log.steps:
        if step.loop is None or not step.loop.items:
            continue
        failed = [one for one in step.loop.items if one.status != "completed"]
        shown = (failed or list(step.loop.items))[:_ITEMS]
        rows = [
            {
                "item": one.index,
                "status": one.status,
                "time": duration((one.completed_at - one.started_at).total_seconds()),
                "what": brief(one.error, 160) if one.error else cut(one.reason or cell_text(one.value), 160),
            }
            for one in shown
        ]
        left = step.loop.total - len(shown)
        more = f"\n\n*and {left:,} more*" if left else ""
        parts.append(f"{code(step.id)}: {_items_said(step)}\n\n{markdown_table(rows)}{more}")
    return "\n\n".join(parts)


def _tool_calls(log: Log) -> str:
    """Calls that models asked for, and those that failed; what steps call by themselves stands with the steps."""
    calls = [one for one in log.calls if one.kind == "tool"]
    chosen = [one for one in calls if one.by == "model" or not one.ok]
    if not calls:
        return ""
    rows = [
        {
            "step": cut(one.step, 60),
            "tool": cut(one.name, 60),
            "asked by": "its model" if one.by == "model" else "the step",
            "time": duration(one.seconds),
            "result": size(one.result_bytes) if one.ok and one.result_bytes is not None else "",
            "arguments": cut(_pairs(one.arguments), 100),
            "error": brief(one.error or "", 120),
        }
        for one in sorted(chosen, key=lambda one: one.ok)[:_CALLS]
    ]
    failed = sum(not one.ok for one in calls)
    total = f"{count(len(calls) + log.calls_left_out, 'call')}" + (f", {failed:,} failed" if failed else "")
    if not rows:
        return f"{total}, all made by the steps themselves."
    titles = [name for name in rows[0] if any(row[name] for row in rows)]
    left = f"\n\n*and {len(chosen) - _CALLS:,} more*" if len(chosen) > _CALLS else ""
    return f"{total}.\n\n{markdown_table(rows, titles)}{left}"


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}={cell_text(value)}" for name, value in values.items())


def _products(log: Log) -> str:
    if not log.products:
        return ""
    rows = [
        {
            "product": cut(one.path, 120),
            "from": one.step,
            "size": size(one.bytes),
            "rows": "" if one.rows is None else f"{one.rows:,}",
            "sound": cut("; ".join(f"{fault[0]}: {fault[1]}" for fault in one.faults) or "yes", 120),
        }
        for one in log.products
    ]
    if not any(row["rows"] for row in rows):
        rows = [{name: value for name, value in row.items() if name != "rows"} for row in rows]
    left = len(rows) - 100 + log.products_left_out if len(rows) > 100 else log.products_left_out
    parts = [markdown_table(rows[:100]) + (f"\n\n*and {left:,} more*" if left else "")]
    for one in log.products[:_PRODUCTS]:
        if one.preview:
            parts.append(f"{code(one.path)}\n\n{_preview(one.preview, one.format)}")
    return "\n\n".join(parts)


def _preview(text: str, format: str) -> str:
    """The beginning of a product: a text as a block; a table as it is, when every mark in it is escaped."""
    if text.startswith("![") and "](data:" in text:
        return plain(text.rpartition("\n")[2])  # a picture is looked at elsewhere
    lines = text.splitlines()
    if text.startswith("| ") and format not in ("md", "markdown", "txt", "html") and not _MARKUP.search(text):
        table = [line for line in lines if line.startswith("| ")]
        said = [plain(line) for line in lines if line and not line.startswith("| ")]
        return "\n\n".join(["\n".join(table), *said])
    if lines and lines[0].startswith("```"):
        end = max((at for at, line in enumerate(lines) if line == "```"), default=len(lines))
        text = "\n".join([*lines[1:end], *lines[end + 1 :]])
    return block(text.rstrip(), format if format.isalnum() else "text", lines=12)


def _values(log: Log) -> str:
    rows = [
        {"": kind, "name": cut(name, 60), "value": cut(cell_text(value), 200)}
        for kind, values in (("input", log.inputs), ("output", log.outputs))
        for name, value in list(values.items())[:_VALUES]
    ]
    return markdown_table(rows) if rows else ""


def _runs(log: Log) -> str:
    if len(log.runs) < 2:
        return ""
    rows = [
        {
            "run": one.id[:8],
            "status": one.status,
            "began": moment(one.started_at),
            "launched by": cut(one.launched_by, 60),
            "worked at": cut(", ".join(one.steps), 160),
        }
        for one in log.runs
    ]
    return f"What was done in an earlier run stayed done.\n\n{markdown_table(rows)}"
