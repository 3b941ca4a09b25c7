"""The tool ``web-search``: asks a search service, or ranks the files of a folder.

Where it looks is the project's business (:class:`~orchestrator_dagster.tools.settings.SearchSettings`), so a pipeline
that searches the web in production searches a folder in a test. A step may name a ``folder`` itself.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AliasChoices, BaseModel, Field

from orchestrator_dagster.errors import ParametersError
from orchestrator_dagster.tools.search.folder import search_folder
from orchestrator_dagster.tools.search.hits import Found, Hit
from orchestrator_dagster.tools.search.services import ask_service, call_function
from orchestrator_dagster.tools.tool import Tool, ToolContext

web_search = Tool("web-search", summary="Searches with the project's search service, or in a folder of files.")

_HINT = (
    "name a `folder` of the workspace, or give the project a `ToolSettings(search=SearchSettings(…))` in its tools.py, "
    "or the resource `tools` a `search`"
)


class SearchResult(BaseModel):
    """What was found, best first. ``total_results`` is how many there are in all, as far as the backend says."""

    query: str
    backend: str
    results: list[Hit]
    total_results: int


@web_search.action(aliases=("execute", "web_search", "query", "find"), default=True, reads_only=True)
def search(
    context: ToolContext,
    query: Annotated[str, Field(description="What to look for.", validation_alias=AliasChoices("query", "q"))],
    max_results: Annotated[
        int,
        Field(
            ge=1,
            le=100,
            description="Most results.",
            validation_alias=AliasChoices("max_results", "num_results", "count", "limit"),
        ),
    ] = 10,
    folder: Annotated[
        str | None, Field(description="Folder of the workspace to search, instead of what the project searches.")
    ] = None,
    timeout: Annotated[float, Field(gt=0, le=600, description="Seconds that a service may take.")] = 30.0,
) -> SearchResult:
    """Find what fits a query best."""
    query = " ".join(query.split())
    if not query:
        raise ParametersError("web_search.search: the query is empty")
    settings = context.settings.search
    if folder is not None:
        name, found = "folder", search_folder(context, folder, query, max_results)
    elif settings is None:
        raise ParametersError("web_search.search: nothing says where to search", hint=_HINT)
    elif settings.function is not None:
        name, found = "function", call_function(settings.function, query, max_results)
    elif settings.backend == "folder":
        name, found = "folder", search_folder(context, str(settings.folder), query, max_results)
    else:
        name, found = str(settings.backend), ask_service(context, settings, query, max_results, timeout)
    return _result(query, name, found)


def _result(query: str, name: str, found: Found) -> SearchResult:
    return SearchResult(query=query, backend=name, results=list(found.hits), total_results=found.total)
