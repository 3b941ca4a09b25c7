"""Conditions: both spellings, what they mean, what is known before they run, and that they agree with Python."""

from __future__ import annotations

import contextlib
import pickle
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator_dagster.errors import ConditionError
from orchestrator_dagster.language.absent import Absent
from orchestrator_dagster.language.expressions import (
    ExpressionSyntaxError,
    check_types,
    decide,
    evaluate,
    names,
    parse_condition,
)

SKIPPED = "step research was skipped because its condition was false"
VALUES: dict[str, Any] = {
    "score": 0.7,
    "n": 3,
    "a": 10,
    "b": 4,
    "flag": True,
    "off": False,
    "opt": None,
    "status": "Done",
    "content": "hello world",
    "items": ["x", "y", "z"],
    "rows": [{"score": 1}, {"score": 5}],
    "d": {"a": 1, "class": "c", "items": "field", "inner": {"list": [1, [2, 3]]}},
    "empty": [],
    "research": Absent(SKIPPED),
    "my_step": {"result": {"score": 4}},
    "steps": {"my_step": {"result": 7}},
    "item": {"id": 8},
    "json": '{"ok": true, "rows": [1, 2]}',
}
DASHED = frozenset({"my-step", "my-step-2"})


def value(text: str, **more: Any) -> Any:
    return evaluate(parse_condition(text, DASHED), {**VALUES, **more}.__getitem__)


def refused(text: str) -> ExpressionSyntaxError:
    with pytest.raises(ExpressionSyntaxError) as caught:
        parse_condition(text, DASHED)
    return caught.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("score > 0.5 and len(items) > 0", True),
        ("true and not false", True),
        ("null is None and None == null", True),
        ("'x' in items and 'q' not in items", True),
        ("1 < n <= 3 < 4", True),
        ("3 < n < unknown", False),  # the chain ends at the first "no"
        ("a - b", 6),
        ("-n + +n", 0),
        ("7 // 2 + 7 % 2 + 7 / 2", 7.5),
        ("2 ** 3 ** 2", 512),
        ("'yes' if flag else unknown.x", "yes"),
        ("unknown.x if off else 'no'", "no"),
        ("flag or unknown > 1", True),
        ("off and unknown > 1", False),
        ("opt or 'fallback'", "fallback"),
        ("items[0] + items[-1]", "xz"),
        ("items[1:]", ["y", "z"]),
        ("items[::-1]", ["z", "y", "x"]),
        ("content[:5]", "hello"),
        ("d.inner.list[1][0]", 2),
        ("d['inner']['list'][0]", 1),
        ("d.class", "c"),
        ("d.items", "field"),
        ("rows.1.score", 5),
        ("{'k': [1, 2]}['k'][1]", 2),
        ("n in (1, 2, 3)", True),
        ("[1, 2] == (1, 2)", True),
        ("'a' 'b' == 'ab'", True),
        ("'it\\'s\\t\\x41\\u00e9\\q'", "it's\tAé\\q"),
        ("\n  n >\n 2\n  and flag  ", True),
        ("$item.id == 8", True),
        ("1 == true", True),
        ("flag is true and off is false and flag is not none", True),
        ("n is number and status is string and d is mapping and items is sequence and items is iterable", True),
        ("n is integer and score is float and flag is boolean and flag is not integer", True),
        # functions
        ("min(3, 1, 2) + max(items + ['zz']).count", None),
        ("min(3, 1, 2)", 1),
        ("max([1, 5, 2])", 5),
        ("sum([1, 2.5])", 3.5),
        ("abs(-3) + round(2.567, 1) + round(2.5)", 7.6),
        ("any([0, 1]) and not all([0, 1])", True),
        ("str(n) + str(none)", "3None"),
        ("int('12') + int(2.9) + float('0.5')", 14.5),
        ("bool('') or bool('a')", True),
        ("lower(status) + upper(status)", "doneDONE"),
        ("startswith(content, 'he') and endswith(content, ['x', 'ld'])", True),
        ("contains(content, 'wor') and contains(items, 'x') and contains(d, 'a')", True),
        ("' a '.strip() + 'xax'.strip('x')", "aa"),
        ("status.lower() + status.upper()", "doneDONE"),
        ("content.startswith('he') and content.endswith('ld')", True),
        ("d.get('a') + d.get('z', 5)", 6),
        ("d.get('z')", None),
        ("{'a': 1}.items() + {'b': 2}.keys() + {'c': 3}.values()", [["a", 1], "b", 3]),
        ("default(unknown, 4)", 4),
        # step ids with a dash
        ("my-step.result.score", 4),
        ("my-step.result.score-1", 3),
        ("steps.my-step.result", 7),
        ("a-b", 6),
        ("{{ my-step.result.score }} > 3", True),
    ],
)
def test_python_spelling(text: str, expected: Any) -> None:
    if ".count" in text:
        refused(text + "()")
        return
    result = value(text)
    assert result == pytest.approx(expected) if isinstance(expected, float) else result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ content | length > 10 }}", True),
        ("{{ items | length }} == 3 and {{ score }} > 0.5", True),
        ("({{ a - b }}) * 2", 12),
        ("{{ a - b }} * 2", 12),
        ("'{{ status }}' == 'Done'", True),
        ("'{{ status }}-{{ n }}' == 'Done-3'", True),
        ('"{{ d[\'class\'] }}" == "c"', True),
        ("'{{ d['class'] }}' == 'c'", True),
        ("'{{ flag }}'", "True"),
        ("'{{ opt }}{{ items[:1] }}'", "None['x']"),
        ("{{- n -}}", 3),
        ("{{ 'a' ~ n ~ 0.5 ~ true }}", "a30.5True"),
        ("{{ status | lower ~ '!' }}", "done!"),
        ("{{ 7 | string | length }}", 1),
        ("{{ 12 | upper }}", "12"),
        ("{{ '4.7' | int + 'x' | int + 'x' | int(5) + none | int(default=1) }}", 10),
        ("{{ '1.5' | float + 'x' | float }}", 1.5),
        ("{{ '  a ' | trim ~ 'xbx' | trim('x') }}", "ab"),
        ("{{ 2.456 | round(2) }}", 2.46),
        ("{{ 2.1 | round(method='ceil') }}", 3.0),
        ("{{ 2.19 | round(1, 'floor') }}", 2.1),
        ("{{ -3 | abs }}", 3),
        ("{{ items | first ~ items | last }}", "xz"),
        ("{{ empty | first | default('none') }}", "none"),
        ("{{ [1, 2] | sum + [3, 4] | min + [3, 4] | max }}", 10),
        ("{{ ['b', 'A'] | min }}", "A"),
        ("{{ items | join('-') }}", "x-y-z"),
        ("{{ [1, none] | join }}", "1None"),
        ("{{ items | count }}", 3),
        ("{{ (json | from_json).rows[1] }}", 2),
        ("{{ json | from_json is mapping }}", True),
        ("{{ unknown | default('x') }}", "x"),
        ("{{ unknown.a.b | d(1) }}", 1),
        ("{{ unknown | default }}", ""),
        ("{{ opt | default('x') is none }}", True),
        ("{{ opt | default('x', true) }}", "x"),
        ("{{ '' | default(default_value='x', boolean=true) }}", "x"),
        ("{{ unknown is defined or n is defined }}", True),
        ("{{ research is not defined }}", True),
        ("{{ unknown is undefined }}", True),
        ("{{ opt is none and flag is true and n is not string }}", True),
        ("{{ n in [1, 3] and n is in([3]) }}", True),
        ("{{ 2 ** 3 ** 2 }}", 64),  # Jinja reads it from the left
        ("{{ len(items) + items | length }}", 6),
        ("{{ rows.0.score + rows[1]['score'] }}", 6),
        ("{{ {'a': {'b': 1}}['a']['b'] }}", 1),
        ("{{ 'yes' if flag else 'no' }}", "yes"),
        ("{{ content[0:5] }}", "hello"),
        ("{{ not off and 1 < n <= 3 }}", True),
        ("{{ null is none }}", True),
        ("{{ $item.id }}", 8),
        ("{{ 'a}}b' }}", "a}}b"),
        ("'a{{ '}}' }}b'", "a}}b"),
    ],
)
def test_jinja_spelling(text: str, expected: Any) -> None:
    result = value(text)
    assert result == expected
    assert type(result) is type(expected)


# What has no meaning of its own here must mean what it means in a template.
@pytest.mark.parametrize(
    "text",
    [
        "a - b | abs * 2", "-n | abs", "n + 1 is number", "not n in [4]", "not flag or flag and off", "n > 1 == true",
        "2 ** 3 ** 2", "-2 ** 2", "a // 3 * 2 % 5 / 2", "'a' ~ n + 1 ~ 'b'", "items | length + 1", "items[1:] | first",
        "'5.9' | int * 2", "'x' | float(2)", "2.5 | round", "3.14159 | round(2)", "items | join(', ') | upper",
        "n if off else a if flag else b", "[3, 1] | max - [3, 1] | min", "status | lower == 'done' and n is number",
        "'' | default('x', true) ~ 'y'", "content | trim('hd') | length", "(items | last) in items",
        "{'k': [n]}['k'][0]", "['b', 'A', 'c'] | max", "true ~ none ~ 1.0", "d is sequence", "flag is number",
        "flag is integer", "5 is float",
    ],
)  # fmt: skip
def test_the_inside_of_braces_means_what_jinja_says(text: str) -> None:
    expected = jinja2.Environment().compile_expression(text)(**{k: v for k, v in VALUES.items() if k != "research"})
    result = value(f"{{{{ {text} }}}}")
    assert result == expected
    assert type(result) is type(expected)


def test_both_spellings_are_one_tree() -> None:
    for python, template in [
        ("score > 0.5 and not items[0].name == 'x'", "{{ score > 0.5 and not items[0].name == 'x' }}"),
        ("len(items) + 1", "{{ items | length + 1 }}"),
        ("a if b is defined else -c", "{{ a if b is defined else -c }}"),
        ("(a or b or c) and d", "{{ (a or b or c) and d }}"),
        ("x.get('k', [1, {'a': 2}])[1:2]", "{{ x.get('k', [1, {'a': 2}])[1:2] }}"),
        ("default(x.y, 3)", "{{ x.y | default(3) }}"),
        ("a < b <= c not in d", "{{ a < b <= c not in d }}"),
        ("x is not None", "{{ x is not none }}"),
    ]:
        assert parse_condition(python).root == parse_condition(template).root
    assert parse_condition("a == b").root != parse_condition("a == c").root


def test_what_values_say_is_never_read_as_code() -> None:
    assert value("'{{ status }}' == 'x'", status="' or true or '") is False
    assert value("{{ status }} == 'x'", status="'x' or true") is False
    assert value("'{{ status }}'", status="{{ n }}") == "{{ n }}"


@pytest.mark.parametrize(
    ("text", "says", "hint", "marked"),
    [
        ("true && false", '"&&"', 'write "and"', "&&"),
        ("a || b", '"||"', 'write "or"', "||"),
        ("!flag", '"!"', 'write "not"', "!"),
        ("{{ !flag }}", '"!"', 'write "not"', "!"),
        ("a = 3", '"="', 'use "=="', "="),
        ("a => 3", '"=>"', 'write ">="', "=>"),
        ("{{ a =< 3 }}", '"=<"', 'write "<="', "=<"),
        ("{{ a = 3 }}", '"="', 'use "=="', "="),
        ("n AND a", '"AND"', 'write "and"', "AND"),
        ("{{ n OR a }}", '"OR"', 'write "or"', "OR"),
        ("lenght(items)", 'did you mean "len"', 'write "len(...)"', "lenght"),
        ("n + {{ items | lenght }}", 'did you mean "length"', 'write "| length"', "lenght"),
        ("{{ items | map }}", '"map"', "|", "map"),
        ("x.lowr()", 'did you mean "lower"', ".lower", "lowr"),
        ("x.len()", ".len()", 'write "len(...)"', "len"),
        ("len(a, b)", "takes 1 value, not 2", "correct", "len"),
        ("startswith(a)", "takes 2 values, not 1", "correct", "startswith"),
        ("{{ x | default(foo=1) }}", '"foo"', "correct", "default"),
        ("a | length", "inside {{ }}", "len(x)", "|"),
        ("a ? b : c", '"?"', "if condition else", "?"),
        ("n is 3", '"is" asks', '"=="', "3"),
        ("{{ n is defind }}", 'did you mean "defined"', "the tests are", "is"),
        ("a b", 'at "b"', "", "b"),
        ("{{ a b }}", 'at "b"', "", "b"),
        ("{{ a if b }}", '"else"', '"else"', "a"),
        ("a, b", "comma", '"and" or "or"', ","),
        ("(1, 2", "not closed", 'add ")"', "("),
        ("'abc", "closing quote", "add '", "'"),
        ("n > 1 # big", '"#"', "YAML", "#"),
        ("d.__class__", "inner name", "", "__class__"),
        ("[i for i in items]", "a comprehension", "step before", "for"),
        ("any(i > 2 for i in items)", "a comprehension", "step before", "for"),
        ("open('x') == 'a'", 'no function "open"', "abs, all, any", "open"),
        ("n == 1 and (lambda: 2)", "a lambda", "", "lambda: 2"),
        ("été > 1 and f'{x}'", "an f-string", "", "f'"),
        ("1e400 > n", "too large", "10**100", "1e400"),
    ],
)
def test_errors_name_the_place_and_the_next_step(text: str, says: str, hint: str, marked: str) -> None:
    error = refused(text)
    assert says in error.message
    assert hint in (error.hint or "")
    assert text[error.offset : error.end_offset] == marked


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("len(a", "expression-syntax"), ("lenght(a)", "unknown-name"), ("{{ a | lenght }}", "unknown-filter"),
        ("{{ a is defind }}", "unknown-filter"), ("{{ a } > 3", "template-syntax"),
    ],
)  # fmt: skip
def test_errors_have_the_code_of_what_is_wrong(text: str, code: str) -> None:
    assert refused(text).code == code


def test_a_function_called_as_a_method_is_an_older_spelling() -> None:
    found = parse_condition("a and (b.c.lower()).startswith('x')").older
    assert [(one.written, one.today) for one in found] == [
        (".lower()", "lower(b.c)"),
        (".startswith()", "startswith(b.c.lower(), 'x')"),
    ]
    for text in ("{{ a.lower() }}", "startswith(a, 'x')", "d.get('a') and x.strip()"):
        assert parse_condition(text).older == ()


def test_words_that_may_be_texts_without_quotes() -> None:
    text = "a == b and c in [d, e.f] and startswith(g, h) and i > 3 and k"
    assert [one.root for one in names(parse_condition(text)) if one.compared] == ["a", "b", "c", "d", "g", "h"]


def test_an_expression_that_ends_too_early_is_marked_at_its_end() -> None:
    assert (refused("a >").offset, refused("{{ a > }}").offset) == (3, 7)
    assert "too early" in refused("a and").message


def test_other_yaml_values_are_conditions_too() -> None:
    assert decide(parse_condition(True), VALUES.__getitem__) is True
    assert decide(parse_condition(0), VALUES.__getitem__) is False
    assert decide(parse_condition(None), VALUES.__getitem__) is False
    with pytest.raises(ExpressionSyntaxError, match="list"):
        parse_condition(["a"])  # type: ignore[arg-type]
    assert "empty" in refused("  ").message


@pytest.mark.parametrize("answer", ["true", "YES", " True\n", 1, -0.5, [0], {"a": 1}, True])
def test_answers_that_say_yes(answer: Any) -> None:
    assert decide(parse_condition("answer"), {"answer": answer}.__getitem__) is True


@pytest.mark.parametrize("answer", ["false", "No", "  no ", 0, 0.0, [], {}, None, False])
def test_answers_that_say_no(answer: Any) -> None:
    assert decide(parse_condition("answer"), {"answer": answer}.__getitem__) is False


@pytest.mark.parametrize("answer", ["", "maybe", "1", "on", "true false", "x" * 5_000])
def test_other_text_is_no_answer(answer: str) -> None:
    with pytest.raises(ConditionError, match="the answer of the condition is the text") as caught:
        decide(parse_condition("answer"), {"answer": answer}.__getitem__)
    assert len(caught.value.message) < 300


def test_absent_values_are_false_to_and_or_not_and_guards() -> None:
    assert value("research or n") == 3
    assert value("not research.result.x") is True
    assert value("1 if research else 2") == 2
    assert value("research is defined") is False
    assert value("research.a[0].b is not defined and unknown is not defined") is True
    assert value("{{ research.findings | default('none') }}") == "none"
    assert value("research.deep.field") == Absent(SKIPPED)
    assert decide(parse_condition("n and research"), VALUES.__getitem__) is False
    assert decide(parse_condition("research or unknown"), VALUES.__getitem__) is False


@pytest.mark.parametrize(
    "text",
    [
        "research", "research.x", "research > 1", "research == null", "research != 1", "1 in research", "research + 1",
        "-research", "len(research)", "str(research)", "'{{ research }}' == ''", "{{ research | join }}", "[research]",
        "{'a': research}", "research is none", "items[research]", "research.lower() == 'a'", "any([research])",
    ],
)  # fmt: skip
def test_any_other_use_of_an_absent_value_fails_with_its_reason(text: str) -> None:
    with pytest.raises(ConditionError, match=SKIPPED) as caught:
        decide(parse_condition(text), VALUES.__getitem__)
    assert "is defined" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("d.inner.lst", "d.inner has no field 'lst'; it has list"),
        ("d['x y']", "d has no field 'x y'; it has a, class, items, inner"),
        ("items[3]", "items has no item 3; it has 3"),
        ("items[-4]", "items has no item -4; it has 3"),
        ("content[99]", "content has no character 99; it has 11"),
        ("items.length", "items is a list and has no field 'length'"),
        ("opt.x", "opt is null and has no field 'x'"),
        ("status.upper", "status is text and has no field 'upper'"),
        ("nobody", 'nothing is named "nobody" here'),
        ("{}.a", "the expression has no field 'a'; it is empty"),
    ],
)
def test_what_is_missing_says_what_is_there(text: str, reason: str) -> None:
    assert value(text) == Absent(reason)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("status < 3", '"<" cannot compare text with a number'),
        ("opt > 1", '">" cannot compare null with a number'),
        ("[1] < ['a']", '"<" cannot compare a number with text'),
        ("status + 1", '"+" cannot take text and a number'),
        ("n - items", '"-" cannot take a number and a list'),
        ("'%s' % n", '"%" cannot take text and a number'),
        ("3 in content", "only text can"),
        ("n / 0", "divides by zero"),
        ("int('abc')", "int() cannot read 'abc' as a number"),
        ("sum(['a'])", "needs a number, not text"),
        ("max([])", "max() of an empty list has no value"),
        ("{{ 'x' | from_json }}", "cannot read the text as JSON"),
    ],
)
def test_values_that_do_not_fit_are_named_by_their_types(text: str, says: str) -> None:
    with pytest.raises(ConditionError) as caught:
        value(text)
    assert says in caught.value.message


class Step(Mapping[str, Any]):
    """A step as the runtime gives it: fields of its own, and one value it stands for."""

    def __init__(self, fields: dict[str, Any], stands_for: Any) -> None:
        self.fields, self.stands_for = fields, stands_for

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    def main_value(self) -> Any:
        return self.stands_for


def test_a_step_has_fields_and_stands_for_its_value() -> None:
    step = Step({"status": "completed", "rows": [1, 2]}, [10, 20])
    skipped = Step({"status": "skipped"}, Absent(SKIPPED))
    assert value("s.status == 'completed' and s['rows'][0] == 1", s=step) is True
    assert value("s == [10, 20] and len(s) == 2 and 10 in s and s[1] == 20 and s[1:] == [20]", s=step) is True
    assert value("s", s=step) == [10, 20]
    assert value("{{ s | join('+') }}", s=step) == "10+20"
    assert value("[s] == [[10, 20]]", s=step) is True
    assert value("all.one == [10, 20] and str(all) == '{\\'one\\': [10, 20]}'", all={"one": step}) is True
    assert value("s.status == 'skipped' and s is not defined and not s", s=skipped) is True
    with pytest.raises(ConditionError, match=SKIPPED):
        value("s > 1", s=skipped)


def paths(text: str) -> list[tuple[tuple[str | int, ...], bool]]:
    return [(reference.path, reference.guarded) for reference in names(parse_condition(text, DASHED))]


def test_names_with_their_literal_paths() -> None:
    text = "research.result.score > limit and rows[0]['k'].x == rows[i].y + {{ my-step.result | length }}"
    found = names(parse_condition(text, DASHED))
    assert [reference.path for reference in found] == [
        ("research", "result", "score"), ("limit",), ("rows", 0, "k", "x"), ("rows",), ("i",), ("my_step", "result"),
    ]  # fmt: skip
    assert [text[reference.offset : reference.end] for reference in found][:5] == [
        "research.result.score", "limit", "rows[0]['k'].x", "rows", "i",
    ]  # fmt: skip
    assert found[0].root == "research"
    assert text[found[5].offset :].startswith("my-step.result")
    assert names(parse_condition("len('x') > 1 and true")) == ()
    assert paths("'{{ a }}-{{ b.c }}' == d[-1]") == [(("a",), False), (("b", "c"), False), (("d", -1), False)]


@pytest.mark.parametrize(
    ("text", "guarded"),
    [
        ("x > 1", [False]),
        ("x is defined", [True]),
        ("x is defined and x.y > 1", [True, True]),
        ("x.y > 1 and x is defined", [False, True]),
        ("x is defined or x > 1", [True, False]),
        ("x is not defined or x > 1", [True, True]),
        ("not (x is not defined) and x > 1", [True, True]),
        ("x.y is defined and x.z", [True, False]),
        ("x.y is defined and x", [True, True]),
        ("x if x is defined else x", [True, True, False]),
        ("{{ x | default(y) }} > 1", [True, False]),
        ("{{ x | default(y) | default(0) }} > 1", [True, True]),
        ("{{ x[i].y | default(0) }}", [True, False]),
        ("{{ x | length | default(0) }}", [False]),
        ("default(x.y + 1, 0)", [False]),
        ("a and (x is defined and b) and x > 1", [False, True, False, True]),
        ("x and x > 1", [False, False]),
    ],
)
def test_guards(text: str, guarded: list[bool]) -> None:
    assert [reference.guarded for reference in names(parse_condition(text))] == guarded


TYPES = {"pages": "integer", "topic": "string", "flag": "boolean", "xs": "list", "m": "map", "research.score": "float"}
CHOICES = {"verdict": ("approve", "revise"), "answer": ("yes", "No"), "mixed": ("true", "maybe")}


@pytest.mark.parametrize(
    ("text", "at", "says"),
    [
        ("pages == '3'", "pages", "pages is a number and '3' is text"),
        ("flag and pages > '3'", "pages", "cannot compare"),
        ("research.score >= 'a'", "research", "cannot compare"),
        ("flag == 'true'", "flag", "always says no"),
        ("flag != 'true'", "flag", "always says yes"),
        ("1 < pages < topic", "pages", "cannot compare"),
        ("m > m", "m", "cannot compare"),
        ("topic == 'a' or 'b'", "'b'", "the answer can be the text 'b'"),
        ("'yes' if flag else 'maybe'", "'maybe'", "neither true nor false"),
        ("{{ topic | default('none') }}", "'none'", "neither true nor false"),
        ("'go' if flag else 'stop'", "'go'", "'go' or 'stop'"),
        ("flag and verdict", "verdict", "'approve' or 'revise'"),
        ("flag or (verdict if flag else false)", "verdict", "'approve' or 'revise'"),
        ("[pages, flag]", "[", "always the same"),
        ("lower(pages)", "pages", "cannot take pages, which is a number"),
        ("{{ pages | length > 3 }}", "pages", "cannot take pages"),
        ("pages + topic == 3", "pages", "pages is a number and topic is text"),
        ("unknown - topic", "unknown", "topic is text"),
        ("-topic", "-", "needs a number"),
        ("topic in pages", "topic", "cannot look for"),
        ("contains(topic, 3)", "3", "cannot look for"),
    ],
)
def test_types_that_never_fit_are_known_before_a_run(text: str, at: str, says: str) -> None:
    ((offset, message),) = check_types(parse_condition(text), TYPES, CHOICES)
    assert says in message
    assert text[offset:].startswith(at)


@pytest.mark.parametrize(
    "text",
    [
        "pages > 3 and topic == 'x' and flag == true", "flag", "topic", "topic == 'a' or flag", "pages == null",
        "pages is none or pages / 2 > 1.5", "len(topic) > 3 and len(xs) > 0", "topic * 2 == 'aa'", "xs + [1] == xs",
        "pages in xs and topic in xs and topic in m and topic in 'abc'", "research.score > pages", "flag == 1",
        "unknown.x > 3 or unknown == 'a'", "'yes' if flag else 'NO'", "m.a.b > 3", "topic[0] == 'a'", "pages",
        "min(pages, 2) > 1", "{{ topic ~ pages == 'a1' }}", "int(topic) > 3", "answer or mixed", "verdict and flag", "'{{ pages }}' == '3'", "false or 'yes'",
    ],
)  # fmt: skip
def test_types_that_may_fit_are_left_alone(text: str) -> None:
    assert check_types(parse_condition(text), TYPES, CHOICES) == []


def test_expressions_and_their_errors_cross_process_borders() -> None:
    expression = parse_condition("{{ score }} > 0.5 and my-step.result.score == 4", DASHED)
    copy = pickle.loads(pickle.dumps(expression))
    assert copy == expression
    assert decide(copy, VALUES.__getitem__) is True
    error = pickle.loads(pickle.dumps(refused("a = 3")))
    assert (error.offset, error.end_offset, error.hint) == (2, 3, 'use "=="')
    assert pickle.loads(pickle.dumps(Absent("x"))) == Absent("x")


def test_parsing_is_cached_and_warns_of_nothing() -> None:
    assert parse_condition("n > 1") is parse_condition("n > 1")
    assert parse_condition("a-b").root != parse_condition("a-b", {"a-b"}).root
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for text in ("'\\d' == 'x'", "n is None", "{{ '\\d' }} == 'x'", "'x' is None", "1 if n else 2"):
            parse_condition(text)


# ---- the same as Python ------------------------------------------------------------------------------------------

DATA: dict[str, Any] = {
    "i": 3, "j": -2, "z": 0, "f": 1.5, "t": True, "u": False, "none_": None, "s": "abc", "e": "", "w": "Abc b",
    "xs": [1, 2, 3], "ys": [], "ts": ["a", "b"], "m": {"a": 1, "b": "x"},
}  # fmt: skip
NUMBERS = st.sampled_from(["0", "1", "2", "7", "0.5", "1e3", "i", "j", "z", "f", "t", "m['a']", "xs[0]", "xs[-1]"])
TEXTS = st.sampled_from(["''", "'a'", '"bc"', "'12'", "s", "e", "w", "m['b']", "ts[0]", "s[1]", "'ünï'"])
LISTS = st.sampled_from(["[]", "xs", "ys", "ts", "[1, 'a']", "[[1], [2]]", "[0, 0.5]", "[none_]"])
OTHERS = st.sampled_from(["True", "False", "None", "true", "null", "none_", "u", "m", "{}", "{'k': 1}"])
LEAVES = st.one_of(NUMBERS, TEXTS, LISTS, OTHERS)


def _grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def of(pattern: str, *parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.tuples(*parts).map(lambda texts: pattern.format(*texts))

    def one(*words: str) -> st.SearchStrategy[str]:
        return st.sampled_from(words)

    index = one("", "0", "1", "-1", "2", "-3", "10**30", "t")
    return st.one_of(
        of("({} {} {})", inner, one("and", "or"), inner),
        of("(not {})", inner),
        of("({} {} {})", inner, one("==", "!=", "<", "<=", ">", ">=", "in", "not in"), inner),
        of("({} {} {} {} {})", inner, one("==", "<", ">="), inner, one("!=", "<=", "in"), inner),
        of("({} {} {})", inner, one("+", "-", "*", "/", "//"), inner),
        of("({} {} {})", NUMBERS, one("+", "-", "*", "/", "//", "%"), inner),
        of("({} ** {})", inner, one("0", "1", "2", "-1", "0.0")),
        of("({}{})", one("-", "+", "--"), inner),
        of("({} if {} else {})", inner, inner, inner),
        of("({} is {})", inner, one("None", "not None", "True", "not False")),
        of("[{}, {}]", inner, inner),
        of("{{'k': {}}}['k']", inner),
        of("{}[{}:{}]", inner, index, index),
        of("{}[{}:{}:{}]", LISTS, index, index, one("", "1", "-1", "2", "0")),
        of(
            "{}({})",
            one("len", "sum", "abs", "round", "any", "all", "str", "int", "float", "bool", "min", "max"),
            inner,
        ),
        of("{}({}, {})", one("min", "max", "contains", "startswith", "endswith"), inner, inner),
        of("round({}, {})", inner, one("0", "1", "-1", "None")),
        of("{}({})", one("lower", "upper"), inner),
        of("{}.{}({})", TEXTS, one("startswith", "endswith", "strip"), TEXTS),
        of("m.get({}, {})", TEXTS, inner),
    )


EXPRESSIONS = st.recursive(LEAVES, _grow, max_leaves=12)


def _edges(method: Any) -> Any:
    return lambda value, edge: method(value, tuple(edge) if isinstance(edge, list) else edge)


PYTHON: dict[str, Any] = {
    "__builtins__": {}, "true": True, "null": None, **DATA,
    **{f.__name__: f for f in (len, sum, abs, round, any, all, str, int, float, bool, min, max)},
    "contains": lambda container, item: item in container,
    "startswith": _edges(str.startswith), "endswith": _edges(str.endswith), "lower": str.lower, "upper": str.upper,
}  # fmt: skip


@settings(max_examples=600, deadline=None)
@given(EXPRESSIONS)
def test_agrees_with_python(text: str) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "1 is None" and the like
            expected, failed = eval(text, dict(PYTHON)), None  # the reference, in this test only
    except Exception as error:
        expected, failed = None, error
    result: Any = None
    refused: ConditionError | None = None
    try:
        result = evaluate(parse_condition(text), DATA.__getitem__)
    except ConditionError as error:
        refused = error
    if refused is None:
        assert failed is None, (text, result, failed)
        assert repr(result) == repr(expected), text
    else:  # where Python has a value, ours is a limit
        assert failed is not None or isinstance(expected, complex) or "too large" in refused.message, (text, refused)


@settings(max_examples=200, deadline=None)
@given(EXPRESSIONS)
def test_a_whole_and_an_embedded_template_agree_with_the_plain_spelling(text: str) -> None:
    def outcome(source: str) -> Any:
        try:
            return repr(evaluate(parse_condition(source), DATA.__getitem__))
        except ConditionError as error:
            return error.message

    if "**" not in text and "--" not in text and " is " not in text:  # there Jinja binds otherwise
        assert outcome(f"{{{{ {text} }}}}") == outcome(text)
    assert outcome(f"({text})") == outcome(text)


@settings(max_examples=200, deadline=None)
@given(EXPRESSIONS, st.dictionaries(st.sampled_from(list(DATA)), st.sampled_from(["string", "number", "array"])))
def test_checks_work_for_every_expression(text: str, types: dict[str, str]) -> None:
    expression = parse_condition(text)
    for reference in names(expression):
        assert reference.root in DATA
        assert text[reference.offset :].startswith(reference.root)
    for offset, _ in check_types(expression, types):
        assert 0 <= offset < len(text)


PIECES = st.sampled_from(
    ["x", "1", "'", '"', "(", ")", "[", "]", "{", "}", "{{", "}}", "|", "and", "not", "is", ".", ",", ":", "==", "-",
     "**", "if", "else", "\\", "\n", "len", "lambda", "for", "in", "é", "\0", "f'", "$", "=", "default", "~", "%", "{%"]
)  # fmt: skip


@settings(max_examples=600, deadline=None)
@given(
    st.one_of(
        st.text(max_size=40), st.lists(PIECES, max_size=15).map("".join), st.lists(PIECES, max_size=15).map(" ".join)
    )
)
def test_any_text_is_an_expression_or_one_clear_error(text: str) -> None:
    try:
        expression = parse_condition(text)
    except ExpressionSyntaxError as error:
        place = (error.offset, error.end_offset)
    else:
        place = (expression.root.offset, expression.root.end)
        names(expression)
        check_types(expression, {"x": "integer"})
        with contextlib.suppress(ConditionError):  # no other exception may come out
            evaluate(expression, {"x": 3}.__getitem__)
    assert 0 <= place[0] <= place[1] <= len(text)
