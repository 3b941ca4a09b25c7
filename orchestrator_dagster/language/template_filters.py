"""Filters and functions that templates have beyond Jinja's own. All are pure: value in, value out."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from datetime import date as calendar_date
from datetime import datetime, timezone
from pathlib import PurePosixPath
from typing import Any

from jinja2 import Undefined, pass_environment
from jinja2.exceptions import FilterArgumentError

from orchestrator_dagster.language.absent import Absent
from orchestrator_dagster.language.missing import HasMainValue, Missing, unwrap
from orchestrator_dagster.language.safe_patterns import check_pattern
from orchestrator_dagster.language.template_limits import check_size, check_time, measured, ticking


def to_text(value: Any) -> str:
    """A value as it is printed: lists and maps as JSON, everything else as Jinja prints it."""
    if hasattr(value, "__next__"):  # what `map` and `select` give
        value = list(ticking(value))
    if isinstance(value, (Mapping, list, tuple)):
        return to_json(value)
    return str(value)


def json_value(value: Any) -> Any:
    """What JSON has no type for, as JSON: dates as ISO text, paths as text, sets and tuples as lists."""
    if isinstance(value, (HasMainValue, Absent)):
        value = unwrap(value)
        return None if isinstance(value, Missing) and not str(value) else value
    if isinstance(value, (datetime, calendar_date)):
        return value.isoformat()
    if hasattr(value, "__next__"):
        return list(ticking(value))
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)
    if hasattr(value, "tolist"):  # numpy and pandas
        return value.tolist()
    return str(value)


def to_json(value: Any, indent: int | None = None) -> str:
    """JSON text, characters as they are."""
    value = list(ticking(value)) if hasattr(value, "__next__") else value
    measured(value)
    return json.dumps(value, ensure_ascii=False, indent=indent, default=json_value)


def from_json(text: Any) -> Any:
    """The value of a JSON text (also inside a fenced code block); what is no text already is the value."""
    if not isinstance(text, str):
        return text
    fenced = re.fullmatch(r"\s*```(?:json)?\s*\n(.*?)\n?```\s*", text, re.DOTALL)
    try:
        return json.loads(fenced[1] if fenced else text)
    except ValueError as error:
        raise FilterArgumentError(f"from_json: the text is no JSON ({error}): {text[:60]!r}") from None


def from_yaml(text: Any) -> Any:
    """The value of a YAML text, read safely."""
    import yaml

    if not isinstance(text, str):
        return text
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise FilterArgumentError(f"from_yaml: the text is no YAML ({error})") from None


def to_yaml(value: Any) -> str:
    """YAML text, keys in their order."""
    import yaml

    text = to_json(value)
    # PyYAML writes these line ends of Unicode as they are, and reads them back as blanks.
    readable = not any(sign in text for sign in "\x85\u2028\u2029")
    return str(yaml.safe_dump(json.loads(text), sort_keys=False, allow_unicode=readable))


def to_csv(rows: Any, columns: list[str] | None = None) -> str:
    """CSV text of a list of maps, with a header line."""
    import csv
    import io

    if isinstance(rows, Mapping):
        rows = [rows]
    if not isinstance(rows, (list, tuple)) or not all(isinstance(row, Mapping) for row in rows):
        raise FilterArgumentError("to_csv: expected a list of maps")
    names = columns or list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: to_text(v) if isinstance(v, (Mapping, list)) else v for name, v in row.items()})
    return text.getvalue()


def slugify(value: Any, separator: str = "-", max_length: int = 100) -> str:
    """Lower-case ASCII letters and digits, everything else one separator: safe in a file name.

    >>> slugify("Café & Trees: 2026!")
    'cafe-trees-2026'
    """
    text = unicodedata.normalize("NFKD", to_text(value).replace("ß", "ss")).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", separator, text.lower()).strip(separator)
    return slug[:max_length].strip(separator) or "untitled"


@pass_environment
def regex_search(environment: Any, value: Any, pattern: str, group: int | str | None = None) -> Any:
    """The first match: its group, else its first group, else all of it; undefined where nothing matches."""
    found = _pattern(pattern).search(to_text(value))
    if not found:
        return environment.undefined(hint=f"regex_search found no match of {pattern!r}")
    if group is not None:
        return found[group]
    return found[1] if found.re.groups else found[0]


def regex_replace(value: Any, pattern: str, replacement: str = "", count: int = 0) -> str:
    """The text with every match replaced (``\\1`` is the first group)."""
    text, compiled = to_text(value), _pattern(pattern)
    size = 0

    def replaced(found: re.Match[str]) -> str:
        nonlocal size
        made = found.expand(replacement)
        size += len(made)
        check_size(size)
        check_time()
        return made

    return compiled.sub(replaced, text, count=count)


def _pattern(pattern: str) -> re.Pattern[str]:
    wrong = check_pattern(pattern)
    if wrong:
        raise FilterArgumentError(f"the pattern {pattern!r} {wrong}")
    return re.compile(pattern)


def basename(path: Any) -> str:
    """The last part of a path."""
    return PurePosixPath(str(path)).name


def stem(path: Any) -> str:
    """The file name of a path without its last suffix.

    >>> stem("data/in/2026-01-10.txt")
    '2026-01-10'
    """
    return PurePosixPath(str(path)).stem


def dirname(path: Any) -> str:
    """A path without its last part."""
    return str(PurePosixPath(str(path)).parent)


def date(value: Any, format: str = "%Y-%m-%d") -> str:
    """A date or time in a ``strftime`` format; takes ISO text, seconds since 1970, or what ``now()`` gives."""
    if isinstance(value, str) and value.strip().lower() in ("now", "today"):
        value = datetime.now(timezone.utc)
    elif isinstance(value, str):
        text = value.strip().replace("Z", "+00:00") if value.strip().endswith("Z") else value.strip()
        try:
            value = datetime.fromisoformat(text)
        except ValueError:
            raise FilterArgumentError(f"date: {value!r} is no ISO date or time such as 2026-01-31") from None
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        value = datetime.fromtimestamp(value, timezone.utc)
    if not isinstance(value, calendar_date):
        raise FilterArgumentError(f"date: {value!r} is no date")
    return value.strftime(format)


def truncate_words(value: Any, count: int = 50, end: str = "…") -> str:
    """At most ``count`` words."""
    words = to_text(value).split()
    return to_text(value) if len(words) <= count else " ".join(words[:count]) + end


def split(value: Any, separator: str | None = None, count: int = -1) -> list[str]:
    """A text cut at a separator, default at white space."""
    return to_text(value).split(separator, count)


def markdown_table(rows: Any, columns: list[str] | None = None, max_rows: int | None = None) -> str:
    """A list of maps as a markdown table."""
    from orchestrator_dagster.tables import markdown_table as table

    if isinstance(rows, Undefined):
        str(rows)  # fails with the reason
    return table(rows, columns, max_rows)


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(timezone.utc)


FILTERS: dict[str, Any] = {
    "slugify": slugify,
    "from_json": from_json,
    "to_json": to_json,
    "tojson": to_json,
    "from_yaml": from_yaml,
    "to_yaml": to_yaml,
    "to_csv": to_csv,
    "regex_search": regex_search,
    "regex_replace": regex_replace,
    "basename": basename,
    "dirname": dirname,
    "stem": stem,
    "date": date,
    "truncate_words": truncate_words,
    "split": split,
    "markdown_table": markdown_table,
}
