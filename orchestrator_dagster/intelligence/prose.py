"""What is checked of a text that a model wrote about a pipeline: names, sentences, manner."""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrator_dagster.intelligence.facts import Facts
from orchestrator_dagster.text import nearest

_CODE = re.compile(r"`([^`\n]+)`")
_SNAKE = re.compile(r"\b[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)+\b")
_QUOTED_STEP = re.compile(r"\bsteps?\s+[\"“'*]+([A-Za-z][\w/-]*)[\"”'*]+", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
#: Words that may stand in code without standing in the pipeline.
_COMMON = frozenset(
    (
        "and auto by csv each else false for from html if in is item items json list loop markdown md no none not null "
        "of on or pdf pipeline png run runs step steps svg text the then to true txt until while with yaml yml"
    ).split()
)
_ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|etc|vs|cf|approx|no|Dr|Mr|Mrs|incl)\.", re.IGNORECASE)
_END = re.compile(r"[.!?…]+[\"'”’)\]*_]*(?:\s+(?=[\"'“‘(\[*_`]*[A-Z0-9`])|\s*$)")
_TALK = (
    (re.compile(r"\b(?:I|I'm|I've|I'll|me|my|mine)\b"), 'speaks as "I"'),
    (re.compile(r"\b(?:[Ww]e|we're|we'll|[Oo]ur|ours|us|[Ll]et's)\b"), 'speaks as "we"'),
    (re.compile(r"\b(?:you|you're|your|yours)\b", re.IGNORECASE), "speaks to the reader"),
    (
        re.compile(
            r"^\W*(?:sure|certainly|of course|absolutely|great|okay|ok|here(?:'s| is| are)|as an ai|thank)",
            re.IGNORECASE,
        ),
        "opens like a conversation",
    ),
    (re.compile(r"[?!]\W*$"), "ends with a question or an exclamation"),
)


def sentences(text: str) -> list[str]:
    """The sentences of a text; what stands in code and abbreviations end none.

    >>> sentences("It reads `a. B`, e.g. a file. Then it writes.")
    ['It reads `a. B`, e.g. a file.', 'Then it writes.']
    """
    hidden = _CODE.sub(lambda found: "`" + "x" * (len(found[0]) - 2) + "`", text)
    hidden = _ABBREVIATION.sub(lambda found: "x" * len(found[0]), hidden)
    found, start = [], 0
    for match in _END.finditer(hidden):
        found.append(text[start : match.end()].strip())
        start = match.end()
    found.append(text[start:].strip())
    return [one for one in found if one]


def manner_problems(text: str, where: str) -> Iterator[str]:
    """Where a text talks instead of describing. What it quotes may talk."""
    plain = re.sub(r"“[^”]*”|\"[^\"]*\"|`[^`]*`", "…", text)
    for pattern, what in _TALK:
        if pattern.search(plain):
            yield f"{where} {what}: describe the pipeline in plain statements"
    if "\n#" in f"\n{text}":
        yield f"{where} has a heading: write sentences"


def name_problems(text: str, facts: Facts, where: str) -> Iterator[str]:
    """The names in a text that stand nowhere in the pipeline: those in code, and those with an underscore."""
    known = facts.words
    for code in _CODE.findall(text):
        strange = [word for word in _WORD.findall(code) if word.lower() not in known and word.lower() not in _COMMON]
        if strange:
            yield f"{where} names `{code}`, and `{strange[0]}` stands nowhere in the pipeline{_near(strange[0], facts)}"
    rest = _CODE.sub(" ", text)
    for word in dict.fromkeys(_SNAKE.findall(rest)):
        if word.lower() not in known:
            yield f"{where} names {word}, which stands nowhere in the pipeline{_near(word, facts)}"
    for step in dict.fromkeys(_QUOTED_STEP.findall(rest)):
        if not _is_step(step, facts):
            yield f"{where} names the step {step}, and there is none{_near(step, facts)}"


def _is_step(name: str, facts: Facts) -> bool:
    names = {path.lower() for path in facts.steps} | {path.rpartition("/")[2].lower() for path in facts.steps}
    return name.lower() in names or name.lower() in facts.words


def _near(name: str, facts: Facts) -> str:
    return nearest(name, [path.rpartition("/")[2] for path in facts.steps])


def length_problem(text: str, most: int, where: str) -> Iterator[str]:
    """Whether a text is empty or too long."""
    if not text.strip():
        yield f"{where} is empty"
    elif len(text) > most:
        yield f"{where} has {len(text):,} characters, at most {most:,} are wanted"


def step_problems(named: list[str], facts: Facts, wanted: set[str], where: str) -> Iterator[str]:
    """Steps that do not exist, stand twice, or are missing in a list of step paths."""
    known = set(facts.steps)
    for name in dict.fromkeys(named):
        if name not in known:
            yield f'{where}: there is no step "{name}"{nearest(name, known)}'
    missing = [path for path in facts.steps if path in wanted and path not in named]
    if missing:
        yield f"{where}: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not mentioned; every step must be"
