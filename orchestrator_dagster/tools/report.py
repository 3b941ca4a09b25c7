"""The tool ``report-generator``: a report in Markdown or as a standalone HTML page.

A report is built as Markdown first; the page is made from that, so both say the same. Text inside sections is
Markdown of whoever wrote it, often a model or a document: raw HTML in it is shown, not run, and the page's own content
policy allows no script and loads nothing.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, unquote

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from orchestrator_dagster.errors import ParametersError, PathError, SizeLimitError, TemplateError
from orchestrator_dagster.files.workspace import MEGABYTE, Workspace
from orchestrator_dagster.language.templates import render as render_template
from orchestrator_dagster.markdown_text import (
    Heading,
    headings,
    markdown_value,
    nest_headings,
    one_line,
    render,
    word_count,
)
from orchestrator_dagster.tables import html_table
from orchestrator_dagster.text import nearest
from orchestrator_dagster.tools.included_files import find_text
from orchestrator_dagster.tools.tool import Tool, ToolContext

MAX_IMAGE_BYTES = 20 * MEGABYTE
"""Largest image that is put into a page; base64 makes it a third larger there."""

_IMAGE_TYPES = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*|<!DOCTYPE[^>]*>\s*)*<svg[\s>]", re.DOTALL), "image/svg+xml"),
)
_HTML_TEMPLATES = (".html", ".htm", ".html.j2", ".html.jinja", ".html.jinja2")
_TABLE_FILES = (".csv", ".tsv", ".json", ".jsonl", ".parquet", ".xlsx")

report_generator = Tool("report-generator", summary="Makes a report in Markdown or HTML from titles, texts and tables.")


class Image(BaseModel):
    """A picture of a section: ``path`` in the workspace, ``alt`` for those who cannot see it, ``caption`` below it."""

    model_config = ConfigDict(extra="forbid")

    path: str
    alt: str = ""
    caption: str = ""


class Section(BaseModel):
    """A part of a report.

    Its content is text (Markdown), a list of objects (a table), another list or a map (bullets). A table is such a
    list, a result of data-processing, a file of the workspace, or Markdown. ``level`` 1 is a main section, up to 5.
    """

    model_config = ConfigDict(extra="forbid")

    title: str = Field(validation_alias=AliasChoices("title", "heading", "name"))
    content: Any = Field(default=None, validation_alias=AliasChoices("content", "text", "body"))
    table: Any = None
    image: Image | str | None = None
    level: int = Field(default=1, ge=1, le=5)
    sections: list[Section] = Field(default_factory=list)


class Report(BaseModel):
    """A finished report: ``sections`` has the titles, ``warnings`` what was not shown as written, ``path`` its file."""

    content: str
    format: Literal["markdown", "html"]
    title: str
    word_count: int
    sections: list[str]
    warnings: list[str]
    path: str | None = None


@report_generator.action(
    aliases=("create", "execute", "generate_report", "create_report"), default=True, further_for="template"
)
def generate(
    context: ToolContext,
    title: Annotated[str, Field(description="Title of the report.")] = "Report",
    content: Annotated[Any, Field(description="What stands before the sections, or the whole report.")] = None,
    sections: Annotated[
        list[Any] | dict[str, Any] | None,
        Field(description="[{title, content, table (rows, a file), image, level, sections}] or {heading: content}."),
    ] = None,
    format: Annotated[
        Literal["markdown", "md", "html"] | None,
        Field(description="Default markdown, or html where the template is an HTML one."),
    ] = None,
    contents: Annotated[bool, Field(description="Whether to put a table of contents in front.")] = False,
    author: Annotated[str | None, Field(description="Who wrote it.")] = None,
    date: Annotated[str | None, Field(description="Its date, as it should read.")] = None,
    max_rows: Annotated[int | None, Field(ge=0, description="Most rows that a table shows.")] = None,
    template: Annotated[
        str | None,
        Field(description="A Jinja file that makes the report; its names are these parameters and any further ones."),
    ] = None,
    output_path: Annotated[str | None, Field(description="A file that the report is written to as well.")] = None,
    **values: Any,
) -> Report:
    """Make a report."""
    parts = _sections(sections)
    for image in _images(parts):
        context.workspace.existing_file(image.path)
    for part in _all(parts):
        part.table = _table(context, part.table)
    warnings: list[str] = []
    wanted = "markdown" if format == "md" else format
    body = [_content(content, title, 1, max_rows), *(_section(part, 1, max_rows) for part in parts)]
    markdown = "\n\n".join(text for text in body if text)
    titles = [part.title for part in _all(parts)] or [each.text for each in headings(markdown) if each.level == 2]

    if template is None:
        text = _document(title, markdown, contents, author, date)
        if wanted == "html":
            text = _page(title, markdown, contents, author, date, _embed(context.workspace, warnings))
        words = word_count(_document(title, markdown, False, author, date))
    else:
        names = {"title": title, "content": markdown, "contents": contents, "author": author, "date": date, **values}
        names["sections"] = [_for_template(part, max_rows) for part in parts]
        is_html = template.lower().endswith(_HTML_TEMPLATES)
        if is_html and wanted == "markdown":
            raise ParametersError(f'the template "{template}" makes HTML, `format` says markdown')
        text = _from_template(context, template, names, is_html, _embed(context.workspace, warnings))
        words = len(html.unescape(re.sub(r"(?s)<(style|script).*?</\1>|<[^>]*>", " ", text)).split()) if is_html else 0
        if not is_html:
            words = word_count(text)
            titles = titles or [each.text for each in headings(text) if each.level == 2]
            if wanted == "html":
                first = headings(text)[:1]  # a template writes its own title, or leaves it to the page
                name = first[0].text if first and first[0].level == 1 else title
                show = _embed(context.workspace, warnings)
                text = _page(name, nest_headings(text, 1, name), contents, author, date, show)
        wanted = "html" if is_html else wanted
    context.workspace.check_size(len(text.encode()), f'the report "{title}"')
    for warning in warnings:
        context.log(warning)
    path = None
    if output_path is not None:
        path = context.workspace.relative(context.workspace.write(output_path, text.encode()).path)
    return Report(
        content=text,
        format=wanted or "markdown",
        title=title,
        word_count=words,
        sections=titles,
        warnings=list(dict.fromkeys(warnings)),
        path=path,
    )


def _sections(given: list[Any] | dict[str, Any] | None) -> list[Section]:
    if isinstance(given, dict):
        return [Section(title=heading, content=content) for heading, content in given.items()]
    parts = []
    for index, each in enumerate(given or []):
        if isinstance(each, str):
            raise ParametersError(
                f"`sections[{index}]` is a text, an object with `title` and `content` was expected",
                hint="give text without a heading as `content`",
            )
        try:
            parts.append(Section.model_validate(each))
        except ValidationError as error:
            raise ParametersError(
                "; ".join(_section_problem(index, item) for item in error.errors(include_url=False)),
                hint="a section has " + ", ".join(f"`{name}`" for name in Section.model_fields),
            ) from None
    return parts


def _section_problem(index: int, error: Mapping[str, Any]) -> str:
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"`sections[{index}]{place}` is unknown{nearest(str(error['loc'][-1]), Section.model_fields)}"
    return f"`sections[{index}]{place}`: {error['msg']}"


def _all(parts: list[Section]) -> list[Section]:
    return [each for part in parts for each in (part, *_all(part.sections))]


def _table(context: ToolContext, table: Any) -> Any:
    """A table as it is shown: a file that a path names is read, a result of data-processing gives its rows."""
    is_path = isinstance(table, str) and "\n" not in table and Path(table).suffix.lower() in _TABLE_FILES
    is_result = isinstance(table, Mapping) and {"data", "columns", "row_count"} <= table.keys()
    if not is_path and not is_result:
        return table
    from orchestrator_dagster.tools.data.loading import read_table  # it imports pandas

    return read_table(context, table)


def _images(parts: list[Section]) -> list[Image]:
    return [_image(part.image) for part in _all(parts) if part.image]


def _image(image: Image | str) -> Image:
    return Image(path=image) if isinstance(image, str) else image


def _content(content: Any, title: str, level: int, max_rows: int | None) -> str:
    return "" if content is None else nest_headings(markdown_value(content, max_rows), level, title)


def _section(part: Section, above: int, max_rows: int | None) -> str:
    level = min(6, above + part.level)
    blocks = [f"{'#' * level} {one_line(part.title)}", _section_body(part, level, max_rows)]
    blocks += [_section(each, level, max_rows) for each in part.sections]
    return "\n\n".join(block for block in blocks if block)


def _section_body(part: Section, level: int, max_rows: int | None) -> str:
    blocks = [_content(part.content, part.title, level, max_rows)]
    if part.table is not None:
        blocks.append(markdown_value(part.table, max_rows))
    if part.image:
        image = _image(part.image)
        description = one_line(image.alt or image.caption or Path(image.path).stem.replace("_", " "))
        blocks.append(f"![{description}]({quote(image.path, safe='/')})")
        blocks.append(f"*{one_line(image.caption)}*" if image.caption else "")
    return "\n\n".join(block for block in blocks if block)


def _for_template(part: Section, max_rows: int | None) -> dict[str, Any]:
    body = _section_body(part, 1 + part.level, max_rows)
    inner = [_for_template(each, max_rows) for each in part.sections]
    return {"title": part.title, "content": body, "level": part.level, "sections": inner}


def _about(author: str | None, date: str | None) -> list[str]:
    return [each.strip() for each in (author, date) if each and each.strip()]


def _document(title: str, body: str, contents: bool, author: str | None, date: str | None) -> str:
    head = [f"# {one_line(title)}"]
    if about := _about(author, date):
        head.append("*" + one_line(" · ".join(about)) + "*")
    if contents:
        head.append("## Contents")
        # The headings in front are counted too: an anchor gets a number when its text has been there before.
        entries = headings("\n\n".join([*head, body]))[2:]
        head.append("\n".join(_contents_line(entry) for entry in entries if entry.level in (2, 3)))
    return "\n\n".join(block for block in [*head, body] if block) + "\n"


def _contents_line(entry: Heading) -> str:
    return f"{'  ' * (entry.level - 2)}- [{one_line(entry.text)}](#{quote(entry.anchor)})"


def _page(
    title: str, body: str, contents: bool, author: str | None, date: str | None, image: Callable[[str, str], str]
) -> str:
    style = (Path(__file__).parent / "report_page.css").read_text(encoding="utf-8")
    about = " · ".join(html.escape(each) for each in _about(author, date))
    blocks = [f"<header>\n<h1>{html.escape(title)}</h1>", f'<p class="about">{about}</p>' if about else "", "</header>"]
    entries = [entry for entry in headings(body) if entry.level in (2, 3)]
    if contents and entries:
        blocks.append(_navigation(entries))
    blocks += ["<main>", render(body, image).rstrip(), "</main>"]
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>{html.escape(title)}</title>
<style>
{style}</style>
</head>
<body>
{chr(10).join(block for block in blocks if block)}
</body>
</html>
"""


def _navigation(entries: list[Heading]) -> str:
    lines = ['<nav aria-label="Contents">', "<p>Contents</p>", "<ul>"]
    depth = 0
    for number, entry in enumerate(entries):
        inner = entry.level == 3 and number > 0
        if inner and not depth:
            lines[-1] = lines[-1].removesuffix("</li>") + "\n<ul>"
        elif depth and not inner:
            lines.append("</ul></li>")
        depth = int(inner)
        lines.append(f'<li><a href="#{quote(entry.anchor)}">{html.escape(entry.text)}</a></li>')
    return "\n".join([*lines, *(["</ul></li>"] if depth else []), "</ul>", "</nav>"])


def _embed(workspace: Workspace, warnings: list[str]) -> Callable[[str, str], str]:
    """What becomes of an image in a page: a file of the workspace is put into it, everything else is described.

    Addresses come from text that nobody may have checked, so only relative ones are looked up, only what is an image
    by its content is shown, and one that cannot be shown is a warning, not a failure.
    """

    def image(address: str, description: str) -> str:
        shown = html.escape(description or address)
        if re.match(r"data:image/(png|jpeg|gif|webp);base64,", address):
            return f'<img src="{html.escape(address)}" alt="{html.escape(description)}">'
        if re.match(r"https?://|//", address):
            warnings.append(f'the image "{address}" is on the network: the page links to it')
            return f'<a class="missing" href="{html.escape(address)}" rel="noopener noreferrer">{shown}</a>'
        try:
            return f'<img src="{_data_uri(workspace, unquote(address))}" alt="{html.escape(description)}">'
        except (PathError, SizeLimitError) as error:
            warnings.append(f'the image "{address}" is not shown: {error.message}')
            return f'<span class="missing">{shown}</span>'

    return image


def _data_uri(workspace: Workspace, path: str) -> str:
    if path.startswith("/") or ".." in path.split("/"):
        raise PathError("images are named relative to the workspace root, without `..`")
    with workspace.reading(path) as handle:
        data = handle.read(MAX_IMAGE_BYTES + 1)
    if len(data) > MAX_IMAGE_BYTES:
        raise SizeLimitError(f"it is larger than {MAX_IMAGE_BYTES // MEGABYTE} MB")
    kind = next((kind for pattern, kind in _IMAGE_TYPES if pattern.match(data)), None)
    if kind is None:
        raise PathError("it is no PNG, JPEG, GIF, WebP or SVG file")
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _from_template(
    context: ToolContext, template: str, names: dict[str, Any], is_html: bool, image: Callable[[str, str], str]
) -> str:
    from markupsafe import Markup

    def table(rows: Any, columns: list[str] | None = None, max_rows: int | None = None) -> str:
        return Markup(html_table(rows, columns, max_rows))

    def markdown(text: Any) -> str:
        return Markup(render(markdown_value(text), image))

    helpers = {"markdown": markdown, "html_table": table, "_include": lambda name: find_text(context, str(name))}
    try:
        text = render_template(find_text(context, template), {**helpers, **names}, autoescape=is_html)
    except TemplateError as error:
        raise TemplateError(f'the template "{template}": {error.message}', hint=error.hint) from error
    return text if isinstance(text, str) else markdown_value(text)
