"""Conditions that try to reach Python, to run for ever or to fill the memory: refused, or of a harmless value."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator_dagster.errors import ConditionError, OrchestratorError
from orchestrator_dagster.language.absent import Absent
from orchestrator_dagster.language.expressions import (
    ExpressionSyntaxError,
    check_types,
    decide,
    evaluate,
    names,
    parse_condition,
)

pytestmark = pytest.mark.timeout(60)

DATA: dict[str, Any] = {
    "x": 3,
    "s": "text",
    "items": ["a", "b"],
    "d": {"a": 1, "class": "c"},
    "long": "a" * 900_000,
    "many": list(range(90_000)),
    "huge": 10**5000,
    "name": "__class__",
    "code": "__import__('os').system('true')",
    "template": "{{ 7 * 7 }}",
}

REACHING_PYTHON = [
    "().__class__",
    "().__class__.__bases__[0].__subclasses__()",
    "''.__class__.__mro__[1].__subclasses__()",
    "x.__class__",
    "d.__class__",
    "d.__init__.__globals__",
    "s.__doc__",
    "items.__len__()",
    "__import__('os')",
    "__import__('os').system('true')",
    "__builtins__",
    "__builtins__['eval']",
    "__name__",
    "__debug__",
    "eval('1+1')",
    "exec('import os')",
    "compile('1', '', 'eval')",
    "open('/etc/passwd').read()",
    "getattr(s, '__class__')",
    "getattr(s, name)",
    "setattr(d, 'a', 2)",
    "vars()",
    "globals()",
    "locals()",
    "dir(s)",
    "type(s)",
    "object()",
    "super()",
    "input()",
    "breakpoint()",
    "print(s)",
    "isinstance(s, str)",
    "hasattr(s, 'format')",
    "len.__self__",
    "len.__call__(s)",
    "str.format('{0.__class__}', s)",
    "'{0.__class__}'.format(s)",
    "'{x.__class__}'.format_map(d)",
    "s.join(items)",
    "s.encode()",
    "s.zfill(1000000000)",
    "s.center(1000000000)",
    "s.ljust(1000000000)",
    "s.replace('t', s)",
    "s.translate(d)",
    "items.append(1)",
    "items.sort()",
    "d.update(d)",
    "d.pop('a')",
    "d.setdefault('b', 1)",
    "(lambda: 1)()",
    "lambda: 1",
    "[i for i in items]",
    "{i for i in items}",
    "{i: i for i in items}",
    "(i for i in items)",
    "any(i for i in items)",
    "[(y := x)]",
    "(y := 5)",
    "f'{x}'",
    "f'{x.__class__}'",
    "F\"{x!r:>{10**9}}\"",
    "t'{x}'",
    "b'bytes'",
    "rb'bytes'",
    "await x",
    "(yield)",
    "(yield from items)",
    "[*items]",
    "max(*items)",
    "{**d}",
    "len(**d)",
    "...",
    "3j",
    "{1, 2}",
    "x; x",
    "import os",
    "del x",
    "x = 5",
    "x += 1",
    "@x",
    "x -> 3",
    "x & 1",
    "x | 1",
    "x ^ 1",
    "~x",
    "x << 1000000000",
    "1 << 1000000000",
    "x >> 1",
    "`x`",
    "x()",
    "s()()",
    "items[0]()",
    "(len)(s)(s)",
    "x if x",

]  # fmt: skip

REACHING_JINJA = [
    "{{ ''.__class__ }}",
    "{{ ''['__class__'].__mro__ }}",
    "{{ s|attr('__class__') }}",
    "{{ s|attr('__class__')|attr('__mro__') }}",
    "{{ self.__init__.__globals__ }}",
    "{{ cycler.__init__.__globals__.os }}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{{ request.application.__globals__ }}",
    "{{ namespace(a=1) }}",
    "{{ range(1000000000) | list }}",
    "{{ lipsum(n=100000) }}",
    "{{ dict(a=1) }}",
    "{{ joiner() }}",
    "{{ s.format(s) }}",
    "{{ '%s' | format(s) }}",
    "{{ s | center(1000000000) }}",
    "{{ s | indent(1000000000) }}",
    "{{ items | map('upper') | list }}",
    "{{ items | map(attribute='__class__') | list }}",
    "{{ items | selectattr('__class__') | list }}",
    "{{ s | replace('t', s) }}",
    "{{ s | tojson }}",
    "{{ s | safe }}",
    "{{ s | pprint }}",
    "{{ s | wordwrap(1) }}",
    "{{ items | sum(attribute='__class__') }}",
    "{{ items | join(',', attribute='__class__') }}",
    "{{ s is sameas(s) }}",
    "{{ s is callable }}",
    "{{ len(*items) }}",
    "{{ len(**d) }}",
    "{{ x | default(**d) }}",
    "{{ {{ x }} }}",
    "{{ x }} }}",
    "{{ x",
    "{{ }}",
    "{{ 'a",
    "{% for i in items %}{% endfor %}",
    "{% set x = 1 %}",
    "'{% if x %}a{% endif %}' == 'a'",
    "{# comment #}",
    "{{ x #} }}",
    "{{ x %} {% raw %} }}",
    "{{ '{0.__class__}'.format(x) }}",
    "{{ ().__class__ }} == 1",
    "'{{ ().__class__ }}' == ''",
]  # fmt: skip

STRANGE_TEXT = [
    "x\0 == 3",
    "\0",
    "'a\0b",
    "ｘ == 3",
    "ｌｅｎ(s)",
    "ｅｖａｌ('1')",
    "＿＿import＿＿('os')",
    "d.__ｃlass__",
    "ﬁeld == 1",
    "ª == 1",
    "²",
    "x² == 9",
    "x == ３",
    "x ＝＝ 3",
    "“a” == s",
    "‘a’ == s",
    "x \u200b== 3",
    "x\u202e == 3",
    "\ud800 == x",
    "x \\\n == 3",
    "x # == 3",
    "0777 == 1",
    "1_ == 1",
    "1__0 == 1",
    "1if x else 2",
    "0x == 1",
    "'\\ud800' == s",
    "'\\U00110000' == s",
    "9" * 200,
    "1e999 > 1",
    "9" * 5000,
    "0x" + "f" * 5000,
    "1" + "_0" * 3000,
    "-" * 9_999 + "1",
    "not " * 2_400 + "x",
    "(" * 150 + "x" + ")" * 150,
    "(" * 5_000,
    "[" * 99 + "]" * 99 + "[",
    "[" * 4_000 + "]" * 4_000,
    "{'a':" * 120 + "1" + "}" * 120,
    "x" + "[0]" * 3_000,
    "x" + ".a" * 4_000,
    "x" + "**x" * 3_000,
    "x" + "+x" * 4_999,
    "x" + " and x" * 1_600 + " or",
    "x if x else " * 700 + "x",
    "len(" * 200 + "s" + ")" * 200,
    "[" + "x," * 4_000 + "]",
    "{{ " + "(" * 60 + "x" + ")" * 60 + " }}",
    "{{ " + "not " * 2_000 + "x }}",
    "{{ " + "-" * 4_500 + "1 }}",
    "{{ x" + " | string" * 900 + " }}",
    "{{ x" + ".a" * 2_000 + " }}",
    "{{ x" + " ~ x" * 2_000 + " }}",
    "{{ x" + " ** x" * 1_500 + " }}",
    "{{ " + "x if x else " * 700 + "x }}",
    "'{{x+x}}" + "{{x}}" * 1_998 + "'",
    " " * 10_001,
    "x" * 10_001,
    "",
    "   \n ",
    "{{",
    "}}",
    "x.",
    ".x",
    "x..y",
    "..0",
    "x.(y)",
    "x[",
    "x[]",
    "x[0",
    "x)",
    "x) or (x",
    "[x)",
    "$",
    "$$x",
    "$1",
]  # fmt: skip


@pytest.mark.parametrize("text", REACHING_PYTHON + REACHING_JINJA + STRANGE_TEXT)
def test_is_refused_before_anything_runs(text: str) -> None:
    def lookup(name: str) -> Any:
        raise AssertionError("parsing asks for no value")

    with pytest.raises(ExpressionSyntaxError) as caught:
        evaluate(parse_condition(text), lookup)
    error = caught.value
    assert 0 <= error.offset <= error.end_offset <= len(text)
    assert len(error.message) < 1_000


def test_the_corpus_is_large_and_has_no_text_twice() -> None:
    corpus = REACHING_PYTHON + REACHING_JINJA + STRANGE_TEXT
    assert len(corpus) == len(set(corpus)) > 200


@pytest.mark.parametrize(
    "text",
    [
        "9**9**9**9",
        "10**101",
        "2**(10**90)",
        "2**-(10**90) > 'a'",
        "x**100000000",
        "(-8)**0.5 == 1",
        "huge * huge",
        "huge ** 2",
        "huge + 1.0",
        "10**99 * 10**99",
        "1.0 * huge",
        "2.0 ** 100000",
        "round(5, -10**9)",
        "round(5, 10**90)",
        "{{ 5 | round(-1000000000) }}",
        "{{ 5 | round(1000000000, 'ceil') }}",
        "{{ 5 | round(1, 'nothing') }}",
        "round(float('inf'))",
        "round(float('nan'))",
        "int(float('inf'))",
        "int('9' * 5000)",
        "int('9' * 300)",
        "float('9' * 1000000)",
        "{{ ('9' * 5000) | int }}",
        "str(huge)",
        "{{ huge ~ 'a' }}",
        "int(huge)",
        "1 / 0",
        "x // 0",
        "x % 0.0",
        "0 ** -1",
        "'a' * 10**8",
        "'a' * 10**90",
        "10**8 * 'a'",
        "[0] * 10**6",
        "[[]] * 10**90",
        "long + long",
        "long * 2",
        "{{ long ~ long }}",
        "'{{ long }}{{ long }}' == s",
        "many + many",
        "many * 2",
        "str([long, long])",
        "{{ [long, long] | join }}",
        "{{ many | join(long) }}",
        "{{ (many * 1) | join(',' * 1000) }}",
        "{{ ('[' * 100000) | from_json }}",
        "{{ 'NaN' | from_json }}",
        "{{ ('9' * 5000) | from_json }}",
        "{{ template | from_json }}",
        "{{ (long ~ '        ') | trim(long) }}",
        "'%s' % s",
        "'%99999999999d' % x",
        "'%(a)s' % d",
        "s % d",
        "s - s",
        "s < x",
        "None < x",
        "-s",
        "+items",
        "d < d",
        "d + d",
        "items + s",
        "s + x",
        "x in x",
        "x in s",
        "items in d",
        "{x: 1}",
        "{items: 1}",
        "d[items]",
        "items[1.5]",
        "items[x:s]",
        "items[::0]",
        "d[0:1]",
        "x[0]",
        "len(x)",
        "lower(x)",
        "startswith(s, x)",
        "sum(items)",
        "sum(s)",
        "max([])",
        "min(x)",
        "max(s, x)",
        "any(x)",
        "int(s)",
        "int(None)",
        "float(items)",
        "abs(s)",
        "d.get(items)",
        "x.get('a')",
        "s.keys()",
        "unknown > 1",
        "unknown.a.b > 1",
        "d.missing == 1",
        "d['__class__'] == 1",
        "s['__class__'] == 1",
        "d[name] == 1",
        "items[7] == 1",
        "[unknown]",
        "str(unknown)",
        "'{{ unknown }}' == ''",
        "{{ unknown | length }}",
        "{{ [] | first | upper }}",
        "{{ unknown is string }}",
        "unknown is None",
        "-unknown",
        "unknown + 1",
        "1 in unknown",
        "items[unknown] is defined",
        "x if unknown > 1 else x",
    ],
)
def test_is_refused_with_a_reason_while_it_is_worked_out(text: str) -> None:
    expression = parse_condition(text)
    with pytest.raises(ConditionError) as caught:
        evaluate(expression, DATA.__getitem__)
    assert 0 < len(caught.value.message) < 1_000
    assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("code", DATA["code"]),
        ("'{{ code }}' == code", True),
        ("'{{ template }}'", "{{ 7 * 7 }}"),
        ("{{ template }}", "{{ 7 * 7 }}"),
        ("'{{ template }}' == '49'", False),
        ("'__class__' in d", False),
        ("d.class", "c"),
        ("d.get('__class__')", None),
        ("d.get(name, 1)", 1),
        ("d['__class__'] is defined", False),
        ("s.format is defined", False),
        ("items.append is defined", False),
        ("x.real is defined", False),
        ("s.upper is defined", False),
        ("d.items is defined", False),
        ("'' * 10**90", ""),
        ("'a' * -(10**90)", ""),
        ("items[-10**90:10**90]", ["a", "b"]),
        ("items[10**90] is defined", False),
        ("contains('a' * 900000, 'a' * 400000 + 'b')", False),
        ("sum(many) > 0 and max(many) == 89999 and 89999 in many", True),
        ("many == many and not (many < many)", True),
        ("'\\x7b\\x7b x \\x7d\\x7d'", "{{ x }}"),
        ("r'\\n' == '\\\\n'", True),
        ("float('nan') == float('nan')", False),
        ("10**100 + 1 > 10**100 - 1 if false else 'no'", "no"),
    ],
)
def test_has_a_harmless_value(text: str, value: Any) -> None:
    assert evaluate(parse_condition(text), DATA.__getitem__) == value


def test_values_with_hostile_methods_are_refused() -> None:
    class Hostile:
        secret = "leaked"

        def __bool__(self) -> bool:
            raise AssertionError("called")

        __eq__ = __str__ = __len__ = __iter__ = __bool__  # type: ignore[assignment]
        __hash__ = None  # type: ignore[assignment]

    for text in (
        "h",
        "not h",
        "h == 1",
        "h.secret",
        "len(h)",
        "str(h)",
        "[h]",
        "h in [1]",
        "1 in [h, 2]",
        "'{{ h }}' == ''",
    ):
        with pytest.raises(ConditionError, match="JSON"):
            evaluate(parse_condition(text), {"h": Hostile()}.__getitem__)


def test_values_nested_beyond_reason_are_refused() -> None:
    deep: Any = []
    for _ in range(50_000):
        deep = [deep]
    other: Any = []
    for _ in range(50_000):
        other = [other]
    values = {"a": deep, "b": other}
    assert evaluate(parse_condition("a == b"), values.__getitem__) is True  # equality does not call itself
    for text in ("str(a)", "{{ a ~ '' }}", "{{ a | join }}"):
        with pytest.raises(ConditionError, match="deep"):
            evaluate(parse_condition(text), values.__getitem__)


def test_the_budget_ends_what_goes_through_large_lists_again_and_again() -> None:
    rows = [{"n": number} for number in range(50_000)]
    other = [{"n": number} for number in range(50_000)]
    text = " and ".join(["a == b"] * 100)
    with pytest.raises(ConditionError, match="steps"):
        evaluate(parse_condition(text), {"a": rows, "b": other}.__getitem__)
    needle = {"n": -1}
    with pytest.raises(ConditionError, match="steps"):
        evaluate(parse_condition(" or ".join(["c in a"] * 100)), {"a": rows, "c": needle}.__getitem__)


def test_an_expression_of_the_largest_depth_works_where_the_stack_is_already_deep() -> None:
    text = "[" * 99 + "1" + "]" * 99

    def below(levels: int) -> Any:
        return below(levels - 1) if levels else evaluate(parse_condition(text), DATA.__getitem__)

    assert str(below(150)) == text
    for levels in range(500, 900, 10):  # and near Python's own limit it is one of our errors
        try:
            below(levels)
        except (OrchestratorError, RecursionError) as error:
            if isinstance(error, RecursionError):
                break  # the test itself has no room left


def test_whatever_is_parsed_can_be_checked_and_decided() -> None:
    for text in ("[" * 99 + "x" + "]" * 99, " and ".join(["x"] * 1_000), "x" + "+x" * 98, "-" * 98 + "x"):
        expression = parse_condition(text)
        assert names(expression)
        check_types(expression, {"x": "integer"})
        assert decide(expression, DATA.__getitem__) is True


def test_an_absent_value_tells_why_and_nothing_else() -> None:
    value = evaluate(parse_condition("d.__typename"), DATA.__getitem__)
    assert value == Absent("d has no field '__typename'; it has a, class")
