"""The tool ``pdf-compiler``: a PDF from Markdown, made with ReportLab; nothing is installed besides Python packages."""

from __future__ import annotations

from orchestrator_dagster.tools.pdf import compiling
from orchestrator_dagster.tools.tool import Tool

pdf_compiler = Tool(
    "pdf-compiler", summary="Makes a PDF from Markdown: headings, tables, images, contents, page numbers."
)

pdf_compiler.action(
    default=True, aliases=("create", "generate", "convert", "execute", "compile_pdf", "markdown_to_pdf", "create_pdf")
)(compiling.compile)

__all__ = ["pdf_compiler"]
