"""Search services over HTTP, each by the protocol that it speaks, and a function of the project's own."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from orchestrator_dagster.errors import HttpStatusError, ParametersError, ToolError
from orchestrator_dagster.retry_after import retry_after
from orchestrator_dagster.tools.coroutines import run_coroutine
from orchestrator_dagster.tools.network.fetching import Fetched, Request, checked_url, fetch, shown
from orchestrator_dagster.tools.search.hits import Found, Hit, plain
from orchestrator_dagster.tools.settings import SearchSettings
from orchestrator_dagster.tools.tool import ToolContext

BRAVE = "https://api.search.brave.com/res/v1/web/search"
TAVILY = "https://api.tavily.com/search"
_BRAVE_MOST = 20  # results that one answer has at most, by its documentation; the same for Tavily
_MAX_BYTES = 5 * 1024 * 1024


def ask_service(context: ToolContext, settings: SearchSettings, query: str, most: int, timeout: float) -> Found:
    """The results of the service that the settings name.

    Raises:
        ParametersError: Its key is not set.
        ToolError: It does not answer, or not what its protocol says.
    """
    request = _request(settings, query, most, timeout)
    url = checked_url(request.url)
    port = url.port or (443 if url.scheme == "https" else 80)
    host = f"[{url.host}]" if ":" in url.host else url.host
    # The project has named its service, which may well be one of its own.
    allowed = context.settings.model_copy(update={"allowed_hosts": (*context.settings.allowed_hosts, f"{host}:{port}")})
    got = run_coroutine("web_search.search", fetch(allowed, request), context.timeout, context.interrupted)
    context.log(f"{settings.backend}: {got.status}, {len(got.data):,} bytes in {got.seconds:.2f} s")
    if got.status != 200:
        raise _status_error(settings, got)
    try:
        return _found(str(settings.backend), json.loads(got.text()[0]), most)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ToolError(
            f"{shown(url)} does not answer as {settings.backend} does: {type(error).__name__}: {error}",
            hint="check the `url`; SearXNG needs `json` among the `formats` of its settings",
            permanent=True,
        ) from None


def _request(settings: SearchSettings, query: str, most: int, timeout: float) -> Request:
    if settings.backend == "searxng":
        url = f"{str(settings.url).rstrip('/')}/search"
        headers = {"accept": "application/json"}
        return Request(
            url, params={"q": query, "format": "json"}, headers=headers, timeout=timeout, max_bytes=_MAX_BYTES
        )
    key = os.environ.get(str(settings.key))
    if not key:
        raise ParametersError(
            f"the environment variable {settings.key}, which has the key of {settings.backend}, is not set",
            hint=f"set {settings.key}",
        )
    if settings.backend == "brave":
        return Request(
            settings.url or BRAVE,
            params={"q": query, "count": min(most, _BRAVE_MOST)},
            headers={"accept": "application/json", "x-subscription-token": key},
            timeout=timeout,
            max_bytes=_MAX_BYTES,
        )
    return Request(
        settings.url or TAVILY,
        method="POST",
        headers={"authorization": f"Bearer {key}", "content-type": "application/json"},
        content=json.dumps({"query": query, "max_results": min(most, _BRAVE_MOST)}).encode(),
        timeout=timeout,
        max_bytes=_MAX_BYTES,
    )


def _found(backend: str, answer: Mapping[str, Any], most: int) -> Found:
    rows: Sequence[Mapping[str, Any]]
    if backend == "brave":
        rows, said = (answer.get("web") or {}).get("results", []), "description"
    else:
        rows, said = answer["results"], "content"
    hits = tuple(
        Hit(
            title=plain(str(row["title"])),
            url=str(row["url"]),
            snippet=plain(str(row.get(said) or "")),
            score=row["score"] if isinstance(row.get("score"), (int, float)) else None,
        )
        for row in rows
    )
    total = answer.get("number_of_results") if backend == "searxng" else None
    return Found(hits[:most], max(int(total or 0), len(hits)))


def _status_error(settings: SearchSettings, got: Fetched) -> HttpStatusError:
    said = " ".join(got.text()[0][:1000].split())[:200] if got.is_text else ""
    refused = got.status in (401, 403)
    wait = retry_after(got.headers)
    return HttpStatusError(
        f"{settings.backend} answers with the status {got.status}{f': {said}' if said else ''}",
        status=got.status,
        retry_after=wait,
        hint=f"check the key in {settings.key}" if refused and settings.key else "try again later: `retries`",
        permanent=400 <= got.status < 500 and got.status != 429,
    )


def call_function(function: Callable[[str, int], Sequence[Mapping[str, Any]]], query: str, most: int) -> Found:
    """The results of a function.

    Raises:
        ToolError: What it gives are no results.
    """
    rows = function(query, most)
    try:
        hits = tuple(Hit.model_validate(dict(row)) for row in rows)
    except (ValidationError, TypeError, ValueError) as error:
        raise ToolError(
            f"the project's search function gives no list of {{title, url, snippet}}: {error}", permanent=True
        ) from None
    return Found(hits[:most], len(hits))
