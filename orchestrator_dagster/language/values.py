"""Values checked against the language's types: each set of typed names becomes one Pydantic model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Any, Literal, Union
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, create_model
from pydantic import BaseModel as PydanticModel

from orchestrator_dagster.frozen import thaw
from orchestrator_dagster.language.json_schema import implied_type, schema_of_example, schema_problems
from orchestrator_dagster.language.types import TypeSpec, type_of
from orchestrator_dagster.language.wording import Fault, described, faults, path_text

_DATE = re.compile(r"\d{4}-\d\d-\d\d\Z")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+\Z")


def values_model(name: str, fields: Mapping[str, TypeSpec]) -> type[PydanticModel]:
    """One Pydantic model with a field for each name (its alias), all required, nothing else allowed."""
    # Fields have names of their own: a key may be called `_id`, `first name`, `copy` or `class`.
    made: dict[str, Any] = {
        f"field_{number}": (python_type(spec), Field(..., alias=key))
        for number, (key, spec) in enumerate(fields.items())
    }
    return create_model(name, __base__=_Values, **made)


class _Values(PydanticModel):
    """Base of the models: what comes out has the keys that went in."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    def model_dump(self, **options: Any) -> dict[str, Any]:
        return super().model_dump(**{"by_alias": True, **options})


def problems_of(spec: TypeSpec, value: Any) -> list[str]:
    """What is wrong with a value of this type, one sentence each; nothing when it fits."""
    try:
        TypeAdapter(python_type(spec)).validate_python(thaw(value))
    except ValidationError as error:
        return sentences(error)
    return []


def places_of_problems(spec: TypeSpec, value: Any) -> list[tuple[tuple[Any, ...], str]]:
    """What is wrong with a value that stands in a file, with the place of each problem inside it.

    Nothing is read as another type here: ``"10"`` is a text, also where a launch could give it for an integer.
    """
    plain = thaw(value)
    try:
        found = _plain(TypeAdapter(python_type(spec)).validate_python(plain))
    except ValidationError as error:
        return [(fault.place, _sentence(fault)) for fault in faults(error.errors(include_url=False), _place)]
    return [] if found == plain else _differences(found, plain, ())


def _differences(found: Any, plain: Any, place: tuple[Any, ...]) -> list[tuple[tuple[Any, ...], str]]:
    """Where a value was read as another type, and what the type is."""
    if isinstance(found, dict) and isinstance(plain, dict):
        return [one for key in plain if key in found for one in _differences(found[key], plain[key], (*place, key))]
    if isinstance(found, list) and isinstance(plain, list) and len(found) == len(plain):
        return [one for n, item in enumerate(plain) for one in _differences(found[n], item, (*place, n))]
    kind = type_of(found)
    wanted = f"an {kind}" if kind in ("integer", "array", "object") else f"a {kind}"
    return [] if found == plain else [(place, f"expected {wanted}, found {described(plain)}")]


def checked_value(spec: TypeSpec, value: Any) -> Any:
    """The value as its type has it: ``"3"`` is 3 where an integer is wanted.

    Raises:
        pydantic.ValidationError: It does not fit; see :func:`sentences`.
    """
    return _plain(TypeAdapter(python_type(spec)).validate_python(thaw(value)))


def sentences(error: ValidationError, most: int = 12) -> list[str]:
    """The problems of a validation, one sentence each with its place; the first ``most``."""
    found = []
    for fault in faults(error.errors(include_url=False), _place)[:most]:
        place = path_text(fault.place)
        found.append(f"{place}: {_sentence(fault)}" if place else _sentence(fault))
    return list(dict.fromkeys(found))


def _place(error: Mapping[str, Any]) -> tuple[Any, ...]:
    """The place of an error, without the names of types and functions that Pydantic puts in between."""
    return tuple(
        part for part in error["loc"] if isinstance(part, int) or not (part in _TAGS or part.startswith("function-"))
    )


_TAGS = frozenset(("int", "float", "tagged-union"))


def _sentence(fault: Fault) -> str:
    if fault.kind == "missing":
        return "missing"
    if fault.kind == "extra_forbidden":
        return "unexpected"
    return fault.sentence


def _plain(value: Any) -> Any:
    """Nested models as dicts."""
    if isinstance(value, PydanticModel):
        return {str(info.alias): _plain(getattr(value, name)) for name, info in type(value).model_fields.items()}
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def python_type(spec: TypeSpec) -> Any:
    """The annotation that checks values of a type."""
    if isinstance(spec.schema_, Mapping):
        return Annotated[Any, AfterValidator(_schema_check(thaw(dict(spec.schema_))))]
    kind = spec.type or implied_type(spec)
    if kind is None and spec.example is not None:
        return Annotated[Any, AfterValidator(_schema_check(schema_of_example(thaw(spec.example))))]
    if spec.enum is not None:
        return _enum(thaw(spec.enum), kind)
    checks: list[Any] = []
    low, high = spec.limits
    if kind in ("integer", "number") and (low is not None or high is not None):
        checks.append(Field(ge=low, le=high))
    if spec.pattern is not None:
        checks.append(AfterValidator(_pattern_check(spec.pattern)))
    if spec.format is not None:
        checks.append(AfterValidator(_format_check(spec.format)))
    base = _base_type(kind, spec)
    for check in checks:
        base = Annotated[base, check]
    return base


def _base_type(kind: str | None, spec: TypeSpec) -> Any:
    if kind in ("string", "path", "secret"):
        return str
    if kind == "integer":
        return Annotated[int, BeforeValidator(_no_boolean)]
    if kind == "number":
        # An integer stays one: 3 is not written as 3.0 into a product.
        finite = Annotated[float, Field(allow_inf_nan=False)]
        return Annotated[Union[int, finite], Field(union_mode="left_to_right"), BeforeValidator(_no_boolean)]
    if kind == "boolean":
        return bool
    if kind == "array":
        return list[python_type(spec.items)] if spec.items else list[Any]  # type: ignore[misc]
    if kind == "object":
        return values_model("object", spec.properties) if spec.properties else dict[str, Any]
    return Any


def _no_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"expected a number, found {str(value).lower()}")
    return value


def _enum(options: Sequence[Any], kind: str | None) -> Any:
    if kind == "array":
        return list[_enum(options, None)]  # type: ignore[misc]
    texts = {str(option): option for option in options}

    def pick(value: Any) -> Any:
        # A launch from a command line gives texts: "3" is the option 3.
        return texts[value] if isinstance(value, str) and value not in options and value in texts else value

    if all(isinstance(option, (str, int, bool)) or option is None for option in options):
        return Annotated[Literal[tuple(options)], BeforeValidator(pick)]

    def check(value: Any) -> Any:
        if value not in options:
            raise ValueError(f"{value!r} is none of {', '.join(map(repr, options))}")
        return value

    return Annotated[Any, BeforeValidator(pick), AfterValidator(check)]


def _pattern_check(pattern: str) -> Any:
    compiled = re.compile(pattern)  # Python's syntax: Pydantic's own has no look-around

    def check(value: Any) -> Any:
        if isinstance(value, str) and not compiled.search(value):
            raise ValueError(f"{value!r} does not match {pattern!r}")
        return value

    return check


def _format_check(name: str) -> Any:
    def check(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if name == "date":
            try:
                if not _DATE.match(value):  # newer Pythons read other spellings too
                    raise ValueError
                date.fromisoformat(value)
            except ValueError:
                raise ValueError(f"{value!r} is no date such as 2026-01-31") from None
        elif name == "email" and not _EMAIL.match(value):
            raise ValueError(f"{value!r} is no e-mail address")
        elif name == "uri" and not urlsplit(value).scheme:
            raise ValueError(f"{value!r} is no URI such as https://example.com")
        elif name == "json":
            import json

            try:
                json.loads(value)
            except ValueError as error:
                raise ValueError(f"the text is no JSON ({error})") from None
        return value

    return check


def _schema_check(schema: Mapping[str, Any]) -> Any:
    def check(value: Any) -> Any:
        found = schema_problems(schema, value)
        if found:
            raise ValueError("; ".join(found))
        return value

    return check
