"""A document becomes a :class:`Pipeline`: every problem of its shape is found in one go, with its place."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, ValidationError

from orchestrator_dagster.language.base import Model
from orchestrator_dagster.language.diagnostics import Problems, Span
from orchestrator_dagster.language.document import Document, MappingNode, ScalarNode, read_file, read_text
from orchestrator_dagster.language.pipeline import Pipeline
from orchestrator_dagster.text import nearest_name

_ROUNDS = 8
_BROKEN = "broken-step-"


@dataclass
class Reading:
    """What reading a file gave: the pipeline as far as it can be understood (None when it cannot), and the problems.

    ``unnamed_steps`` says that a step has no usable id, so that an unknown name may well be this step's.
    """

    document: Document
    problems: Problems
    pipeline: Pipeline | None = None
    unnamed_steps: bool = field(default=False)


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
    return stem if stem and stem[0].isalpha() else f"pipeline_{stem}"


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
    data = document.value()
    version = document.root.pairs.get("version")
    if version and isinstance(version[1], ScalarNode) and version[1].value is not None:
        data["version"] = version[1].text
    if data.get("id") is None:
        data["id"] = default_id(document.file)
    _name_steps(data, reading)
    for _ in range(_ROUNDS):
        try:
            reading.pipeline = Pipeline.model_validate(data)
            break
        except ValidationError as error:
            # What is wrong is reported and taken out, so that the rest can be checked in the same go.
            for item in sorted(error.errors(include_url=False), key=lambda found: -len(found["loc"])):
                _report(item, reading)
                _take_out(data, item)
    return reading


def _name_steps(data: dict[str, Any], reading: Reading) -> None:
    """Give steps without a usable id one of ours, so that the rest of them can be checked."""

    def visit(steps: Any, path: tuple[str | int, ...]) -> None:
        if not isinstance(steps, list):
            return
        for number, step in enumerate(steps):
            place = (*path, number)
            if not isinstance(step, dict):
                reading.problems.add(
                    "wrong-type",
                    f"a step is a map, found {_kind(step)}",
                    reading.document.span(place),
                    hint="write `- id: name` and below it what the step does",
                )
                steps[number] = {"id": f"{_BROKEN}{number}", "action": "echo"}
                reading.unnamed_steps = True
                continue
            if step.get("id") is None:
                reading.problems.add(
                    "missing-key",
                    "the step has no `id`",
                    reading.document.span(place),
                    hint="give it one: templates and the Dagster UI know the step by it",
                )
                step["id"] = f"{_BROKEN}{number}"
                reading.unnamed_steps = True
            visit(step.get("steps"), (*place, "steps"))

    visit(data.get("steps"), ("steps",))


def is_unnamed(step_id: str) -> bool:
    """Whether the id was made up by the reader for a step that has none."""
    return step_id.startswith(_BROKEN)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, str):
        return f'the text "{value[:40]}"'
    if isinstance(value, list):
        return "a list"
    return "nothing" if value is None else "a map"


def _report(item: Mapping[str, Any], reading: Reading) -> None:
    """One Pydantic error as a diagnostic."""
    document, problems = reading.document, reading.problems
    loc = tuple(part for part in item["loc"] if not _is_tag(part))
    kind, context = item["type"], item.get("ctx", {})
    step = _step_of(loc, document)
    model = _model_at(loc[:-1])
    if kind == "extra_forbidden":
        key = str(loc[-1])
        if key.startswith("x-"):
            return
        known = _keys(model) if model else []
        where = "in a step" if model and model.__name__ == "Step" else "in the header" if len(loc) == 1 else "here"
        near = nearest_name(key, known)
        hint = None if near else f"known keys: {', '.join(known[:14])}{' …' if len(known) > 14 else ''}"
        problems.add(
            "unknown-key", f'there is no key "{key}" {where}', document.key_span(loc), step=step, suggestion=near, hint=hint
        )
        return
    if kind == "missing":
        name = str(loc[-1])
        problems.add(
            "missing-key",
            f"the key `{name}` is missing",
            document.span(loc[:-1]) if len(loc) > 1 else Span(),
            step=step,
            hint=_missing_hint(name),
        )
        return
    span = document.span(loc)
    if kind == "orchestrator":
        problems.add(
            context["code"], context["text"], span, step=step, suggestion=context["suggestion"], hint=context["hint"]
        )
        return
    place = ".".join(str(part) for part in loc if not isinstance(part, int) and part != "steps") or str(loc[-1])
    code = "wrong-value" if kind.startswith(("literal", "greater", "less", "too_", "enum")) else "wrong-type"
    suggestion = None
    message = str(item["msg"]).replace("Input should be", "expected").replace("a valid ", "a ")
    if kind == "literal_error" and isinstance(item["input"], str):
        options = re.findall(r"'([^']+)'", str(context.get("expected", "")))
        suggestion = nearest_name(item["input"], options)
    if kind == "too_short" and loc == ("steps",):
        message = "a pipeline has at least one step"
    hint = 'put it in quotes if it is meant as text: "true"' if isinstance(item["input"], bool) else None
    problems.add(
        code, f"`{place}`: {_lower_first(message)}, found {_kind(item['input'])}", span, step=step, suggestion=suggestion, hint=hint
    )


def _missing_hint(name: str) -> str | None:
    return {
        "steps": "write `steps:` and below it `- id: first` …",
        "path": "write `path: report.md`",
        "cron": 'write `cron: "0 6 * * *"`',
        "max": "write `max: 3`",
    }.get(name)


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


def _is_tag(part: Any) -> bool:
    """Pydantic puts the tried members of a union into the place of an error: they are no keys."""
    return isinstance(part, str) and (part in _TAGS or "[" in part or part.startswith("function-"))


_TAGS = frozenset(("str", "int", "float", "bool", "literal", "dict", "list", "tuple", "lax-or-strict"))


def _step_of(loc: tuple[Any, ...], document: Document) -> str | None:
    """The id of the innermost step that a place is in."""
    found = None
    for number in range(len(loc) - 1):
        if loc[number] == "steps" and isinstance(loc[number + 1], int):
            node, _ = document.locate((*loc[: number + 2], "id"))
            found = node.text if isinstance(node, ScalarNode) else found
    return found


def _take_out(data: Any, item: Mapping[str, Any]) -> None:
    """Remove the value that an error is about, or the nearest thing around it that can be removed."""
    loc = [part for part in item["loc"] if not _is_tag(part)]
    if item["type"] == "missing":
        loc = loc[:-1]
    owner: Any = data
    removable: tuple[dict[str, Any], str] | None = None
    for part in loc:
        if isinstance(owner, dict) and str(part) in owner:
            if not (part == "steps" and isinstance(owner[part], list) and part != loc[-1]):
                removable = (owner, str(part))
            owner = owner[str(part)]
        elif isinstance(owner, list) and isinstance(part, int) and part < len(owner):
            owner = owner[part]
        elif isinstance(owner, list):
            match = next((one for one in owner if isinstance(one, dict) and part in one), None)
            if match is None:
                break
            removable, owner = (match, str(part)), match[str(part)]
            if len(match) == 1:
                owner_list = _parent(data, match)
                if owner_list is not None:
                    owner_list[:] = [one for one in owner_list if one is not match]
                    return
        else:
            break
    if removable is None:
        return
    holder, key = removable
    if key == "id":
        holder[key] = f"{_BROKEN}0" if "steps" not in holder else "pipeline"
    elif key == "steps" and holder is data:
        holder[key] = [{"id": f"{_BROKEN}0", "action": "echo"}]
    else:
        del holder[key]


def _parent(data: Any, child: Any) -> list[Any] | None:
    """The list that ``child`` stands in."""
    if isinstance(data, list):
        if any(item is child for item in data):
            return data
        return next((found for item in data if (found := _parent(item, child)) is not None), None)
    if isinstance(data, dict):
        return next((found for item in data.values() if (found := _parent(item, child)) is not None), None)
    return None


def _keys(model: type[Model]) -> list[str]:
    """Every key that a model takes, with its other spellings."""
    names: list[str] = []
    for name, info in model.model_fields.items():
        alias = info.validation_alias
        if isinstance(alias, AliasChoices):
            names.extend(str(choice) for choice in alias.choices)
        else:
            names.append(str(alias or info.alias or name))
    return names


def _model_at(loc: tuple[Any, ...]) -> type[Model] | None:
    """The model that the map at ``loc`` is read into, None when it is none of ours."""
    model: type[Model] | None = Pipeline
    inside = False  # whether the next part is a name or number inside a container of models
    for part in loc:
        if inside:
            inside = False
            continue
        if model is None:
            return None
        info = next((i for n, i in model.model_fields.items() if part in (n, *_spellings(i, n))), None)
        if info is None:
            return None
        model, inside = _inner(info.annotation)
    return None if inside else model


def _spellings(info: Any, name: str) -> list[str]:
    alias = info.validation_alias
    return [str(choice) for choice in alias.choices] if isinstance(alias, AliasChoices) else [str(alias or info.alias or name)]


def _inner(annotation: Any) -> tuple[type[Model] | None, bool]:
    """The model inside an annotation, and whether it stands in a list or map."""
    origin = typing.get_origin(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return annotation, False
    if origin is typing.Annotated:
        return _inner(typing.get_args(annotation)[0])
    for part in typing.get_args(annotation):
        model, inside = _inner(part)
        if model:
            union = origin in (typing.Union, types.UnionType)
            return model, inside if union else True
    return None, False
