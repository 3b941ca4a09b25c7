"""Tools of this project. Every `@tool` function and every `Tool` in this file can be named in a pipeline."""

import re
from typing import Annotated

from pydantic import BaseModel, Field

from orchestrator_dagster import Tool, ToolContext, tool


class Reading(BaseModel):
    """How long a text is to read. ``minutes`` counts 200 words a minute."""

    words: int
    sentences: int
    minutes: float


@tool
def reading_time(text: Annotated[str, Field(description="The text.")]) -> Reading:
    """Tell how long a text takes to read."""
    words = len(text.split())
    return Reading(words=words, sentences=len(re.findall(r"[.!?](?:\s|$)", text)), minutes=round(words / 200, 2))


headlines = Tool("headlines", summary="Reads and numbers the headlines of Markdown texts.")


@headlines.action(default=True)
def outline(
    context: ToolContext,
    path: Annotated[str, Field(description="A Markdown file of the workspace.")],
    deepest: Annotated[int, Field(description="Levels that are listed.", ge=1, le=6)] = 6,
) -> dict[str, list[dict[str, str | int]]]:
    """List the headlines of a Markdown file with their level."""
    text = context.workspace.read_text(path)
    found = re.findall(r"^(#+) +(.+)$", text, re.MULTILINE)
    context.log(f"{path}: {len(found)} headlines")
    return {"headlines": [{"level": len(signs), "title": title} for signs, title in found if len(signs) <= deepest]}
