"""The call store: what is one question, what counts as an answer, many writers, other file systems."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator_dagster.errors import StorageError
from orchestrator_dagster.models.call_store import FORMAT, CallKey, CallStore, StoredCall
from orchestrator_dagster.models.client import Message, ModelReference, ModelRequest, ToolOffer, Usage

MODEL = ModelReference("openai", "gpt-4o-mini")
REQUEST = ModelRequest(MODEL, (Message("system", "Be short."), Message("user", "Hello")))
CALL = StoredCall("Good day \ud83d é", MODEL, Usage(2, 10, 5, 3, 0.25), 1.5)


@pytest.fixture
def store(tmp_path: Path) -> CallStore:
    return CallStore(tmp_path / "calls", "run-1")


def file_of(store: CallStore) -> Path:
    (path,) = [path for path in Path(str(store.folder)).rglob("*") if path.is_file()]
    return path


def test_an_answer_comes_back_as_it_was(store: CallStore) -> None:
    for key in (store.key(REQUEST, "p/a"), store.key(REQUEST)):
        assert store.get(key) is None
        assert store.put(key, CALL)
        assert store.get(key) == CALL
        assert CallStore(store.folder, "run-1").get(key) == CALL  # type: ignore[arg-type]


def test_a_missing_price_stays_unknown(store: CallStore) -> None:
    call = replace(CALL, usage=Usage(1, 1, 1, 0, None))
    store.put(store.key(REQUEST), call)
    assert store.get(store.key(REQUEST)) == call


@pytest.mark.parametrize(
    "change",
    [
        {"model": ModelReference("openai", "gpt-4o")},
        {"messages": (Message("user", "Hello"),)},
        {"messages": (Message("system", "Be short."), Message("user", "Hello!"))},
        {"schema": {"type": "object"}},
        {"temperature": 0.0},
        {"max_tokens": 5},
        {"settings": {"seed": 1}},
        {"tools": (ToolOffer("forecast", "The weather", {"type": "object"}),)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_question_has_another_key(store: CallStore, change: dict[str, Any]) -> None:
    assert store.key(replace(REQUEST, **change)) != store.key(REQUEST)
    assert store.key(replace(REQUEST, **change), "p/a") != store.key(REQUEST, "p/a")


def test_what_changes_nothing_keeps_the_key(store: CallStore) -> None:
    one = replace(REQUEST, settings={"stop": ["a"], "seed": 1}, temperature=1)
    two = replace(REQUEST, settings={"seed": 1, "stop": ("a",)}, temperature=1.0, timeout=7.0)
    assert store.key(one, "p/a") == store.key(two, "p/a")


def test_where_it_is_asked_and_of_whom(store: CallStore, tmp_path: Path) -> None:
    other = CallStore(tmp_path / "calls", "run-2")
    keys = [
        store.key(REQUEST),
        store.key(REQUEST, address="http://127.0.0.1:9/v1"),
        store.key(REQUEST, "p/a"),
        store.key(REQUEST, "p/b"),
        store.key(REQUEST, "p/each[1]/a"),
        store.key(REQUEST, "p/each[2]/a"),
        other.key(REQUEST, "p/a"),
    ]
    assert len({key.digest for key in keys}) == len(keys)
    assert other.key(REQUEST) == store.key(REQUEST)
    assert [key.run for key in keys[:3]] == [None, None, "run-1"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: "null",
        lambda text: "[]",
        lambda text: "\xff\xfe",
        lambda text: text.replace(f'"format": {FORMAT}', f'"format": {FORMAT + 1}'),
        lambda text: text.replace('"key": "', '"key": "0'),
        lambda text: text.replace('"text": "Good', '"words": "Good'),
        lambda text: text.replace('"calls": 2', '"calls": "two"'),
        lambda text: text.replace('"cost": 0.25', '"cost": "cheap"'),
        lambda text: text.replace('"provider": "openai"', '"provider": 7'),
        lambda text: json.dumps({**json.loads(text), "usage": {"unheard_of": 1}}),
        lambda text: json.dumps({**json.loads(text), "text": ["a list"]}),
    ],
)
def test_a_damaged_file_is_absent_and_replaced(store: CallStore, damage: Callable[[str], str]) -> None:
    key = store.key(REQUEST, "p/a")
    store.put(key, CALL)
    path = file_of(store)
    whole = path.read_text()
    assert damage(whole) != whole
    path.write_text(damage(whole), encoding="latin-1")
    assert store.get(key) is None
    store.put(key, CALL)
    assert store.get(key) == CALL


def test_a_writer_that_is_killed_leaves_nothing_that_counts(store: CallStore) -> None:
    """A process is killed with the temporary file half written, just before the move."""
    script = """
import os, signal, sys
from pathlib import Path
from orchestrator_dagster.models.call_store import CallStore, StoredCall
from orchestrator_dagster.models.client import Message, ModelReference, ModelRequest, Usage

def killed(self, target):
    self.write_text(self.read_text()[:40])
    os.kill(os.getpid(), signal.SIGKILL)

Path.rename = killed
store = CallStore(sys.argv[1], "run-1")
asked = ModelRequest(ModelReference("openai", "gpt-4o-mini"), (Message("user", "Hello"),))
store.put(store.key(asked), StoredCall("text", asked.model, Usage(1), 1.0))
"""
    done = subprocess.run([sys.executable, "-c", script, str(store.folder)], capture_output=True, text=True)
    assert done.returncode == -9, done.stderr
    assert file_of(store).name.endswith(".tmp")
    key = store.key(ModelRequest(MODEL, (Message("user", "Hello"),)))
    assert store.get(key) is None
    store.put(key, CALL)
    assert store.get(key) == CALL


def test_readers_see_whole_answers_while_others_write(store: CallStore) -> None:
    key = store.key(REQUEST)
    calls = [replace(CALL, text=str(number) * 20_000) for number in range(4)]
    store.put(key, calls[0])
    wrong: list[StoredCall | None] = []
    start = threading.Barrier(8)

    def write(call: StoredCall) -> None:
        start.wait()
        for _ in range(25):
            store.put(key, call)

    def read() -> None:
        start.wait()
        wrong.extend(found for found in (store.get(key) for _ in range(100)) if found not in calls)

    threads = [threading.Thread(target=write, args=(call,)) for call in calls]
    threads += [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert store.get(key) in calls
    assert file_of(store).name == f"{key.digest}.json"  # and no temporary file


def test_an_answer_with_a_secret_is_not_stored(store: CallStore) -> None:
    key = store.key(REQUEST)
    assert not store.put(key, CALL, "p/a", lambda document: "Good day" in document["text"])
    assert store.get(key) is None
    assert not Path(str(store.folder)).exists()


def test_a_run_id_cannot_lead_elsewhere(tmp_path: Path) -> None:
    store = CallStore(tmp_path / "calls", "../../up")
    store.put(store.key(REQUEST, "p/a"), CALL)
    assert store.get(store.key(REQUEST, "p/a")) == CALL
    assert [path.name for path in tmp_path.iterdir()] == ["calls"]


def test_a_url_of_another_file_system() -> None:
    store = CallStore("memory://test_call_store/calls", "run-1")
    for key in (store.key(REQUEST, "p/a"), store.key(REQUEST)):
        assert store.get(key) is None
        store.put(key, CALL)
        store.put(key, replace(CALL, text="again"))
        assert store.get(key) == replace(CALL, text="again")
    names = sorted(path.name for path in store.folder.rglob("*.*"))
    assert not [name for name in names if name.endswith(".tmp")]
    store.folder.rmdir(recursive=True)  # type: ignore[call-arg]


def test_a_file_url_is_a_folder(tmp_path: Path) -> None:
    assert CallStore(f"file://{tmp_path}/calls", "run-1").folder == tmp_path / "calls"


def test_a_relative_folder_starts_at_the_root(tmp_path: Path) -> None:
    assert CallStore("calls", "run-1", tmp_path).folder == tmp_path / "calls"


def test_a_url_that_cannot_be_opened_keeps_its_password() -> None:
    with pytest.raises(StorageError, match="nosuch://bucket/x") as wrong:
        CallStore("nosuch://user:hunter2@bucket/x?key=hunter2", "run-1")
    assert "hunter2" not in str(wrong.value)


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "calls").write_text("a file")
    store = CallStore(tmp_path / "calls", "run-1")
    assert store.get(store.key(REQUEST)) is None
    with pytest.raises(StorageError, match="cannot be written"):
        store.put(store.key(REQUEST), CALL)
    (tmp_path / "other" / "always" / f"{'0' * 64}.json").mkdir(parents=True)
    with pytest.raises(StorageError, match="cannot be read: Is a directory"):
        CallStore(tmp_path / "other", "run-1").get(CallKey("0" * 64))


def test_it_is_light() -> None:
    code = "import orchestrator_dagster.models.call_store as c, sys; c.CallStore('/tmp/x', 'r'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"upath", "fsspec", "dagster", "litellm", "pydantic"} & set(done.stdout.split())
