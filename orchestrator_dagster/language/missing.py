"""What stands for a value that is not there while a template is rendered."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import jinja2

from orchestrator_dagster.language.absent import Absent


class _Noted(threading.local):
    """Reasons of the missing values that the render of this thread has printed; None outside a render."""

    reasons: list[str] | None = None


NOTED = _Noted()


class MissingValueError(jinja2.UndefinedError):
    """Something was done with a value that is not there; its message is the reason alone."""


class Missing(jinja2.Undefined):
    """A value that is not there. It is false and can be guarded; any other use fails with the reason.

    Printing notes the reason and goes on, so that one render reports every missing name.
    """

    __slots__ = ()

    @property
    def reason(self) -> str:
        """Why it is not there."""
        if self._undefined_hint:
            return self._undefined_hint
        if self._undefined_obj is jinja2.utils.missing:
            return f'"{self._undefined_name}" does not exist'
        owner, name = self._undefined_obj, self._undefined_name
        if isinstance(name, int):
            count = f" of {len(owner)}" if hasattr(owner, "__len__") else ""
            return f"{kind_of(owner)}{count} has no entry {name}"
        fields = f"; it has {', '.join(map(str, list(owner)[:12]))}" if isinstance(owner, Mapping) and owner else ""
        return f'{kind_of(owner)} has no field "{name}"{fields}'

    def _fail(self, *args: Any, **kwargs: Any) -> Any:
        raise MissingValueError(self.reason)

    def __str__(self) -> str:
        found = NOTED.reasons
        if found is None:
            self._fail()
        elif self.reason not in found:
            found.append(self.reason)
        return ""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __getitem__(self, key: Any) -> Any:
        return self

    def __bool__(self) -> bool:
        return False

    __iter__ = __len__ = __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = __call__ = _fail
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _fail
    __mod__ = __rmod__ = __floordiv__ = __rfloordiv__ = __pow__ = __rpow__ = __neg__ = __pos__ = _fail
    __int__ = __float__ = __complex__ = __index__ = __round__ = __abs__ = _fail
    __hash__ = object.__hash__


@runtime_checkable
class HasMainValue(Protocol):
    """A step as templates see it: a map of its fields that also stands for one value."""

    def main_value(self) -> Any:
        """What the step is when it is used without a field."""
        ...


#: What is looked at most is none of ours; asking whether it has a method of ours takes longer than rendering it.
_PLAIN = frozenset((str, int, float, bool, type(None), list, dict, tuple))


def unwrap(value: Any) -> Any:
    """The value itself: of a step, its main value; of an absent value, something undefined that knows the reason."""
    if type(value) in _PLAIN or isinstance(value, Missing):
        return value
    if isinstance(value, HasMainValue):
        value = value.main_value()
    return Missing(hint=value.reason) if isinstance(value, Absent) else value


def kind_of(value: Any) -> str:
    """What a value is, in a message: ``the map``, ``the text``."""
    if value is None:
        return "null"
    for python, name in (
        (bool, "boolean"),
        ((int, float), "number"),
        (str, "text"),
        (Mapping, "map"),
        ((list, tuple), "list"),
    ):
        if isinstance(value, python):
            return f"the {name}"
    return f"the {type(value).__name__}"
