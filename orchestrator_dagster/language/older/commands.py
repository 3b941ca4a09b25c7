"""Commands of the earlier dialect, which a shell read."""

from __future__ import annotations

import re

from orchestrator_dagster.language.nodes import MappingNode
from orchestrator_dagster.language.older.notes import Notes
from orchestrator_dagster.language.older.tree import Keys, scalar, text_of
from orchestrator_dagster.shell_text import shell_operator

_TERMINALS = ("terminal", "terminal_tool", "shell", "bash")
#: Commands of the shell itself. `cd`, `export` and their like mean nothing to what comes after the step.
_BUILTINS = frozenset(". alias cd eval exit export set source trap type ulimit umask unset wait".split())
_TEMPLATE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)


def _for_a_shell(command: str) -> str | None:
    """What of a command only a shell can read: an operator, or a first word that is no program."""
    first = (command.split(None, 1) or [""])[0]
    return first if first in _BUILTINS else shell_operator(command)


def rewrite_command(keys: Keys, notes: Notes) -> None:
    """Give a command line that only a shell can read its ``shell: true``.

    What decides is the text of the file, never a value that a template puts into it. A line with both is refused: the
    shell would read the value too, whoever has written it.
    """
    tool, parameters = text_of(keys.value("tool")), keys.value("parameters")
    if tool is None or tool.strip().lower().replace("-", "_") not in _TERMINALS:
        return
    if not isinstance(parameters, MappingNode) or "shell" in parameters.pairs or "command" not in parameters.pairs:
        return
    key, value = parameters.pairs["command"]
    text = text_of(value)
    operator = _for_a_shell(_TEMPLATE.sub("x", text)) if text else None
    if operator is None or text is None:
        return
    shown = "a line end" if operator == "\n" else f"`{operator}`"
    if _TEMPLATE.search(text):
        notes.unsupported(
            value,
            f"the command has {shown}, which a shell reads, and a template, whose value the shell would read too",
            hint='say `shell: true`, write "$1" in the command and put the template into `args: ["{{ … }}"]`',
        )
        return
    notes.older(key, "command", "command` with `shell: true", "shell: true", f"the command has {shown}")
    inside = Keys(parameters)
    inside.set("shell", scalar(True, value.span), key)
    keys.set("parameters", inside.done(), keys.key("parameters"))
