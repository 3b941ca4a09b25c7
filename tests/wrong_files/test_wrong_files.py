"""Wrong pipeline files and what a person is told about each of them.

A case is a file below ``cases/<topic>/``. The comments at its top, up to the first line that is none, hold what the
compiler has to say about it, in file order::

    # Any sentence about the case.
    # expect: CODE LINE:COLUMN [suggestion=NAME] [step=ID] [severity=warning]
    # says: words that the message or hint of the expectation above holds, in any order, at least as beginnings
    # cycle: ids that it shows as a closed path, in this order or the other way round, from any of them
    # never: text that neither holds
    # exact: no

``expect: none`` is a file without problems. Lines and columns count from 1, these comments included; ``*`` is any
place. ``suggestion=none`` wants none; a suggestion or step that is left out is not looked at; what has no ``severity``
is an error. With ``exact: no`` further problems may be found.

Where a problem stands:

- a key (unknown, unused, twice, reserved): that key;
- a value (type, choice, default, path, id): where it begins, its quote included; one entry of a list: that entry;
- a word in a text (name, field, filter, step in a comma list, operator of a condition): that word, as the file has it;
- a comparison or sum of two things that do not fit: where its left side begins;
- a template that cannot be parsed: the ``{{`` or ``{%`` that holds the mistake;
- a quote or bracket that is never closed: where it opens;
- something that is missing: the map that lacks it, at its first key (or ``{``); a tool's parameter: the key
  ``parameters``, without one the value of ``action``;
- two keys that clash: the later one; two ids, keys or paths that are alike: the later one;
- a cycle: in the first of its steps, the reference that leads into it; a route: its target.

``not_yet.txt`` lists cases that are known to fail: a path below ``cases/``, a blank, the reason.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from orchestrator_dagster.language.diagnostics import CODES, Diagnostic
from orchestrator_dagster.project.loading import compile_file

HERE = Path(__file__).resolve().parent
CASES = HERE / "cases"

#: The fewest cases of each topic.
TOPICS = {
    "auto": 10,
    "budget": 8,
    "conditions": 15,
    "flow": 15,
    "header": 15,
    "inputs": 15,
    "loops": 10,
    "models": 10,
    "older": 5,
    "personalities": 5,
    "products": 15,
    "schedule": 5,
    "steps": 20,
    "templates": 25,
    "variables": 10,
    "yaml": 15,
}

#: Codes without a case, and why.
WITHOUT_CASE = {
    "file-missing": "about the file, not what stands in it",
    "file-size": "about the file, not what stands in it",
    "file-suffix": "about the file, not what stands in it",
    "no-model": "where nothing is named, the schema picks a model: that is known at run time only",
    "executor-missing": "about what is installed: asked when the location loads",
    "not-supported": "the whole language is meant to run",
    "older-unsupported": "every key of the earlier dialect that the contract names is honoured or had no effect",
}

_LINE = re.compile(r"# (\w+): (.*)")
_EXPECT = re.compile(r"(?P<code>[a-z0-9-]+) (?P<line>\d+|\*)(?::(?P<column>\d+))?(?P<options>( \w+=\S+)*)")


@dataclass
class Expected:
    """One problem that is to be found; None is anything, for a suggestion the text ``none`` is none."""

    code: str
    line: int | None
    column: int | None
    severity: str = "error"
    suggestion: str | None = None
    step: str | None = None
    says: list[str] = field(default_factory=list)
    cycle: list[str] = field(default_factory=list)
    never: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        place = "*" if self.line is None else f"{self.line}:{self.column}"
        options = {"suggestion": self.suggestion, "step": self.step}
        options |= {"says": " ".join(self.says), "cycle": " ".join(self.cycle), "never": " ".join(self.never)}
        shown = [f"{name}={value}" for name, value in options.items() if value]
        return " ".join([self.severity, self.code, place, *shown])

    def fits(self, found: Diagnostic) -> bool:
        """Whether the problem is this one, said as it should be said."""
        said = " ".join(filter(None, (found.message, found.hint, found.suggestion)))
        return (
            (found.code, found.severity) == (self.code, self.severity)
            and (self.line is None or (found.span.line, found.span.column) == (self.line, self.column))
            and (self.suggestion is None or (found.suggestion or "none") == self.suggestion)
            and (self.step is None or found.step == self.step)
            and all(re.search(rf"(?<!\w){re.escape(word)}", said, re.IGNORECASE) for word in self.says)
            and (not self.cycle or _shows_cycle(said, self.cycle))
            and not any(word in said for word in self.never)
        )


def _shows_cycle(said: str, ids: list[str]) -> bool:
    turned = [ids[start:] + ids[:start] for start in range(len(ids))]
    closed = [[*path, path[0]] for path in (*turned, *(path[::-1] for path in turned))]
    return any(re.search(".{1,40}?".join(rf"\b{re.escape(name)}\b" for name in path), said) for path in closed)


@dataclass(frozen=True)
class Case:
    """What the comments of a file say."""

    expected: tuple[Expected, ...]
    exact: bool


def read_case(path: Path) -> Case:
    """The expectations of a file.

    Raises:
        ValueError: The comments cannot be read, or there is no expectation.
    """
    expected: list[Expected] = []
    exact, none = True, False
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if not line.startswith("#"):
            break
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        key, value = match.groups()
        if key == "expect" and value == "none":
            none = True
        elif key == "expect":
            expected.append(_expected(path, value))
        elif key == "says" and expected:
            expected[-1].says += value.split()
        elif key == "cycle" and expected:
            expected[-1].cycle += value.split()
        elif key == "never" and expected:
            expected[-1].never.append(value)
        elif (key, value) == ("exact", "no"):
            exact = False
        else:
            raise ValueError(f"{path}: cannot read {line!r}")
    if none == bool(expected):
        raise ValueError(f"{path}: either problems are expected, or `none`")
    return Case(tuple(expected), exact)


def _expected(path: Path, text: str) -> Expected:
    match = _EXPECT.fullmatch(text)
    if match is None or match["code"] not in CODES or (match["line"] == "*") != (match["column"] is None):
        raise ValueError(f"{path}: cannot read the expectation {text!r}")
    options = dict(option.split("=", 1) for option in match["options"].split())
    if not options.keys() <= {"suggestion", "step", "severity"}:
        raise ValueError(f"{path}: cannot read the expectation {text!r}")
    return Expected(
        match["code"],
        line=None if match["line"] == "*" else int(match["line"]),
        column=None if match["line"] == "*" else int(match["column"]),
        severity=options.get("severity", "error"),
        suggestion=options.get("suggestion"),
        step=options.get("step"),
    )


def all_cases() -> list[str]:
    return sorted(path.relative_to(CASES).as_posix() for path in CASES.rglob("*.yaml"))


def not_yet() -> dict[str, str]:
    """Path -> reason of the cases that are known to fail."""
    lines = (HERE / "not_yet.txt").read_text(encoding="utf-8").splitlines()
    split = [line.partition(" ") for line in lines if line.strip() and not line.startswith("#")]
    return {path: reason.strip() for path, _, reason in split}


def parameters() -> list[object]:
    failing = not_yet()
    marks = {name: [pytest.mark.xfail(strict=True, reason=reason)] for name, reason in failing.items()}
    return [pytest.param(name, id=name.removesuffix(".yaml"), marks=marks.get(name, [])) for name in all_cases()]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project of its own, with what the cases may name, and a home folder without personalities."""
    folder = tmp_path_factory.mktemp("wrong_files")
    shutil.copytree(HERE / "support", folder / "project")
    (folder / "home").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder / "home"))
        yield folder / "project"


@pytest.mark.parametrize("name", parameters())
def test_what_a_person_is_told(name: str, root: Path) -> None:
    case = read_case(CASES / name)
    path = root / "pipelines" / Path(name).name
    shutil.copy(CASES / name, path)
    # What this release does not run yet is refused besides; the cases are about what is wrong.
    found = [one for one in compile_file(path, root).problems if one.code != "not-supported"]

    left = list(found)
    missing: list[Expected] = []
    for expected in case.expected:
        fitting = next((one for one in left if expected.fits(one)), None)
        if fitting is None:
            missing.append(expected)
        else:
            left.remove(fitting)
    if missing or (left and case.exact):
        pytest.fail(_difference(name, missing, left, found), pytrace=False)

    places = [(one.span.line, one.span.column) for one in found]
    assert places == sorted(places), "the problems are not in file order"
    assert len(set(found)) == len(found), "a problem is told twice"


def _difference(name: str, missing: list[Expected], left: list[Diagnostic], found: list[Diagnostic]) -> str:
    lines = [f"{CASES.name}/{name}", *(f"  - expected  {one}" for one in missing)]
    for one in left:
        place = f"{one.span.line}:{one.span.column}"
        lines.append(f"  + found     {one.severity} {one.code} {place} suggestion={one.suggestion} step={one.step}")
    lines += ["", "what is told:", *(one.render() for one in found)] if found else ["", "nothing is told"]
    return "\n".join(lines)


@pytest.mark.parametrize("name", all_cases())
def test_the_case_itself_can_be_read(name: str) -> None:
    """Every expectation stands at a place that the file has, and they are in file order."""
    text = (CASES / name).read_text(encoding="utf-8", errors="replace").split("\n")
    places = [(one.line, one.column) for one in read_case(CASES / name).expected if one.line and one.column]
    assert places == sorted(places)
    for line, column in places:
        assert line <= len(text), f"there is no line {line}"
        assert column <= len(text[line - 1]), f"line {line} has no column {column}"


def test_there_are_enough_cases() -> None:
    topics = Counter(name.partition("/")[0] for name in all_cases())
    assert sum(topics.values()) >= 120
    assert topics.keys() == TOPICS.keys()
    assert {topic: count for topic, count in topics.items() if count < TOPICS[topic]} == {}


def test_every_code_has_a_case() -> None:
    used = {expected.code for name in all_cases() for expected in read_case(CASES / name).expected}
    assert sorted(CODES.keys() - used - WITHOUT_CASE.keys()) == []
    assert sorted(WITHOUT_CASE.keys() & used) == [], "a code that has a case needs no excuse"
    assert sorted(WITHOUT_CASE.keys() - CODES.keys()) == []


def test_what_fails_is_listed_with_its_reason() -> None:
    failing = not_yet()
    assert sorted(failing.keys() - set(all_cases())) == []
    assert [path for path, reason in failing.items() if not reason] == []
