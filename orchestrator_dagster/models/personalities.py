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
_SUFFIXES = (".md", ".txt", ".yaml", ".yml")
_DEEPEST = 8
_LARGEST = 1_000_000  # bytes


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


def known_personalities(folders: Sequence[Path] = ()) -> list[str]:
    """Every name there is, sorted: the built-in ones, and the files of these folders."""
    files = (path for folder in folders if folder.is_dir() for path in folder.iterdir())
    own = {path.stem for path in files if path.suffix in _SUFFIXES and _NAME.match(path.stem) and path.is_file()}
    return sorted({*_built_in(), *own})


def _find(name: str, folders: tuple[Path, ...], seen: tuple[str, ...]) -> Personality:
    if name in seen or len(seen) > _DEEPEST:
        raise PersonalityError(
            f"personalities extend each other in a circle: {' → '.join((*seen, name))}"
            if name in seen
            else f"more than {_DEEPEST} personalities extend each other: {' → '.join(seen)}"
        )
    for folder in folders:
        for suffix in _SUFFIXES:
            path = folder / f"{name}{suffix}"
            if path.is_file():
                return _read(path, name, folders, seen)
    entry = _built_in().get(name)
    if entry is None:
        known = known_personalities(folders)
        by = f', which "{seen[-1]}" extends' if seen else ""
        raise PersonalityError(
            f'there is no personality "{name}"{by}{nearest(name, known)}',
            hint=f"choose one of {', '.join(known)}, or write the system prompt itself",
        )
    return _make(name, entry, "built-in", folders, seen)


def _read(path: Path, name: str, folders: tuple[Path, ...], seen: tuple[str, ...]) -> Personality:
    text = _text(path)
    if path.suffix in (".md", ".txt"):
        if not text.strip():
            raise PersonalityError(f'the personality file "{path}" is empty', hint="write the system prompt into it")
        return Personality(name, text.strip(), source=str(path))
    try:
        entry = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise PersonalityError(
            f'the personality file "{path}" is no YAML{_where(error)}: {getattr(error, "problem", None) or error}',
            hint="write `system_prompt: |` and below it, indented, the text; or a .md file with the text alone",
        ) from None
    _check(path, entry)
    return _make(name, entry, str(path), folders, seen)


def _text(path: Path) -> str:
    """The text of a file that stands in its folder's project, or at home where the folder does."""
    home = path.parent == home_folder()
    around = (Path.home() if home else path.parent.parent).resolve()
    try:
        if not path.resolve().is_relative_to(around):
            raise PersonalityError(
                f'the personality file "{path}" is a link that leaves "{around}"', hint="put a copy in its place"
            )
        if path.stat().st_size > _LARGEST:
            raise PersonalityError(
                f'the personality file "{path}" has more than {_LARGEST:,} bytes', hint="a system prompt is shorter"
            )
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise PersonalityError(
            f'the personality file "{path}" is no UTF-8 text (byte {error.start})', hint="save it as UTF-8"
        ) from None
    except OSError as error:
        raise PersonalityError(
            f'the personality file "{path}" cannot be read: {error.strerror or error}', hint="make it readable"
        ) from None


def _where(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f" (line {mark.line + 1}, column {mark.column + 1})" if mark is not None else ""


def _check(path: Path, entry: Any) -> None:
    """Refuse a map that is no personality.

    Raises:
        PersonalityError: With the first thing that is wrong.
    """
    usual = "write `system_prompt: |` …, or `extends: name`"
    if not isinstance(entry, dict):
        raise PersonalityError(f'the personality file "{path}" is no map: it has no `system_prompt`', hint=usual)
    unknown = [str(key) for key in entry if key not in _KEYS]
    if unknown:
        raise PersonalityError(
            f'the personality file "{path}" has the unknown key "{unknown[0]}"{nearest(unknown[0], _KEYS)}',
            hint=f"its keys are {', '.join(_KEYS)}",
        )
    if not (entry.get("system_prompt") or entry.get("extends")):
        raise PersonalityError(f'the personality file "{path}" has no `system_prompt`', hint=usual)
    for key in ("system_prompt", "style", "extends", "description"):
        if entry.get(key) is not None and not isinstance(entry[key], str):
            raise PersonalityError(f'the personality file "{path}": `{key}` must be a text', hint="put it in quotes")
    if entry.get("extends") and not _NAME.match(entry["extends"]):
        raise PersonalityError(
            f'the personality file "{path}" extends "{entry["extends"]}", which is no name',
            hint="`extends` names a personality: letters, digits, _ and -",
        )
    temperature = entry.get("temperature")
    number = isinstance(temperature, (int, float)) and not isinstance(temperature, bool)
    if temperature is not None and not (number and 0 <= temperature <= 2):
        raise PersonalityError(
            f'the personality file "{path}": `temperature` is {temperature!r}, expected a number from 0 to 2',
            hint="write for example `temperature: 0.2`",
        )


def _make(
    name: str, entry: Mapping[str, Any], source: str, folders: tuple[Path, ...], seen: tuple[str, ...]
) -> Personality:
    base = _find(entry["extends"], folders, (*seen, name)) if entry.get("extends") else None
    style = f"Style: {entry['style']}" if entry.get("style") else ""
    parts = [base.system_prompt if base else "", str(entry.get("system_prompt") or "").strip(), style]
    temperature = entry.get("temperature", base.temperature if base else None)
    return Personality(name, "\n\n".join(part for part in parts if part), temperature, source)


@functools.lru_cache(maxsize=1)
def _built_in() -> dict[str, Any]:
    text = files("orchestrator_dagster.models").joinpath("personalities.yaml").read_text(encoding="utf-8")
    entries: dict[str, Any] = yaml.safe_load(text)
    return entries
