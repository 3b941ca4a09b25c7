"""The action compile."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import re
import threading
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal
from urllib.parse import unquote

from pydantic import AliasChoices, BaseModel, Field

from orchestrator_dagster.errors import ParametersError, PathError, SizeLimitError
from orchestrator_dagster.files.workspace import MEGABYTE
from orchestrator_dagster.markdown_text import Heading, headings, headings_in, markdown_value, nest_headings, tokens_of
from orchestrator_dagster.tables import escape_markdown
from orchestrator_dagster.tools.pdf.letters import EXTRA, SANS, SERIF, TOOL, Letters
from orchestrator_dagster.tools.pdf.pages import LINE, MILLIMETRE, SIZES, Layout, PageSize, Styles, build
from orchestrator_dagster.tools.pdf.story import FindImage, Story
from orchestrator_dagster.tools.tool import ToolContext, require

MAX_CHARACTERS = 10_000_000
MAX_IMAGE_BYTES = 20 * MEGABYTE
MAX_PIXELS = 60_000_000
_DATA = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,(.+)", re.DOTALL)
#: ReportLab's fonts belong to the process: one document is set at a time.
_SETTING = threading.Lock()
#: Headings from which the contents have a page of their own.
_OWN_PAGE = 12


class PdfResult(BaseModel):
    """A PDF: its file, how many ``pages`` it has, and what could not be shown as written.

    Without ``output_path`` nothing is written, and ``base64`` has its bytes: a product can be made of them.
    """

    success: bool
    output_path: str | None
    path: str | None
    files: list[str]
    base64: str | None
    title: str
    pages: int
    size: int
    sha256: str
    warnings: list[str]


def compile(
    context: ToolContext,
    output_path: Annotated[
        str | None,
        Field(
            description="The .pdf file to write; without it the result has the PDF itself.",
            validation_alias=AliasChoices("output_path", "output", "output_file", "filename", "pdf_path"),
        ),
    ] = None,
    content: Annotated[
        Any,
        Field(
            description="Markdown, a result of report-generator in Markdown, or values, which are written as Markdown.",
            validation_alias=AliasChoices("content", "markdown", "text", "markdown_content"),
        ),
    ] = None,
    path: Annotated[
        str | None,
        Field(
            description="A .md or .txt file of the workspace instead of `content`.",
            validation_alias=AliasChoices("path", "input_path", "source", "input_file"),
        ),
    ] = None,
    format: Annotated[
        Literal["markdown", "text"] | None, Field(description="text shows every sign as it is. Default by the file.")
    ] = None,
    title: Annotated[str | None, Field(description="Default: the first heading.")] = None,
    author: Annotated[str | None, Field(description="Below the title, and in the file's properties.")] = None,
    date: Annotated[str | None, Field(description="Below the title, as it should read.")] = None,
    subject: Annotated[str | None, Field(description="In the file's properties.")] = None,
    contents: Annotated[bool, Field(description="Contents with page numbers after the title.")] = False,
    page_size: Annotated[PageSize, Field(description="Size of the pages.")] = "A4",
    orientation: Annotated[Literal["portrait", "landscape"], Field(description="How pages lie.")] = "portrait",
    margin: Annotated[float, Field(ge=5, le=60, description="On each side, in millimetres.")] = 20,
    font: Annotated[Literal["sans", "serif"], Field(description="Letters of the text.")] = "sans",
    font_size: Annotated[float, Field(ge=6, le=24, description="In points.")] = 10,
    header: Annotated[str | None, Field(description="A line above each page.")] = None,
    page_numbers: Annotated[bool, Field(description="Page numbers and the title below each page.")] = True,
    language: Annotated[str, Field(description="Of the text, for readers that speak: en, de …", max_length=20)] = "en",
) -> PdfResult:
    """Make a PDF from Markdown.

    Images are files of the workspace (PNG, JPEG, GIF, WebP), looked up beside the Markdown file and at the workspace
    root. HTML in the text is shown as it is written. What cannot be shown is in ``warnings``.

    Raises:
        ParametersError: There is nothing to write, or it is HTML.
        MissingExtraError: ReportLab is not installed.
    """
    if output_path is not None and PurePosixPath(output_path).suffix.lower() != ".pdf":
        raise ParametersError(f'"{output_path}" does not end with .pdf')
    text, folder = _source(context, content, path, format)
    if len(text) > MAX_CHARACTERS:
        raise SizeLimitError(f"the text has {len(text):,} characters, a PDF is made of {MAX_CHARACTERS:,} at most")
    heading = title or next((one.text for one in headings(text)), "")
    named = heading or PurePosixPath(path or output_path or "document").stem
    warnings: list[str] = []
    with _SETTING:
        letters = Letters(SERIF if font == "serif" else SANS)
        width, height = SIZES[page_size] if orientation == "portrait" else SIZES[page_size][::-1]
        layout = Layout(
            width, height, margin * MILLIMETRE, font_size, named, author or "", subject or "", header or "",
            page_numbers, language,
        )  # fmt: skip
        styles = Styles(letters, layout)
        story = Story(letters, styles, layout, _images(context, folder, warnings))
        tokens = tokens_of(nest_headings(text, 1, named))
        front = _head(story, heading, headings_in(tokens) if contents else [], author, date)
        data, pages = build([*front, *story.of(tokens)], layout, letters, listed=contents)
    warnings += story.notes
    if letters.asian:
        warnings.append("Chinese, Japanese and Korean letters are not embedded: the reader's own are shown")
    if letters.missing:
        warnings.append(f"no font has the characters {''.join(sorted(letters.missing))[:40]}")
    if letters.right_to_left:
        warnings.append("Arabic and Hebrew letters are set from left to right, unjoined")
    written = context.workspace.write(output_path, data) if output_path is not None else None
    shown = context.workspace.relative(written.path) if written is not None else None
    for warning in warnings:
        context.log(warning)
    return PdfResult(
        success=True,
        output_path=shown,
        path=shown,
        files=[shown] if shown is not None else [],
        base64=base64.b64encode(data).decode("ascii") if written is None else None,
        title=named,
        pages=pages,
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        warnings=list(dict.fromkeys(warnings)),
    )


def _source(context: ToolContext, content: Any, path: str | None, form: str | None) -> tuple[str, str]:
    """The Markdown to set, and the folder that its images may be beside."""
    if (content is None) == (path is None):
        raise ParametersError("either `content` or `path` is needed")
    folder = ""
    if path is not None:
        suffix = PurePosixPath(path).suffix.lower()
        if suffix in (".html", ".htm"):
            raise _no_html(path)
        content, folder = context.workspace.read_text(path).removeprefix("\ufeff"), str(PurePosixPath(path).parent)
        form = form or ("text" if suffix == ".txt" else "markdown")
    elif isinstance(content, Mapping) and "content" in content and "format" in content:
        if content["format"] == "html":
            raise _no_html("the report")
        content = content["content"]
    if isinstance(content, str) and re.match(r"\s*<(!doctype html|html)[\s>]", content, re.IGNORECASE):
        raise _no_html("the content")
    text = content if isinstance(content, str) else markdown_value(content)
    if not text.strip():
        raise ParametersError("there is nothing to write: the text is empty")
    if form == "text":
        text = "\n".join(_as_it_is(line) for line in text.split("\n"))
    return text, folder


def _as_it_is(line: str) -> str:
    """A line of plain text as Markdown that shows it: with its blanks in front, and its end."""
    shown = line.expandtabs(4).rstrip()
    words = shown.lstrip()
    marked = re.sub(r"^(\d+)(?=[.)])", r"\1\\", re.sub(r"^(?=[-+#>=|])", r"\\", escape_markdown(words)))
    return "\u00a0" * (len(shown) - len(words)) + marked + "<br>" if words else ""


def _no_html(what: str) -> ParametersError:
    return ParametersError(
        f"{what} is HTML, a PDF is made from Markdown", hint="let report-generator make it with `format: markdown`"
    )


def _head(story: Story, title: str, entries: list[Heading], author: str | None, date: str | None) -> list[Any]:
    """The title, who wrote it and when, and the contents where there are ``entries``."""
    platypus = require("reportlab.platypus", EXTRA, TOOL)
    styles, layout = story.styles, story.layout
    made = [story.paragraph(f"<b>{story.letters.markup(title)}</b>", styles.title, title)] if title else []
    about = " · ".join(one.strip() for one in (author, date) if one and one.strip())
    if about:
        made.append(story.paragraph(story.letters.markup(about), styles.about, about))
    entries = [entry for entry in entries if entry.level <= 3]
    if entries:
        listed = require("reportlab.platypus.tableofcontents", EXTRA, TOOL).TableOfContents()
        listed.dotsMinLevel = 0
        listed.levelStyles = [
            styles.but("contents1", spaceAfter=1),
            styles.but("contents2", leftIndent=layout.size * 1.6, spaceAfter=1, textColor=styles.quiet.textColor),
        ]
        made += [listed, platypus.PageBreak() if len(entries) >= _OWN_PAGE else platypus.Spacer(1, layout.size)]
    elif made:
        made.append(platypus.HRFlowable(width="100%", color=LINE, spaceBefore=2, spaceAfter=layout.size))
    return made


def _images(context: ToolContext, folder: str, warnings: list[str]) -> FindImage:
    """What gives the pictures of a document. Their addresses come from text that nobody may have checked."""

    def find(address: str) -> tuple[bytes, int, int] | None:
        try:
            if inside := _DATA.match(address):
                data = base64.b64decode(inside.group(1), validate=True)
            elif re.match(r"[a-z][a-z0-9+.-]*:|//", address, re.IGNORECASE):
                raise PathError("only files of the workspace are shown")
            else:
                data = _file(context, folder, unquote(address))
            return _picture(data)
        except (PathError, SizeLimitError) as error:
            warnings.append(f'the image "{address[:200]}" is not shown: {error.message}')
        except binascii.Error:
            warnings.append(f'the image "{address[:60]}…" is not shown: it is not base64')
        return None

    return find


def _file(context: ToolContext, folder: str, name: str) -> bytes:
    if name.startswith("/") or ".." in name.split("/"):
        raise PathError("images are named relative to the file or to the workspace root, without `..`")
    problem: PathError | None = None
    for place in dict.fromkeys((f"{folder}/{name}" if folder not in ("", ".") else name, name)):
        try:
            with context.workspace.reading(place) as handle:
                data = handle.read(MAX_IMAGE_BYTES + 1)
        except PathError as error:
            problem = error
            continue
        if len(data) > MAX_IMAGE_BYTES:
            raise SizeLimitError(f"it is larger than {MAX_IMAGE_BYTES // MEGABYTE} MB")
        return data
    assert problem is not None
    raise problem


def _picture(data: bytes) -> tuple[bytes, int, int]:
    from PIL import Image

    if re.match(rb"\s*(<\?xml|<svg|<!--|<!DOCTYPE svg)", data):
        raise PathError("SVG cannot be put into a PDF: make the picture a PNG")
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "GIF", "WEBP")) as picture:
            width, height = picture.size
            if width * height > MAX_PIXELS:
                raise SizeLimitError(f"it has {width * height:,} pixels, {MAX_PIXELS:,} are allowed")
            if picture.format in ("PNG", "JPEG"):
                picture.load()
                return data, width, height
            target = io.BytesIO()
            picture.convert("RGBA").save(target, "PNG")
            return target.getvalue(), width, height
    except SizeLimitError:
        raise
    except Exception as error:  # whatever a broken picture does to its reader
        raise PathError(f"it is no PNG, JPEG, GIF or WebP that can be read ({type(error).__name__})") from None
