"""How problems are kept, ordered and shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator_dagster.language.diagnostics import CODES, Diagnostic, Problems, Span, lines_of, render_all


def test_a_problem_reads_as_place_code_message_line_caret_and_next_step() -> None:
    problems = Problems("pipelines/report.yaml", "steps:\n  - id: research\n    tool: web_serch\n")
    problems.add(
        "unknown-tool",
        'step "research" names the tool "web_serch"',
        Span(3, 11, 3, 20),
        step="research",
        suggestion="web_search",
        hint="`orchestrator tools` lists them",
    )
    (found,) = problems
    assert found.render() == (
        'pipelines/report.yaml:3:11: error[unknown-tool] step "research" names the tool "web_serch"; '
        'did you mean "web_search"?\n'
        "  3 |     tool: web_serch\n"
        "    |           ^^^^^^^^^\n"
        "  next: `orchestrator tools` lists them"
    )
    assert found.as_json() == {
        "code": "unknown-tool",
        "severity": "error",
        "message": 'step "research" names the tool "web_serch"',
        "file": "pipelines/report.yaml",
        "line": 3,
        "column": 11,
        "end_line": 3,
        "end_column": 20,
        "step": "research",
        "suggestion": "web_search",
        "hint": "`orchestrator tools` lists them",
    }


def test_problems_come_in_file_order_and_once() -> None:
    problems = Problems("f", "a\nb\nc")
    for line in (3, 1, 2, 3):
        problems.add("unknown-key", "x", Span(line, 1, line, 2))
    problems.add("unknown-key", "y", Span(2, 1, 2, 2), severity="warning")
    assert [(one.span.line, one.message) for one in problems] == [(1, "x"), (2, "x"), (2, "y"), (3, "x")]
    assert len(problems.errors) == 3
    assert [one.message for one in problems.warnings] == ["y"]
    assert render_all(problems).endswith("3 errors, 1 warning")


def test_a_code_that_is_not_documented_cannot_be_used() -> None:
    with pytest.raises(AssertionError):
        Problems("f").add("no-such-code", "x")
    assert all(meaning.endswith(".") for meaning in CODES.values())


def caret(line: str, column: int, end: int) -> tuple[str, str]:
    """The source line and the carets as they are shown, without the margin."""
    found = Diagnostic("unknown-key", "m", "f", Span(1, column, 1, end), source_line=line)
    _, source, carets = found.render().split("\n")
    return source.removeprefix("  1 | "), carets.removeprefix("    | ")


def test_the_caret_stands_below_what_it_means() -> None:
    assert caret("ab cd", 4, 6) == ("ab cd", "   ^^")
    assert caret("\tab", 2, 4) == (" ab", " ^^")
    assert caret("日本 x", 4, 5) == ("日本 x", "     ^")  # two columns each in a terminal
    assert caret("日本 x", 1, 3) == ("日本 x", "^^^^")
    assert caret("ab", 3, 4) == ("ab", "  ^")
    assert caret("ab", 1, 99) == ("ab", "^^")


def test_of_a_long_line_the_part_around_the_place_is_shown() -> None:
    line = "x" * 500 + "HERE" + "y" * 500
    source, carets = caret(line, 501, 505)
    assert len(source) < 200
    start = carets.index("^")
    assert source[start : start + len(carets.strip())] == "HERE"


def test_a_place_that_goes_on_in_the_next_line_is_marked_to_the_lines_end() -> None:
    found = Diagnostic("unknown-key", "m", "f", Span(1, 3, 4, 1), source_line="ab: |")
    assert found.render().endswith("^^^")


@given(st.text("ab\t\n\r\x85\u2028\x0b é"))
def test_lines_joined_are_the_text(text: str) -> None:
    assert "".join(lines_of(text, ends=True)) == text
    assert [line.rstrip("\n\r\x85\u2028") for line in lines_of(text, ends=True)] == lines_of(text)


@given(st.text(max_size=300), st.integers(1, 400), st.integers(1, 400))
def test_any_line_and_place_can_be_shown(line: str, column: int, end: int) -> None:
    shown = Diagnostic("unknown-key", "m", "f", Span(1, column, 1, end), source_line=line.replace("\n", "")).render()
    assert shown.isprintable() or "\n" in shown


def test_every_problem_has_a_next_step() -> None:
    problems = Problems("p.yaml", "retrys: 1\ncache: sometimes\n")
    problems.add("unknown-key", 'there is no key "retrys"', Span(1, 1, 1, 7), suggestion="retries")
    problems.add("wrong-value", "`cache`: expected one of …", Span(2, 8, 2, 17))
    assert [one.hint for one in problems] == [
        'write "retries"', "`orchestrator explain wrong-value` shows a wrong and a right example",
    ]  # fmt: skip
