"""Loops in place: items, passes, what they leave, how many run at once."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator_dagster.compiler.routes import State


def loop(over: str, more: str = "", message: str = "{{ item }}", before: str = "") -> str:
    return f"""inputs: {{numbers: [1, 2, 3], text: "[4, 5]", word: plain, many: 3, nothing: {{type: array, required: false}}}}
steps:
{before}  - id: each
    for_each: {over}
{more}    steps: [{{id: say, action: echo, parameters: {{message: "{message}"}}}}]
"""


@pytest.mark.parametrize(
    ("over", "value"),
    [
        ("[a, b]", ["a", "b"]),
        ("'[1, {\"a\": 2}]'", [1, {"a": 2}]),
        ('"{{ numbers }}"', [1, 2, 3]),
        ('"{{ text }}"', [4, 5]),
        ('"[{{ many }}, {{ many + 1 }}]"', [3, 4]),
        ('"{{ numbers | reverse | list }}"', [3, 2, 1]),
        ('"{{ range(many) | list }}"', [0, 1, 2]),
        ('["{{ many }}", x]', [3, "x"]),
        ('"{{ numbers[:0] }}"', []),
        ("[]", []),
        ("[null, false, '']", [None, False, ""]),
    ],
)
def test_what_a_loop_goes_over(flow: Any, over: str, value: list[Any]) -> None:
    found = flow(loop(over))["each"]
    assert (found.status, found.value) == ("completed", value), found.error


@pytest.mark.parametrize(
    ("over", "says"),
    [
        ('"{{ word }}"', "it is the text 'plain'"),
        ('"{{ many }}"', "integer"),
        ("\"{{ {'a': 1} }}\"", "it is a map"),
        ('"{{ null }}"', "it is nothing"),
        ('"{{ nothing }}"', '"nothing" was not given'),
    ],
)
def test_what_is_no_list(flow: Any, over: str, says: str) -> None:
    from orchestrator_dagster.errors import PipelineError

    try:
        error = flow(loop(over))["each"].error
    except PipelineError as wrong:  # what is known before the run
        assert says in str(wrong)  # noqa: PT017 - most are known in the run only
    else:
        assert error.type == "TemplateError"
        assert says in error.message
        assert error.location == "pipelines/p.yaml:4:5"


def test_too_many_items(flow: Any) -> None:
    error = flow(loop('"{{ numbers }}"', "    max_iterations: 2\n"))["each"].error
    assert "the list has 3 items, and at most 2 are allowed" in error.message
    cut = flow(loop('"{{ numbers }}"', "    max_iterations: '{{ many - 1 }}'\n    on_limit: continue\n"))["each"]
    assert cut.value == [1, 2]
    assert flow(loop('"{{ numbers }}"', "    max_iterations: 3\n"))["each"].value == [1, 2, 3]


@pytest.mark.parametrize("key", ["max_parallel", "max_iterations"])
def test_a_number_that_is_none(flow: Any, key: str) -> None:
    error = flow(loop('"{{ numbers }}"', f"    {key}: '{{{{ word }}}}'\n"))["each"].error
    assert error.message == f"`{key}` must be a number of at least 1, and it is 'plain'"


def test_the_names_of_an_item(flow: Any) -> None:
    message = (
        "{{ item }} {{ doc }} {{ $item }} {{ index }} {{ iteration }} {{ is_first }} {{ is_last }} {{ length }} "
        "{{ loop.index }} {{ loop.index0 }} {{ loop.first }} {{ loop.last }} {{ loop.length }} {{ each.index }} {{ many }}"
    )
    found = flow(loop("[a, b]", "    as: doc\n", message))["each"]
    assert found.value == [
        "a a a 0 0 True False 2 1 0 True False 2 0 3",
        "b b b 1 1 False True 2 2 1 False True 2 1 3",
    ]


OUTER = """inputs: {top: T}
steps:
  - {id: before, action: echo, parameters: {message: B}, vars: {left: {type: string}}}
  - id: outer
    for_each: [1, 2]
    as: o
    steps:
      - {id: first, action: echo, parameters: {message: "{{ o }}f"}}
      - id: inner
        for_each: [a, b]
        as: i
        steps:
          - id: deep
            action: echo
            parameters:
              message: "{{ top }}{{ before }}{{ left }} {{ o }}{{ outer.index }} {{ first }} {{ i }}{{ inner.index }}{{ index }}{{ item }}"
      - {id: last, action: echo, parameters: {message: "{{ inner.results | join(',') }} {{ inner.count }} {{ inner.iterations[1].deep }} {{ item }}{{ index }}"}}
  - {id: after, action: echo, parameters: {message: "{{ outer[0] }}|{{ outer.results[1] }}|{{ outer.iterations[1].first.value }}|{{ outer.iterations[0].steps.inner.value[1] }}|{{ outer.failed }}|{{ outer.count }}"}}
"""


def test_names_at_all_depths(flow: Any) -> None:
    found = flow(OUTER)
    assert found["outer"].error is None, found["outer"].error
    first = "TBB 10 1f a00a,TBB 10 1f b11b 2 TBB 10 1f b11b 10"
    second = "TBB 21 2f a00a,TBB 21 2f b11b 2 TBB 21 2f b11b 21"
    assert found["outer"].value == [first, second]
    assert found["after"].value == f"{first}|{second}|2f|TBB 10 1f b11b|[]|2"


def test_the_order_of_results_is_that_of_the_items(flow: Any) -> None:
    """Each item ends only when the one behind it has ended."""
    text = """steps:
  - id: each
    for_each: [0, 1, 2, 3]
    max_parallel: 4
    tool: probe
    action: after
    parameters: {first: "{{ 'item' ~ (item + 1) if item < 3 else '' }}", name: "item{{ item }}"}
"""
    found = flow(text)["each"]
    assert found.value == ["item0", "item1", "item2", "item3"], found.error
    ends = [one.completed_at for one in found.iterations]
    assert ends == sorted(ends, reverse=True)


@pytest.mark.parametrize("most", [1, 3])
def test_so_many_run_at_once_and_no_more(flow: Any, most: int) -> None:
    """Every call waits for `most` of them; with fewer at once the run would hang, more would be counted."""
    text = f"""inputs: {{n: {most}}}
steps:
  - id: each
    for_each: [0, 1, 2, 3, 4, 5]
    max_parallel: "{{{{ n }}}}"
    steps:
      - {{id: meets, tool: probe, action: meet, parameters: {{group: g, parties: {most}, value: "{{{{ item }}}}"}}}}
  - {{id: most, tool: probe, action: most, dependencies: [each], parameters: {{group: g}}}}
"""
    found = flow(text)
    assert found["each"].value == [0, 1, 2, 3, 4, 5]
    assert found["most"].value == most


FAILING = """steps:
  - id: each
    for_each: [0, 9, 0]
    max_parallel: 1
{more}    steps:
      - {{id: work, tool: probe, parameters: {{name: "w{{{{ index }}}}", fail: "{{{{ item }}}}", value: "v{{{{ index }}}}"}}}}
      - {{id: end, action: echo, parameters: {{message: "{{{{ work }}}}!"}}}}
  - {{id: after, action: echo, parameters: {{message: "{{{{ each }}}} {{{{ each.failed | length }}}} {{{{ each.count }}}}"}}}}
"""


def test_a_failed_item_fails_the_loop_and_stops_it(flow: Any) -> None:
    found = flow(FAILING.format(more=""))
    each = found["each"]
    assert (each.state, found["after"].state) == (State.FAILED, State.NOT_REACHED)
    assert each.error.message.startswith('item 1, step "work" failed: probe.call failed: RuntimeError: w1 failed')
    assert (each.error.type, each.error.location) == ("InnerStepError", "pipelines/p.yaml:7:9")
    assert flow.calls == ["w0", "w1"]


@pytest.mark.parametrize("policy", ["continue", "skip"])
def test_the_loop_goes_on_past_a_failed_item(flow: Any, policy: str) -> None:
    found = flow(FAILING.format(more=f"    on_item_failure: {policy}\n"))
    each = found["each"]
    assert (each.status, each.value) == ("completed", ["v0!", None, "v2!"])
    assert [one.status for one in each.iterations] == ["completed", "failed", "completed"]
    assert found["after"].value == '["v0!", null, "v2!"] 1 3'
    assert [one.step for one in each.failures] == (["each[1]/work"] if policy == "continue" else [])


def test_a_handled_failure_of_a_loop_by_the_class_of_its_cause(flow: Any) -> None:
    text = FAILING.format(more="    failure_handlers: [{errors: [RuntimeError], fallback: [none]}]\n")
    assert flow(text)["each"].value == ["none"]


def test_what_failed_of_the_items(flow: Any) -> None:
    text = FAILING.format(more="    on_item_failure: skip\n").replace(
        "{{ each }}", "{{ each.failed[0].index }} {{ each.failed[0].error.message }}"
    )
    assert "1 probe.call failed" in flow(text)["after"].value


def test_continue_and_flow_inside_an_item(flow: Any) -> None:
    text = """steps:
  - id: each
    for_each: [0, 9]
    steps:
      - {id: work, tool: probe, on_failure: continue, parameters: {name: "w{{ index }}", fail: "{{ item }}", value: v}}
      - {id: end, action: echo, parameters: {message: "{{ work | default('none') }} {{ work.success }}"}}
  - {id: odd, for_each: [1, 2, 3], steps: [{id: a, action: echo, condition: item % 2 == 1, on_false: c, parameters: {message: a}}, {id: b, action: echo, dependencies: [a], parameters: {message: b}}, {id: c, action: echo, dependencies: [b], parameters: {message: "{{ a | default('-') }}{{ b | default('-') }}"}}]}
"""
    found = flow(text)
    assert found["each"].value == ["v True", "none False"]
    assert [one.step for one in found["each"].failures] == ["each[1]/work"]
    assert found["odd"].value == ["ab", "--", "ab"]


def test_a_condition_for_each_item_of_a_single_piece_of_work(flow: Any) -> None:
    text = """inputs: {go: true}
steps:
  - {id: some, for_each: [1, 2, 3], condition: item != 2, action: echo, parameters: {message: "{{ item }}"}}
  - {id: never, for_each: [1, 2, 3], condition: not go, action: echo, parameters: {message: "{{ item }}"}}
"""
    found = flow(text)
    assert found["some"].value == [1, None, 3]
    assert [one.status for one in found["some"].iterations] == ["completed", "skipped", "completed"]
    assert (found["never"].status, found["never"].iterations) == ("skipped", None)


def test_variables_of_single_loops_are_lists_and_of_repeats_those_of_the_last_pass(flow: Any) -> None:
    text = """steps:
  - {id: each, for_each: [1, 2, 3], action: echo, condition: item != 2, parameters: {message: {n: "{{ item }}", d: "{{ item * 2 }}"}}, vars: {n: {type: integer}, d: {type: integer}}}
  - {id: grows, until: grows.iteration == 2, action: echo, parameters: {message: "{{ (total | default(0)) + 5 }}"}, vars: {total: {type: integer}}}
  - {id: reads, action: echo, parameters: {message: "{{ n }} {{ d }} {{ total }} {{ grows }}"}}
"""
    found = flow(text)
    assert found["each"].variables == {"n": [1, None, 3], "d": [2, None, 6]}
    assert found["grows"].variables == {"total": 15}
    assert found["reads"].value == "[1, null, 3] [2, null, 6] 15 [5, 10, 15]"


def test_variables_of_a_loop_with_steps_are_made_of_the_list(flow: Any) -> None:
    text = """steps:
  - id: each
    for_each: [1, 2]
    steps: [{id: a, action: echo, parameters: {message: "{{ item }}"}}]
    vars: {total: "{{ result | sum }}", all: {type: array, value: "{{ result }}"}}
    products: {total: total.json}
""".replace(', all: {type: array, value: "{{ result }}"}', ', last: "{{ result[-1] }}"')
    found = flow(text)["each"]
    assert found.variables == {"total": 3, "last": 2}, found.error
    assert [one.path for one in found.products] == ["outputs/p/total.json"]


def test_products_for_each_item(flow: Any) -> None:
    text = """steps:
  - {id: each, for_each: [a, b], action: echo, parameters: {message: "{{ item }}!"}, vars: {text: {type: string}}, products: {text: "{{ item }}.md"}}
  - id: deep
    for_each: [1, 2]
    steps:
      - {id: page, action: echo, parameters: {message: "p{{ item }}"}, vars: {page: {type: string}}, products: {page: "pages/{{ index }}.txt"}}
"""
    found = flow(text)
    assert [one.path for one in found["each"].products] == ["outputs/p/a.md", "outputs/p/b.md"]
    assert found["each"].location == "outputs/p/a.md"
    assert [one.path for one in found["deep"].products] == ["outputs/p/pages/0.txt", "outputs/p/pages/1.txt"]
    assert (flow.project / "outputs/p/pages/1.txt").read_text() == "p2"
    (product,) = flow.compile(text).by_id["each"].all_products
    assert product.per_item


@pytest.mark.parametrize(
    ("condition", "passes", "value"),
    [
        ("until: count >= 3", 3, [1, 2, 3]),
        ("until: count >= 1", 1, [1]),
        ("while: count is not defined or count < 4", 4, [1, 2, 3, 4]),
        ("while: iteration < 2", 2, [1, 2]),
        ("while: iteration < 0", 0, []),
        ("while: 'true', max_iterations: 3", 3, [1, 2, 3]),
        ("while: true, max_iterations: '{{ 1 + 1 }}'", 2, [1, 2]),
        ("until: false, max_iterations: 2", 2, [1, 2]),
        ("while: true, until: count == 2", 2, [1, 2]),
        ("while: repeat.iteration < 3, until: count == 9", 3, [1, 2, 3]),
        ("until: count > 100, max_iterations: 2, on_limit: continue", 2, [1, 2]),
        ("while: iteration < 100, on_limit: continue", 10, list(range(1, 11))),
        ("while: repeat.iteration < 10", 10, list(range(1, 11))),
    ],
)
def test_repeats(flow: Any, condition: str, passes: int, value: list[int]) -> None:
    body = '[{id: a, action: echo, parameters: {message: "{{ (count | default(0)) + 1 }}"}, vars: {count: {type: integer}}}]'
    found = flow(f"steps:\n  - {{id: repeat, {condition}, steps: {body}}}\n")["repeat"]
    assert found.error is None, found.error
    assert (len(found.iterations), found.value) == (passes, value)


@pytest.mark.parametrize("condition", ["until: iteration > 100", "while: iteration < 100"])
def test_the_limit_with_the_condition_open_is_a_failure(flow: Any, condition: str) -> None:
    found = flow(
        f"steps:\n  - {{id: r, {condition}, max_iterations: 2, retries: 2, tool: probe, parameters: {{name: x}}}}\n"
    )["r"]
    assert found.error.type == "LoopLimitError"
    assert "after 2 passes the loop has not ended" in found.error.message
    assert flow.calls == ["x", "x"]


def test_a_pass_sees_the_one_before(flow: Any) -> None:
    text = """steps:
  - id: draft-loop
    until: review.value == 'ok'
    steps:
      - {id: draft, action: echo, parameters: {message: "d{{ iteration }}({{ review | default('first') }})"}}
      - {id: review, action: echo, parameters: {message: "{{ 'ok' if draft-loop.iteration == 2 else 'no' ~ iteration }}"}, dependencies: [draft]}
  - {id: after, action: echo, parameters: {message: "{{ draft-loop.iterations[2].draft }} {{ draft-loop.results }}"}}
"""
    found = flow(text)
    assert found["after"].value == 'd2(no1) ["no0", "no1", "ok"]', found
    assert [one.steps["draft"].value for one in found["draft-loop"].iterations] == ["d0(first)", "d1(no0)", "d2(no1)"]


def test_a_single_repeat_sees_itself(flow: Any) -> None:
    text = """steps:
  - {id: grow, until: len(grow.value) > 4, action: echo, parameters: {message: "{{ grow.value | default('') }}x{{ grow.iteration }}"}}
"""
    found = flow(text)["grow"]
    assert found.error is None, found.error
    assert found.value == ["x0", "x0x1", "x0x1x2"]


def test_a_failed_pass_ends_a_repeat(flow: Any) -> None:
    text = """steps:
  - {id: r, until: false, max_iterations: 9, tool: probe, parameters: {name: "p{{ iteration }}", fail: "{{ 9 if iteration == 1 else 0 }}"}}
  - {id: s, while: iteration < 5, on_failure: continue, steps: [{id: a, action: echo, parameters: {message: "{{ 1 / (1 - iteration) }}"}}]}
"""
    found = flow(text)
    assert found["r"].error.message.startswith("pass 1 failed: ")
    assert found["s"].error.message.startswith('pass 1, step "a" failed: ')
    assert flow.calls == ["p0", "p1"]


def test_a_condition_that_cannot_be_evaluated_fails_the_repeat(flow: Any) -> None:
    text = "inputs: {word: perhaps}\nsteps:\n  - {id: r, until: word, tool: probe, parameters: {name: x}}\n"
    assert flow(text)["r"].error.type == "ConditionError"


def test_repeats_inside_items_and_items_inside_repeats(flow: Any) -> None:
    text = """steps:
  - id: each
    for_each: [1, 2]
    steps:
      - id: until-big
        until: n > item
        steps: [{id: count, action: echo, parameters: {message: "{{ until-big.iteration }}"}, vars: {n: {type: integer}}}]
      - {id: end, action: echo, parameters: {message: "{{ item }}:{{ until-big }}"}}
  - id: again
    while: iteration < 2
    steps:
      - {id: every, for_each: [a, b], steps: [{id: x, action: echo, parameters: {message: "{{ item }}{{ again.iteration }}{{ index }}"}}]}
"""
    found = flow(text)
    assert found["each"].value == ["1:[0, 1, 2]", "2:[0, 1, 2, 3]"], found["each"].error
    assert found["again"].value == [["a00", "b01"], ["a10", "b11"]]


@pytest.mark.parametrize("policy", ["fail", "continue", "skip"])
@pytest.mark.parametrize("kind", ["for_each: [1, 2, 3]", "while: true"])
def test_the_time_of_a_loop_is_the_time_of_its_body(flow: Any, kind: str, policy: str) -> None:
    """The call would never end; the loop's time stops it, whatever a failed item does."""
    more = f"    on_item_failure: {policy}\n    max_parallel: 1\n" if "for" in kind else ""
    text = f"""steps:
  - id: r
    {kind}
{more}    timeout: 0.4
    steps:
      - {{id: quick, tool: probe, parameters: {{name: quick}}}}
      - {{id: a, tool: probe, action: forever, dependencies: [quick]}}
  - {{id: b, action: echo, dependencies: [r], parameters: {{message: b}}}}
"""
    found = flow(text)
    assert found["r"].error.type == "StepTimeoutError"
    assert "the time of the loop is over" in found["r"].error.message
    assert found["b"].state is State.NOT_REACHED


def test_a_loop_behind_a_failure_reads_the_error(flow: Any) -> None:
    text = """steps:
  - {id: a, tool: probe, on_failure: rescue, parameters: {name: a, fail: 9}}
  - {id: rescue, for_each: "{{ [error.step, error.type] }}", action: echo, parameters: {message: "{{ item }} {{ error.step }}"}}
"""
    assert flow(text)["rescue"].value == ["a a", "ToolError a"]
