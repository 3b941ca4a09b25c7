"""How long and in which form an answer is wanted, read from an instruction in English, German, French or Spanish."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from orchestrator_dagster.models.extractive.words import listed

_SPELLINGS = {
    1: listed("one single a ein eine einem einen un une una uno"),
    2: listed("two zwei deux dos"),
    3: listed("three drei trois tres"),
    4: listed("four vier quatre cuatro"),
    5: listed("five fünf cinq cinco"),
    6: listed("six sechs seis"),
    7: listed("seven sieben sept siete"),
    8: listed("eight acht huit ocho"),
    9: listed("nine neun neuf nueve"),
    10: listed("ten zehn dix diez"),
    11: listed("eleven elf onze once"),
    12: listed("twelve zwölf douze doce"),
    15: listed("fifteen"),
    20: listed("twenty zwanzig"),
    50: listed("fifty"),
    100: listed("hundred hundert"),
}
_NUMBERS = {word: value for value, spelled in _SPELLINGS.items() for word in spelled}
_SPELLED = r"\d{1,5}|" + "|".join(sorted(_NUMBERS, key=lambda word: (-len(word), word)))
_N = f"({_SPELLED})"
_TO = r"\s*(?:-|–|to|or|and|bis|oder|und|à|ou|et|a|o|y)\s*"
# Up to two words between a number and its unit ("three short sentences"), but no other number ("a two-sentence").
_GAP = (
    rf"(?:[\s-]+(?!(?:sentence|word|bullet|point|item|paragraph)|(?:{_SPELLED})\b)[a-zäöüßéè-]{{2,14}}){{0,2}}?[\s-]+"
)
_SENTENCE = r"(?:sentences?|satz|sätzen?|phrases?|frases?|oraci(?:ón|ones)|lines?)\b(?!\s+terms?)"
_WORD = r"(?:words?|wörtern?|worten?|mots?|palabras?)\b"
_ITEM = (
    r"(?:bullet(?:[\s-]points?|s)?|points?|items?|findings?|takeaways?|insights?|facts?|claims?|stichpunkten?"
    r"|punkten?|puntos?"
    r"|arguments?|recommendations?|challenges?|benefits?|quotes?|results?)\b"
)
_PARAGRAPH = r"(?:paragraphs?|absätzen?|absatz|paragraphes?|párrafos?)\b"
_TERM = (
    r"(?:key\s?-?words?|key\s?-?terms?|key\s?-?phrases?|terms?|topics?|tags?|themes?|schlüsselwörter|schlagwörter"
    r"|mots[ -]clés|palabras clave)\b"
)
_MOST = (
    r"(?:at most|no more than|not more than|max(?:imum)?(?: of)?|up to|under|fewer than|less than|within"
    r"|limit(?:ed)? to|below|höchstens|maximal|au plus|como máximo)\s+(?:about\s+)?"
)

_BULLETS = re.compile(
    r"(?i)bullet|\bas (?:a |an )?(?:\w+ )?list\b|\blist (?:of|the|all|its|their|your|key|main)\b|\bkey (?:points"
    r"|takeaways|findings|facts)"
    r"|stichpunkt|aufzählung|als liste|\bliste\b|takeaways|enumerate|puntos clave|points clés"
)
_REPORT = re.compile(
    r"(?i)\breports?\b(?! that)|\bsections?\b|\bheadings?\b|\bmarkdown\b|\bbriefing|\bessay\b"
    r"|\barticle\b(?= about| on|,)|\bbericht\b"
    r"|\brapport\b|\binforme\b|literature review|\boverview document\b|white ?paper"
)
_TERMS = re.compile(
    r"(?i)\bkey\s?-?words\b|\bkey\s?-?(?:terms|phrases|concepts)\b|\btags\b(?! out)|\b(?:main|key|important"
    r"|central|list|extract|identify|find|which)"
    r"(?: \w+){0,3}? (?:topics|themes|terms)\b|schlüsselwörter|schlagwörter|mots[ -]clés|palabras clave"
)
_SUMMARY = re.compile(
    r"(?i)summar|zusammenfass|\bfasse\b|résum|\bresum(?:en|ir)\b|\bresume (?:el|la|los|las|est)"
    r"|abstract|overview|tl;?dr"
)


@dataclass(frozen=True)
class Wishes:
    """What was asked for; None where nothing was said.

    Args:
        sentences: How many, ``(fewest, most)``.
        words: About how many.
        most_words: Never more than this many.
        most_characters: Never more than this many.
        items: How many items of a list.
        terms: How many key terms.
        paragraphs: How many paragraphs.
        bullets, report, key_terms, summary: The forms that are named.
    """

    sentences: tuple[int, int] | None = None
    words: int | None = None
    most_words: int | None = None
    most_characters: int | None = None
    items: int | None = None
    terms: int | None = None
    paragraphs: int | None = None
    bullets: bool = False
    report: bool = False
    key_terms: bool = False
    summary: bool = False

    @property
    def has_length(self) -> bool:
        """Whether anything was said about length."""
        return any(value is not None for value in (self.sentences, self.words, self.most_words, self.most_characters))

    def or_length_of(self, other: Wishes) -> Wishes:
        """These wishes, with the length of ``other`` where these say none."""
        if self.has_length or self.items or self.paragraphs:
            return self
        return replace(
            self,
            sentences=other.sentences,
            words=other.words,
            most_words=other.most_words,
            most_characters=other.most_characters,
        )


def _number(text: str) -> int:
    return int(text) if text.isdigit() else _NUMBERS[text.lower()]


def _count(unit: str, text: str) -> tuple[int, int] | None:
    """A count of a unit: ``3 to 5 sentences``, ``a two-sentence``, ``at most 4 sentences``, ``at least 3``."""
    between = re.search(rf"(?i)\b{_N}{_TO}{_N}{_GAP}{unit}", text)
    if between:
        low, high = sorted((_number(between[1]), _number(between[2])))
        return max(1, low), max(1, high)
    single = re.search(rf"(?i)({_MOST})?\b{_N}{_GAP}{unit}", text)
    if not single:
        return None
    number = max(1, _number(single[2]))
    return (1 if single[1] and number > 1 else number), number


def read_wishes(instruction: str) -> Wishes:
    """Read the wishes of an instruction (its first 4,000 characters)."""
    text = instruction[:4000]
    most = re.search(rf"(?i){_MOST}{_N}{_GAP}{_WORD}|\b{_N}{_GAP}{_WORD}\s+(?:max|or (?:less|fewer)|at most)", text)
    words = _count(_WORD, text)
    characters = re.search(r"(?i)\b(\d{2,6})\s*(?:characters?|chars|zeichen|caractères|caracteres)\b", text)
    items, terms, paragraphs = _count(_ITEM, text), _count(_TERM, text), _count(_PARAGRAPH, text)
    top = re.search(rf"(?i)\b(?:top|list of|best)\s+{_N}\b", text)
    key_terms = bool(_TERMS.search(text))
    if top and not items and not key_terms:
        items = (_number(top[1]),) * 2
    sentences = _count(_SENTENCE, text)
    if sentences is None and not words and not characters and not items and not paragraphs:
        sentences = _vague_length(text)
    return Wishes(
        sentences=sentences,
        words=None if most or not words else (words[0] + words[1]) // 2,
        most_words=_number(most[1] or most[2]) if most else None,
        most_characters=int(characters[1]) if characters else None,
        items=items[1] if items else None,
        terms=terms[1] if terms else _number(top[1]) if top and key_terms else None,
        paragraphs=min(20, paragraphs[1]) if paragraphs else None,
        bullets=bool(_BULLETS.search(text)) or items is not None,
        report=bool(_REPORT.search(text)),
        key_terms=key_terms,
        summary=bool(_SUMMARY.search(text)),
    )


def _vague_length(text: str) -> tuple[int, int] | None:
    if re.search(
        r"(?i)\b(?:brief(?:ly)?|short(?:ly)?|concise(?:ly)?|kurz\w*|breve(?:mente)?|court|bref|brève)\b", text
    ):
        return (2, 3)
    if re.search(
        r"(?i)\b(?:detailed|comprehensive|thorough|in[- ]depth|ausführlich\w*|détaillée?|detallad[oa])\b", text
    ):
        return (8, 12)
    return None
