"""What a model server answers, and to which request. Knows no wire format and no HTTP."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Union

from orchestrator_dagster.testing.faults import Broken, ErrorStatus, Fault
from orchestrator_dagster.testing.schemas import schema_instance

DEFAULT_TEXT = "This is the answer of the test server."


@dataclass(frozen=True)
class ToolUse:
    """A tool call in an answer. ``arguments`` is a map, or a text that is sent as it is (also when it is not JSON)."""

    name: str
    arguments: Mapping[str, Any] | str = field(default_factory=dict)
    id: str | None = None

    @property
    def arguments_text(self) -> str:
        """The arguments as they go over the wire."""
        return self.arguments if isinstance(self.arguments, str) else json.dumps(self.arguments)

    @property
    def value(self) -> Mapping[str, Any]:
        """The arguments as a map, for formats that have no text there; a text that is no JSON object is ``_text``."""
        if not isinstance(self.arguments, str):
            return self.arguments
        try:
            found = json.loads(self.arguments)
        except ValueError:
            found = None
        return found if isinstance(found, dict) else {"_text": self.arguments}


@dataclass(frozen=True)
class Tokens:
    """The usage that an answer reports, in tokens. ``cached`` is the part of ``input`` that came from a cache."""

    input: int
    output: int
    cached: int = 0


@dataclass(frozen=True)
class Answer:
    """A good answer (or one that is cut short, filtered or refused).

    Args:
        text: What the model says. None, without tool calls and refusal, means: made from the request, see
            :func:`completed`. An empty text is an empty answer.
        tool_calls: The tools it calls, one or several in parallel.
        finish_reason: Why it stopped; None for ``tool_calls`` where there are some, else ``stop``.
        refusal: The model's own words for not answering.
        usage: ``counted`` by words separated by blanks, ``absent``, or given.
        delay: Seconds to wait before it is sent.
        model: The model that the answer names; None for the one that was asked for.
    """

    text: str | None = None
    tool_calls: Sequence[ToolUse] = ()
    finish_reason: Literal["stop", "length", "tool_calls", "content_filter"] | None = None
    refusal: str | None = None
    usage: Tokens | Literal["counted", "absent"] = "counted"
    delay: float = 0.0
    model: str | None = None


@dataclass(frozen=True)
class Request:
    """A request as it arrived.

    Args:
        method: ``GET``, ``POST`` …
        path: With its query string.
        headers: Names in lower case; ``authorization`` is kept.
        body: The parsed JSON, None where there was none or it was no JSON.
        time: Seconds since the epoch (``time.time()``) when it was read.
        key: The key that was sent, None for none.
        model: The model asked for.
        prompt: The last user message's text.
        text: The text of all messages, for counting and matching.
        schema: The JSON schema asked for.
        tools: Names of the tools offered.
        stream: Whether the answer is asked for as a stream.
        images: The pictures that came with the messages, decoded.
        files: Uploaded files by the name of their form field.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any
    time: float
    key: str | None = None
    model: str = ""
    prompt: str = ""
    text: str = ""
    schema: Mapping[str, Any] | None = None
    tools: tuple[str, ...] = ()
    stream: bool = False
    images: tuple[bytes, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)


PlainReply = Union[Answer, Fault, str, Mapping[str, Any]]
Reply = Union[PlainReply, Callable[[Request], PlainReply]]
Match = Union[str, Callable[[Request], bool]]


@dataclass
class _Rule:
    matches: Callable[[Request], bool]
    replies: deque[Reply]

    def next(self) -> Reply:
        return self.replies.popleft() if len(self.replies) > 1 else self.replies[0]


class Script:
    """Which reply a request gets: that of the first rule that matches, else the next in line, else the default.

    A reply is an :class:`Answer`, a fault, a text, a map (sent as JSON text), or a callable that takes the
    :class:`Request` and gives one of these.
    """

    def __init__(self, replies: Sequence[Reply] = (), default: Reply | None = None) -> None:
        self._lock = threading.Lock()
        self._line: deque[Reply] = deque(replies)
        self._rules: list[_Rule] = []
        self._default: Reply = Answer() if default is None else default

    def then(self, *replies: Reply) -> None:
        """Put replies in line: each is given once, in this order."""
        with self._lock:
            self._line.extend(replies)

    def when(self, match: Match | None = None, *, model: str | None = None, reply: Reply | Sequence[Reply]) -> None:
        """Answer the requests that match.

        Args:
            match: A part of the last user message (case counts), or a predicate on the request; None for any.
            model: The exact name of the model asked for; None for any.
            reply: One reply for all of them, or several in order, of which the last is repeated.

        Raises:
            ValueError: Nothing to match is given, or no reply.
        """
        if match is None and model is None:
            raise ValueError("when() needs something to match: a part of the prompt, a predicate, or model=…")
        replies = deque(reply) if isinstance(reply, Sequence) and not isinstance(reply, str) else deque([reply])
        if not replies:
            raise ValueError("when() needs at least one reply")

        def matches(request: Request) -> bool:
            if model is not None and request.model != model:
                return False
            if match is None:
                return True
            return match in request.prompt if isinstance(match, str) else bool(match(request))

        with self._lock:
            self._rules.append(_Rule(matches, replies))

    def next(self, request: Request) -> Answer | Fault:
        """The reply to ``request``, ready to be sent. What the script's own callables raise is passed on."""
        with self._lock:
            rules = list(self._rules)
        rule = next((rule for rule in rules if rule.matches(request)), None)
        with self._lock:
            reply = rule.next() if rule else self._line.popleft() if self._line else self._default
        plain = reply if isinstance(reply, (Answer, Broken, ErrorStatus, str, Mapping)) else reply(request)
        return completed(plain, request)


def completed(reply: PlainReply, request: Request) -> Answer | Fault:
    """``reply`` with everything that was left open filled in from the request.

    A text or a map becomes an answer. An answer without any content gets an instance of the schema that was asked
    for, or :data:`DEFAULT_TEXT`.
    """
    if isinstance(reply, (Broken, ErrorStatus)):
        return reply
    if isinstance(reply, str):
        return Answer(text=reply)
    if isinstance(reply, Mapping):
        return Answer(text=json.dumps(reply))
    if reply.text is None and not reply.tool_calls and reply.refusal is None:
        text = DEFAULT_TEXT if request.schema is None else json.dumps(schema_instance(request.schema))
        return Answer(text, (), reply.finish_reason, None, reply.usage, reply.delay, reply.model)
    return reply


def tokens_of(answer: Answer, request: Request) -> Tokens | None:
    """The usage to report: as given, or counted by words, or None for none."""
    if isinstance(answer.usage, Tokens):
        return answer.usage
    if answer.usage == "absent":
        return None
    said = [answer.text or "", answer.refusal or "", *(call.arguments_text for call in answer.tool_calls)]
    return Tokens(input=len(request.text.split()), output=sum(len(part.split()) for part in said))
