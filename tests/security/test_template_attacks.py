"""Templates that try to get out of the sandbox, to fill the memory or to run forever: all refused, all bounded."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator_dagster.errors import TemplateError
from orchestrator_dagster.language import templates
from orchestrator_dagster.language.template_limits import MAX_TEXT
from orchestrator_dagster.language.templates import render

NAMES = {"text": "abc", "number": 3, "rows": [1, 2], "row": {"a": 1}, "render": render}


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__ }}", "{{ ''.__class__.__mro__[1].__subclasses__() }}", "{{ text['__class__'] }}",
        "{{ text | attr('__class__') }}", "{{ text | attr('__cl' ~ 'ass__') }}", "{{ '{0.__class__}'.format(text) }}",
        "{{ '{0.__class__.__mro__}' | format(text) ~ '{0.__class__}'.format(text) }}", "{{ '{a.__class__}'.format_map(row) }}",
        "{{ rows.__len__() }}", "{{ range.__self__ }}", "{{ dict.mro() }}", "{{ dict.__base__ }}", "{{ now.__globals__ }}",
        "{{ namespace.__init__.__globals__ }}", "{{ self.__init__ }}", "{{ self._TemplateReference__context }}",
        "{{ render.__globals__ }}", "{{ render.__code__ }}", "{{ render.__kwdefaults__ }}", "{{ cycler.__init__ }}",
        "{{ joiner.__init__ }}", "{{ lipsum.__globals__ }}", "{{ caller() }}", "{{ config }}", "{{ request }}", "{{ g }}",
        "{{ get_flashed_messages.__globals__ }}", "{{ ().__class__.__bases__[0] }}", "{{ (1).__class__ }}",
        "{{ 1.0.as_integer_ratio() }}", "{{ number.__class__ }}", "{{ number.real.__class__ }}",
        "{% for c in [].__class__.__base__.__subclasses__() %}{{ c }}{% endfor %}",
        "{% macro m() %}{{ caller.__globals__ }}{% endmacro %}{% call m() %}{% endcall %}",
        "{% for i in rows %}{{ loop.__class__ }}{% endfor %}", "{% set x = namespace() %}{% set x.__class__ = 1 %}{{ x.__class__ }}",
        "{{ rows | map(attribute='__class__') | list }}", "{{ [text] | groupby('__class__') | list }}",
        "{{ [text] | map('attr', '__class__') | list }}", "{{ [text] | sum(attribute='__class__') }}",
        "{{ rows.append(3) }}", "{{ rows.clear() }}", "{{ row.update({'b': 1}) }}", "{{ row.pop('a') }}", "{{ rows.sort() }}",
        "{% do rows.append(1) %}", "{% do row.setdefault('b', 1) %}", "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}{{ os }}", "{% from 'os' import system %}", "{% extends 'x' %}", "{{ text.encode() }}",
        "{{ text.translate({97: 'xx'}) }}", "{{ text.format_map(row) }}", "{{ number.to_bytes(3, 'big') }}", "{{ x.y.z() }}",
    ],
)  # fmt: skip
def test_nothing_leads_out_of_the_sandbox(text: str) -> None:
    with pytest.raises(TemplateError):
        render(text, NAMES)
    assert NAMES["rows"] == [1, 2]
    assert NAMES["row"] == {"a": 1}


GROW = "{{% set n = namespace(x={start}) %}}{{% for i in range(200) %}}{{% set n.x = {step} %}}{{% endfor %}}{{{{ n.x {end} }}}}"
BOMBS = [
    "{{ 'a' * 10**9 }}", "{{ 10**9 * 'a' }}", "{{ 'a' * 1000000000 }}", "{{ [0] * 10**9 }}", "{{ (0,) * 10**9 }}",
    "{{ 9 ** 999999 }}", "{{ 'x'.center(10**9) }}", "{{ 'x'.ljust(10**9) }}", "{{ 'x'.zfill(10**9) }}",
    "{{ '\\t'.expandtabs(10**9) }}", "{{ ('\\t' * 10000).expandtabs(100000) }}", "{{ 'x' | center(10**9) }}",
    "{{ 'x' | indent(10**9, true) }}", "{{ ('a\\n' * 1000000) | indent(1000) }}", "{{ 'a' | indent('b' * 1000000, true) }}",
    "{{ '{:>1000000000}'.format(1) }}", "{{ '{:{}}'.format(1, 10**9) }}", "{{ '%1000000000d' | format(1) }}",
    "{{ '%*d' | format(10**9, 1) }}", "{{ '%.1000000000f' | format(1.5) }}", "{{ [1] | batch(10**9, 0) | list }}",
    "{{ [1] | slice(10**9) | list }}", "{{ 1.5 | round(10**9, 'ceil') }}", "{{ range(10**12) | list }}",
    "{{ ('a' * 1000000) | replace('a', 'b' * 1000000) }}", "{{ ('a' * 1000000).replace('a', 'b' * 1000000) }}",
    "{{ ('a' * 1000000) | replace('', 'b' * 1000) }}", "{{ (['a'] * 100000) | join('b' * 1000000) }}",
    "{{ ('b' * 1000000).join(['a'] * 100000) }}", "{{ ['a' * 1000000] * 100000 }}", "{{ [1] | to_json(10**9) }}",
    "{{ [1] | tojson(indent=10**9) }}", "{{ ('a' * 100000) | regex_replace('a', 'b' * 1000) }}",
    "{{ ('a ' * 90000) | wordwrap(1, wrapstring='b' * 100000) }}", "{{ 'http://a.b ' * 1000 | urlize(rel='x' * 1000000) }}",
    "{{ (range(100000) | map('default', 'x', true) | map('center', 1000) | list) ~ '' }}",
    "{{ ['a' * 1000000] | map('replace', 'a', 'b' * 1000) | list }}",
    "{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}",
    "{% for i in range(100000) %}{{ 'a' * 1000 }}{% endfor %}",
    "{% set x %}{% for i in range(100000) %}{{ 'a' * 10000 }}{% endfor %}{% endset %}{{ x }}",
    GROW.format(start="[1]", step="[n.x, n.x]", end=""),
    GROW.format(start="[1]", step="[n.x, n.x]", end="| string"),
    GROW.format(start="[1]", step="[n.x, n.x]", end="| upper"),
    GROW.format(start="[1]", step="(n.x, n.x)", end="| pprint"),
    GROW.format(start="[1]", step="{'a': n.x, 'b': n.x}", end="| to_yaml"),
    GROW.format(start="[1]", step="dict(a=n.x, b=n.x)", end="| to_json"),
    GROW.format(start="[1]", step="n.x + n.x", end=""),
    GROW.format(start="[1]", step="(n.x * 2)", end=""),
    GROW.format(start="[[1, 1]]", step="[n.x] * 2", end=""),
    GROW.format(start="'ab'", step="n.x ~ n.x", end=""),
    GROW.format(start="'ab'", step="n.x + n.x", end=""),
    GROW.format(start="'ab'", step="n.x | replace('a', 'aa')", end=""),
    GROW.format(start="10", step="n.x * n.x", end=""),
    GROW.format(start="[]", step="n.x + ['a' * 9000000 ~ i]", end="| length"),
    GROW.format(start="[]", step="n.x + [('a' * 9000000) | upper]", end="| length"),
    GROW.format(start="[]", step="n.x + [('a' * 9000000).lower()]", end="| length"),
    GROW.format(start="[]", step="n.x + [('a' * 9000000)[1:]]", end="| length"),
    "{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(1) }}",
    "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(100) }}",
    "{% macro f(n, s) %}{{ f(n + 1, s ~ n) }}{% endmacro %}{{ f(1, 'a' * 9000000) }}",
    "{% for x in rows recursive %}{{ loop(rows) }}{% endfor %}",
    "{{ ('a' * 40 ~ 'b') | regex_search('(a+)+$') }}", "{{ ('a' * 40 ~ 'b') | regex_search('(a|aa)+$') }}",
    "{{ ('a' * 40) | regex_replace('(a*)*b', '') }}", "{{ ('a' * 40) | regex_search('((a{1,40}){1,40})$') }}",
    "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "{{ " + "-" * 50000 + "1 }}", "{{ " + "[" * 3000 + "]" * 3000 + " }}",
    "{{ 1" + " ~ 1" * 20000 + " }}" + "{{ nope }}", "{% if 1 %}" * 200 + "{% endif %}" * 200 + "{{ nope }}",
    "{% for a in rows %}" * 30 + "{% endfor %}" * 30,
]  # fmt: skip

RUN = """
import resource, sys, time
from orchestrator_dagster.errors import TemplateError
from orchestrator_dagster.language import templates
templates.MAX_SECONDS = 0.2
texts = {texts!r}
for number, text in enumerate(texts):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        found = templates.render(text, {{"rows": [1, 2]}})
        print(f"{{number}} was rendered: {{str(found)[:80]}}")
    except TemplateError as error:
        assert len(error.message) < 1000, error.message[:200]
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    if grown > 400_000:
        print(f"{{number}} took {{grown // 1000}} MB")
"""


@pytest.mark.slow
def test_bombs_are_refused_in_little_memory(tmp_path: Path) -> None:
    # In a process of its own: one that does fill the memory is killed there, and says which one it was.
    limit = 1500 * 1024 * 1024

    def bounded() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CPU, (120, 120))

    script = tmp_path / "bombs.py"
    script.write_text(RUN.format(texts=BOMBS))
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, preexec_fn=bounded, check=False
    )
    assert done.stderr[-2000:] == ""
    assert done.stdout == ""
    assert done.returncode == 0


def test_a_render_that_takes_too_long_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "MAX_SECONDS", 0.05)
    with pytest.raises(TemplateError, match=r"ran for more than 0\.05 seconds"):
        render("{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}", {})
    assert render("{{ 1 + 1 }}", {}) == 2  # the next one has its own time


def test_what_is_allowed_is_not_refused() -> None:
    assert len(render("{{ 'a' * 5000000 }}", {})) == 5_000_000
    assert render("{{ 2 ** 64 }}", {}) == 2**64
    rows = [{"n": n, "text": "x" * 50} for n in range(20_000)]
    assert render("{{ rows }}", {"rows": rows}) == rows
    assert render("{{ rows | map(attribute='n') | sum }}", {"rows": rows}) == sum(range(20_000))
    assert len(render("{% for row in rows %}{{ row.n }}: {{ row.text }}\n{% endfor %}", {"rows": rows})) > 1_000_000
    assert render("{{ ('word ' * 50) | regex_search('(\\\\w+\\\\s)+') }}", {}) == "word "
    with pytest.raises(TemplateError, match="more than 10,485,760 characters"):
        render("{{ x }}{{ x }}", {"x": "a" * (MAX_TEXT - 5)})
