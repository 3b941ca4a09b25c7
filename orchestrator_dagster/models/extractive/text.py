"""From a document's text to its sentences: markup is taken off, what is no prose is left out, the rest is split.

Left out: front matter, code, tables, images, comments, headings (kept as the sentences' section), reference lists, and
list items that are no whole sentence (kept apart, for a text that has nothing else).
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from typing import Any

from orchestrator_dagster.models.extractive.words import count_tokens, language, listed, words

_LONGEST = 700  # characters: a run without a sentence end is cut into pieces of this size
_SHORTEST = 3  # words

_ABBREVIATIONS = listed(
    """al approx apr art aug bd bzw ca cap cf ch co col corp dec dept dipl dr ed eds e.g eg ed. est etc ev evtl exc feb
    fig figs fr gen ggf gov hr hrsg i.e ie inc inkl insb jan jr jul jun lt ltd m max mgr min mio mlle mme mr mrd
    mrs ms mt nov nr núm oct okt p.ex pag pp prof pág resp rev s.o s.u sec sen sep sept sog sr sra srta st str
    tab u.a u.s u.k usw v.a vgl viz vol vs z.b z.t d.h p ej no"""
)
# Abbreviations that may also end a sentence: they do when a capital follows that is not the middle of a name.
_MAY_END = frozenset({"etc", "usw", "inc", "ltd", "co", "corp", "u.s", "u.k", "jr", "no"})
_MONTHS = listed(
    """januar februar märz april mai juni juli august september oktober november dezember january february march may
    june july october december"""
)

_END = re.compile(r"(?<![.!?…])[.!?…]+[\"”’»')\]*_]*(?=\s)|[。！？]+[」』）]?")
_HEADING = re.compile(r" {0,3}(#{1,6})\s+(.*?)\s*#*\s*$")
_ITEM = re.compile(r"\s*(?:[-*+•–]|\d{1,3}[.)]|[a-z]\))\s+(?:\[[ xX]\]\s+)?(?=\S)")
_FENCE = re.compile(r" {0,3}(```+|~~~+)")
_TABLE_RULE = re.compile(r"\s*\|?\s*:?-{2,}:?\s*(?:\|\s*:?-{2,}:?\s*)+\|?\s*$")
_REFERENCE = re.compile(r" {0,3}\[[^\]\n]{1,80}\]:\s")
_NO_PROSE_SECTION = re.compile(
    r"(?i)(?:references|sources|bibliography|further reading|see also|external links|table of contents|contents"
    r"|literatur|quellen|literaturverzeichnis|inhalt|inhaltsverzeichnis|weblinks|références|sources|bibliographie"
    r"|table des matières|referencias|fuentes|bibliografía|índice)\W*$"
)
_FRONT_MATTER = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?\r?\n)(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.S)
_FIELD = re.compile(r"(?m)^([A-Za-z][\w -]{0,40}):[ \t]*(\S.{0,300})$")


@dataclass(frozen=True, eq=False)  # each is itself: two documents may hold the same words
class Sentence:
    """One sentence of a document.

    Args:
        text: As it is read: markup off, blanks single.
        raw: As it stands in the document, only blanks and line breaks made single.
        document: Index of its document.
        position: Its number in the document, from 0.
        opens: Whether it is the first of its paragraph.
        section: The heading above it, "" for none.
        fragment: Whether it is a list item or line that is no whole sentence.
    """

    text: str
    raw: str
    document: int
    position: int
    opens: bool
    section: str
    fragment: bool = False

    @property
    def length(self) -> int:
        """Its words."""
        return len(words(self.text))


@dataclass(frozen=True)
class Document:
    """A document: where it comes from, what it is called, its text, the facts that were given beside it."""

    name: str
    title: str
    text: str
    fields: dict[str, Any] = field(default_factory=dict)
    sentences: tuple[Sentence, ...] = ()
    headings: tuple[str, ...] = ()
    language: str = "en"
    tokens: int = 0

    @property
    def label(self) -> str:
        """What a reader would call it: its title, else its name."""
        return self.title or self.name


def read_document(name: str, text: str, index: int, title: str = "", fields: dict[str, Any] | None = None) -> Document:
    """Split a text into sentences and find its title: the one given, its front matter's, its first heading."""
    known = dict(fields or {})
    body = text.replace("\r\n", "\n").replace("\r", "\n")
    matter = _FRONT_MATTER.match(body)
    if matter:
        for key, value in _FIELD.findall(matter.group(1)):
            known.setdefault(key.strip().lower(), value.strip().strip("\"'"))
        body = body[matter.end() :]
    if re.match(r"(?i)\s*(?:<!doctype html|<html|<body|<article|<p[ >])", body):
        body = _from_html(body)
    # A first line that stands alone and does not end as a sentence is the title of a plain text.
    body = re.sub(r"\A\s*(?=[^\W\d_][^\n]{2,90}[^\n.!?:;,…]\n[ \t]*\n)", "# ", body, count=1)
    sentences, headings = _sentences(body, index)
    front_title = known.get("title")
    found = title or (front_title if isinstance(front_title, str) else "") or (headings[0] if headings else "")
    return Document(
        name=name,
        title=found,
        text=body,
        fields=known,
        sentences=tuple(sentences),
        headings=tuple(headings),
        language=language(body),
        tokens=count_tokens(text),
    )


def clean(raw: str) -> str:
    """Markdown and HTML taken off one sentence; a link keeps its text, an image goes."""
    text = raw
    if "[" in text:
        text = re.sub(r"!\[[^\[\]]*\]\([^()]*\)", "", text)
        text = re.sub(r"\[([^\[\]]+)\]\((?:[^()]|\([^()]*\))*\)", r"\1", text)
        text = re.sub(r"\[\^[^\[\]]{1,40}\]|\s?\[\d{1,3}(?:[,–-]\s?\d{1,3})*\]", "", text)
        text = re.sub(r"\[([^\[\]]+)\]\[[^\[\]]*\]", r"\1", text)
    if "<" in text:
        text = re.sub(r"<((?:https?|mailto):[^<>\s]+)>", r"\1", text)
        text = re.sub(r"</?[a-zA-Z][^<>]{0,300}>", "", text)
    if "*" in text or "_" in text or "`" in text or "~" in text:
        text = re.sub(r"(\*\*|__|~~|`+)(?=\S)([^*`~]+?)(?<=\S)\1", r"\2", text)
        text = re.sub(r"(?<!\w)([*_])(?=\S)([^*_]+?)(?<=\S)\1(?!\w)", r"\2", text)
    if "&" in text:
        text = html.unescape(text)
    text = " ".join(text.split())
    return re.sub(r" +(?=[.,;:!?](?:\s|$))", "", text)


def split_sentences(paragraph: str) -> list[str]:
    """Split prose at its sentence ends: not after abbreviations, initials, numbers of a list or a German ordinal,
    nor inside brackets that close again. A run that never ends is cut at blanks."""
    parts: list[str] = []
    start = 0
    for end in _END.finditer(paragraph):
        if end.start() >= start and _is_end(paragraph, start, end):
            parts.append(paragraph[start : end.end()].strip())
            start = end.end()
    parts.append(paragraph[start:].strip())
    return [piece for part in parts if part for piece in _pieces(part)]


def _is_end(text: str, start: int, end: re.Match[str]) -> bool:
    mark = end.group()
    if mark[0] in "。！？":
        return True
    following = text[end.end() : end.end() + 40].lstrip().lstrip("\"“”„‚‘'«»([*_¿¡")
    if following and following[0].islower():
        return False
    if _open_bracket(text[max(start, end.end() - 2000) : end.end()]):
        return text.find(")", end.end(), end.end() + 200) < 0 and text.find("]", end.end(), end.end() + 200) < 0
    if mark[0] != "." or mark[1:2] == ".":
        return True
    before = text[max(start, end.start() - 24) : end.start()].rsplit(None, 1)
    last = before[-1].lstrip("(\"“„'«[*_").lower() if before else ""
    next_word = re.match(r"\w*", following)
    after = next_word.group().lower() if next_word else ""
    if last in _ABBREVIATIONS:
        return last in _MAY_END and not (last == "no" and after[:1].isdigit())
    if len(last) == 1 and last.isalpha():  # an initial: "J. Smith"
        return False
    # The number of a list item, or "am 21. Juni".
    return not (last.isdigit() and (end.start() - len(last) <= start or (len(last) <= 2 and after in _MONTHS)))


def _open_bracket(text: str) -> bool:
    return text.count("(") > text.count(")") or text.count("[") > text.count("]")


def _pieces(sentence: str) -> list[str]:
    if len(sentence) <= _LONGEST:
        return [sentence]
    found, rest = [], sentence
    # An index instead of slicing the rest away each time keeps a megabyte without a full stop linear.
    at = 0
    while len(rest) - at > _LONGEST:
        cut = rest.rfind(" ", at + 1, at + _LONGEST)
        cut = cut if cut > at else at + _LONGEST
        found.append(rest[at:cut].strip())
        at = cut
    found.append(rest[at:].strip())
    return [piece for piece in found if piece]


def _sentences(body: str, index: int) -> tuple[list[Sentence], list[str]]:
    found: list[Sentence] = []
    headings: list[str] = []
    for kind, section, raw in _blocks(body):
        if kind == "heading":
            headings.append(raw)
            continue
        for number, part in enumerate(split_sentences(raw)):
            text = clean(part)
            if sum(1 for _ in re.finditer(r"\w+", text)) < _SHORTEST and not re.search("[\u3040-\u9fff]{4}", text):
                continue
            whole = bool(re.search(r"[.!?…。！？][\"”’»')\]]*$", text)) and not re.match(r"[a-zß-öø-ÿ]", text)
            found.append(Sentence(text, part, index, len(found), number == 0, section, not whole))
    return found, headings


def _blocks(body: str) -> list[tuple[str, str, str]]:
    """``(kind, section, text)`` in order; kind is ``heading``, ``item`` or ``prose``; text on one line."""
    body = re.sub(r"<!--.*?(?:-->|\Z)", "", body, flags=re.S)
    blocks: list[tuple[str, str, str]] = []
    open_lines: list[str] = []
    kind, section, fence, skipping = "prose", "", "", False

    def close() -> None:
        if open_lines and not skipping:
            blocks.append((kind, section, " ".join(" ".join(open_lines).split())))
        open_lines.clear()

    lines = body.split("\n")
    for number, line in enumerate(lines):
        mark = _FENCE.match(line)
        if fence:
            fence = "" if mark and mark.group(1).startswith(fence) else fence
            continue
        if mark:
            close()
            fence = mark.group(1)
            continue
        line = re.sub(r"^ {0,3}(?:> ?)+", "", line)
        heading = _HEADING.match(line)
        rule = re.fullmatch(r" {0,3}(=+|-{3,}|\*{3,}|_{3,})\s*", line)
        item = _ITEM.match(line)
        if heading or (rule and len(open_lines) == 1 and kind == "prose" and rule.group(1)[0] in "=-"):
            title = clean(heading.group(2) if heading else open_lines[0])
            open_lines.clear()
            close()
            skipping = bool(_NO_PROSE_SECTION.match(title))
            kind, section = "prose", title
            if title and not skipping:
                blocks.append(("heading", section, title))
        elif not line.strip() or rule:
            close()
            kind = "prose"
        elif _is_table(line, lines, number) or _REFERENCE.match(line) or _is_code(line, open_lines, kind):
            close()
        elif item:
            close()
            kind = "item"
            open_lines.append(line[item.end() :])
        else:
            open_lines.append(line)
            if line.endswith(("  ", "\\")) or (len(open_lines) == 1 and line.rstrip().endswith(":") and len(line) < 60):
                close()  # a hard line break, or a label such as "Findings:"
    close()
    return blocks


def _is_table(line: str, lines: list[str], number: int) -> bool:
    if "|" in line and (line.lstrip().startswith("|") or _TABLE_RULE.match(line)):
        return True
    if "|" in line and any(_TABLE_RULE.match(near) for near in lines[max(0, number - 60) : number + 2] if "--" in near):
        return True
    return line.count("\t") >= 2


def _is_code(line: str, open_lines: list[str], kind: str) -> bool:
    # Four blanks are code only where no paragraph or list item goes on.
    return line.startswith(("    ", "\t")) and not open_lines and kind == "prose" and not line.rstrip().endswith(".")


def _from_html(body: str) -> str:
    body = re.sub(r"(?is)<(script|style|nav|footer|head|pre|table)\b.*?(?:</\1>|\Z)", "\n\n", body)
    body = re.sub(r"(?is)<h([1-6])\b[^>]*>(.*?)</h\1>", lambda m: f"\n\n{'#' * int(m[1])} {m[2].strip()}\n\n", body)
    body = re.sub(r"(?i)<li\b[^>]*>", "\n- ", body)
    body = re.sub(r"(?i)</?(?:p|div|section|article|ul|ol|br|blockquote)\b[^>]*>", "\n\n", body)
    return re.sub(r"(?m)^[ \t]+", "", re.sub(r"</?[a-zA-Z!][^<>]*>", "", body))
