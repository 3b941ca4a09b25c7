"""The demo data are what data/README.md and the case report say they are."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from statistics import fmean

import pytest

DATA = Path(__file__).parents[1] / "data"
TABLE = DATA / "measurements.csv"
DOCUMENTS = sorted((DATA / "documents").iterdir())
CASE_REPORT = DATA / "documents" / "10-case-lindenau.md"
COLUMNS = [
    "date",
    "time",
    "site",
    "district",
    "surface",
    "tree_cover_percent",
    "air_temperature_c",
    "surface_temperature_c",
    "humidity_percent",
]
HOT_DAYS = {"2025-07-01", "2025-07-02", "2025-08-11", "2025-08-13"}


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def visits(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """The rows without the repeated ones."""
    return list({tuple(row.values()): row for row in rows}.values())


def test_there_are_ten_documents_one_of_them_plain_text() -> None:
    assert Counter(path.suffix for path in DOCUMENTS) == {".md": 9, ".txt": 1}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_a_document_has_a_title_a_fitting_length_and_says_what_it_leaves_open(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        assert re.match(r"# \S.*\n\n", text)
        headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    else:
        # In plain text a heading is a short paragraph that is not a sentence.
        headings = [part for part in text.strip().split("\n\n")[1:] if len(part) < 60 and not part.endswith(".")]
    assert len(headings) >= 4
    assert headings[-1] in {"Limits", "Open questions"}
    assert 450 <= len(text.split()) <= 800


def test_the_case_report_is_labelled_as_fiction() -> None:
    title, _, text = CASE_REPORT.read_text(encoding="utf-8").partition("\n")
    assert "fictional" in title
    assert "fictional" in text.strip().split("\n\n")[0]


def test_the_script_makes_exactly_the_committed_table(tmp_path: Path) -> None:
    made = tmp_path / "made.csv"
    subprocess.run([sys.executable, str(DATA / "make_measurements.py"), str(made)], check=True, timeout=60)
    assert made.read_bytes() == TABLE.read_bytes()


def test_the_table_has_500_rows_of_497_visits(rows: list[dict[str, str]], visits: list[dict[str, str]]) -> None:
    assert list(rows[0]) == COLUMNS
    assert len(rows) == 500
    assert len(visits) == 497
    assert len({(row["date"], row["time"], row["site"]) for row in visits}) == 497


def test_only_the_measured_columns_have_empty_cells(visits: list[dict[str, str]]) -> None:
    empty = Counter(column for row in visits for column, value in row.items() if not value)
    assert empty == {"air_temperature_c": 5, "surface_temperature_c": 6, "humidity_percent": 7}


def test_every_cell_is_well_formed(rows: list[dict[str, str]]) -> None:
    patterns = {
        "date": r"2025-0[678]-\d\d",
        "time": r"(06|10|14|18|22):00",
        "surface": r"asphalt|grass|gravel|water-bound|paving",
        "tree_cover_percent": r"\d{1,2}",
        "air_temperature_c": r"(\d{1,2}\.\d)?",
        "surface_temperature_c": r"(\d{1,2}\.\d)?",
        "humidity_percent": r"(\d\d)?",
    }
    for row in rows:
        assert all(re.fullmatch(pattern, row[column]) for column, pattern in patterns.items()), row
    assert len({row["district"] for row in rows}) == 5
    assert {row["surface"] for row in rows} == set(patterns["surface"].split("|"))


Visits = list[dict[str, str]]
FEW_TREES = {"Marktplatz", "Bahnhofsvorplatz", "Gewerbehof", "Sportwiese", "Festplatz"}
MANY_TREES = {"Klosterhof", "Lindenallee", "Schulhof", "Volkspark", "Uferweg"}
DEGREES = r"(\d+\.\d) °C"


def quoted(pattern: str) -> list[float]:
    """The figures that the groups of `pattern` find in the case report."""
    found = re.search(pattern, CASE_REPORT.read_text(encoding="utf-8"), re.DOTALL)
    assert found, pattern
    return [float(figure) for figure in found.groups()]


def mean(visits: Visits, column: str, time: str, sites: set[str]) -> float:
    """The mean of a column on the four hottest days."""
    return fmean(
        float(row[column])
        for row in visits
        if row["date"] in HOT_DAYS and row["time"] == time and row["site"] in sites and row[column]
    )


@pytest.mark.parametrize(
    ("pattern", "column", "time", "first", "second"),
    [
        (
            rf"mean surface temperature of {DEGREES}\. The asphalt of .*? had {DEGREES}",
            "surface_temperature_c",
            "14:00",
            {"Bahnhofsvorplatz"},
            {"Lindenallee"},
        ),
        (
            rf"mean air temperature was {DEGREES} at Bahnhofsvorplatz and {DEGREES}",
            "air_temperature_c",
            "14:00",
            {"Bahnhofsvorplatz"},
            {"Lindenallee"},
        ),
        (
            rf"Sportwiese had a mean surface temperature of {DEGREES}, .*? had {DEGREES}",
            "surface_temperature_c",
            "14:00",
            {"Sportwiese"},
            {"Volkspark"},
        ),
        (
            rf"few trees had a mean air temperature of {DEGREES}\. .*? had {DEGREES}",
            "air_temperature_c",
            "22:00",
            FEW_TREES,
            MANY_TREES,
        ),
    ],
    ids=["surface of asphalt", "air over asphalt", "surface of lawns", "air at night"],
)
def test_the_means_of_the_case_report_are_those_of_the_table(
    visits: Visits, pattern: str, column: str, time: str, first: set[str], second: set[str]
) -> None:
    made = [mean(visits, column, time, sites) for sites in (first, second)]
    assert quoted(pattern) == pytest.approx(made, abs=0.0501)  # rounded to one decimal


def test_the_highest_surface_temperature_of_the_case_report_is_that_of_the_table(visits: Visits) -> None:
    readings = [(float(row["surface_temperature_c"]), row) for row in visits if row["surface_temperature_c"]]
    highest, row = max(readings, key=lambda reading: reading[0])
    assert quoted(rf"highest surface temperature of the summer, {DEGREES}") == [highest]
    assert (row["site"], row["date"]) == ("Bahnhofsvorplatz", "2025-07-02")


def test_the_warming_of_the_dry_lawn_in_the_case_report_is_that_of_the_table(visits: Visits) -> None:
    warmer = {
        row["date"]: float(row["surface_temperature_c"]) - float(row["air_temperature_c"])
        for row in visits
        if (row["site"], row["time"]) == ("Sportwiese", "14:00") and row["date"] in {"2025-06-12", "2025-08-13"}
    }
    assert quoted(r"the grass was (\d+\.\d) kelvin warmer .*? it was (\d+\.\d) kelvin") == pytest.approx(
        [warmer["2025-06-12"], warmer["2025-08-13"]]
    )


def test_each_site_has_few_or_many_trees(visits: Visits) -> None:
    assert {row["site"] for row in visits if int(row["tree_cover_percent"]) < 10} == FEW_TREES
    assert {row["site"] for row in visits if int(row["tree_cover_percent"]) > 40} == MANY_TREES
