"""What all models of the language share: strictness, and errors that carry a code, a nearest name and a next step."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import Self

from orchestrator_dagster.frozen import freeze

IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_-]*\Z")
WHOLE_EXPRESSION = re.compile(r"\s*\{\{(?P<expression>(?:(?!\}\}|\{\{).)*)\}\}\s*\Z", re.DOTALL)


class Model(BaseModel):
    """Base of the language's models: immutable, unknown keys refused, a number where text is expected is its text."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True, populate_by_name=True)

    @model_validator(mode="after")
    def _freeze_containers(self) -> Self:
        # `frozen` stops assignments, not changes inside a dict or list.
        for name in self.model_fields_set:
            value = self.__dict__[name]
            if isinstance(value, (dict, list)):
                self.__dict__[name] = freeze(value)
        return self


def problem(code: str, message: str, *, hint: str | None = None, suggestion: str | None = None) -> PydanticCustomError:
    """An error for a validator to raise; the reader turns it into a diagnostic with this code."""
    context = {"text": message, "hint": hint, "suggestion": suggestion, "code": code}
    return PydanticCustomError("orchestrator", "{text}", context)


def has_template(value: Any) -> bool:
    """Whether a text has something that is rendered: ``{{``, ``{%`` or ``<AUTO``."""
    return isinstance(value, str) and ("{{" in value or "{%" in value or "<<" in value or "<AUTO" in value)


def whole_expression(value: Any) -> str | None:
    """The expression when a text is one whole ``{{ expression }}``, else None.

    >>> whole_expression(" {{ a.b }} "), whole_expression("{{ a }} and {{ b }}")
    (' a.b ', None)
    """
    found = WHOLE_EXPRESSION.match(value) if isinstance(value, str) else None
    return found["expression"] if found else None


def _one_map(value: Any) -> Any:
    """A list of one-key maps is the map it stands for."""
    if value is None:
        return {}
    if not isinstance(value, list):
        if not isinstance(value, Mapping):
            raise problem("wrong-type", "expected a map, or a list of one-key maps", hint="write `name: value` pairs")
        return value
    merged: dict[str, Any] = {}
    for item in value:
        if isinstance(item, str) and not has_template(item):
            item = {item: None}
        if not isinstance(item, Mapping) or len(item) != 1:
            raise problem(
                "wrong-type", "each entry of the list must be a map with one key", hint="write `- name: value`"
            )
        name = next(iter(item))
        if name in merged:
            raise problem("yaml-duplicate-key", f'the name "{name}" stands twice', hint="remove one of the two")
        merged.update(item)
    return merged


def _names(value: Any) -> Any:
    """One name, a comma list, or a list of names."""
    if value is None:
        return ()
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _duration(value: Any) -> Any:
    """Seconds from ``30``, ``1.5``, ``500ms``, ``30s``, ``2m``, ``1h30m``; a template stays text."""
    if isinstance(value, bool) or value is None or has_template(value):
        return value
    if isinstance(value, str):
        units = {"ms": 0.001, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
        text = value.strip().lower().replace(" ", "")
        parts = re.findall(r"(\d+(?:\.\d+)?)(ms|sec|min|s|m|h|d)", text)
        if parts and "".join(number + unit for number, unit in parts) == text:
            value = sum(float(number) * units[unit] for number, unit in parts)
        elif re.fullmatch(r"\d+(\.\d+)?", text):
            value = float(text)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= 30 * 86400:
        return float(value)
    raise problem("wrong-value", f"{value!r} is no duration", hint="write seconds (30) or a text such as 500ms, 2m, 1h30m")


OneMap = BeforeValidator(_one_map)
Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
Duration = Annotated[float | str, BeforeValidator(_duration)]


def check_identifier(value: str, what: str) -> str:
    """Refuse what is no id: letters, digits, ``_`` and ``-``, a letter first."""
    if IDENTIFIER.match(value):
        return value
    proposal = re.sub(r"[^A-Za-z0-9_-]+", "_", value).strip("_-") or "name"
    proposal = proposal if proposal[0].isalpha() else f"s_{proposal}"
    raise problem(
        "wrong-id",
        f'"{value}" is no {what}: letters, digits, _ and -, a letter first',
        hint=f"write it as `{proposal}`",
    )
