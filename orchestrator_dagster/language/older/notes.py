"""What the rewriting of an older pipeline says, and what it knows of the whole file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from orchestrator_dagster.language.diagnostics import Problems, Span
from orchestrator_dagster.language.nodes import Document, MappingNode, Node, ScalarNode, SequenceNode
from orchestrator_dagster.language.older.tree import Keys, line, same, text_of

#: Keys below which steps stand.
BODIES = ("steps", "action_loop", "create_parallel_queue", "then", "else", "if", "parameters", "on")


@dataclass
class Notes:
    """Takes the warnings and errors of one file.

    Args:
        document: The file.
        problems: Where they go.
        ids: Ids of all steps, also those that the rewriting adds.
        step: Id of the step that is rewritten, None in the header.
        routes: For steps of this body: a condition from a branch of another step, and where.
        inside_branches: For steps of this body: the steps written inside their branches.
        output_dir: Where a step's `location` asks that products' paths start at the workspace root: its key.
        names_folder: Whether the file speaks of an output folder.
    """

    document: Document
    problems: Problems
    ids: set[str] = field(default_factory=set)
    step: str | None = None
    routes: dict[str, tuple[str, ScalarNode]] = field(default_factory=dict)
    inside_branches: dict[str, list[ScalarNode]] = field(default_factory=dict)
    output_dir: list[ScalarNode] = field(default_factory=list)
    names_folder: bool = False

    def inside(self, step: str | None) -> Notes:
        """The same for a step."""
        return replace(self, step=step)

    def for_body(self) -> Notes:
        """The same for the body of a loop, whose steps have branches of their own."""
        return replace(self, routes={}, inside_branches={})

    def older(self, key: ScalarNode | Span, old: str, today: str, written: str, more: str = "") -> None:
        """Warn of a spelling that is only tolerated.

        Args:
            key: Where it stands.
            old: The spelling in the file.
            today: Today's spelling.
            written: The line as it would be written today.
            more: What else is to be known.
        """
        message = f"`{old}` is an older spelling of `{today}`{f'; {more}' if more else ''}"
        self.problems.add(
            "older-spelling",
            self._at(message),
            _span(key),
            severity="warning",
            step=self.step,
            hint=f"write `{written}`",
        )

    def no_effect(self, key: ScalarNode, why: str, hint: str = "remove it") -> None:
        """Warn of a key that does nothing."""
        self.problems.add("no-effect", self._at(why), key.span, severity="warning", step=self.step, hint=hint)

    def unsupported(
        self, key: ScalarNode | Node | Span, message: str, hint: str | None = None, suggestion: str | None = None
    ) -> None:
        """Note what would change what happens and cannot be honoured."""
        self.problems.add(
            "older-unsupported", self._at(message), _span(key), step=self.step, hint=hint, suggestion=suggestion
        )

    def rename(self, keys: Keys, old: str, new: str, value: Node | None = None) -> bool:
        """Give a key today's name, and a value when that changes too; of two that say different things neither wins.

        Returns:
            Whether the key of the new name now says what the old one said.
        """
        value = value or keys.value(old)
        assert value is not None
        key = keys.key(old)
        if new in keys and not same(keys.value(new), value):
            self.unsupported(
                key,
                f"`{old}` is an older spelling of `{new}`, and `{new}` stands here too with another value",
                hint="keep one of the two",
            )
            keys.remove(old)
            return False
        self.older(key, key.text, new, line(new, value))
        if new in keys:
            keys.remove(old)
        else:
            keys.replace(old, {new: value})
        return True

    def new_id(self, wanted: str) -> str:
        """An id for a step that the rewriting adds."""
        name, number = wanted, 2
        while name in self.ids:
            name, number = f"{wanted}_{number}", number + 1
        self.ids.add(name)
        return name

    def _at(self, message: str) -> str:
        return f'step "{self.step}": {message}' if self.step else message


def _span(place: Node | Span) -> Span:
    return place if isinstance(place, Span) else place.span


def step_ids(body: Node | None) -> Iterator[str]:
    """The ids of all steps below a list of steps, those of loops and branches included."""
    if isinstance(body, SequenceNode):
        for item in body.items:
            if isinstance(item, MappingNode):
                name = text_of(item.pairs["id"][1]) if "id" in item.pairs else None
                if name is not None:
                    yield name
                yield from _inner_ids(item)


def _inner_ids(node: MappingNode) -> Iterator[str]:
    for key in BODIES:
        pair = node.pairs.get(key)
        if pair and isinstance(pair[1], SequenceNode):
            yield from step_ids(pair[1])
        elif pair and isinstance(pair[1], MappingNode):
            yield from _inner_ids(pair[1])


def identifier(text: str, otherwise: str) -> str:
    """An id made of a title: ``Read the file`` is ``read_the_file``."""
    made = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    return made if made and made[0].isalpha() else otherwise
