"""The keys of a loop that are known when it begins: its list and its limits, which may be templates or decided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator_dagster.compiler.compiled import CompiledStep
from orchestrator_dagster.errors import TemplateError
from orchestrator_dagster.language.auto_tags import auto_in
from orchestrator_dagster.language.templates import render_tree
from orchestrator_dagster.runtime.auto import decide_values
from orchestrator_dagster.runtime.auto_places import COUNT, SCALAR, SECONDS, Wanted, loop_list
from orchestrator_dagster.runtime.scope import Scope

_LIMITS = {"max_parallel": COUNT, "max_iterations": COUNT, "timeout": SECONDS}


def rendered_key(key: str, value: Any, step: CompiledStep, scope: Scope) -> Any:
    """The value of one of the loop's keys, what is to be decided in it decided."""
    names: Mapping[str, Any] = scope.names()
    if auto_in(value):
        whole = loop_list(step, scope.pipeline.dashed) if key == "for_each" else Wanted(_LIMITS[key])
        value, names = decide_values(
            value, key, step, scope, names, lambda path: Wanted(SCALAR) if path else whole, patient=True
        )
    return render_tree({key: value}, names, dashed=scope.pipeline.dashed)[key]


def number_of(step: CompiledStep, scope: Scope, key: str, default: int) -> int:
    """The value of ``max_parallel`` or ``max_iterations``, which may be templates."""
    value = getattr(step.loop, key)
    if value is None:
        return default
    found = rendered_key(key, value, step, scope) if isinstance(value, str) else value
    if isinstance(found, str) and found.strip().isdigit():
        found = int(found)
    if isinstance(found, float) and found.is_integer():
        found = int(found)
    if isinstance(found, bool) or not isinstance(found, int) or found < 1:
        raise TemplateError(f"`{key}` must be a number of at least 1, and it is {found!r}")
    return found


def seconds_of(step: CompiledStep, scope: Scope) -> float | None:
    """The seconds that the whole loop may take, None for no limit."""
    from orchestrator_dagster.runtime.step import timeout_of

    if step.timeout is None:
        return None
    if auto_in(step.timeout):
        found = rendered_key("timeout", step.timeout, step, scope)
        step = step.model_copy(update={"timeout": str(found)})
    return timeout_of(step, scope.names())
