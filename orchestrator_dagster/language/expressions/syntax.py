"""The tree of a condition: a closed set of immutable nodes, each with the place it stands at.

Whatever a condition can say is one of these nodes; both spellings of the language (Python's and Jinja's) are read into
them, and evaluating, checking and listing names only ever see them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeAlias

from orchestrator_dagster.errors import OrchestratorError

MAX_TEXT: Final = 10_000  # characters of one condition
MAX_DEPTH: Final = 100  # levels of nesting; the evaluator recurses two Python frames a level
MAX_NODES: Final = 2_000  # nodes of one tree


class ExpressionSyntaxError(OrchestratorError):
    """A condition cannot be read, or says something that conditions do not have.

    Args:
        message: What is wrong and what is allowed instead.
        offset: 0-based column of the first wrong character in the condition's text.
        end_offset: The column behind the last wrong character.
        hint: The one next step.
        code: The diagnostic that it is in a pipeline file.
    """

    def __init__(
        self, message: str, offset: int, end_offset: int, hint: str | None = None, code: str = "expression-syntax"
    ) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.offset = offset
        self.end_offset = max(end_offset, offset)


Scalar: TypeAlias = "str | int | float | bool | None"


@dataclass(frozen=True, slots=True)
class Node:
    """Base of all nodes. The place does not count when two trees are compared.

    Attributes:
        offset: 0-based column of the first character in the condition's text.
        end: The column behind the last one.
    """

    offset: int = field(compare=False)
    end: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A text, number, boolean or null that is written in the condition."""

    value: Scalar


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A value that the pipeline or the run gives."""

    name: str


@dataclass(frozen=True, slots=True)
class Field(Node):
    """``target.name``: a key of a map, never an attribute of a Python object."""

    target: Node
    name: str


@dataclass(frozen=True, slots=True)
class Index(Node):
    """``target[index]``: an item of a list, a character of a text, a key of a map."""

    target: Node
    index: Node


@dataclass(frozen=True, slots=True)
class Slice(Node):
    """``target[start:stop:step]`` of a list or text."""

    target: Node
    start: Node | None
    stop: Node | None
    step: Node | None


@dataclass(frozen=True, slots=True)
class Logic(Node):
    """``a and b and c`` or ``a or b or c``; ``operator`` is ``and`` or ``or``."""

    operator: str
    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not(Node):
    """``not operand``."""

    operand: Node


@dataclass(frozen=True, slots=True)
class Compare(Node):
    """``first op second op third``, chained as in Python. Operators: ``== != < <= > >= in`` and ``not in``."""

    first: Node
    others: tuple[tuple[str, Node], ...]


@dataclass(frozen=True, slots=True)
class Test(Node):
    """``operand is name``; the names are the keys of :data:`TESTS`."""

    operand: Node
    name: str


@dataclass(frozen=True, slots=True)
class Arithmetic(Node):
    """``left operator right`` with one of ``+ - * / // % **``."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Sign(Node):
    """``-operand`` or ``+operand``."""

    operator: str
    operand: Node


@dataclass(frozen=True, slots=True)
class Choice(Node):
    """``then if condition else otherwise``."""

    condition: Node
    then: Node
    otherwise: Node


@dataclass(frozen=True, slots=True)
class ListOf(Node):
    """A list or tuple literal: over JSON values both are a list."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class MapOf(Node):
    """A map literal: pairs of key and value."""

    items: tuple[tuple[Node, Node], ...]


@dataclass(frozen=True, slots=True)
class Join(Node):
    """The texts of ``parts`` one after another: ``a ~ b``, or ``{{ e }}`` inside quotes."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Default(Node):
    """``value``, or ``fallback`` where it is absent, or where it is false and ``or_false`` is true."""

    value: Node
    fallback: Node
    or_false: Node


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A pure function over ``arguments``; ``function`` is a key of :data:`functions.OPERATIONS`."""

    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class OlderSpelling:
    """Something that is only tolerated: ``today`` is how it is written now, ``offset`` and ``end`` where it stands."""

    written: str
    today: str
    offset: int
    end: int


@dataclass(frozen=True, slots=True)
class Expression:
    """A condition that has been read.

    Attributes:
        text: The condition as it stands in the file; offsets count in it.
        root: The tree.
        older: What is written in an older spelling.
    """

    text: str
    root: Node
    older: tuple[OlderSpelling, ...] = ()


@dataclass(frozen=True, slots=True)
class Reference:
    """One use of a name.

    Attributes:
        path: The name and the fields and indexes behind it, as far as they are literal: ``("rows", 0, "score")``.
        offset: 0-based column of the name in the condition's text.
        end: The column behind the path.
        guarded: Its value may be absent without harm: by ``default``, or because ``is defined`` was asked before.
        compared: It is a word by itself that is compared, listed or given to a function: maybe a text without quotes.
    """

    path: tuple[str | int, ...]
    offset: int
    end: int
    guarded: bool
    compared: bool = False

    @property
    def root(self) -> str:
        """The name itself."""
        return str(self.path[0])


# What may stand behind ``is``, and the spelling that the tree uses.
TESTS: Final = {
    "defined": "defined",
    "undefined": "undefined",
    "none": "none",
    "None": "none",
    "null": "none",
    "true": "true",
    "True": "true",
    "false": "false",
    "False": "false",
    "boolean": "boolean",
    "string": "string",
    "number": "number",
    "integer": "integer",
    "float": "float",
    "mapping": "mapping",
    "sequence": "sequence",
    "iterable": "iterable",
}

CONSTANTS: Final[dict[str, Scalar]] = {
    "true": True,
    "True": True,
    "false": False,
    "False": False,
    "null": None,
    "none": None,
    "None": None,
}


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly below ``node``, in the order of the text."""
    match node:
        case Field(target=target):
            return (target,)
        case Index(target=target, index=index):
            return (target, index)
        case Slice():
            return (node.target, *(part for part in (node.start, node.stop, node.step) if part is not None))
        case Logic(operands=nodes) | ListOf(items=nodes) | Join(parts=nodes) | Call(arguments=nodes):
            return nodes
        case Not(operand=operand) | Test(operand=operand) | Sign(operand=operand):
            return (operand,)
        case Compare(first=first, others=others):
            return (first, *(other for _, other in others))
        case Arithmetic(left=left, right=right):
            return (left, right)
        case Choice():
            return (node.then, node.condition, node.otherwise)
        case MapOf(items=items):
            return tuple(part for pair in items for part in pair)
        case Default():
            return (node.value, node.fallback, node.or_false)
        case _:
            return ()


def path_of(node: Node) -> tuple[str | int, ...]:
    """``("a", "b", 0)`` for ``a.b[0]``; empty for what is no name with literal fields and indexes."""
    steps: list[str | int] = []
    while True:
        match node:
            case Name(name=name):
                return (name, *reversed(steps))
            case Field(target=target, name=name):
                steps.append(name)
                node = target
            case Index(target=target, index=Literal(value=str() | int() as key)) if not isinstance(key, bool):
                steps.append(key)
                node = target
            case Index(target=target, index=Sign(operator="-", operand=Literal(value=int(number)))):
                steps.append(-number)
                node = target
            case _:
                return ()


def describe(node: Node) -> str:
    """How a message names the node: its path, or what it is."""
    if path := path_of(node):
        head, *rest = path
        return str(head) + "".join(
            f".{step}" if isinstance(step, str) and step.isidentifier() else f"[{step!r}]" for step in rest
        )
    match node:
        case Literal(value=value):
            shown = repr(value)
            return shown if len(shown) <= 40 else f"{shown[:37]}..."
        case Call(function=function):
            return f"{function.lstrip('.|')}(...)"
        case Field(name=name):
            return f"(...).{name}"
        case _:
            return "the expression"
