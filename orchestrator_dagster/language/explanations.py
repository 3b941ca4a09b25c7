"""What each diagnostic code means at length: one Markdown file a code, in ``codes/`` beside this module.

The command ``orchestrator explain``, the rules of the SARIF output and the pages of the documentation are made from
these files. The first sentence, what the code means, is the one in
:data:`~orchestrator_dagster.language.diagnostics.CODES`. A file ``codes/<code>.md``::

    topic: Tools
    severity: error

    Why it is an error. Paragraphs of Markdown; links are relative to docs/reference/diagnostics/.

    ```yaml wrong
    steps: …
    ```

    ```yaml right
    steps: …
    ```

    What to do.

A block says after its language whether it belongs to the ``wrong`` or the ``right`` example, or to ``both``, and may
give a file name: ```` ```text both notes/march.md ````. Without one, YAML is ``example.yaml``. A ``bash`` block is run
in the example's folder; its line ``orchestrator validate FILE`` says which file is checked, by default the first YAML
file of the example. The tests check that the wrong example gives the code and that the right one does not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

from orchestrator_dagster.language.diagnostics import CODES, Severity

Role = Literal["wrong", "right"]

FOLDER = Path(__file__).with_name("codes")
DEFAULT_FILE = "example.yaml"
_FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$\n?", re.MULTILINE | re.DOTALL)
_INFO = re.compile(r"(?P<language>\w+) (?P<role>wrong|right|both)(?: (?P<file>\S+))?")
_TITLES: dict[Role, str] = {"wrong": "Wrong", "right": "Right"}
_ROLES: dict[str, tuple[Role, ...]] = {"wrong": ("wrong",), "right": ("right",), "both": ("wrong", "right")}
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_VALIDATE = re.compile(r"^orchestrator validate (\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A part of an example: a file's text, or with the language ``bash`` the commands that make the files."""

    language: str
    roles: tuple[Role, ...]
    text: str
    file: str | None


@dataclass(frozen=True)
class Explanation:
    """A code at length: ``meaning`` is one sentence, ``why`` and ``what_to_do`` are Markdown."""

    code: str
    meaning: str
    topic: str
    severity: Severity
    why: str
    what_to_do: str
    blocks: tuple[Block, ...]

    def example(self, role: Role) -> list[Block]:
        """The parts of one example, in order."""
        return [block for block in self.blocks if role in block.roles]

    def headed(self, role: Role) -> list[tuple[str | None, Block]]:
        """The parts of one example, each with the file name to show: none where there is but the usual file."""
        blocks = self.example(role)
        alone = {block.file for block in blocks} <= {DEFAULT_FILE, None}
        return [(None if alone else block.file, block) for block in blocks]

    def validated(self, role: Role) -> str:
        """The file of an example that is checked."""
        blocks = self.example(role)
        named = [found[1] for block in blocks if (found := _VALIDATE.search(block.text)) and block.language == "bash"]
        files = [block.file for block in blocks if block.language == "yaml" and block.file]
        return [*named, *files, DEFAULT_FILE][0]


def explanation(code: str) -> Explanation:
    """The explanation of a code.

    Raises:
        KeyError: There is no such code.
        ValueError: It has no file, or its file lacks a part.
    """
    meaning, path = CODES[code], FOLDER / f"{code}.md"
    if not path.is_file():
        raise ValueError(
            f'the code "{code}" is not explained: write orchestrator_dagster/language/codes/{code}.md (the form stands'
            " at the top of orchestrator_dagster/language/explanations.py, any file there is an example), then run:"
            " python docs/generate.py"
        )
    return parse(code, meaning, path.read_text(encoding="utf-8"))


def parse(code: str, meaning: str, text: str) -> Explanation:
    """Read the text of a code's file.

    Raises:
        ValueError: It lacks a part; the message says which.
    """
    head, _, body = text.partition("\n\n")
    said = dict(line.partition(": ")[::2] for line in head.splitlines())
    if said.keys() != {"topic", "severity"} or said["severity"] not in ("error", "warning"):
        raise ValueError(f"{code}.md: starts with the lines `topic: …` and `severity: error` or `severity: warning`")
    fences = list(_FENCE.finditer(body))
    if not fences:
        raise ValueError(f"{code}.md: there is no example")
    blocks = tuple(_block(code, fence["info"], fence["text"]) for fence in fences)
    between = [body[one.end() : other.start()].strip() for one, other in pairwise(fences)]
    why, what_to_do = body[: fences[0].start()].strip(), body[fences[-1].end() :].strip()
    if any(between) or not why or not what_to_do:
        raise ValueError(f"{code}.md: text stands before the first example (why) and after the last (what to do)")
    made = Explanation(
        code, meaning, said["topic"], "error" if said["severity"] == "error" else "warning", why, what_to_do, blocks
    )
    if not made.example("wrong") or not made.example("right"):
        raise ValueError(f"{code}.md: a wrong and a right example are needed")
    return made


def _block(code: str, info: str, text: str) -> Block:
    found = _INFO.fullmatch(info)
    if found is None or not (found["file"] or found["language"] in ("yaml", "bash")):
        raise ValueError(f"{code}.md: cannot read ```{info}; for example ```yaml wrong, or ```text both notes/march.md")
    file = found["file"] or (DEFAULT_FILE if found["language"] == "yaml" else None)
    return Block(found["language"], _ROLES[found["role"]], text, file)


def as_text(one: Explanation) -> str:
    """The explanation as a terminal shows it."""
    parts = [f"{one.code} ({one.severity}): {one.meaning}", plain(one.why)]
    for role, title in _TITLES.items():
        for number, (name, block) in enumerate(one.headed(role)):
            heading = f"{title}: {name or ''}".rstrip() if number == 0 else name
            lines = [f"    {line}".rstrip() for line in block.text.splitlines()]
            parts.append("\n".join([heading, *lines] if heading else lines))
    return "\n\n".join([*parts, plain(one.what_to_do)])


def as_markdown(one: Explanation) -> str:
    """The explanation as Markdown; links are left out, because they would lead nowhere outside the documentation."""
    parts = [one.meaning, plain(one.why)]
    for role, title in _TITLES.items():
        parts.append(f"**{title}**")
        for name, block in one.headed(role):
            parts += [f"`{name}`:"] if name else []
            parts.append(f"```{block.language}\n{block.text}```")
    return "\n\n".join([*parts, plain(one.what_to_do)])


def as_list() -> str:
    """Every code with its meaning, by topic, as a terminal shows it."""
    width = max(map(len, CODES))
    parts = [
        "\n".join([topic, *(f"  {one.code:{width}}  {one.meaning}" for one in found)])
        for topic, found in topics().items()
    ]
    return "\n\n".join(parts)


def plain(markdown: str) -> str:
    """Markdown as plain text: links lose their targets."""
    return _LINK.sub(r"\1", markdown)


def topics() -> dict[str, list[Explanation]]:
    """All explanations by topic, in the order of ``CODES``."""
    found: dict[str, list[Explanation]] = {}
    for code in CODES:
        one = explanation(code)
        found.setdefault(one.topic, []).append(one)
    return found
