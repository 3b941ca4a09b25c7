"""BM25 over texts in memory (Robertson and Zaragoza 2009, https://doi.org/10.1561/1500000019), in plain Python."""

from __future__ import annotations

import functools
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

K1 = 1.2
"""How fast further occurrences of a word count less; the usual value."""
B = 0.75
"""How much longer texts are held against them; the usual value."""
TITLE_WEIGHT = 3
"""How often a word of the title counts."""
_WORD = re.compile(r"[^\W_]+")
# Scripts that put no blanks between words: pairs of characters stand for words there.
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\u0e00-\u0e7f]+")
_SENTENCE = re.compile(r"[^.!?\n]*(?:[.!?]+(?=\s|$)|\n+|$)")
_SNIPPET = 300
# Words that say nothing of what a text is about; only left out when a query has others.
_COMMON = frozenset(
    "a an and are as at be by for from how in is it its of on or that the this to was what when where which who why "
    "will with der die das und ist ein eine in zu von mit le la les et de des un une el los las y".split()
)


def words(text: str) -> Iterator[str]:
    """The words of a text as they are compared: without case, accents and English endings.

    >>> list(words("Watering bean-pods in Zürich"))
    ['water', 'bean', 'pod', 'in', 'zurich']
    """
    for word in _WORD.findall(text.casefold()):
        yield from _compared(word)


@functools.lru_cache(maxsize=100_000)
def _compared(word: str) -> tuple[str, ...]:
    """One word in lower case as it is compared; several where it is of a script that puts no blanks between words."""
    if word.isascii():
        return (_stem(word),)
    word = "".join(one for one in unicodedata.normalize("NFKD", word) if not unicodedata.combining(one))
    pairs = [run[n : n + 2] for run in _UNSPACED.findall(word) for n in range(max(1, len(run) - 1))]
    return (*pairs, *(_stem(part) for part in _UNSPACED.split(word) if part))


def _stem(word: str) -> str:
    """What is common to the forms of an English word (Porter's second algorithm); others lose an ending at most."""
    stem: str = _stemmer().stemWord(word)
    return stem


@functools.lru_cache(maxsize=1)
def _stemmer() -> Any:
    import snowballstemmer

    return snowballstemmer.stemmer("english")


@dataclass(frozen=True)
class Text:
    """A text to find: where it is, its title and what it says."""

    url: str
    title: str
    content: str


@dataclass
class Index:
    """Texts, ready to be searched.

    Example:
        >>> index = Index.of([Text("a", "Beans", "Water them."), Text("b", "Trees", "Beans do not grow on trees.")])
        >>> [text.url for text, score in index.search("beans")]
        ['a', 'b']
    """

    texts: Sequence[Text]
    lengths: list[int] = field(default_factory=list)
    places: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    @classmethod
    def of(cls, texts: Sequence[Text]) -> Index:
        """An index of texts."""
        made = cls(texts)
        for number, text in enumerate(texts):
            counts: Counter[str] = Counter()
            for word, count in Counter(_WORD.findall(text.content.casefold())).items():
                for one in _compared(word):
                    counts[one] += count
            for word in words(text.title):
                counts[word] += TITLE_WEIGHT
            made.lengths.append(sum(counts.values()))
            for word, count in counts.items():
                made.places.setdefault(word, []).append((number, count))
        return made

    def search(self, query: str) -> list[tuple[Text, float]]:
        """Every text that has a word of the query, best first, with its score."""
        wanted = asked(query)
        mean = sum(self.lengths) / len(self.lengths) if self.lengths else 0.0
        scores: dict[int, float] = {}
        for word in wanted:
            weight = self.weight(word)
            for number, count in self.places.get(word, ()):
                length = K1 * (1 - B + B * self.lengths[number] / mean)
                scores[number] = scores.get(number, 0.0) + weight * count * (K1 + 1) / (count + length)
        ranked = sorted(scores, key=lambda number: (-scores[number], self.texts[number].url))
        return [(self.texts[number], scores[number]) for number in ranked]

    def weight(self, word: str) -> float:
        """How much a word says: the rarer, the more; never below 0."""
        having = len(self.places.get(word, ()))
        return math.log(1 + (len(self.texts) - having + 0.5) / (having + 0.5))

    def snippet(self, text: Text, query: str, longest: int = _SNIPPET) -> str:
        """The sentences of a text that say most of the query, at most ``longest`` characters."""
        weights = {word: self.weight(word) for word in asked(query)}
        parts = (found.group().strip().lstrip("#").strip() for found in _SENTENCE.finditer(text.content))
        sentences = [part for part in parts if part and part != text.title]
        if not sentences:
            return text.title
        values = [sum(weights.get(word, 0.0) for word in set(words(sentence))) for sentence in sentences]
        best = max(range(len(sentences)), key=lambda number: (values[number], -number))
        first = last = best
        length = len(sentences[best])
        while last + 1 < len(sentences) and length + len(sentences[last + 1]) + 1 <= longest:
            last += 1
            length += len(sentences[last]) + 1
        said = " ".join(" ".join(sentences[first : last + 1]).split())
        return _around(said, weights, longest)


def asked(query: str) -> list[str]:
    """The words of a query, each once; common ones only when there are no others."""
    found = list(dict.fromkeys(words(query)))
    return [word for word in found if word not in _common()] or found


@functools.lru_cache(maxsize=1)
def _common() -> frozenset[str]:
    return frozenset(words(" ".join(_COMMON)))


def _around(sentence: str, weights: dict[str, float], longest: int) -> str:
    """A long sentence cut to where the first word of the query stands."""
    if len(sentence) <= longest:
        return sentence
    places = (found.start() for found in _WORD.finditer(sentence) if set(words(found.group())) & weights.keys())
    start = max(0, min(next(places, 0) - longest // 4, len(sentence) - longest))
    start = sentence.rfind(" ", 0, start) + 1 if start else 0
    cut = sentence[start : start + longest]
    if start + longest < len(sentence):
        cut = f"{cut.rpartition(' ')[0] or cut}…"
    return f"…{cut}" if start else cut
