"""What ``models.yaml`` may say, and reading it with every problem at its place, as a pipeline file is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from orchestrator_dagster.language.base import Integer, Model, Names, Number, problem
from orchestrator_dagster.language.diagnostics import Problems, Span, lines_of
from orchestrator_dagster.language.document import Document, MappingNode, Node, ScalarNode, SequenceNode, read_file
from orchestrator_dagster.language.settings import usual_words
from orchestrator_dagster.language.wording import Fault, described, faults, path_text
from orchestrator_dagster.model_words import CAPABILITIES, EXPERTISE, billions, capability, expertise
from orchestrator_dagster.models.references import BUILTIN, nearest_provider, provider_of
from orchestrator_dagster.models.user_models import OWN, UserModel
from orchestrator_dagster.text import nearest_name

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}\Z")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_URL = re.compile(r"https?://[^\s/?#@]+(?::\d+)?(?:/[^\s?#]*)?\Z")
_SECRET = re.compile(r"key|token|secret|passw", re.IGNORECASE)
_MILLION = 1_000_000  # prices are written per million tokens, as providers do

Place = tuple[Any, ...]


def _key(value: Any) -> Any:
    """The name of the variable in ``env:NAME``; a literal key is refused, and not repeated in the message."""
    name = value.removeprefix("env:").strip() if isinstance(value, str) else ""
    if not isinstance(value, str) or not value.startswith("env:") or not _VARIABLE.match(name):
        raise problem(
            "wrong-value",
            "`api_key` names the environment variable that has the key, it never is the key itself",
            hint="write `api_key: env:MY_SERVER_KEY`, and set that variable where pipelines run",
        )
    return name


class OwnModel(Model):
    """One model of one's own."""

    provider: str = Field(
        "openai", description="Whose protocol its server speaks, as litellm calls it; `openai` fits most servers."
    )
    model: str = Field(..., min_length=1, description="The model's name at its server.")
    base_url: str | None = Field(None, description="Where the server is, for example `http://127.0.0.1:8000/v1`.")
    api_key: Annotated[str | None, BeforeValidator(_key)] = Field(
        None, description="`env:NAME`: the environment variable with the key."
    )
    input_price: Number | None = Field(None, ge=0, description="US dollars per million tokens of the prompt.")
    output_price: Number | None = Field(None, ge=0, description="US dollars per million tokens of the answer.")
    context: Integer | None = Field(None, gt=0, description="Most tokens of a prompt.")
    max_output: Integer | None = Field(None, gt=0, description="Most tokens of an answer.")
    capabilities: Names | None = Field(None, description=f"What it can do: {', '.join(CAPABILITIES)}.")
    quality: Number | None = Field(None, gt=0, le=3000, description="An Elo figure on the catalogue's scale.")
    size: str | None = Field(None, description="Parameters, such as `70b`.")
    expertise: Names = Field((), description=f"What it is good at: {', '.join(EXPERTISE)}.")

    @field_validator("provider")
    @classmethod
    def _provider(cls, value: str) -> str:
        provider = provider_of(value)
        if provider is None or provider in (BUILTIN, OWN):
            raise problem(
                "unknown-model",
                f'litellm knows no provider "{value}"',
                suggestion=nearest_provider(value),
                hint="remove it, or write `openai`, when the server speaks OpenAI's protocol, as most do",
            )
        return provider

    @field_validator("base_url")
    @classmethod
    def _url(cls, value: str | None) -> str | None:
        if value is not None and not _URL.match(value):
            raise problem(
                "wrong-value",
                "`base_url` is no http or https address (without user, password and query)",
                hint="write it in full, for example http://127.0.0.1:8000/v1; a key goes into `api_key: env:NAME`",
            )
        return value

    @field_validator("capabilities")
    @classmethod
    def _capabilities(cls, value: Any) -> Any:
        return None if value is None else usual_words(value, capability, CAPABILITIES, "capabilities")

    @field_validator("expertise")
    @classmethod
    def _expertise(cls, value: Any) -> Any:
        return usual_words(value, expertise, EXPERTISE, "expertise")

    @field_validator("size")
    @classmethod
    def _size(cls, value: str | None) -> str | None:
        if value is not None and billions(value) is None:
            raise problem("wrong-value", f'"{value}" is no size of a model', hint="write it as 7b, 70b or 350m")
        return value

    @model_validator(mode="after")
    def _both_prices(self) -> OwnModel:
        if (self.input_price is None) != (self.output_price is None):
            there = "input_price" if self.output_price is None else "output_price"
            other = "output_price" if there == "input_price" else "input_price"
            raise problem(
                "missing-key",
                f"`{there}` stands without `{other}`: the price of a call is known with both",
                hint=f"add `{other}`, 0 when it costs nothing",
                key=there,
            )
        return self


class ModelsFile(Model):
    """The file: the models by name."""

    models: dict[str, OwnModel] = Field(default_factory=dict, description="Models by name.")

    @field_validator("models")
    @classmethod
    def _names(cls, value: dict[str, OwnModel]) -> dict[str, OwnModel]:
        for name in value:
            if not _NAME.match(name):
                proposal = re.sub(r"[^A-Za-z0-9._-]+", "-", name.removeprefix("own:")).strip("-._") or "my-model"
                raise problem(
                    "wrong-id",
                    f'"{name}" is no name of a model: letters, digits, ".", "_" and "-"',
                    hint=f"write it as `{proposal}`; a pipeline names it own:{proposal}",
                    at=(name,),
                    on_key=True,
                )
        return value


def read_models_file(path: Path, shown: str | None = None) -> tuple[dict[str, UserModel], Problems]:
    """The models of one file, and what is wrong with it. ``shown`` is its name in messages."""
    document, problems = read_file(path, shown or str(path))
    if document.root is None:
        return {}, problems
    found, problems = problems, Problems(document.file, _without_secrets(document))
    for one in found:
        problems.add(one.code, one.message, one.span, suggestion=one.suggestion, hint=one.hint)
    if not isinstance(document.root, MappingNode):
        problems.add("not-a-map", "`models.yaml` is a map with `models`", document.root.span)
        return {}, problems
    try:
        file = ModelsFile.model_validate(document.value())
    except ValidationError as error:
        for fault in faults(error.errors(include_url=False), lambda item: _place(item, document)):
            _report(fault, document, problems)
        return {}, problems
    if problems.errors:
        return {}, problems
    return {name: _user_model(name, model, document) for name, model in file.models.items()}, problems


def _without_secrets(document: Document) -> str:
    """The file's text, as messages quote it: what may be a key that should not stand there is stars."""
    lines = lines_of(document.text, ends=True)
    for span in _secrets(document.root, ""):
        for number in range(span.line - 1, min(span.end_line, len(lines))):
            line = lines[number]
            start = span.column - 1 if number == span.line - 1 else 0
            end = span.end_column - 1 if number == span.end_line - 1 else len(line.rstrip("\r\n"))
            lines[number] = line[:start] + "*" * (end - start) + line[end:]
    return "".join(lines)


def _secrets(node: Node | None, key: str) -> Iterator[Span]:
    if isinstance(node, ScalarNode):
        named = _SECRET.search(key) and not node.text.startswith("env:")
        if named or (key == "base_url" and not _URL.match(node.text)) or node.text.startswith(("sk-", "sk_")):
            yield node.span
    elif isinstance(node, MappingNode):
        for name, (_, value) in node.pairs.items():
            yield from _secrets(value, name)
    elif isinstance(node, SequenceNode):
        for item in node.items:
            yield from _secrets(item, key)


def _place(error: Mapping[str, Any], document: Document) -> Place:
    loc = tuple(error["loc"])
    keeps = error["type"] in ("missing", "extra_forbidden")
    return tuple(part for n, part in enumerate(loc) if document.has(loc[: n + 1]) or (keeps and n == len(loc) - 1))


def _report(fault: Fault, document: Document, problems: Problems) -> None:
    """Note what Pydantic found, with the place and the words of a pipeline file's problems."""
    place = fault.place
    keys = OwnModel.model_fields if len(place) > 2 else ModelsFile.model_fields
    if fault.kind == "extra_forbidden":
        near = nearest_name(str(place[-1]), keys)
        problems.add(
            "unknown-key",
            f'there is no key "{place[-1]}" {"in a model" if len(place) > 2 else "in `models.yaml`"}',
            document.key_span(place),
            suggestion=near,
            hint=None if near else f"the keys are {', '.join(keys)}",
        )
    elif fault.kind == "missing":
        problems.add(
            "missing-key",
            f"the key `{place[-1]}` is missing in `{path_text(place[:-1])}`",
            document.key_span(place[:-1]),
            hint="write `model: name-at-the-server`" if place[-1] == "model" else None,
        )
    elif fault.kind == "orchestrator":
        context = fault.context
        inner = (*place, *context["at"], *([context["key"]] if context["key"] else []))
        on_key = context["on_key"] or context["key"]
        problems.add(
            context["code"],
            str(context["text"]),
            document.key_span(inner) if on_key else document.span(inner),
            suggestion=context["suggestion"],
            hint=context["hint"],
        )
    else:
        said = f"expected a map, found {described(fault.value)}" if fault.kind == "model_type" else fault.sentence
        problems.add(
            "wrong-value" if fault.is_wrong_value else "wrong-type",
            f"`{path_text(place)}`: {said}",
            document.span(place),
            suggestion=nearest_name(str(fault.value), fault.options) if fault.options else None,
        )


def _user_model(name: str, model: OwnModel, document: Document) -> UserModel:
    at = document.key_span(("models", name))
    return UserModel(
        name=name,
        provider=model.provider,
        model=model.model,
        base_url=model.base_url,
        api_key_env=model.api_key,
        input_price=None if model.input_price is None else model.input_price / _MILLION,
        output_price=None if model.output_price is None else model.output_price / _MILLION,
        context=model.context,
        max_output=model.max_output,
        capabilities=None if model.capabilities is None else frozenset(model.capabilities),
        quality=model.quality,
        size=billions(model.size) if model.size else None,
        expertise=frozenset(model.expertise),
        defined_at=f"{document.file}:{at.line}:{at.column}",
    )
