"""The key terms of a text: words and two-word phrases.

A phrase is two neighbouring content words with nothing between them but a blank, more than once. Its score is its
damped frequency times the rareness of its parts, lifted by 1.6 for saying more than a word does; a word's own score
counts mostly where it does not stand inside a phrase (the idea of the C-value: Frantzi, Ananiadou and Mima, 2000).
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator_dagster.models.extractive.ranking import Corpus
from orchestrator_dagster.models.extractive.text import Sentence
from orchestrator_dagster.models.extractive.words import listed, plain, stem, without_elision, words

_SPAN = re.compile(r"\w+(?:['’\-]\w+)*(?: +\w+(?:['’\-]\w+)*)*")
# Say little alone, whatever the text: no key term, and no end of a phrase.
_PALE = listed(
    """able according cold cool cooler hot warm warmer add added adding affect allow allowed allows amount area areas
    average based began begin beginning bring build built call called case cases cause caused causes change
    changed changes choose close common compared consider contain contains cost cover covered covers day days
    depend depends describe different easy effect effects end example fact factor fall find finds first follow
    form found full grow grown grows growing half hard help helped helps high higher highest hold hour hours
    hundred important improve include included includes including increase increased increases inside job know
    known large larger lead leads level levels low lower lowered lowers lowest main matter measure measured
    month months number numbers offer offers open part parts people percent place places plan point possible
    process produce produced provide provided provides range rate reach reached reaches reduce reduced reduces
    require required requires rest result results rise rises run set share show showed shown shows side simple
    single size small smaller spend start started stay step studies study support system systems task third
    thousand time times total turn type types value view way week weeks whole work works world year years jahr
    jahre jahren zeit teil grad prozent ans année années jour jours año años día días parte"""
)
_WEAK_ENDING = re.compile(r".{2,}ly$|.{3,}ed$")


@dataclass(frozen=True)
class KeyTerm:
    """A key term as the text writes it most often.

    Args:
        text: In lower case, unless the text always writes it with a capital.
        score: Its weight; the best term has 1.
        count: How often it stands in the text.
        documents: Indexes of the documents that have it.
        stems: The stems of its words.
    """

    text: str
    score: float
    count: int
    documents: tuple[int, ...]
    stems: tuple[str, ...]


def key_terms(corpus: Corpus, most: int, sentences: Sequence[Sentence] | None = None) -> list[KeyTerm]:
    """The key terms of these sentences (default: of all), the best first."""
    forms: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    where: dict[tuple[str, ...], dict[int, None]] = defaultdict(dict)
    for sentence in corpus.sentences if sentences is None else sentences:
        for stems, form in _candidates(sentence.text, corpus.stops):
            forms[stems][form] += 1
            where[stems][sentence.document] = None
    counts = {stems: sum(found.values()) for stems, found in forms.items()}
    phrases = {stems: count for stems, count in counts.items() if len(stems) == 2 and count > 1}
    inside: Counter[tuple[str, ...]] = Counter()
    scores: dict[tuple[str, ...], float] = {}
    spread = {stems: 1 + 0.4 * math.log(len(found)) for stems, found in where.items()}
    for stems, count in phrases.items():
        rare = (corpus.idf(stems[0]) + corpus.idf(stems[1])) / 2
        scores[stems] = 1.6 * count**0.8 * rare * spread[stems]
        for word in stems:
            inside[(word,)] += count
    for stems, count in counts.items():
        if len(stems) == 1 and count - inside[stems] > 0:
            alone = count - 0.7 * inside[stems]
            once = 0.5 if count == 1 else 1.0
            scores[stems] = max(1.0, alone) ** 0.7 * corpus.idf(stems[0]) * spread[stems] * once
    best = sorted(scores, key=lambda stems: (-round(scores[stems], 6), stems))
    chosen: list[tuple[str, ...]] = []
    for stems in best:
        if len(chosen) == most:
            break
        # "street", after "street trees" was chosen and where it hardly stands alone, says nothing new.
        if any(_overlaps(stems, other, counts) for other in chosen):
            continue
        chosen.append(stems)
    top = scores[chosen[0]] if chosen else 1.0
    return [
        KeyTerm(_form(forms[stems]), round(scores[stems] / top, 4), counts[stems], tuple(where[stems]), stems)
        for stems in chosen
    ]


def _overlaps(stems: tuple[str, ...], other: tuple[str, ...], counts: dict[tuple[str, ...], int]) -> bool:
    shared = set(stems) & set(other)
    if not shared:
        return False
    if len(stems) == 1:
        return counts[stems] < 3 * counts[other]
    # Of "urban heat" and "heat island" that always stand together one is enough.
    chained = len(other) == 2 and (stems[0] == other[1] or stems[1] == other[0]) and counts[stems] == counts[other]
    return len(shared) == len(stems) or chained


def _candidates(text: str, stops: frozenset[str]) -> list[tuple[tuple[str, ...], str]]:
    found: list[tuple[tuple[str, ...], str]] = []
    opening = True
    for span in _SPAN.findall(text):
        before: tuple[str, str] | None = None
        for word in words(span):
            base = plain(word)
            word = without_elision(word)
            shown = word.lower() if opening and word[1:].islower() else re.sub(r"['’]s$", "", word)
            opening = False
            if base in stops or len(base) < 3 or base.isdigit() or not re.search(r"[^\W\d_]", base):
                before = None
                continue
            here = (stem(base), shown)
            if base not in _PALE and not _WEAK_ENDING.match(base):
                found.append(((here[0],), shown))
                if before and before[0] != here[0]:
                    found.append(((before[0], here[0]), f"{before[1]} {shown}"))
            before = None if base in _PALE or _WEAK_ENDING.match(base) else here
    return found


def _form(forms: Counter[str]) -> str:
    """The most frequent way it is written; in lower case as soon as the text once writes it so."""
    lower = {form.lower() for form in forms if form == form.lower()}
    merged: Counter[str] = Counter()
    for form, count in forms.items():
        merged[form.lower() if form.lower() in lower else form] += count
    return min(merged, key=lambda form: (-merged[form], form))
