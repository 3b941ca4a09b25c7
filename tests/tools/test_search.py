"""The tool ``web-search``: a folder, services by their protocols, a function."""

from __future__ import annotations

import re

import pytest
from nasty_site import serve

import orchestrator_dagster as orc
from orchestrator_dagster.errors import FileMissingError, HttpStatusError, ParametersError, PathError, ToolError
from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.tools.search import web_search
from orchestrator_dagster.tools.search.ranking import Index, Text, asked, words
from orchestrator_dagster.tools.settings import SearchSettings, ToolSettings
from orchestrator_dagster.tools.tool import ToolContext


@pytest.fixture
def library(tmp_path):
    folder = tmp_path / "library"
    (folder / "deep").mkdir(parents=True)
    (folder / "beans.md").write_text(
        "# Growing beans\n\nBeans need little water. Straw keeps the soil moist.\n\nMore on pests.\n"
    )
    (folder / "water.txt").write_text("The well is deep. Water is dear in a dry year, and beans drink little of it.\n")
    (folder / "deep" / "page.html").write_bytes(
        "<html><head><title>K&auml;se &amp; Brot</title><style>beans{}</style><script>beans</script></head>"
        "<body><h1>Käse</h1><p>Cheese from Zürich.</p></body></html>".encode()
    )
    (folder / "empty.md").write_text("")
    (folder / "binary.bin").write_bytes(b"beans")
    (folder / ".hidden.md").write_text("beans")
    (tmp_path / "outside.md").write_text("beans outside")
    (folder / "link.md").symlink_to(tmp_path / "outside.md")
    return tmp_path


@pytest.fixture
def search(library):
    def call(query, settings=None, **parameters):
        context = ToolContext(
            Workspace(library), settings=ToolSettings(search=settings) if settings else ToolSettings()
        )
        return web_search.find(None).call(context, {"query": query, **parameters})

    return call


def test_a_folder_is_ranked(search):
    got = search("growing beans", folder="library")
    assert [hit["url"] for hit in got["results"]] == ["library/beans.md", "library/water.txt"]
    assert (got["total_results"], got["query"], got["backend"]) == (2, "growing beans", "folder")
    first = got["results"][0]
    assert first["title"] == "Growing beans"
    assert first["score"] > got["results"][1]["score"] > 0
    assert "beans drink little" in got["results"][1]["snippet"]
    assert search("soil", folder="library")["results"][0]["snippet"].startswith("Straw keeps the soil moist.")
    page = search("zurich cheese", folder="library")["results"]
    assert [(hit["url"], hit["title"]) for hit in page] == [("library/deep/page.html", "Käse & Brot")]
    assert search("beans", folder="library", max_results=1)["total_results"] == 2
    assert search("nothing of this", folder="library", num_results=3)["results"] == []
    by_settings = search("well", SearchSettings(backend="folder", folder="library"))
    assert by_settings["results"][0]["url"] == "library/water.txt"


def test_a_changed_file_is_read_again(search, library):
    assert search("pumpkin", folder="library")["total_results"] == 0
    (library / "library" / "new.md").write_text("A pumpkin.")
    assert search("pumpkins", folder="library")["results"][0]["title"] == "new"
    (library / "library" / "new.md").unlink()
    assert search("pumpkin", folder="library")["total_results"] == 0


def test_wrong_searches(search, library):
    with pytest.raises(ParametersError, match="nothing says where to search") as refused:
        search("beans")
    assert "SearchSettings" in refused.value.hint
    with pytest.raises(ParametersError, match="empty"):
        search("  ", folder="library")
    with pytest.raises(FileMissingError, match='no folder "librari"'):
        search("x", folder="librari")
    for folder in ("..", "/etc", "library/../..", "~"):
        with pytest.raises(PathError):
            search("x", folder=folder)
    (library / "none").mkdir()
    with pytest.raises(ParametersError, match="no file that can be searched"):
        search("x", folder="none")
    with pytest.raises(ValueError, match="needs `key`"):
        SearchSettings(backend="brave")
    with pytest.raises(ValueError, match="backend"):
        SearchSettings()


def test_ranking_follows_the_formula():
    """Against the formula, written out once more in the plainest way."""
    import math

    texts = [Text(str(n), "", text) for n, text in enumerate(["red red blue", "red green", "green green green blue"])]
    index = Index.of(texts)
    lengths, mean = [3, 2, 4], 3.0
    counts = {"red": {0: 2, 1: 1}, "blue": {0: 1, 2: 1}}
    expected = dict.fromkeys(range(3), 0.0)
    for places in counts.values():
        idf = math.log(1 + (3 - len(places) + 0.5) / (len(places) + 0.5))
        for n, count in places.items():
            expected[n] += idf * count * 2.2 / (count + 1.2 * (0.25 + 0.75 * lengths[n] / mean))
    assert {int(text.url): score for text, score in index.search("red blue")} == pytest.approx(expected)


def test_words():
    assert list(words("Stories, buses & glass: naïve Ünïcode 42x")) == [
        "stori",
        "buse",
        "glass",
        "naiv",
        "unicod",
        "42x",
    ]
    assert list(words("東京大学 tokyo")) == ["東京", "京大", "大学", "tokyo"]
    assert asked("what is the well") == ["well"]
    assert asked("the who") == ["the", "who"]


def test_snippets_are_short_and_hold_what_was_asked():
    long = "word " * 500 + "needle " + "word " * 500
    index = Index.of([Text("a", "A", long), Text("b", "B", "other")])
    snippet = index.snippet(index.texts[0], "needle")
    assert "needle" in snippet
    assert len(snippet) <= 302


def test_a_searxng_service(search):
    with serve() as site:
        got = search("dry beans", SearchSettings(backend="searxng", url=f"{site.url}/searx/"), max_results=5)
        assert got["total_results"] == 120
        assert [hit["title"] for hit in got["results"]] == [f"About dry beans {n}" for n in range(5)]
        assert got["results"][0] == {
            "title": "About dry beans 0",
            "url": "https://example.com/0",
            "snippet": "text 0",
            "score": None,
        }
        with pytest.raises(HttpStatusError, match="searxng answers with the status 404"):
            search("x", SearchSettings(backend="searxng", url=f"{site.url}/elsewhere"))
        other = SearchSettings(backend="tavily", url=f"{site.url}/echo", key="PATH")
        with pytest.raises(ToolError, match="does not answer as tavily does"):
            search("x", other)


def test_services_with_keys(search, monkeypatch):
    with serve() as site:
        for name, path in (("brave", "/brave"), ("tavily", "/tavily")):
            settings = SearchSettings(backend=name, url=site.url + path, key="OWN_SEARCH_KEY")
            monkeypatch.delenv("OWN_SEARCH_KEY", raising=False)
            with pytest.raises(ParametersError, match="OWN_SEARCH_KEY"):
                search("beans", settings)
            monkeypatch.setenv("OWN_SEARCH_KEY", "wrong-0123456789")
            with pytest.raises(HttpStatusError, match="401") as refused:
                search("beans", settings)
            assert refused.value.permanent
            assert refused.value.hint == "check the key in OWN_SEARCH_KEY"
            assert "wrong-0123456789" not in str(refused.value)
            monkeypatch.setenv("OWN_SEARCH_KEY", f"{name}-key-0123456789")
            got = search("beans", settings)
            assert got["backend"] == name
            assert len(got["results"]) == 1


def test_in_a_pipeline_with_a_function_of_the_project(project, write, instance):
    """The hook stands in tools.py, and works in the process of a step with a timeout too."""
    write(
        "tools.py",
        "from orchestrator_dagster import SearchSettings, ToolSettings\n\n"
        "def look(query, most):\n"
        "    return [{'title': query.upper(), 'url': f'https://example.com/{n}', 'snippet': 's'} for n in range(most + 3)]\n\n"
        "settings = ToolSettings(search=SearchSettings(function=look))\n",
    )
    write(
        "pipelines/p.yaml",
        """
id: p
steps:
  - {id: a, tool: web-search, action: search, parameters: {query: beans, max_results: 2}}
  - {id: b, tool: web_search, parameters: {query: peas, max_results: 1}, timeout: 60}
outputs: {a: "{{ a.results }}", b: "{{ b.results[0].title }}", total: "{{ a.total_results }}"}
""",
    )
    result = orc.compile("pipelines/p.yaml").run(instance=instance)
    assert result.success, result.error
    assert [row["url"] for row in result.outputs["a"]] == ["https://example.com/0", "https://example.com/1"]
    assert (result.outputs["b"], result.outputs["total"]) == ("PEAS", 5)


def test_the_resource_says_where_to_search(project, write, instance):
    """In a code location the resource `tools` has the settings; they come before those of tools.py."""
    write(
        "tools.py",
        "from orchestrator_dagster import SearchSettings, ToolSettings\nx = ToolSettings(search=SearchSettings(backend='folder', folder='no'))\n",
    )
    write("notes/a.md", "# Beans\nDry beans.")
    write(
        "pipelines/p.yaml",
        "id: p\nsteps: [{id: a, tool: web-search, parameters: {query: beans}}]\noutputs: {n: '{{ a.total_results }}'}\n",
    )
    from orchestrator_dagster.definitions.resources import SearchConfig

    tools = orc.ToolsResource(search=SearchConfig(backend="folder", folder="notes"), allowed_hosts=["localhost"])
    settings = tools.registry(project).settings
    assert settings.search.folder == "notes"
    assert settings.allowed_hosts == ("localhost",)
    wrong = orc.ToolsResource(search=SearchConfig(backend="brave"), allowed_hosts=["http://x"])
    with pytest.raises(ToolError, match="the resource `tools` is wrong: the backend brave needs `key`"):
        wrong.registry(project)
    definitions = orc.build_definitions(project / "pipelines", resources={"tools": tools})
    done = definitions.resolve_job_def("p_job").execute_in_process(instance=instance)
    assert done.success


def test_a_failing_function(search):
    for function, match in (
        (lambda query, most: [{"title": "x"}], "no list of"),
        (lambda query, most: 1 / 0, "ZeroDivisionError"),
    ):
        with pytest.raises(ToolError, match=re.escape(match)):
            search("x", SearchSettings(function=function))
