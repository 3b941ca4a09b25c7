"""The report of a log: a fixed log has a fixed report, and nothing that anybody has written becomes markup in it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

import orchestrator_dagster as orc
from orchestrator_dagster.errors import LogError
from orchestrator_dagster.log.document import Log

START = datetime(2026, 3, 1, 9, 0, tzinfo=timezone.utc)
RUN, BEFORE = "1a2b3c4d-0000-4000-8000-000000000000", "9f8e7d6c-0000-4000-8000-000000000000"
SNAPSHOT = Path(__file__).with_name("report.md")
READER = MarkdownIt("commonmark", {"html": True}).enable("table")


def at(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat()


def step(name: str, **more: Any) -> dict[str, Any]:
    return {
        "id": name, "title": name, "kind": "tool", "does": "filesystem.read", "location": "pipelines/p.yaml:3:5",
        "status": "completed", "run": RUN, "started_at": at(0), "completed_at": at(1), "seconds": 1.0, **more,
    }  # fmt: skip


def log(said: str = "no | answer", preview: str = "# Trees\n\nShade.") -> dict[str, Any]:
    """A log that has something of everything; ``said`` and ``preview`` are texts of others."""
    failure = {
        "type": "ToolError", "message": said, "step": "send", "location": "pipelines/p.yaml:9:5", "hint": said,
        "attempts": 2, "effect": "it ended the run", "handled": False,
    }  # fmt: skip
    decision = {
        "strategy": "balanced", "by": "selection_schema", "taken": "openai:small", "chosen": "openai:small",
        "candidates": [
            {"model": "openai:small", "fits": True, "score": 0.8, "quality": 1200, "price": 0.4},
            {"model": "openai:large", "fits": False, "price": None, "refused": said},
        ],
        "fell_back": [said],
    }  # fmt: skip
    model = {"name": "small", "provider": "openai", "reason": said, "decision": decision}
    tries = [
        {"run": RUN, "number": 1, "started_at": at(3), "completed_at": at(4), "ended": "tried again", "error": said},
        {"run": RUN, "number": 2, "started_at": at(5), "completed_at": at(6), "ended": "failed", "error": said},
    ]
    items = [
        {"index": 0, "status": "completed", "started_at": at(1), "completed_at": at(2), "value": said},
        {"index": 1, "status": "failed", "started_at": at(1), "completed_at": at(2.5), "error": said},
    ]
    usage = {"calls": 3, "input_tokens": 1000, "output_tokens": 200, "cost": 0.0123}
    return {
        "version": 1,
        "pipeline": {"id": "p", "name": said, "file": "pipelines/p.yaml", "fingerprint": "f" * 64},
        "run_id": RUN, "status": "failed", "started_at": at(0), "completed_at": at(6), "seconds": 6.0,
        "inputs": {"topic": said}, "outputs": {"text": None},
        "failures": [
            failure,
            {**failure, "step": "each", "items": 1, "handled": True, "effect": "the loop went on without them"},
        ],
        "next": [{"text": said}, {"text": "Then go on with the run", "command": "orchestrator resume 1a2b3c4d"}],
        "steps": [
            step("read", run=BEFORE),
            step("each", kind="loop", does="for each item: asks", started_at=at(1), completed_at=at(3), seconds=2.0,
                 loop={"total": 40, "completed": 39, "failed": 1, "skipped": 0, "items": items, "left_out": 38}),
            step("ask", kind="model", started_at=at(1), completed_at=at(2), model=model, usage=usage,
                 condition=said, products=["outputs/p/a.md"],
                 decisions=[{"place": "prompt", "question": said, "value": said, "reason": said, "model": "m"}]),
            step("send", status="failed", started_at=at(3), completed_at=at(6), seconds=3.0, error=failure,
                 attempts=tries),
            step("later", status="skipped", reason=said, started_at=None, completed_at=None, seconds=None),
        ],
        "calls": [
            {"at": at(2), "run": RUN, "step": "ask", "kind": "tool", "name": "web.search", "by": "model",
             "arguments": {"query": said}, "seconds": 0.5, "ok": True, "result_bytes": 1234},
            {"at": at(2), "run": RUN, "step": "ask", "kind": "model", "name": "openai:small", "ok": False,
             "error": said},
        ],
        "products": [
            {"step": "ask", "variable": "text", "key": ["p", "text"], "path": "outputs/p/a.md", "format": "md",
             "bytes": 2048, "sha256": "0", "preview": preview},
            {"step": "ask", "variable": "rows", "key": ["p", "rows"], "path": "outputs/p/a.csv", "format": "csv",
             "bytes": 12, "sha256": "0", "rows": 1, "preview": "| a |\n| - |\n| x |"},
        ],
        "usage": usage, "models": {"openai:small": {**usage, "seconds": 1.5}},
        "runs": [
            {"id": BEFORE, "status": "failed", "launched_by": "schedule daily", "started_at": at(-60),
             "completed_at": at(-50), "steps": ["read"]},
            {"id": RUN, "status": "failed", "launched_by": "command or Python", "started_at": at(0),
             "completed_at": at(6), "steps": ["each", "ask", "send"]},
        ],
        "notes": [said],
    }  # fmt: skip


def test_a_fixed_log_has_a_fixed_report() -> None:
    """The report is looked at when it changes: write it anew with the text that this test shows."""
    made = orc.log.markdown(log())
    assert made == orc.log.markdown(Log.model_validate(log()))
    assert made == SNAPSHOT.read_text(encoding="utf-8"), made


def test_the_first_screen_says_what_failed_and_what_to_do() -> None:
    lines = orc.log.markdown(log()).splitlines()[:24]
    text = "\n".join(lines)
    assert lines[0].endswith("run 1a2b3c4d failed")
    assert "`pipelines/p.yaml:9:5`" in text
    assert text.index("**`send` failed:**") < text.index("**Next**") < text.index("`orchestrator resume 1a2b3c4d`")
    assert text.index("orchestrator resume") < text.index("| failed |")


def shape(markdown: str) -> list[str]:
    """The blocks of a document, without what paragraphs, cells and code have in them; and every mark inside a line."""
    found = []
    for token in READER.parse(markdown):
        found.append(token.type + token.tag)
        found += [
            f"in {child.type}" for child in token.children or () if child.type in ("html_inline", "image", "link_open")
        ]
    return found


HOSTILE = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "](javascript:x) [a](b)", "![x](http://e/x.png)",
    "a | b | c", "``` ```` ~~~~~", "`", "a\n\n# heading\n\n- list\n\n| t |\n| - |\n| x |\n", "</table>", "&lt;b&gt;",
    "\\", "\\`", "*a* _b_ **c**", "1. x", "> q", "\u2028# x", "<!-- x", "<a@b.c>", "\x00\x1b[31m", "[x]: http://e",
    "```\n</div>\n```\n# out", "    code", "---", "===", "$x$", "| a |",
]  # fmt: skip
TEXTS = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(max_size=60),
    st.lists(st.one_of(st.sampled_from(HOSTILE), st.text(max_size=8)), max_size=6).map(" ".join),
    st.text(alphabet="`~<>|\\[]()!#*_-\n &;a:/", max_size=40),
)


@settings(max_examples=120, deadline=None)
@given(said=TEXTS.filter(lambda text: bool(text.strip())), preview=TEXTS)
def test_no_text_of_others_becomes_markup(said: str, preview: str) -> None:
    made = shape(orc.log.markdown(log(said, preview or "x")))
    assert not {one for one in made if one.startswith(("in ", "html"))}
    plain = shape(orc.log.markdown(log("x\ny" if _long(said) else "word", "word")))
    without = ["fence" + "code", "paragraph_openp", "inline", "paragraph_closep"]
    assert [one for one in made if one not in without] == [one for one in plain if one not in without]


def _long(text: str) -> bool:
    return "\n" in text.strip()


def test_a_run_that_waits_for_a_person_is_no_failure() -> None:
    value = log()
    waiting = {**value["failures"][0], "type": "WaitingForAnswerError", "message": "waits for an answer: Send it?"}
    value["failures"] = [waiting]
    value["steps"][3]["error"] = waiting
    made = orc.log.markdown(value)
    assert made.splitlines()[0].endswith("run 1a2b3c4d waits for an answer")
    assert "**`send` waits for an answer:** Send it?" in made
    assert "1 waiting" in made
    assert "failed, 2 tries" not in made


def test_what_is_no_log_is_refused() -> None:
    with pytest.raises(LogError, match="no log of a run: pipeline"):
        orc.log.markdown({"version": 1})
    with pytest.raises(LogError, match=r"version 99, this release reads up to 1[\s\S]*later release"):
        orc.log.markdown({**log(), "version": 99})


def test_fields_of_later_releases_are_passed_over() -> None:
    later = {**log(), "weather": "sunny"}
    assert orc.log.markdown(later) == orc.log.markdown(log())


def test_the_schema_takes_a_log() -> None:
    import jsonschema

    value = json.loads(Log.model_validate(log()).model_dump_json())
    jsonschema.validate(value, orc.log.schema())


def test_many_steps_and_items_stay_bounded() -> None:
    one = log()
    one["steps"] = [step(f"s{number}", seconds=number / 100) for number in range(1500)]
    made = orc.log.markdown(one)
    assert len(made) < 60_000
    assert "*and 1,300 steps more*" in made
    assert "and 1,460 more that took less" in made
