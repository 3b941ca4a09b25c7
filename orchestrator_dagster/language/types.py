"""Types of inputs and variables: how they are written in a pipeline file."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, Field, model_validator

from orchestrator_dagster.language.base import Model, Number, Switch, problem, whole_expression
from orchestrator_dagster.language.safe_patterns import check_pattern
from orchestrator_dagster.language.wording import described
from orchestrator_dagster.text import nearest_name

TypeName = Literal["string", "integer", "number", "boolean", "array", "object"]
InputTypeName = Literal["string", "integer", "number", "boolean", "array", "object", "path", "secret"]
Format = Literal["json", "csv", "markdown", "date", "email", "uri"]

#: Every spelling of a type name; those of JSON Schema are ours.
TYPE_NAMES: dict[str, str] = {
    "string": "string", "str": "string", "text": "string",
    "integer": "integer", "int": "integer",
    "number": "number", "float": "number", "double": "number",
    "boolean": "boolean", "bool": "boolean",
    "array": "array", "list": "array",
    "object": "object", "dict": "object", "map": "object",
}  # fmt: skip
INPUT_TYPE_NAMES = {**TYPE_NAMES, "path": "path", "file": "path", "secret": "secret"}

#: A map is a description of an input (and not its default) when it has one of these keys.
_DESCRIPTION_KEYS = frozenset({"type", "default", "description", "required", "asset"})
_NO_VALUE = ("None", "null", "~")


def _type_name(known: dict[str, str]) -> BeforeValidator:
    def check(value: Any) -> Any:
        if value is None:
            return None
        found = known.get(str(value).strip().lower())
        if found is None:
            raise problem(
                "wrong-value",
                f'there is no type "{value}"',
                suggestion=nearest_name(str(value), known),
                hint=f"choose one of {', '.join(dict.fromkeys(known.values()))}",
            )
        return found

    return BeforeValidator(check)


class TypeSpec(Model):
    """The type of a value: written as a type's name, or as a map of these keys."""

    type: Annotated[TypeName | None, _type_name(TYPE_NAMES)] = Field(None, description="Type of the value.")
    description: str | None = Field(None, description="What the value is; a model is told this.")
    format: Format | None = Field(None, description="What the text must be.")
    enum: tuple[Any, ...] | None = Field(
        None, validation_alias=AliasChoices("enum", "choices"), description="The only values allowed."
    )
    minimum: Number | None = Field(None, description="Smallest number allowed.")
    maximum: Number | None = Field(None, description="Largest number allowed.")
    range: tuple[Number, Number] | None = Field(None, description="Smallest and largest number, as a list of two.")
    pattern: str | None = Field(None, description="Regular expression that the text must match somewhere.")
    items: TypeSpec | None = Field(None, description="Type of a list's items; a map of names is an object's fields.")
    properties: dict[str, TypeSpec] | None = Field(None, description="Types of an object's fields.")
    schema_: dict[str, Any] | str | None = Field(
        None, alias="schema", description="JSON Schema of the value, inline or the path of a file."
    )
    example: Any = Field(None, description="An example; its shape is the type when none is given.")

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, value: Any) -> Any:
        return short_type(value)

    @model_validator(mode="after")
    def _limits(self) -> TypeSpec:
        check_limits(self)
        return self

    @property
    def limits(self) -> tuple[float | None, float | None]:
        """Smallest and largest number, from ``minimum``/``maximum`` or ``range``."""
        low, high = self.range or (None, None)
        return (self.minimum if self.minimum is not None else low, self.maximum if self.maximum is not None else high)


#: Which types each constraint says something about.
_CONSTRAINED: dict[str, tuple[str, ...]] = {
    "minimum": ("integer", "number"), "maximum": ("integer", "number"), "range": ("integer", "number"),
    "pattern": ("string", "path", "secret"), "items": ("array",), "properties": ("object",),
}  # fmt: skip


def check_limits(spec: TypeSpec) -> None:
    """Refuse constraints that nothing can meet, that do not belong to the type, and patterns that are none."""
    for key, kinds in _CONSTRAINED.items():
        if spec.type is not None and getattr(spec, key) is not None and spec.type not in kinds:
            fitting = " or ".join(kind for kind in kinds if kind not in ("path", "secret"))
            raise problem(
                "wrong-value",
                f"`{key}` belongs to the type {fitting}, and the type is {spec.type}",
                hint=f"remove `{key}` or change `type`",
                at=(key,),
                on_key=True,
            )
    low, high = spec.limits
    if low is not None and high is not None and low > high:
        at = "range" if spec.maximum is None and spec.minimum is None else "maximum"
        raise problem("wrong-value", f"the minimum {low:g} is larger than the maximum {high:g}", at=(at,))
    if spec.enum is not None and not spec.enum:
        raise problem("wrong-value", "the list of values allowed is empty", hint="remove `enum`", at=("enum",))
    if spec.pattern is not None:
        wrong = check_pattern(spec.pattern)
        if wrong:
            raise problem("wrong-value", f"the pattern {wrong}", at=("pattern",))


def short_type(value: Any) -> Any:
    """The long form of a type: of a name (``string``), or of a map of field names to types."""
    if isinstance(value, str):
        known = TYPE_NAMES.get(value.strip().lower())
        near = get_close_matches(value.strip().lower(), TYPE_NAMES, 1, 0.75)
        if known is None and near and " " not in value.strip():
            raise problem(
                "wrong-value",
                f'there is no type "{value}"',
                suggestion=near[0],
                hint="a description has more than one word",
            )
        return {"type": known} if known else {"type": "string", "description": value}
    if isinstance(value, dict) and value and not _describes(value):
        return {"type": "object", "properties": value}
    if not isinstance(value, dict) and not isinstance(value, TypeSpec):
        raise problem(
            "wrong-type",
            f"expected a type's name or a map, found {described(value)}",
            hint=f"the types are {', '.join(dict.fromkeys(TYPE_NAMES.values()))}",
        )
    return value


#: Keys that describe a type; a map with others may be the map of an object's fields.
_OWN_KEYS = frozenset(
    "type description format enum choices minimum maximum range pattern items properties schema example".split()
)


def _describes(value: dict[str, Any]) -> bool:
    """Whether a map describes one type, and is not a map of an object's fields (which may be called ``type`` too)."""
    described = value.get("type")
    if isinstance(described, str):
        others = [name for name in value if name not in _OWN_KEYS and not name.startswith("x-")]
        fields = bool(others) and all(_is_type(value[name]) for name in others)
        # A misspelled key is no field.
        misspelt = any(get_close_matches(name, _OWN_KEYS, 1, 0.75) for name in others)
        return not (fields and _is_type(described)) or misspelt
    own = _OWN_KEYS & value.keys() - {"type", "description", "example"}
    if own and not all(isinstance(value[key], str) and _is_type(value[key]) for key in own):
        return True
    return set(value) <= {"description", "example", "examples", "default"}


def _is_type(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, str) and value.strip().lower() in TYPE_NAMES)


class VariableSpec(TypeSpec):
    """A variable that a step leaves behind: a description (then it is text), a type, or an expression."""

    value: str | None = Field(None, description="One whole `{{ expression }}` over the tool's `result`.")

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, value: Any) -> Any:
        if value is None:
            return {}
        if whole_expression(value) is not None:
            return {"value": value}
        if isinstance(value, str):
            if "{{" in value:
                raise problem(
                    "wrong-value",
                    "a variable is taken from the result by one whole {{ expression }}, without text around it",
                    hint="join the text inside it: \"{{ 'text ' ~ result.x }}\"",
                )
            known = TYPE_NAMES.get(value.strip().lower())
            return {"type": known} if known else {"description": value}
        if not isinstance(value, dict):
            raise problem(
                "wrong-type",
                "a variable is described by a text, a type, a map, or one whole {{ expression }}",
                hint="for example `- score: {type: number, minimum: 0, maximum: 1}`",
            )
        return value

    @property
    def says_shape(self) -> bool:
        """Whether anything but a description is said of the value; else a model's answer is text."""
        return bool(self.model_fields_set - {"description", "value"})

    @property
    def expression(self) -> str | None:
        """The expression over the tool's result that gives the value, None when it is taken by name."""
        return whole_expression(self.value)


class InputSpec(TypeSpec):
    """An input of the pipeline: a default value, ``None`` when it is required, or a map of these keys."""

    type: Annotated[InputTypeName | None, _type_name(INPUT_TYPE_NAMES)] = Field(  # type: ignore[assignment]
        None, description="Type of the value; without it, the default's type."
    )
    required: Switch | None = Field(None, description="Whether a launch must give it; true when there is no default.")
    default: Any = Field(None, description="Its value when a launch gives none.")
    examples: tuple[Any, ...] | None = Field(None, description="Example values, for people.")
    asset: str | None = Field(None, description="Key of an asset (`pipeline/variable`) whose value is loaded.")

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, value: Any) -> Any:
        if value is None or (isinstance(value, str) and value.strip() in _NO_VALUE):
            return {"required": True}
        if isinstance(value, dict) and _DESCRIPTION_KEYS & value.keys():
            if isinstance(value.get("default"), str) and value["default"].strip() in _NO_VALUE:
                return {**value, "default": None}
            return value
        return {"default": value}

    @property
    def is_required(self) -> bool:
        """Whether a launch must give a value."""
        if self.asset is not None:
            return False
        if self.required is not None:
            return self.required and self.default is None
        return self.default is None and "default" not in self.model_fields_set

    @property
    def kind(self) -> str:
        """Its type: the declared one, else the default's, else text."""
        return self.type or type_of(self.default) or "string"

    @property
    def typed(self) -> InputSpec:
        """The description with its type. An asset's value has none but the one that is declared."""
        return self if self.type or self.asset else self.model_copy(update={"type": self.kind})

    @property
    def asset_key(self) -> tuple[str, ...]:
        """Key of the asset that it is loaded from; empty when it is not."""
        return tuple(self.asset.split("/")) if self.asset else ()

    @property
    def may_be_absent(self) -> bool:
        """Whether it has no value, instead of failing the run, when its asset was never materialized."""
        return self.required is False or "default" in self.model_fields_set


def type_of(value: Any) -> str | None:
    """The type's name of a JSON value, None for null.

    >>> type_of(3), type_of([1]), type_of(None)
    ('integer', 'array', None)
    """
    if value is None:
        return None
    for python, name in ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string")):
        if isinstance(value, python):
            return name
    return "array" if isinstance(value, (list, tuple)) else "object"
