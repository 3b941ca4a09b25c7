"""A JSON value for ``request.schema``, with everything in it taken from the text.

An object is filled property by property (``schema_strings``, ``schema_numbers``). A list of objects has one object

- for each row of a table whose columns are the properties,
- for each document, when the list is named so (``sources``, ``documents``, ``files`` …) or its description says "each
  document",
- for each key term (``keywords``, ``topics``, ``themes`` …),
- else for each of the best sentences: as many as the description or instruction says, else about a third of them,
  5 to 12, within ``minItems`` and ``maxItems``.

What the text does not say is null where the schema allows it, its ``default`` where it has one, left out where it is
not required, and an error otherwise. ``const`` is copied, ``examples`` tell a type and are never copied.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from orchestrator_dagster.errors import ModelAnswerError
from orchestrator_dagster.models.extractive import values
from orchestrator_dagster.models.extractive.key_terms import key_terms
from orchestrator_dagster.models.extractive.ranking import in_order, select
from orchestrator_dagster.models.extractive.schema_names import role_of
from orchestrator_dagster.models.extractive.schema_numbers import fill_boolean, fill_number, numbers_near
from orchestrator_dagster.models.extractive.schema_shape import Shapes, unique
from orchestrator_dagster.models.extractive.schema_strings import FINDERS, Strings
from orchestrator_dagster.models.extractive.scope import NOTHING, Given, Scope
from orchestrator_dagster.models.extractive.wishes import read_wishes
from orchestrator_dagster.models.extractive.words import listed, name_words
from orchestrator_dagster.models.extractive.writing import shorten

MOST_ITEMS = 12
_DEEPEST = 10
_BY_DOCUMENT = listed(
    """sources documents files articles papers references citations pages texts docs summaries quellen"""
)
_BY_TERM = listed("keywords terms topics themes tags concepts keyphrases entities glossary")


def nothing_found(path: str) -> ModelAnswerError:
    """The error for a value that the text does not have. Asking again gives the same, so it is permanent."""
    optional = ", or leave the field out of `required` in a `schema` of the variable" if path.startswith('"') else ""
    error = ModelAnswerError(
        f"builtin:extractive found nothing in the text for {path}; it only answers with what the text says.",
        hint=f"Name a language model in `model` (or `default_model`){optional}.",
    )
    error.permanent = True  # type: ignore[misc]  # this model is deterministic: a retry cannot help
    return error


class SchemaFiller:
    """Fills one schema from one text.

    Args:
        given: The text.
        shapes: The schema.
        strings: Fills its strings.
        share: How much of the usual number of items to give, 0 to 1.
    """

    def __init__(self, given: Given, shapes: Shapes, strings: Strings, share: float = 1.0) -> None:
        self.given = given
        self.shapes = shapes
        self.strings = strings
        self.share = share
        self.missing: list[str] = []

    def answer(self) -> Any:
        """The whole answer.

        Raises:
            ModelAnswerError: A required value is not in the text.
        """
        scope = Scope(self.given.corpus.sentences)
        value = self.fill(self.shapes.root, "", scope, 0)
        if value is NOTHING:
            raise nothing_found(f'"{self.missing[0]}"' if self.missing else "the schema")
        return value

    def fill(self, schema: Any, path: str, scope: Scope, depth: int) -> Any:
        """A value for a schema: the first alternative that the text can fill, else its default, else NOTHING."""
        if depth > _DEEPEST:
            return NOTHING
        whole = self.shapes.merged(schema)
        for way in self.shapes.alternatives(schema):
            if "description" not in way and "description" in whole:
                way["description"] = whole["description"]
            value = self._one(way, path, scope, depth)
            if value is not NOTHING and self.shapes.fits(value, schema):
                return value
        if "default" in whole and self.shapes.fits(whole["default"], schema):
            return whole["default"]
        if path:
            self.missing.append(path)
        return NOTHING

    def _one(self, schema: Mapping[str, Any], path: str, scope: Scope, depth: int) -> Any:
        name = re.sub(r"\[\d*\]", "", path.rsplit(".", 1)[-1])
        if "const" in schema:
            return schema["const"]
        kind = schema["type"]
        if kind == "null":
            return None
        if "enum" in schema and kind not in ("array", "object"):
            return self._option(schema, name, scope)
        if kind == "object":
            return self._object(schema, path, scope, depth)
        if kind == "array":
            return self._array(schema, path, name, scope, depth)
        if kind == "boolean":
            return fill_boolean(self.given, schema, name, scope)
        if kind in ("number", "integer"):
            return fill_number(self.given, schema, name, scope)
        return self.strings.fill(schema, name, scope)

    def _option(self, schema: Mapping[str, Any], name: str, scope: Scope) -> Any:
        options = [option for option in schema["enum"] if option is not None and self.shapes.fits(option, schema)]
        if len(options) == 1 and len(schema["enum"]) == 1:
            return options[0]
        if schema["type"] == "boolean":
            return fill_boolean(self.given, schema, name, scope)
        if schema["type"] in ("number", "integer"):
            found = fill_number(self.given, {**schema, "enum": options}, name, scope)
            return found if found in options else self.strings.choose(options, schema, name, scope)
        return self.strings.choose(options, schema, name, scope) if options else NOTHING

    def _object(self, schema: Mapping[str, Any], path: str, scope: Scope, depth: int) -> Any:
        properties = dict(schema.get("properties") or {})
        for key in schema.get("required") or ():
            properties.setdefault(key, schema.get("additionalProperties", {}))
        if not properties:
            return self._map(schema, path, scope, depth)
        inner = scope.inner(alone=len(properties) == 1 and scope.whole and depth == 0)
        # Lists first, so that counts can count them; the answer has the schema's order.
        order = sorted(
            properties, key=lambda key: (not _is_list(self.shapes, properties[key]), list(properties).index(key))
        )
        filled: dict[str, Any] = {}
        for key in order:
            value = self.fill(properties[key], f"{path}.{key}" if path else key, inner, depth + 1)
            if value is not NOTHING:
                filled[key] = value
                inner.siblings[key] = value
            elif key in (schema.get("required") or ()):
                return NOTHING
        result = {key: filled[key] for key in properties if key in filled}
        most = schema.get("maxProperties", len(result))
        for key in [key for key in reversed(result) if key not in (schema.get("required") or ())]:
            if len(result) > most:
                del result[key]
        return result

    def _map(self, schema: Mapping[str, Any], path: str, scope: Scope, depth: int) -> Any:
        """An object with free keys: one entry for each document."""
        rule = schema.get("additionalProperties", True)
        if not isinstance(rule, Mapping) or not rule:
            return {} if scope.whole or not scope.row else dict(scope.row)
        found: dict[str, Any] = {}
        documents = [scope.document] if scope.document else self.given.corpus.documents
        for index, document in enumerate(documents):
            inner = Scope(document.sentences, document, index=index)
            value = self.fill(rule, f"{path}[{index}]", inner, depth + 1)
            if value is not NOTHING and len(found) < min(MOST_ITEMS, schema.get("maxProperties", MOST_ITEMS)):
                found.setdefault(document.name, value)
        return found

    def _array(self, schema: Mapping[str, Any], path: str, name: str, scope: Scope, depth: int) -> Any:
        first = list(schema.get("prefixItems") or ())
        head = [self.fill(part, f"{path}[{at}]", scope, depth + 1) for at, part in enumerate(first)]
        if NOTHING in head:
            return NOTHING
        least, most = schema.get("minItems", 0), schema.get("maxItems")
        description = str(schema.get("description") or schema.get("title") or "")
        wishes = read_wishes(f"{' '.join(name_words(name))}: {description}")
        asked = wishes.items or (wishes.terms if _BY_TERM & set(name_words(name)) else None)
        asked = (
            asked
            or (wishes.sentences[1] if wishes.sentences else None)
            or (self.strings.wishes.items if depth == 1 else None)
        )
        room = max(MOST_ITEMS, least) if most is None else most
        number = max(least, min(asked or max(MOST_ITEMS, least), room)) - len(head)
        if self.share < 1:
            number = max(least - len(head), 1, int(number * self.share))
        rule = schema.get("items", {})
        if rule is False or number <= 0:
            return head[:most]
        items = self._items(rule, path, name, description, scope, depth, number, asked is not None, least)
        items = [item for item in items if self.shapes.fits(item, rule)]
        items = unique([*head, *items]) if schema.get("uniqueItems") or not first else [*head, *items]
        items = items[: number + len(head)]
        return items if len(items) >= least else NOTHING

    def _items(
        self,
        rule: Any,
        path: str,
        name: str,
        description: str,
        scope: Scope,
        depth: int,
        number: int,
        asked: bool,
        least: int,
    ) -> list[Any]:
        kinds = [way["type"] for way in self.shapes.alternatives(rule)]
        kind = kinds[0] if kinds else "string"
        way = next(iter(self.shapes.alternatives(rule)), {})
        if "enum" in way and kind == "string":
            return self.strings.mentioned(way["enum"], scope)[:number]
        if kind == "string":
            return self._texts(
                {**way, "description": way.get("description", description)}, name, scope, number, asked, least
            )
        if kind in ("number", "integer"):
            found = list(dict.fromkeys(numbers_near(self.given, name_words(name), description, scope)))
            found = found or [one.value for text in scope.sentences for one in values.numbers(text.text)]
            return [int(value) if value == int(value) else value for value in found][: 10 * number]
        scopes = self._scopes(way, name, description, scope, number, asked, least)
        items: list[Any] = []
        for at, inner in enumerate(scopes):
            if len(items) == number:
                break
            value = self.fill(rule, f"{path}[{at}]", inner, depth + 1)
            if value is not NOTHING and value not in ({}, []):
                items.append(value)
        return items

    def _scopes(
        self, way: Mapping[str, Any], name: str, description: str, scope: Scope, number: int, asked: bool, least: int
    ) -> list[Scope]:
        """What each object of a list is about (see the module)."""
        corpus, parts = self.given.corpus, set(name_words(name)[-1:])
        properties = {key.lower() for key in way.get("properties") or {}}
        for table in self.given.prompt.sources.tables if scope.whole else ():
            columns = {column.lower() for column in table.columns}
            if properties and len(columns & properties) * 2 >= len(properties):
                return [Scope(scope.sentences, row=dict(row), index=at) for at, row in enumerate(table.rows)]
        about_claims = properties & {"claim", "finding", "statement", "quote", "fact", "evidence", "insight"}
        each = re.search(r"(?i)\b(?:each|per|every) (?:document|source|file|article|text|paper)", description)
        if not scope.document and (each or (parts & _BY_DOCUMENT and not about_claims)):
            documents = [document for document in corpus.documents if document.sentences]
            return [Scope(one.sentences, one, index=at) for at, one in enumerate(documents)]
        if parts & _BY_TERM:
            terms = key_terms(corpus, number * 2, scope.sentences)
            return [Scope(scope.sentences, scope.document, term=term, index=at) for at, term in enumerate(terms)]
        cues = frozenset(self.strings.cued(name_words(name), scope)) if not scope.focus else frozenset()
        pool = [one for one in scope.sentences if one.text in cues] or list(scope.sentences)
        if role_of(name, "") == "cued" and not cues:
            return []
        wanted = number if asked else max(least, min(number, _usual(len(pool))))
        # More than wanted, for sentences that cannot fill a required property.
        chosen = select(corpus.rank(pool, self.given.topic), number if asked else wanted * 2)
        able = chosen[:wanted] if not asked else chosen
        rest = [one for one in chosen if one not in able]
        if len(chosen) < least:
            rest += [one for one in scope.sentences if one not in chosen]
        documents_ = corpus.documents
        ordered = [*in_order(able), *rest[: max(0, least - len(able))]]
        return [Scope([one], documents_[one.document], one, index=at) for at, one in enumerate(ordered)]

    def _texts(
        self, rule: Mapping[str, Any], name: str, scope: Scope, number: int, asked: bool, least: int
    ) -> list[Any]:
        """A list of strings: names, terms, values of a form, or sentences; each cut and checked against the rule."""
        found = self._listed(rule, name, scope, number, asked, least)
        return [text for text in (self._fitted(rule, one) for one in dict.fromkeys(found)) if text is not NOTHING][
            :number
        ]

    def _fitted(self, rule: Mapping[str, Any], text: str) -> Any:
        most = rule.get("maxLength")
        text = shorten(text, most) if most is not None and not rule.get("format") else text
        return text if text and self.shapes.fits(text, rule) else NOTHING

    def _listed(
        self, rule: Mapping[str, Any], name: str, scope: Scope, number: int, asked: bool, least: int
    ) -> list[str]:
        given, parts = self.given, name_words(name)
        role = role_of(name, str(rule.get("description") or ""))
        documents = [scope.document] if scope.document else list(given.corpus.documents)
        texts = [scope.focus.raw] if scope.focus else [document.text for document in documents]
        pool = [scope.focus] if scope.focus else list(scope.sentences)
        form = rule.get("format")
        if isinstance(form, str):
            return [value for text in texts for value in values.of_format(text, form) or ()]
        if isinstance(rule.get("pattern"), str):
            return [match for text in texts for match in _matches(rule["pattern"], text)]
        if role in ("url", "email", "date", "year"):
            find = FINDERS[role]
            return [str(value) for text in texts for value in find(text)]
        if role in ("source", "name"):
            return [document.name for document in documents]
        if role == "title":
            return [document.label for document in documents]
        if role == "section":
            return [heading for document in documents for heading in document.headings]
        if role == "term":
            if given.topic and scope.whole and re.search(r"(?i)\b(?:topic|subject)\b", str(rule.get("description"))):
                about = [one for one in pool if given.corpus.coverage(given.topic, given.corpus.stems[one]) >= 0.4]
                pool = about if len(about) >= 5 else pool
            return [term.text for term in key_terms(given.corpus, number, pool)]
        if {"entities", "names", "entity"} & set(parts):
            return [found for one in pool for found in values.proper_names(one.text)]
        if role == "question":
            return [one.text for one in pool if one.text.endswith("?")]
        if role == "cued":
            return self.strings.cued(parts, scope)
        if role == "absent":
            return []
        if role == "" and parts:
            matching = self.strings.matching(parts, str(rule.get("description") or ""), scope)
            if matching:
                return [one.text for one in matching[:number]]
        wanted = number if asked else max(least, min(number, _usual(len(pool))))
        chosen = in_order(select(given.corpus.rank(pool, given.topic), wanted))
        if len(chosen) < least:
            chosen += [one for one in pool if one not in chosen]
        return [one.raw if role == "quote" else one.text for one in chosen]


def _usual(sentences: int) -> int:
    """How many sentences to list when nobody says: about a third, 5 to 12."""
    return max(5, min(MOST_ITEMS, sentences // 3))


def _is_list(shapes: Shapes, schema: Any) -> bool:
    return any(way["type"] == "array" for way in shapes.alternatives(schema))


def _matches(pattern: str, text: str) -> list[str]:
    try:
        loose = re.compile(re.sub(r"^\^|(?<!\\)\$$", "", pattern))
    except re.error:
        loose = re.compile(pattern)  # an anchor inside a group
    return list(dict.fromkeys(match.group() for match in loose.finditer(text[:200_000]) if match.group()))
