"""JSON in what models say: found where it is plain which one is meant, and never changed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator_dagster.models.json_text import read_json

GOOD = {
    '{"n": 1}': {"n": 1},
    '\ufeff {"n": 1}\n': {"n": 1},
    '```json\n{"n": 1}\n```': {"n": 1},
    'Sure! Here it is:\n\n```\n{"n": 1,}\n```\nAnything else?': {"n": 1},
    'Here: {"n": {"m": [1, 2,],},} Done.': {"n": {"m": [1, 2]}},
    '{"n": 1} is the answer {as asked}': {"n": 1},
    '<think>Maybe {"n": 2}?</think>\n{"n": 1}': {"n": 1},
    '{"text": "a ,] b ,}", "fence": "```json"}': {"text": "a ,] b ,}", "fence": "```json"},
    '{"text": "say \\",]\\"",}': {"text": 'say ",]"'},
    '```python\nprint()\n```\n```json\n{"n": 1}\n```': {"n": 1},
    "[1, 2]": [1, 2],
    '{"half \\udc00": ["a\\ud83d", "\\ud83c\\udf33"]}': {"half \ufffd": ["a\ufffd", "\U0001f333"]},
    '{"n": 1}' + " {x" * 200_000: {"n": 1},
}


@pytest.mark.parametrize("text", GOOD, ids=lambda text: text[:20])
def test_one_value_is_found(text: str) -> None:
    assert read_json(text) == GOOD[text]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("no JSON at all", "Expecting value"),
        ('{"n": 1} or {"n": 2}', "several JSON objects"),
        ('```json\n{"n": 1}\n```\nor\n```json\n{"n": 2}\n```', "2 blocks of JSON"),
        ('{"n": 1, "n": 2}', '"n" stands twice'),
        ('{"n": NaN}', "NaN is no JSON number"),
        ('{"n": -Infinity}', "no JSON number"),
        ("{'n': 1}", "double quotes"),
        ('{"n": 1', "delimiter"),
        ('[{"n": 1}, oops', "Expecting value"),
        ('The list: [{"n": 1}, {"n": 2}]', "Expecting value"),
        ('{"a": {"n": 1}, oops', "double quotes"),
        ("[" * 100_000, "nested too deeply"),
        ('{"n": 1,, "m": 2}', "double quotes"),
        ('{"n": 1' + "0" * 5000 + "}", "5,001 digits"),
        ('{"n": 1}' + ' {"' * 200_000, "several JSON objects"),
    ],
    ids=lambda text: text[:20],
)
def test_what_is_not_plain_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_json(text)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), VALUES, max_size=4), st.sampled_from([None, 2]), st.booleans())
def test_every_object_comes_back_as_it_was(value: dict[str, object], indent: int | None, words: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    assert read_json(text) == value
    assert read_json(f"Here you are:\n```json\n{text}\n```\n" if words else f"Here: {text}\nThat is all.") == value
