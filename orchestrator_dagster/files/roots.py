"""The folders that a pipeline may touch: paths below them, and what is said of those that are none.

Paths are resolved, links followed, and refused when they leave the roots.
"""

from __future__ import annotations

import contextlib
import errno
import os
from dataclasses import dataclass
from pathlib import Path

from orchestrator_dagster.errors import FileMissingError, PathError
from orchestrator_dagster.files.path_text import check_path_text

# What the kernel shows as files is no data of anybody's workspace (`/proc/self/environ` has the keys), whatever the
# roots are. A root that itself stands below one of them (a workspace in `/dev/shm`) is meant.
_KERNEL_FOLDERS = (Path("/proc"), Path("/sys"), Path("/dev"))

# The next step for what a file system refuses to a writer.
_HINTS = {
    errno.ENOSPC: "free space (or inodes) on its file system, then resume the run: what is done stays done",
    errno.EDQUOT: "free some of your quota there, then resume the run: what is done stays done",
    errno.EROFS: "write to another folder (`output_dir`), or have the file system mounted for writing",
    errno.EACCES: "write to another folder (`output_dir`), or give yourself the right to write there",
    errno.EPERM: "write to another folder (`output_dir`), or give yourself the right to write there",
    errno.ENOTDIR: "a file stands where a folder is needed: move it away, or choose another path",
    errno.ENAMETOOLONG: "choose a shorter path",
}


@dataclass(frozen=True)
class Roots:
    """Where relative paths start, and which folders may be touched.

    Args:
        root: Folder in which relative paths start.
        extra_roots: Further folders that absolute paths may point into.
    """

    root: Path
    extra_roots: tuple[Path, ...] = ()

    @property
    def roots(self) -> tuple[Path, ...]:
        """Every folder that may be touched, resolved."""
        return tuple(Path(os.path.realpath(root)) for root in (self.root, *self.extra_roots))

    def resolve(self, path: str | os.PathLike[str], *, within: Path | None = None) -> Path:
        """The absolute path with all links followed.

        Args:
            path: Relative to ``root``, or absolute.
            within: A folder the result must stay in, instead of the roots (it must itself be in the roots).

        Raises:
            PathError: The path is no plain path (:func:`check_path_text`), or leaves the roots (or ``within``).
        """
        text = check_path_text(path)
        base = Path(os.path.realpath(self.root))
        try:
            resolved = Path(os.path.realpath(base / text))
        except (OSError, ValueError) as error:  # a loop of links, a name that is too long
            raise PathError(f'the path "{text}" cannot be resolved: {error}') from error
        if within is not None:
            # The folder is checked first, so that a link out of it is refused with the right reason.
            allowed: tuple[Path, ...] = (self.resolve(within),)
        else:
            allowed = self.roots
        if not any(below(resolved, root) for root in allowed):
            places = ", ".join(f'"{root}"' for root in allowed)
            raise PathError(
                f'the path "{text}" leaves {"the folder" if within else "the workspace"} {places}',
                hint="use a path below it, or add its folder to the workspace resource's `extra_roots`",
            )
        for kernel in _KERNEL_FOLDERS:
            if below(resolved, kernel) and not any(below(root, kernel) and below(resolved, root) for root in allowed):
                raise PathError(f'the path "{text}" leads into "{kernel}", which holds no files of a workspace')
        return resolved

    def entry(self, path: str | os.PathLike[str]) -> Path:
        """The absolute path of the entry itself: its folder is resolved, a link at its end is not followed.

        For what is done to a name and not to a content: removing, moving, looking at a link.

        Raises:
            PathError: As for :meth:`resolve`, for the folder that holds it.
        """
        text = check_path_text(path)
        parent, name = os.path.split(text.rstrip("/" if os.name != "nt" else "/\\"))
        if name in ("", ".", ".."):
            return self.resolve(text)
        full = Path(os.path.realpath(self.root)) / text
        if any(full == root for root in self.roots):  # its folder is outside, it itself is not
            return full
        return self.resolve(parent or ".") / name

    def check_not_root(self, path: Path, doing: str) -> None:
        """Refuse to have a root, or a folder that holds one, removed or moved (compared as files, not as text)."""
        for root in self.roots:
            for part in (root, *root.parents):
                with contextlib.suppress(OSError):  # a root that does not exist yet
                    if os.path.samestat(path.lstat(), part.stat()):
                        raise PathError(f'"{path}" is, or holds, a root of the workspace: it cannot be {doing}')

    def relative(self, path: Path) -> str:
        """``path`` as people should read it: relative to the root where it stands below it, with ``/``."""
        base = Path(os.path.realpath(self.root))
        return path.relative_to(base).as_posix() if path.is_relative_to(base) else str(path)

    def refused(self, path: Path, doing: str, error: OSError, *, writing: bool = False) -> PathError:
        """The :class:`PathError` for what the system refused: ``doing`` completes "cannot …".

        Args:
            path: What it was refused for.
            doing: For example "be read".
            error: What the system said.
            writing: Whether something was to be written there, so that the next step can be named.
        """
        reason = error.strerror or str(error)
        if error.errno in (errno.ELOOP, errno.EMLINK):
            reason = "a link stands where a file or folder was expected"
        hints = _HINTS if writing else {}
        return PathError(f'"{self.relative(path)}" cannot {doing}: {reason}', hint=hints.get(error.errno or 0))

    def missing(self, path: Path) -> FileMissingError:
        """The error for something that must exist, with the nearest name."""
        return FileMissingError(f'there is no "{self.relative(path)}"', hint=nearest_hint(path))


def below(path: Path, folder: Path) -> bool:
    """Whether a path is a folder, or stands in it."""
    return path == folder or path.is_relative_to(folder)


def nearest_hint(path: Path) -> str:
    """The next step for a path that is not there."""
    from difflib import get_close_matches

    if path.parent.is_dir():
        near = get_close_matches(path.name, os.listdir(path.parent), n=1)
        return f'did you mean "{near[0]}"?' if near else f'look at what "{path.parent}" holds'
    return f'the folder "{path.parent}" does not exist either: check the path'
