"""Free text answers: a summary, a list, a report in markdown, key terms, the sentences that answer a question."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from orchestrator_dagster.models.extractive.key_terms import key_terms
from orchestrator_dagster.models.extractive.prompt import Prompt, Table
from orchestrator_dagster.models.extractive.ranking import ANNOUNCES, Corpus, in_order, select
from orchestrator_dagster.models.extractive.text import Document, Sentence
from orchestrator_dagster.models.extractive.wishes import Wishes
from orchestrator_dagster.models.extractive.words import words

_HEADINGS = {
    "en": ("Summary", "Key points", "Key terms", "Sources", "Table"),
    "de": ("Zusammenfassung", "Kernpunkte", "Schlüsselwörter", "Quellen", "Tabelle"),
    "fr": ("Résumé", "Points clés", "Mots clés", "Sources", "Tableau"),
    "es": ("Resumen", "Puntos clave", "Palabras clave", "Fuentes", "Tabla"),
}
_SUMMARY_SENTENCES = 5
_ANSWER_SENTENCES = 3
_LIST_ITEMS = 6
_TERMS = 10
_SECTION_SENTENCES = 4


class Writer:
    """Writes answers from one corpus.

    Args:
        corpus: The text.
        prompt: What is asked.
        wishes: Length and form.
        language: Of the headings of a report.
        share: How much of the usual length to use, 0 to 1: below 1 when an answer was longer than ``max_tokens``.
    """

    def __init__(self, corpus: Corpus, prompt: Prompt, wishes: Wishes, language: str, share: float = 1.0) -> None:
        self.corpus = corpus
        self.prompt = prompt
        self.wishes = wishes
        self.share = share
        self.headings = _HEADINGS[language]
        self.topic = prompt.topic_stems

    def write(self) -> str:
        """The answer in the form that the instruction asks for; "" when the text has nothing to answer from."""
        wishes = self.wishes
        if self.prompt.question and not wishes.summary and not wishes.report:
            return self.answer()
        if wishes.report:
            return self.report()
        if wishes.key_terms and not wishes.summary:
            return self.terms(bullets=True)
        text = self.points() if wishes.bullets else self.summary()
        if wishes.key_terms and text:
            text += f"\n\n{self.headings[2]}: {self.terms(bullets=False)}"
        return text or self.tables()

    def _fewer(self, number: int) -> int:
        return max(1, math.floor(number * self.share))

    def sentences(
        self, wishes: Wishes, usual: int, pool: Sequence[Sentence] | None = None, topic: Sequence[str] | None = None
    ) -> list[Sentence]:
        """The sentences of a summary of this length, in the order of the text."""
        ranked = self.corpus.rank(pool, self.topic if topic is None else topic)
        if wishes.sentences:
            return in_order(select(ranked, self._fewer(wishes.sentences[1])))
        limit, size = _limit(wishes)
        if limit is None:
            return in_order(select(ranked, self._fewer(wishes.paragraphs * 4 if wishes.paragraphs else usual)))
        slack = 1.12 if wishes.words and not wishes.most_words else 1.0
        room = limit * self.share * slack

        def fits(chosen: list[Sentence], one: Sentence) -> bool:
            return sum(size(each.text) + 1 for each in chosen) + size(one.text) <= room + len(chosen)

        if size is len:  # characters: the blank between two sentences counts

            def fits(chosen: list[Sentence], one: Sentence) -> bool:
                return sum(len(each.text) + 2 for each in chosen) + len(one.text) <= room

        chosen = select(ranked, 400, fits)
        return in_order(chosen or select(ranked, 1))

    def prose(self, wishes: Wishes, usual: int = _SUMMARY_SENTENCES, pool: Sequence[Sentence] | None = None) -> str:
        """A summary of this length as running text."""
        chosen = self.sentences(wishes, usual, pool)
        if not chosen:
            return ""
        parts = min(wishes.paragraphs or 1, len(chosen))
        size = math.ceil(len(chosen) / parts)
        texts = [" ".join(_closed(one.text) for one in chosen[at : at + size]) for at in range(0, len(chosen), size)]
        return _cut_to(wishes, "\n\n".join(texts))

    def summary(self) -> str:
        """The summary that was asked for."""
        return self.prose(self.wishes)

    def points(self) -> str:
        """Sentences as a markdown list, each with its source when there are several documents."""
        wishes = self.wishes
        usual = wishes.items or _LIST_ITEMS
        if wishes.items or wishes.sentences:
            wishes = replace(wishes, sentences=(1, usual if wishes.items else wishes.sentences[1]))  # type: ignore[index]
        chosen = self.sentences(wishes, usual)
        numbered = bool(re.search(r"(?i)\bnumbered\b|nummeriert|numérotée|numerada", self.prompt.instruction))
        return "\n".join(
            f"{f'{number}.' if numbered else '-'} {_closed(one.text)}{self._source(one)}"
            for number, one in enumerate(chosen, start=1)
        )

    def terms(self, bullets: bool) -> str:
        """Key terms, one a line or in a row."""
        found = [term.text for term in key_terms(self.corpus, self._fewer(self.wishes.terms or _TERMS))]
        row = not bullets or re.search(r"(?i)comma|komma|virgule|coma\b", self.prompt.instruction)
        return ", ".join(found) if row else "\n".join(f"- {term}" for term in found)

    def answer(self) -> str:
        """The sentences that say most about the question, the best first; "" when none has a word of it."""
        found = self.corpus.question_scores(self.topic, self.prompt.question)
        if not found:
            return ""
        wishes = self.wishes
        most = wishes.items or (wishes.sentences[1] if wishes.sentences else _ANSWER_SENTENCES)
        best = found[0][0]
        share = 0.6 * self.corpus.coverage(self.topic, self.corpus.stems[found[0][1]])
        counted = wishes.sentences or wishes.items
        near = [
            one
            for score, one in found
            if counted or (score >= 0.5 * best and self.corpus.coverage(self.topic, self.corpus.stems[one]) >= share)
        ]
        chosen: list[Sentence] = []
        for one in near[:40]:
            if len(chosen) == self._fewer(most):
                break
            if not any(_alike(self.corpus, one, other) for other in chosen):
                chosen.append(one)
        question = self.prompt.question
        asks_why = re.match(r"(?i)\W*(?:why|how (?!many|much|far|long|often)|warum|pourquoi|por qué)", question)
        if asks_why or ANNOUNCES.search(chosen[0].text):
            # Reasons, and what was announced, stand behind the sentence that names the matter.
            pool = self.corpus.documents[chosen[0].document].sentences
            following = [one for one in pool[chosen[0].position + 1 : chosen[0].position + 3] if not one.opens]
            following = following[: 1 if asks_why else 2]
            chosen = list(dict.fromkeys([chosen[0], *following, *chosen[1:]]))[: max(len(chosen), self._fewer(most))]
        texts = [f"{_closed(one.text)}{self._source(one)}" for one in chosen]
        return _cut_to(wishes, "\n".join(f"- {text}" for text in texts) if wishes.bullets else " ".join(texts))

    def report(self) -> str:
        """Markdown: a title, a summary, a section for each document (or each section of a single one), key terms,
        sources. Every sentence is one of the text; every heading is one of the text, of the topic or fixed."""
        documents = [document for document in self.corpus.documents if document.sentences]
        if not documents:
            return self.tables()
        lead = self.sentences(Wishes(), 4 if len(documents) > 1 else 3)
        sections = self._document_sections(documents, lead) if len(documents) > 1 else self._themes(documents[0], lead)
        title = self.prompt.topic or (documents[0].label if len(documents) == 1 else self.headings[0])
        parts = [f"# {_heading(title)}"]
        if self.headings[0] != title:
            parts.append(f"## {self.headings[0]}")
        parts.append(" ".join(f"{_closed(one.text)}{self._source(one)}" for one in lead))
        for heading, body in sections:
            parts += [f"## {_heading(heading)}", body]
        tables = self.tables()
        terms = self.terms(bullets=False)
        parts += [tables] if tables else []
        parts += [f"## {self.headings[2]}", terms] if terms else []
        names = [_source_line(document) for document in documents]
        parts += [f"## {self.headings[3]}", "\n".join(f"- {name}" for name in dict.fromkeys(names))]
        return "\n\n".join(parts) + "\n"

    def _document_sections(self, documents: Sequence[Document], lead: Sequence[Sentence]) -> list[tuple[str, str]]:
        budget = self.wishes.words or self.wishes.most_words
        each = _SECTION_SENTENCES
        if budget:
            each = max(1, min(12, round(budget / 20 / (len(documents) + 1))))
        elif self.wishes.sentences:
            each = max(1, min(12, round(self.wishes.sentences[1] / len(documents))))
        sections = []
        for document in documents:
            rest = [one for one in document.sentences if one not in lead]  # said in the summary already
            chosen = self.sentences(
                Wishes(sentences=(1, each)), each, rest if len(rest) >= each else document.sentences
            )
            if chosen:
                body = " ".join(_closed(one.text) for one in chosen)
                sections.append((document.label, f"{body} [{document.name}]"))
        return sections

    def _themes(self, document: Document, lead: Sequence[Sentence]) -> list[tuple[str, str]]:
        """The sections of a single document with two sentences each, or one list of key points."""
        rest = [one for one in document.sentences if one not in lead]
        sections: dict[str, list[Sentence]] = {}
        for one in rest:
            sections.setdefault(one.section, []).append(one)
        named = {
            name: [one for one in pool if not one.fragment]
            for name, pool in sections.items()
            if name and name != document.title and not all(one.fragment for one in pool)
        }
        if len(named) >= 2:
            found = []
            for name, pool in list(named.items())[: max(2, self._fewer(12))]:
                chosen = self.sentences(Wishes(sentences=(1, 2)), 2, pool)
                found.append((name, " ".join(_closed(one.text) for one in chosen)))
            return [(name, body) for name, body in found if body]
        chosen = self.sentences(Wishes(sentences=(1, _LIST_ITEMS)), _LIST_ITEMS, rest) if rest else []
        return [(self.headings[1], "\n".join(f"- {_closed(one.text)}" for one in chosen))] if chosen else []

    def _source(self, one: Sentence) -> str:
        if len(self.corpus.documents) < 2 or self.wishes.most_characters or self.wishes.most_words:
            return ""
        return f" [{self.corpus.documents[one.document].name}]"

    def tables(self) -> str:
        """What the tables hold, in figures: rows, and for each column of numbers least, most and mean."""
        return "\n\n".join(self._table(table) for table in self.prompt.sources.tables)

    def _table(self, table: Table) -> str:
        lines = [f"**{self.headings[4]} {table.name}** ({len(table.rows)} rows: {', '.join(table.columns[:12])})"]
        for column in table.columns[:12]:
            found = column_numbers(table, column)
            if found and len(found) * 2 >= len(table.rows):
                mean = math.fsum(found) / len(found)
                lines.append(f"- {column}: {shown(min(found))} to {shown(max(found))}, mean {shown(round(mean, 2))}")
        return "\n".join(lines)


def column_numbers(table: Table, column: str) -> list[float]:
    """The finite numbers of a column."""
    found = [row.get(column) for row in table.rows]
    return [
        float(value)
        for value in found
        if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300
    ]


def shown(value: float) -> str:
    """A number for a reader: no ``.0`` behind a whole one."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def _limit(wishes: Wishes) -> tuple[int | None, Callable[[str], int]]:
    if wishes.most_words or wishes.words:
        return wishes.most_words or wishes.words, lambda text: len(text.split())
    return wishes.most_characters, len


def _cut_to(wishes: Wishes, text: str) -> str:
    """Hold a hard limit even when a single sentence is longer than it."""
    if wishes.most_words and len(text.split()) > wishes.most_words:
        text = " ".join(text.split()[: wishes.most_words]).rstrip(",;:") + " …"
    return shorten(text, wishes.most_characters) if wishes.most_characters else text


def shorten(text: str, most: int) -> str:
    """Cut at a sentence end, else at a blank with ``…`` behind it, so that at most ``most`` characters are left."""
    if len(text) <= most:
        return text
    ends = [end.end() for end in re.finditer(r"[.!?。！？](?=\s|$)", text[: most + 1]) if end.end() <= most]
    if ends and ends[-1] >= most // 3:
        return text[: ends[-1]]
    cut = text[: max(0, most - 1)]
    blank = cut.rfind(" ")
    return (cut[:blank] if blank > most // 3 else cut).rstrip(" ,;:") + ("…" if most > 0 else "")


def _closed(text: str) -> str:
    """A sentence for running text: list items without a full stop get one, a colon at the end becomes one."""
    text = text.rstrip(":;,") if text.endswith((":", ";", ",")) else text
    return text if re.search(r"[.!?…。！？][\"”’»')\]」』）]*$", text) else f"{text}."


def _heading(text: str) -> str:
    text = " ".join(text.split())
    return text[:1].upper() + text[1:]


def _source_line(document: Document) -> str:
    where = next(
        (str(document.fields[key]) for key in ("url", "link", "path", "file_path") if document.fields.get(key)), ""
    )
    named = document.title if document.title and document.title != document.name else ""
    parts = [part for part in dict.fromkeys([named, document.name, where]) if part]
    return parts[0] + (f" ({', '.join(parts[1:])})" if len(parts) > 1 else "")


def _alike(corpus: Corpus, one: Sentence, other: Sentence) -> bool:
    first, second = set(corpus.stems[one]), set(corpus.stems[other])
    return len(first & second) > 0.7 * max(1, min(len(first), len(second)))


def word_count(text: str) -> int:
    """Words of a text."""
    return len(words(text))
