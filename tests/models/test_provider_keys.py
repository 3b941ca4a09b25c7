from __future__ import annotations

import os

import pytest

from orchestrator_dagster.models.provider_keys import _VARIABLES, has_key, key_variables, public_url, without_secrets


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.endswith(("_KEY", "_TOKEN")):
            monkeypatch.delenv(name)


@pytest.mark.parametrize("provider", sorted(_VARIABLES))
def test_the_variables_are_those_that_litellm_reads(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestrator_dagster.models.litellm_client import _litellm

    litellm = _litellm()
    variables = _VARIABLES[provider]
    missing = litellm.validate_environment(f"{provider}/some-model")["missing_keys"]
    if provider in ("sambanova", "zai"):  # litellm's own check does not know these; that it reads them was looked up
        assert missing == []
        return
    assert set(missing) <= set(variables)
    assert missing
    monkeypatch.setenv(variables[0], "a key")
    assert litellm.validate_environment(f"{provider}/some-model")["missing_keys"] == []


def test_any_one_of_the_variables_is_enough_and_an_empty_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not has_key("gemini")
    monkeypatch.setenv("GEMINI_API_KEY", " ")
    assert not has_key("gemini")
    monkeypatch.setenv("GOOGLE_API_KEY", "a key")
    assert has_key("gemini")


def test_local_and_unknown_providers() -> None:
    assert key_variables("ollama") == ()
    assert has_key("ollama")
    assert key_variables("no-such-provider") is None


def test_secrets_are_taken_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_DATABASE_PASSWORD", "correct horse/battery")
    monkeypatch.setenv("MAX_TOKENS", "8192")
    text = (
        "key given-key, env correct horse/battery, url correct%20horse%2Fbattery, sk-abcdefghijklmnop, Bearer xyz, 8192"
    )
    assert without_secrets(text, ["given-key"]) == "key ***, env ***, url ***, ***, Bearer ***, 8192"


def test_a_public_url_has_no_user_and_no_query() -> None:
    assert public_url("https://me:secret@host.example:8443/v1?key=secret#x") == "https://host.example:8443/v1"
