"""A document becomes a :class:`Pipeline`: every problem of its shape is found in one go, with its place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from orchestrator_dagster.language.base import TAKEN_OUT
from orchestrator_dagster.language.diagnostics import Problems
from orchestrator_dagster.language.document import Document, MappingNode, ScalarNode, read_file, read_text
from orchestrator_dagster.language.older import rewrite
from orchestrator_dagster.language.pipeline import Pipeline
from orchestrator_dagster.language.shape_problems import place_of, report, spellings
from orchestrator_dagster.language.wording import described, faults

_ROUNDS = 50
_NAMING = frozenset(("id", "steps", "vars", "products", "inputs", "input_variables", "outputs"))

Place = tuple[Any, ...]


@dataclass
class Reading:
    """What reading a file gave: the pipeline as far as it can be understood (None when it cannot), and the problems.

    Args:
        document: The file as a tree.
        problems: What is wrong with it so far.
        pipeline: What the file says, without what is wrong.
        removed: Places of what was wrong and was left out of ``pipeline``.
        made_up_ids: Ids made up for steps that have none.
    """

    document: Document
    problems: Problems
    pipeline: Pipeline | None = None
    removed: list[Place] = field(default_factory=list)
    made_up_ids: set[str] = field(default_factory=set)

    @property
    def loose(self) -> bool:
        """Whether names may be missing that the file meant to give: then an unknown name is no problem of its own."""
        if self.made_up_ids:
            return True
        naming = {*_NAMING, "parameters"}
        return any(
            place[-1] in _NAMING
            or (len(place) == 1 and place[0] in naming)
            or (len(place) > 1 and place[-2] in _NAMING)
            for place in self.removed
            if place
        )

    def lost(self, place: Sequence[Any], *keys: str) -> bool:
        """Whether one of the keys at ``place``, or what they stand in, was wrong and left out."""
        places = [(*place, key) for key in keys] or [tuple(place)]
        return any(one[: len(gone)] == gone for gone in self.removed for one in places)


def read_pipeline(path: Path, file: str | None = None) -> Reading:
    """Read a pipeline file. ``file`` is its name in messages, default the path as given."""
    name = file or str(path)
    if path.suffix.lower() not in (".yaml", ".yml") and path.is_file():
        problems = Problems(name)
        problems.add("file-suffix", f'"{name}" is no pipeline file: its name must end in .yaml or .yml')
        return Reading(Document(name, "", None, path), problems)
    document, problems = read_file(path, name)
    return _read(document, problems)


def read_pipeline_text(text: str, file: str = "pipeline.yaml") -> Reading:
    """Read the text of a pipeline file."""
    return _read(*read_text(text, file))


def default_id(file: str) -> str:
    """The id of a pipeline whose file says none: the file's name, with what no id may have made ``_``."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", Path(file).stem).strip("_-")
    return stem if stem and stem[0].isalpha() else f"pipeline_{stem}".rstrip("_")


def _read(document: Document, problems: Problems) -> Reading:
    reading = Reading(document, problems)
    if document.root is None:
        return reading
    if not isinstance(document.root, MappingNode):
        problems.add(
            "not-a-map",
            "a pipeline file is a map with `id`, `steps` …",
            document.root.span,
            hint="`orchestrator init` writes a first pipeline",
        )
        return reading
    rewrite(document, problems, default_id(document.file))
    data = document.value()
    version = document.root.pairs.get("version")
    if version and isinstance(version[1], ScalarNode) and version[1].value is not None:
        data["version"] = version[1].text
    if data.get("id") is None:
        data["id"] = default_id(document.file)
    document.spellings = spellings()
    _Reader(data, reading).read()
    return reading


class _Reader:
    """Checks plain data against the models. What is wrong is reported and taken out, until the rest is right."""

    def __init__(self, data: dict[str, Any], reading: Reading) -> None:
        self.data = data
        self.reading = reading
        self.document = reading.document
        self.gone: list[Place] = []  # what one round has removed

    def read(self) -> None:
        self.name_steps(self.data.get("steps"), ("steps",))
        for _ in range(_ROUNDS):
            try:
                self.reading.pipeline = Pipeline.model_validate(self.data)
                return
            except ValidationError as error:
                self.gone.clear()
                found = faults(error.errors(include_url=False), lambda item: place_of(item, self.document))
                gone = [self.take_out(fault.place, fault.kind, report(fault, self.reading)) for fault in found]
                if not any(gone):
                    return

    def name_steps(self, steps: Any, path: Place) -> None:
        """Give steps without a usable id one of ours, so that the rest of them can be checked."""
        if not isinstance(steps, list):
            return
        for number, step in enumerate(steps):
            place = (*path, number)
            if not isinstance(step, dict):
                self.reading.problems.add(
                    "wrong-type",
                    f"a step is a map, found {described(step)}",
                    self.document.span(place),
                    hint="write `- id: name` and below it what the step does",
                )
                steps[number] = {"id": self.made_up_id()}
                continue
            if step.get("id") is None:
                self.reading.problems.add(
                    "missing-key",
                    "the step has no `id`",
                    self.document.span(place),
                    hint="give it one: templates and the Dagster UI know the step by it",
                )
                step["id"] = self.made_up_id()
            self.name_steps(step.get("steps"), (*place, "steps"))

    def made_up_id(self) -> str:
        """An id that no step of the file has."""
        number = len(self.reading.made_up_ids)
        while f"unnamed-{number}" in self.document.text or f"unnamed-{number}" in self.reading.made_up_ids:
            number += 1
        self.reading.made_up_ids.add(f"unnamed-{number}")
        return f"unnamed-{number}"

    def take_out(self, place: Place, kind: str, inside: Place | None) -> bool:
        """Remove the value that an error is about, or the nearest thing around it that can be removed.

        Args:
            place: Where the error is.
            kind: Its kind.
            inside: Where, below ``place``, the entry is that a validator refused.
        """
        target = (*place, *(inside or ()))
        if kind == "missing":
            if place == ("steps",):
                self.data["steps"] = [{"id": self.made_up_id()}]
                return True
            target = place[:-1]
        if any(target[: len(gone)] == gone for gone in self.gone):
            return True
        for end in range(len(target), 0, -1):
            if self.remove(target[:end], is_entry=bool(inside) and end == len(target)):
                self.gone.append(target[:end])
                if kind != "extra_forbidden" or place[-1] in ("inputs", "outputs"):
                    self.reading.removed.append(target[:end])
                return True
        return False

    def remove(self, place: Place, is_entry: bool) -> bool:
        """Remove what stands at ``place``; gives whether it could be."""
        owner: Any = self.data
        for part in place[:-1]:
            owner = _inner(owner, part)
        last = place[-1]
        if isinstance(owner, list):
            number = last if isinstance(last, int) else _entry(owner, last)
            if number is None or number >= len(owner) or owner[number] is TAKEN_OUT:
                return False
            if isinstance(last, str):
                if isinstance(owner[number], dict) and len(owner[number]) > 1:
                    del owner[number][last]
                else:
                    owner[number] = TAKEN_OUT
                return True
            if is_entry:
                owner[number] = TAKEN_OUT
            return is_entry
        if not isinstance(owner, dict) or str(last) not in owner:
            return False
        if last == "id" and place == ("id",):
            owner["id"] = "pipeline"
        elif last == "id" and len(place) > 2 and place[-3] == "steps":
            owner["id"] = self.made_up_id()
        elif place == ("steps",):
            owner["steps"] = [{"id": self.made_up_id()}]
        else:
            del owner[str(last)]
        return True


def _inner(owner: Any, part: Any) -> Any:
    """The value of a part of a place, None when there is none."""
    if isinstance(owner, dict):
        return owner.get(str(part))
    if isinstance(owner, list):
        if isinstance(part, int):
            return owner[part] if part < len(owner) else None
        number = _entry(owner, part)
        return owner[number][part] if number is not None and isinstance(owner[number], dict) else None
    return None


def _entry(entries: list[Any], name: str) -> int | None:
    """The number of the one-key map with this key, or of the bare name, in a list of them."""
    return next((n for n, one in enumerate(entries) if one == name or (isinstance(one, dict) and name in one)), None)
