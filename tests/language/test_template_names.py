"""Which names a template uses, and what is wrong with it before anything is rendered."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator_dagster.language.template_names import read_template, texts_of
from orchestrator_dagster.language.template_text import code_regions, has_template, parts_of, whole_expression


def names(text: str, *dashed: str) -> list[str]:
    reading = read_template(text, frozenset(dashed))
    assert not reading.problems, reading.problems
    return [f"{use}{'?' if use.guarded else ''}" for use in reading.names]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("no template", []),
        ("{{ a }}{{ a }}", ["a"]),
        ("{{ a.b.c[0]['d'].e }}", ["a.b.c[0].d.e"]),
        ("{{ a[i].c }}", ["i", "a"]),
        ("{{ a[b.c] }}", ["b.c", "a"]),
        ("{{ a.items() }}", ["a"]),
        ("{{ a.b.get(c) }}", ["a.b", "c"]),
        ("{{ a | join(b) }}", ["a", "b"]),
        ("{{ a ~ b + c * d }}", ["a", "b", "c", "d"]),
        ("{{ a if b else c }}", ["b", "a", "c"]),
        ("{{ [a, {'k': b}] }}", ["a", "b"]),
        ("{{ f(*a, **b) }}".replace("f(", "range("), ["a", "b"]),
        (
            "{% for x in a.b %}{{ x.y }}{{ loop.index }}{{ c }}{% else %}{{ d }}{% endfor %}",
            ["a.b", "a.b[0].y", "c", "d"],
        ),
        ("{% for x in a %}{% endfor %}{{ x }}", ["a", "x"]),
        ("{% for k, v in a.items() if k != b %}{{ v }}{% endfor %}", ["a", "b"]),
        ("{% set x = a %}{{ x }}{% set ns = namespace(n=b) %}{% set ns.n = c %}{{ ns.n }}", ["a", "b", "c"]),
        ("{% set x %}{{ a }}{% endset %}{{ x }}", ["a"]),
        ("{% macro m(p, q=a) %}{{ p }}{{ q }}{{ b }}{{ varargs }}{% endmacro %}{{ m(c) }}", ["a", "b", "c"]),
        ("{% with x = a %}{{ x }}{{ b }}{% endwith %}", ["a", "b"]),
        ("{% filter upper %}{{ a }}{% endfilter %}", ["a"]),
        ("{% if a %}{{ b }}{% elif c %}{{ d }}{% endif %}", ["a", "b", "c", "d"]),
        ("{% raw %}{{ a }}{% endraw %}{# {{ b }} #}{{ 'c' }}", []),
        ("{{ $a }} $b", ["a"]),
        ("{{ now() }}{{ range(a) }}{{ dict(b=c) }}", ["a", "c"]),
        ("{{ a-b }}", ["a", "b"]),
    ],
)
def test_names_are_found(text: str, found: list[str]) -> None:
    assert names(text) == found


def test_dashed_steps_are_one_name() -> None:
    assert names("{{ a-b.c }} {{ steps.a-b.d }} {{ results.a-b }} {{ x-y }}", "a-b") == [
        "a_b.c", "steps.a_b.d", "results.a_b", "x", "y",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{{ a | default('x') }}", ["a?"]),
        ("{{ a.b | d(c) }}", ["a.b?", "c"]),
        ("{{ (a | upper) | default('x') }}", ["a"]),  # `upper` needs the value
        ("{{ a is defined }}", ["a?"]),
        ("{{ a is not defined }}", ["a?"]),
        ("{% if a is defined %}{{ a.b }}{{ c }}{% else %}{{ a }}{% endif %}", ["a?", "a.b?", "c", "a"]),
        ("{% if a is not defined %}{{ b }}{% else %}{{ a }}{% endif %}", ["a?", "b"]),
        ("{% if a is undefined %}{{ b }}{% elif c %}{{ a.d }}{% endif %}", ["a?", "b", "c", "a.d?"]),
        ("{% if a is defined and b %}{{ a }}{{ b }}{% endif %}", ["a?", "b"]),
        ("{% if a is defined or b %}{{ a }}{% endif %}", ["a?", "b", "a"]),
        ("{{ a if a is defined else 'x' }}", ["a?"]),
        ("{{ 'x' if not a is defined else a }}", ["a?"]),
        ("{{ a is defined and a.b > 1 }}", ["a?", "a.b?"]),
        ("{{ a is not defined or a.b }}", ["a?", "a.b?"]),
        ("{{ a or 'x' }}", ["a"]),  # absent values may stand there, unknown names not
    ],
)
def test_what_is_guarded(text: str, found: list[str]) -> None:
    assert names(text) == found


@pytest.mark.parametrize(
    ("text", "code", "said", "suggestion"),
    [
        ("{{ a | upcase }}", "unknown-filter", 'there is no filter "upcase"', None),
        ("{{ a | slugfy }}", "unknown-filter", 'there is no filter "slugfy"', "slugify"),
        ("{{ a is defind }}", "unknown-filter", 'there is no test "is defind"', "defined"),
        ("{{ a | _tick }}", "unknown-filter", 'there is no filter "_tick"', None),
        ("{{ foo(a) }}", "unknown-name", 'there is no function "foo"', None),
        ("{{ slugify(a) }}", "unknown-name", 'there is no function "slugify"', "slugify"),
        ("{{ lipsum() }}", "unknown-name", 'there is no function "lipsum"', "sum"),
        ("{{ caller() }}", "unknown-name", 'there is no function "caller"', None),
        ("{{ _tick('a') }}", "unknown-name", 'there is no function "_tick"', None),
        ("{{ now }}", "unknown-name", '"now" is a function: call it', None),
        ("{{ a", "template-syntax", "the template cannot be parsed", None),
        ("{{ a }} {% if a %}", "template-syntax", "the template cannot be parsed", None),
        ("{{ a b }}", "template-syntax", "the template cannot be parsed", None),
        ("{# a", "template-syntax", "the template cannot be parsed", None),
        ("{% nope %}", "template-syntax", 'there is no tag "nope"', None),
        ("{% include 'x' %}", "template-syntax", "{{ file:path }}", None),
        ("{% import 'x' as y %}", "template-syntax", "{{ file:path }}", None),
        ("{{ " + "(" * 5000 + "a" + ")" * 5000 + " }}", "template-syntax", "nested too deeply", None),
        ("{% for x in a %}" * 25 + "{% endfor %}" * 25, "template-syntax", "blocks stand in each other", None),
    ],
)
def test_problems(text: str, code: str, said: str, suggestion: str | None) -> None:
    (problem,) = read_template(text).problems
    assert (problem.code, problem.suggestion) == (code, suggestion)
    assert said in problem.message


def test_included_files() -> None:
    reading = read_template("{{ file:a.md }} << b/c.txt >> {{- file: d.md -}} {% raw %}{{ file:e.md }}{% endraw %}")
    assert reading.includes == ("a.md", "b/c.txt", "d.md")
    assert reading.names == ()


def test_texts_of_a_tree_have_their_paths() -> None:
    tree = {"a": ["x", {"b": "y"}], "{{ k }}": 3, "n": 1}
    assert list(texts_of(tree)) == [(("a", 0), "x"), (("a", 1, "b"), "y"), (("{{ k }}",), "{{ k }}")]


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("{{ a }}", " a "),
        (" {{a}}\n", "a"),
        ("{{- a -}}", " a "),
        ("{{ {'a': {'b': 1}} }}", " {'a': {'b': 1}} "),
        ("{{ '}}' ~ \"{{\" }}", " '}}' ~ \"{{\" "),
        ("{{ a }}{{ b }}", None),
        ("{{ a }} b", None),
        ("b {{ a }}", None),
        ("{{ a", None),
        ("{% if a %}{% endif %}", None),
        ("{{ a }} {# b #}", None),
        ("", None),
        (3, None),
    ],
)
def test_a_whole_expression(text: object, expression: str | None) -> None:
    assert whole_expression(text) == expression


SIGNS = st.text("{}%#'\"\\ab-$ \n()[]<>.|", max_size=60)


@given(SIGNS)
@example("{{ '" + "'" * 30)
@example("{% raw %}{{ a }}{% endraw")
@settings(max_examples=500, deadline=None)
def test_parts_joined_are_the_text_and_nothing_crashes(text: str) -> None:
    assert "".join(part for _, part in parts_of(text)) == text
    assert all(text[one.start : one.start + 2] == one.opening for one in code_regions(text))
    reading = read_template(text, frozenset(("a-b",)))
    assert has_template(text) or not (reading.names or reading.problems)
