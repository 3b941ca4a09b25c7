"""Personalities: where they are found, what they bring, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator_dagster.errors import PersonalityError
from orchestrator_dagster.models.personalities import find_personality, known_personalities


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "project" / "personalities"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    folder = tmp_path / "home" / ".orchestrator" / "personalities"
    folder.mkdir(parents=True)
    return folder


def test_the_built_in_ones_differ_and_are_whole() -> None:
    names = known_personalities()
    prompts = {find_personality(name).system_prompt for name in names}
    assert len(prompts) == len(names) >= 6
    assert find_personality(None) == find_personality("standard")
    assert all(len(prompt) > 100 for prompt in prompts)
    assert all(prompt.startswith(find_personality("standard").system_prompt) for prompt in prompts)


def test_the_project_wins_over_home_and_home_over_the_built_in_ones(own: Path, home: Path) -> None:
    (home / "analyst.txt").write_text("From home.\n", encoding="utf-8")
    (home / "critic.md").write_text("# Critic at home\n", encoding="utf-8")
    (own / "analyst.md").write_text("\ufeffFrom the project.\n", encoding="utf-8")
    folders = (own, home)
    found = find_personality("analyst", folders)
    assert (found.system_prompt, found.source) == ("From the project.", str(own / "analyst.md"))
    assert find_personality("critic", folders).system_prompt == "# Critic at home"
    assert find_personality("editor", folders).source == "built-in"
    assert "critic" in known_personalities(folders)


def test_the_yaml_form(own: Path) -> None:
    (own / "house.yaml").write_text(
        "extends: analyst\nsystem_prompt: Use our house style.\nstyle: plain\ntemperature: 0.2\n", encoding="utf-8"
    )
    (own / "warm.yml").write_text("extends: house\ntemperature: 0.9\ndescription: for letters\n", encoding="utf-8")
    (own / "as_house.yaml").write_text("extends: house\nstyle: very plain\n", encoding="utf-8")
    house = find_personality("house", (own,))
    assert house.system_prompt == (
        f"{find_personality('analyst').system_prompt}\n\nUse our house style.\n\nStyle: plain"
    )
    assert house.temperature == 0.2
    assert find_personality("warm", (own,)).temperature == 0.9
    assert find_personality("warm", (own,)).system_prompt == house.system_prompt
    inherited = find_personality("as_house", (own,))
    assert (inherited.temperature, inherited.system_prompt[-19:]) == (0.2, "\n\nStyle: very plain")


@pytest.mark.parametrize("value", ["You are terse.", "two\nlines", "a.b", "../standard", "{x}", "naïve"])
def test_what_is_no_name_is_the_prompt_itself(own: Path, value: str) -> None:
    (own.parent / "standard.md").write_text("outside", encoding="utf-8")
    assert find_personality(value, (own,)).system_prompt == value


WRONG = {
    "system_prompt: [a]\n": "`system_prompt` must be a text",
    "system_prompt: x\ntemperature: hot\n": "from 0 to 2",
    "system_prompt: x\ntemperature: 3\n": "from 0 to 2",
    "system_prompt: x\ntemperature: true\n": "from 0 to 2",
    "system_prompt: x\nstile: plain\n": 'did you mean "style"',
    "style: plain\n": "has no `system_prompt`",
    "- a\n": "has no `system_prompt`",
    "a: [\n": "is no YAML (line 2, column 1)",
    "system_prompt: x\nextends: ../secrets\n": "no name",
    "system_prompt: x\nextends: analist\n": 'no personality "analist", which "p" extends; did you mean "analyst"',
    "system_prompt: x\nextends: p\n": "in a circle: p → p",
    "system_prompt: x\nextends: q\n": "in a circle: p → q → p",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_with_a_file(own: Path, text: str) -> None:
    (own / "q.yaml").write_text("system_prompt: y\nextends: p\n", encoding="utf-8")
    (own / "p.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(PersonalityError) as caught:
        find_personality("p", (own,))
    assert WRONG[text] in caught.value.message


def test_files_that_are_not_taken(own: Path, home: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.md"
    secret.write_text("another project's", encoding="utf-8")
    (own / "linked.md").symlink_to(secret)
    (own.parent / "beside.md").write_text("of this project", encoding="utf-8")
    (own / "near.md").symlink_to(own.parent / "beside.md")
    (home / "dot.md").symlink_to(home.parent.parent / "dot.md")
    (home.parent.parent / "dot.md").write_text("kept with the dot files", encoding="utf-8")
    (own / "big.txt").write_bytes(b"a" * 1_000_001)
    (own / "latin.txt").write_bytes(b"\xff\xfe\xff")
    (own / "empty.md").write_text(" \n", encoding="utf-8")
    folders = (own, home)
    assert find_personality("near", folders).system_prompt == "of this project"
    assert find_personality("dot", folders).system_prompt == "kept with the dot files"
    for name, said in {
        "linked": "a link that leaves",
        "big": "1,000,000 bytes",
        "latin": "no UTF-8 text",
        "empty": "is empty",
    }.items():
        with pytest.raises(PersonalityError, match=said):
            find_personality(name, folders)


def test_the_nearest_name_is_one_that_there_is(own: Path) -> None:
    (own / "gardener.md").write_text("x", encoding="utf-8")
    (own / "gardenar.jpg").write_bytes(b"x")
    with pytest.raises(PersonalityError, match='did you mean "gardener"') as caught:
        find_personality("gardenar", (own,))
    assert "gardener" in str(caught.value.hint)
