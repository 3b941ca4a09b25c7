from __future__ import annotations

import base64
import datetime
import hashlib
import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator_dagster.errors import FileMissingError, ParametersError, PathError, StepError
from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.tools.filesystem import filesystem
from orchestrator_dagster.tools.tool import ToolContext


@pytest.fixture
def call(tmp_path):
    context = ToolContext(Workspace(tmp_path))
    return lambda action, **parameters: filesystem.find(action).call(context, parameters)


@pytest.fixture
def tree(call):
    for path in ("a.md", "b.txt", "docs/c.md", "docs/deep/d.md", ".hidden/e.md", ".f.md"):
        call("write", path=path, content=path)


def test_write_and_read(call):
    written = call("write", path="out/a.txt", content="héllo\r\n")
    assert written == {"path": "out/a.txt", "size": 8, "sha256": hashlib.sha256("héllo\r\n".encode()).hexdigest()}
    assert call(None, path="out/a.txt") == {
        "path": "out/a.txt", "content": "héllo\r\n", "size": 8, "encoding": "utf-8",
    }  # fmt: skip
    call("write", path="l.txt", content="é", encoding="latin-1")
    assert call("read", path="l.txt", encoding="latin-1")["size"] == 1
    data = bytes(range(256))
    call("write", path="b.bin", content=base64.b64encode(data).decode(), encoding="base64")
    assert base64.b64decode(call("read", path="b.bin", encoding="base64")["content"]) == data
    call("write", path="raw.bin", content=data)
    assert call("info", path="raw.bin", checksum=True)["sha256"] == hashlib.sha256(data).hexdigest()


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(PLAIN | TEXT, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=8)


@settings(deadline=None)
@given(value=JSON.filter(lambda value: not isinstance(value, str)))
def test_structured_content_is_json_again(tmp_path_factory, value):
    context = ToolContext(Workspace(tmp_path_factory.getbasetemp()))
    filesystem.find("write").call(context, {"path": "v.json", "content": value})
    assert json.loads(filesystem.find("read").call(context, {"path": "v.json"})["content"]) == value


def test_json_lines(call):
    call("write", path="a.jsonl", content=[{"n": 1}, {"n": 2}])
    call("append", path="a.jsonl", content={"n": "drei ü"})
    assert call("read", path="a.jsonl")["content"] == '{"n": 1}\n{"n": 2}\n{"n": "drei ü"}\n'
    moment = datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc)
    call("write", path="t.json", content={"at": moment})
    assert json.loads(call("read", path="t.json")["content"]) == {"at": "2026-01-02T00:00:00Z"}


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"path": "a.txt", "content": {"a": 1}}, '`content` is a map, and "a.txt" is not a JSON file'),
        ({"path": "a.txt", "content": None}, r"`content` is empty \(null\)"),
        ({"path": "a.md", "content": True}, "is a boolean"),
        ({"path": "a.json", "content": {"a": float("nan")}}, "cannot be written as JSON"),
        ({"path": "a.json", "content": {"a": object()}}, "cannot be written as JSON"),
        ({"path": "a.txt", "content": object()}, "is of the type object"),
        ({"path": "a.txt", "content": "ü", "encoding": "ascii"}, "the character 'ü', which ascii does not have"),
        ({"path": "a.txt", "content": "ü", "encoding": "utf8x"}, 'no encoding "utf8x"; did you mean "utf-8"'),
        ({"path": "a.txt", "content": "?", "encoding": "base64"}, "is not base64"),
        ({"path": "a.txt", "content": "x", "mode": "overwrite"}, '"mode"'),
        ({"path": "a.txt", "content": "x", "overwite": True}, 'did you mean "overwrite"'),
        ({"content": "x"}, '"path" is missing'),
    ],
)
def test_content_that_cannot_be_written(call, tmp_path, parameters, said):
    with pytest.raises(ParametersError, match=said):
        call("write", **parameters)
    assert list(tmp_path.iterdir()) == []


def test_numbers_are_written_as_text(call):
    call("write", path="score.txt", content=0.5)
    assert call("read", path="score.txt")["content"] == "0.5"


def test_modes_of_write(call):
    call("write", path="a.txt", content="1")
    for parameters in ({"overwrite": False}, {"mode": "create"}, {"mode": "x"}):
        with pytest.raises(PathError, match="exists already"):
            call("write", path="a.txt", content="2", **parameters)
    call("write", path="a.txt", content="2", mode="append")
    call("append", path="a.txt", content="3")
    assert call("read", path="a.txt")["content"] == "123"
    assert call("append", path="new/b.txt", content="1")["size"] == 1
    with pytest.raises(ParametersError, match=r"use a \.jsonl file"):
        call("append", path="b.json", content={"a": 1})


def test_read_many(call, tree):
    by_pattern = call("read_many", path=".", pattern="**/*.md")
    assert [item["path"] for item in by_pattern["items"]] == ["a.md", "docs/c.md", "docs/deep/d.md"]
    assert by_pattern["count"] == 3
    assert by_pattern["items"][1] == {"path": "docs/c.md", "name": "c.md", "content": "docs/c.md", "size": 9}
    by_path = call("read_many", paths=["docs/c.md", "a.md"])
    assert [item["name"] for item in by_path["items"]] == ["c.md", "a.md"]
    assert call("read_many", pattern="*.none") == {"items": [], "count": 0}
    assert call("read_many", path="docs", pattern="*.md")["count"] == 1
    for parameters in ({}, {"paths": ["a.md"], "pattern": "*"}):
        with pytest.raises(ParametersError, match="either `paths` or `pattern`"):
            call("read_many", **parameters)
    with pytest.raises(FileMissingError):
        call("read_many", paths=["a.md", "gone.md"])


def test_list(call, tree, tmp_path):
    listed = call("list")
    assert [(item["path"], item["type"]) for item in listed["items"]] == [
        ("a.md", "file"), ("b.txt", "file"), ("docs", "folder"),
    ]  # fmt: skip
    os.utime(tmp_path / "a.md", (0, 0))
    assert call("list", pattern="a.*")["items"] == [
        {"path": "a.md", "name": "a.md", "type": "file", "size": 4, "modified": "1970-01-01T00:00:00+00:00"}
    ]

    def paths(**parameters):
        return [item["path"] for item in call("list", **parameters)["items"]]

    assert paths(recursive=True) == ["a.md", "b.txt", "docs", "docs/c.md", "docs/deep", "docs/deep/d.md"]
    assert paths(recursive=True, files=False) == ["docs", "docs/deep"]
    assert paths(recursive=True, folders=False, pattern="*.md") == ["a.md", "docs/c.md", "docs/deep/d.md"]
    assert paths(pattern="docs/*.md") == ["docs/c.md"]
    assert paths(hidden=True, folders=False) == [".f.md", "a.md", "b.txt"]
    assert paths(path="docs", folders=False) == ["docs/c.md"]
    with pytest.raises(FileMissingError, match='no folder "dosc"') as problem:
        call("list", path="dosc")
    assert problem.value.hint == 'did you mean "docs"?'
    with pytest.raises(PathError, match="cannot be opened as a folder"):
        call("list", path="a.md")


def test_glob(call, tree, tmp_path):
    (tmp_path / "link.md").symlink_to("docs/c.md")
    (tmp_path / "broken.md").symlink_to("nowhere")
    assert call("glob", pattern="*.md") == {"items": ["a.md", "link.md"], "count": 2}
    assert call("glob", pattern="docs/**")["items"] == ["docs/c.md", "docs/deep/d.md"]
    assert call("glob", pattern=".*/*.md")["items"] == [".hidden/e.md"]
    assert call("glob", pattern="**/*.md", hidden=True)["count"] == 6


def test_copy_and_move(call, tree, tmp_path):
    copied = call("copy", path="a.md", destination="x/y.md")
    assert copied == {"source": "a.md", "path": "x/y.md", "files": 1, "size": 4}
    assert call("copy", path="a.md", destination="docs")["path"] == "docs/a.md"
    assert call("copy", path="a.md", destination="new/")["path"] == "new/a.md"
    with pytest.raises(PathError, match="set `recursive: true`"):
        call("copy", path="docs", destination="copy")
    (tmp_path / "docs" / "out").symlink_to("/etc")
    copied = call("copy", path="docs", destination="copy", recursive=True)
    assert copied == {"source": "docs", "path": "copy", "files": 3, "size": 27}
    assert call("read", path="copy/deep/d.md")["content"] == "docs/deep/d.md"
    with pytest.raises(PathError, match="into itself"):
        call("copy", path="docs", destination="docs/inner", recursive=True)
    with pytest.raises(PathError, match="exists already"):
        call("copy", path="a.md", destination="b.txt", overwrite=False)
    assert call("move", path="b.txt", destination="docs/")["path"] == "docs/b.txt"
    moved = call("rename", path="copy", destination="renamed/copy")
    assert (moved["path"], moved["files"], moved["size"]) == ("renamed/copy", 3, 27)
    assert not (tmp_path / "copy").exists()
    with pytest.raises(FileMissingError):
        call("move", path="gone", destination="x")
    with pytest.raises(PathError, match="exists already"):
        call("move", path="a.md", destination="docs/b.txt", overwrite=False)


def test_delete(call, tree, tmp_path):
    assert call("delete", path="a.md") == {"path": "a.md", "deleted": True, "count": 1}
    with pytest.raises(PathError, match=r"not empty \(2 entries\)"):
        call("delete", path="docs")
    assert call("delete", path="docs", recursive=True)["count"] == 4
    assert call("mkdir", path="new/inner") == {"path": "new/inner", "created": True}
    assert call("mkdir", path="new/inner")["created"] is False
    assert call("delete", path="new/inner/")["count"] == 1
    with pytest.raises(FileMissingError):
        call("delete", path="gone/more")
    assert call("delete", path="gone/more", missing_ok=True) == {"path": "gone/more", "deleted": False, "count": 0}


def test_exists_and_info(call, tree):
    assert call("exists", path="a.md") == {"path": "a.md", "exists": True, "type": "file", "size": 4}
    assert call("exists", path="docs")["type"] == "folder"
    assert call("exists", path="docs/gone") == {"path": "docs/gone", "exists": False, "type": None, "size": None}
    assert call("exists", path="a.md/x")["exists"] is False
    info = call("info", path="docs/c.md")
    assert (info["suffix"], info["mime"], info["sha256"], info["type"]) == (".md", "text/markdown", None, "file")
    assert call("info", path="docs")["mime"] is None
    with pytest.raises(FileMissingError, match='no "docs/gone"'):
        call("info", path="docs/gone")


def test_an_unreadable_encoding_is_an_error_of_the_step(call):
    call("write", path="a.txt", content="x")
    for encoding in ("hex", "nonsense", "idna"):
        with pytest.raises(StepError) as problem:
            call("write", path="b.txt", content="x" * 80 + "..", encoding=encoding)
        assert problem.value.permanent


def test_tables_and_yaml_by_the_ending(call, tmp_path):
    call("write", path="t.csv", content=[{"a": 1, "b": "x,y"}, {"a": 2}])
    assert (tmp_path / "t.csv").read_text() == 'a,b\n1,"x,y"\n2,\n'
    call("write", path="r.csv", content={"data": [{"a": 1}], "columns": ["a"], "row_count": 1})
    assert (tmp_path / "r.csv").read_text() == "a\n1\n"
    call("write", path="c.csv", content={"content": "a;b\n", "format": "csv", "row_count": 0})
    assert (tmp_path / "c.csv").read_text() == "a;b\n"
    call("write", path="v.yaml", content={"a": [1, None]})
    assert (tmp_path / "v.yaml").read_text() == "a:\n- 1\n- null\n"
    with pytest.raises(ParametersError, match="is not a JSON file"):
        call("write", path="n.csv", content=[1, 2])
