from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from orchestrator_dagster.errors import ToolError, UnknownToolError
from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.tools.decorator import tool
from orchestrator_dagster.tools.registry import ALIASES, BUILTIN, ToolRegistry
from orchestrator_dagster.tools.tool import Tool, ToolContext

OWN = '''
from __future__ import annotations
from dataclasses import dataclass
from orchestrator_dagster.tools.decorator import tool
from orchestrator_dagster.tools.filesystem import filesystem
from orchestrator_dagster.tools.tool import Tool, ToolContext

@dataclass
class Point:
    x: int

@tool
def shout(text: str) -> str:
    """Make it loud."""
    return text.upper()

@tool("point-x")
def point_x(context: ToolContext, point: Point) -> int:
    return point.x

again = shout
'''


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Install a package that offers tools: real metadata on the path."""

    def install(name: str, source: str, *points: str) -> None:
        info = tmp_path / "site" / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("\n".join(["[orchestrator_dagster.tools]", *points]))
        (tmp_path / "site" / f"{name}.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path / "site")
        monkeypatch.delitem(sys.modules, name, raising=False)

    return install


@pytest.mark.parametrize("name", [*BUILTIN, *ALIASES])
def test_every_builtin_name_and_alias_finds_its_tool(name):
    found = ToolRegistry().find(name)
    assert found.name == ALIASES.get(name, name)
    assert found.summary
    assert found.actions
    assert found.find(None) if found.default_action else True
    for action in found.actions.values():
        assert action.summary, f"{name}.{action.name} has no summary"
        assert action.parameters.model_json_schema()
        assert action.result


def test_dashes_case_and_the_nearest_name():
    registry = ToolRegistry()
    assert registry.find("Report-Generator") is registry.find("report_generator")
    with pytest.raises(UnknownToolError, match='no tool "file-sytem"; did you mean "file_system"') as problem:
        registry.find("file-sytem")
    assert "orchestrator tools" in problem.value.hint
    with pytest.raises(UnknownToolError) as problem:
        registry.find("zzz")
    assert problem.value.message == 'there is no tool "zzz"'


def test_listing_names_imports_no_tool():
    code = (
        "import sys\n"
        "from orchestrator_dagster.tools.registry import BUILTIN, ToolRegistry\n"
        "names = ToolRegistry().names()\n"
        "assert set(BUILTIN) <= set(names), names\n"
        "print([m for m in BUILTIN.values() if m in sys.modules])\n"
        "print([m for m in ('pandas', 'numpy', 'dagster', 'litellm', 'httpx', 'markdown_it') if m in sys.modules])\n"
        "ToolRegistry().find('filesystem'); ToolRegistry().find('report_generator')\n"
        "print([m for m in ('pandas', 'numpy', 'dagster', 'litellm', 'httpx', 'markdown_it') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:3] == ["[]", "[]", "[]"]


def test_summaries():
    summaries = ToolRegistry().summaries()
    assert set(summaries) >= set(BUILTIN)
    assert summaries["filesystem"].startswith("Reads, writes")


def test_added_tools_and_clashes():
    registry = ToolRegistry()
    mine = Tool("Mine-Own", summary="Mine.")
    registry.add(mine, source="a.py")
    registry.add(mine, source="a.py")
    assert registry.find("mine_own") is mine
    assert "mine_own" in registry.names()
    with pytest.raises(ToolError, match=r'the name "mine_own": that of a\.py and that of b\.py'):
        registry.add(Tool("mine-own"), source="b.py")
    with pytest.raises(ToolError, match=r"built-in tool of orchestrator_dagster\.tools\.filesystem and that of b\.py"):
        registry.add(Tool("filesystem"), source="b.py")
    with pytest.raises(ToolError, match=r'built-in tool "filesystem", of which it is another name and that of b\.py'):
        registry.add(Tool("file-system"), source="b.py")
    assert registry.find("mine_own") is mine


def test_a_projects_file(tmp_path):
    file = tmp_path / "tools.py"
    file.write_text(OWN)
    registry = ToolRegistry()
    assert registry.load_file(file) == ["filesystem", "point_x", "shout"]
    context = ToolContext(Workspace(tmp_path))
    assert registry.find("shout").find(None).call(context, {"text": "a"}) == "A"
    assert registry.find("point-x").find(None).call(context, {"point": {"x": 3}}) == 3
    assert "tools" not in sys.modules or sys.modules["tools"].__file__ != str(file)


def test_a_file_loaded_again_replaces_its_tools(tmp_path):
    file = tmp_path / "tools.py"
    file.write_text(OWN)
    registry = ToolRegistry()
    registry.load_file(file)
    file.write_text(OWN.replace("upper()", "lower()").replace("point-x", "point-y"))
    registry.load_file(str(file))
    assert registry.find("shout")("A") == "a"
    assert "point_y" in registry.names()
    assert "point_x" not in registry.names()


@pytest.mark.parametrize(
    ("source", "line", "said"),
    [
        ("x = 1\ndef broken(:\n", 2, "SyntaxError"),
        ("import json\n\njson.loads('{')\n", 3, "JSONDecodeError"),
        ("import not_there_at_all\n", 1, "ModuleNotFoundError"),
        ("x = 1\nraise SystemExit(3)\n", 2, "SystemExit"),
        (
            "from orchestrator_dagster.tools.decorator import tool\n\n@tool\ndef f(a: 'Nowhere'): ...\n",
            3,
            'annotations of the tool function "f" cannot be read: NameError',
        ),
    ],
)
def test_a_broken_file_is_an_error_with_file_and_line(tmp_path, source, line, said):
    file = tmp_path / "tools.py"
    file.write_text(source)
    registry = ToolRegistry()
    modules = set(sys.modules)
    with pytest.raises(ToolError, match=said) as problem:
        registry.load_file(file)
    assert problem.value.location == f"{file}:{line}"
    assert problem.value.permanent
    if "annotations" not in said:
        assert not [name for name in set(sys.modules) - modules if name.startswith("_orchestrator_dagster_tools_")]


def test_a_file_with_a_clash_adds_nothing(tmp_path):
    file = tmp_path / "tools.py"
    file.write_text(OWN.replace('"point-x"', '"report-generator"'))
    registry = ToolRegistry()
    with pytest.raises(ToolError, match=f"orchestrator_dagster.tools.report and that of {file}"):
        registry.load_file(file)
    assert "shout" not in registry.names()
    with pytest.raises(ToolError, match="no tools file"):
        registry.load_file(tmp_path / "gone.py")


def test_tools_of_an_installed_package(package):
    source = "from orchestrator_dagster.tools.decorator import tool\n@tool\ndef translate(text: str):\n  return text\n"
    points = {"translate": "translate", "thing": "__doc__", "other": "translate", "gone": "gone"}
    package("acme_tools", source, *(f"{name} = acme_tools:{value}" for name, value in points.items()))
    registry = ToolRegistry()
    registry.find("filesystem")
    assert registry._offered is None, "entry points are not read for a built-in tool"
    assert "translate" in registry.names()
    assert "acme_tools" not in sys.modules
    assert registry.find("Translate")("x") == "x"
    with pytest.raises(ToolError, match=r'"thing" of the package "acme_tools".*of the type NoneType'):
        registry.find("thing")
    with pytest.raises(ToolError, match='offers the tool "translate" under the name "other"'):
        registry.find("other")
    with pytest.raises(ToolError, match="cannot be loaded: AttributeError"):
        registry.find("gone")
    with pytest.raises(ToolError, match=r'package "acme_tools" \(acme_tools:translate\) and that of this program'):
        registry.add(Tool("translate"))


def test_two_packages_with_one_name(package):
    package("acme_one", "", "translate = acme_one:translate")
    package("acme_two", "", "Translate = acme_two:translate")
    with pytest.raises(ToolError, match=r'"acme_one".*"acme_two"|"acme_two".*"acme_one"'):
        ToolRegistry().find("translate")


def test_a_package_with_the_name_of_a_builtin(package):
    package("acme_three", "", "file-system = acme_three:x")
    with pytest.raises(
        ToolError, match=r'orchestrator_dagster\.tools\.filesystem and that of the package "acme_three"'
    ):
        ToolRegistry().names()


def test_many_threads_find_one_tool(tmp_path):
    registry = ToolRegistry()
    start, found = threading.Barrier(8), []

    def work() -> None:
        start.wait()
        found.append((registry.find("filesystem"), registry.find("report")))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(found) == 8
    assert len({(id(one), id(two)) for one, two in found}) == 1


def test_a_decorated_tool_can_be_added():
    @tool
    def double(value: int) -> int:
        """Twice."""
        return 2 * value

    registry = ToolRegistry()
    registry.add(double)
    assert registry.summaries()["double"] == "Twice."
