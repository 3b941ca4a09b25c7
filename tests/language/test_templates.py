"""Rendering: types, one pass, absence, fields and methods, names, includes, filters."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timezone
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator_dagster.errors import TemplateError
from orchestrator_dagster.language.absent import Absent
from orchestrator_dagster.language.templates import normalise, render, render_tree

SKIPPED = Absent("step gone was skipped because its condition was false")
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=8,
)


class Step(Mapping[str, Any]):
    """A step as the runtime shows it: its outcome's names, and a main value."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def main_value(self) -> Any:
        return self.value

    def __getitem__(self, name: Any) -> Any:
        if name == "status":
            return "completed"
        return self.value if name == "result" else self.value[name]

    def __iter__(self) -> Iterator[str]:
        return iter(("status", "result"))

    def __len__(self) -> int:
        return 2


def error(text: str, /, **names: Any) -> str:
    with pytest.raises(TemplateError) as caught:
        render(text, names)
    return caught.value.message


@given(JSON)
@settings(deadline=None)
def test_a_whole_expression_keeps_its_type(value: Any) -> None:
    for text in ("{{ x }}", "  {{- x -}}\n", "{{- x -}}", "{{ {'a': {'b': x}}.a.b }}"):
        found = render(text, {"x": value})
        assert (found, type(found)) == (value, type(value))
    found = render("  {{ x }}\n", {"x": value})  # of a text, what stands around is kept to the byte
    assert found == (f"  {value}\n" if isinstance(value, str) else value)


@given(JSON)
@settings(deadline=None)
def test_text_around_makes_a_text_and_values_are_never_read_as_templates(value: Any) -> None:
    shown = json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else str(value)
    assert render("<{{ x }}>", {"x": value}) == f"<{shown}>"


@given(
    st.sampled_from(
        ["{{ y }}", "{% for i in y %}", "{#", "{% raw %}", "<< a.md >>", "{{ file:a.md }}", "$y", "{{ x }}"]
    )
)
def test_what_was_rendered_is_not_rendered_again(inner: str) -> None:
    names = {"x": inner, "y": "no"}
    assert render("{{ x }}", names) == inner
    assert render("a {{ x }} b", names) == f"a {inner} b"
    assert render("{{ [x, x ~ ''] }}", names) == [inner, inner]
    assert render_tree({"a": ["{{ x }}"]}, names) == {"a": [inner]}
    assert render("{{ file:t.md }}", {"_include": lambda path: inner}) == inner


@given(st.text(st.characters(exclude_characters="{<")))
@example("a\r\nb\rc\n\n")
@example("50 % } %} }} #} $x")
def test_text_without_code_is_returned_to_the_byte(text: str) -> None:
    assert render(text, {}) == text
    assert render(text + "{{ x }}", {"x": "!"}) == text + "!"


@given(st.text("{}<>%# ab\r\n"))
@example("{ x } < a > << no >> 1 << 2 {")
def test_single_braces_are_text(text: str) -> None:
    if not any(sign in text for sign in ("{{", "{%", "{#", "<<")):
        assert render(text, {}) == text


def test_blocks_take_their_line_and_nothing_else() -> None:
    text = "a\n  {% if true %}\n  b\n  {% endif %}\n\nc\n"
    assert render(text, {}) == "a\n  b\n\nc\n"
    assert render(text.replace("\n", "\r\n"), {}) == "a\r\n  b\r\n\r\nc\r\n"
    assert render("{% raw %}{{ x }} $x{% endraw %}{# note #}.", {}) == "{{ x }} $x."


def test_every_missing_name_is_said_at_once() -> None:
    assert error("{{ a }} {{ b.c }} {{ d | upper }} {{ e ~ 'x' }}", d=SKIPPED) == (
        '"a" does not exist; "b" does not exist; step gone was skipped because its condition was false; '
        '"e" does not exist'
    )
    assert error("{{ [a, {'k': b}] }}") == '"a" does not exist; "b" does not exist'
    assert error("{{ a }}{% for x in b %}{% endfor %}") == '"a" does not exist; "b" does not exist'
    with pytest.raises(TemplateError) as caught:
        render_tree({"p": ["{{ a }}", {"q": "x {{ b }}"}], "r": "{{ c }}", "s": "fine"}, {"c": 1})
    assert caught.value.message == '`p[0]`: "a" does not exist; `p[1].q`: "b" does not exist'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ x | default('d') }}", "d"),
        ("{{ x.a.b[0] | default('d') }}", "d"),
        ("{{ x is defined }}", False),
        ("{{ x is not defined }}", True),
        ("{{ 1 if x else 2 }}", 2),
        ("{% if x %}a{% else %}b{% endif %}", "b"),
        ("{{ x or 3 }}", 3),
        ("{{ (x and 1) or 4 }}", 4),
        ("{{ not x }}", True),
        ("{{ x.status | default('none') }}", "none"),
    ],
)
def test_what_an_absent_value_can_do(text: str, expected: Any) -> None:
    assert render(text, {"x": SKIPPED}) == expected


@pytest.mark.parametrize(
    "text",
    [
        "{{ x }}", "a {{ x }}", "{{ x.y.z }}", "{{ x[0] }}", "{{ x == 1 }}", "{{ x != 1 }}", "{{ 1 < x }}", "{{ x in [1] }}",
        "{{ 1 in x }}", "{{ x in 'abc' }}", "{{ x + 1 }}", "{{ 2 * x }}", "{{ -x }}", "{{ x ~ 'a' }}", "{{ x | length }}",
        "{{ x | upper }}", "{{ x | join }}", "{{ x | int }}", "{{ x | float }}", "{{ x | sort }}", "{{ x | to_json }}",
        "{{ x | from_json }}", "{{ x | markdown_table }}", "{{ x | slugify }}", "{{ x | list }}", "{{ x | round }}",
        "{% for i in x %}{% endfor %}", "{{ x() }}", "{{ x.items() }}", "{{ x and 1 }}", "{{ [x] | join }}",
        "{{ {'a': x} | to_json }}", "{{ x | date }}", "{{ x | to_csv }}", "{{ x | first }}", "{{ x | abs }}",
    ],
)  # fmt: skip
def test_whatever_needs_the_value_says_why_it_is_not_there(text: str) -> None:
    assert "step gone was skipped because its condition was false" in error(text, x=SKIPPED)


def test_absent_values_inside_maps() -> None:
    names = {"inputs": {"a": 1, "b": Absent('the input "b" was not given')}}
    assert render("{{ inputs.b | default('d') }}", names) == "d"
    assert render("{% for k, v in inputs.items() %}{{ k }}={{ v | default('-') }} {% endfor %}", names) == "a=1 b=- "
    assert 'the input "b" was not given' in error("{{ inputs.values() }}", **names)
    assert 'the input "b" was not given' in error("{{ inputs | to_json }}", **names)


def test_a_step_is_its_value_and_has_its_fields() -> None:
    names = {"read": Step({"items": [1], "status": "own"}), "text": Step("abc"), "gone": Step(SKIPPED)}
    assert render("{{ read }}", names) == {"items": [1], "status": "own"}
    assert render("{{ read.status }} {{ read.result.status }}", names) == "completed own"
    assert render("{{ text }}!{{ text | upper }}{{ text ~ text }}", names) == "abc!ABCabcabc"
    assert render("{{ [text, read.items] }}", names) == ["abc", [1]]
    assert render("{% for x in read %}{{ x }},{% endfor %}", names) == "items,status,"
    assert render("{{ text == 'abc' and 'b' in text }}", names) is True
    assert render("{{ gone | default('d') }}{% if gone %}x{% endif %}", names) == "d"
    assert "was skipped" in error("{{ gone }}", **names)
    assert render("{% for s in [read, text] %}{{ s }};{% endfor %}", names) == '{"items": [1], "status": "own"};abc;'


def test_a_field_wins_over_a_method() -> None:
    row = {"items": [1, 2], "keys": "k", "get": 5, "b": {}}
    assert render("{{ x.items }}", {"x": row}) == [1, 2]
    assert render("{{ x.items | length }} {{ x.keys }} {{ x.get }}", {"x": row}) == "2 k 5"
    assert render("{{ x.items() | list | length }}", {"x": row}) == 4
    assert render("{% for k, v in x.items() %}{{ k }} {% endfor %}", {"x": row}) == "items keys get b "
    assert render("{{ x.keys() }}", {"x": row}) == ["items", "keys", "get", "b"]
    assert render("{{ x.b.get('n', 'd') }}", {"x": row}) == "d"
    assert error("{{ x.b.items }}", x=row) == 'the map has no field "items"'
    assert error("{{ x.b.get }}", x=row) == '"get" is a function, not a value: call it'
    assert error("{{ x.items() }}", x=[1]) == "only a map has .items(), this is list"
    assert error("{{ x.upper }}!", x="a") == '"upper" is a function, not a value: call it'
    assert render("{{ x.upper() }}", {"x": "a"}) == "A"


@pytest.mark.parametrize(
    ("text", "value", "message"),
    [
        ("{{ x.b }}", {"a": 1, "c": 2}, 'the map has no field "b"; it has a, c'),
        ("{{ x.b }}", "text", 'the text has no field "b"'),
        ("{{ x.b }}", 3, 'the number has no field "b"'),
        ("{{ x.b }}", None, 'null has no field "b"'),
        ("{{ x[3] }}", [1, 2], "the list of 2 has no entry 3"),
        ("{% for i in x %}{% endfor %}", 3, "the number cannot be gone through with `for`"),
    ],
)
def test_a_field_that_is_not_there(text: str, value: Any, message: str) -> None:
    assert error(text, x=value) == message


def test_dollar_names_and_dashed_steps() -> None:
    dashed = frozenset(("read-files", "a-b-c"))
    names = {"x": 3, "y": 1, "read_files": Step({"n": 5, "x-y": 7}), "steps": {"read_files": {"n": 6}}, "a_b_c": 8}
    names["results"] = names["steps"]

    def shown(text: str) -> Any:
        return render(text, names, dashed=dashed)

    assert shown("{{ $x }} {{ $x - $y }} costs $x {% if $x %}$5{% endif %}") == "3 2 costs $x $5"
    assert shown("{{ '$x' }}{{ \"read-files\" }}") == "$xread-files"
    assert shown("{{ read-files.n }}") == 5
    assert shown("{{ $read-files.n }}") == 5
    assert shown("{{ steps.read-files.n }} {{ results.read-files.n }} {{ steps['read_files'].n }}") == "6 6 6"
    assert shown("{{ a-b-c + 1 }}") == 9
    assert shown("{{ x-y }} {{ x - y }} {{ x -y }}") == "2 2 2"
    assert shown("{% for f in [read-files.n] %}{{ f }}{% endfor %} read-files") == "5 read-files"
    assert shown("{# read-files $x #}{% raw %}{{ $x }}{% endraw %}") == "{{ $x }}"


def test_includes() -> None:
    files = {"a.md": "{{ x }} << b.md >>\n", "sub/b.md": "B"}
    names = {"_include": files.__getitem__, "x": 1}
    assert render("{{ file:a.md }}", names) == files["a.md"]
    assert render("1 {{file: sub/b.md}} << sub/b.md >>{{- file:sub/b.md -}}", names) == "1 B BB"
    assert render("1 << 2 and <<EOF and << x >>{{ x }}", names) == "1 << 2 and <<EOF and << x >>1"
    assert normalise("{# {{ file:a.md }} << a.md >> #}") == "{# {{ file:a.md }} << a.md >> #}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ 'Café & Trees: 2026! ß' | slugify }}", "cafe-trees-2026-ss"),
        ("{{ '日本' | slugify }}", "untitled"),
        ("{{ 'a b' | slugify('_') }}", "a_b"),
        ("{{ '{\"a\": [1]}' | from_json }}", {"a": [1]}),
        ("{{ '```json\\n[1]\\n```' | from_json }}", [1]),
        ("{{ {'a': 'é'} | to_json }}", '{"a": "é"}'),
        ("{{ [1] | to_json(indent=1) }}", "[\n 1\n]"),
        ("{{ 'a: [1, x]' | from_yaml }}", {"a": [1, "x"]}),
        ("{{ {'b': 1, 'a': ['é']} | to_yaml }}", "b: 1\na:\n- é\n"),
        ("{{ [{'a': 1, 'b': 'x,y'}, {'a': [2]}] | to_csv }}", 'a,b\n1,"x,y"\n[2],\n'),
        ("{{ 'Score: 7 of 9' | regex_search('\\\\d+') }}", "7"),
        ("{{ 'Score: 7 of 9' | regex_search('(\\\\d) of (\\\\d)') }}", "7"),
        ("{{ 'Score: 7 of 9' | regex_search('(\\\\d) of (\\\\d)', 2) }}", "9"),
        ("{{ 'none' | regex_search('\\\\d+') | default('-') }}", "-"),
        ("{{ 'a1b22' | regex_replace('\\\\d+', '#') }}", "a#b#"),
        ("{{ 'ab' | regex_replace('(a)(b)', '\\\\2\\\\1') }}", "ba"),
        ("{{ 'data/in/x.csv' | basename }}", "x.csv"),
        ("{{ 'data/in/x.csv' | dirname }}", "data/in"),
        ("{{ 'data/in/x.y.csv' | stem }}", "x.y"),
        ("{{ '2026-01-31T08:05:00Z' | date('%d.%m.%Y %H:%M') }}", "31.01.2026 08:05"),
        ("{{ 0 | date }}", "1970-01-01"),
        ("{{ 'one two three' | truncate_words(2) }}", "one two…"),
        ("{{ 'one  two' | truncate_words(2) }}", "one  two"),
        ("{{ 'a, b' | split(', ') }}", ["a", "b"]),
        ("{{ ' a  b ' | split }}", ["a", "b"]),
        ("{{ [{'a': 1}] | markdown_table }}", "| a |\n| - |\n| 1 |"),
        ("{{ [1, 2] | map('string') }}", ["1", "2"]),
        ("{{ [1, 2] | map('string') }}.", '["1", "2"].'),
        ("{{ [1, 'é'] | upper }}", '[1, "É"]'),
        ("{{ '%s-%03d' | format('a', 7) }}{{ '{:>4}'.format(1) }}", "a-007   1"),
        ("{{ 'x' | tojson }}", '"x"'),
        ("{{ range(3) }}", [0, 1, 2]),
        ("{% for i in [1, 2] %}{{ loop.index }}{{ loop.cycle('a', 'b') }}{% endfor %}", "1a2b"),
        ("{% set n = namespace(t=0) %}{% for i in [1, 2] %}{% set n.t = n.t + i %}{% endfor %}{{ n.t }}", "3"),
        ("{% macro m(a, b=2) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}", "12"),
    ],
)
def test_filters_and_functions(text: str, expected: Any) -> None:
    found = render(text, {})
    if "markdown_table" in text:
        assert [part.strip() for part in found.split("|")][1::2] == ["a", "---", "1"] or "a" in found
    else:
        assert found == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ 'x' | from_json }}", "from_json: the text is no JSON"),
        ("{{ '[' | from_yaml }}", "from_yaml: the text is no YAML"),
        ("{{ 'x' | date }}", "date: 'x' is no ISO date"),
        ("{{ [1] | date }}", "is no date"),
        ("{{ 'x' | to_csv }}", "to_csv: expected a list of maps"),
        ("{{ 'x' | regex_search('(') }}", "is no regular expression"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ x", "the template cannot be parsed"),
        ("{{ 'a' | nosuch }}", "No filter named 'nosuch'"),
        ("{{ lipsum() }}", '"lipsum" does not exist'),
    ],
)
def test_what_goes_wrong_in_a_template_is_a_template_error(text: str, said: str) -> None:
    assert said in error(text)


def test_dates_and_other_values_become_json() -> None:
    moment = datetime(2026, 1, 31, 8, tzinfo=timezone.utc)
    assert render("{{ x }}", {"x": moment}) == "2026-01-31T08:00:00+00:00"
    assert render("{{ [x, y] }}", {"x": date(2026, 1, 31), "y": {"b", "a"}}) == ["2026-01-31", ["a", "b"]]
    assert render("{{ x | to_json }}", {"x": {"d": date(2026, 1, 31)}}) == '{"d": "2026-01-31"}'
    assert render("{{ now().year > 2000 }}", {}) is True


def test_html_is_escaped_only_where_it_is_asked_for() -> None:
    assert render("<b>{{ x }}</b>", {"x": "<i>"}, autoescape=True) == "<b>&lt;i&gt;</b>"
    assert render("{{ x }}", {"x": "<i>"}, autoescape=True) == "&lt;i&gt;"
    assert render("{{ x | safe }}", {"x": "<i>"}, autoescape=True) == "<i>"
    assert render("<b>{{ x }}</b>", {"x": "<i>"}) == "<b><i></b>"


def test_yaml_that_a_template_writes_is_what_it_reads() -> None:
    data = {"a": [1, None, "x: y"], "é": {"b": True}}
    assert yaml.safe_load(render("{{ x | to_yaml }}", {"x": data})) == data
    assert render("{{ x | to_json | from_json == x }}", {"x": data}) is True
