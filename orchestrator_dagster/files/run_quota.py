"""How much a run may write in all, counted over its steps, threads and processes of one machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from orchestrator_dagster.errors import SizeLimitError

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows, where processes may count past each other
    fcntl = None  # type: ignore[assignment]


@dataclass(frozen=True)
class RunQuota:
    """Bytes that a run may write: ``most``, counted in ``book``, a file that all its processes can reach.

    What takes an older file's place counts as well, and what a retry writes again.
    """

    book: Path
    most: int

    def add(self, size: int, what: str) -> int:
        """Count ``size`` bytes of ``what`` before they are put in place; gives the sum so far.

        Raises:
            SizeLimitError: The run would have written more than it may; nothing is counted then.
        """
        self.book.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.book, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if fcntl is not None:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            total = int(os.read(descriptor, 40) or b"0") + size
            if total > self.most:
                raise SizeLimitError(
                    f'with the {size:,} bytes of "{what}" the run has written {total:,} bytes, the workspace allows'
                    f" {self.most:,} for all of it",
                    hint="raise the workspace resource's `max_run_bytes`",
                )
            os.lseek(descriptor, 0, os.SEEK_SET)
            os.write(descriptor, str(total).encode())  # it only grows, so nothing older is left behind it
            return total
        finally:
            os.close(descriptor)
