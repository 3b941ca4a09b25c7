"""The sandbox that templates are rendered in: Jinja's, with our meaning of fields, concatenation and absence."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from orchestrator_dagster.language.absent import Absent
from orchestrator_dagster.language.missing import Missing, kind_of, unwrap
from orchestrator_dagster.language.template_filters import FILTERS, now, to_text
from orchestrator_dagster.language.template_limits import check_time, measured, spend_result, ticking
from orchestrator_dagster.language.template_operations import (
    check_method,
    check_operation,
    concatenated,
    limited_dict,
    limited_filter,
)

_METHODS = frozenset({"items", "keys", "values"})
_NUMBER_METHODS = frozenset({"is_integer", "bit_length"})


class _Namespace(Namespace):
    """Jinja's namespace, which does not print what it holds."""

    def __repr__(self) -> str:
        return "<namespace>"


class Environment(ImmutableSandboxedEnvironment):
    """The sandbox that all templates of a pipeline are rendered in."""

    intercepted_binops = frozenset({"*", "**", "+", "%"})

    def __init__(self, autoescape: bool = False) -> None:
        super().__init__(
            undefined=Missing,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            autoescape=autoescape,
            finalize=_print,
            extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"],
        )
        self.filters.update(FILTERS)
        self.filters = {name: limited_filter(name, function) for name, function in self.filters.items()}
        own = {f"_{name}": functools.partial(_method, name) for name in _METHODS}
        self.filters.update({"_unwrap": unwrap, "_present": _present, "_tick": _loop, "_sized": measured, **own})
        self.globals = {
            "now": now,
            "range": self.globals["range"],
            "namespace": _Namespace,
            "dict": limited_dict,
            "_concat": concatenated,
        }

    def _generate(self, source: nodes.Template, *args: Any, **kwargs: Any) -> str:
        return super()._generate(_rewrite(source), *args, **kwargs)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """``obj.attribute``."""
        return self._field(obj, attribute, super().getattr)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """``obj[argument]``."""
        found = self._field(obj, argument, super().getitem)
        return spend_result(found) if isinstance(argument, slice) else found

    def _field(self, obj: Any, name: Any, fallback: Callable[[Any, Any], Any]) -> Any:
        if isinstance(obj, (Missing, Absent)):
            return unwrap(obj)
        if isinstance(obj, Mapping):
            try:
                found = obj[name]
                return unwrap(found) if isinstance(found, Absent) else found
            except (KeyError, TypeError):
                if name != "get":
                    return Missing(obj=obj, name=name)
        if isinstance(obj, (int, float)) and name not in _NUMBER_METHODS:
            return Missing(obj=obj, name=name)
        return fallback(obj, name)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """``left operator right``, for the operators that can make something large."""
        check_operation(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805 - as in the base
        """``obj(…)``."""
        check_method(_owner(__obj), getattr(__obj, "__name__", ""), (*args, *kwargs.values()))
        return spend_result(super().call(__context, __obj, *args, **kwargs))


def _owner(function: Any) -> Any:
    """The value that a method is of; Jinja hides a text's `format` behind a function of its own."""
    owner = getattr(function, "__self__", None)
    if owner is None or isinstance(owner, ModuleType):
        wrapped = getattr(function, "__wrapped__", None)
        owner = getattr(wrapped, "__self__", None)
    return owner


def _print(value: Any) -> Any:
    """What is printed for a value."""
    value = unwrap(value)
    if isinstance(value, (Mapping, list, tuple)) or hasattr(value, "__next__"):
        return to_text(value)
    if callable(value) and not isinstance(value, Missing):
        raise jinja2.UndefinedError(f'"{getattr(value, "__name__", "it")}" is a function, not a value: call it')
    return value


def _present(value: Any) -> Any:
    """A value that must be there: Python would say of ``missing in text`` only that it is no text."""
    if isinstance(value, Missing):
        value._fail()
    return value


def _loop(values: Any) -> Any:
    """What a `for` goes through: a loop is a way in which a template can run for long."""
    if isinstance(values, (int, float)) or values is None:
        raise jinja2.UndefinedError(f"{kind_of(values)} cannot be gone through with `for`")
    return (unwrap(value) if isinstance(value, Absent) else value for value in ticking(values))


def _method(name: str, value: Any) -> Any:
    value = unwrap(value)
    if isinstance(value, Missing):
        value._fail()
    if not isinstance(value, Mapping):
        raise jinja2.UndefinedError(f"only a map has .{name}(), this is {kind_of(value).removeprefix('the ')}")
    check_time()
    if name == "items":
        return [(key, unwrap(item) if isinstance(item, Absent) else item) for key, item in value.items()]
    return [unwrap(item) if isinstance(item, Absent) else item for item in getattr(value, name)()]


def _rewrite(node: Any) -> Any:
    """The tree with our meaning of fields, concatenation, literals and loops put into it."""
    for name, value in node.iter_fields():
        if isinstance(value, nodes.Node):
            setattr(node, name, _rewrite_child(node, name, value))
        elif isinstance(value, list):
            children = [_rewrite_child(node, name, item) if isinstance(item, nodes.Node) else item for item in value]
            setattr(node, name, children)
    return node


def _rewrite_child(parent: nodes.Node, field: str, child: nodes.Node) -> nodes.Node:
    line = child.lineno
    if (
        isinstance(child, nodes.Call)
        and isinstance(child.node, nodes.Getattr)
        and child.node.attr in _METHODS
        and not (child.args or child.kwargs or child.dyn_args or child.dyn_kwargs)
    ):
        # .items() called is the method, whatever fields the map has
        owner = _rewrite_child(child, "node", child.node.node)
        return _filter(owner, f"_{child.node.attr}", line)
    _rewrite(child)
    if isinstance(child, nodes.Compare) and any(operand.op in ("in", "notin") for operand in child.ops):
        child.expr = _filter(child.expr, "_present", line)
    if isinstance(child, nodes.Concat):
        return nodes.Call(nodes.Name("_concat", "load", lineno=line), child.nodes, [], None, None, lineno=line)
    if isinstance(child, (nodes.List, nodes.Dict)) or (isinstance(child, nodes.Tuple) and child.ctx == "load"):
        child = _filter(child, "_sized", line)
    if isinstance(parent, nodes.For) and field == "iter":
        return _filter(_unwrapped(child), "_tick", line)
    if field == "node" and isinstance(parent, (nodes.Getattr, nodes.Getitem)):
        return child  # not the end of the chain yet
    if isinstance(parent, (nodes.Call, nodes.CallBlock)) and field in ("node", "call"):
        return child
    return _unwrapped(child)


def _unwrapped(child: nodes.Node) -> nodes.Node:
    """The end of a chain ``a.b.c`` is the value itself, also when the chain ends at a step."""
    chain = isinstance(child, (nodes.Getattr, nodes.Getitem)) or (isinstance(child, nodes.Name) and child.ctx == "load")
    return _filter(child, "_unwrap", child.lineno) if chain else child


def _filter(child: nodes.Node, name: str, line: int) -> nodes.Filter:
    return nodes.Filter(child, name, [], [], None, None, lineno=line)


@functools.lru_cache(maxsize=2)
def environment(autoescape: bool = False) -> Environment:
    """The shared sandbox; with ``autoescape`` for templates that make HTML."""
    return Environment(autoescape)
