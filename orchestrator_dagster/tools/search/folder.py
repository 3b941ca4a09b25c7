"""Searches the text files of a folder of the workspace: Markdown, plain text and HTML."""

from __future__ import annotations

import re
import stat
import threading
from collections import OrderedDict
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath

from orchestrator_dagster.errors import ParametersError, SizeLimitError
from orchestrator_dagster.tools.network.decoding import decode
from orchestrator_dagster.tools.search.hits import Found, Hit, plain
from orchestrator_dagster.tools.search.ranking import Index, Text
from orchestrator_dagster.tools.tool import ToolContext

SUFFIXES = (".md", ".markdown", ".txt", ".text", ".rst", ".html", ".htm")
MOST_FILES = 20_000
_KEPT = 4  # indexes of folders
_HEADING = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t#]*$", re.MULTILINE)

_Signature = tuple[tuple[str, int, int], ...]
_indexes: OrderedDict[tuple[str, str], tuple[_Signature, Index]] = OrderedDict()
_lock = threading.Lock()


def search_folder(context: ToolContext, folder: str, query: str, most: int) -> Found:
    """The files that fit a query best.

    Raises:
        FileMissingError: There is no such folder.
        ParametersError: No file in it can be searched.
        SizeLimitError: It holds more files, or more text, than is searched.
    """
    index = _index(context, folder)
    ranked = index.search(query)
    hits = [
        Hit(title=text.title, url=text.url, snippet=index.snippet(text, query), score=round(score, 4))
        for text, score in ranked[:most]
    ]
    return Found(tuple(hits), len(ranked))


def _index(context: ToolContext, folder: str) -> Index:
    """The folder's index, kept as long as none of its files changes."""
    workspace = context.workspace
    root = workspace.resolve(folder)
    files: list[tuple[Path, int, int]] = []
    with workspace.folder(root) as held:
        for names, status in held.walk():
            if stat.S_ISREG(status.st_mode) and names[-1].lower().endswith(SUFFIXES):
                files.append((root.joinpath(*names), status.st_mtime_ns, status.st_size))
    if not files:
        raise ParametersError(
            f'the folder "{workspace.relative(root)}" has no file that can be searched',
            hint=f"files: {', '.join(SUFFIXES)}",
        )
    if len(files) > MOST_FILES:
        raise SizeLimitError(
            f'the folder "{workspace.relative(root)}" has {len(files):,} files, at most {MOST_FILES:,}'
        )
    workspace.check_size(sum(size for _, _, size in files), workspace.relative(root))
    signature = tuple((str(path), changed, size) for path, changed, size in files)
    key = (str(workspace.root), str(root))  # what a text is called depends on both
    with _lock:
        kept = _indexes.get(key)
        if kept is not None and kept[0] == signature:
            _indexes.move_to_end(key)
            return kept[1]
    made = Index.of([_text(context, path) for path, _, _ in files])
    with _lock:
        _indexes[key] = (signature, made)
        while len(_indexes) > _KEPT:
            _indexes.popitem(last=False)
    return made


def _text(context: ToolContext, path: Path) -> Text:
    shown = context.workspace.relative(path)
    markup = path.suffix.lower() in (".html", ".htm")
    content, _ = decode(context.workspace.read_bytes(path), markup=markup)
    name = PurePosixPath(shown).stem.replace("_", " ").replace("-", " ")
    if markup:
        page = _Page()
        page.feed(content)
        page.close()
        return Text(shown, plain(page.title) or name, page.text)
    heading = _HEADING.search(content)
    return Text(shown, plain(heading.group(1)) if heading else name, content)


class _Page(HTMLParser):
    """The title of a page, and the text that people see."""

    _HIDDEN = frozenset(("script", "style", "noscript", "template", "svg", "head", "nav"))
    _BREAKS = frozenset(
        "p div br li ul ol tr table h1 h2 h3 h4 h5 h6 section article header footer blockquote pre".split()
    )

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title = ""
        self._parts: list[str] = []
        self._hidden = 0
        self._in_title = False

    @property
    def text(self) -> str:
        return "".join(self._parts)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "title":
            self._in_title = not self.title
        elif tag == "body":
            self._hidden = 0  # a head that was never closed ends here
        elif tag in self._HIDDEN:
            self._hidden += 1
        elif tag in self._BREAKS:
            self._parts.append("\n")
        elif tag in ("td", "th"):
            self._parts.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._in_title = False
        elif tag in self._HIDDEN:
            self._hidden = max(0, self._hidden - 1)
        elif tag in self._BREAKS:
            self._parts.append("\n")

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data
        elif not self._hidden:
            self._parts.append(" ".join(data.split("\n")))
