"""Bytes of the web as text, whatever encoding they claim to be in."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_META = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]{1,40})""", re.IGNORECASE)
_CHARSET = re.compile(r"""charset\s*=\s*["']?\s*([\w.:-]{1,40})""", re.IGNORECASE)
_LOOKED_AT = 64 * 1024  # bytes; enough to tell, and telling takes long
_META_IN = 4096  # bytes; the HTML standard says 1024, pages do not keep to that
# What browsers take these names for (https://encoding.spec.whatwg.org/#names-and-labels).
_MEANT = {"iso8859-1": "cp1252", "ascii": "cp1252", "iso8859-9": "cp1254", "gb2312": "gb18030", "gbk": "gb18030"}


def decode(data: bytes, content_type: str = "", *, markup: bool = False) -> tuple[str, str]:
    """The text and the encoding it was read with.

    What the data begins with counts first, then the header, then a page's own ``meta``; each only when the data really
    is that. Else it is UTF-8, or what it looks like.

    Args:
        data: The bytes.
        content_type: The header of that name.
        markup: Whether it is HTML or XML.

    >>> decode("naïve".encode("cp1252"), "text/plain; charset=utf-8")
    ('naïve', 'cp1252')
    """
    for mark, name in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(name, "replace"), name.removesuffix("-le").removesuffix("-be")
    for name in _claims(data, content_type, markup):
        try:
            return data.decode(name), name
        except UnicodeError:
            continue
    from charset_normalizer import from_bytes

    best = from_bytes(data[:_LOOKED_AT]).best()
    found = best.encoding.replace("_", "-") if best is not None else "cp1252"
    # A few hundred bytes of a western text look like many encodings: of those the usual one is the likely one.
    if best is None or len(data) < 400 or found in ("ascii", "utf-8"):
        found = "cp1252"
    return data.decode(found, "replace"), found


def _claims(data: bytes, content_type: str, markup: bool) -> Iterator[str]:
    said = _CHARSET.search(content_type)
    if said and (name := _known(said.group(1))):
        yield name
    if markup and (inside := _META.search(data[:_META_IN])):
        name = _known(inside.group(1).decode("ascii", "replace"))
        if name and not name.startswith("utf-16"):  # it could not have been read then
            yield name
    yield "utf-8"


def _known(name: str) -> str | None:
    """A name as Python knows it; None for unknown ones and for what is no encoding of text (``base64``)."""
    try:
        info = codecs.lookup(name)
    except LookupError:
        return None
    if not getattr(info, "_is_text_encoding", True) or info.name in ("idna", "punycode", "unicode-escape", "utf-7"):
        return None
    return _MEANT.get(info.name, info.name)
