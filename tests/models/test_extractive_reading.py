"""How the built-in model reads: sentences, documents, wishes, numbers, dates."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator_dagster.models.extractive.text import read_document, split_sentences
from orchestrator_dagster.models.extractive.values import dates, emails, numbers, urls
from orchestrator_dagster.models.extractive.wishes import read_wishes

TREES = """---
title: Street trees and city heat
date: 2024-05-14
---
# Street trees and summer heat

Cities are warmer than the land around them.

## What limits them

Planners should give each tree at least 12 cubic metres of root space.
"""


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("It rose by 3.5 °C. Then it fell.", ["It rose by 3.5 °C.", "Then it fell."]),
        ("Dr. Weber met Prof. A. B. Lee. They spoke.", ["Dr. Weber met Prof. A. B. Lee.", "They spoke."]),
        ("Use oaks, limes, etc. Planes grow fast.", ["Use oaks, limes, etc.", "Planes grow fast."]),
        ("See Fig. 3 for details, e.g. Berlin. Fine.", ["See Fig. 3 for details, e.g. Berlin.", "Fine."]),
        ('She said "Stop!" He left.', ['She said "Stop!"', "He left."]),
        (
            "It works (see below. There is more.) and ends. Yes.",
            ["It works (see below. There is more.) and ends.", "Yes."],
        ),
        ("Das war am 3. Mai 2021. Es war z.B. heiß.", ["Das war am 3. Mai 2021.", "Es war z.B. heiß."]),
        ("In the end it was 2019. Nobody knew.", ["In the end it was 2019.", "Nobody knew."]),
        ("树木降温。城市很热。", ["树木降温。", "城市很热。"]),
        ("Really?! Yes... No.", ["Really?!", "Yes...", "No."]),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text: str, parts: list[str]) -> None:
    assert split_sentences(text) == parts


def test_a_document_keeps_title_fields_and_headings() -> None:
    document = read_document("trees.md", TREES, 0)
    assert document.title == "Street trees and city heat"
    assert document.fields["date"] == "2024-05-14"
    assert "What limits them" in document.headings
    assert [one.section for one in document.sentences if "Planners" in one.text] == ["What limits them"]


def test_the_first_line_of_a_plain_text_may_be_its_title() -> None:
    document = read_document("costs.txt", "What trees cost\n\nA tree costs 800 euros.\n", 0)
    assert document.title == "What trees cost"
    assert [one.text for one in document.sentences] == ["A tree costs 800 euros."]


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("between 3 and 6 sentences", "sentences", (3, 6)),
        ("no more than 80 words", "most_words", 80),
        ("a 150-word abstract", "words", 150),
        ("the five most important keywords", "terms", 5),
        ("the top 7 findings", "items", 7),
        ("one paragraph", "paragraphs", 1),
        ("analyse what these three reports say", "sentences", None),
    ],
)
def test_wishes_are_read(text: str, name: str, value: Any) -> None:
    assert getattr(read_wishes(text), name) == value


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("1,200 trees and 3.5 °C", "en", [1200, 3.5]),
        ("1.200 Bäume und 3,5 Grad", "de", [1200, 3.5]),
        ("3 million euros, $5.2 billion", "en", [3e6, 5.2e9]),
        ("CO2 and PM2.5 in v1.2.3 on 2024-05-01", "en", []),
        ("-4 degrees, from three sites", "en", [-4, 3]),
        ("it cost 60,000.", "en", [60000]),
    ],
)
def test_numbers_are_read_as_people_write_them(text: str, language: str, expected: list[float]) -> None:
    assert [one.value for one in numbers(text, language)] == expected


def test_ranges_and_units_stay_together() -> None:
    low, high = numbers("between 800 and 3,000 euros")
    assert (low.value, low.unit, low.written, high.written) == (800, "euros", *["between 800 and 3,000 euros"] * 2)
    assert [one.written for one in numbers("cooled by 1 to 3 °C or 5%")] == ["1 to 3 °C", "1 to 3 °C", "5%"]


def test_dates_addresses_and_links_are_found() -> None:
    text = "On May 5, 2024, 6 June 2023, 7. Mai 2022, 8 de mayo de 2021, 2020-02-30 (see http://a.b/c_(d)). x.y@z.org."
    assert [day.isoformat() for day, _ in dates(text)] == ["2024-05-05", "2023-06-06", "2022-05-07", "2021-05-08"]
    assert urls(text) == ["http://a.b/c_(d)"]
    assert emails(text) == ["x.y@z.org"]
