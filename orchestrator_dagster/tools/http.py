"""The tool ``http-client``: requests to HTTP services.

Every hop goes to an address that was checked (:mod:`orchestrator_dagster.tools.network`); no cookie is kept from one
call to the next; headers are never logged. Trying again is the step's business (`retries`).
"""

from __future__ import annotations

import base64
import functools
import hashlib
import inspect
import json as json_text
import warnings
from collections.abc import Callable
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field

from orchestrator_dagster.errors import HttpStatusError, ParametersError, ToolError
from orchestrator_dagster.files.workspace import MEGABYTE
from orchestrator_dagster.retry_after import retry_after
from orchestrator_dagster.tools.network.fetching import Fetched, Request, checked_url, fetch, shown
from orchestrator_dagster.tools.tool import Tool, ToolContext

http_client = Tool("http-client", summary="Sends HTTP requests to public hosts, and to those that the project allows.")

_TOLD = 300
#: Statuses that may pass by themselves; other ones from 400 to 499 say that the request is wrong.
_MAY_PASS = frozenset((408, 409, 423, 425, 429))


class Login(BaseModel):
    """How a request says who asks: a ``token`` (``Authorization: Bearer``), or ``username`` and ``password``."""

    model_config = ConfigDict(extra="forbid")

    token: str | None = None
    username: str | None = None
    password: str = ""


with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message='Field name "json"', category=UserWarning)

    class HttpResult(BaseModel):
        """An answer.

        ``body`` is ``json`` where the answer is that, else ``text``, else (bytes) base64. ``url`` is where it came from
        in the end, ``history`` the URLs before. Header names are lower case, ``size`` is in bytes, ``duration`` in
        seconds. ``path`` and ``sha256`` are there when it was saved to a file, which then has the body instead.
        """

        url: str
        method: str
        status_code: int
        success: bool
        headers: dict[str, str]
        body: Any
        text: str
        json: Any
        content_type: str
        encoding: str | None
        size: int
        duration: float
        history: list[str]
        path: str | None = None
        sha256: str | None = None


Url = Annotated[str, Field(description="http or https URL.", validation_alias=AliasChoices("url", "endpoint"))]
Headers = Annotated[dict[str, str | int] | None, Field(description="Further headers.")]
Query = Annotated[
    dict[str, Any] | None,
    Field(
        description="Parameters of the query, beside those of the URL.",
        validation_alias=AliasChoices("params", "query", "query_params"),
    ),
]
Json = Annotated[Any, Field(description="Body: sent as JSON.", validation_alias=AliasChoices("json", "json_body"))]
Form = Annotated[
    dict[str, Any] | str | None,
    Field(description="Body: a map is sent as a form, a text as it is.", validation_alias=AliasChoices("data", "body")),
]
Auth = Annotated[Login | None, Field(description="{token} or {username, password}.")]
Timeout = Annotated[float, Field(gt=0, le=3600, description="Seconds for all of it, redirects included.")]
Follow = Annotated[
    bool,
    Field(
        description="Whether redirects are followed.",
        validation_alias=AliasChoices("follow_redirects", "allow_redirects"),
    ),
]
Check = Annotated[bool, Field(description="Whether a status of 400 or more fails the step.")]
Allowed = Annotated[list[int], Field(description="Statuses of 400 or more that do not fail the step.")]
MaxBytes = Annotated[int, Field(ge=1, description="Most bytes of the answer.")]
SaveTo = Annotated[
    str | None,
    Field(
        description="File of the workspace to write the body to.",
        validation_alias=AliasChoices("save_to", "output_path", "destination"),
    ),
]


@http_client.action(aliases=("execute", "http_request", "send", "call"), default=True)
async def request(
    context: ToolContext,
    url: Url,
    method: Annotated[
        Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
        BeforeValidator(lambda method: method.upper() if isinstance(method, str) else method),
        Field(description="The HTTP method."),
    ] = "GET",
    headers: Headers = None,
    params: Query = None,
    json: Json = None,
    data: Form = None,
    auth: Auth = None,
    timeout: Timeout = 30.0,
    follow_redirects: Follow = True,
    check: Check = True,
    allowed_status: Allowed = [],  # noqa: B006 - it is not changed
    max_bytes: MaxBytes = 10 * MEGABYTE,
    save_to: SaveTo = None,
) -> HttpResult:
    """Send a request with any method."""
    sent = {name.lower(): str(text) for name, text in (headers or {}).items()}
    content = _content(sent, json, data)
    if auth is not None:
        sent["authorization"] = _authorization(auth)
    if save_to is not None:
        context.workspace.resolve(save_to)  # before anything is asked for
    got = await fetch(
        context.settings,
        Request(url, method, sent, params, content, max_bytes, timeout, follow_redirects),
    )
    context.log(f"{method} {shown(checked_url(got.url))}: {got.status}, {len(got.data):,} bytes in {got.seconds:.2f} s")
    if check and got.status >= 400 and got.status not in allowed_status:
        raise _status_error(method, got)
    return _result(context, method, got, save_to)


def _verb(method: str, summary: str, *, with_body: bool, aliases: tuple[str, ...] = ()) -> None:
    """An action for one method, with the parameters of ``request`` that it has a use for."""
    left_out = {"method"} if with_body else {"method", "json", "data"}

    @functools.wraps(request)
    async def action(context: ToolContext, **values: Any) -> HttpResult:
        return await request(context, method=method, **values)  # type: ignore[arg-type]

    signature = inspect.signature(request)
    kept = [parameter for name, parameter in signature.parameters.items() if name not in left_out]
    action.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]
    action.__doc__ = summary
    register: Callable[..., Any] = http_client.action(method.lower(), aliases=aliases)
    register(action)


_verb("GET", "Get what a URL has.", with_body=False, aliases=("fetch", "download"))
_verb("HEAD", "Get the headers of what a URL has.", with_body=False)
_verb("POST", "Send something to a URL.", with_body=True)
_verb("PUT", "Put something in the place of what a URL has.", with_body=True)
_verb("PATCH", "Change what a URL has.", with_body=True)
_verb("DELETE", "Delete what a URL has.", with_body=True)


def _content(headers: dict[str, str], json: Any, data: dict[str, Any] | str | None) -> bytes | None:
    if json is not None and data is not None:
        raise ParametersError("http_client: a request has one body: `json` or `data`")
    if json is not None:
        headers.setdefault("content-type", "application/json")
        try:
            return json_text.dumps(json, ensure_ascii=False, allow_nan=False).encode()
        except (TypeError, ValueError) as error:
            raise ParametersError(f"http_client: `json` cannot be written as JSON: {error}") from None
    if isinstance(data, dict):
        headers.setdefault("content-type", "application/x-www-form-urlencoded")
        return urlencode(data, doseq=True).encode()
    if data is not None:
        headers.setdefault("content-type", "text/plain; charset=utf-8")
        return data.encode()
    return None


def _authorization(login: Login) -> str:
    if (login.token is None) == (login.username is None):
        raise ParametersError("http_client: `auth` has either `token` or `username` and `password`")
    if login.token is not None:
        return f"Bearer {login.token}"
    return "Basic " + base64.b64encode(f"{login.username}:{login.password}".encode()).decode()


def _status_error(method: str, got: Fetched) -> HttpStatusError:
    said = " ".join(got.text()[0][:2000].split())[:_TOLD] if got.is_text else ""
    wait = retry_after(got.headers) if got.status in (429, 503) else None
    asks = f" and asks to wait {wait:g} s" if wait else ""
    told = f"{asks}: {said}" if said else asks
    return HttpStatusError(
        f"{method} {shown(checked_url(got.url))} answers with the status {got.status}{told}",
        status=got.status,
        retry_after=wait,
        hint=f"`allowed_status: [{got.status}]` takes it as an answer"
        if got.status < 500
        else "try again later: `retries`",
        permanent=got.status < 500 and got.status not in _MAY_PASS,
    )


def _result(context: ToolContext, method: str, got: Fetched, save_to: str | None) -> HttpResult:
    text, encoding, value, body = "", None, None, None
    if save_to is None and got.is_text:
        text, encoding = got.text()
        body = text
        if "json" in got.kind and text.strip():
            try:
                value = body = json_text.loads(text)
            except ValueError as error:
                raise ToolError(
                    f"{shown(checked_url(got.url))} says that it answers JSON, which it is not: {error}"
                ) from None
    elif save_to is None and got.data:
        body, encoding = base64.b64encode(got.data).decode("ascii"), "base64"
    made = HttpResult(
        url=got.url,
        method=method,
        status_code=got.status,
        success=True,
        headers=got.headers,
        body=body,
        text=text,
        json=value,
        content_type=got.content_type,
        encoding=encoding,
        size=len(got.data),
        duration=round(got.seconds, 3),
        history=list(got.history),
    )
    if save_to is None:
        return made
    written = context.workspace.write(save_to, got.data)
    digest = hashlib.sha256(got.data).hexdigest()
    return made.model_copy(update={"path": context.workspace.relative(written.path), "sha256": digest})
