"""Filters, methods and operators of templates, held to the limits of a render."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any

from jinja2.exceptions import SecurityError

from orchestrator_dagster.language.missing import Missing
from orchestrator_dagster.language.template_filters import to_text
from orchestrator_dagster.language.template_limits import (
    MAX_BITS,
    MAX_TEXT,
    check_entries,
    check_size,
    check_time,
    measured,
    spend,
    spend_result,
)

#: Filters that read their value as text: lists and maps are given to them as JSON, as they are printed.
_TEXT = frozenset(
    [
        "upper",
        "lower",
        "capitalize",
        "title",
        "trim",
        "center",
        "indent",
        "replace",
        "wordwrap",
        "truncate",
        "escape",
        "e",
        "forceescape",
        "striptags",
        "urlize",
        "wordcount",
        "string",
        "format",
        "safe",
    ]
)
#: Largest number that a filter takes as an argument.
_NUMBERS = {
    "center": MAX_TEXT, "indent": 1000, "batch": 1_000_000, "slice": 100_000, "round": 300, "to_json": 32, "tojson": 32,
}  # fmt: skip
#: Longest text that a filter takes as an argument which it may put into its result many times.
_TEXTS = {"wordwrap": 20, "urlize": 1000, "indent": 1000}
#: Longest text that a slow filter reads.
_SLOW = {"wordwrap": 200_000, "urlize": 200_000, "pprint": 200_000, "xmlattr": 200_000}
#: Methods that make something large of something small, or that no template needs.
_REFUSED_METHODS = frozenset(("translate", "maketrans", "format_map", "encode", "to_bytes", "from_bytes"))
_PADDING = frozenset(("center", "ljust", "rjust", "zfill", "expandtabs"))
_LONGEST_NUMBER = 4


def limited_filter(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter whose arguments and result are held to the limits."""
    first = 1 if hasattr(function, "jinja_pass_arg") else 0  # Jinja's context or environment comes before the value

    @functools.wraps(function)
    def limited(*args: Any, **kwargs: Any) -> Any:
        check_time()
        values = list(args)
        rest = [*args[first + 1 :], *kwargs.values()]
        for value in rest:
            if name in _NUMBERS and isinstance(value, int) and abs(value) > _NUMBERS[name]:
                raise SecurityError(f"{name}({value}): at most {_NUMBERS[name]:,} is allowed")
            if name in _TEXTS and isinstance(value, str) and len(value) > _TEXTS[name]:
                raise SecurityError(
                    f"{name}: an argument of {len(value):,} characters, at most {_TEXTS[name]:,} are allowed"
                )
        if len(values) > first:
            subject = values[first]
            if isinstance(subject, Missing) and name not in ("default", "d"):
                str(subject)  # notes the reason; what follows need not be said too
                return subject
            if name in _TEXT and isinstance(subject, (Mapping, list, tuple)):
                values[first] = to_text(measured(subject))
            _check_growth(name, values[first], rest)
        return spend_result(function(*values, **kwargs))

    return limited


def _check_growth(name: str, subject: Any, rest: list[Any]) -> None:
    """Refuse what would be too large, or take too long, before it is made."""
    if name in _SLOW and isinstance(subject, str) and len(subject) > _SLOW[name]:
        raise SecurityError(f"{name}: a text of {len(subject):,} characters, at most {_SLOW[name]:,} are allowed")
    if name == "replace" and isinstance(subject, str) and len(rest) >= 2:
        _check_replace(subject, rest[0], rest[1])
    elif name == "join" and isinstance(subject, (list, tuple)):
        _check_join(rest[0] if rest else "", subject)
    elif name == "format":
        _check_format(str(subject))
    elif name == "indent" and isinstance(subject, str):
        width = rest[0] if rest else 4
        check_size(len(subject) + (subject.count("\n") + 1) * (len(width) if isinstance(width, str) else int(width)))
    elif name in ("pprint", "urlencode", "xmlattr"):
        measured(subject)


def _check_replace(text: str, old: Any, new: Any) -> None:
    if isinstance(old, str) and isinstance(new, str):
        count = text.count(old) if old else len(text) + 1
        check_size(len(text) + count * max(0, len(new) - len(old)))


def _check_join(separator: Any, items: Any) -> None:
    between = len(separator) if isinstance(separator, str) else 0
    check_size(sum(len(item) if isinstance(item, str) else 1 for item in items) + between * len(items))
    if not all(isinstance(item, (str, int, float)) for item in items):
        measured(items)


def _check_format(text: str) -> None:
    """A width in a format is a number that the result is as long as."""
    if any(len(number) > _LONGEST_NUMBER for number in re.findall(r"\d+", text)) or re.search(r"%[^a-zA-Z%]*\*", text):
        raise SecurityError("a format with such a large width is not allowed")
    if re.search(r"\{[^{}]*\{", text):
        raise SecurityError("a format inside a format is not allowed")


def check_method(owner: Any, name: str, args: tuple[Any, ...]) -> None:
    """Refuse a call of a value's method that would make something too large.

    Raises:
        SecurityError: It is refused.
    """
    check_time()
    if name in _REFUSED_METHODS:
        raise SecurityError(f'the method "{name}" is not allowed in templates')
    if isinstance(owner, str):
        if name in _PADDING:
            factor = owner.count("\t") + 1 if name == "expandtabs" else 1
            check_size(max((abs(value) for value in args if isinstance(value, int)), default=0) * factor)
        elif name == "replace" and len(args) >= 2:
            _check_replace(owner, args[0], args[1])
        elif name == "join" and args and isinstance(args[0], (list, tuple)):
            _check_join(owner, args[0])
        elif name == "format":
            _check_format(owner)


def check_operation(operator: str, left: Any, right: Any) -> None:
    """Refuse an operation whose result would be too large.

    Raises:
        SecurityError: It is refused.
    """
    if isinstance(left, Missing) or isinstance(right, Missing):
        return
    check_time()
    if operator == "%" and isinstance(left, str):
        raise SecurityError("formatting with % is not allowed; use ~ or the format filter")
    if operator == "+":
        if isinstance(left, str) and isinstance(right, str):
            spend(len(left) + len(right))
        elif isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
            check_entries(len(left) + len(right))
            spend(len(left) + len(right))
            measured(right)
    elif operator == "*":
        things = [side for side in (left, right) if isinstance(side, (str, list, tuple))]
        counts = [side for side in (left, right) if isinstance(side, int)]
        if things and counts:
            size = len(things[0]) * max(0, counts[0])
            if not isinstance(things[0], str):
                check_entries(size)
            spend(size)
        elif len(counts) == 2:
            _check_bits(counts[0].bit_length() + counts[1].bit_length())
    elif operator == "**" and isinstance(left, int) and isinstance(right, int):
        _check_bits(left.bit_length() * abs(right))


def _check_bits(bits: int) -> None:
    if bits > MAX_BITS:
        raise SecurityError(f"a number of {bits:,} bits; at most {MAX_BITS:,} are allowed")


def concatenated(*parts: Any) -> str:
    """What ``~`` gives."""
    texts = [to_text(part) for part in parts]
    spend(sum(map(len, texts)))
    return "".join(texts)


def limited_dict(*args: Any, **kwargs: Any) -> dict[str, Any]:
    """The function ``dict`` of templates."""
    return measured(dict(*args, **kwargs))  # type: ignore[no-any-return]
