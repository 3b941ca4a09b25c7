"""Answers of models that were accepted, kept as files, so that a call is not paid twice.

One JSON file is one question with its accepted answer. Below the store's folder::

    run/<root run id>/<key>.json     served in retries and re-executions of that run    (`cache: run`)
    always/<key>.json                served in every run                                (`cache: always`)

The key is a SHA-256 of what is asked and of whom, and for `run` also of where in the run it is asked. Neither prompts
nor keys of providers are stored. A question that took repairs is one file: the answer that was accepted in the end,
under the key of the *first* request, with the usage of all its calls. The first request is what a retry asks again; the
requests in between quote answers that were rejected, and no one is to be led back to these.

A file that cannot be read as a call of this format, half of one for example, counts as absent and is replaced by the
next answer. Files come into place whole and in one move, so threads and processes may share a store. Two that ask the
same question at the same moment may both pay; the later answer stays.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from orchestrator_dagster.errors import StorageError
from orchestrator_dagster.files.stored_files import open_folder, shown, write_whole
from orchestrator_dagster.models.client import Message, ModelAnswer, ModelReference, ModelRequest, Usage

if TYPE_CHECKING:
    from upath import UPath

    AnyPath = Union[Path, UPath]

#: Raised when the meaning of a file or of a key changes: what other versions wrote then counts as absent.
FORMAT = 1
#: The folders of the calls that count for one run, and of those that count in every run.
RUN, ALWAYS = "run", "always"
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}\Z")


@dataclass(frozen=True)
class CallKey:
    """Which question it is: ``digest`` in 64 hex digits; ``run`` is the run it counts for, None for every run."""

    digest: str
    run: str | None = None


@dataclass(frozen=True)
class StoredCall:
    """An accepted answer: its text, the model that gave it, and what all calls up to it took (``seconds`` too)."""

    text: str
    model: ModelReference
    usage: Usage
    seconds: float

    def answer(self) -> ModelAnswer:
        """The answer as a client gives it; it takes nothing now."""
        return ModelAnswer(self.text, self.model)


class CallStore:
    """The accepted answers in one folder, as they count for one run.

    Args:
        folder: A folder or a URL that fsspec knows; made when the first answer is stored.
        run: The root run: the first one of a chain of re-executions.
        root: Where a relative path starts, default the current folder.

    Raises:
        StorageError: The URL cannot be opened.

    Example:
        >>> store = CallStore("/var/lib/calls", "run-1")
        >>> asked = ModelRequest(ModelReference("openai", "gpt-5"), ())
        >>> store.key(asked, "report/draft") == store.key(asked, "report/judge")
        False
        >>> store.key(asked) == CallStore("/var/lib/calls", "run-2").key(asked)
        True
    """

    def __init__(self, folder: str | os.PathLike[str], run: str, root: Path | None = None) -> None:
        self.folder = open_folder(folder, root)
        self.run = run

    def key(self, request: ModelRequest, occurrence: str | None = None, address: str | None = None) -> CallKey:
        """The key of a question.

        Args:
            request: The first request. Its timeout does not count: it changes nothing about the answer.
            occurrence: Where in the run it is asked, for example ``report/each[3]/draft``; None for a question that
                counts wherever it is asked, in every run.
            address: Where the model is reached when it is not the usual place: a server for tests, or a proxy, does
                not answer for the provider.
        """
        asked = {
            "format": FORMAT,
            "model": str(request.model),
            "address": address,
            "messages": [_asked(message) for message in request.messages],
            "schema": request.schema,
            "tools": [[tool.name, tool.description, tool.parameters] for tool in request.tools],
            "temperature": None if request.temperature is None else float(request.temperature),
            "max_tokens": request.max_tokens,
            "settings": request.settings,
            "occurrence": None if occurrence is None else [self.run, occurrence],
        }
        text = json.dumps(_canonical(asked), sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(text.encode("ascii")).hexdigest()
        return CallKey(digest, None if occurrence is None else self.run)

    def get(self, key: CallKey) -> StoredCall | None:
        """The accepted answer to a question, None when there is none.

        Raises:
            StorageError: The store cannot be read.
        """
        path = self._path(key)
        try:
            data = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except Exception as error:  # each file system has errors of its own
            raise StorageError(f'the call store "{shown(self.folder)}" cannot be read: {_said(error)}') from None
        try:
            return _read(json.loads(data), key)
        except (ValueError, KeyError, TypeError):
            return None

    def put(
        self, key: CallKey, call: StoredCall, occurrence: str = "", has_secret: Callable[[Any], bool] | None = None
    ) -> bool:
        """Store an accepted answer.

        Args:
            key: Of the first request.
            call: The answer.
            occurrence: Where it was asked, for people who look at the file.
            has_secret: Tells whether a JSON value holds a secret. Such an answer is not stored: without the secret it
                would be another answer, and with it the secret would be in a file.

        Returns:
            Whether it was stored.

        Raises:
            StorageError: The store cannot be written.
        """
        document = {
            "format": FORMAT,
            "key": key.digest,
            "occurrence": occurrence,
            "stored_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "model": asdict(call.model),
            "text": call.text,
            "usage": asdict(call.usage),
            "seconds": round(call.seconds, 3),
        }
        if has_secret is not None and has_secret(document):
            return False
        try:
            write_whole(self._path(key), json.dumps(document, indent=1))
        except Exception as error:  # each file system has errors of its own
            raise StorageError(f'the call store "{shown(self.folder)}" cannot be written: {_said(error)}') from None
        return True

    def _path(self, key: CallKey) -> AnyPath:
        if key.run is None:
            return self.folder / ALWAYS / f"{key.digest}.json"
        # Dagster's run ids are names of folders as they are.
        plain = _PLAIN_NAME.match(key.run)
        name = key.run if plain else hashlib.sha256(key.run.encode("utf-8", "surrogatepass")).hexdigest()
        return self.folder / RUN / name / f"{key.digest}.json"


def _read(document: Any, key: CallKey) -> StoredCall:
    """The call in a file's JSON.

    Raises:
        ValueError: It is none of this format, or answers another question. KeyError and TypeError say the same.
    """
    if document["format"] != FORMAT or document["key"] != key.digest:
        raise ValueError("another format or question")
    model, usage = ModelReference(**document["model"]), Usage(**document["usage"])
    numbers = [usage.calls, usage.input_tokens, usage.output_tokens, usage.cached_tokens]
    if not all(isinstance(text, str) for text in (document["text"], model.provider, model.name)) or not all(
        isinstance(number, int) for number in numbers
    ):
        raise ValueError("a value of another type")
    if usage.cost is not None and not isinstance(usage.cost, (int, float)):
        raise ValueError("a cost that is no number")
    return StoredCall(document["text"], model, usage, float(document["seconds"]))


def _asked(message: Message) -> dict[str, Any]:
    """A message as it counts for the key; one without pictures counts as it did before there were any."""
    fields = asdict(message)
    images = fields.pop("images")
    return {**fields, "images": [hashlib.sha256(one).hexdigest() for one in images]} if images else fields


def _canonical(value: Any) -> Any:
    """A value in one JSON form, whatever classes of maps and lists it came in."""
    if isinstance(value, Mapping):
        return {str(name): _canonical(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_canonical(item) for item in value]
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    return [type(value).__name__, str(value)]  # a date is not the text that looks like it


def _said(error: Exception) -> str:
    return (error.strerror or type(error).__name__) if isinstance(error, OSError) else type(error).__name__
