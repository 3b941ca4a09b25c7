"""Images and audio of OpenAI's API, as the model server speaks it. The script answers them like any other call.

An image is a small PNG whose colour comes from the prompt, speech is a short silence, a transcript is the text of the
answer.
"""

from __future__ import annotations

import base64
import email.parser
import email.policy
import hashlib
import io
import struct
import wave
import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from orchestrator_dagster.testing.script import Answer, Request, tokens_of
from orchestrator_dagster.testing.wire import WireError

IMAGES, TRANSCRIPTIONS, SPEECH = "/v1/images/generations", "/v1/audio/transcriptions", "/v1/audio/speech"
MEDIA = (IMAGES, TRANSCRIPTIONS, SPEECH)
_CREATED = 1_700_000_000
_SIDE = 16  # pixels


def form_of(raw: bytes, content_type: str) -> tuple[dict[str, str], dict[str, bytes]]:
    """The fields and the files of a ``multipart/form-data`` body."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1")
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + raw)
    fields: dict[str, str] = {}
    files: dict[str, bytes] = {}
    for part in message.iter_parts() if message.is_multipart() else ():
        name = str(part.get_param("name", "", header="content-disposition"))
        content = part.get_payload(decode=True)
        data = content if isinstance(content, bytes) else b""
        if part.get_filename() is None:
            fields[name] = data.decode("utf-8", "replace")
        else:
            files[name], fields[name] = data, str(part.get_filename())
    return fields, files


def read_media(request: Request) -> Request:
    """The request with model and prompt: the text of an image or of speech, the file name of a recording."""
    body: Mapping[str, Any] = request.body
    prompt = next((str(body[name]) for name in ("prompt", "input", "file") if body.get(name)), "")
    return replace(request, model=str(body.get("model", "")), prompt=prompt, text=prompt)


def check_media(request: Request) -> None:
    """Refuse a request without its prompt, input or file."""
    path = request.path.partition("?")[0].rstrip("/")
    name = {IMAGES: "prompt", TRANSCRIPTIONS: "file", SPEECH: "input"}[path]
    if not request.body.get(name):
        raise WireError(f"Missing required parameter: '{name}'.")


def media_answer(request: Request, answer: Answer) -> Mapping[str, Any] | bytes:
    """What the path of the request gives."""
    path = request.path.partition("?")[0].rstrip("/")
    if path == SPEECH:
        return silence()
    if path == TRANSCRIPTIONS:
        tokens = tokens_of(answer, request)
        body: dict[str, Any] = {"text": answer.text or ""}
        if tokens is not None:
            total = tokens.input + tokens.output
            body["usage"] = {"type": "tokens", "input_tokens": tokens.input, "output_tokens": tokens.output}
            body["usage"] |= {
                "total_tokens": total,
                "input_token_details": {"text_tokens": 0, "audio_tokens": tokens.input},
            }
        return body
    count = int(request.body.get("n") or 1)
    pictures = [base64.b64encode(picture(f"{request.prompt}{n or ''}")).decode() for n in range(count)]
    made: dict[str, Any] = {"created": _CREATED, "data": [{"b64_json": one} for one in pictures]}
    tokens = tokens_of(answer, request)
    if tokens is not None:
        made["usage"] = {
            "input_tokens": tokens.input,
            "output_tokens": tokens.output,
            "total_tokens": tokens.input + tokens.output,
            "input_tokens_details": {"text_tokens": tokens.input, "image_tokens": 0},
        }
    return made


def picture(text: str) -> bytes:
    """A PNG of one colour, the same for the same text."""
    colour = hashlib.sha256(text.encode()).digest()[:3]
    rows = b"".join(b"\0" + colour * _SIDE for _ in range(_SIDE))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def silence() -> bytes:
    """A tenth of a second of nothing, as WAV."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(b"\0\0" * 800)
    return file.getvalue()
