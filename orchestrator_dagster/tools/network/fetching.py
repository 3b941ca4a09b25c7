"""One HTTP exchange: every hop to an address that was checked, within limits of size and time.

A host is looked up once for each hop, its addresses are checked, and the connection goes to one of those: a name that
changes its address in between leads nowhere else. Proxies and `.netrc` of the environment are not used.
"""

from __future__ import annotations

import asyncio
import functools
import os
import ssl
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator_dagster.errors import ParametersError, SizeLimitError, StepTimeoutError, ToolError
from orchestrator_dagster.files.workspace import MEGABYTE
from orchestrator_dagster.tools.network.addresses import resolve
from orchestrator_dagster.tools.network.decoding import decode
from orchestrator_dagster.tools.settings import ToolSettings

if TYPE_CHECKING:
    import httpx

USER_AGENT = "orchestrator-dagster"
MAX_REDIRECTS = 10
_CHUNK = 1 << 16
#: Headers that another host may see when it is redirected to; the others were meant for the first one.
_FOR_ALL = frozenset((
    "host", "accept", "accept-encoding", "accept-language", "user-agent", "connection", "content-length",
    "content-type", "transfer-encoding", "cookie", "range", "if-none-match", "if-modified-since",
))  # fmt: skip


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Args:
        url: An http or https URL. A name and password in it are sent, and shown nowhere.
        method: The HTTP method.
        headers: Further headers.
        params: Parameters for the query.
        content: The body.
        max_bytes: Most bytes of the answer, as sent and as unpacked.
        timeout: Seconds for all of it.
        follow_redirects: Whether redirects are followed, at most ten.
    """

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Any] | None = None
    content: bytes | None = None
    max_bytes: int = 10 * MEGABYTE
    timeout: float = 30.0
    follow_redirects: bool = True


@dataclass(frozen=True)
class Fetched:
    """An answer. ``url`` is where it came from in the end, ``history`` the URLs before; header names are lower case."""

    url: str
    status: int
    headers: dict[str, str]
    data: bytes
    history: tuple[str, ...]
    seconds: float

    @property
    def content_type(self) -> str:
        """The header ``Content-Type``, or nothing."""
        return self.headers.get("content-type", "")

    @property
    def kind(self) -> str:
        """The media type without its parameters, in lower case."""
        return self.content_type.partition(";")[0].strip().lower()

    @property
    def is_markup(self) -> bool:
        """Whether it is HTML or XML."""
        return "html" in self.kind or "xml" in self.kind or (not self.kind and b"<html" in self.data[:1024].lower())

    @property
    def is_text(self) -> bool:
        """Whether it is text: by its type, or where it has none by what is in it."""
        if self.kind:
            words = ("text/", "json", "xml", "javascript", "yaml", "x-www-form-urlencoded", "csv", "graphql")
            return any(word in self.kind for word in words)
        return b"\0" not in self.data[:1024]

    def text(self) -> tuple[str, str]:
        """The text, and the encoding it was read with."""
        return decode(self.data, self.content_type, markup=self.is_markup)


async def fetch(settings: ToolSettings, request: Request) -> Fetched:
    """Do one exchange, whatever status it ends with.

    Raises:
        ParametersError: The URL or a header cannot be sent.
        StepTimeoutError: It took longer than its time.
        SizeLimitError: The answer is larger than allowed.
        ToolError: The host is refused or not reached, or what it says is no HTTP.
    """
    import httpx

    began = time.monotonic()
    url = checked_url(request.url)
    try:
        return await asyncio.wait_for(_exchange(settings, request, url, began), request.timeout)
    except (asyncio.TimeoutError, httpx.TimeoutException):
        raise StepTimeoutError(
            f"{shown(url)} was not answered within {request.timeout:g} seconds",
            hint="raise `timeout`, or try again later",
        ) from None
    except httpx.TooManyRedirects:
        raise ToolError(f"{shown(url)} redirects more than {MAX_REDIRECTS} times", permanent=True) from None
    except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise ToolError(f"{shown(url)} redirects to what is no http or https URL: {error}", permanent=True) from None
    except httpx.ConnectError as error:
        raise ToolError(f"{shown(url)} cannot be reached: {error}", hint="check the address, or try later") from None
    except httpx.HTTPError as error:
        said = str(error) or type(error).__name__
        raise ToolError(f"{shown(url)}: the exchange broke off: {said}", hint="try again later") from None


def checked_url(text: str) -> httpx.URL:
    """The URL, when it is one of http or https with a host.

    Raises:
        ParametersError: It is not.
    """
    import httpx

    try:
        url = httpx.URL(text.strip())
    except (httpx.InvalidURL, TypeError, UnicodeError) as error:
        raise ParametersError(f'"{text[:200]}" is no URL: {error}', hint="write http://… or https://…") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ParametersError(
            f'"{shown(url)[:200]}" is no http or https URL',
            hint="write http://… or https://…, files have tools of their own",
        )
    return url


def shown(url: httpx.URL) -> str:
    """A URL as messages show it: without a name and password, a query or a fragment, any of which may hold a secret."""
    plain = url.copy_with(username=None, password=None, query=None, fragment=None)
    return f"{plain}?…" if url.query else str(plain)


async def _exchange(settings: ToolSettings, request: Request, url: httpx.URL, began: float) -> Fetched:
    import httpx

    headers = {
        "user-agent": USER_AGENT,
        "accept": "*/*",
        **{name.lower(): text for name, text in request.headers.items()},
    }
    headers["accept-encoding"] = "gzip, deflate"
    try:
        client = httpx.AsyncClient(
            transport=_transport(settings),
            timeout=request.timeout,
            trust_env=False,
            follow_redirects=request.follow_redirects,
            max_redirects=MAX_REDIRECTS,
        )
        asked = client.build_request(
            request.method,
            url.copy_merge_params(dict(request.params)) if request.params else url,
            headers=headers,
            content=request.content,
        )
    except (ValueError, TypeError, httpx.InvalidURL) as error:
        raise ParametersError(f"the request for {shown(url)} cannot be sent: {error}") from None
    async with client:
        answer = await client.send(asked, stream=True)
        try:
            data = b"" if request.method == "HEAD" else await _body(answer, request.max_bytes)
        finally:
            await answer.aclose()
    return Fetched(
        url=_without_user(answer.url),
        status=answer.status_code,
        headers={name.lower(): text for name, text in answer.headers.items()},
        data=data,
        history=tuple(_without_user(one.url) for one in answer.history),
        seconds=time.monotonic() - began,
    )


def _without_user(url: httpx.URL) -> str:
    return str(url.copy_with(username=None, password=None))


async def _body(answer: httpx.Response, most: int) -> bytes:
    """The body, unpacked; at no time is more of it in memory than is allowed."""
    encodings = [one.strip().lower() for one in answer.headers.get("content-encoding", "").split(",") if one.strip()]
    encodings = [one for one in encodings if one != "identity"]
    if len(encodings) > 1 or (encodings and encodings[0] not in ("gzip", "x-gzip", "deflate")):
        raise ToolError(
            f"{shown(answer.url)} sends its answer packed as {', '.join(encodings)}, which was not asked for",
            permanent=True,
        )
    unpack = _Unpacking(encodings[0]) if encodings else None
    kept, seen = bytearray(), 0
    async for chunk in answer.aiter_raw(_CHUNK):
        seen += len(chunk)
        if unpack is not None:
            try:
                chunk = unpack.more(chunk, most + 1 - len(kept))
            except zlib.error as error:
                raise ToolError(f"{shown(answer.url)}: the packed answer is broken: {error}") from None
        kept += chunk
        if seen > most or len(kept) > most:
            raise SizeLimitError(
                f"{shown(answer.url)} answers with more than {most:,} bytes",
                hint="raise `max_bytes` if you need it all",
            )
    if unpack is not None and seen and not unpack.ended:
        raise ToolError(f"{shown(answer.url)}: the packed answer breaks off")
    return bytes(kept)


class _Unpacking:
    """Unpacks gzip and deflate in pieces of a bounded size, so that a small answer cannot fill the memory."""

    def __init__(self, encoding: str) -> None:
        self._object = zlib.decompressobj(47 if "gzip" in encoding else 15)
        self._raw_allowed = encoding == "deflate"
        self.ended = False

    def more(self, data: bytes, most: int) -> bytes:
        """What comes out of ``data``, at most ``most`` bytes of it."""
        made = bytearray()
        while data and len(made) < most and not self.ended:
            try:
                made += self._object.decompress(data, most - len(made))
            except zlib.error:
                if not self._raw_allowed:
                    raise
                self._object = zlib.decompressobj(-15)  # what some servers mean by deflate
                self._raw_allowed = False
                continue
            self._raw_allowed = False
            data = self._object.unconsumed_tail
            if self._object.eof:
                rest = self._object.unused_data
                if rest.startswith(b"\x1f\x8b"):  # a further member of a gzip file
                    self._object, data = zlib.decompressobj(47), rest
                else:
                    self.ended = True
        return bytes(made)


@functools.lru_cache(maxsize=1)
def _trust() -> ssl.SSLContext:
    import certifi

    return ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE") or certifi.where())


def _transport(settings: ToolSettings) -> httpx.AsyncBaseTransport:
    import httpx

    class Checked(httpx.AsyncBaseTransport):
        """Connects to addresses that were checked, and names the host as the URL does."""

        def __init__(self) -> None:
            self._inner = httpx.AsyncHTTPTransport(verify=_trust(), trust_env=False, retries=0)
            self._first: tuple[str, int] | None = None

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            url = request.url
            if url.scheme not in ("http", "https") or not url.host:
                raise ToolError(f"{shown(url)} is no http or https URL: it is not followed", permanent=True)
            port = url.port or (443 if url.scheme == "https" else 80)
            self._first = self._first or (url.host, port)
            if (url.host, port) not in (self._first, (self._first[0], 443)):
                for name in set(request.headers) - _FOR_ALL:
                    del request.headers[name]
            addresses = await resolve(settings, url.host, port)
            extensions = dict(request.extensions)
            if url.scheme == "https":
                extensions["sni_hostname"] = url.host  # the certificate is checked against the name
            for number, address in enumerate(addresses):
                there = httpx.Request(
                    request.method,
                    url.copy_with(host=address),
                    headers=request.headers,
                    stream=request.stream,
                    extensions=extensions,
                )
                try:
                    return await self._inner.handle_async_request(there)
                except httpx.ConnectError:
                    if number == len(addresses) - 1:
                        raise
            raise httpx.ConnectError("the host has no address")

        async def aclose(self) -> None:
            await self._inner.aclose()

    return Checked()
