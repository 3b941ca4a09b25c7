"""Reading YAML: what the scalars are, where every node stands, what is refused, and that nothing makes it crash."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator_dagster.language import document as document_module
from orchestrator_dagster.language.diagnostics import Span
from orchestrator_dagster.language.document import MAX_BYTES, MAX_DEPTH, MAX_NODES, Document, read_file, read_text
from orchestrator_dagster.language.nodes import MappingNode, Node, ScalarNode, SequenceNode

REPOSITORY = Path(__file__).resolve().parents[2]
MAIN = REPOSITORY / "pipelines" / "research_report.yaml"


def value(text: str) -> Any:
    document, problems = read_text(text, "f.yaml")
    assert not len(problems), [one.render() for one in problems]
    return document.value()


def codes(text: str | bytes) -> list[tuple[str, int, int]]:
    _, problems = read_text(text, "f.yaml")
    return [(one.code, one.span.line, one.span.column) for one in problems]


def under(document: Document, span: Span) -> str:
    """The text of a place within one line."""
    return document.text.splitlines()[span.line - 1][span.column - 1 : span.end_column - 1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *[(word, word) for word in ("on", "off", "yes", "No", "Y", "n", "2026-01-31", "2026-01-31T08:00:00Z", "1:30")],
        *[
            (word, word)
            for word in ("1_000", "0x1F", "0o14", "1.2.3", "-x", ".", "e5", "None", "NaN", "inf", "==", "_1")
        ],
        *[(word, True) for word in ("true", "True", "TRUE", "tRuE")],
        *[(word, False) for word in ("false", "False")],
        *[(word, None) for word in ("", "~", "null", "Null", "NULL")],
        ("nULL", "nULL"),
        ("012", 12),
        ("+3", 3),
        ("-7", -7),
        ("1.", 1.0),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("6.02E-2", 0.0602),
        ('"3"', "3"),
        ("'true'", "true"),
        ("!!str 3", "3"),
        ("! 3", "3"),
        ('!!int "3"', 3),
    ],
)
def test_scalars_follow_the_core_schema(text: str, expected: Any) -> None:
    found = value(f"a: {text}")["a"]
    assert (found, type(found)) == (expected, type(expected))


def test_large_integers_are_exact_and_numbers_that_json_cannot_hold_are_refused() -> None:
    assert value(f"a: {'9' * 300}")["a"] == int("9" * 300)
    for text in (".inf", "-.Inf", ".NaN", "1e999", "9" * 301):
        assert codes(f"a: {text}") == [("yaml-number", 1, 4)]


def test_keys_that_yaml_reads_as_text_need_no_quotes() -> None:
    assert value("'1': a\n!!str 2: b\n2026-01-01: c\non: d\n1.2.3: e\nTrue-ish: f") == {
        "1": "a", "2": "b", "2026-01-01": "c", "on": "d", "1.2.3": "e", "True-ish": "f",
    }  # fmt: skip


@pytest.mark.parametrize("key", ["1", "1.5", "true", "False", "null", "~"])
def test_keys_that_yaml_reads_as_something_else_are_to_be_quoted(key: str) -> None:
    document, problems = read_text(f"a: b\n{key}: c", "f.yaml")
    (problem,) = problems
    assert (problem.code, problem.span.line, problem.hint) == ("yaml-key", 2, f'quote it: "{key}"')
    assert document.value() == {"a": "b", key: "c"}  # so that the rest can be checked


def test_every_node_knows_where_it_stands() -> None:
    text = (
        "id: prüfung\r\n"
        "flow: {größe: [1, 'zwei'], \"drei\": {tief: ja}}\r\n"
        "steps:\r\n"
        "  - id: 日本\r\n"
        "    prompt: |\r\n"
        "      erste 🌍 {{ name }}\r\n"
        "      zweite\r\n"
        "    after: !!str 5\r\n"
    )
    document, problems = read_text(text, "f.yaml")
    assert not len(problems)
    assert under(document, document.span(("id",))) == "prüfung"
    assert under(document, document.span(("flow", "größe", 1))) == "'zwei'"
    assert under(document, document.key_span(("flow", "drei"))) == '"drei"'
    assert under(document, document.span(("flow", "drei", "tief"))) == "ja"
    assert under(document, document.span(("steps", 0, "id"))) == "日本"
    assert under(document, document.key_span(("steps", 0, "after"))) == "after"
    assert document.span(("steps", 0, "prompt")) == Span(5, 13, 8, 1)
    assert document.place_in(("steps", 0, "prompt"), "name") == Span(6, 18, 6, 22)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\x85", "\u2028"])
def test_lines_are_counted_as_yaml_counts_them(end: str) -> None:
    document, problems = read_text(f"a: 1{end}b: 2{end}c: [x", "f.yaml")
    if end in "\x85\u2028":  # for YAML 1.2 these end no line, for libyaml they do; the text still shows the right line
        assert len(problems) == 1
    assert [(one.code, one.source_line) for one in problems] == [("yaml-syntax", "c: [x")]
    assert document.root is None


@given(
    st.recursive(
        st.one_of(
            st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=12),
            st.integers(-(10**12), 10**12),
            st.booleans(),
            st.none(),
            st.floats(allow_nan=False, allow_infinity=False),
        ),
        lambda inner: st.one_of(
            st.lists(inner, max_size=4), st.dictionaries(st.text("abcdé日 .-_", min_size=1), inner, max_size=4)
        ),
        max_leaves=12,
    ),
    st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_every_place_is_where_the_parser_says(data: Any, flow: bool) -> None:
    text = yaml.safe_dump({"top": data}, allow_unicode=True, default_flow_style=flow)
    document, _ = read_text(text, "f.yaml")
    expected: list[tuple[int, int]] = []
    for event in yaml.parse(text, Loader=yaml.SafeLoader):  # the other parser: pure Python
        if isinstance(event, (yaml.ScalarEvent, yaml.SequenceStartEvent, yaml.MappingStartEvent)):
            expected.append((event.start_mark.line + 1, event.start_mark.column + 1))

    def places(node: Node | None) -> list[tuple[int, int]]:
        assert node is not None
        found = [(node.span.line, node.span.column)]
        if isinstance(node, SequenceNode):
            for item in node.items:
                found += places(item)
        elif isinstance(node, MappingNode):
            for key, item in node.pairs.values():
                found += [(key.span.line, key.span.column), *places(item)]
        return found

    if not len(_problems(text)):
        assert places(document.root) == expected


def _problems(text: str) -> Any:
    return read_text(text, "f.yaml")[1]


def test_the_pure_python_parser_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    data = MAIN.read_bytes()
    fast, _ = read_text(data, "f.yaml")
    monkeypatch.setattr(document_module, "_LOADER", yaml.SafeLoader)
    slow, problems = read_text(data, "f.yaml")
    assert not len(problems)
    assert fast.value() == slow.value()
    assert fast.span(("steps", 8, "parameters", "sections", 1)) == slow.span(("steps", 8, "parameters", "sections", 1))


def test_anchors_and_merge_keys() -> None:
    text = "base: &base {a: 1, b: 2}\nmore: &more {b: 3, c: 4}\none:\n  <<: [*base, *more]\n  a: 9\ntwo: *base\n"
    document, problems = read_text(text, "f.yaml")
    assert not len(problems)
    assert document.value()["one"] == {"a": 9, "b": 2, "c": 4}
    assert document.value()["two"] == {"a": 1, "b": 2}
    assert under(document, document.span(("one", "c"))) == "4"  # where it was written
    assert document.span(("one", "c")).line == 2
    assert codes("a: &a [*a]") == [("yaml-alias", 1, 8)]
    assert codes("a: *nowhere") == [("yaml-alias", 1, 4)]
    assert codes("a:\n  <<: [1]") == [("wrong-type", 2, 8)]


def test_lists_of_one_key_maps_are_walked_like_maps() -> None:
    document, _ = read_text("inputs:\n  - topic: a\n  - style: {default: b}\n  - bare\n", "f.yaml")
    assert document.span(("inputs", "style", "default")).line == 3
    assert document.key_span(("inputs", "topic")) == Span(2, 5, 2, 10)
    assert document.key_span(("inputs", "bare")).line == 4
    assert not document.has(("inputs", "none"))


def test_a_path_that_does_not_exist_gives_the_nearest_place() -> None:
    document, _ = read_text("steps:\n  - id: a\n    x: 1\n", "f.yaml")
    assert document.span(("steps", 0, "parameters", "id")).line == 2
    assert document.key_span(("steps", 0, "parameters", "id")) == document.span(("steps", 0))  # not the step's own id
    assert document.span(("steps", 7, "id")) == document.span(("steps",))
    assert document.span(()) == Span(1, 1, 4, 1)


def test_words_are_found_in_templates_before_prose() -> None:
    text = 'p: "findings: {{ other.findings }} {{ findings }}"\nq: >\n  about x\n  {{ a.b }} and {{ c.b }}\nr: b\n'
    document, _ = read_text(text, "f.yaml")
    assert document.place_in(("p",), "findings").column == 39
    assert document.place_in(("p",), "findings", "other").column == 24
    assert document.place_in(("q",), "b", "c") == Span(4, 22, 4, 23)
    assert document.place_in(("q",), "about") == Span(3, 3, 3, 8)
    assert document.place_in(("q",), "r") == document.span(("q",))  # the next key is no part of the block


@pytest.mark.parametrize(
    "text",
    ["", "   \n\n", "# only a comment\n", "---\n", "---\n...\n", "null", "~", "\ufeff", "\ufeff# x\n"],
)
def test_a_file_with_nothing_in_it(text: str) -> None:
    document, problems = read_text(text.encode(), "f.yaml")
    assert [one.code for one in problems] == ["yaml-empty"]
    assert document.root is None


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    document, problems = read_text(b"\xef\xbb\xbfid: a", "f.yaml")
    assert document.value() == {"id": "a"}
    assert document.key_span(("id",)).column == 1
    assert not len(problems)


@pytest.mark.parametrize("text", ["a: 1\n---\nb: 2\n", "---\n---\na: 1", "a: 1\n...\n---\nb"])
def test_a_second_document_is_refused(text: str) -> None:
    assert [code for code, _, _ in codes(text)] == ["yaml-documents"]


def test_duplicate_keys_are_refused_and_the_first_stays() -> None:
    document, problems = read_text("a: 1\nb: {c: 1, c: 2}\na: 2\n", "f.yaml")
    assert [(one.span.line, one.span.column) for one in problems] == [(2, 11), (3, 1)]
    assert "first in line 1" in [one.message for one in problems][1]
    assert document.value() == {"a": 1, "b": {"c": 1}}


@pytest.mark.parametrize(
    "tag", ["!custom", "!!python/object:os.system", "!!binary", "!!timestamp", "!!set", "!<tag:x,1:y>"]
)
def test_tags_are_refused(tag: str) -> None:
    assert codes(f"a: {tag} x")[0] == ("yaml-tag", 1, 4)


@pytest.mark.parametrize("text", ["[a]: b", "? {a: b}\n: c", "'': \n? \n: x"])
def test_keys_that_are_no_text(text: str) -> None:
    assert {code for code, _, _ in codes(text)} <= {"yaml-key"}


def test_size_depth_and_aliases_are_bounded(tmp_path: Path) -> None:
    big = tmp_path / "big.yaml"
    big.write_text("a: " + "x" * MAX_BYTES)
    assert [one.code for one in read_file(big)[1]] == ["file-size"]
    assert [code for code, _, _ in codes("a: " + "é" * (MAX_BYTES // 2))] == ["file-size"]
    fits = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert codes(fits) == []
    assert codes(f"[{fits}]") == [("yaml-depth", 1, MAX_DEPTH + 1)]
    assert [code for code, _, _ in codes("a: " + "[" * 200_000)] == ["yaml-depth"]
    block = "".join("  " * level + "a:\n" for level in range(MAX_DEPTH + 5))
    assert [code for code, _, _ in codes(block)] == ["yaml-depth"]


def test_an_alias_bomb_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert [code for code, _, _ in codes("\n".join(lines))] == ["yaml-aliases"]
    merged = ["m0: &m0 {" + ", ".join(f"k{n}: 1" for n in range(1000)) + "}"]
    merged += [f"m{n}: {{<<: *m0}}" for n in range(1, MAX_NODES // 1000 + 2)]
    assert [code for code, _, _ in codes("\n".join(merged))] == ["yaml-aliases"]


def test_aliases_cannot_nest_deeper_than_the_text_may() -> None:
    deep = "[" * 50 + "x" + "]" * 50
    lines = [f"a0: &a0 {deep}"] + [f"a{n}: &a{n} {deep.replace('x', f'*a{n - 1}')}" for n in range(1, 40)]
    assert codes("\n".join(lines))[0][0] == "yaml-depth"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: {{ x }}", (1, 4)),
        ("a: {{x}}", (1, 4)),
        ("a:\n  - {{ x }}", (2, 5)),
        ("a: {p: {{ x }}, q: 1}", (1, 8)),
        ("a: {{ x }}/out", (1, 4)),
        ("a: {{ x }} and {{ y }}", (1, 4)),
        ("a: {{ x[0] }}", (1, 4)),
        ('a: {{ x | default("y") }}', (1, 4)),
        ("a: {{ x", (1, 4)),
        ("é: {{ x }}: b", (1, 4)),
        ("a: {% if x %}y{% endif %}", (1, 4)),
        ("a: text with: {{ x }}", (1, 15)),
        ("m: <AUTO>choose: one</AUTO>", (1, 4)),
    ],
)
def test_an_unquoted_template_is_named(text: str, place: tuple[int, int]) -> None:
    _, problems = read_text(text, "f.yaml")
    assert [(one.code, one.span.line, one.span.column) for one in problems] == [("yaml-unquoted-template", *place)]
    assert all("quotes" in str(one.hint) for one in problems)


def test_an_unquoted_template_is_read_on_as_what_was_meant() -> None:
    document, _ = read_text("a: {{ topic }}\nb: [{{ x }}, 1]\n", "f.yaml")
    assert document.value() == {"a": "{{ topic }}", "b": ["{{ x }}", 1]}


@pytest.mark.parametrize(
    "text",
    [
        'a: {p: "{{ x }}", q: 1\nb: 2',
        "p: |\n  Hello {{ x }}\n bad: 1\n",
        "p: >-  # note\n  - {{ one }}\n    more\n bad",
        'a: "{{ x }}" b',
        "a: 'it's {{ x }}'",
        "a: b # {{ x }}\n\tc: d",
    ],
)
def test_a_quoted_template_is_not_blamed(text: str) -> None:
    assert [code for code, _, _ in codes(text)] == ["yaml-syntax"]


@pytest.mark.parametrize(
    ("text", "place", "said", "hint"),
    [
        ("a:\n\tb: c", (2, 1), "tab", "blanks"),
        ("a: b: c", (1, 5), '": "', "quote"),
        ("a: [1, 2\nb: 3", (1, 4), "not closed", "bracket"),
        ("a: {b: 1\nc: 3", (1, 4), "not closed", "bracket"),
        ('a: "x\nb: 3', (1, 4), "quote is not closed", "close the quote"),
        ("a: @x", (1, 4), "keeps for itself", "quote"),
        ("a:\n  b: 1\n c: 2", (3, 2), "another depth", "indentation"),
        ("- a\nb: c", (2, 1), "dash", "indentation"),
        ("a: 'x' y", (1, 8), "already ended", "quote"),
        ('a: "\\q"', (1, 5), "escape", "\\\\"),
        ("a: - b", (1, 4), "list cannot start", "below its key"),
    ],
)
def test_syntax_errors_say_what_to_do(text: str, place: tuple[int, int], said: str, hint: str) -> None:
    _, problems = read_text(text, "f.yaml")
    (found,) = problems
    assert (found.code, found.span.line, found.span.column) == ("yaml-syntax", *place)
    assert said in found.message
    assert hint in str(found.hint)


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b"a: b\nc: \xff", ("file-encoding", 2, 4)),
        ("é: ä".encode("latin-1"), ("file-encoding", 1, 1)),
        ("a: 1".encode("utf-16"), ("file-encoding", 1, 1)),
        ("é: 日\x00".encode(), ("yaml-syntax", 1, 5)),
        (b"a: 1\nb: \x1b[31m", ("yaml-syntax", 2, 4)),
        (b"a: \x7f", ("yaml-syntax", 1, 4)),
        ("a: \ufeff b".encode(), ("yaml-syntax", 1, 4)),
    ],
)
def test_bytes_that_are_no_text(data: bytes, place: tuple[str, int, int]) -> None:
    assert codes(data) == [place]


def test_control_characters_of_a_broken_file_do_not_reach_the_terminal() -> None:
    _, problems = read_text("a: \x1b]0;title\x07", "f.yaml")
    assert all(sign.isprintable() or sign == "\n" for one in problems for sign in one.render())


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    os.mkfifo(tmp_path / "pipe.yaml")
    for name in ("none.yaml", "folder.yaml", "pipe.yaml"):  # opening the pipe would never return
        document, problems = read_file(tmp_path / name, name)
        assert [one.code for one in problems] == ["file-missing"]
        assert document.root is None


def test_quoted_scalars_are_told_apart() -> None:
    document, _ = read_text("a: 'x'\nb: x\n", "f.yaml")
    quoted = [document.locate((key,))[0] for key in "ab"]
    assert [node.quoted for node in quoted if isinstance(node, ScalarNode)] == [True, False]


@given(st.text(max_size=200))
@example("{{" * 50)
@example("? " * 60)
@example("- " * 100)
@example("&a " * 10 + "*a")
@example("%TAG ! !\n--- !x")
@example("'" * 99)
@example("a: |9\n x")
@settings(max_examples=400, deadline=None)
def test_no_text_makes_it_crash(text: str) -> None:
    _check(text)


@given(st.text("{}[]:,-?&*!|>'\"%@`#~ \n\tab<1.", max_size=120))
@settings(max_examples=600, deadline=None)
def test_no_text_of_yamls_own_signs_makes_it_crash(text: str) -> None:
    _check(text)


@given(st.integers(0, len(MAIN.read_bytes()) - 1), st.binary(max_size=3), st.integers(0, 3))
@settings(max_examples=250, deadline=None)
def test_no_changed_byte_of_a_pipeline_makes_it_crash(place: int, new: bytes, cut: int) -> None:
    data = MAIN.read_bytes()
    _check(data[:place] + new + data[place + cut :])


def _check(text: str | bytes) -> None:
    document, problems = read_text(text, "f.yaml")
    whole = text if isinstance(text, str) else text.decode(errors="replace")
    lines = sum(whole.count(end) for end in "\n\r\x85\u2028\u2029") + 2
    for one in problems:
        assert one.render()
        assert 1 <= one.span.line <= lines
        assert one.span.column >= 1
    assert document.root is not None or problems.errors
    document.value()
