"""Filters and names of the run that are called differently today."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field

from orchestrator_dagster.language.older.names import note_replaced, replace_everywhere
from orchestrator_dagster.language.older.notes import Notes
from orchestrator_dagster.language.older.tree import Keys

_FILTERS = {
    "json": "to_json", "toyaml": "to_yaml", "yaml": "to_yaml", "fromjson": "from_json", "parse_json": "from_json",
    "json_parse": "from_json", "fromyaml": "from_yaml", "slug": "slugify", "regex_match": "regex_search",
}  # fmt: skip
_NAMES = {
    "execution.start_time": "execution.started_at", "execution.run_id": "execution.id",
    "execution.execution_id": "execution.id", "pipeline.id": "pipeline_id", "execution.pipeline_id": "pipeline_id",
}  # fmt: skip
_STRING = r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\""""
_FOUND = re.compile(
    rf"{_STRING}|\|\s*(?P<filter>{'|'.join(_FILTERS)})\b(?!\s*=)"
    rf"|(?<![\w.$-])(?P<name>{'|'.join(map(re.escape, _NAMES))})(?![\w-])"
)


@dataclass
class _Words:
    """Replaces them; used like :class:`~orchestrator_dagster.language.older.names.Rule`."""

    taken: Collection[str]
    name: str = ""
    made: list[tuple[str, str]] = field(default_factory=list)

    def makes(self, text: str) -> bool:
        """None of them is made by a template."""
        return False

    def apply(self, code: str) -> str:
        """Code with the words replaced."""
        return _FOUND.sub(self._one, code)

    def _one(self, found: re.Match[str]) -> str:
        old = found["filter"] or found["name"]
        if not old or old.partition(".")[0] in self.taken:
            return found[0]
        today = _FILTERS.get(old) or _NAMES[old]
        self.made.append((old, today))
        return found[0].replace(old, today)


def rewrite_words(header: Keys, notes: Notes) -> None:
    """Give filters and names of the run their names of today, in steps and outputs."""
    rule = _Words(set(notes.ids))
    for node, inside in list(replace_everywhere(header, rule, notes)):
        note_replaced(node, dict(rule.made), inside)
