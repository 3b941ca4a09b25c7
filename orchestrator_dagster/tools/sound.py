"""The tool ``audio_processing``: the words of a recording, and a text as speech. It changes no recordings."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated

from pydantic import BaseModel, Field

from orchestrator_dagster.errors import ParametersError, ToolError
from orchestrator_dagster.tools.model_access import ModelAccess
from orchestrator_dagster.tools.tool import Tool, ToolContext

audio_processing = Tool(
    "audio_processing", summary="Has models write down what is said in audio files, or speak a text.", uses_models=True
)

#: What the models that transcribe read (platform.openai.com/docs/guides/speech-to-text).
_READ = frozenset((".flac", ".m4a", ".mp3", ".mp4", ".mpeg", ".mpga", ".ogg", ".wav", ".webm"))
_SPOKEN = frozenset((".aac", ".flac", ".mp3", ".opus", ".pcm", ".wav"))


class Transcript(BaseModel):
    """The words of a recording. ``cost`` is in US dollars, null when the price is unknown."""

    text: str
    path: str
    words: int
    model: str
    tokens: int
    cost: float | None


class Spoken(BaseModel):
    """A file of speech; its size in bytes."""

    path: str
    size: int
    model: str
    cost: float | None


@audio_processing.action(aliases=("transcription", "speech_to_text"), default=True)
def transcribe(
    context: ToolContext,
    audio: Annotated[str, Field(description="Path of an audio file: mp3, wav, flac, ogg, m4a, mp4, webm.")],
    language: Annotated[str | None, Field(description="Its language as ISO 639-1, such as en, where known.")] = None,
    prompt: Annotated[str | None, Field(description="Names and words that occur in it.")] = None,
) -> Transcript:
    """Write down what is said in a recording."""
    name = PurePosixPath(audio).name
    if PurePosixPath(name).suffix.lower() not in _READ:
        raise ParametersError(
            f'"{audio}" is none of the formats that models take: {", ".join(sorted(_READ))}',
            hint="convert the file before, outside of the pipeline or in a `terminal` step",
        )
    settings = {name: value for name, value in (("language", language), ("prompt", prompt)) if value is not None}
    reply = _models(context).transcribe(name, context.workspace.read_bytes(audio), settings=settings)
    return Transcript(
        text=reply.text,
        path=audio,
        words=len(reply.text.split()),
        model=reply.model,
        tokens=reply.tokens,
        cost=reply.cost,
    )


@audio_processing.action(aliases=("text_to_speech", "say"))
def speak(
    context: ToolContext,
    text: Annotated[str, Field(min_length=1, description="What is said.")],
    path: Annotated[str, Field(description="The file; its suffix is the format: mp3, wav, flac, aac, opus.")],
    voice: Annotated[str, Field(description="A voice that the model has.")] = "alloy",
    speed: Annotated[float | None, Field(gt=0, le=4, description="1 is the usual speed.")] = None,
) -> Spoken:
    """Speak a text into an audio file."""
    suffix = PurePosixPath(path).suffix.lower()
    if suffix not in _SPOKEN:
        raise ParametersError(
            f'"{path}" has no suffix of a format that models speak in: {", ".join(sorted(_SPOKEN))}',
            hint="write for example speech.mp3",
        )
    context.workspace.resolve(path)  # a path that may not be written is said before anything is paid
    settings = {"voice": voice, "response_format": suffix[1:], **({} if speed is None else {"speed": speed})}
    reply = _models(context).speak(text, settings=settings)
    written = context.workspace.write(path, reply.files[0])
    return Spoken(path=context.workspace.relative(written.path), size=written.bytes, model=reply.model, cost=reply.cost)


def _models(context: ToolContext) -> ModelAccess:
    if context.models is None:
        raise ToolError("there are no models here", hint="call this tool from a step of a pipeline", permanent=True)
    return context.models
