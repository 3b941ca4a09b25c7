"""``<AUTO>what is to be decided</AUTO>``: where the tags of a text stand, and what is wrong with them.

A tag may stand in another one, and may have templates in it; it does not stand in the code of a template, nor in a
block (``{% for … %}``) of the text around it: what is decided is decided before the text is rendered.
``<AUTO task="choose">`` says more about the decision. A value that is ``<AUTO>`` and nothing else is an empty tag: its
place says what is asked.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Union

from orchestrator_dagster.language.template_text import code_spans

_TAG = re.compile(r"<AUTO(?P<attributes>\s[^<>]*)?(?P<empty>/)?>|(?P<end></AUTO\s*>)")
_WORD = re.compile(r"\{%[-+]?\s*(\w+)")
_BLOCKS = ("autoescape", "block", "call", "filter", "for", "if", "macro", "with")
#: Begins the name that stands for a decision in the text that a tag was taken out of.
DECIDED = "AUTO__"
#: How deep tags may stand in each other.
DEEPEST = 8


@dataclass(frozen=True)
class AutoTag:
    """One tag: what is asked (texts, and tags to be decided before it), and what its attributes say."""

    parts: tuple[Union[str, AutoTag], ...] = ()
    attributes: str = ""


@dataclass(frozen=True)
class AutoProblem:
    """What is wrong with a tag, and where in the text it stands."""

    message: str
    start: int
    end: int
    hint: str


@dataclass(frozen=True)
class AutoReading:
    """A text cut into what stands as it is and its tags; with problems, the parts are of no use."""

    parts: tuple[Union[str, AutoTag], ...]
    problems: tuple[AutoProblem, ...] = ()

    @property
    def tags(self) -> tuple[AutoTag, ...]:
        """The outermost tags."""
        return tuple(one for one in self.parts if isinstance(one, AutoTag))

    @property
    def whole(self) -> AutoTag | None:
        """The tag, when there is nothing but white space around it."""
        solid = [one for one in self.parts if not isinstance(one, str) or one.strip()]
        return solid[0] if len(solid) == 1 and isinstance(solid[0], AutoTag) else None


@dataclass
class _Open:
    start: int
    end: int
    depth: int
    attributes: str
    parts: list[Union[str, AutoTag]] = field(default_factory=list)


def has_auto(value: Any) -> bool:
    """Whether a text has a tag, whole or not.

    >>> has_auto("<AUTO>choose</AUTO>"), has_auto("<AUTOMATIC>")
    (True, False)
    """
    return isinstance(value, str) and "AUTO" in value and _TAG.search(value) is not None


def auto_in(value: Any) -> bool:
    """Whether any text of a tree of lists and maps has a tag; keys count."""
    if isinstance(value, str):
        return has_auto(value)
    if isinstance(value, dict):
        return any(auto_in(name) or auto_in(item) for name, item in value.items())
    return isinstance(value, (list, tuple)) and any(map(auto_in, value))


@functools.lru_cache(maxsize=2048)
def read_auto(text: str) -> AutoReading:
    """Find the tags of a text.

    >>> read_auto("about <AUTO>a <AUTO>good</AUTO> topic</AUTO>").tags[0].parts
    ('a ', AutoTag(parts=('good',), attributes=''), ' topic')
    """
    if re.fullmatch(r"\s*<AUTO(\s[^<>]*)?/?>\s*", text):
        return AutoReading((AutoTag((), _attributes(text.strip()[5:])),))
    problems: list[AutoProblem] = []
    stack = [_Open(0, 0, 0, "")]
    position = depth = 0
    for kind, found in _events(text):
        start, end = found
        if kind in ("in", "out"):
            depth += 1 if kind == "in" else -1
            if depth < stack[-1].depth and len(stack) > 1:
                problems.append(_crossed(stack[-1]))
                return AutoReading((text,), tuple(problems))
            continue
        if kind == "code":
            hint = "write the tag around the template, or give the decision to a step of its own and read that"
            problems.append(AutoProblem("an <AUTO> tag cannot stand inside the code of a template", start, end, hint))
            continue
        tag = _TAG.match(text, start)
        assert tag is not None
        stack[-1].parts.append(text[position:start])
        position = end
        if tag["end"]:
            if len(stack) == 1:
                problems.append(AutoProblem("this </AUTO> closes nothing", start, end, "write <AUTO> where it begins"))
                return AutoReading((text,), tuple(problems))
            one = stack.pop()
            if depth != one.depth:
                problems.append(_crossed(one))
                return AutoReading((text,), tuple(problems))
            stack[-1].parts.append(AutoTag(tuple(part for part in one.parts if part != ""), one.attributes))
        elif tag["empty"]:
            stack[-1].parts.append(AutoTag((), _attributes(tag["attributes"])))
        else:
            if depth and len(stack) == 1:
                hint = "decide it in a step before, and read what that left; or write the tag around the whole block"
                message = "an <AUTO> tag cannot stand in a block of the template around it: it is decided before"
                problems.append(AutoProblem(message, start, end, hint))
            if len(stack) > DEEPEST:
                message = f"<AUTO> tags stand in each other more than {DEEPEST} deep"
                problems.append(AutoProblem(message, start, end, "ask in fewer steps"))
                return AutoReading((text,), tuple(problems))
            stack.append(_Open(start, end, depth, _attributes(tag["attributes"])))
    if len(stack) > 1:
        last = stack[-1]
        hint = "write </AUTO> where what is to be decided ends"
        problems.append(AutoProblem("this <AUTO> is not closed", last.start, last.end, hint))
        return AutoReading((text,), tuple(problems))
    stack[0].parts.append(text[position:])
    return AutoReading(tuple(part for part in stack[0].parts if part != ""), tuple(problems))


def _attributes(text: str | None) -> str:
    return (text or "").strip().rstrip(">").rstrip("/").strip()


def _crossed(one: _Open) -> AutoProblem:
    message = "this <AUTO> begins and ends in different blocks of the template"
    return AutoProblem(message, one.start, one.end, "close it in the block in which it begins")


def _events(text: str) -> Iterator[tuple[str, tuple[int, int]]]:
    """The tags, those in code among them, and where blocks of the template begin and end; in order."""
    regions = list(code_spans(text))
    found: list[tuple[int, str, tuple[int, int]]] = []
    for tag in _TAG.finditer(text):
        opening = next((one for start, end, one in regions if start <= tag.start() < end), None)
        if opening in ("{{", "{%"):
            found.append((tag.start(), "code", tag.span()))
        elif opening is None:
            found.append((tag.start(), "tag", tag.span()))
    for start, end, opening in regions:
        word = _WORD.match(text, start)
        if opening == "{%" and word:
            if word[1] in _BLOCKS or (word[1] == "set" and "=" not in text[start:end]):
                found.append((start, "in", (start, end)))
            elif word[1].startswith("end"):
                found.append((start, "out", (start, end)))
    return ((kind, span) for _, kind, span in sorted(found))
