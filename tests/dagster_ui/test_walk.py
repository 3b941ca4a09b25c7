"""The walk through the UI that the guide describes, done by a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import walk
from browsing import browser_path
from live_dev import dagster_dev

GUIDE = walk.REPOSITORY / "docs" / "guides" / "ui.md"
PICTURES = walk.REPOSITORY / "docs" / "images" / "ui"
MOST_BYTES = 150_000


def shown() -> set[str]:
    """The pictures that the guide shows."""
    return set(re.findall(r"\(\.\./images/ui/(\w+\.png)\)", GUIDE.read_text(encoding="utf-8")))


def test_the_guide_shows_every_picture() -> None:
    found = {path.name: path.stat().st_size for path in PICTURES.iterdir()}
    assert found.keys() == shown()
    assert not {name: size for name, size in found.items() if size > MOST_BYTES}


@pytest.mark.slow
@pytest.mark.ui
@pytest.mark.timeout(900)
@pytest.mark.skipif(browser_path() is None, reason="Chromium is not installed")
def test_a_person_can_do_what_the_guide_says(tmp_path: Path) -> None:
    pytest.importorskip("playwright", reason="playwright is not installed (extra: browser)")
    pytest.importorskip("PIL", reason="pillow is not installed (extra: charts)")
    project, pictures = tmp_path / "project", tmp_path / "pictures"
    walk.prepare(project)
    with dagster_dev(project, tmp_path, command=("orchestrator_dagster.cli", "dev")) as dev:
        walk.take(dev.url, project, pictures)
    assert {path.name for path in pictures.iterdir()} == shown()
    assert (project / "outputs/stock_report/stock.md").read_text(encoding="utf-8").count("lamp") == 1
    assert len(list((project / "outputs/document_notes/notes").iterdir())) == 9
