"""Personalities: system prompts with a name. Looked up in the project, then at home, then the built-in ones."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from orchestrator_dagster.errors import PersonalityError
from orchestrator_dagster.text import nearest

DEFAULT = "standard"
_NAME = re.compile(r"[A-Za-z0-9_-]+\Z")
_KEYS = ("system_prompt", "style", "temperature", "extends", "description")
_DEEPEST = 8


@dataclass(frozen=True)
class Personality:
    """A system prompt, the temperature that goes with it (None: the provider's), and where it was found."""

    name: str
    system_prompt: str
    temperature: float | None = None
    source: str = "built-in"


def home_folder() -> Path:
    """Where a person's own personalities are."""
    return Path.home() / ".orchestrator" / "personalities"


def find_personality(value: str | None, folders: Sequence[Path] = ()) -> Personality:
    """The personality of that name; a text that is no name is the system prompt itself.

    Args:
        value: A name (letters, digits, ``_``, ``-``) or a system prompt; None for the default.
        folders: Where files are looked up, in order, before the built-in ones.

    Raises:
        PersonalityError: The name is nowhere, its file cannot be read, or personalities extend each other in a circle.
    """
    value = (value or DEFAULT).strip()
    if not _NAME.match(value):
        return Personality("inline", value, source="inline")
    return _find(value, tuple(folders), ())


def _find(name: str, folders: tuple[Path, ...], seen: tuple[str, ...]) -> Personality:
    if name in seen or len(seen) > _DEEPEST:
        raise PersonalityError(f"personalities extend each other in a circle: {' → '.join((*seen, name))}")
    for folder in folders:
        for suffix in (".md", ".txt", ".yaml", ".yml"):
            path = folder / f"{name}{suffix}"
            if path.is_file():
                return _read(path, name, folders, seen)
    entry = _built_in().get(name)
    if entry is None:
        known = {*_built_in(), *(path.stem for folder in folders if folder.is_dir() for path in folder.iterdir())}
        raise PersonalityError(
            f'there is no personality "{name}"{nearest(name, known)}',
            hint=f"choose one of {', '.join(sorted(known))}, or write the system prompt itself",
        )
    return _make(name, entry, "built-in", folders, seen)


def _read(path: Path, name: str, folders: tuple[Path, ...], seen: tuple[str, ...]) -> Personality:
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix in (".md", ".txt"):
            return Personality(name, text.strip(), source=str(path))
        entry = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise PersonalityError(f'the personality file "{path}" cannot be read: {error}') from None
    if not isinstance(entry, dict) or not isinstance(entry.get("system_prompt"), str):
        raise PersonalityError(
            f'the personality file "{path}" has no `system_prompt`', hint="write `system_prompt: |` …"
        )
    unknown = [key for key in entry if key not in _KEYS]
    if unknown:
        raise PersonalityError(
            f'the personality file "{path}" has the unknown key "{unknown[0]}"{nearest(unknown[0], _KEYS)}',
            hint=f"its keys are {', '.join(_KEYS)}",
        )
    return _make(name, entry, str(path), folders, seen)


def _make(
    name: str, entry: Mapping[str, Any], source: str, folders: tuple[Path, ...], seen: tuple[str, ...]
) -> Personality:
    base = _find(entry["extends"], folders, (*seen, name)) if entry.get("extends") else None
    style = f"Style: {entry['style']}" if entry.get("style") else ""
    parts = [base.system_prompt if base else "", str(entry["system_prompt"]).strip(), style]
    temperature = entry.get("temperature", base.temperature if base else None)
    return Personality(name, "\n\n".join(part for part in parts if part), temperature, source)


@functools.lru_cache(maxsize=1)
def _built_in() -> dict[str, Any]:
    text = files("orchestrator_dagster.models").joinpath("personalities.yaml").read_text(encoding="utf-8")
    entries: dict[str, Any] = yaml.safe_load(text)
    return entries
