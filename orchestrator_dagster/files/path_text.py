"""What the text of a path may look like, before any file system is asked."""

from __future__ import annotations

import os
import re
import unicodedata

from orchestrator_dagster.errors import PathError

# Characters that look like a separator but are none; NFKC already maps the full-width and small ones.
_SEPARATORS = str.maketrans(dict.fromkeys("\u2044\u2215\u29f8\u2571\u1735\u2216\u29f5\u29f9\u244a\\", "/"))
# Direction marks and other invisible characters that make a name read differently from what it is.
_INVISIBLE = re.compile("[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:(//|\\\\)|file:", re.IGNORECASE)
_DRIVE = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])", re.IGNORECASE)


def check_path_text(path: str | os.PathLike[str], *, windows: bool = os.name == "nt") -> str:
    """The path as text, when it is a plain path of this system.

    Refused are texts that are no path (empty, a URL, control characters), that another program would expand (``~``),
    and names that only look like a way up: ``..`` written with look-alikes, with blanks or more dots.

    Args:
        path: As the user, a model or a document wrote it.
        windows: Whether the rules of Windows count: device names, streams and trailing dots are refused there.

    Raises:
        PathError: With the reason.
    """
    raw = os.fspath(path)
    text = os.fsdecode(raw) if isinstance(raw, bytes) else raw
    problem = _problem(text) or (_windows_problem(text) if windows else _foreign_problem(text))
    if problem is not None:
        shown = text.encode("utf-8", "backslashreplace").decode()[:200]
        raise PathError(f"the path {shown!r} {problem}", hint="give a file name relative to the workspace root")
    return text


def _problem(text: str) -> str | None:
    if not text.strip():
        return "is empty"
    if "\0" in text:
        return "has a NUL character"
    if _CONTROL.search(text):
        return "has a control character (a line end, for example: is there one at its end?)"
    if _INVISIBLE.search(text):
        return "has an invisible character"
    try:
        encoded = os.fsencode(text)
    except UnicodeError:
        return "has characters that no file name can have"
    if len(encoded) > 4095 or any(len(name) > 255 for name in encoded.split(b"/")):
        return "is too long: 255 bytes a name and 4,095 in all"  # NAME_MAX and PATH_MAX of Linux
    if _URL.match(text):
        return "is a URL, a path was expected"
    if text.startswith("~") and os.path.expanduser(text) != text:  # noqa: PTH111 - a Path would lose "./~"
        return "starts in a home folder; `~` is not expanded here"
    for segment in text.split("/"):
        if segment not in (".", "..") and _looks_like_parent(segment):
            return "has a name that reads like `..`"
    return None


def _looks_like_parent(segment: str) -> bool:
    plain = unicodedata.normalize("NFKC", segment).translate(_SEPARATORS)
    parts = plain.split("/")
    if len(parts) > 1:
        return any(part.strip() == ".." for part in parts)
    return len(plain) > 1 and not plain.strip(". ") and "." in plain


def _foreign_problem(text: str) -> str | None:
    return "is a path of Windows" if _DRIVE.match(text) else None


def _windows_problem(text: str) -> str | None:
    rest = text[2:] if re.match(r"[A-Za-z]:[\\/]", text) else text
    if rest.startswith(("\\\\", "//")):
        return "is a network or device path"
    if ":" in rest:
        return "names a drive or a stream of a file"
    for segment in re.split(r"[\\/]", rest):
        if _DEVICE.fullmatch(segment.split(".")[0].rstrip()):
            return f"names the device {segment}"
        if segment not in (".", "..") and segment != segment.rstrip(". "):
            return "has a name that ends with a dot or a blank, which Windows cuts off"
    return None
