"""The optional packages that a pipeline's tools and products need, and which of them are not installed here."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledStep

#: By tool, and by action where only one of its actions needs it: the package, and the extra that brings it.
_OF_TOOLS = {
    ("mcp", None): ("mcp", "mcp"),
    ("pdf_compiler", None): ("reportlab", "pdf"),
    ("visualization", None): ("matplotlib", "charts"),
    ("headless_browser", None): ("trafilatura", "web"),
    ("headless_browser", "screenshot"): ("playwright", "browser"),
    ("data_processing", "sql"): ("duckdb", "sql"),
}
_OF_FORMATS = {"parquet": ("pyarrow", "parquet"), "xlsx": ("openpyxl", "excel")}


def missing_packages(pipeline: CompiledPipeline) -> tuple[str, ...]:
    """What a run would fail for in the middle: one line for each step that needs what is not installed.

    Files that are read are not known before the run; what reading them needs is not looked at.
    """
    return tuple(dict.fromkeys(_missing(pipeline)))


def _missing(pipeline: CompiledPipeline) -> Iterator[str]:
    for step in (inner for top in pipeline.steps for inner in _inside(top)):
        for package, extra in _needed(step):
            if importlib.util.find_spec(package) is None:
                what = f'step "{step.id}" needs the package "{package}", which is not installed'
                yield f"{pipeline.location(step)}: {what}: pip install 'orchestrator-dagster[{extra}]'"
        if step.pipeline is not None:
            yield from _missing(step.pipeline)


def _inside(step: CompiledStep) -> Iterator[CompiledStep]:
    """A step and those of its loop; the steps of a pipeline that it runs stand in another file."""
    yield step
    for one in step.body:
        yield from _inside(one)


def _needed(step: CompiledStep) -> Iterator[tuple[str, str]]:
    if step.tool is not None:
        name = step.tool.lower().replace("-", "_")
        found = _OF_TOOLS.get((name, step.action)) or _OF_TOOLS.get((name, None))
        if found is not None:
            yield found
    for product in step.products:
        if product.format in _OF_FORMATS:
            yield _OF_FORMATS[product.format]
