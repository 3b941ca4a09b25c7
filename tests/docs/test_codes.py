"""Every diagnostic code is explained, with a wrong example that gives it and a right one that does not."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pytest
from click.testing import CliRunner

from orchestrator_dagster.cli import main
from orchestrator_dagster.language.diagnostics import CODES, Diagnostic
from orchestrator_dagster.language.explanations import FOLDER, Role, as_text, explanation, parse
from orchestrator_dagster.project.loading import compile_file

if TYPE_CHECKING:
    from orchestrator_dagster.language.explanations import Explanation

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = DOCS / "reference" / "diagnostics"


@pytest.fixture
def generator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """What the pages are made with."""
    monkeypatch.syspath_prepend(str(DOCS))
    from generator import run_example

    yield run_example
    for name in [name for name in sys.modules if name.split(".")[0] == "generator"]:
        del sys.modules[name]


def problems(generator: Any, code: str, role: Role) -> list[Diagnostic]:
    one = explanation(code)
    with generator.example_folder(one, role) as folder:
        return list(compile_file(folder / one.validated(role), folder).problems)


def test_every_code_is_explained_and_nothing_else() -> None:
    missing = []
    for code in CODES:
        try:
            explanation(code)
        except ValueError as error:
            missing.append(str(error))
    assert not missing, "\n".join(missing)
    explained = {path.stem for path in FOLDER.iterdir()}
    assert sorted(explained - CODES.keys()) == [], "an explanation of a code that there is not: remove it"


def test_a_code_without_explanation_says_what_to_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CODES, "new-code", "Something new.")
    with pytest.raises(
        ValueError, match=r"write orchestrator_dagster/language/codes/new-code\.md .* docs/generate\.py"
    ):
        explanation("new-code")


@pytest.mark.parametrize("code", CODES)
def test_the_wrong_example_gives_the_code(code: str, generator: Any) -> None:
    found = problems(generator, code, "wrong")
    # What this release does not run is refused besides, as in the right example.
    said = {(one.code, one.severity) for one in found if one.code == code or one.code != "not-supported"}
    assert said == {(code, explanation(code).severity)}, "\n".join(one.render() for one in found)


@pytest.mark.parametrize("code", CODES)
def test_the_right_example_is_right(code: str, generator: Any) -> None:
    found = [one for one in problems(generator, code, "right") if code == one.code or one.code != "not-supported"]
    assert not found, "\n".join(one.render() for one in found)


@pytest.mark.parametrize("code", CODES)
def test_the_page_shows_what_the_command_prints(code: str, generator: Any) -> None:
    page = PAGES / f"{code}.md"
    assert page.is_file(), "run: python docs/generate.py"
    text = page.read_text(encoding="utf-8")
    one = explanation(code)
    assert text.count(f"```console\n{generator.shown(one, 'wrong')}```") == 1, "run: python docs/generate.py"
    assert f"{one.severity}[{code}]" in text
    assert all(part in text for part in (CODES[code], one.why, one.what_to_do))


def test_the_list_leads_to_every_page() -> None:
    text = (DOCS / "reference" / "diagnostics.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"\(diagnostics/([\w-]+)\.md\)", text)) == sorted(CODES)
    assert {path.stem for path in PAGES.iterdir()} == CODES.keys()


@pytest.mark.parametrize("code", CODES)
def test_explain_prints_it(code: str) -> None:
    done = CliRunner().invoke(main, ["explain", code])
    assert done.exit_code == 0
    one = explanation(code)
    assert done.stdout.startswith(f"{code} ({one.severity}): {CODES[code]}\n\n")
    assert done.stdout == as_text(one) + "\n"
    assert "](" not in done.stdout, "a link in a terminal"
    for role in get_args(Role):
        for block in one.example(role):
            assert all(f"    {line}".rstrip() in done.stdout for line in block.text.splitlines())


def test_explain_lists_all_codes() -> None:
    done = CliRunner().invoke(main, ["explain"])
    assert done.exit_code == 0
    assert all(re.search(rf"^  {code} +{re.escape(meaning)}$", done.stdout, re.M) for code, meaning in CODES.items())


def test_explain_of_an_unknown_code() -> None:
    done = CliRunner().invoke(main, ["explain", "unknown_tol"])
    assert done.exit_code == 2
    assert 'there is no code "unknown_tol"; did you mean "unknown-tool"?' in done.stderr
    assert "next: `orchestrator explain`" in done.stderr


PARTS = """\
topic: Tools
severity: error

Why.

```yaml wrong
steps: []
```

```yaml right
steps: []
```

Do this.
"""


def changed(old: str, new: str) -> str:
    assert old in PARTS
    return PARTS.replace(old, new)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (changed("topic: Tools\n", ""), "topic: …"),
        (changed("severity: error", "severity: bad"), "severity: error"),
        (changed("Why.\n", ""), "why"),
        (changed("Do this.", ""), "what to do"),
        (changed("```yaml right", "Meanwhile.\n\n```yaml right"), "why"),
        (changed("```yaml right", "```yaml wrong"), "a right example"),
        (changed("```yaml right", "```yaml good"), "cannot read ```yaml good"),
        (changed("```yaml right", "```text right"), "cannot read ```text right"),
        (PARTS.partition("```")[0], "no example"),
    ],
)
def test_a_file_that_lacks_a_part_is_told(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=r"^x\.md: ") as caught:
        parse("x", "Meaning.", text)
    assert says in str(caught.value)


def test_files_and_commands_of_an_example() -> None:
    text = changed("```yaml wrong\n", "```text both notes/a.md\nA note.\n```\n\n```yaml wrong pipelines/p.yaml\n")
    one: Explanation = parse("x", "Meaning.", text)
    assert [block.file for block in one.example("wrong")] == ["notes/a.md", "pipelines/p.yaml"]
    assert [block.file for block in one.example("right")] == ["notes/a.md", "example.yaml"]
    assert (one.validated("wrong"), one.validated("right")) == ("pipelines/p.yaml", "example.yaml")
    with_command = changed("```yaml right", "```bash wrong\norchestrator validate other.yaml\n```\n\n```yaml right")
    assert parse("x", "Meaning.", with_command).validated("wrong") == "other.yaml"
    assert "Right: notes/a.md\n    A note.\n\nexample.yaml\n    steps: []\n\nDo this." in as_text(one)
    assert "Wrong: notes/a.md\n    A note.\n\npipelines/p.yaml\n    steps: []" in as_text(one)
