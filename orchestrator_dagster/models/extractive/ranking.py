"""Which sentences of a text matter most, and which of its words: TF-IDF, graph centrality, redundancy control.

Linear in the text except for one graph, and that is drawn over the 220 best sentences (by TF-IDF, topic and place)
only: more would cost time and change little. All sums are ``fsum`` and all scores are rounded before they are compared,
so that the order is the same on every machine and Python version.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from orchestrator_dagster.models.extractive.text import Document, Sentence
from orchestrator_dagster.models.extractive.words import content_stems, plain, stem, stop_words

GRAPH_SIZE = 220
_ROUNDS = 15  # of the power iteration; the order of the best sentences is stable after about ten
_DAMPING = 0.85  # as in PageRank (Brin and Page, 1998)
_RELEVANCE = 0.7  # of relevance against novelty in maximal marginal relevance (Carbonell and Goldstein, 1998)
_DUPLICATE = 0.6  # cosine from which two sentences say the same

# A sentence that opens so leans on the one before it and reads badly alone.
_LEANS = re.compile(
    r"(?i)(?:(?:for|with|by|in|on|at|from|to|of|under|during|after|before|without|among|within) "
    r"(?:it|them|these|this|those|that|such)|it|its|he|she|his|her|they"
    r"|their|theirs|this|these|that|those|such|both|neither|one of (?:them"
    r"|these)|here|there"
    r"|then|the (?:former|latter|same|result|other|second|third|latter|effect|reason|answer)|another|others"
    r"|some of (?:them|these)|either"
    r"|er|sie|es|dies\w*|diese[rsnm]?|solche\w*|dabei|dadurch|dafür|damit|hier|dort|ihre?\w*|seine?\w*|beide"
    r"|il|elle|ils|elles|ce|cela|cette|ces|cet|ceci|leurs?|son|sa|ses|celui-ci|celle-ci"
    r"|él|ella|ellos|ellas|est[aeo]s?|es[aeo]s?|su|sus|ello)\b(?! (?:is|are|was|were) (?:no|a lot of|many) )"
)
_JOINS = re.compile(
    r"(?i)(?:however|but|and|or|so|yet|thus|hence|therefore|moreover|furthermore|in addition|additionally|also"
    r"|for (?:example|instance)"
    r"|the (?:authors?|study|researchers?|team|paper)|similarly|likewise|instead|nevertheless|nonetheless|still"
    r"|consequently|as a result|in contrast|by contrast|on the other hand"
    r"|meanwhile|otherwise|finally|secondly|second|third|next|in other words|that is|indeed|equally|conversely"
    r"|aber|doch|jedoch|denn|deshalb|daher"
    r"|außerdem|zudem|allerdings|zum beispiel|mais|donc|cependant|toutefois|en outre|de plus|par exemple|ainsi"
    r"|pero|sin embargo|además"
    r"|por ejemplo|por lo tanto|por eso)\b"
)

# Says little without the sentences after it.
ANNOUNCES = re.compile(
    r"(?i)\b(?:two|three|four|several|many|following|various) (?:ways|reasons|things|steps|factors|types"
    r"|kinds|points)\b"
)


@dataclass(frozen=True)
class Ranked:
    """Sentences with their scores (0 to 1, best is 1) and a measure of likeness between any two of them."""

    sentences: tuple[Sentence, ...]
    scores: dict[Sentence, float]
    likeness: Callable[[Sentence, Sentence], float]

    def best_first(self) -> list[Sentence]:
        """All, the best first; of equals the earlier one."""
        return sorted(self.sentences, key=lambda one: (-self.scores[one], one.document, one.position))


class Corpus:
    """All sentences of all documents with their words counted once.

    Args:
        documents: In the order of the data.
        instruction_language: Its stop words count too.
    """

    def __init__(self, documents: Sequence[Document], instruction_language: str = "en") -> None:
        self.documents = tuple(documents)
        self._headings: dict[tuple[int, str], frozenset[str]] = {}
        self.sentences = tuple(sentence for document in documents for sentence in document.sentences)
        self.stops = stop_words([*(document.language for document in documents), instruction_language])
        self.stems: dict[Sentence, tuple[str, ...]] = {
            sentence: tuple(content_stems(sentence.text, self.stops)) for sentence in self.sentences
        }
        self.sentence_counts = Counter(word for found in self.stems.values() for word in dict.fromkeys(found))
        self.counts = Counter(word for found in self.stems.values() for word in found)

    @cached_property
    def document_stems(self) -> tuple[frozenset[str], ...]:
        """The stems of each document, its headings and title included."""
        return tuple(
            frozenset(content_stems(" ".join([document.title, *document.headings]), self.stops)).union(
                *(self.stems[sentence] for sentence in document.sentences)
            )
            for document in self.documents
        )

    def heading_stems(self, document: int, section: str) -> frozenset[str]:
        """The stems of a document's title and of one of its headings."""
        key = (document, section)
        if key not in self._headings:
            text = f"{self.documents[document].title} {section}"
            self._headings[key] = frozenset(content_stems(text, self.stops))
        return self._headings[key]

    def idf(self, word: str) -> float:
        """Inverse document frequency over sentences, at least a little above 0."""
        return math.log(1 + len(self.sentences) / (1 + self.sentence_counts[word])) + 0.01

    def coverage(self, topic: Sequence[str], found: Iterable[str]) -> float:
        """The share of the topic's words that are among ``found``, rare words counting more; 0 to 1."""
        present = frozenset(found)
        whole = math.fsum(self.idf(word) for word in topic)
        return round(math.fsum(self.idf(word) for word in topic if word in present) / whole, 6) if whole else 0.0

    def vector(self, sentence: Sentence) -> dict[str, float]:
        """TF-IDF weights of its words, of length 1."""
        counts = Counter(self.stems[sentence])
        weights = {word: (1 + math.log(count)) * self.idf(word) for word, count in counts.items()}
        norm = math.sqrt(math.fsum(weight * weight for weight in weights.values()))
        return {word: weight / norm for word, weight in weights.items()} if norm else {}

    def rank(self, sentences: Sequence[Sentence] | None = None, topic: Sequence[str] = ()) -> Ranked:
        """Score sentences (default: all) by centrality × topic × how well they stand alone.

        Fragments (list items that are no sentence) take part only when there are fewer than three sentences.
        """
        pool = list(self.sentences if sentences is None else sentences)
        whole = [sentence for sentence in pool if not sentence.fragment]
        pool = whole if len(whole) >= 3 else pool
        prior = {sentence: self._prior(sentence, topic) for sentence in pool}
        pool.sort(key=lambda one: (-prior[one], one.document, one.position))
        nodes = pool[:GRAPH_SIZE]
        vectors = {sentence: self.vector(sentence) for sentence in nodes}

        def likeness(one: Sentence, other: Sentence) -> float:
            first, second = vectors[one], vectors[other]
            if len(second) < len(first):
                first, second = second, first
            return math.fsum(weight * second[word] for word, weight in first.items() if word in second)

        central = _centrality(nodes, likeness)
        raw = {
            sentence: central[sentence] * stands_alone(sentence) * self._topic_factor(sentence, topic)
            for sentence in nodes
        }
        top = max(raw.values(), default=0.0) or 1.0
        scores = {sentence: round(value / top, 6) for sentence, value in raw.items()}
        nodes.sort(key=lambda one: (one.document, one.position))
        return Ranked(tuple(nodes), scores, likeness)

    def _prior(self, sentence: Sentence, topic: Sequence[str]) -> float:
        """What decides who enters the graph: the mean weight of its words in the whole text, its topic, its place."""
        found = self.stems[sentence]
        weight = math.fsum(math.log(1 + self.counts[word]) for word in dict.fromkeys(found)) / math.sqrt(len(found) + 6)
        return round(weight * stands_alone(sentence) * self._topic_factor(sentence, topic), 6)

    def _topic_factor(self, sentence: Sentence, topic: Sequence[str]) -> float:
        own = self.stems[sentence]
        above = self.heading_stems(sentence.document, sentence.section)
        if not topic:
            return 1.0 + 0.4 * self.coverage(sorted(above), own)
        # Words that only the headings above it have count half.
        about = self.coverage(topic, own) + 0.5 * self.coverage([word for word in topic if word not in own], above)
        return 0.3 + 2.5 * about

    def question_scores(self, question: Sequence[str], kind: str = "") -> list[tuple[float, Sentence]]:
        """Sentences that have words of a question, the best first: BM25 (k1 1.2, b 0.6), a hint of the answer's kind.

        Args:
            question: Stems of its content words.
            kind: The question itself; "when", "how many", "why" and "who" prefer dates, numbers, reasons, names.
        """
        lengths = [len(found) for found in self.stems.values()]
        mean = (math.fsum(lengths) / len(lengths) if lengths else 1.0) or 1.0
        wanted = dict.fromkeys(question)
        hint = _answer_hint(kind)
        found = []
        before: tuple[float, Sentence] | None = None
        for sentence in self.sentences:
            counts = Counter(word for word in self.stems[sentence] if word in wanted)
            if not counts:
                continue
            damp = 1.2 * (0.4 + 0.6 * len(self.stems[sentence]) / mean)
            score = math.fsum(self.idf(word) * n * 2.2 / (n + damp) for word, n in counts.items())
            share = self.coverage(list(wanted), counts)
            alone = 0.5 + 0.5 * stands_alone(sentence)
            boost = 1.35 if hint and hint.search(sentence.text) else 1.0
            score *= (0.4 + 0.6 * share) * alone * boost
            # The sentence before may have named what this one goes on about.
            lent = 0.0
            if before and not sentence.opens and before[1].document == sentence.document:
                lent = 0.3 * before[0] if before[1].position + 1 == sentence.position else 0.0
            found.append((round(score + lent, 6), sentence))
            before = (score, sentence)
        return sorted(found, key=lambda pair: (-pair[0], pair[1].document, pair[1].position))


def _answer_hint(question: str) -> re.Pattern[str] | None:
    for asked, answer in (
        (r"\bwhen\b|\bwhat year\b|\bwann\b|\bquand\b|\bcuándo\b", r"\b(?:1[5-9]|20)\d\d\b|\b\d{1,2}:\d\d\b"),
        (r"\bhow (?:many|much|far|long|often|hot|big|large|high)\b|\bwie ?viel|\bcombien\b|\bcuánt", r"\d"),
        (
            r"\bwhy\b|\bwarum\b|\bpourquoi\b|\bpor qué\b",
            r"(?i)\bbecause\b|\bdue to\b|\bsince\b|\bso that\b|weil|parce|porque|caus",
        ),
        (r"\bwho\b|\bwer\b|\bqui\b|\bquién\b", r"(?<=\w )[A-ZÄÖÜ]\w+"),
    ):
        if re.search(asked, question, re.I):
            return re.compile(answer)
    return None


def stands_alone(sentence: Sentence) -> float:
    """How well a sentence reads without its neighbours and how much a summary wants it: about 0.01 to 1.7."""
    text, length = sentence.text, sentence.length
    factor = 1.0 if 9 <= length <= 34 else 0.8 if 6 <= length <= 45 else 0.45
    opening = text.lstrip("\"“„'«([*_")
    if _LEANS.match(opening):
        factor *= 0.3
    elif _JOINS.match(opening):
        factor *= 0.55
    if re.match(r"(?i)(?:i|we|my|our|you|your|let us|let's|ich|wir|nous)\b", opening):
        factor *= 0.75
    if text.endswith("?") or re.search(
        r"(?i)\b(?:figure|fig\.|table|abbildung|tabelle|chapter|section) \d|(?:see|click|read) (?:more|here|also"
        r"|below|above)\b",
        text,
    ):
        factor *= 0.3
    if text.count('"') % 2 or (text.count("“") != text.count("”") and "„" not in text):
        factor *= 0.6  # half of a quotation
    if ANNOUNCES.search(text):
        factor *= 0.5
    if re.search(r"(?i)\b(?:do|does|did|not|so|too|either|one|ones)[.!]$", text):
        factor *= 0.4  # "Roofs do.": its verb is in the sentence before
    if re.match(r"(?i)(?:\w+\W+){1,7}?(?:these|this|those|such)\s", opening):
        factor *= 0.8
    if re.match(r"(?i)(?:\w+\W+){1,7}?(?:therefore|however|thus|hence|then|moreover|furthermore)\b", opening):
        factor *= 0.75
    if re.match(r"(?i)(?:in|on|at|under|for|with|during|after|before)\s(?:\w+\W+){1,9}?(?:it|they)\s", opening):
        factor *= 0.5  # "In the shade it is lower.": what is?
    if text.endswith(":"):
        factor *= 0.25
    factor *= 1 + 0.5 / math.sqrt(1 + sentence.position)  # what matters most tends to be said first
    if sentence.opens:
        factor *= 1.1
    return 0.2 * factor if sentence.fragment else factor


def _centrality(nodes: Sequence[Sentence], likeness: Callable[[Sentence, Sentence], float]) -> dict[Sentence, float]:
    """PageRank over the likeness of sentences, as in LexRank (Erkan and Radev, 2004). The mean is 1."""
    size = len(nodes)
    edges: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for one in range(size):
        for other in range(one):
            weight = likeness(nodes[one], nodes[other])
            if weight > 0.05:
                # Near copies would vote each other up.
                weight = min(weight, 0.5)
                edges[one].append((other, weight))
                edges[other].append((one, weight))
    sums = {node: math.fsum(weight for _, weight in found) for node, found in edges.items()}
    rank = [1.0] * size
    for _ in range(_ROUNDS):
        rank = [
            1 - _DAMPING + _DAMPING * math.fsum(rank[other] * weight / sums[other] for other, weight in edges[node])
            for node in range(size)
        ]
    return {sentence: round(rank[node], 6) for node, sentence in enumerate(nodes)}


def select(ranked: Ranked, most: int, fits: Callable[[list[Sentence], Sentence], bool] | None = None) -> list[Sentence]:
    """The best sentences that do not repeat each other (maximal marginal relevance), the best first.

    Args:
        ranked: Scored sentences.
        most: How many at most.
        fits: Says whether a sentence may join those chosen so far (a limit of words, for instance).
    """
    chosen: list[Sentence] = []
    left = ranked.best_first()
    nearest = dict.fromkeys(left, 0.0)
    per_document: Counter[int] = Counter()
    while left and len(chosen) < most:

        def value(one: Sentence) -> tuple[float, int, int]:
            # Each sentence already taken from a document makes its next one a little less welcome.
            relevance = ranked.scores[one] / (1 + 0.12 * per_document[one.document])
            return (-round(_RELEVANCE * relevance - (1 - _RELEVANCE) * nearest[one], 6), one.document, one.position)

        best = min(left, key=value)
        left.remove(best)
        if nearest[best] > _DUPLICATE or (fits and not fits(chosen, best)):
            continue
        chosen.append(best)
        per_document[best.document] += 1
        for other in left:
            nearest[other] = max(nearest[other], round(ranked.likeness(best, other), 6))
    return chosen


def in_order(sentences: Iterable[Sentence]) -> list[Sentence]:
    """In the order of the documents, each once."""
    return sorted(dict.fromkeys(sentences), key=lambda one: (one.document, one.position))


def topic_like(word: str) -> str:
    """The stem under which a word of a name or description is looked for in a text."""
    return stem(plain(word))
