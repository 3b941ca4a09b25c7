"""What a condition tells before it runs: the names it uses, and types that cannot fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from orchestrator_dagster.language.expressions.functions import OPERATIONS
from orchestrator_dagster.language.expressions.syntax import (
    Arithmetic,
    Call,
    Choice,
    Compare,
    Default,
    Expression,
    Field,
    Index,
    Join,
    ListOf,
    Literal,
    Logic,
    MapOf,
    Node,
    Not,
    Reference,
    Sign,
    Slice,
    Test,
    children,
    describe,
    path_of,
)

Path: TypeAlias = tuple[str | int, ...]

_ANSWERS: Final = frozenset({"true", "false", "yes", "no"})
_NUMERIC: Final = frozenset({"number", "integer", "boolean"})
_TYPES: Final = {
    "string": "string", "path": "string", "secret": "string", "integer": "integer", "number": "number",
    "float": "number", "boolean": "boolean", "array": "array", "list": "array", "object": "object", "dict": "object",
    "map": "object",
}  # fmt: skip
_CALLED: Final = {
    "string": "text", "number": "a number", "integer": "a number", "boolean": "a boolean", "array": "a list",
    "object": "a map", "null": "null",
}  # fmt: skip


def names(expression: Expression) -> tuple[Reference, ...]:
    """Every use of a name, in the order of the text, with the literal fields and indexes behind it."""
    found: list[Reference] = []
    _collect(expression.root, frozenset(), found)
    return tuple(sorted(found, key=lambda reference: reference.offset))


def _collect(
    node: Node, known: frozenset[Path], found: list[Reference], guarded: bool = False, compared: bool = False
) -> None:
    """Add the references below ``node``.

    Args:
        known: Paths that are defined wherever this node is worked out.
        guarded: The node itself may be absent without harm.
        compared: It stands where a text may stand: in a comparison, a list, or a call.
    """
    if path := path_of(node):
        safe = guarded or any(path[: len(other)] == other[: len(path)] for other in known)
        found.append(Reference(path, _start(node), node.end, safe, compared and len(path) == 1))
        return
    match node:
        case Logic(operator=operator, operands=operands):
            for operand in operands:
                _collect(operand, known, found)
                known |= _defined(operand, operator == "and")
        case Choice(condition=condition, then=then, otherwise=otherwise):
            _collect(condition, known, found)
            _collect(then, known | _defined(condition, True), found)
            _collect(otherwise, known | _defined(condition, False), found)
        case Test(operand=operand, name="defined" | "undefined"):
            _collect(operand, known, found, guarded=True)
        case Default(value=value, fallback=fallback, or_false=or_false):
            _collect(value, known, found, guarded=True)
            _collect(fallback, known, found, guarded)
            _collect(or_false, known, found)
        case Field(target=target):
            _collect(target, known, found, guarded)
        case Index(target=target, index=index):
            _collect(target, known, found, guarded)
            _collect(index, known, found)
        case _:
            for child in children(node):
                _collect(child, known, found, compared=_takes_texts(node))


def _takes_texts(node: Node) -> bool:
    """Whether a text may stand directly below ``node``, so that a word there may be one without quotes."""
    if isinstance(node, Compare):
        return all(operator in {"==", "!=", "in", "not in"} for operator, _ in node.others)
    return isinstance(node, (ListOf, Call))


def _start(node: Node) -> int:
    while isinstance(node, (Field, Index)):
        node = node.target
    return node.offset


def _defined(node: Node, answer: bool) -> frozenset[Path]:
    """The paths that are defined when ``node`` is true (``answer``) or false."""
    match node:
        case Test(operand=operand, name="defined" | "undefined" as name) if (name == "defined") is answer:
            path = path_of(operand)
            return frozenset({path}) if path else frozenset()
        case Not(operand=operand):
            return _defined(operand, not answer)
        case Logic(operator=operator, operands=operands) if (operator == "and") is answer:
            return frozenset().union(*(_defined(operand, answer) for operand in operands))
        case _:
            return frozenset()


def check_types(
    expression: Expression, types: Mapping[str, str], choices: Mapping[str, Sequence[Any]] | None = None
) -> list[tuple[int, str]]:
    """What cannot be right whatever the values are: types that never fit, an answer that is no boolean.

    Args:
        expression: See :func:`parser.parse_condition`.
        types: Type of a name or of a path with dots (``research.score``): ``string``, ``number``, ``integer``,
            ``boolean``, ``array``, ``object``, or the other spellings of an input's types; any other is unknown.
        choices: The only values of a name or path that has such.

    Returns:
        The 0-based column and the message of each problem, in the order of the text.
    """
    checker = _Checker(types, choices or {})
    checker.type_of(expression.root)
    checker.answer(expression.root)
    return sorted(checker.problems)


class _Checker:
    def __init__(self, types: Mapping[str, str], choices: Mapping[str, Sequence[Any]]) -> None:
        self.types = types
        self.choices = choices
        self.problems: list[tuple[int, str]] = []

    def problem(self, node: Node, message: str) -> None:
        self.problems.append((node.offset, message))

    def answer(self, node: Node) -> None:
        """Find texts that can become the answer, told as one problem, and lists and maps that never change it."""
        texts: list[tuple[Node, str]] = []
        for one in _answers(node):
            values = self.choices.get(_dotted(path_of(one)), ())
            if isinstance(one, Literal):
                values = (one.value,)
            wrong = [value for value in values if isinstance(value, str) and value.strip().lower() not in _ANSWERS]
            if wrong and len(wrong) == len(values):
                texts += [(one, describe(Literal(0, 0, value))) for value in wrong]
            elif isinstance(one, (ListOf, MapOf)):
                self.problem(one, f"the answer is always the same, since {_CALLED[self.type_of(one)]} is written here")
        if texts:
            shown = list(dict.fromkeys(text for _, text in texts))
            shown = [*shown[:3], "…"] if len(shown) > 4 else shown
            listed = " or ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))
            first = min((one for one, _ in texts), key=lambda one: one.offset)
            self.problem(first, f"the answer can be the text {listed}, which is no boolean: neither true nor false")

    def type_of(self, node: Node) -> str:
        """The type of a node, ``unknown`` where it depends; problems below it are noted on the way."""
        if path := path_of(node):
            return _TYPES.get(self.types.get(_dotted(path), ""), "unknown")
        match node:
            case Literal(value=value):
                return {bool: "boolean", int: "integer", float: "number", str: "string"}.get(type(value), "null")
            case Compare(first=first, others=others):
                self.comparison(first, others)
                return "boolean"
            case Arithmetic():
                return self.arithmetic(node)
            case Call():
                return self.call(node)
            case Choice(condition=condition, then=then, otherwise=otherwise):
                self.type_of(condition)
                return _common(self.type_of(then), self.type_of(otherwise))
            case Default(value=value, fallback=fallback):
                return _common(self.type_of(value), self.type_of(fallback))
            case Logic(operands=operands):
                return _common(*(self.type_of(operand) for operand in operands))
            case Sign(operator=operator, operand=operand):
                kind = self.type_of(operand)
                if kind not in _NUMERIC | {"unknown"}:
                    self.problem(node, f'"{operator}" needs a number; {describe(operand)} is {_CALLED[kind]}')
                return "integer" if kind in {"integer", "boolean"} else "number"
        below = [self.type_of(child) for child in children(node)]
        match node:
            case Not() | Test():
                return "boolean"
            case ListOf():
                return "array"
            case MapOf():
                return "object"
            case Join():
                return "string"
            case Slice():
                return below[0] if below[0] in {"string", "array"} else "unknown"
            case _:
                return "unknown"

    def comparison(self, first: Node, others: tuple[tuple[str, Node], ...]) -> None:
        left, left_type = first, self.type_of(first)
        for operator, right in others:
            right_type = self.type_of(right)
            if "unknown" not in (left_type, right_type):
                self.pair(left, left_type, operator, right, right_type)
            left, left_type = right, right_type

    def pair(self, left: Node, left_type: str, operator: str, right: Node, right_type: str) -> None:
        sides = f"{describe(left)} is {_CALLED[left_type]} and {describe(right)} is {_CALLED[right_type]}"
        one, other = _group(left_type), _group(right_type)
        if operator in ("==", "!="):
            if one != other and "null" not in (one, other):
                self.problem(left, f'{sides}: "{operator}" always says {"no" if operator == "==" else "yes"}')
        elif operator in ("in", "not in"):
            fits = (
                (other == "array") or (other == "string" and one == "string") or (other == "object" and one == "string")
            )
            if not fits:
                self.problem(left, f'{sides}: "{operator}" cannot look for one in the other')
        elif one != other or one in {"object", "null"}:
            self.problem(left, f'{sides}: "{operator}" cannot compare them')

    def arithmetic(self, node: Arithmetic) -> str:
        left, right = self.type_of(node.left), self.type_of(node.right)
        one, other = _group(left), _group(right)
        if "unknown" in (one, other):
            known = other if one == "unknown" else one
            if node.operator not in {"+", "*"} and known not in {"unknown", "number"}:
                self.misfit(node, left, right)
            return "unknown"
        if one == other == "number":
            whole = node.operator in {"+", "-", "*", "//", "%"} and "number" not in (left, right)
            return "integer" if whole else "number"
        if node.operator == "+" and one == other and one in {"string", "array"}:
            return one
        if node.operator == "*" and {one, other} in ({"number", "string"}, {"number", "array"}):
            return other if one == "number" else one
        self.misfit(node, left, right)
        return "unknown"

    def misfit(self, node: Arithmetic, left: str, right: str) -> None:
        shown = [
            f"{describe(side)} is {_CALLED[kind]}"
            for side, kind in ((node.left, left), (node.right, right))
            if kind in _CALLED
        ]
        self.problem(node, f'"{node.operator}" does not fit: {" and ".join(shown)}')

    def call(self, node: Call) -> str:
        operation, name = OPERATIONS[node.function], node.function.lstrip(".|")
        kinds = [self.type_of(argument) for argument in node.arguments]
        if operation.takes and kinds[0] != "unknown" and kinds[0] not in operation.takes:
            first = node.arguments[0]
            self.problem(first, f"{name}() cannot take {describe(first)}, which is {_CALLED[kinds[0]]}")
        elif name == "contains" and "unknown" not in kinds:
            self.pair(node.arguments[1], kinds[1], "in", node.arguments[0], kinds[0])
        return operation.gives


def _answers(node: Node) -> Iterator[Node]:
    """The nodes below ``node`` whose value can become the answer."""
    match node:
        case Choice(then=then, otherwise=otherwise):
            yield from (*_answers(then), *_answers(otherwise))
        case Default(value=value, fallback=fallback):
            yield from (*_answers(value), *_answers(fallback))
        case Logic(operator=operator, operands=operands):
            for operand in operands if operator == "or" else operands[-1:]:
                yield from _answers(operand)
        case _:
            yield node


def _dotted(path: Path) -> str:
    return ".".join(map(str, path))


def _group(kind: str) -> str:
    return "number" if kind in _NUMERIC else kind


def _common(*kinds: str) -> str:
    return kinds[0] if len(set(kinds)) == 1 else "unknown"
