"""Regular expressions that may take forever are told from those that cannot."""

from __future__ import annotations

import pytest

from orchestrator_dagster.language.safe_patterns import check_pattern

FOREVER = [
    "(a+)+$", "(a*)*$", "(a|aa)+$", "(a|a?)+$", "(?:a|b|ab)*$", r"(\w+\s*)+$", "((a+))+$", r"^(([a-z])+.)+[A-Z]([a-z])+$", "(a{1,30}){1,30}$", r"(x+x+)+y", r"([^,]+,?)+;",
]  # fmt: skip
FINE = [
    r"\d+", r"(\d+,)*\d+", r"(\w+\s)+", "(foo|bar)+", r"[a-z]+@[a-z]+\.com", "```(?:json)?\\s*(.*?)```", "(?:a|b)*",
    r"(?P<k>\w+)=(?P<v>[^;]+);", r"(\s|x)+", r"^\d{4}-\d\d-\d\d$", r"(?i)score:\s*(\d+(?:\.\d+)?)", r"(?<=a)b+", "(ab?c)+",
    r"([A-Z][a-z]+ )+[A-Z]", "[éà]+x", r"(?:\d{1,3}\.){3}\d{1,3}", "", "a|b",
]  # fmt: skip


@pytest.mark.parametrize("pattern", FOREVER)
def test_what_may_take_forever_is_refused(pattern: str) -> None:
    assert "may take forever" in str(check_pattern(pattern))


@pytest.mark.parametrize("pattern", FINE)
def test_what_cannot_is_allowed(pattern: str) -> None:
    assert check_pattern(pattern) is None


@pytest.mark.parametrize("pattern", ["(", "[a", "a**", "(?P<1>x)", "\\"])
def test_what_is_no_pattern_is_said(pattern: str) -> None:
    assert str(check_pattern(pattern)).startswith("is no regular expression")
    assert "characters" in str(check_pattern("a" * 3000))
