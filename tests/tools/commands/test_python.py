"""Python code in a process of its own."""

from __future__ import annotations

import os
import sys

import psutil
import pytest

import orchestrator_dagster as orc
from orchestrator_dagster.errors import ParametersError, SizeLimitError, StepTimeoutError, ToolError
from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.tools.commands.python import python_executor
from orchestrator_dagster.tools.registry import ToolRegistry
from orchestrator_dagster.tools.tool import ToolContext


@pytest.fixture
def run(tmp_path):
    def call(code=None, context=None, **parameters):
        context = context or ToolContext(Workspace(tmp_path))
        given = {"code": code, **parameters} if code is not None else parameters
        return python_executor.find(None).call(context, given)

    return call


def test_code_gives_its_output_and_its_result(run):
    done = run("print('hello', n)\nresult = {'double': n * 2, 'all': inputs}", inputs={"n": 21})
    assert done["output"] == done["stdout"] == "hello 21\n"
    assert done["result"] == {"double": 42, "all": {"n": 21}}
    assert (done["success"], done["return_code"], done["stderr"]) == (True, 0, "")
    assert run("x = 1")["result"] is None
    assert run("import sys; print('said', file=sys.stderr)")["stderr"] == "said\n"
    assert run("import sys; print(sys.executable, sys.flags.isolated)")["output"].split() == [sys.executable, "1"]
    for name in ("python", "python-executor", "python_executor"):
        assert ToolRegistry().find(name) is python_executor


def test_results_become_json(run):
    done = run(
        "import datetime, decimal, dataclasses, pathlib, numpy as np, pandas as pd\n"
        "@dataclasses.dataclass\nclass Point:\n    x: int\n"
        "result = {'day': datetime.date(2026, 1, 2), 'set': {2, 1}, 'nan': float('nan'), 'array': np.arange(3),\n"
        "  'scalar': np.float64(1.5), 'frame': pd.DataFrame({'a': [1, None]}), 'point': Point(3),\n"
        "  'money': decimal.Decimal('1.10'), 'path': pathlib.Path('a/b'), 1: 'é', 'tuple': (1, 2)}"
    )
    assert done["result"] == {
        "day": "2026-01-02", "set": [1, 2], "nan": None, "array": [0, 1, 2], "scalar": 1.5,
        "frame": [{"a": 1.0}, {"a": None}], "point": {"x": 3}, "money": "1.10", "path": "a/b", "1": "é", "tuple": [1, 2],
    }  # fmt: skip
    for code, match in (
        ("result = object()", "type object has no spelling"),
        ("result = []; result.append(result)", "holds itself"),
        ("import os; os._exit(0)", "ended its process before its end"),
    ):
        with pytest.raises(ToolError, match=match):
            run(code)


def test_an_error_shows_the_lines_of_the_code(run, tmp_path):
    with pytest.raises(ToolError) as failed:
        run("def halve(n):\n    return 1 / n\n\nhalve(0)\n")
    told = failed.value.message
    assert 'File "code.py", line 4, in <module>' in told
    assert 'File "code.py", line 2, in halve' in told
    assert "return 1 / n" in told
    assert "ZeroDivisionError: division by zero" in told
    assert "harness" not in told
    with pytest.raises(ToolError, match=r'File "code.py", line 2'):
        run("x = 1\nx = = 2")
    (tmp_path / "steps.py").write_text("# one\nraise KeyError('gone')\n")
    with pytest.raises(ToolError, match=r'File "steps.py", line 2'):
        run(file="steps.py")
    done = run("raise SystemExit('no')", check=False)
    assert (done["return_code"], done["stderr"], done["result"]) == (1, "no\n", None)
    assert run("import sys; result = 5; sys.exit(0)")["result"] == 5


def test_the_code_is_a_program_of_its_own(run, tmp_path):
    (tmp_path / "json.py").write_text("raise RuntimeError('the wrong module')")
    code = (
        "import json, pickle, os\n"
        "class Own: pass\n"
        "if __name__ == '__main__':\n"
        "    result = [type(pickle.loads(pickle.dumps(Own()))).__name__, os.getcwd(), sorted(os.listdir('.'))]"
    )
    assert run(code)["result"] == ["Own", str(tmp_path), ["json.py"]]


def test_it_has_no_keys(run, monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", "sk-planted-0123456789")
    monkeypatch.setenv("PYTHONSTARTUP", "/nowhere.py")
    assert "planted" not in str(run("import os; result = dict(os.environ)")["result"])


def test_wrong_calls(run):
    for parameters in ({}, {"code": "1", "file": "a.py"}):
        with pytest.raises(ParametersError, match="either `code` or `file`"):
            run(**parameters)
    with pytest.raises(ParametersError, match='"a-b" is no name'):
        run("1", inputs={"a-b": 1})


def test_limits(run):
    mark = f"3{os.getpid()}.5"
    with pytest.raises(StepTimeoutError):
        run(
            f"import subprocess\nsubprocess.Popen(['sleep', '{mark}'], start_new_session=True)\nwhile True: pass",
            timeout=1,
        )
    assert not [one for one in psutil.process_iter(["cmdline"]) if mark in (one.info["cmdline"] or [])]
    with pytest.raises(ToolError) as failed:
        run("x = bytearray(400 * 2**20)", memory_mb=200)
    assert "MemoryError" in failed.value.message
    assert "memory_mb" in failed.value.hint
    with pytest.raises(SizeLimitError, match="standard output"):
        run("while True: print('x' * 1000)", max_output=50_000)
    # A bomb with a fuse: four generations, if nothing stopped it.
    with pytest.raises(ToolError, match=r"more than 6 processes|BlockingIOError"):
        run("import os, time\nfor _ in range(4): os.fork()\ntime.sleep(60)", max_processes=6)


def test_in_a_pipeline(project, write, instance):
    write("numbers.json", "[1, 2, 3]")
    write(
        "pipelines/p.yaml",
        """
id: p
steps:
  - id: read
    tool: filesystem
    parameters: {action: read, path: numbers.json}
  - id: total
    tool: python-executor
    parameters:
      code: |
        result = {"sum": sum(numbers), "name": name}
      inputs: {numbers: "{{ read.content | from_json }}", name: "it's \\"quoted\\"\\n{{ '{{' }}"}
    vars:
      - sum: {type: integer, value: "{{ result.result.sum }}"}
      - name: "{{ result.result.name }}"
outputs: {sum: "{{ total.sum }}", name: "{{ total.name }}"}
""",
    )
    result = orc.compile("pipelines/p.yaml").run(instance=instance)
    assert result.success, result.error
    assert result.outputs == {"sum": 6, "name": 'it\'s "quoted"\n{{'}
    write("pipelines/q.yaml", "id: q\nsteps: [{id: a, tool: python, parameters: {code: x, inputz: {}}}]\n")
    with pytest.raises(orc.PipelineError, match='has no parameter "inputz"'):
        orc.compile("pipelines/q.yaml")
