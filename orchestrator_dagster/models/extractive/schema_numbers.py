"""Numbers and booleans of a schema.

Numbers, by the property's name:

- a fact or table column of that name (``total_``, ``mean_``, ``max_``, ``min_`` of a column are computed);
- ``rank``, ``index``, ``position``: the place in the list, from 1;
- ``score``, ``relevance``, ``coverage``, ``quality``, ``importance`` …: the share of the subject's words that stand in
  that part of the text, rare words counting more; ``confidence``, ``reliability``, ``support`` …: the share of
  documents that have at least half of the subject. The subject is the instruction's topic, without one the ten best
  key terms. Scaled into ``minimum`` … ``maximum`` (without bounds 0 to 1; for integers 0 to 100) and rounded to two
  decimals;
- ``…_count``, ``number_of_…``: how many documents, words, sentences, sections, mentions, or items of the list of that
  name;
- anything else: the number in the text that stands nearest to the words of the name.

A boolean is true when a sentence has the words of the name and does not deny them, false otherwise.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator_dagster.models.extractive import values
from orchestrator_dagster.models.extractive.ranking import topic_like
from orchestrator_dagster.models.extractive.schema_shape import number_fits
from orchestrator_dagster.models.extractive.scope import NOTHING, Given, Scope, scaled
from orchestrator_dagster.models.extractive.text import Sentence
from orchestrator_dagster.models.extractive.words import (
    NEGATIONS,
    TASK_WORDS,
    content_stems,
    listed,
    name_words,
    plain,
    stem,
    words,
)
from orchestrator_dagster.models.extractive.writing import column_numbers

_COVERAGE = listed(
    """score relevance coverage quality importance weight rating strength similarity accuracy completeness priority
    salience"""
)
_SUPPORT = listed(
    """confidence reliability support credibility certainty probability agreement trust consensus likelihood
    trustworthiness"""
)
_PLACE = listed("rank index position order id no nr place")
_COUNT = listed("count counts number num total amount quantity n anzahl nombre número")
_AGGREGATES = {
    "total": "sum", "sum": "sum", "mean": "mean", "average": "mean", "avg": "mean", "max": "max", "maximum": "max",
    "highest": "max", "largest": "max", "min": "min", "minimum": "min", "lowest": "min", "smallest": "min",
}  # fmt: skip
_UNITS = {
    r"percent|percentage|share|prozent|%": r"^(?:%|‰|per ?cent|prozent|pour cent|por ciento)",
    r"temperature|celsius|degrees?|cooling|warming|fahrenheit": r"^(?:°|º|degree|grad|k\b)",
    r"price|cost|costs|usd|dollars?|euros?|eur|budget|revenue|funding": r"euro|dollar|pound|eur|usd|gbp",
    r"duration|hours?|minutes?|days?|months?|years?": r"^(?:hour|minute|second|day|week|month|year)",
    r"distance|length|height|kilomet(?:re|er)s?|met(?:re|er)s?|km": r"^(?:km|kilomet|met|cm|mm)",
}
_ASKING = listed(
    """is has have are was were does do did can should must will would contains contain mentions mention mentioned
    include includes included needs need found any there text document documents says whether true false"""
)
TASK_STEMS = frozenset(stem(plain(word)) for word in TASK_WORDS)


def fill_number(given: Given, schema: Mapping[str, Any], name: str, scope: Scope) -> Any:
    """The first number for this property that holds the schema's bounds, NOTHING when there is none."""
    whole = schema.get("type") == "integer"
    description = str(schema.get("description") or schema.get("title") or "")
    for value in _numbers(given, schema, name, description, scope, whole):
        if not math.isfinite(value) or (whole and value != int(value)) or not number_fits(value, schema):
            continue
        return int(value) if value == int(value) and (whole or abs(value) < 1e15) else value
    return NOTHING


def _numbers(
    given: Given, schema: Mapping[str, Any], name: str, description: str, scope: Scope, whole: bool
) -> Iterator[float]:
    parts = name_words(name)
    fact = given.field_value(name, scope)
    if isinstance(fact, str):
        fact = next((number.value for number in values.numbers(fact)), NOTHING)
    if isinstance(fact, (int, float)) and not isinstance(fact, bool):
        yield fact
    yield from _from_table(given, parts)
    if not scope.whole and _PLACE & set(parts[-1:]):
        yield scope.index + 1
    if (_COVERAGE | _SUPPORT) & set(parts):
        # "score: reliability of the sources" is a reliability.
        told = name_words(description) if not _SUPPORT & set(parts) else []
        yield statistic(given, schema, [*parts, *told], scope, whole)
        return
    counted = _counted(given, parts, description, scope)
    if counted is not None:
        yield counted
        return
    if "year" in parts[-1:] or "jahr" in parts[-1:]:
        yield from _years(scope)
        return
    yield from numbers_near(given, parts, description, scope)


def statistic(given: Given, schema: Mapping[str, Any], parts: list[str], scope: Scope, whole: bool) -> float:
    """Coverage or support (see the module) between the bounds of the schema."""
    share = given.support(scope) if _SUPPORT & set(parts) else given.coverage(scope)
    low, high = _bound(schema, "minimum", "exclusiveMinimum"), _bound(schema, "maximum", "exclusiveMaximum")
    width = 100.0 if whole else 1.0
    if low is None:
        low = 0.0 if high is None or high > 0 else high - width
    if high is None:
        high = width if low < width else low + width
    value = scaled(share, low, high)
    step = schema.get("multipleOf")
    if step:
        value = round(value / step) * step
    elif whole:
        value = round(value)
    else:
        value = round(value, 2)
    # Rounding, or a bound that is excluded, may have put it outside: the next value inside is as true.
    unit = step or (1 if whole else 0.01)
    for candidate in (value, value + unit, value - unit):
        if number_fits(candidate, schema):
            return round(candidate, 6) if not whole and not step else candidate
    return scaled(0.5 if low == value or high == value else share, low, high)


def _bound(schema: Mapping[str, Any], closed: str, open_: str) -> float | None:
    found = [
        schema[key] for key in (closed, open_) if isinstance(schema.get(key), (int, float)) and schema[key] is not True
    ]
    found = [value for value in found if value is not False]
    return (max(found) if closed == "minimum" else min(found)) if found else None


def _from_table(given: Given, parts: list[str]) -> Iterator[float]:
    for at, part in enumerate(parts):
        rest = parts[:at] + parts[at + 1 :]
        column = given.column(["".join(rest)]) if part in _AGGREGATES and rest else None
        if column:
            found = column_numbers(*column)
            if found:
                kind = _AGGREGATES[part]
                mean = round(math.fsum(found) / len(found), 6)
                yield {"sum": math.fsum(found), "mean": mean, "max": max(found), "min": min(found)}[kind]
    column = given.column(["".join(parts)])
    if column and len(column[0].rows) == 1:
        yield from column_numbers(*column)


def _counted(given: Given, parts: list[str], description: str, scope: Scope) -> float | None:
    """A count, None when the name asks for none or for one that only the text can know."""
    said = set(parts)
    if scope.term and said & (_COUNT | {"mentions", "occurrences", "frequency"}):
        return scope.term.count
    asked = said & _COUNT or re.match(r"(?i)\s*(?:the )?(?:number|count) of\b|\s*how many\b", description)
    plural = parts[-1:] == ["words"] or said & {
        "analyzed",
        "analysed",
        "reviewed",
        "mentions",
        "occurrences",
        "frequency",
    }
    if not asked and not plural:
        return None
    things = [part for part in parts if part not in _COUNT and part not in ("of", "the", "total", "all")]
    for name, value in scope.siblings.items():
        own = [stem(part) for part in name_words(name)]
        if isinstance(value, list) and (not things or {stem(thing) for thing in things} & set(own)):
            return len(value)
    kinds = {stem(thing) for thing in things}
    if kinds & {"word", "wort", "mot"}:
        return sum(len(words(one.text)) for one in scope.sentences)
    if kinds & {"sentenc", "satz", "phras"}:
        return len(scope.sentences)
    if kinds & {"character", "char"}:
        return sum(len(one.text) for one in scope.sentences)
    if kinds & {"section", "heading", "chapter"}:
        return len(dict.fromkeys((one.document, one.section) for one in scope.sentences if one.section))
    if kinds & {"sourc", "document", "doc", "fil", "articl", "paper", "text", "report", "publication"} or not things:
        return 1 if scope.document else len(given.corpus.documents)
    if kinds & {"row", "record", "entry"} and given.prompt.sources.tables:
        return sum(len(table.rows) for table in given.prompt.sources.tables)
    if kinds & {"mention", "occurrenc", "frequency"} or re.search(r"(?i)mention|occur|how often|times", description):
        named = kinds - {"mention", "occurrenc", "frequency"} or set(given.subject)
        return sum(1 for one in scope.sentences for word in given.corpus.stems[one] if word in named)
    return None


def _years(scope: Scope) -> Iterator[float]:
    fields = scope.document.fields if scope.document else {}
    for text in [*(str(fields[key]) for key in ("year", "date", "published") if key in fields), *_texts(scope)]:
        yield from values.years(text)
        yield from (day.year for day, _ in values.dates(text))


def _texts(scope: Scope) -> list[str]:
    near = [scope.focus.text] if scope.focus else []
    return near or [sentence.text for sentence in scope.sentences]


def numbers_near(given: Given, parts: list[str], description: str, scope: Scope) -> Iterator[float]:
    """Numbers of sentences that have words of the name (or two words of the description), the nearest first."""
    yield from (number.value for number, _ in written_numbers(given, parts, description, scope))


def written_numbers(
    given: Given, parts: list[str], description: str, scope: Scope
) -> list[tuple[values.Number, Sentence]]:
    """As ``numbers_near``, with the number as written and its sentence."""
    name_stems = [topic_like(part) for part in parts if part not in _COUNT and part not in given.corpus.stops]
    name_stems = [part for part in name_stems if part not in TASK_STEMS]
    told = [word for word in content_stems(description, given.corpus.stops) if word not in TASK_STEMS]
    unit = next(
        (
            form
            for asked, form in _UNITS.items()
            if re.search(rf"(?i)\b(?:{asked})\b", f"{' '.join(parts)} {description}")
        ),
        None,
    )
    found = []
    for sentence in [scope.focus] if scope.focus else scope.sentences:
        stems = given.corpus.stems[sentence]
        in_name = sum(1 for word in dict.fromkeys(name_stems) if word in stems)
        in_description = sum(1 for word in dict.fromkeys(told) if word in stems)
        if not in_name and in_description < 2:
            continue
        wanted = set(name_stems) | set(told)
        places = [
            match.start()
            for match in re.finditer(r"\w+(?:['’\-]\w+)*", sentence.text)
            if stem(plain(match.group())) in wanted
        ]
        language = given.corpus.documents[sentence.document].language
        all_numbers = values.numbers(sentence.text, language)
        for number in all_numbers:
            is_year = not number.unit and number.value in values.years(sentence.text)
            unit_fits = bool(unit and re.search(unit, number.unit)) or bool(
                unit and "euro" in unit and number.written[:1] in "$€£"
            )
            # Both ends of a range are as near as the nearer one.
            starts = [other.start for other in all_numbers if other.written == number.written]
            distance = min((abs(place - start) for place in places for start in starts), default=999)
            order = (
                -unit_fits,
                is_year,
                -in_name,
                -in_description,
                distance // 8,
                sentence.document,
                sentence.position,
                number.start,
            )
            found.append((order, number, sentence))
    return [(number, sentence) for _, number, sentence in sorted(found, key=lambda entry: entry[0])]


def fill_boolean(given: Given, schema: Mapping[str, Any], name: str, scope: Scope) -> bool:
    """Whether the text says what the name says."""
    fact = given.field_value(name, scope)
    if isinstance(fact, bool):
        return fact
    if isinstance(fact, str) and fact.strip().lower() in ("true", "false", "yes", "no"):
        return fact.strip().lower() in ("true", "yes")
    parts = name_words(name)
    if parts[-1:] == ["relevant"] or {"on", "topic"} <= set(parts):
        return given.coverage(scope) >= 0.5
    only_presence = bool(
        {"mentions", "mention", "mentioned", "contains", "contain", "includes", "include"} & set(parts)
    )
    asked = [part for part in parts if part not in _ASKING and plain(part) not in given.corpus.stops]
    needed = tuple(dict.fromkeys(topic_like(part) for part in asked))
    description = str(schema.get("description") or "")
    told = tuple(
        dict.fromkeys(
            word
            for word in content_stems(description, given.corpus.stops)
            if word not in TASK_STEMS and word not in _ASKING
        )
    )
    pool = [scope.focus] if scope.focus else scope.sentences
    yes = no = 0
    for sentence in pool:
        stems = frozenset(given.corpus.stems[sentence])
        by_name = bool(needed) and all(word in stems for word in needed)
        by_description = len(told) > 1 and sum(word in stems for word in told) >= max(2, 0.6 * len(told))
        if by_name or by_description:
            denied = not only_presence and is_denied(sentence.text, frozenset(needed if by_name else told))
            yes, no = yes + (not denied), no + denied
    return yes > no


def is_denied(text: str, about: frozenset[str]) -> bool:
    """Whether a negation stands in the five words before, or two words behind, a word of ``about``."""
    found = [plain(word) for word in words(text)]
    places = [at for at, word in enumerate(found) if stem(word) in about]
    return any(word in NEGATIONS or word.endswith("n't") for at in places for word in found[max(0, at - 5) : at + 3])
