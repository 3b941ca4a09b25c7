"""The part of the text from which one value of an answer is taken, and what can be measured of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from orchestrator_dagster.models.extractive.key_terms import KeyTerm, key_terms
from orchestrator_dagster.models.extractive.prompt import Prompt, Table
from orchestrator_dagster.models.extractive.ranking import Corpus
from orchestrator_dagster.models.extractive.text import Document, Sentence


class Nothing:
    """Stands for "the text does not say"."""


NOTHING = Nothing()


@dataclass
class Scope:
    """Where an object's values come from: the whole text, one document, one sentence, one key term or one table row.

    Args:
        sentences: The sentences that may be used.
        document: The document, for values that name a source; None for the whole text.
        focus: The sentence that this object is about.
        term: The key term that this object is about.
        row: The table row that this object is.
        index: Number of the object in its list, from 0.
        siblings: Values of the object that are filled already.
        used: Sentences that other values of the object have taken.
        alone: Whether the object has a single property, which then is the whole answer.
    """

    sentences: Sequence[Sentence]
    document: Document | None = None
    focus: Sentence | None = None
    term: KeyTerm | None = None
    row: dict[str, Any] | None = None
    index: int = 0
    siblings: dict[str, Any] = field(default_factory=dict)
    used: list[Sentence] = field(default_factory=list)
    alone: bool = False

    @property
    def whole(self) -> bool:
        """Whether it is the whole text."""
        return self.document is None and self.focus is None and self.term is None and self.row is None

    def inner(self, alone: bool = False) -> Scope:
        """The same part of the text for a nested object."""
        return Scope(self.sentences, self.document, self.focus, self.term, self.row, self.index, alone=alone)


class Given:
    """The text of a request with what is computed once: key terms, the topic's words, statistics."""

    def __init__(self, corpus: Corpus, prompt: Prompt) -> None:
        self.corpus = corpus
        self.prompt = prompt
        self.topic = prompt.topic_stems

    @cached_property
    def terms(self) -> list[KeyTerm]:
        """The forty best key terms of the whole text."""
        return key_terms(self.corpus, 40)

    @cached_property
    def subject(self) -> tuple[str, ...]:
        """Stems of the topic that the instruction names, whether the text knows it or not; without such a name the
        instruction's words, when the text knows one; else the ten best key terms.
        """
        if self.prompt.topic and self.topic:
            return self.topic
        if any(self.corpus.sentence_counts[word] for word in self.topic):
            return self.topic
        return tuple(dict.fromkeys(word for term in self.terms[:10] for word in term.stems))

    def stems_of(self, scope: Scope) -> frozenset[str]:
        """All stems of the sentences of a scope."""
        pool = [scope.focus] if scope.focus else scope.sentences
        return frozenset(word for sentence in pool for word in self.corpus.stems[sentence])

    def coverage(self, scope: Scope) -> float:
        """How much of the subject is in the scope: its words found there, rare ones counting more; 0 to 1."""
        return self.corpus.coverage(self.subject, self.stems_of(scope))

    def support(self, scope: Scope) -> float:
        """The share of documents that have at least half of the subject: of the scope's sentence or key term, else of
        the topic; 0 to 1."""
        documents = self.corpus.document_stems
        if not documents:
            return 0.0
        if scope.term:
            return round(len(scope.term.documents) / len(documents), 6)
        subject = tuple(dict.fromkeys(self.corpus.stems[scope.focus])) if scope.focus else self.subject
        found = sum(1 for stems in documents if self.corpus.coverage(subject, stems) >= 0.5)
        return round(found / len(documents), 6)

    def field_value(self, name: str, scope: Scope) -> Any:
        """A fact that the data gives under this very name (case, ``-``, ``_`` and blanks do not count)."""
        wanted = _same_name(name)
        places: list[dict[str, Any]] = [scope.row] if scope.row else []
        if scope.document:
            places.append(scope.document.fields)
        elif not scope.row:
            places.append(self.prompt.sources.fields)
            if len(self.corpus.documents) == 1:
                places.append(self.corpus.documents[0].fields)
            places += [dict(table.rows[0]) for table in self.prompt.sources.tables if len(table.rows) == 1]
        for place in places:
            for key, value in place.items():
                if _same_name(key) == wanted:
                    return value
        return NOTHING

    def column(self, names: Sequence[str]) -> tuple[Table, str] | None:
        """The table's column that has all words of one of these names."""
        for table in self.prompt.sources.tables:
            for column in table.columns:
                if _same_name(column) in {_same_name(name) for name in names}:
                    return table, column
        return None


def scaled(share: float, low: float, high: float) -> float:
    """A share of 0 to 1 put between two bounds."""
    return low + math.fsum([share * high, -share * low])


def _same_name(name: str) -> str:
    return "".join(sign for sign in name.lower() if sign.isalnum())
