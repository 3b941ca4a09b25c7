"""Whether a model can be reached: its key is set, or its local server answers.

A key is looked for in the environment and in the endpoints of the ``models`` resource. A server on this machine is
asked once (one short HTTP request, for the list of its models), and what it answered holds for the run. Servers
elsewhere are not asked: with their key they count as reachable, and the call itself shows whether they are.
"""

from __future__ import annotations

import ipaddress
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol
from urllib.parse import urlsplit

from orchestrator_dagster.models.catalogue import LOCAL_PROVIDERS
from orchestrator_dagster.models.client import ModelReference
from orchestrator_dagster.models.provider_keys import has_key, key_variables, public_url
from orchestrator_dagster.models.references import BUILTIN
from orchestrator_dagster.models.user_models import OWN, UserModel, UserModels

#: Seconds that a server on this machine has to answer.
PROBE_SECONDS = 1.5
_MOST_BYTES = 4_000_000
# Where local servers are when nothing says otherwise, as litellm 1.106 and the servers' own documentation have it.
_USUAL_PLACES = {
    "ollama": "http://localhost:11434",
    "ollama_chat": "http://localhost:11434",
    "lm_studio": "http://localhost:1234/v1",
    "hosted_vllm": "http://localhost:8000/v1",
    "vllm": "http://localhost:8000/v1",
    "llamafile": "http://localhost:8080/v1",
}
# Servers that serve exactly the models they list; others may take names that they do not list.
_LIST_IS_ALL = frozenset(("ollama", "ollama_chat", "hosted_vllm", "vllm"))


class Place(Protocol):
    """Where a provider is reached, and with which key: an endpoint of the ``models`` resource."""

    @property
    def base_url(self) -> str | None:
        """Its base URL, None for the usual one."""
        ...

    @property
    def api_key(self) -> str | None:
        """Its key, None for the one in the environment."""
        ...


@dataclass(frozen=True)
class Reach:
    """Whether a model can be reached, why (not), and what to set when not."""

    ok: bool
    said: str
    fix: str = ""


@dataclass(frozen=True)
class _Probe:
    """What a server on this machine answered: the models it has (None when it did not list them), or why it did not."""

    answers: bool
    models: frozenset[str] | None = None
    error: str = ""


class Reachability:
    """Tells whether models can be reached. Thread-safe; each local server is asked once.

    Args:
        endpoints: Providers with an own URL or key.
        own: The models of ``models.yaml``.
        offline: Take local servers as absent, and ask none.
    """

    def __init__(
        self,
        endpoints: Mapping[str, Place] = MappingProxyType({}),
        own: UserModels = MappingProxyType({}),
        *,
        offline: bool = False,
    ) -> None:
        self._endpoints = dict(endpoints)
        self._own = dict(own)
        self.offline = offline
        self._probes: dict[str, _Probe] = {}
        self._lock = threading.Lock()

    def __call__(self, model: ModelReference) -> Reach:
        """Whether ``model`` can be reached."""
        if model.provider == BUILTIN:
            return Reach(True, "built in")
        if model.provider == OWN:
            own = self._own.get(model.name)
            if own is None:
                return Reach(False, "models.yaml does not have it", f"add {model.name} to models.yaml")
            return self._own_model(own)
        place = self._endpoints.get(model.provider)
        url = (place.base_url if place else None) or _address_in_environment(model.provider)
        if place is not None and place.api_key:
            return self._server(model.provider, model.name, url, "its key is in the models resource")
        if place is not None and place.base_url is not None:
            return self._server(model.provider, model.name, url, "the models resource has its address")
        return self._by_environment(model.provider, model.name, url)

    @property
    def servers(self) -> dict[str, bool]:
        """Which local servers were asked, by address, and whether they answered."""
        with self._lock:
            return {public_url(url): probe.answers for url, probe in sorted(self._probes.items())}

    def _own_model(self, own: UserModel) -> Reach:
        if own.api_key_env and not own.api_key():
            return Reach(False, f"{own.api_key_env} is not set", f"set {own.api_key_env}")
        said = f"{own.api_key_env} is set" if own.api_key_env else "it asks for no key"
        if own.base_url is not None or own.api_key_env:
            return self._server(own.provider, own.model, own.base_url, said)
        return self._by_environment(own.provider, own.model, _address_in_environment(own.provider))

    def _by_environment(self, provider: str, name: str, url: str | None) -> Reach:
        variables = key_variables(provider)
        if variables and not has_key(provider):
            said = f"{' or '.join(variables[:2])} is not set"
            return Reach(False, said, f"set {variables[0]}")
        if provider in LOCAL_PROVIDERS:
            return self._server(provider, name, url or _USUAL_PLACES[provider], "")
        if variables:
            held = next((one for one in variables if os.environ.get(one, "").strip()), variables[0])
            return self._server(provider, name, url, f"{held} is set")
        return self._server(provider, name, url, "seen when it is called")

    def _server(self, provider: str, name: str, url: str | None, said: str) -> Reach:
        """A model at a server that there is a key for, or that asks for none."""
        if url is None or not is_local(url):
            return Reach(True, said or "reached as litellm does")
        shown = public_url(url)
        if self.offline:
            return Reach(False, "local servers are taken as absent", "leave out --offline, or name another model")
        probe = self._probe(provider, url)
        if not probe.answers:
            return Reach(False, f"no server answers at {shown} ({probe.error})", _start(provider, shown))
        listed = probe.models
        if listed is not None and provider in _LIST_IS_ALL and not {name, f"{name}:latest"} & listed:
            load = f"run `ollama pull {name}`" if provider.startswith("ollama") else f"start the server with {name}"
            return Reach(False, f"the server at {shown} does not have it", load)
        return Reach(True, f"the server at {shown} answers")

    def _probe(self, provider: str, url: str) -> _Probe:
        # One lock for all: a run asks few servers, and each only once.
        with self._lock:
            if url not in self._probes:
                self._probes[url] = _ask(provider, url)
            return self._probes[url]


def is_local(url: str) -> bool:
    """Whether a URL leads to this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _address_in_environment(provider: str) -> str | None:
    """The address that litellm takes from the environment, ``OLLAMA_API_BASE`` for example."""
    name = provider.removesuffix("_chat").upper()
    for ending in ("BASE_URL", "API_BASE"):
        value = os.environ.get(f"{name}_{ending}", "").strip()
        if value.startswith(("http://", "https://")):
            return value
    return None


def _start(provider: str, shown: str) -> str:
    if provider.startswith("ollama"):
        return "start Ollama (`ollama serve`), or set OLLAMA_API_BASE to where it runs"
    return f"start the server at {shown}"


def _ask(provider: str, url: str) -> _Probe:
    """Ask a server for its models. Any HTTP answer, an error too, means that it is there."""
    # Imported here: `validate` and the loading of a location ask nobody.
    import urllib.error
    import urllib.request

    class NoRedirects(urllib.request.HTTPRedirectHandler):
        """A probe stays on this machine."""

        def redirect_request(self, *args: object, **options: object) -> None:
            return None

    path = "/api/tags" if provider.startswith("ollama") else "/models"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirects)
    try:
        with opener.open(url.rstrip("/") + path, timeout=PROBE_SECONDS) as answer:
            body = answer.read(_MOST_BYTES)
    except urllib.error.HTTPError:
        return _Probe(True)
    except (OSError, ValueError) as error:  # URLError and timeouts are OSErrors
        reason = getattr(error, "reason", error)
        return _Probe(False, error=str(getattr(reason, "strerror", None) or reason or type(error).__name__).lower())
    except Exception as error:  # http.client's errors: something is there that speaks no HTTP
        return _Probe(False, error=f"no HTTP: {type(error).__name__}")
    return _Probe(True, _names(body))


def _names(body: bytes) -> frozenset[str] | None:
    """The names in a list of models, in Ollama's form or in OpenAI's."""
    try:
        document = json.loads(body)
        if "models" in document:
            return frozenset(str(one.get("model") or one["name"]) for one in document["models"])
        return frozenset(str(one["id"]) for one in document["data"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
