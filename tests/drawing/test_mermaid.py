"""The Mermaid text: the same for a given picture, and never broken by a text in it."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

import yaml
from hypothesis import given
from hypothesis import strategies as st

from orchestrator_dagster.drawing.mermaid import mermaid
from orchestrator_dagster.drawing.picture import Edge, Group, Node, Picture
from orchestrator_dagster.drawing.text_width import plain

Pictures = Callable[..., st.SearchStrategy[Picture]]
TEXT = r'"((?:\w|[ ,._\-/…]|#\d+;|<br/>)+)"'
#: What a line may be. A text in quotes has no quote, bracket or mark of Mermaid's in it.
LINES = [
    re.compile(rf" +n\d+(?:\[/|\(\[|\[\(|\[\[|\{{\{{|\[){TEXT}(?:/\]|\]\)|\)\]|\]\]|\}}\}}|\]):::[a-z]+"),
    re.compile(rf" +subgraph g\d+\[{TEXT}\]"),
    re.compile(r" +end"),
    re.compile(rf"  [ng]\d+ (?:-->|-\.->|--o)(?:\|{TEXT}\|)? [ng]\d+"),
    re.compile(r"  classDef [a-z]+ fill:#[0-9a-f]{6},stroke:#[0-9a-f]{6},color:#[0-9a-f]{6}"),
    re.compile(r"  linkStyle \d+(?:,\d+)* stroke:#[0-9a-f]{6}"),
]

PICTURE = Picture(
    'Say "hi"',
    (
        Node("in", "Inputs", "input", ("topic",)),
        Node("read", "end", "tool", ("filesystem · read", "two", "three", "four")),
        Node("ask", "1. [Ask]", "model"),
        Node("p", "a.md", "product"),
        Node("x", "Y" * 80, "loop"),
    ),
    (
        Edge("in", "read"),
        Edge("read", "ask", "on_failure", "on failure"),
        Edge("ask", "p", "makes"),
        Edge("read", "g", "on_false", "on false"),
    ),
    (Group("g", "for each #1", ("x",)),),
)


def test_a_given_picture() -> None:
    assert mermaid(PICTURE) == (
        """\
---
title: "Say \\"hi\\""
---
flowchart TD
  n1[/"Inputs<br/>topic"/]:::input
  n2["end<br/>filesystem #183; read<br/>two<br/>three"]:::tool
  n3(["1#46; #91;Ask#93;"]):::model
  n4[("a.md")]:::product
  subgraph g1["for each #35;1"]
    n5{{"YYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYY#8230;"}}:::loop
  end
  n1 --> n2
  n2 -.->|"on failure"| n3
  n3 --o n4
  n2 -.->|"on false"| g1
  classDef input fill:#eef1f5,stroke:#5b6b7b,color:#1c2430
  classDef tool fill:#e8f0fe,stroke:#2563eb,color:#1c2430
  classDef model fill:#f3e8ff,stroke:#7c3aed,color:#1c2430
  classDef loop fill:#fff3df,stroke:#b45309,color:#1c2430
  classDef product fill:#e7f6ea,stroke:#15803d,color:#1c2430
  linkStyle 3 stroke:#b45309
  linkStyle 1 stroke:#dc2626
"""
    )


@given(st.data())
def test_any_text_is_only_shown(pictures: Pictures, data: st.DataObject) -> None:
    picture = data.draw(pictures())
    text = mermaid(picture)
    head = ""
    if plain(picture.title):
        _, head, text = text.split("---\n", 2)
        assert yaml.safe_load(head) == {"title": plain(picture.title)}
    first, *lines, last = text.split("\n")
    assert (first, last) == ("flowchart TD", "")
    for line in lines:
        assert any(form.fullmatch(line) for form in LINES), line
    assert len([line for line in lines if ":::" in line]) == len(picture.nodes)
    assert sum(line.strip() == "end" for line in lines) == len(picture.groups)


@given(st.text(min_size=1, max_size=59).filter(plain))
def test_what_is_shown_is_the_text(title: str) -> None:
    line = mermaid(Picture("", (Node("a", title, "tool"),))).splitlines()[1]
    shown = re.fullmatch(rf"  n1\[{TEXT}\]:::tool", line)
    assert shown is not None
    assert html.unescape(re.sub(r"#(\d+);", r"&#\1;", shown[1])) == plain(title)
