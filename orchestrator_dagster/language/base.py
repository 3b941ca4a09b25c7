"""What all models of the language share: strictness, and errors that carry a code, a nearest name and a next step."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Union

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import Self

from orchestrator_dagster.frozen import freeze
from orchestrator_dagster.language.template_text import has_template as has_template
from orchestrator_dagster.language.template_text import whole_expression as whole_expression
from orchestrator_dagster.language.wording import described

IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_-]*\Z")
LONGEST_DURATION = 30 * 86400.0

#: Stands in the data for an entry that was wrong and is already reported.
TAKEN_OUT = object()


class Model(BaseModel):
    """Base of the language's models: immutable, unknown keys refused, a number where text is expected is its text."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    @model_validator(mode="after")
    def _freeze_containers(self) -> Self:
        # `frozen` stops assignments, not changes inside a dict or list.
        values = self.__dict__
        for name, value in values.items():
            if isinstance(value, (dict, list)):
                values[name] = freeze(value)
        return self


def problem(
    code: str,
    message: str,
    *,
    hint: str | None = None,
    suggestion: str | None = None,
    at: tuple[str | int, ...] = (),
    on_key: bool = False,
    key: str | None = None,
) -> PydanticCustomError:
    """An error for a validator to raise; the reader turns it into a diagnostic with this code.

    Args:
        code: One of the codes of :mod:`~orchestrator_dagster.language.diagnostics`.
        message: What is wrong and what was expected.
        hint: The one next step.
        suggestion: The nearest valid name.
        at: Where inside the validated value it is.
        on_key: Whether the key there is wrong, and not its value.
        key: The key below that place that shows it.
    """
    context = {
        "text": message,
        "hint": hint,
        "suggestion": suggestion,
        "code": code,
        "at": at,
        "on_key": on_key,
        "key": key,
    }
    return PydanticCustomError("orchestrator", "{text}", context)


def _one_map(value: Any, bare_names: bool = False) -> Any:
    """A list of one-key maps is the map it stands for; with ``bare_names`` an entry may be a name without value."""
    if value is None:
        return {}
    if not isinstance(value, list):
        if not isinstance(value, Mapping):
            raise problem("wrong-type", "expected a map, or a list of one-key maps", hint="write `name: value` pairs")
        return value
    merged: dict[str, Any] = {}
    for number, item in enumerate(value):
        if item is TAKEN_OUT:
            continue
        if bare_names and isinstance(item, str) and item.strip() and not has_template(item):
            item = {item: None}
        if not isinstance(item, Mapping) or len(item) != 1:
            keys = [str(key) for key in item] if isinstance(item, Mapping) else []
            raise problem(
                "wrong-type",
                f"each entry of the list must be a map with one key; this one has {', '.join(keys)}"
                if keys
                else f"each entry of the list must be a map with one key, found {_kind(item)}",
                hint="start it with a dash: `- name: value`" if keys else "write `- name: value`",
                at=(number,),
                key=keys[1] if keys else None,
            )
        name = next(iter(item))
        if name in merged:
            raise problem(
                "duplicate-id",
                f'the name "{name}" stands twice',
                hint="remove one of the two",
                at=(number,),
            )
        merged.update(item)
    return merged


def _kind(item: Any) -> str:
    return f'"{item}"' if isinstance(item, str) else "nothing" if item is None else "another value"


def _names(value: Any) -> Any:
    """One name, a comma list, or a list of names."""
    if value is None:
        return ()
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, list):
        value = [item for item in value if item is not TAKEN_OUT]
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, (str, int)) for item in value):
        raise problem("wrong-type", "expected a name, or a list of names", hint="write `[first, second]`")
    return value


def _duration(value: Any) -> Any:
    """Seconds from ``30``, ``1.5``, ``500ms``, ``30s``, ``2m``, ``1h30m``; a template stays text."""
    if value is None or has_template(value):
        return value
    hint = "write seconds (30) or a text such as 500ms, 2s, 2m, 1h30m"
    if isinstance(value, (bool, list, tuple, Mapping)):
        raise problem("wrong-type", f"expected a duration, found {described(value)}", hint=hint)
    seconds = seconds_of(value)
    if seconds is None:
        raise problem("wrong-value", f"{_shown(value)} is no duration", hint=hint)
    if not 0 < seconds <= LONGEST_DURATION:
        raise problem("wrong-value", f"a duration is more than 0 and at most 30 days, found {_shown(value)}", hint=hint)
    return seconds


def seconds_of(value: Any) -> float | None:
    """Seconds of a duration as people write it (``30``, ``2m``, ``1h30m``, ``30d``), None for what is none."""
    if isinstance(value, (int, float)):
        return float(value)
    if not isinstance(value, str):
        return None
    units = {"ms": 0.001, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
    text = value.strip().lower().replace(" ", "")
    if re.fullmatch(r"\d{1,12}(\.\d+)?", text):
        return float(text)
    parts = re.findall(r"(\d{1,12}(?:\.\d+)?)(ms|sec|min|s|m|h|d)", text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return sum(float(number) * units[unit] for number, unit in parts)
    return None


def _shown(value: Any) -> str:
    return f'"{value[:40]}"' if isinstance(value, str) else str(value)[:40]


def _no_boolean(expected: str) -> BeforeValidator:
    def check(value: Any) -> Any:
        if isinstance(value, bool):
            raise problem("wrong-type", f"expected {expected}, found {str(value).lower()}")
        return value

    return BeforeValidator(check)


def _one_map_or_names(value: Any) -> Any:
    return _one_map(value, bare_names=True)


OneMap = BeforeValidator(_one_map)
OneMapOrNames = BeforeValidator(_one_map_or_names)
Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
Duration = Annotated[Union[float, str], BeforeValidator(_duration)]
#: Python takes true for 1, and Pydantic takes "on" for true: a pipeline file does neither.
Integer = Annotated[int, _no_boolean("an integer")]
Number = Annotated[float, _no_boolean("a number")]
Switch = Annotated[bool, Field(strict=True)]


def no_number(value: Any) -> Any:
    """Refuse a number as an id: Pydantic would make it a text, which no template could read."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        hint = "start it with a letter"
        raise problem("wrong-type", f"an id is a text that starts with a letter, found the number {value}", hint=hint)
    return value


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
