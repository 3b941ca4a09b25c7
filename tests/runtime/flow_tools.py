"""Tools of the test projects: calls that are counted, that fail when told, that meet each other."""

import threading
from typing import Any

from orchestrator_dagster import Tool, ToolContext
from orchestrator_dagster.errors import ToolError

probe = Tool("probe", summary="Notes every call, and does what it is told.")
_lock = threading.Lock()
_inside: dict[str, int] = {}
_most: dict[str, int] = {}
_barriers: dict[str, threading.Barrier] = {}


class OwnError(ConnectionError):
    pass


_ERRORS = {
    "runtime": RuntimeError,
    "connection": ConnectionError,
    "own": OwnError,
    "value": ValueError,
}


@probe.action(default=True)
def call(context: ToolContext, name: str, value: Any = None, fail: int = 0, how: str = "runtime") -> Any:
    """Give the value; fail so many times (of the calls of that name) before."""
    with _lock:
        path = context.workspace.root / "calls.txt"
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{name}\n")
        count = path.read_text(encoding="utf-8").splitlines().count(name)
    if count <= fail:
        if how == "permanent":
            raise ToolError(f"{name} never works", permanent=True)
        if how == "polite":
            return {"success": False, "error": f"{name} is sorry"}
        raise _ERRORS[how](f"{name} failed at call {count}")
    return value


@probe.action()
def meet(context: ToolContext, group: str, parties: int, value: Any = None) -> Any:
    """Wait until so many calls of the group are here at once; notes how many were inside at most."""
    with _lock:
        barrier = _barriers.setdefault(group, threading.Barrier(parties))
        _inside[group] = _inside.get(group, 0) + 1
        _most[group] = max(_most.get(group, 0), _inside[group])
    barrier.wait(timeout=60)
    with _lock:
        _inside[group] -= 1
    return value


@probe.action()
def most(context: ToolContext, group: str) -> int:
    """How many calls of the group were inside at most."""
    return _most[group]


@probe.action()
def after(context: ToolContext, first: str, name: str) -> str:
    """End only when a call of the other name has been noted: makes items end in another order than they begin."""
    event = _events(first)
    if not event.wait(timeout=60):
        raise TimeoutError(first)
    _events(name).set()
    return name


_flags: dict[str, threading.Event] = {}


def _events(name: str) -> threading.Event:
    with _lock:
        event = _flags.setdefault(name, threading.Event())
        if name == "":
            event.set()
        return event


@probe.action()
def forever(context: ToolContext) -> None:
    """Never end by itself."""
    threading.Event().wait(120)
