"""The nearest name: difflib's answer where there are few names, and bounded work where there are many."""

from __future__ import annotations

import random
from difflib import SequenceMatcher, get_close_matches
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator_dagster import near_names
from orchestrator_dagster.near_names import COMPARED_ALL, NearNames
from orchestrator_dagster.text import nearest_name

WORDS = "read write fetch clean join rank check publish notify score plan draft edit merge split load".split()
NAMES = st.text("abcd_12", min_size=0, max_size=8)


def misspelt(name: str, chance: random.Random) -> str:
    at = chance.randrange(len(name) - 1)
    return chance.choice(
        [name[:at] + name[at + 1 :], name[:at] + "x" + name[at:], name[:at] + name[at + 1] + name[at] + name[at + 2 :]]
    )


@given(NAMES, st.sets(NAMES, max_size=30))
def test_of_few_names_it_is_what_difflib_says(name: str, known: set[str]) -> None:
    expected = get_close_matches(name, sorted(known), n=1)
    assert NearNames(known).nearest(name) == (expected[0] if expected else None)


def test_case_and_dashes_do_not_count() -> None:
    assert nearest_name("Max-Pages", ["max_page", "MAX_PAGES"]) == "MAX_PAGES"
    assert nearest_name("a-b", ["a_b", "A-B"]) == "A-B"
    assert nearest_name("zzz", ["a", "b"]) is None
    assert nearest_name("a", []) is None


@pytest.mark.parametrize("shape", ["{a}_{b}_{n}", "step_{n:05d}", "{n}_{a}"])
def test_of_many_names_the_one_that_was_meant_is_found_by_few_comparisons(
    monkeypatch: pytest.MonkeyPatch, shape: str
) -> None:
    compared = 0

    class Counting(SequenceMatcher):  # type: ignore[type-arg]
        def set_seq1(self, a: Any) -> None:
            nonlocal compared
            compared += a != ""
            super().set_seq1(a)

    monkeypatch.setattr(near_names, "SequenceMatcher", Counting)
    chance = random.Random(7)
    names = sorted({shape.format(a=chance.choice(WORDS), b=chance.choice(WORDS), n=n) for n in range(3_000)})
    known = NearNames(names)
    as_good = 0
    for _ in range(100):
        written = misspelt(chance.choice(names), chance)
        before = compared
        found = known.nearest(written)
        assert compared - before <= 40
        exact = near_names.best_of(written, names) if written not in names else written
        likeness = [SequenceMatcher(None, one or "", written).ratio() for one in (found, exact)]
        as_good += likeness[0] == likeness[1]
        compared = before
    assert as_good >= 95


def test_a_name_like_no_other_of_many_has_none() -> None:
    known = NearNames([f"step_{number}" for number in range(COMPARED_ALL + 1)])
    assert known.nearest("zzzzzz") is None
    assert known.nearest("") is None
    assert known.nearest("step_77") == "step_77"


def test_of_many_that_begin_alike_the_shorter_is_nearer() -> None:
    known = ["gpt-4o-mini", *(f"gpt-4o-mini-{word}-{number}" for word in WORDS for number in range(30))]
    assert nearest_name("gpt-4o-mni", known) == "gpt-4o-mini"
