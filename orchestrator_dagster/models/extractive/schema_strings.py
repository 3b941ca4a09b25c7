"""Strings of a schema: by format and enum, by the role that the property's name (else its description) tells, else the
sentence that has the words of the name. What names a thing that only a reader could know (an author, a sentiment) is
taken from a field of that name or not at all."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from orchestrator_dagster.models.extractive import values
from orchestrator_dagster.models.extractive.key_terms import key_terms
from orchestrator_dagster.models.extractive.ranking import in_order, select
from orchestrator_dagster.models.extractive.schema_names import CUES, ROLES, SCALES, STATISTIC, role_of
from orchestrator_dagster.models.extractive.schema_numbers import TASK_STEMS, fill_boolean, is_denied, written_numbers
from orchestrator_dagster.models.extractive.schema_shape import Shapes
from orchestrator_dagster.models.extractive.scope import NOTHING, Given, Scope
from orchestrator_dagster.models.extractive.text import Sentence
from orchestrator_dagster.models.extractive.wishes import Wishes, read_wishes
from orchestrator_dagster.models.extractive.words import content_stems, name_words
from orchestrator_dagster.models.extractive.writing import Writer, shorten

# What finds the values of a role in a text.
FINDERS: dict[str, Callable[[str], Sequence[object]]] = {
    "url": values.urls,
    "email": values.emails,
    "date": values.dates_as_written,
    "year": values.years,
}


class Strings:
    """Fills strings from one text.

    Args:
        given: The text.
        shapes: The schema, to check candidates.
        wishes: Of the instruction.
        writer: Makes whole answers (reports, lists) where a property asks for one.
    """

    def __init__(self, given: Given, shapes: Shapes, wishes: Wishes, writer: Callable[[Wishes], Writer]) -> None:
        self.given = given
        self.shapes = shapes
        self.wishes = wishes
        self.writer = writer

    def fill(self, schema: Mapping[str, Any], name: str, scope: Scope) -> Any:
        """The first candidate that fits the schema, NOTHING when there is none."""
        pattern, most = schema.get("pattern"), schema.get("maxLength")
        for candidate in self._candidates(schema, name, scope):
            text = candidate.strip()
            if most is not None and not schema.get("format"):
                text = shorten(text, most)
            if text and self.shapes.fits(text, {**schema, "type": "string"}):
                return text
        return self._by_pattern(schema, pattern, scope) if isinstance(pattern, str) else NOTHING

    def choose(self, options: list[Any], schema: Mapping[str, Any], name: str, scope: Scope) -> Any:
        """The option of an ``enum`` that the text supports best: by a field of the name, a statistic's scale, the
        language, a document's name, yes or no, else the option whose words stand in most sentences undenied."""
        fact = self.given.field_value(name, scope)
        folded = {str(option).strip().lower(): option for option in options}
        if str(fact).strip().lower() in folded and fact is not NOTHING:
            return folded[str(fact).strip().lower()]
        for scale in SCALES:
            if STATISTIC.search(name) and set(scale) <= set(folded):
                share = (
                    self.given.support(scope)
                    if re.search("(?i)confid|reliab|support|credib|trust", name)
                    else self.given.coverage(scope)
                )
                return folded[scale[min(len(scale) - 1, int(share * len(scale)))]]
        if set(folded) <= {"yes", "no"}:
            return folded.get("yes" if fill_boolean(self.given, schema, name, scope) else "no", NOTHING)
        documents = [scope.document] if scope.document else self.given.corpus.documents
        for document in documents:
            if document.name.lower() in folded:
                return folded[document.name.lower()]
            if (
                ROLES.get(name_words(name)[-1] if name_words(name) else "") == "language"
                and document.language in folded
            ):
                return folded[document.language]
        pools = [[scope.focus]] if scope.focus else []
        for pool in [*pools, scope.sentences]:
            votes = {
                option: self._votes(str(option), pool) for option in options if isinstance(option, (str, int, float))
            }
            best = max(votes.values(), default=0)
            if best:
                return next(option for option in options if votes.get(option) == best)
        return NOTHING

    def mentioned(self, options: list[Any], scope: Scope) -> list[Any]:
        """The options that the text mentions."""
        pool = [scope.focus] if scope.focus else scope.sentences
        return [option for option in options if isinstance(option, str) and self._votes(option, pool)]

    def _votes(self, option: str, pool: Any) -> int:
        wanted = tuple(dict.fromkeys(content_stems(option.replace("_", " "), frozenset())))
        count = 0
        for sentence in pool:
            stems = self.given.corpus.stems[sentence]
            if wanted and all(word in stems for word in wanted) and not is_denied(sentence.text, frozenset(wanted)):
                count += 1
        return count

    def _candidates(self, schema: Mapping[str, Any], name: str, scope: Scope) -> Iterator[str]:
        description = str(schema.get("description") or schema.get("title") or "")
        form = schema.get("format")
        fact = self.given.field_value(name, scope)
        if isinstance(fact, (str, int, float)) and not isinstance(fact, bool) and form is None:
            yield str(fact)
        if form in ("json", "csv", "markdown"):
            yield from self._written_as(str(form), description, name, scope)
            return
        if isinstance(form, str) and form not in ("text", "textarea", "html", "string", "password"):
            for text in self._texts(scope):
                yield from values.of_format(text, form) or ()
            return
        parts = name_words(name)
        role = role_of(name, description)
        wishes = read_wishes(f"{' '.join(parts)}. {description}")
        yield from self._by_role(role, parts, description, wishes, scope)
        least = schema.get("minLength", 0)
        if role in ("summary", "report", "answer", "sentence", "description") and least:
            # Longer and longer, until the text is used up.
            for number in (5, 10, 20, 40, 80, 160):
                chosen = in_order(select(self.given.corpus.rank(scope.sentences, self.given.topic), number))
                yield " ".join(one.text for one in chosen)
            yield " ".join(one.text for one in scope.sentences)

    def _texts(self, scope: Scope) -> Iterator[str]:
        if scope.focus:
            yield scope.focus.raw
        documents = [scope.document] if scope.document else self.given.corpus.documents
        for document in documents:
            yield " ".join(str(value) for value in document.fields.values() if isinstance(value, (str, int)))
            yield document.text
        if scope.whole:
            yield " ".join(str(value) for value in self.given.prompt.sources.fields.values())

    def _by_role(self, role: str, parts: list[str], description: str, wishes: Wishes, scope: Scope) -> Iterator[str]:
        document, focus = scope.document, scope.focus
        if role == "name" and len(parts) > 1 and ROLES.get(parts[-2]) != "source":
            return  # the name of something: only a field can tell
        if role in ("title", "name", "source"):
            yield from self._named(role, parts, scope)
        elif role in ("term", "section"):
            if scope.term:
                yield scope.term.text
            elif focus and focus.section and role == "section":
                yield focus.section
            elif role == "term":
                subject = {"topic", "subject", "thema", "query"} & set(parts) and scope.whole and parts[-1] != "topics"
                if subject and self.given.prompt.topic:
                    yield self.given.prompt.topic
                pool = [focus] if focus else scope.sentences
                terms = [term.text for term in key_terms(self.given.corpus, wishes.terms or 8, pool)]
                yield ", ".join(terms) if parts and parts[-1].endswith("s") else (terms or [""])[0]
        elif role == "language":
            yield (document or self.given.corpus.documents[0]).language if self.given.corpus.documents else ""
        elif role in ("url", "email", "date", "year"):
            find = FINDERS[role]
            for text in self._texts(scope):
                yield from (str(value) for value in find(text))
        elif role == "quote":
            best = self.best_sentence(scope, description)
            yield best.raw if best else ""
        elif role == "question":
            yield self.given.prompt.question if scope.whole else ""
            yield from (one.text for one in scope.sentences if one.text.endswith("?"))
        elif role == "quantity":
            for number, _ in written_numbers(self.given, parts, description, scope):
                yield number.written
        elif role == "cued":
            yield from self.cued(parts, scope)
        elif role in ("summary", "description", "report", "answer", "sentence"):
            yield from self._prose(role, parts, description, wishes, scope)
        elif role != "absent":
            found = self.matching(parts, description, scope)
            yield from (one.text for one in found[:8])
            if not found and scope.alone and scope.whole:
                yield self.writer(wishes.or_length_of(self.wishes)).write()

    def _named(self, role: str, parts: list[str], scope: Scope) -> Iterator[str]:
        prompt, documents = self.given.prompt, self.given.corpus.documents
        if scope.term and role == "name":
            yield scope.term.text
        document = scope.document
        if document is None and not (scope.whole and role in ("title", "name")):
            best = self.best_sentence(scope, "")
            document = documents[best.document] if best else None
        if role == "source" and document:
            if scope.whole and parts[-1:] and parts[-1] in ("sources", "documents", "files", "references", "citations"):
                yield ", ".join(dict.fromkeys(one.name for one in documents))
            path = document.fields.get("path") or document.fields.get("file_path")
            yield str(path) if "path" in parts and path else document.name
        elif document:
            yield document.label
        else:
            yield prompt.topic[:1].upper() + prompt.topic[1:]
            yield documents[0].label if documents and (documents[0].title or len(documents) == 1) else ""
            yield (self.given.terms[0].text if self.given.terms else "").capitalize()

    def _prose(self, role: str, parts: list[str], description: str, wishes: Wishes, scope: Scope) -> Iterator[str]:
        corpus, focus = self.given.corpus, scope.focus
        if scope.term and not focus:
            best = [one for one in scope.sentences if set(scope.term.stems) <= set(corpus.stems[one])]
            yield from (one.text for one in select(corpus.rank(best or scope.sentences, scope.term.stems), 3))
        elif focus:
            beside = {
                "explanation",
                "detail",
                "details",
                "context",
                "background",
                "description",
                "rationale",
                "reasoning",
                "justification",
                "reason",
            }
            if beside & set(parts) and any(value == focus.text for value in scope.siblings.values()):
                pool = corpus.documents[focus.document].sentences
                following = pool[focus.position + 1 : focus.position + 2]
                yield from (one.text for one in following if one.section == focus.section and not one.opens)
            yield focus.text
        elif role == "sentence" and not (parts and parts[-1].endswith("s")):
            best_one = self.best_sentence(scope, description)
            yield best_one.text if best_one else ""
        elif scope.document:
            yield self.writer(wishes).prose(wishes, 2, scope.sentences)
        elif role == "sentence":
            yield self.writer(wishes.or_length_of(self.wishes)).points()
        else:
            if scope.alone and not (wishes.report or wishes.bullets or wishes.key_terms):
                wishes = wishes if wishes.has_length else self.wishes
            wishes = wishes.or_length_of(self.wishes) if role in ("summary", "report", "answer") else wishes
            yield self.writer(wishes).report() if role == "report" else self.writer(wishes).write()

    def best_sentence(self, scope: Scope, description: str) -> Sentence | None:
        """The scope's own sentence, else its best one that no other value has taken yet."""
        if scope.focus:
            return scope.focus
        told = [word for word in content_stems(description, self.given.corpus.stops) if word not in TASK_STEMS]
        if self.given.prompt.question and scope.whole:
            asked = self.given.corpus.question_scores(self.given.topic, self.given.prompt.question)
            if asked:
                return asked[0][1]
        topic = tuple(dict.fromkeys([*self.given.topic, *told]))
        found = self.given.corpus.rank(scope.sentences, topic).best_first()
        best = next((one for one in found if one not in scope.used), found[0] if found else None)
        if best:
            scope.used.append(best)
        return best

    def cued(self, parts: list[str], scope: Scope) -> list[str]:
        """Sentences that speak as a recommendation, risk, benefit … does, in the order of their rank."""
        cue = next((form for word, form in CUES.items() for part in parts if part.startswith(word)), None)
        if scope.focus or cue is None:
            return [scope.focus.text] if scope.focus else []
        pool = [one for one in scope.sentences if re.search(cue, one.text, re.I)]
        about = [word for part in parts for word in content_stems(part, self.given.corpus.stops) if part not in ROLES]
        best = select(self.given.corpus.rank(pool, (*self.given.topic, *about)), 12) if pool else []
        return [one.text for one in in_order(best)]

    def matching(self, parts: list[str], description: str, scope: Scope) -> list[Sentence]:
        """Sentences with words of the name, or with half of the description's words, the best first."""
        corpus = self.given.corpus
        named = [word for part in parts for word in content_stems(part, corpus.stops) if word not in TASK_STEMS]
        told = [word for word in content_stems(description, corpus.stops) if word not in TASK_STEMS]
        pool = frozenset([scope.focus] if scope.focus else scope.sentences)
        found = []
        for score, one in corpus.question_scores([*named, *told]):
            stems = corpus.stems[one]
            enough = sum(word in stems for word in dict.fromkeys(told)) >= max(2, len(set(told)) / 2)
            if one in pool and (enough or corpus.coverage(named, stems) >= 0.4):
                found.append((score, one))
        return [one for _, one in found]

    def _written_as(self, form: str, description: str, name: str, scope: Scope) -> Iterator[str]:
        wishes = read_wishes(f"{name}. {description}").or_length_of(self.wishes)
        writer = self.writer(wishes)
        if form == "markdown":
            yield writer.report() if wishes.report or self.wishes.report else writer.write()
            return
        chosen = writer.sentences(wishes, wishes.items or 8, scope.sentences)
        rows = [{"source": self.given.corpus.documents[one.document].name, "text": one.text} for one in chosen]
        tables = self.given.prompt.sources.tables
        rows = rows or [dict(row) for row in (tables[0].rows if tables else ())]
        if form == "json":
            yield json.dumps(rows, ensure_ascii=False)
            return
        out = io.StringIO()
        writing = csv.DictWriter(
            out, list(tables[0].columns) if not chosen and tables else ["source", "text"], lineterminator="\n"
        )
        writing.writeheader()
        writing.writerows(rows)
        yield out.getvalue() if rows else ""

    def _by_pattern(self, schema: Mapping[str, Any], pattern: str, scope: Scope) -> Any:
        """A piece of the text that the pattern takes: words first, then anything that it finds without its anchors."""
        loose = re.sub(r"^\^|(?<!\\)\$$", "", pattern)
        try:
            inner = re.compile(loose)
        except re.error:
            inner = re.compile(pattern)  # an anchor inside a group: search with it as it stands
        pool = [scope.focus] if scope.focus else list(scope.sentences)[:2000]
        rule = {**schema, "type": "string"}
        for text in [*(one.text for one in pool), *(one.label for one in self.given.corpus.documents)]:
            for word in text.split():
                if self.shapes.fits(word.strip(".,;:!?()\"'"), rule):
                    return word.strip(".,;:!?()\"'")
            for match in inner.finditer(text):
                if match.group() and self.shapes.fits(match.group(), rule):
                    return match.group()
        return NOTHING
