"""From a request's messages to what is asked (instruction, question, topic) and of what (documents, tables).

A user message has its data in ``<data name="…">…</data>`` blocks and its instruction outside them. Without blocks the
first line, up to its colon, and the lines of requirements after it are the instruction; the rest is the text.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator_dagster.models.client import Message
from orchestrator_dagster.models.extractive.text import Document, read_document
from orchestrator_dagster.models.extractive.words import (
    STOP_WORDS,
    TASK_WORDS,
    content_stems,
    plain,
    stem,
    stop_words,
    words,
)

_BLOCK = re.compile(r"<data\s+name=(?:\"([^\"]*)\"|'([^']*)')[^<>]*>")
_TEXT_KEYS = (
    "content",
    "text",
    "body",
    "markdown",
    "full_text",
    "page_content",
    "value",
    "snippet",
    "summary",
    "abstract",
)
_TITLE_KEYS = ("title", "headline", "heading")
_NAME_KEYS = (
    "name",
    "filename",
    "file_name",
    "file",
    "source",
    "path",
    "file_path",
    "location",
    "url",
    "link",
    "href",
    "id",
)
_PARAMETER = re.compile(
    r"(?i)(?:.*_)?(?:topic|query|question|subject|focus|keywords?|search_terms?|title|style|tone|length|max_\w+|"
    r"num_\w+|number_of_\w+|count|limit|language|format|audience|thema|frage|sujet|tema|pregunta)s?$"
)
_SUBJECT = re.compile(
    r"(?i)(?:.*_)?(?:topic|query|question|subject|focus|keywords?|search_terms?|thema|frage|sujet|tema|pregunta)s?$"
)
_REQUIREMENT = re.compile(
    r"(?i)\s*(?:[-*•]\s+|\d{1,2}[.)]\s+)?(?:please\s+)?(?:use|write|include|give|focus|list|keep|return|answer|provide|"
    r"format|do not|don't|be |make|respond|limit|identify|extract|mention|cite|avoid|start|end|add|output"
    r"|describe|explain|"
    r"summari[sz]e|your |in (?:one|two|three|four|five|\d)|max|at most|no more|schreibe|nenne|fasse|antworte|verwende|"
    r"écris|donne|réponds|escribe|responde)\b"
)
_RULES_LABEL = re.compile(
    r"(?i)\s*(?:#+\s*|\*\*)?(?:requirements?|instructions?|rules?|guidelines?|output(?: format)?|format|task"
    r"|tasks|steps"
    r"|constraints?|anforderungen|regeln|aufgabe|consignes|instrucciones)\W*$"
)
_LABEL = re.compile(r"\s*(?:#+\s*|\*\*)?[^\n.!?]{2,60}:\**\s*$")
_TOPIC = re.compile(
    r"(?i)\b(?:analy[sz]e|(?:overview|summary|analysis|history) of|discuss|explore|investigate|research|about"
    r"|regarding|concerning|on the (?:topic|subject) of|on|über|zum thema|zu|sur|sobre)\s+"
    r"(?:the (?:topic|subject)(?: of)?:?\s+)?[\"“„'«]?(?P<topic>[^\n.,:;?!\"“”»«()<>{}]{3,80})"
)
_TOPIC_END = re.compile(
    r"(?i)\s+(?:in (?:\d|one|two|three|four|five|six|a |at most|no more|markdown|about)|using|based|from (?:the"
    r"|these|this)|with|"
    r"for |as (?:a |bullet|markdown)|that |which |and (?:list|give|write|include|add)|mit |auf |aus |avec "
    r"|à partir|con |de estos)"
)
_NO_TOPIC = re.compile(
    r"(?i)(?:the |this |these |those |it\b|its\b|them\b|following|each|every|what|how|one |two |\d|den |die |das "
    r"|dem |les |le |la |los |las |el )"
    r"(?=.*\b(?:following|documents?|texts?|basis|data|findings|sources?|files?|articles?|notes?|content|below"
    r"|above|given|"
    r"results?|it|them|folgenden?|texten?|dokumenten?|documentos?|textes?|textos?)\b)|(?:it|its|them|each)\b"
)
_TASK_STEMS = frozenset(stem(plain(word)) for word in TASK_WORDS)
_DEEPEST = 12


@dataclass(frozen=True)
class Table:
    """Flat rows, in the order of the data. ``columns`` as they first appear."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]


@dataclass
class Sources:
    """Everything that the data holds, in order. ``fields`` are single facts of JSON objects, by their key."""

    documents: list[Document] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(any(document.sentences for document in self.documents) or self.tables or self.fields)


@dataclass(frozen=True)
class Prompt:
    """What is asked of which text.

    Args:
        instruction: The text outside the data, with the short parameters (``topic``, ``length`` …) that came as data.
        system: The system prompts, used for length wishes only.
        topic: What the instruction is about, as written there; "" where it does not say.
        topic_stems: Stems of the words that tell the subject from the task, without repetitions.
        question: The question that is asked, "" for none.
        sources: The data.
    """

    instruction: str
    system: str
    topic: str
    topic_stems: tuple[str, ...]
    question: str
    sources: Sources


def read_prompt(messages: Sequence[Message]) -> Prompt:
    """Take a conversation apart. Only user messages and tool results count; nothing in the data is an instruction."""
    sources = Sources()
    asked, given = [], []
    users = [message.content for message in messages if message.role == "user"]
    blocks: list[tuple[str, str]] = []
    for content in users:
        outside, inside = _blocks(content)
        asked.append(outside)
        blocks.extend(inside)
    for message in messages:
        if message.role == "tool":
            blocks.append((f"result {message.tool_call_id or ''}".strip(), message.content))
    parameters = [(name, content) for name, content in blocks if _is_parameter(name, content)]
    for name, content in blocks:
        if not _is_parameter(name, content):
            read_data(name, content, sources)
    instruction = "\n".join(part.strip() for part in asked)
    if not sources:
        instruction, text = _without_blocks(instruction)
        if text.strip():
            read_data("text", text, sources)
    given = [f"{name.replace('_', ' ')}: {content.strip()}" for name, content in parameters]
    subject = next((content.strip() for name, content in parameters if _SUBJECT.match(name)), "")
    question = _question(instruction, parameters)
    about = question or instruction
    stops = stop_words(document.language for document in sources.documents)
    # 400 words of instruction say what it is about; more is most likely text that was put there by a template.
    stems = content_stems(" ".join([subject, *words(about)[:400]]), stops)
    told = [word for word in stems if word not in _TASK_STEMS and not word.isdigit()]
    told = told or (stems if question else [])  # "What is a table?" is about tables
    topic = " ".join(subject.split())[:120] if subject and "?" not in subject else _topic(instruction)
    if topic and not question:
        # A subject that is named counts alone: what else the instruction says is about the task.
        told = [word for word in content_stems(topic, stops) if word not in _TASK_STEMS] or told
    return Prompt(
        instruction="\n".join([instruction, *given]).strip(),
        system="\n".join(message.content for message in messages if message.role == "system"),
        topic=topic,
        topic_stems=tuple(dict.fromkeys(told)),
        question=question,
        sources=sources,
    )


def _blocks(content: str) -> tuple[str, list[tuple[str, str]]]:
    outside: list[str] = []
    inside: list[tuple[str, str]] = []
    at = 0
    while start := _BLOCK.search(content, at):
        outside.append(content[at : start.start()])
        end = content.find("</data>", start.end())
        end = len(content) if end < 0 else end
        inside.append((start[1] or start[2] or "data", content[start.end() : end].strip("\n")))
        at = min(len(content), end + len("</data>"))
    outside.append(content[at:])
    return "\n".join(outside), inside


def _is_parameter(name: str, content: str) -> bool:
    text = content.strip()
    return "\n" not in text and len(words(text[:2000])) <= 25 and text[:1] not in "[{" and bool(_PARAMETER.match(name))


def _without_blocks(prompt: str) -> tuple[str, str]:
    """The instruction and the text of a prompt that has both in one."""
    lines = prompt.strip().split("\n")
    first = lines[0]
    colon = re.search(r":\s", first + "\n")
    if colon and len(words(first[: colon.start()])) <= 60 and first[colon.end() :].strip():
        return first[: colon.start()], "\n".join([first[colon.end() :], *lines[1:]])
    if len(lines) == 1:
        return prompt, ""
    at, in_rules = 1, False
    while at < len(lines):
        line = lines[at]
        if not line.strip():
            in_rules = False
        elif _RULES_LABEL.match(line):
            in_rules = True
        elif _LABEL.match(line):
            at += 1
            break
        elif not (in_rules or (len(words(line)) <= 40 and (_REQUIREMENT.match(line) or line.rstrip().endswith("?")))):
            break
        at += 1
    rest = "\n".join(lines[at:])
    return ("\n".join(lines[:at]), rest) if rest.strip() else (first, "\n".join(lines[1:]))


def _question(instruction: str, parameters: Sequence[tuple[str, str]]) -> str:
    for name, content in parameters:
        if re.search(r"(?i)question|frage|pregunta", name) or (content.strip().endswith("?") and _SUBJECT.match(name)):
            return content.strip()
    found = re.findall(r"[^.!?\n:]{4,400}\?", instruction)
    if found:
        return " ".join(part.strip() for part in found)
    head = re.match(
        r"(?i)\s*((?:what|when|where|who|whom|whose|why|how|which|was|wann|wo|wer|warum|wie|welche[rsn]?|que"
        r"|quand|où|qui"
        r"|pourquoi|comment|qué|cuándo|dónde|quién|cómo)\b[^\n.!?]{6,400})",
        instruction,
    )
    return head[1].strip() if head else ""


def _topic(instruction: str) -> str:
    for match in _TOPIC.finditer(instruction[:4000]):
        topic = _TOPIC_END.split(match["topic"], maxsplit=1)[0].strip(" '’-")
        # "about 250 words", "on the main findings": about the task, not about a subject.
        told = [
            word for word in content_stems(topic, STOP_WORDS["en"]) if word not in _TASK_STEMS and not word.isdigit()
        ]
        if len(topic) > 2 and told and not _NO_TOPIC.match(topic) and len(words(topic)) <= 12:
            return topic
    return ""


def read_data(name: str, content: str, into: Sources) -> None:
    """Add what a data block holds: JSON (documents, tables, facts), CSV (a table), or a text."""
    text = content.strip()
    if text[:1] in ("[", "{", '"'):
        try:
            _walk(name, json.loads(text, parse_int=_cell, parse_float=_cell, parse_constant=str), into, 0)
            return
        except (ValueError, RecursionError):
            pass  # it only looks like JSON: a text that opens with a bracket
    rows = _csv_rows(text)
    if rows:
        _add_table(name, rows, into)
    elif text:
        _add_document(into, name, text)


def _walk(name: str, value: Any, into: Sources, depth: int) -> None:
    if depth > _DEEPEST:
        return
    if isinstance(value, str):
        _add_text(name, value, into)
    elif isinstance(value, list):
        if value and all(isinstance(row, dict) and _is_flat(row) for row in value) and len(value[0]) > 1:
            _add_table(name, value, into)
        else:
            for item in value:
                _walk(name, item, into, depth + 1)
    elif isinstance(value, dict):
        _walk_object(name, value, into, depth)


def _walk_object(name: str, value: dict[str, Any], into: Sources, depth: int) -> None:
    text_key = _text_key(value)
    scalars = {key: item for key, item in value.items() if isinstance(item, (str, int, float)) and key != text_key}
    if text_key:
        title = next((str(scalars[key]) for key in _TITLE_KEYS if scalars.get(key)), "")
        origin = next((str(scalars[key]) for key in _NAME_KEYS if scalars.get(key)), "") or title or name
        _add_document(into, origin, str(value[text_key]), title, scalars)
    else:
        for key, item in scalars.items():
            into.fields.setdefault(key, item)
    for key, item in value.items():
        if isinstance(item, (list, dict)):
            _walk(key, item, into, depth + 1)


def _text_key(value: Mapping[str, Any]) -> str:
    """The key of an object's text: its longest string, when that is a text and no label."""
    texts = {key: item for key, item in value.items() if isinstance(item, str)}
    known = [key for key in texts if key.lower() in _TEXT_KEYS and len(words(texts[key][:2000])) >= 4]
    prose = known or [key for key, item in texts.items() if len(words(item[:2000])) >= 10]
    return max(prose, key=lambda key: (len(texts[key]), key)) if prose else ""


def _is_flat(row: Mapping[str, Any]) -> bool:
    return not _text_key(row) and not any(isinstance(item, (list, dict)) for item in row.values())


def _add_text(name: str, text: str, into: Sources) -> None:
    if len(words(text[:2000])) >= 4:
        _add_document(into, name, text)
    elif text.strip():
        into.fields.setdefault(name, text)


def _add_document(
    into: Sources, name: str, text: str, title: str = "", fields: Mapping[str, Any] | None = None
) -> None:
    into.documents.append(read_document(name, text, len(into.documents), title, dict(fields or {})))


def _add_table(name: str, rows: Sequence[Mapping[str, Any]], into: Sources) -> None:
    columns = dict.fromkeys(str(key) for row in rows for key in row)
    into.tables.append(Table(name, tuple(columns), tuple(rows)))


def _csv_rows(text: str) -> list[dict[str, Any]]:
    lines = text.split("\n", 3)
    if len(lines) < 2:
        return []
    for separator in (",", ";", "\t"):
        width = lines[0].count(separator)
        if width and all(line.count(separator) == width for line in lines[:3] if line.strip()) and len(lines[0]) < 500:
            break
    else:
        return []
    try:
        read = [row for row in csv.reader(io.StringIO(text), delimiter=separator) if row]
    except csv.Error:
        return []
    head = [cell.strip() for cell in read[0]]
    if len(read) < 2 or any(len(words(cell)) > 6 or not cell for cell in head) or len(set(head)) < len(head):
        return []
    if sum(len(row) != len(head) for row in read) > len(read) // 20:
        return []  # prose that happens to have commas
    return [
        {key: _cell(cell) for key, cell in zip(head, row, strict=True)} for row in read[1:] if len(row) == len(head)
    ]


def _cell(text: str) -> str | float | int:
    """A cell or JSON number; one that no float can hold exactly enough stays text."""
    text = text.strip()
    if re.fullmatch(r"-?[0-9]{1,15}", text):
        return int(text)
    is_decimal = re.fullmatch(r"-?[0-9]{1,15}(?:\.[0-9]{1,20})?(?:[eE][+-]?[0-9]{1,2})?", text)
    return float(text) if is_decimal else text
