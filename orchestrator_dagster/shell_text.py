"""Command lines as texts: whether only a shell can read them."""

from __future__ import annotations

import re

#: What stands in quotes, where a shell reads nothing but `$` and a backquote in double ones; and what is escaped.
_QUOTED = re.compile(r"'[^']*'|\"(?:\\.|[^\"\\$`])*\"|\\.", re.DOTALL)
_OPERATOR = re.compile(r"[|&;<>$`\n]|(?<!\S)~|[*?]")


def shell_operator(text: str) -> str | None:
    """The first character of a command line that a shell would not take as it stands, None when there is none.

    >>> shell_operator("ls -la | head -3"), shell_operator("grep 'a|b' notes.txt")
    ('|', None)
    """
    text = text.strip()
    found = _OPERATOR.search(_QUOTED.sub(lambda quoted: "x" * len(quoted.group()), text))
    return found.group() if found else None
