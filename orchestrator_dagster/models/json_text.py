"""The one JSON value in what a model said, without a guess: nothing is read as another value than what stands there."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from orchestrator_dagster.text import encodable

_THOUGHT = re.compile(r"\A\s*<(think|thinking|reasoning)>.*?</\1>", re.DOTALL)
_FENCED = re.compile(r"^[ \t]*```[^\n`]*\n(.*?)^[ \t]*```[ \t]*$", re.DOTALL | re.MULTILINE)
#: A text, or a comma behind the last item of a list or map.
_STRING_OR_COMMA = re.compile(r'"(?:[^"\\]|\\.)*"|,(?=\s*[}\]])', re.DOTALL)
#: Where another object may start. Each try costs time, and who writes so many has more than one value to say.
_OBJECT_START = re.compile(r'\{\s*["}]')
_MOST_STARTS = 50
_MOST_DIGITS = 4300  # more are refused by Python, in words for programmers


def read_json(text: str) -> Any:
    """The JSON value of a text: the whole text, its one fenced block, or the one object with words around it.

    A comma behind the last item is passed over, which changes no value. NaN, keys that stand twice, and texts with
    several values to choose from are refused.

    Raises:
        ValueError: There is no such value; with what is wrong, as it can be said to a model.

    >>> read_json('Here it is: {"n": 1,} Good luck!')
    {'n': 1}
    """
    text = _THOUGHT.sub("", text.strip().removeprefix("\ufeff")).strip()
    if not text:
        raise ValueError("the answer is empty")
    try:
        return _value(text)
    except ValueError as error:
        first = error
    blocks = [found for found in _FENCED.findall(text) if found.strip()[:1] in ("{", "[")]
    if len(blocks) > 1:
        raise ValueError(f"there are {len(blocks)} blocks of JSON in the answer, and it must be one object")
    if blocks:
        return _value(blocks[0])
    start = text.find("{")
    if start < 0 or text[:start].rstrip().endswith("["):
        raise first  # nothing, or a list, of which no item may be taken for the whole
    rest = _plain(text[start:])
    value, end = _decoded(rest, 0)
    for number, other in enumerate(_OBJECT_START.finditer(rest, end)):
        try:
            if number < _MOST_STARTS:
                _decoded(rest, other.start())
        except ValueError:
            continue
        raise ValueError("there are several JSON objects in the answer, and it must be one")
    return value


def _value(text: str) -> Any:
    try:
        return _loaded(text)
    except ValueError:
        plain = _plain(text)
        if plain == text:
            raise
        return _loaded(plain)


def _plain(text: str) -> str:
    return _STRING_OR_COMMA.sub(lambda found: "" if found[0] == "," else found[0], text)


def _loaded(text: str) -> Any:
    try:
        return _whole(json.loads(text, object_pairs_hook=_once, parse_constant=_no_number, parse_int=_integer))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _decoded(text: str, start: int) -> tuple[Any, int]:
    try:
        decoder = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_number, parse_int=_integer)
        value, end = decoder.raw_decode(text, start)
        return _whole(value), end
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f'the key "{twice}" stands twice in one object')
    return found


def _integer(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"a number in it has {len(text):,} digits")
    return int(text)


def _whole(value: Any) -> Any:
    """The value, with texts that UTF-8 can hold: JSON can write half a character (``"\\ud83d"``)."""
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, dict):
        return {encodable(name): _whole(item) for name, item in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list) else value


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")
