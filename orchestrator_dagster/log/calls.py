"""The calls of models and tools, from their record, as a log has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from orchestrator_dagster.log.document import LogCall

#: The most calls that a log has. Those that failed go before the others.
MOST_CALLS = 1000


def calls_of(entries: Iterable[Mapping[str, Any]], most: int = MOST_CALLS) -> tuple[tuple[LogCall, ...], int]:
    """The calls in the order in which they ended, and how many were left out.

    Args:
        entries: Lines of the record of calls; what is none of them is passed over.
        most: How many may be given.
    """
    found = [call for call in map(_call, entries) if call is not None]
    chosen = sorted(range(len(found)), key=lambda at: (found[at].ok, at))[:most]
    return tuple(found[at] for at in sorted(chosen)), len(found) - len(chosen)


def _call(entry: Mapping[str, Any]) -> LogCall | None:
    try:
        at = datetime.fromisoformat(str(entry["at"]))
        kind = entry["kind"]
        name = str(entry.get("answered") or entry["model"]) if kind == "model" else _tool(entry)
    except (KeyError, ValueError):  # of another version
        return None
    error = entry.get("error")
    return LogCall(
        at=at,
        run=entry.get("run"),
        step=str(entry.get("step") or ""),
        kind=kind,
        name=name,
        by=entry.get("by"),
        arguments=dict(entry.get("arguments") or {}),
        seconds=float(entry.get("seconds") or 0.0),
        ok=bool(entry.get("ok", True)),
        error=f"{error.get('type')}: {error.get('message')}" if isinstance(error, Mapping) else None,
        result_bytes=entry.get("result_bytes"),
        input_tokens=entry.get("input_tokens"),
        output_tokens=entry.get("output_tokens"),
        cached_tokens=entry.get("cached_tokens"),
        cost=entry.get("cost"),
        asked_for=tuple(entry.get("tool_calls") or ()),
    )


def _tool(entry: Mapping[str, Any]) -> str:
    return ".".join(str(part) for part in (entry["tool"], entry.get("action")) if part)
