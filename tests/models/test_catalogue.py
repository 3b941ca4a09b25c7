"""What is known of models: our own entries fit litellm's map, and unknown stays unknown."""

from __future__ import annotations

import pytest

from orchestrator_dagster.errors import UnknownModelError
from orchestrator_dagster.model_words import CAPABILITIES, EXPERTISE, billions, capability, expertise, size_text
from orchestrator_dagster.models import catalogue as module
from orchestrator_dagster.models.catalogue import LOCAL_PROVIDERS, Catalogue, ModelCard, catalogue_date
from orchestrator_dagster.models.client import ModelReference
from orchestrator_dagster.models.litellm_module import litellm_module
from orchestrator_dagster.models.provider_keys import key_variables
from orchestrator_dagster.models.references import parse_reference, price_map, provider_of
from orchestrator_dagster.models.user_models import UserModel

KEYS = {"model", "quality", "row", "size", "expertise", "capabilities", "only_named"}


def test_the_entries_are_whole() -> None:
    entries = module._file()["models"]
    assert len({entry["model"] for entry in entries}) == len(entries) > 50
    for entry in entries:
        assert entry.keys() <= KEYS, entry
        assert ("quality" in entry) == ("row" in entry), entry
        assert 1000 < entry.get("quality", 1400) < 1600
        assert entry["expertise"] == sorted(entry["expertise"])
        assert set(entry["expertise"]) <= EXPERTISE.keys()
        assert set(entry.get("capabilities", ())) <= CAPABILITIES.keys()
        assert "size" not in entry or billions(str(entry["size"]))
    assert catalogue_date() == "2026-07-01"


def test_what_is_picked_from_is_known_and_not_withdrawn() -> None:
    cards = Catalogue().choices()
    for one in cards:
        assert one.price is not None, one
        assert one.capabilities, one
        assert key_variables(one.reference.provider) is not None, "whether it can be reached would not be known"
        if one.reference.provider not in LOCAL_PROVIDERS:
            assert one.price > 0, f"{one.reference} is an unpaid tier"
            assert one.context, one
            # Those that end soon are only used where they are named.
            assert one.withdrawn is None or one.withdrawn > "2027", one
    assert not [one for one in cards if one.reference.provider == "builtin"]


def test_a_card_joins_both_lists() -> None:
    one = Catalogue().card(parse_reference("openai:gpt-5-mini"))
    entry = price_map()["gpt-5-mini"]
    assert (one.input_price, one.output_price) == (entry["input_cost_per_token"], entry["output_cost_per_token"])
    assert one.context == entry["max_input_tokens"]
    assert {"tools", "json_schema", "vision"} <= (one.capabilities or set())
    assert (one.quality, one.quality_source) == (1390, "text arena, 2026-07-01, gpt-5-mini-high")
    assert "code" in one.expertise


@pytest.mark.parametrize(
    ("name", "price"),
    [
        ("openai:never-heard-of", None),
        ("mistral:gpt-5-mini", None),  # another provider's model of that name
        ("ollama:never-heard-of", 0.0),
        ("ollama:gpt-oss:120b-cloud", None),  # runs at Ollama's, litellm's map has it as free
        ("builtin:extractive", 0.0),
    ],
)
def test_unknown_stays_unknown(name: str, price: float | None) -> None:
    one = Catalogue().card(parse_reference(name))
    assert one.price == price
    assert one.quality is None
    assert one.cost(1000, 1000) == price


def test_own_models_say_it_themselves() -> None:
    elsewhere = UserModel(
        "a", "openai", "gpt-5-mini", base_url="http://127.0.0.1:8000/v1", defined_at="models.yaml:2:3"
    )
    same = UserModel(
        "b", "openai", "gpt-5-mini", quality=1200.0, input_price=1e-6, output_price=2e-6, defined_at="m:1:1"
    )
    known = Catalogue({"a": elsewhere, "b": same})
    first, second = (known.card(ModelReference("own", name)) for name in "ab")
    assert (first.price, first.context, first.quality) == (None, None, 1390)
    assert second.price == pytest.approx(1.25)
    assert (second.quality, second.quality_source) == (1200.0, "m:1:1")
    assert second.context == price_map()["gpt-5-mini"]["max_input_tokens"]
    assert {"own:a", "own:b"} <= {str(one.reference) for one in known.choices()}
    assert known.card(ModelReference("own", "c")) == ModelCard(ModelReference("own", "c"))


def test_everything_has_litellms_map_too() -> None:
    found = Catalogue().everything()
    assert len(found) > 2000
    names = [str(one.reference) for one in found]
    assert names == sorted(set(names))
    assert "anthropic:claude-sonnet-4-5" in names
    assert not [one for one in found if "embedding-3" in one.reference.name]


def test_words() -> None:
    assert [capability(one) for one in ("Function-Calling", "vision", "vison")] == ["tools", "vision", None]
    assert [expertise(one) for one in ("coding", "Creative Writing", "codes")] == ["code", "creative", None]
    assert [billions(one) for one in ("70b", "350M", "1.5B", "1t", "big", "7", "b")] == [
        70,
        0.35,
        1.5,
        1000,
        *[None] * 3,
    ]
    assert [size_text(one) for one in (70.0, 1.5, 0.35)] == ["70b", "1.5b", "350m"]


@pytest.mark.parametrize(
    ("name", "provider"),
    [("claude-3-5-sonnet-20241022", "anthropic"), ("gpt-4-1105", "openai"), ("gpt-4-nonsense", None)],
)
def test_a_version_with_a_date_is_of_the_provider_of_its_family(name: str, provider: str | None) -> None:
    assert name not in price_map()
    if provider is None:
        with pytest.raises(UnknownModelError):
            parse_reference(name)
    else:
        assert parse_reference(name).provider == provider


def test_every_provider_of_litellm_is_known() -> None:
    names = {str(getattr(one, "value", one)) for one in litellm_module().provider_list}
    assert len(names) > 100
    assert not {name for name in names if provider_of(name) is None}
