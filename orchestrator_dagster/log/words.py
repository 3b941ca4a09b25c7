"""How a report writes what it shows: texts of others as texts, durations, amounts, times."""

from __future__ import annotations

import re
from datetime import datetime, timezone

from orchestrator_dagster.markdown_text import one_line

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")
# What starts a heading, a quotation, a list or a table at the beginning of a line.
_START = re.compile(r"^(\d{0,9})([#>+=.)|-])")
_RUN_OF_MARKS = re.compile(r"[`~]+")


def plain(text: object, longest: int = 300) -> str:
    """A text of anybody as one line of Markdown that shows it as it is; a long one is cut."""
    return _START.sub(r"\1\\\2", one_line(cut(text, longest)))


def cut(text: object, longest: int = 300) -> str:
    """A text as one line without control characters, for a cell of a table; a long one is cut."""
    line = " ".join(_CONTROL.sub(" ", str(text)).split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def brief(message: str, longest: int = 120) -> str:
    """An error's message for a cell: of one with a traceback its beginning and its last line, else its first line.

    >>> brief("it ended with 1: Traceback (most recent call last):\\n  File x\\nValueError: no")
    'it ended with 1: ValueError: no'
    """
    lines = [line for line in message.strip().splitlines() if line.strip()] or [""]
    if len(lines) > 1 and "Traceback" in message:
        head = message.partition("Traceback")[0].strip().rstrip(":")
        return cut(f"{head}: {lines[-1]}" if head else lines[-1], longest)
    return cut(lines[0], longest)


def prose(text: object, longest: int = 600) -> str:
    """A text as :func:`plain` has it, in which what stands between two backquotes is a code span."""
    parts = cut(text, longest).split("`")
    if len(parts) % 2 == 0 or not all(part.strip() for part in parts[1:-1]):
        return plain(text, longest)
    line = "".join(code(part, longest) if at % 2 else _piece(part) for at, part in enumerate(parts))
    return _START.sub(r"\1\\\2", line)


def _piece(part: str) -> str:
    inner = part.strip(" ")
    if not inner:
        return part
    before, _, after = part.partition(inner)
    return f"{before}{one_line(inner)}{after}"


def code(text: object, longest: int = 120) -> str:
    """A name as a code span, also with backquotes in it; outside of tables."""
    line = " ".join(_CONTROL.sub(" ", str(text)).split())[:longest] or " "
    marks = "`" * (1 + max((len(found) for found in re.findall("`+", line)), default=0))
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{marks}{pad}{line}{pad}{marks}"


def block(text: str, language: str = "text", lines: int = 20, longest: int = 4000) -> str:
    """A text of anybody as a fenced block that nothing in it can end."""
    every = _CONTROL.sub(lambda found: "\n" if found[0] in "\r\u2028\u2029\x85\x0b\x0c" else "�", text).split("\n")
    shown = "\n".join(every[:lines])[:longest]
    left = len(every) - lines
    if left > 0:
        shown += f"\n… {left:,} more line{'s' if left > 1 else ''}"
    marks = "`" * max(3, 1 + max((len(found) for found in _RUN_OF_MARKS.findall(shown)), default=0))
    return f"{marks}{language}\n{shown}\n{marks}"


def duration(seconds: float | None) -> str:
    """Seconds as people read them.

    >>> duration(0.0421), duration(7.25), duration(95), duration(7384)
    ('42 ms', '7.2 s', '1 min 35 s', '2 h 03 min')
    """
    if seconds is None:
        return ""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def dollars(cost: float | None) -> str:
    """An amount: two decimals, more for what is less than a cent; ``unknown`` for None."""
    if cost is None:
        return "unknown"
    if cost == 0:
        return "$0"
    if cost >= 0.1:
        return f"${cost:,.2f}"
    return f"${cost:.4f}" if cost >= 0.001 else f"${cost:.6f}" if cost >= 0.000001 else "< $0.000001"


def moment(at: datetime) -> str:
    """A time in UTC, to the second."""
    return at.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


def size(count: int) -> str:
    """Bytes as people read them."""
    if count < 1000:
        return f"{count} B"
    for unit, factor in (("kB", 1e3), ("MB", 1e6), ("GB", 1e9)):
        if count < factor * 999.5:
            return f"{count / factor:.1f} {unit}"
    return f"{count / 1e12:.1f} TB"


def count(number: int, what: str) -> str:
    """A number with its noun.

    >>> count(1, "step"), count(2_000, "step")
    ('1 step', '2,000 steps')
    """
    return f"{number:,} {what}{'' if number == 1 else 's'}"
