"""Which model is taken: written cases from the pipeline file to the choice, and what holds for every choice."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator_dagster.errors import NoModelError
from orchestrator_dagster.models.catalogue import Catalogue, ModelCard
from orchestrator_dagster.models.client import Message, ModelReference, ModelRequest
from orchestrator_dagster.models.known_models import KnownModels
from orchestrator_dagster.models.provider_keys import key_variables
from orchestrator_dagster.models.reach import Reach
from orchestrator_dagster.models.references import parse_reference
from orchestrator_dagster.models.selection import Needs, Rules, consider, score, select
from orchestrator_dagster.project.loading import compile_or_raise
from orchestrator_dagster.runtime.model_choice import UNDECIDED, choose, needs_for

FILE = yaml.safe_load(Path(__file__).with_name("selection_cases.yaml").read_text(encoding="utf-8"))
CASES = FILE["cases"]
MILLION = 1_000_000


def card(model: str, **said: Any) -> ModelCard:
    price = {"input_price": said["in"] / MILLION, "output_price": said["out"] / MILLION} if "in" in said else {}
    return ModelCard(
        parse_reference(model),
        context=said.get("context"),
        max_output=said.get("max_output"),
        capabilities=frozenset(said.get("can", ())),
        quality=said.get("quality"),
        size=said.get("size"),
        expertise=frozenset(said.get("good_at", ())),
        **price,
    )


@pytest.fixture
def ollama(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[list[str]], None]]:
    """A server that lists models as Ollama does; without it nothing answers."""
    running: list[ThreadingHTTPServer] = []

    def start(names: list[str]) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps({"models": [{"name": name, "model": f"{name}:latest"} for name in names]}).encode()
                self.send_response(200 if self.path == "/api/tags" else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        running.append(server)
        monkeypatch.setenv("OLLAMA_API_BASE", f"http://127.0.0.1:{server.server_port}")

    monkeypatch.setenv("OLLAMA_API_BASE", "http://127.0.0.1:9")
    yield start
    for server in running:
        server.shutdown()
        server.server_close()


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 40
    assert len({one["name"] for one in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_written_case(
    case: dict[str, Any], project: Path, monkeypatch: pytest.MonkeyPatch, ollama: Callable[[list[str]], None]
) -> None:
    cards = [card(**one) for one in FILE["catalogues"][case.get("catalogue", "usual")]]
    for provider in {one.reference.provider for one in cards}:
        for variable in key_variables(provider) or ():
            monkeypatch.delenv(variable, raising=False)
    for provider in case.get("keys", ()):
        monkeypatch.setenv((key_variables(provider) or ("",))[0], "a-key-for-this-test")
    if "servers" in case:
        ollama(case["servers"])
    step = json.dumps({"id": "a", "prompt": "Say a word.", **case.get("step", {})})
    path = project / "p.yaml"
    path.write_text(f"id: p\n{case.get('head', '')}\nsteps:\n  - {step}\n", encoding="utf-8")
    (compiled,) = compile_or_raise(path, project).steps
    request = ModelRequest(
        UNDECIDED,
        (Message("user", "word" * case.get("tokens", 100)),),
        max_tokens=compiled.settings.get("max_tokens"),
    )
    known = KnownModels(catalogue=Catalogue(cards=cards))
    chosen = choose(compiled, compiled.models, needs_for(compiled, request), known, strict=False)
    assert [str(one) for one in chosen.order] == case["takes"]
    assert case.get("why", "") in chosen.reason
    said = {one.model: "; ".join(one.refused) for one in chosen.decision.considered}
    for model, reason in case.get("refused", {}).items():
        assert reason in said[model], said[model]
    if not case["takes"]:
        with pytest.raises(NoModelError) as caught:
            choose(compiled, compiled.models, needs_for(compiled, request), known)
        assert case.get("hint", "") in str(caught.value.hint)
        assert all(model in caught.value.message and reason in caught.value.message for model, reason in said.items())


def test_the_worked_example_of_the_guide() -> None:
    """The figures that docs/guides/models.md shows."""
    prices = {"a": (0.25, 2.0, 1390), "b": (5.0, 30.0, 1475), "c": (0.0, 0.0, 1366)}
    found = {}
    for name, (first, second, quality) in prices.items():
        one = ModelCard(ModelReference("openai", name), first / MILLION, second / MILLION, quality=quality)
        assert one.price is not None
        found[name] = (round(one.price, 4), round(score(one, "balanced") or 0, 1))
    assert found == {"a": (0.6875, 1406.3), "b": (11.25, 1369.9), "c": (0.0, 1466.0)}


NAMES = st.sampled_from([f"openai:m{n}" for n in range(8)] + [f"ollama:m{n}" for n in range(4)])
WORDS = ["tools", "json_schema", "vision", "reasoning"]
TAGS = ["general", "code", "research", "fast"]
CARDS = st.lists(
    st.builds(
        lambda name, price, **rest: ModelCard(parse_reference(name), *(price or (None, None)), **rest),
        NAMES,
        st.none() | st.tuples(st.sampled_from([0.0, 1e-7, 1e-6, 1e-5]), st.sampled_from([0.0, 4e-7, 1e-5])),
        quality=st.none() | st.sampled_from([1100, 1300, 1400, 1500]),
        size=st.none() | st.sampled_from([1.0, 8.0, 70.0]),
        context=st.none() | st.sampled_from([2_000, 8_000, 200_000]),
        max_output=st.none() | st.sampled_from([500, 8_000]),
        capabilities=st.none() | st.frozensets(st.sampled_from(WORDS)),
        expertise=st.frozensets(st.sampled_from(TAGS)),
    ),
    max_size=10,
    unique_by=lambda one: one.reference,
)
NEEDS = st.builds(
    Needs,
    capabilities=st.sampled_from([frozenset(), frozenset({"tools"})]),
    required=st.frozensets(st.sampled_from(WORDS), max_size=1),
    min_size=st.none() | st.sampled_from([7.0, 30.0]),
    expertise=st.frozensets(st.sampled_from(TAGS), max_size=1),
    input_tokens=st.none() | st.sampled_from([100, 5_000, 100_000]),
    output_tokens=st.none() | st.sampled_from([100, 4_000]),
)
RULES = st.builds(
    Rules,
    strategy=st.sampled_from(["cost", "performance", "balanced"]),
    max_cost_per_call=st.none() | st.sampled_from([0.0005, 0.05]),
    allow_paid=st.booleans(),
)
REACHED = st.frozensets(NAMES)


@settings(deadline=None)
@given(CARDS, NEEDS, RULES, REACHED, st.randoms())
def test_what_holds_for_every_choice(
    cards: list[ModelCard], needs: Needs, rules: Rules, reached: frozenset[str], random: Any
) -> None:
    def reach(model: ModelReference) -> Reach:
        return Reach(str(model) in reached, "it is not there", "start it")

    decision = select(cards, needs, rules, reach)
    shuffled = list(cards)
    random.shuffle(shuffled)
    assert select(shuffled, needs, rules, reach) == decision
    assert {one.model for one in decision.considered} == {str(one.reference) for one in cards}
    fitting = [one for one in decision.considered if one.fits]
    assert all(bool(one.refused) == (not one.fits) for one in decision.considered)
    assert all(one.fix for one in decision.considered if not one.fits)
    assert (decision.taken is None) == (not fitting)
    by_name = {str(one.reference): one for one in cards}
    for one in fitting:
        fits = by_name[one.model]
        assert one.model in reached
        assert needs.capabilities | needs.required <= (fits.capabilities or frozenset())
        assert fits.size is None or needs.min_size is None or fits.size >= needs.min_size
        assert needs.expertise - {"general"} <= fits.expertise
        assert (needs.input_tokens or 0) <= (fits.context or 4_096)
        assert rules.allow_paid or (fits.input_price, fits.output_price) == (0.0, 0.0)
        if rules.max_cost_per_call is not None:
            assert one.cost is not None
            assert one.cost <= rules.max_cost_per_call
    if fitting:
        assert str(decision.taken) == fitting[0].model
        scores = [one.score for one in fitting]
        known = [one for one in scores if one is not None]
        assert scores == [*known, *[None] * (len(scores) - len(known))], "those without a score come last"
        assert known == sorted(known, reverse=True)
        # Without those that lost, the same one is taken.
        alone = select([by_name[fitting[0].model]], needs, rules, reach)
        assert alone.taken == decision.taken


@settings(deadline=None)
@given(CARDS, NEEDS, RULES)
def test_a_named_model_is_refused_only_for_what_is_known(cards: list[ModelCard], needs: Needs, rules: Rules) -> None:
    for one in cards:
        found = consider(one, needs, rules, None, named=True)
        strict = consider(one, needs, rules, None)
        assert found.fits or not strict.fits
