"""The built-in model's JSON answers: always valid, always from the text, or an error that names what is missing."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from orchestrator_dagster.errors import ModelAnswerError, ModelRequestError
from orchestrator_dagster.models.client import Message, ModelAnswer, ModelReference, ModelRequest
from orchestrator_dagster.models.extractive import ExtractiveModel

TREES = """---
title: Street trees and city heat
author: Parks Department
date: 2024-05-14
---
# Street trees and summer heat

Street trees cool the air of a city by 1 to 3 °C. Their crowns shade the ground, so that pavements take up less heat.
See [the review](https://example.org/review), **which** lists 14 measurements. Trees need at least 12 cubic metres of
root space. Planners should water young trees for 5 years. Drought stops the cooling.
"""
HEAT = """# Heat waves and health

The summer of 2022 caused more than 60,000 heat-related deaths in Europe. Tree cover averages 15 percent in the cities
of the study. Trees do not cool narrow streets at night. Old people are at risk when nights stay warm.
"""
COSTS = """# What a street tree costs

Planting a street tree costs between 800 and 3,000 euros. Watering adds about 60 euros a year. Budgets should be fixed
for ten years. Write to trees@city.example for the figures. Which trees cost least?
"""
DOCUMENTS = [
    {"name": "trees.md", "path": "data/trees.md", "content": TREES},
    {"name": "heat.md", "path": "data/heat.md", "content": HEAT},
    {"name": "costs.md", "path": "data/costs.md", "content": COSTS},
]
S: dict[str, Any] = {"type": "string"}
N: dict[str, Any] = {"type": "number"}
I: dict[str, Any] = {"type": "integer"}  # noqa: E741
B: dict[str, Any] = {"type": "boolean"}
SOURCE = " ".join((TREES + HEAT + COSTS).split())


def one_object(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def many(items: Any, **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **more}


def complete(schema: dict[str, Any], instruction: str, data: Any, **more: Any) -> ModelAnswer:
    text = data if isinstance(data, str) else json.dumps(data)
    prompt = f'{instruction}\n<data name="documents">\n{text}\n</data>'
    model = ModelReference("builtin", "extractive")
    return ExtractiveModel().complete(ModelRequest(model, (Message("user", prompt),), schema=schema, **more))


def fill(
    schema: dict[str, Any], instruction: str = "Analyse street trees.", data: Any = DOCUMENTS, **more: Any
) -> dict[str, Any]:
    value = json.loads(complete(schema, instruction, data, **more).text)
    jsonschema.validate(value, schema, format_checker=jsonschema.FormatChecker())
    assert isinstance(value, dict)
    return value


def value_of(rule: dict[str, Any], name: str, **more: Any) -> Any:
    return fill(one_object(**{name: rule}), **more)[name]


def test_findings_are_sentences_with_their_source_and_verbatim_quote() -> None:
    claim = one_object(claim=S, source=S, quote=S, title=S, confidence={"type": "number", "minimum": 0, "maximum": 1})
    found = fill(one_object(findings=many(claim), sources=many(one_object(title=S, path=S))))
    assert 5 <= len(found["findings"]) <= 12
    texts = {one["name"]: " ".join(one["content"].split()) for one in DOCUMENTS}
    for one in found["findings"]:
        assert one["quote"] in texts[one["source"]]
        assert one["claim"]
    assert found["sources"] == [
        {"title": "Street trees and city heat", "path": "data/trees.md"},
        {"title": "Heat waves and health", "path": "data/heat.md"},
        {"title": "What a street tree costs", "path": "data/costs.md"},
    ]


def test_a_quote_keeps_the_markup_that_a_claim_loses() -> None:
    text = "See [the review](https://example.org/review), **which** lists all measurements."
    found = fill(one_object(claim=S, quote=S), data=text)
    assert found == {"claim": "See the review, which lists all measurements.", "quote": text}


def test_items_are_as_many_as_asked_for_within_the_bounds() -> None:
    assert len(value_of(many(one_object(claim=S)), "findings", instruction="Give 4 findings about trees.")) == 4
    assert len(value_of(many(one_object(claim=S), description="the 3 main claims"), "claims")) == 3
    assert len(value_of(many(one_object(claim=S), maxItems=2), "findings")) == 2
    assert len(value_of(many(S, minItems=13), "statements")) == 13
    with pytest.raises(ModelAnswerError, match='"statements'):
        value_of(many(S, minItems=50), "statements")


@pytest.mark.parametrize(
    ("name", "rule", "expected"),
    [
        ("planting_cost", S, "between 800 and 3,000 euros"),
        ("planting_price_in_euros", N, 800),
        ("heat_deaths", I, 60000),
        ("root_space", N, 12),
        ("tree_cover_percent", N, 15),
        ("yearly_watering_cost", {"type": "number", "maximum": 100}, 60),
        ("published", {"type": "string", "format": "date"}, "2024-05-14"),
        ("contact", {"type": "string", "format": "email"}, "trees@city.example"),
        ("review_link", {"type": "string", "format": "uri"}, "https://example.org/review"),
        ("url", S, "https://example.org/review"),
        ("author", S, "Parks Department"),
        ("number_of_sources", I, 3),
        ("documents_analyzed", I, 3),
        ("sentence_count", I, 15),
        ("heat_year", I, 2022),
        ("topic", S, "street trees"),
        ("title", S, "Street trees"),
        ("focus", {"enum": ["noise", "deaths", "trees"]}, "trees"),
        ("language", {"enum": ["de", "en"]}, "en"),
        ("coverage", {"enum": ["low", "medium", "high"]}, "high"),
        ("kind", {"const": 7}, 7),
        ("mentions_drought", B, True),
        ("mentions_snow", B, False),
        ("trees_cool_streets", B, False),
        ("crowns_shade_ground", B, True),
        ("euros_amount", {"type": "string", "pattern": "^[0-9]+ euros$"}, "60 euros"),
        ("sources", many(S), ["trees.md", "heat.md", "costs.md"]),
        ("questions", many(S), ["Which trees cost least?"]),
        ("emails", many(S), ["trees@city.example"]),
        ("subjects", many({"enum": ["drought", "snow", "nights"]}), ["drought", "nights"]),
        ("people", many(S), []),
    ],
)
def test_a_value_is_found_by_its_name_type_and_format(name: str, rule: dict[str, Any], expected: Any) -> None:
    data = TREES if name == "author" else DOCUMENTS
    assert value_of(rule, name, data=data) == expected


def test_recommendations_are_the_sentences_that_recommend() -> None:
    assert value_of(many(S), "recommendations") == [
        "Planners should water young trees for 5 years.",
        "Budgets should be fixed for ten years.",
    ]


def test_a_score_is_the_share_of_the_topic_that_is_covered_scaled_into_its_bounds() -> None:
    about = "Report on street trees."
    share = {"type": "number", "minimum": 0, "maximum": 1}
    assert value_of(share, "relevance", instruction=about) == 1
    assert value_of(share, "relevance", instruction="Report on glaciers and trees.") < 0.6
    assert value_of({"type": "integer", "minimum": 1, "maximum": 10}, "score", instruction=about) == 10
    assert value_of(I, "quality_score", instruction=about) == 100
    by_document = many(one_object(document=S, relevance=share))
    found = value_of(by_document, "documents", instruction="Report on watering in euros.")
    assert max(found, key=lambda one: one["relevance"])["document"] == "costs.md"


def test_confidence_is_the_share_of_documents_that_speak_of_it() -> None:
    share = {"type": "number", "minimum": 0, "maximum": 1}
    assert value_of(share, "confidence", instruction="Report on trees.") == 1
    assert value_of(share, "confidence", instruction="Report on deaths.") == 0.33
    assert value_of(share, "confidence", instruction="Report on glaciers.") == 0
    reliability = {**share, "description": "Reliability of the sources"}
    assert value_of(reliability, "score", instruction="Report on deaths.") == 0.33


def test_counts_count_the_list_beside_them_and_the_order_is_the_schema_s() -> None:
    found = fill(one_object(finding_count=I, findings=many(S, maxItems=4)))
    assert list(found) == ["finding_count", "findings"]
    assert found["finding_count"] == len(found["findings"]) == 4


def test_each_document_is_summed_up_when_the_list_is_one_of_documents() -> None:
    found = value_of(
        many(one_object(document=S, summary=S, keywords=many(S, maxItems=3), rank=I)),
        "summaries",
        instruction="Sum up.",
    )
    assert [(one["document"], one["rank"]) for one in found] == [("trees.md", 1), ("heat.md", 2), ("costs.md", 3)]
    assert all(one["keywords"] and one["summary"] for one in found)
    assert found[1]["summary"].rstrip(".").split(". ")[0] in " ".join(HEAT.split())


def test_each_topic_has_a_sentence_with_it_and_its_count() -> None:
    for one in value_of(many(one_object(topic=S, description=S, mentions=I), maxItems=4), "topics"):
        assert one["topic"].split()[-1].rstrip("s") in one["description"].lower()
        assert one["mentions"] >= 1


def test_rows_of_a_table_are_taken_over_and_summed() -> None:
    rows = [{"month": "June", "amount": 10.5}, {"month": "July", "amount": 20}]
    schema = one_object(rows=many(one_object(month=S, amount=N)), total_amount=N, max_amount=N, row_count=I)
    assert fill(schema, data=rows) == {"rows": rows, "total_amount": 30.5, "max_amount": 20, "row_count": 2}


def test_facts_of_an_object_are_taken_by_their_name() -> None:
    data = {"status": "ready", "unit_price": 12.5, "open": True, "note": "ok"}
    schema = one_object(status=S, unitPrice=N, open=B, status_code={"enum": ["ready", "broken", None]})
    assert fill({**schema, "required": ["status", "unitPrice", "open"]}, data=data) == {
        "status": "ready",
        "unitPrice": 12.5,
        "open": True,
        "status_code": None,
    }


def test_a_report_or_list_in_a_string_has_its_form() -> None:
    report = value_of({"type": "string", "description": "The report in markdown"}, "report")
    assert report.startswith("# Street trees\n\n## Summary\n\n")
    findings = value_of({"type": "string", "description": "Structured findings with sources"}, "findings")
    assert all(line.startswith("- ") and line.endswith(".md]") for line in findings.split("\n"))
    assert len(value_of({"type": "string", "description": "two sentences"}, "summary").split(". ")) == 2
    assert value_of(S, "outcome", instruction="Summarize in one sentence.").count(". ") == 0
    assert json.loads(value_of({"type": "string", "format": "json"}, "data"))[0]["source"] == "trees.md"
    assert value_of({"type": "string", "format": "csv"}, "data").startswith("source,text\n")


def test_an_answer_and_its_evidence_belong_together() -> None:
    found = fill(one_object(answer=S, evidence=S), "How many deaths did the summer of 2022 cause?")
    assert "60,000" in found["answer"]
    assert "60,000" in found["evidence"]


def test_lengths_are_held() -> None:
    assert len(value_of({"type": "string", "maxLength": 40}, "summary")) <= 40
    assert len(value_of({"type": "string", "minLength": 500}, "summary")) >= 500
    assert all(len(one) <= 25 for one in value_of(many({"type": "string", "maxLength": 25}), "findings"))


def test_references_alternatives_and_maps() -> None:
    schema = {
        "type": "object",
        "properties": {
            "main": {"$ref": "#/$defs/Claim"},
            "author": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "mood": {"type": ["string", "null"]},
            "summaries": {"type": "object", "additionalProperties": {"type": "string", "description": "summary"}},
            "level": {"allOf": [{"type": "integer"}, {"minimum": 3}], "default": 5},
            "pair": {"type": "array", "prefixItems": [S, I], "minItems": 2, "items": False},
            "shape": {"examples": [["an example that must not be copied"]], "maxItems": 2},
        },
        "required": ["main", "author", "mood", "summaries", "level"],
        "$defs": {"Claim": one_object(claim=S, next={"anyOf": [{"$ref": "#/$defs/Claim"}, {"type": "null"}]})},
    }
    found = fill(schema)
    assert found["main"]["claim"] in SOURCE
    assert found["author"] is None
    assert found["mood"] is None
    assert sorted(found["summaries"]) == ["costs.md", "heat.md", "trees.md"]
    assert found["level"] == 5
    assert 1 <= len(found["shape"]) <= 2
    assert "example" not in json.dumps(found["shape"])


@pytest.mark.parametrize(
    ("schema", "named"),
    [
        (one_object(summary=S, sentiment=S), "sentiment"),
        (one_object(report=one_object(phone=S)), "report.phone"),
        (one_object(isbn={"type": "string", "pattern": "^97[89]-"}), "isbn"),
        (one_object(glacier_length=N), "glacier_length"),
        (one_object(mood={"enum": ["gloomy", "cheerful"]}), "mood"),
        (one_object(deaths={"type": "integer", "maximum": 10}), "deaths"),
    ],
)
def test_what_the_text_does_not_say_is_an_error_that_names_it(schema: dict[str, Any], named: str) -> None:
    with pytest.raises(ModelAnswerError, match=f'"{named}"') as caught:
        fill(schema)
    assert caught.value.permanent
    assert "default_model" in str(caught.value.hint)
    assert "out of `required` in a `schema`" in str(caught.value.hint)  # as vars can say it
    optional = json.loads(json.dumps(schema).replace('"required"', '"examples"'))
    assert named.split(".")[-1] not in fill({**optional, "required": []})


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (one_object(a={"if": {}, "then": {}}), '"if"'),
        (one_object(a={"$ref": "#/$defs/Missing"}), "leads nowhere"),
        (one_object(a={"$ref": "https://example.org/schema"}), "leads nowhere"),
        (one_object(a={"type": "string", "pattern": "("}), "no regular expression"),
    ],
)
def test_a_schema_that_it_cannot_honour_is_refused(schema: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelRequestError, match=said):
        fill(schema)


def test_max_tokens_takes_fewer_items_before_it_cuts() -> None:
    schema = one_object(findings=many(one_object(claim=S, source=S)))
    whole = complete(schema, "Find.", DOCUMENTS)
    fewer = complete(schema, "Find.", DOCUMENTS, max_tokens=whole.usage.output_tokens // 2)
    assert fewer.finish_reason == "stop"
    assert 1 <= len(json.loads(fewer.text)["findings"]) < len(json.loads(whole.text)["findings"])
    assert complete(schema, "Find.", DOCUMENTS, max_tokens=5).finish_reason == "length"


NAMES = st.sampled_from(
    re.findall(
        r"\w+",
        """title summary findings claim quote source sources url date year score confidence keywords topics tree_count
        cost temperature author is_hot mentions_trees rows report recommendations risk answer level value data x tags
        email index entities sections explanation""",
    )
)


def limits(low: str, high: str, most: int = 30) -> st.SearchStrategy[dict[str, Any]]:
    pair = st.tuples(st.integers(0, most), st.integers(0, most)).map(sorted)
    return st.one_of(
        st.just({}),
        pair.map(lambda bounds: {low: bounds[0], high: bounds[1]}),
        pair.map(lambda bounds: {low: bounds[0]}),
        pair.map(lambda bounds: {high: bounds[1]}),
    )


NUMBERS = st.builds(
    lambda kind, bounds, step, open_: {"type": kind, **bounds, **step, **open_},
    st.sampled_from(["number", "integer"]),
    limits("minimum", "maximum"),
    st.sampled_from([{}, {"multipleOf": 2}, {"multipleOf": 0.5}, {"multipleOf": 0.1}]),
    st.sampled_from([{}, {"exclusiveMinimum": 0}, {"exclusiveMaximum": 1}]),
)
STRINGS = st.builds(
    lambda bounds, more: {"type": "string", **bounds, **more},
    limits("minLength", "maxLength", 200),
    st.sampled_from(
        [
            {},
            {},
            {"format": "date"},
            {"format": "email"},
            {"format": "date-time"},
            {"pattern": "^[A-Z]"},
            {"pattern": "\\d"},
        ]
    ),
)
LEAVES = st.one_of(
    NUMBERS,
    STRINGS,
    st.sampled_from(
        [
            {},
            True,
            {"type": "boolean"},
            {"type": "null"},
            {"const": "tree"},
            {"enum": ["trees", "heat", 3, None]},
            {"enum": [1, 12, 60]},
            {"type": ["string", "null"]},
            {"type": ["integer", "string"]},
            {"type": "string", "default": "none"},
            {"examples": [3]},
        ]
    ),
)


def wider(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    objects = st.builds(
        lambda properties, needed, closed: {
            "type": "object",
            "properties": properties,
            "required": [key for key, wanted in zip(properties, needed, strict=False) if wanted],
            **({"additionalProperties": False} if closed else {}),
        },
        st.dictionaries(NAMES, inner, min_size=1, max_size=4),
        st.lists(st.booleans(), min_size=4, max_size=4),
        st.booleans(),
    )
    return st.one_of(
        objects,
        st.builds(
            lambda items, bounds, once: {"type": "array", "items": items, **bounds, **once},
            inner,
            limits("minItems", "maxItems", 15),
            st.sampled_from([{}, {"uniqueItems": True}]),
        ),
        inner.map(lambda value: {"type": "object", "additionalProperties": value}),
        st.lists(inner, min_size=1, max_size=3).map(lambda branches: {"anyOf": branches}),
        st.lists(inner, min_size=1, max_size=3).map(lambda branches: {"oneOf": branches}),
        st.tuples(inner, inner).map(lambda parts: {"allOf": list(parts)}),
        inner.map(lambda value: {"not": value}),
    )


SCHEMAS = st.dictionaries(NAMES, st.recursive(LEAVES, wider, max_leaves=6), min_size=1, max_size=4)
DATA = st.sampled_from(
    [DOCUMENTS, TREES, COSTS, [{"x": 1, "cost": 2.5}, {"x": 3, "cost": 4}], {"value": "3 °C", "x": True}]
)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(SCHEMAS, DATA)
def test_any_schema_gives_a_valid_answer_or_an_error_that_says_what_is_missing(
    properties: dict[str, Any], data: Any
) -> None:
    schema = one_object(**properties)
    jsonschema.Draft202012Validator.check_schema(schema)
    try:
        answer = complete(schema, "Find 3 findings about trees.", data).text
    except ModelAnswerError:
        return
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(json.loads(answer))


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200), NAMES)
def test_any_text_fills_an_optional_schema_without_a_crash(text: str, name: str) -> None:
    assume(text.strip())
    rules = {name: S, "n": N, f"{name}_list": many(S), "items": many(one_object(**{name: S}))}
    try:
        answer = complete({"type": "object", "properties": rules}, "Find.", text).text
    except ModelAnswerError:
        return
    jsonschema.validate(json.loads(answer), {"type": "object", "properties": rules})
