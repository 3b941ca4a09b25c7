"""Resuming with the pipeline as it is now: what was changed runs, with what follows; and what it all costs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dagster import DagsterInstance
from resuming import Lab, statuses

from orchestrator_dagster.errors import InputsError, ResumeError
from orchestrator_dagster.testing import ModelServer, Request

TEXT = """\
id: p
inputs: {n: 3, m: 1}
steps:
  - {id: a, tool: note, parameters: {name: "a{{ n }}"}}
  - {id: b, tool: note, parameters: {name: "b-{{ a.name }}"}}
  - {id: c, tool: note, parameters: {name: "c{{ m }}"}}
  - {id: d, depends_on: [b, c], tool: note, parameters: {name: d}}
outputs: {all: "{{ b.name }} {{ c.name }} {{ d.name }}"}
"""


@pytest.fixture
def lab(project: Path, instance: DagsterInstance) -> Lab:
    return Lab(project, instance)


@pytest.mark.parametrize(("old", "new", "calls", "outputs"), [
    # the step that failed alone
    ("description: x", "description: y", ["d"], "b-a3 c1 d"),
    # a changed step, and what follows
    ('"c{{ m }}"', '"see{{ m }}"', ["d", "see1"], "b-a3 see1 d"),
    ('"a{{ n }}"', '"A{{ n }}"', ["A3", "b-A3", "d"], "b-A3 c1 d"),
    # an added one
    ("outputs", "  - {id: e, tool: note, parameters: {name: e}}\noutputs", ["d", "e"], "b-a3 c1 d"),
    # one less: what depended on it is another step now
    ("[b, c]", "[b]", ["d"], "b-a3 c1 d"),
    # another name is another step
    ("b", "bb", ["bb-a3", "d"], "bb-a3 c1 d"),
    # another way to a step
    ("{id: d, ", "{id: d, condition: 'true', ", ["d"], "b-a3 c1 d"),
    # another default, where the launch gave nothing: the new one; where it gave something: that
    ("m: 1", "m: 2", ["c2", "d"], "b-a3 c2 d"),
    ("n: 3", "n: 4", ["a3", "b-a3", "d"], "b-a3 c1 d"),
    # a further input
    ('m: 1}', 'm: 1, o: 5}', ["d"], "b-a3 c1 d"),
    # other outputs
    ('{{ d.name }}"', '{{ d.name }}!"', ["d"], "b-a3 c1 d!"),
])  # fmt: skip
def test_a_changed_file(lab: Lab, old: str, new: str, calls: list[str], outputs: str) -> None:
    lab.break_("d")
    failed = lab.run(TEXT, {"n": 3})
    assert lab.calls() == ["a3", "b-a3", "c1", "d"]
    lab.break_()
    if old == "b":
        changed = TEXT.replace("id: b", "id: bb").replace("b-", "bb-").replace("[b,", "[bb,").replace("b.n", "bb.n")
    else:
        changed = TEXT.replace(old, new)
    done = lab.resume(failed, changed)
    assert done["success"], done["error"]
    assert lab.calls() == calls
    assert done["outputs"] == {"all": outputs}
    assert set(statuses(done).values()) == {"completed"}
    with pytest.raises(ResumeError, match="complete"):
        lab.resume(done)  # it goes on with the file that it was resumed with


def test_a_step_that_is_gone(lab: Lab) -> None:
    lab.break_("c1")
    failed = lab.run(TEXT)
    lab.calls()
    removed = TEXT.replace('  - {id: c, tool: note, parameters: {name: "c{{ m }}"}}\n', "")
    done = lab.resume(failed, removed.replace("[b, c]", "[b]").replace("{{ c.name }} ", ""))
    assert done["success"], done["error"]
    assert lab.calls() == ["d"]
    assert statuses(done) == dict.fromkeys("abd", "completed")


def test_another_policy_for_a_failure(lab: Lab) -> None:
    text = TEXT.replace('"c{{ m }}"}', '"c{{ m }}"}, on_failure: continue')
    lab.break_("c1")
    failed = lab.run(text)
    lab.calls()
    handled = text.replace("on_failure: continue", "on_failure: help").replace(
        "outputs:", "  - {id: help, tool: note, parameters: {name: help}}\noutputs:"
    )
    done = lab.resume(failed, handled.replace("{{ c.name }} ", ""))
    assert done["success"], done["error"]
    assert set(lab.calls()) >= {"c1", "help"}


def test_what_cannot_be_resumed_with_a_file(lab: Lab) -> None:
    lab.break_("d")
    failed = lab.run(TEXT, {"n": 3})
    with pytest.raises(ResumeError, match='not one of the pipeline "q" alone'):
        lab.resume(failed, TEXT.replace("id: p", "id: q"))
    with pytest.raises(InputsError, match='"o" is required'):
        lab.resume(failed, TEXT.replace("m: 1}", "m: 1, o: {type: string, required: true}}"))
    for kept in (Path(lab.instance.storage_directory()) / "pipelines").iterdir():
        kept.unlink()
    with pytest.raises(ResumeError, match="is not kept"):
        lab.resume(failed)
    with pytest.raises(ResumeError, match="nobody can tell what"):
        lab.resume(failed, TEXT.replace("m: 1", "m: 2"))
    lab.break_()
    lab.calls()
    assert lab.resume(failed, TEXT)["success"]  # the file is what it was
    assert lab.calls() == ["d"]


ASKS = """\
id: p
default_model: openai:gpt-4o-mini
steps:
  - {id: first, prompt: First}
  - id: each
    for_each: [u, v, w]
    on_item_failure: continue
    steps:
      - {id: ask, prompt: "Ask {{ item }}"}
      - {id: use, tool: note, parameters: {name: "{{ item }}{{ ask | length }}"}}
  - id: score
    prompt: Score
    retries: 0
    repair: 0
    vars: [score: {type: integer}]
outputs: {score: "{{ score }}", all: "{{ each.results | length }}"}
"""


def test_no_answered_call_is_made_again(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    score: dict[str, object] = {"score": "many"}

    def answer(request: Request) -> str:
        return json.dumps(score) if request.prompt.startswith("Score") else "four"

    with ModelServer(default=answer) as server:
        for name, value in {"BASE_URL": server.url, "API_BASE": server.url, "API_KEY": "sk-test-0123456789"}.items():
            monkeypatch.setenv(f"OPENAI_{name}", value)
        lab.break_("v4")
        failed = lab.run(ASKS)
        assert statuses(failed) == {"first": "completed", "each": "completed", "score": "failed"}
        assert sorted(one.prompt[:5] for one in server.calls) == ["Ask u", "Ask v", "Ask w", "First", "Score"]
        assert failed["usage"]["calls"] == 5
        score["score"] = 7
        lab.break_()
        lab.calls()
        done = lab.resume(failed)
        assert done["success"], done["error"]
        assert lab.calls() == ["v4"]
        assert [one.prompt[:5] for one in server.calls[5:]] == ["Score"]
    # What all of it has cost, the call that failed as well.
    assert done["usage"]["calls"] == 6
    assert done["usage"]["tokens"] > failed["usage"]["tokens"]
    assert done["outputs"] == {"score": 7, "all": 3}
