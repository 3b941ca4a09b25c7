"""Which names a template uses, found by reading it: nothing is rendered."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jinja2
from jinja2 import nodes

from orchestrator_dagster.language.template_environment import environment
from orchestrator_dagster.language.template_syntax import syntax_error
from orchestrator_dagster.language.template_text import has_template
from orchestrator_dagster.language.templates import normalise
from orchestrator_dagster.text import nearest_name

_LOOP_NAMES = ("loop",)
_FUNCTIONS = frozenset({"_include", "range", "namespace", "dict", "now"})
_MACRO_NAMES = ("caller", "varargs", "kwargs")
_DEEPEST = 18  # Python compiles no more blocks inside each other


@dataclass(frozen=True)
class NameUse:
    """A name with the fields read from it, as far as they are literal: ``research.result[0].x``.

    ``guarded`` means that its absence is allowed for: by ``default``, ``is defined`` or an ``if`` around it. ``hint``
    is the next step when there is no such name.
    """

    path: tuple[str | int, ...]
    line: int
    guarded: bool = False
    hint: str | None = None

    @property
    def root(self) -> str:
        """The name itself."""
        return str(self.path[0])

    def __str__(self) -> str:
        text = self.root
        for part in self.path[1:]:
            text += f"[{part}]" if isinstance(part, int) else f".{part}"
        return text


@dataclass(frozen=True)
class TemplateProblem:
    """Something that makes a template unusable whatever the values are."""

    code: str
    message: str
    line: int
    needle: str | None = None
    suggestion: str | None = None
    hint: str | None = None
    region: int | None = None


@dataclass(frozen=True)
class TemplateReading:
    """What reading one template found: names, files it includes, problems."""

    names: tuple[NameUse, ...] = ()
    includes: tuple[str, ...] = ()
    problems: tuple[TemplateProblem, ...] = ()


@functools.lru_cache(maxsize=8192)
def read_template(text: str, dashed: frozenset[str] = frozenset()) -> TemplateReading:
    """Find every name of a template (see :func:`~orchestrator_dagster.language.templates.normalise` for ``dashed``)."""
    if not has_template(text):
        return TemplateReading()
    try:
        tree = environment().parse(normalise(text, dashed))
        reader = _Reader()
        reader.visit(tree, frozenset(), frozenset())
    except jinja2.TemplateSyntaxError as error:
        return TemplateReading(problems=(_syntax_problem(text, error),))
    except RecursionError:
        return TemplateReading(problems=(TemplateProblem("template-syntax", "the template is nested too deeply", 1),))
    return TemplateReading(
        tuple(dict.fromkeys(reader.names)), tuple(dict.fromkeys(reader.includes)), tuple(reader.problems)
    )


def _syntax_problem(text: str, error: jinja2.TemplateSyntaxError) -> TemplateProblem:
    """A syntax error, with the part of the template that it is about."""
    number, message, hint = syntax_error(text, str(error.message))
    return TemplateProblem(
        "template-syntax", f"the template cannot be parsed: {message}", error.lineno, hint=hint, region=number
    )


def texts_of(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every text in a tree of lists and maps, with its path; keys of maps too, under their own path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for name, item in value.items():
            if isinstance(name, str) and has_template(name):
                yield (*path, name), name
            yield from texts_of(item, (*path, name))
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from texts_of(item, (*path, number))


class _Reader:
    """Walks a template's tree with the names that are local and those whose absence is allowed for."""

    def __init__(self) -> None:
        self.names: list[NameUse] = []
        self.includes: list[str] = []
        self.problems: list[TemplateProblem] = []
        env = environment()
        self.filters = [name for name in env.filters if not name.startswith("_")]
        self.tests = list(env.tests)
        self.depth = 0
        self.entries: dict[str, tuple[Any, ...]] = {}  # what a `for` goes over, by the name of its entries

    def visit(self, node: nodes.Node, local: frozenset[str], guarded: frozenset[tuple[Any, ...]]) -> frozenset[str]:
        """Read a node; gives the local names with those it adds for what follows it."""
        if isinstance(node, (nodes.For, nodes.Macro, nodes.CallBlock, nodes.With, nodes.FilterBlock)):
            return self.nested(node, local, guarded)
        return self.visit_one(node, local, guarded)

    def nested(self, node: nodes.Node, local: frozenset[str], guarded: frozenset[tuple[Any, ...]]) -> frozenset[str]:
        """Read a block, of which only so many can stand in each other."""
        self.depth += 1
        if self.depth == _DEEPEST + 1:
            message = f"more than {_DEEPEST} blocks stand in each other"
            self.problems.append(TemplateProblem("template-syntax", message, node.lineno))
        found = self.visit_one(node, local, guarded)
        self.depth -= 1
        return found

    def visit_one(self, node: nodes.Node, local: frozenset[str], guarded: frozenset[tuple[Any, ...]]) -> frozenset[str]:
        special = getattr(self, f"visit_{type(node).__name__.lower()}", None)
        if special:
            result = special(node, local, guarded)
            return local if result is None else result
        if isinstance(node, (nodes.Getattr, nodes.Getitem)):
            self.chain(node, local, guarded)
            return local
        for child in node.iter_child_nodes():
            local = self.visit(child, local, guarded)
        return local

    def block(
        self, body: list[nodes.Node], local: frozenset[str], guarded: frozenset[tuple[Any, ...]]
    ) -> frozenset[str]:
        for child in body:
            local = self.visit(child, local, guarded)
        return local

    def visit_name(
        self, node: nodes.Name, local: frozenset[str], guarded: frozenset[tuple[Any, ...]]
    ) -> frozenset[str]:
        if node.ctx != "load":
            return local | {node.name}
        self.use((node.name,), node.lineno, local, guarded)
        return local

    def use(self, path: tuple[Any, ...], line: int, local: frozenset[str], guarded: frozenset[tuple[Any, ...]]) -> None:
        if path[0] in local:
            if path[0] in self.entries and len(path) > 1:  # a field of one entry of a list
                safe = any(path[: len(known)] == known for known in guarded)
                self.names.append(NameUse((*self.entries[path[0]], *path[1:]), line, safe))
            return
        if path[0] in _FUNCTIONS:
            message = f'"{path[0]}" is a function: call it, `{path[0]}()`'
            self.problems.append(TemplateProblem("unknown-name", message, line, str(path[0])))
            return
        safe = any(path[: len(known)] == known for known in guarded)
        self.names.append(NameUse(path, line, safe))

    def chain(self, node: nodes.Node, local: frozenset[str], guarded: frozenset[tuple[Any, ...]]) -> None:
        path, rest = _path(node)
        for inner in rest:  # an index that is itself an expression
            self.visit(inner, local, guarded)
        if path:
            self.use(path, node.lineno, local, guarded)

    def visit_call(self, node: nodes.Call, local: frozenset[str], guarded: frozenset[tuple[Any, ...]]) -> None:
        if isinstance(node.node, nodes.Name) and node.node.name == "_include":
            self.includes.extend(str(arg.value) for arg in node.args if isinstance(arg, nodes.Const))
            return
        callee: nodes.Node = node.node
        if isinstance(callee, (nodes.Getattr, nodes.Getitem)):  # a method of a value: the value is what is used
            self.visit(callee.node, local, guarded)
        elif not isinstance(callee, nodes.Name):
            self.visit(callee, local, guarded)
        elif callee.name not in _FUNCTIONS | local:
            near = nearest_name(callee.name, [*_FUNCTIONS - {"_include"}, *self.filters])
            self.problems.append(
                TemplateProblem(
                    "unknown-name",
                    f'there is no function "{callee.name}" in templates',
                    node.lineno,
                    callee.name,
                    near,
                    f"`{near}` is a filter: write `value | {near}`" if near in self.filters else None,
                )
            )
        self.arguments(node, local, guarded)

    def arguments(
        self, node: nodes.Call | nodes.Filter | nodes.Test, local: frozenset[str], guarded: frozenset[tuple[Any, ...]]
    ) -> None:
        for child in [*node.args, *node.kwargs, node.dyn_args, node.dyn_kwargs]:
            if child is not None:
                self.visit(child, local, guarded)

    def visit_for(self, node: nodes.For, local: frozenset[str], guarded: frozenset[tuple[Any, ...]]) -> None:
        self.visit(node.iter, local, guarded)
        inner = self.visit(node.target, local, guarded) | set(_LOOP_NAMES)
        around = self.entries
        self.entries = {name: path for name, path in around.items() if name not in inner - local}
        if isinstance(node.target, nodes.Name):
            self.entries.pop(node.target.name, None)
            path, rest = _path(node.iter)
            if path and not rest and path[0] not in local:
                self.entries[node.target.name] = (*path, 0)
        if node.test:
            self.visit(node.test, inner, guarded)
        self.block(node.body, inner, guarded)
        self.entries = around
        self.block(node.else_, local, guarded)

    def visit_if(self, node: nodes.If, local: frozenset[str], guarded: frozenset[tuple[Any, ...]]) -> frozenset[str]:
        self.visit(node.test, local, guarded)
        found = local | self.block(node.body, local, guarded | _tested(node.test))
        otherwise = guarded | _tested(node.test, False)
        for branch in node.elif_:
            found |= self.visit(branch, local, otherwise)
            otherwise |= _tested(branch.test, False)
        return found | self.block(node.else_, local, otherwise)

    def visit_condexpr(self, node: nodes.CondExpr, local: frozenset[str], guarded: frozenset[tuple[Any, ...]]) -> None:
        self.visit(node.test, local, guarded)
        self.visit(node.expr1, local, guarded | _tested(node.test))
        if node.expr2:
            self.visit(node.expr2, local, guarded | _tested(node.test, False))

    def visit_and(self, node: nodes.And, local: frozenset[str], guarded: frozenset[tuple[Any, ...]]) -> None:
        self.visit(node.left, local, guarded)
        self.visit(node.right, local, guarded | _tested(node.left))

    def visit_or(self, node: nodes.Or, local: frozenset[str], guarded: frozenset[tuple[Any, ...]]) -> None:
        self.visit(node.left, local, guarded)
        self.visit(node.right, local, guarded | _tested(node.left, False))

    def visit_filter(self, node: nodes.Filter, local: frozenset[str], guarded: frozenset[tuple[Any, ...]]) -> None:
        if node.name not in self.filters:
            near = nearest_name(node.name, self.filters)
            hint = None if near else f"the filters are {', '.join(sorted(self.filters))}"
            self.problems.append(
                TemplateProblem(
                    "unknown-filter", f'there is no filter "{node.name}"', node.lineno, node.name, near, hint
                )
            )
        if node.node:
            self.visit(node.node, local, guarded | _all_paths(node.node) if node.name in ("default", "d") else guarded)
        self.arguments(node, local, guarded)

    def visit_test(self, node: nodes.Test, local: frozenset[str], guarded: frozenset[tuple[Any, ...]]) -> None:
        if node.name not in self.tests:
            near = nearest_name(node.name, self.tests)
            self.problems.append(
                TemplateProblem("unknown-filter", f'there is no test "is {node.name}"', node.lineno, node.name, near)
            )
        asks = node.name in ("defined", "undefined")
        self.visit(node.node, local, guarded | _all_paths(node.node) if asks else guarded)
        self.arguments(node, local, guarded)

    def visit_assign(
        self, node: nodes.Assign, local: frozenset[str], guarded: frozenset[tuple[Any, ...]]
    ) -> frozenset[str]:
        self.visit(node.node, local, guarded)
        return self.visit(node.target, local, guarded)

    def visit_nsref(self, node: nodes.NSRef, local: frozenset[str], guarded: frozenset[tuple[Any, ...]]) -> None:
        return None

    def visit_assignblock(
        self, node: nodes.AssignBlock, local: frozenset[str], guarded: frozenset[tuple[Any, ...]]
    ) -> frozenset[str]:
        self.block(node.body, local, guarded)
        return self.visit(node.target, local, guarded)

    def visit_macro(
        self, node: nodes.Macro, local: frozenset[str], guarded: frozenset[tuple[Any, ...]]
    ) -> frozenset[str]:
        for default in node.defaults:
            self.visit(default, local, guarded)
        inner = local | {node.name, *_MACRO_NAMES, *(argument.name for argument in node.args)}
        self.block(node.body, inner, guarded)
        return local | {node.name}

    def visit_with(self, node: nodes.With, local: frozenset[str], guarded: frozenset[tuple[Any, ...]]) -> None:
        inner = local
        for target, value in zip(node.targets, node.values, strict=True):
            self.visit(value, local, guarded)
            inner = self.visit(target, inner, guarded)
        self.block(node.body, inner, guarded)

    def _no_files(self, node: nodes.Node, local: frozenset[str], guarded: frozenset[tuple[Any, ...]]) -> None:
        self.problems.append(
            TemplateProblem(
                "template-syntax", "templates load other files as {{ file:path }}, not by import", node.lineno
            )
        )

    visit_include = visit_import = visit_fromimport = visit_extends = _no_files


def _path(node: nodes.Node) -> tuple[tuple[Any, ...], list[nodes.Node]]:
    """The literal path of a chain of fields, and the expressions that stand inside it."""
    parts: list[Any] = []
    inner: list[nodes.Node] = []
    while isinstance(node, (nodes.Getattr, nodes.Getitem)):
        if isinstance(node, nodes.Getattr):
            parts.append(node.attr)
        elif isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, (str, int)):
            parts.append(node.arg.value)
        else:
            inner.append(node.arg)
            parts.clear()  # what follows an unknown index is not known either
        node = node.node
    if isinstance(node, nodes.Name):
        return (node.name, *reversed(parts)), inner
    return (), [*inner, node]


def _all_paths(node: nodes.Node | None) -> frozenset[tuple[Any, ...]]:
    """The paths whose absence a test or default on this node allows for."""
    if isinstance(node, (nodes.Getattr, nodes.Getitem, nodes.Name)):
        path, _ = _path(node)
        return frozenset({path}) if path else frozenset()
    return frozenset()


def _tested(test: nodes.Node, holds: bool = True) -> frozenset[tuple[Any, ...]]:
    """What is known to be there when a test holds, or does not: by ``x is defined`` in it."""
    if isinstance(test, nodes.Not):
        return _tested(test.node, not holds)
    if isinstance(test, nodes.And if holds else nodes.Or):
        return _tested(test.left, holds) | _tested(test.right, holds)
    if isinstance(test, nodes.Test) and test.name == ("defined" if holds else "undefined"):
        return _all_paths(test.node)
    return frozenset()
