"""A small HTTP service on this machine, for the examples of tools that send requests; shown under another address."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ADDRESS = "https://garden.example"
PAGE = """<!doctype html><html lang="en"><head><title>Growing beans</title></head><body><nav><a href="/">Home</a></nav>
<main><h1>Growing beans</h1><p>Beans need little water; see the <a href="/figures">figures</a>.</p>
<table><tr><th>Year</th><th>Harvest</th></tr><tr><td>2025</td><td>41 kg</td></tr></table></main></body></html>"""


class _Handler(BaseHTTPRequestHandler):
    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        page = self.path.startswith("/beans")
        data = PAGE.encode() if page else json.dumps({"plot": 7, "state": "watered"}).encode()
        self.send_response_only(200)
        self.send_header("content-type", "text/html; charset=utf-8" if page else "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _answer  # noqa: N815 - names of the base

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def service() -> Iterator[str]:
    """Serve for as long as the block takes; gives the real address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def readdressed(found: Any, old: str, new: str) -> Any:
    """A value with one address in the place of another, in every text."""
    if isinstance(found, str):
        return found.replace(old, new)
    if isinstance(found, dict):
        return {name: readdressed(one, old, new) for name, one in found.items()}
    return [readdressed(one, old, new) for one in found] if isinstance(found, list) else found
