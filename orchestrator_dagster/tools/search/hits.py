"""What a search gives, whatever has searched."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

from pydantic import BaseModel

_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,300}>")


class Hit(BaseModel):
    """One result. ``url`` is a path of the workspace when a folder was searched; ``score`` null when there is none."""

    title: str
    url: str
    snippet: str
    score: float | None = None


@dataclass(frozen=True)
class Found:
    """The results that were asked for, best first, and how many there are in all."""

    hits: tuple[Hit, ...]
    total: int


def plain(text: str, longest: int = 1000) -> str:
    """A title or snippet as one line of text: services put tags and entities into theirs.

    >>> plain("All <strong>beans</strong> &amp; peas")
    'All beans & peas'
    """
    line = " ".join(html.unescape(_TAG.sub("", text)).split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"
