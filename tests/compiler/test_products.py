"""Products: formats, paths, keys, collisions, and what they are made from."""

from __future__ import annotations

from collections.abc import Callable

import dagster as dg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator_dagster.compiler.compile import Compilation
from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.compiler.products import SUFFIXES
from orchestrator_dagster.language.diagnostics import Diagnostic

Compile = Callable[[str], CompiledPipeline]
Only = Callable[[str], Diagnostic]


def step(products: str) -> str:
    return f"steps: [{{id: a, prompt: x, vars: {{v: text, w: text}}, products: {products}}}]"


@pytest.mark.parametrize(("format", "suffix"), [(name, suffix) for name, all_ in SUFFIXES.items() for suffix in all_])
def test_the_suffix_decides_the_format(compiled: Compile, format: str, suffix: str) -> None:
    assert compiled(step(f"{{v: 'out/{{{{ w }}}}{suffix.upper()}'}}")).products[0].format == format


def test_a_format_that_is_said_wins(compiled: Compile) -> None:
    assert compiled(step("{v: {path: '{{ w }}', format: json}}")).products[0].format == "json"


def test_keys_owners_and_tags(compiled: Compile) -> None:
    pipeline = compiled(
        "owners: [team:a]\ntags: {x: a, y: b}\n"
        + step(
            "[v: v.md, w: {path: w.md, key: research/quality, owners: [me@example.com], tags: {y: c}, kinds: [html]}]"
        )
    )
    first, second = pipeline.products
    assert (first.key, first.owners, first.tags) == (("p", "v"), ("team:a",), {"x": "a", "y": "b"})
    assert (second.key, second.owners, second.tags) == (
        ("research", "quality"),
        ("me@example.com",),
        {"x": "a", "y": "c"},
    )
    assert second.kinds == ("html",)


@pytest.mark.parametrize(
    ("products", "code", "needle"),
    [
        ("{v: ../v.md}", "product-path", "../v.md"),
        ("{v: a/../../v.md}", "product-path", "a/../../v.md"),
        ("{v: /tmp/v.md}", "product-path", "/tmp/v.md"),
        ("{v: ~/v.md}", "product-path", "~/v.md"),
        ("{v: {path: out/, format: md}}", "product-path", "out/"),
        ("{v: {path: '', format: md}}", "product-path", "''"),
        ("{v: {path: ., format: md}}", "product-path", "."),
        ("{v: {path: './', format: md}}", "product-path", "'./'"),
        ('{v: "a\\0.md"}', "product-path", '"a\\0.md"'),
        ("{v: {path: v.md, format: doc}}", "product-format", "doc"),
        ("{v: v}", "product-format", "v"),
        ("{v: v.doc}", "product-format", "v.doc"),
        ("{v: '{{ w }}'}", "product-format", "'{{ w }}'"),
        ("{x: x.md}", "unknown-variable", "x"),
        ("{v: {path: v.md, key: [p, run]}}", "reserved-name", "[p, run]"),
        ("{v: {path: v.md, key: []}}", "dagster-name", "[]"),
        ("{v: {path: v.md, key: ['a/b']}}", "dagster-name", "['a/b']"),
        ("{v: {path: v.md, kinds: ['a b']}}", "dagster-name", "'a b'"),
        ("{v: {path: v.md, kinds: [a, b, c, d]}}", "dagster-name", "[a, b, c, d]"),
        ("{v: v.md, w: V.md}", "product-collision", "V.md"),
        ("{v: v.md, w: ./v.md}", "product-collision", "./v.md"),
        ("{v: {path: v.md, key: k}, w: {path: w.md, key: k}}", "product-collision", "k"),
    ],
)
def test_what_is_wrong_with_a_product(only: Only, products: str, code: str, needle: str) -> None:
    problem = only(step(products))
    assert problem.code == code
    line = str(problem.source_line)
    assert line[problem.span.column - 1 : problem.span.end_column - 1].strip("'\"") == needle.strip("'\"")
    assert problem.hint


def test_a_product_of_several_variables_is_said_to_be_one_object(only: Only) -> None:
    assert str(only(step("{all: all.json}")).hint).endswith("one variable: `all: {type: object, properties: …}`")
    mistyped = only("steps: [{id: a, prompt: x, vars: {text: text, note: text}, products: {txt: t.md}}]")
    assert mistyped.suggestion == "text"
    assert mistyped.hint == "its variables: text, note"


def test_the_run_is_no_variable_of_a_product(only: Only) -> None:
    problem = only("steps: [{id: a, prompt: x, vars: {run: text}, products: {run: r.md}}]")
    assert problem.code == "reserved-name"
    assert "[p, run]" in problem.message


def test_products_are_made_from_the_nearest_products(compiled: Compile) -> None:
    pipeline = compiled(
        'steps: [{id: a, prompt: x, products: {va: a.md}}, {id: b, prompt: "{{ a }}"}, {id: c, prompt: x, products: {vc: c.md}},\n'
        '  {id: d, prompt: "{{ b }} {{ c }}", products: {vd: d.md}}, {id: e, prompt: "{{ d }} {{ b }}", products: {ve: e.md}}]'
    )
    found = {product.variable: product.upstream for product in pipeline.products}
    assert found == {"va": (), "vc": (), "vd": (("p", "va"), ("p", "vc")), "ve": (("p", "va"), ("p", "vd"))}


NAMES = st.text("ab:@.-_/+% é\nZ", max_size=12)


@given(st.one_of(NAMES, NAMES.map("team:".__add__), NAMES.map("a@{}.org".format), NAMES.map("x@y.{}".format)))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_owners_are_what_dagster_takes(compilation: Callable[[str], Compilation], owner: str) -> None:
    import json

    try:
        dg.AssetSpec("a", owners=[owner])
        taken = True
    except dg.DagsterInvalidDefinitionError:
        taken = False
    text = f"default_model: builtin:extractive\nowners: [{json.dumps(owner)}]\nsteps: [{{id: a, prompt: x}}]"
    assert (compilation(text).pipeline is not None) == taken


@given(
    st.text("ab/.-_ é", max_size=5),
    st.text("ab/.-_ é:", max_size=5),
    st.sampled_from(["", "x" * 63, ".dagster/", "dagster/kind/"]),
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_tags_are_what_dagster_takes(
    compilation: Callable[[str], Compilation], key: str, value: str, before: str
) -> None:
    import json

    key = before + key
    try:
        dg.AssetSpec("a", tags={key: value})
        taken = True
    except (dg.DagsterInvalidDefinitionError, dg.DagsterInvariantViolationError):
        taken = False
    text = f"default_model: builtin:extractive\ntags: {json.dumps({key: value})}\nsteps: [{{id: a, prompt: x}}]"
    assert key == "" or (compilation(text).pipeline is not None) == taken
