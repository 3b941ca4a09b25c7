"""Fields of a step's value that were called differently: replaced in templates, conditions and outputs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from orchestrator_dagster.language.nodes import MappingNode, Node, SequenceNode
from orchestrator_dagster.language.older.names import note_replaced, replace_everywhere
from orchestrator_dagster.language.older.notes import Notes
from orchestrator_dagster.language.older.tools import tool_of, tool_steps, word
from orchestrator_dagster.language.older.tree import Keys, text_of

_STRING = r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\""""
_MODEL_WORDS = frozenset(
    "generate generate_text text_generation llm_generate llm_call llm ask_model analyze_text analyze".split()
)
#: A step that leaves a text: everything that the text was called.
_TEXT_FIELDS = dict.fromkeys(
    "content text output response generated_text completion analysis summary answer message data".split(), "{}.result"
)
#: A step whose value is an object of its own: what the object was called.
_OBJECT_FIELDS = dict.fromkeys(
    "data output content response structured structured_output object json".split(), "{}.result"
)
#: Fields that mean something today too: they are replaced in files that are seen to be older.
_ALSO_TODAY = frozenset(("value",))


@dataclass
class _FieldRule:
    """Replaces fields of steps; used like :class:`~orchestrator_dagster.language.older.names.Rule`."""

    fields: Mapping[str, Mapping[str, str]]
    older: bool
    name: str = "."
    made: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        known = "|".join(sorted(map(re.escape, self.fields), key=len, reverse=True))
        maps = r"(?:(?:steps|results|previous_results)\.)?"
        self._pattern = re.compile(
            rf"(?:{_STRING})|(?P<step>(?<![\w.$\])-])\$?{maps}(?P<id>{known}))(?P<rest>(?:\.(?:result|value))?\.(?P<field>\w+))(?P<tail>(?<=\.analysis)\.(?:result|text)\b)?(?![\w(])"
        )
        self._own = re.compile(rf"\{{%-?\s*(?:set|for)\s+(?:{known})\b")

    def makes(self, text: str) -> bool:
        """Whether a template gives the name of such a step to something."""
        return bool(self._own.search(text))

    def apply(self, code: str) -> str:
        """Code with the fields replaced."""
        return self._pattern.sub(self._one, code)

    def _one(self, found: re.Match[str]) -> str:
        if not found["step"]:
            return found[0]
        step, name, known = found["step"], found["field"], self.fields[found["id"]]
        between = found["rest"][: -len(name) - 1]
        if self.older and between == ".value" and "value" in known:  # a field of the value that the tool gave back
            made = f"{known['value'].replace('{}', step)}.{name}"
        elif name not in known or (name in _ALSO_TODAY and (not self.older or between)):
            return found[0]
        else:
            today = known[name]
            made = today.replace("{}", step) if "{}" in today else f"{step}{between}.{today}"
        self.made.append((f"{found['id']}{found['rest']}", made))
        return made


def rewrite_fields(header: Keys, notes: Notes, is_older: bool) -> None:
    """Give every field of a step's value its name of today, where the step's tool has no field of the older name.

    Args:
        header: The file; its steps are in today's spelling.
        notes: Takes a warning for each place.
        is_older: Whether the file is seen to be one of the earlier dialect.
    """
    fields = _fields(tool_steps(header.value("steps")), is_older)
    if not fields:
        return
    rule = _FieldRule(fields, is_older)
    for node, inside in list(replace_everywhere(header, rule, notes)):
        note_replaced(node, dict(rule.made), inside)


def _fields(steps: Iterable[MappingNode], is_older: bool) -> dict[str, Mapping[str, str]]:
    """For each step's id, also with ``_`` for ``-``, the older fields of its value."""
    found: dict[str, Mapping[str, str]] = {}
    doubtful: set[str] = set()
    for step in steps:
        name = text_of(step.pairs["id"][1]) if "id" in step.pairs else None
        if not name:
            continue
        known = _fields_of(step, name, is_older)
        if name in found and found[name] != known:
            doubtful.add(name)
        found[name] = known
    made: dict[str, Mapping[str, str]] = {}
    for name, known in found.items():
        if known and name not in doubtful:
            made[name] = made[name.replace("-", "_")] = known
    return made


def _fields_of(step: MappingNode, name: str, is_older: bool) -> Mapping[str, str]:
    pairs = step.pairs
    if any(key in pairs for key in ("for_each", "while", "until", "steps", "pipeline")):
        return {}
    declared = _names(pairs["vars"][1]) if "vars" in pairs else set()
    if declared:
        return {one: today for one, today in _OBJECT_FIELDS.items() if one not in declared} if is_older else {}
    tool = tool_of(step)
    if tool is not None:
        return tool[1].form(tool[2]).fields
    action = word(text_of(pairs["action"][1])) if "action" in pairs else ""
    asks = "tool" not in pairs and ("prompt" in pairs or action in _MODEL_WORDS or " " in action)
    return _TEXT_FIELDS if asks and is_older else {}


def _names(variables: Node) -> set[str]:
    if isinstance(variables, MappingNode):
        return set(variables.pairs)
    if isinstance(variables, SequenceNode):
        return {name for item in variables.items if isinstance(item, MappingNode) for name in item.pairs}
    return set()
