"""A model server on 127.0.0.1: it takes requests over real HTTP, asks the script, and keeps what it was asked."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from orchestrator_dagster.testing.anthropic_wire import AnthropicWire
from orchestrator_dagster.testing.faults import Broken, ErrorStatus
from orchestrator_dagster.testing.gemini_wire import GeminiWire
from orchestrator_dagster.testing.ollama_wire import OllamaWire
from orchestrator_dagster.testing.openai_media import form_of
from orchestrator_dagster.testing.openai_wire import OpenAIWire
from orchestrator_dagster.testing.script import Answer, Match, Reply, Request, Script
from orchestrator_dagster.testing.wire import Wire, WireError

_DRIPS = 10**9  # bytes that a dripping answer promises
_DRIP_PAUSE = 0.05  # seconds between two of them


#: The formats that a server speaks when nothing else is said. One script answers all of them.
ALL_WIRES: Sequence[Wire] = (OpenAIWire(), AnthropicWire(), GeminiWire(), OllamaWire())


class ModelServer:
    """A server with scripted answers, usable as a context manager (or ``start()`` and ``close()``).

    Args:
        replies: Put in line like :meth:`then`.
        default: Reply for what is not scripted; without it a short text, or an instance of the schema asked for.
        models: Names that the list of models has.
        keys: When given, every other key (and none) is answered with 401.
        wires: The APIs it speaks; default OpenAI's, Anthropic's, Gemini's and Ollama's, told apart by path.
        port: Where it listens; default one that is free. A `models.yaml` names one that stays.

    Example::

        with ModelServer(["Hello", faults.server_error()]) as server:
            client = openai.OpenAI(base_url=server.url, api_key="any")
            ...
            assert [call.prompt for call in server.calls] == ["Say hello"]
    """

    def __init__(
        self,
        replies: Sequence[Reply] = (),
        *,
        default: Reply | None = None,
        models: Sequence[str] = ("test-model",),
        keys: Iterable[str] | None = None,
        wires: Sequence[Wire] | None = None,
        port: int = 0,
    ) -> None:
        self._script = Script(replies, default)
        self._models = tuple(models)
        self._keys = None if keys is None else frozenset(keys)
        self._wires: Sequence[Wire] = ALL_WIRES if wires is None else tuple(wires)
        self._port = port
        self._lock = threading.Lock()
        self._requests: list[tuple[Request, bool]] = []
        self._errors: list[Exception] = []
        self._closing = threading.Event()
        self._http: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The base URL, ending in ``/v1``, for every format. Raises RuntimeError before the start."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def port(self) -> int:
        """The TCP port, by default one that was free at the start. Raises RuntimeError before the start."""
        if self._http is None:
            raise RuntimeError("The model server is not running: use it in a with statement, or call start().")
        return int(self._http.server_address[1])

    @property
    def requests(self) -> list[Request]:
        """Every request so far, in the order in which they were read."""
        with self._lock:
            return [request for request, _ in self._requests]

    @property
    def calls(self) -> list[Request]:
        """The requests that asked a model for an answer (not the list of models, not embeddings)."""
        with self._lock:
            return [request for request, is_call in self._requests if is_call]

    @property
    def script_errors(self) -> list[Exception]:
        """What predicates and callables of the script raised (answered with 500), and errors of the server itself."""
        with self._lock:
            return list(self._errors)

    def then(self, *replies: Reply) -> None:
        """Put replies in line: each is given once, in this order. Faults and answers may be mixed."""
        self._script.then(*replies)

    def when(self, match: Match | None = None, *, model: str | None = None, reply: Reply | Sequence[Reply]) -> None:
        """Answer the requests that match, before what stands in line: see :meth:`Script.when`."""
        self._script.when(match, model=model, reply=reply)

    def start(self) -> None:
        """Listen on its port and answer in the background. Raises RuntimeError when it is running already."""
        if self._http is not None:
            raise RuntimeError("The model server is running already.")
        self._closing.clear()
        self._http = _Server(self, self._port)
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, name="model-server", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop: release what hangs, close every connection, wait for every thread. Does nothing when not running."""
        if self._http is None or self._thread is None:
            return
        self._closing.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
        self._http.end_connections()
        self._http = self._thread = None

    def __enter__(self) -> ModelServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # What the handler asks for.

    def _record(self, request: Request, is_call: bool) -> None:
        with self._lock:
            self._requests.append((request, is_call))

    def _note(self, error: Exception) -> None:
        with self._lock:
            self._errors.append(error)

    def _reply(self, wire: Wire, request: Request) -> Answer | Broken | ErrorStatus:
        try:
            wire.check(request)
            return self._script.next(request)
        except WireError as error:
            return ErrorStatus(400, "parameter", str(error))
        except Exception as error:  # a test's own code may raise anything; the test can read it
            self._note(error)
            return ErrorStatus(500, "server", f"The script of the test server raised {type(error).__name__}: {error}")


class _Server(ThreadingHTTPServer):
    """Keeps its threads and connections, so that all of them can be ended."""

    request_queue_size = 128

    def __init__(self, owner: ModelServer, port: int) -> None:
        self.owner = owner
        self._open_lock = threading.Lock()
        self._open: dict[socket.socket, threading.Thread] = {}
        super().__init__(("127.0.0.1", port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        thread = threading.Thread(
            target=self.process_request_thread, args=(request, client_address), name="model-server-call", daemon=True
        )
        with self._open_lock:
            self._open[request] = thread
        thread.start()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._open_lock:
                self._open.pop(request, None)

    def end_connections(self) -> None:
        with self._open_lock:
            still_open = list(self._open.items())
        for connection, thread in still_open:
            with contextlib.suppress(OSError):  # the client or the thread may have closed it in the meantime
                connection.shutdown(socket.SHUT_RDWR)  # wakes a thread that waits for the client
            thread.join()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle of an answer is an everyday thing here; all else is kept."""
        error = sys.exc_info()[1]
        if isinstance(error, Exception) and not isinstance(error, OSError):
            self.owner._note(error)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # small answers would wait 40 ms for the client's acknowledgement

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: the requests are on record."""

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def _handle(self) -> None:
        owner = self.server.owner
        path = self.path.partition("?")[0]
        found = ((wire, wire.purpose(self.command, path)) for wire in owner._wires)
        wire, purpose = next(((wire, purpose) for wire, purpose in found if purpose), (owner._wires[0], None))
        request = wire.read(self._read())
        owner._record(request, purpose == "answer")
        if purpose is None:
            self._send_error(wire, request, ErrorStatus(404, "parameter", f"Unknown path: {self.command} {path}"))
        elif owner._keys is not None and request.key not in owner._keys:
            self._send_error(wire, request, ErrorStatus(401, "key", "No or a wrong API key was given."))
        elif purpose == "models":
            self._send_json(200, wire.models(owner._models), wire.content_type)
        elif purpose == "embeddings":
            self._send_embeddings(wire, request)
        else:
            self._answer(wire, request)

    def _read(self) -> Request:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            body = None
        headers = {name.lower(): value for name, value in self.headers.items()}
        files: dict[str, bytes] = {}
        if headers.get("content-type", "").startswith("multipart/form-data"):
            body, files = form_of(raw, headers["content-type"])
        return Request(self.command, self.path, headers, body, time.time(), files=files)

    def _answer(self, wire: Wire, request: Request) -> None:
        owner = self.server.owner
        reply = owner._reply(wire, request)
        if reply.delay and owner._closing.wait(reply.delay):
            self._cut()
        elif isinstance(reply, ErrorStatus):
            self._send_error(wire, request, reply)
        elif isinstance(reply, Broken):
            self._break(wire, request, reply)
        elif request.stream:
            self._stream(list(wire.events(request, reply)), wire.stream_content_type)
        else:
            self._send_whole(wire, wire.answer(request, reply))

    def _send_whole(self, wire: Wire, answer: Mapping[str, Any] | bytes) -> None:
        if isinstance(answer, bytes):
            self._send(200, answer, "application/octet-stream")
        else:
            self._send_json(200, answer, wire.content_type)

    def _break(self, wire: Wire, request: Request, fault: Broken) -> None:
        owner = self.server.owner
        made = wire.answer(request, Answer(text="This answer will not arrive as it should."))
        whole = made if isinstance(made, bytes) else json.dumps(made).encode()
        half = whole[: len(whole) // 2]
        if fault.how == "hang":
            self._wait_for_the_end()
        elif fault.how == "drip":
            self._start(200, wire.content_type, {"Content-Length": str(_DRIPS)})
            while not owner._closing.wait(_DRIP_PAUSE):
                self.wfile.write(b" ")
            self._cut()
        elif fault.how == "stall":
            events = list(wire.events(request, Answer(text="This stream will not go on."))) if request.stream else []
            self._stream(events[: len(events) // 2] or [half], wire.stream_content_type, complete=None)
        elif fault.how == "cut_before_headers":
            self._cut()
        elif fault.how == "cut_in_body" and request.stream:
            events = list(wire.events(request, Answer(text="This stream will not arrive as it should.")))
            self._stream(events[: len(events) // 2], wire.stream_content_type, complete=False)
        elif fault.how == "cut_in_body":
            self._send(200, half, wire.content_type, length=len(whole))
            self._cut()
        elif fault.how == "truncated_json":
            self._send(200, half, wire.content_type)
        elif fault.how == "invalid_json":
            self._send(200, b"{'this': is no JSON]", wire.content_type)
        elif fault.how == "wrong_content_type":
            self._send(200, b"<html><body><h1>Welcome to the proxy</h1></body></html>", "text/html; charset=utf-8")
        else:
            self._send_json(200, wire.no_choices(request), wire.content_type)

    def _send_embeddings(self, wire: Wire, request: Request) -> None:
        try:
            self._send_json(200, wire.embeddings(request), wire.content_type)
        except WireError as error:
            self._send_error(wire, request, ErrorStatus(400, "parameter", str(error)))

    def _send_error(self, wire: Wire, request: Request, error: ErrorStatus) -> None:
        self._send_json(error.status, wire.error(error, request), wire.content_type, error.headers)

    def _send_json(
        self, status: int, body: Mapping[str, Any], content_type: str, headers: Mapping[str, str] | None = None
    ) -> None:
        self._send(status, json.dumps(body).encode(), content_type, headers)

    def _send(
        self,
        status: int,
        body: bytes,
        content_type: str,
        headers: Mapping[str, str] | None = None,
        length: int | None = None,
    ) -> None:
        self._start(status, content_type, {**(headers or {}), "Content-Length": str(length or len(body))})
        self.wfile.write(body)

    def _stream(self, events: Sequence[bytes], content_type: str, complete: bool | None = True) -> None:
        """Send events. ``complete``: the end is sent (True), the connection is cut (False), nothing follows (None)."""
        self._start(200, content_type, {"Transfer-Encoding": "chunked"})
        for event in events:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
        if complete:
            self.wfile.write(b"0\r\n\r\n")
        elif complete is None:
            self._wait_for_the_end()
        else:
            self._cut()

    def _start(self, status: int, content_type: str, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _wait_for_the_end(self) -> None:
        while self.connection.recv(4096):  # returns nothing once the client has gone or the server shuts it down
            pass
        self._cut()

    def _cut(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):  # the other side may have been faster
            self.connection.shutdown(socket.SHUT_RDWR)
