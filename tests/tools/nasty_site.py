"""A local HTTP site that behaves as badly as sites do."""

from __future__ import annotations

import gzip
import json
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

ARTICLE = """<!doctype html>
<html lang="en"><head><title>Growing beans in dry years</title>
<meta name="author" content="Ana Silva"><meta name="description" content="What beans need when it does not rain">
<base href="/garden/"></head>
<body><nav><a href="/">Home</a> <a href="/shop">Shop our seeds today</a></nav>
<script>var tracker = "never shown";</script>
<article><h1>Growing beans in dry years</h1>
<p>Beans need less water than most people think. In the three dry summers from 2020 to 2022 the plots on the hill were
watered once a week, and the harvest was two thirds of that of a normal year.</p>
<h2>Watering</h2>
<p>Water the roots in the evening, not the leaves. A layer of straw keeps the soil moist for three days longer, as the
<a href="measurements.html">measurements of 2021</a> have shown.</p>
<table><caption>Harvest by year</caption><thead><tr><th>Year</th><th>Rain (mm)</th><th>Harvest (kg)</th></tr></thead>
<tbody><tr><td>2020</td><td>310</td><td>41</td></tr><tr><td>2021</td><td>280</td><td>38</td></tr>
<tr><td rowspan="2">2022</td><td>300</td><td>40</td></tr><tr><td>301</td><td>42</td></tr></tbody></table>
<p>Whoever has a well can water more often, but the figures show that it brings little after the third time a week.</p>
</article>
<footer>All rights reserved. <a href="mailto:ana@example.com">Write us</a> <a href="javascript:x()">Up</a></footer></body></html>"""


class Site:
    """The site: its address, and the requests that came."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.port = server.server_address[1]
        self.host = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.host}"
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.statuses: list[int] = []

    @property
    def paths(self) -> list[str]:
        """What was asked for, in order."""
        return [path for _, path, _, _ in self.requests]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def log_message(self, *args: object) -> None:
        pass

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:  # the client has had enough
            self.close_connection = True

    def _answer(self) -> None:
        size = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(size)
        self.site.requests.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        name = "page_" + url.path.strip("/").replace("/", "_").replace(".", "_")
        getattr(self, name, self.page_missing)(query, body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _answer  # noqa: N815

    def send(
        self, data: bytes, kind: str | None = "text/plain; charset=utf-8", status: int = 200, **headers: str
    ) -> None:
        self.send_response(status)
        if kind:
            self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        for header, value in headers.items():
            self.send_header(header.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def page_missing(self, query: dict[str, str], body: bytes) -> None:
        self.send(b"there is nothing here", status=404)

    def page_echo(self, query: dict[str, str], body: bytes) -> None:
        got = {
            "method": self.command,
            "query": query,
            "body": body.decode(),
            "headers": {k.lower(): v for k, v in self.headers.items()},
        }
        self.send(json.dumps(got).encode(), "application/json", set_cookie="seen=1")

    def page_article(self, query: dict[str, str], body: bytes) -> None:
        self.send(ARTICLE.encode(), "text/html; charset=utf-8")

    def page_status(self, query: dict[str, str], body: bytes) -> None:
        status = self.site.statuses.pop(0) if self.site.statuses else int(query.get("code", "200"))
        extra = {"retry_after": query["wait"]} if "wait" in query else {}
        self.send(f"status {status}".encode(), status=status, **extra)

    def page_to(self, query: dict[str, str], body: bytes) -> None:
        self.send(b"", status=int(query.get("code", "302")), location=query["url"])

    def page_round(self, query: dict[str, str], body: bytes) -> None:
        self.send(b"", status=302, location=f"/round?n={int(query.get('n', 0)) + 1}")

    def page_endless(self, query: dict[str, str], body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/plain")
        self.end_headers()
        while True:
            self.wfile.write(b"x" * 65536)

    def page_drip(self, query: dict[str, str], body: bytes) -> None:
        self.send_response(200)
        self.end_headers()
        while True:
            self.wfile.write(b"x")
            time.sleep(0.05)

    def page_drip_headers(self, query: dict[str, str], body: bytes) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nx-long: ")
        while True:
            self.wfile.write(b"x")
            time.sleep(0.05)

    def page_silent(self, query: dict[str, str], body: bytes) -> None:
        time.sleep(30)

    def page_cut(self, query: dict[str, str], body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-length", "1000")
        self.end_headers()
        self.wfile.write(b"not all")
        self.wfile.flush()
        self.close_connection = True

    def page_nonsense(self, query: dict[str, str], body: bytes) -> None:
        self.wfile.write(b"\x00\xffthis is no HTTP\r\n\r\n")
        self.close_connection = True

    def page_bomb(self, query: dict[str, str], body: bytes) -> None:
        packed = gzip.compress(b"\0" * (200 * 2**20), 6)
        self.send(packed, content_encoding="gzip")

    def page_packed(self, query: dict[str, str], body: bytes) -> None:
        text = b"packed text " * 1000
        ways = {
            "gzip": gzip.compress(text), "deflate": zlib.compress(text), "raw": zlib.compress(text)[2:-4],
            "two": gzip.compress(text[:600]) + gzip.compress(text[600:]), "broken": gzip.compress(text)[:-20],
            "wrong": b"not packed", "br": b"x",
        }  # fmt: skip
        coding = {"raw": "deflate", "two": "gzip", "broken": "gzip", "wrong": "gzip"}.get(query["way"], query["way"])
        self.send(ways[query["way"]], content_encoding=coding)

    def page_encoded(self, query: dict[str, str], body: bytes) -> None:
        text = query.get("text", "Der Käse aus Brüssel kostet 5 €")
        start = f'<html><head><meta charset="{query["meta"]}"></head><body>' if "meta" in query else ""
        data = (start + text).encode(query["really"])
        kind = "text/html" if start else "text/plain"
        self.send(data, f"{kind}; charset={query['says']}" if "says" in query else kind)

    def page_bytes(self, query: dict[str, str], body: bytes) -> None:
        self.send(bytes(range(256)), "application/octet-stream")

    def page_not_json(self, query: dict[str, str], body: bytes) -> None:
        self.send(b"<html>an error page</html>", "application/json")

    # Search services, by their protocols.

    def page_searx_search(self, query: dict[str, str], body: bytes) -> None:
        assert query["format"] == "json"
        rows = [
            {
                "title": f"About {query['q']} {n}",
                "url": f"https://example.com/{n}",
                "content": f"<b>text</b> {n}",
                "engine": "x",
            }
            for n in range(12)
        ]
        self.send(
            json.dumps({"query": query["q"], "number_of_results": 120, "results": rows}).encode(), "application/json"
        )

    def page_brave(self, query: dict[str, str], body: bytes) -> None:
        if self.headers.get("x-subscription-token") != "brave-key-0123456789":
            self.send(b'{"error": "no valid key"}', "application/json", 401)
            return
        rows = [
            {"title": "Beans", "url": "https://example.com/b", "description": "All <strong>beans</strong> &amp; peas"}
        ]
        self.send(
            json.dumps({"type": "search", "web": {"results": rows[: int(query["count"])]}}).encode(), "application/json"
        )

    def page_tavily(self, query: dict[str, str], body: bytes) -> None:
        asked = json.loads(body)
        if self.headers.get("authorization") != "Bearer tavily-key-0123456789":
            self.send(b'{"detail": "no valid key"}', "application/json", 401)
            return
        rows = [{"title": "T", "url": "https://example.com/t", "content": asked["query"], "score": 0.9}]
        self.send(
            json.dumps({"query": asked["query"], "results": rows[: asked["max_results"]]}).encode(), "application/json"
        )

    # Pages for a browser.

    def page_script(self, query: dict[str, str], body: bytes) -> None:
        self.send(
            b"""<html><head><title>Made by a script</title></head><body><p id="text">nothing yet</p><script>
            setTimeout(() => { document.getElementById("text").textContent = "This sentence was written by a script."; }, 50);
            </script></body></html>""",
            "text/html; charset=utf-8",
        )

    def page_spy(self, query: dict[str, str], body: bytes) -> None:
        target = query["target"]
        page = f"""<html><head><title>Spy</title></head><body><p id="text">Asking the neighbours for their secrets.</p>
        <img src="{target}/by-image"><iframe src="{target}/by-frame"></iframe>
        <script>fetch("{target}/by-fetch", {{mode: "no-cors"}}).catch(() => 0);
        try {{ new WebSocket("{target}/by-socket".replace("http", "ws")); }} catch (e) {{}}
        navigator.sendBeacon("{target}/by-beacon", "x");
        fetch("/to?url=" + encodeURIComponent("{target}/by-redirect")).catch(() => 0);</script></body></html>"""
        self.send(page.encode(), "text/html; charset=utf-8")


@contextmanager
def serve(context: object = None) -> Iterator[Site]:
    """Serve the site on a free port of this machine."""
    handler = type("Handler", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)  # type: ignore[attr-defined]
    handler.site = site = Site(server)  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
