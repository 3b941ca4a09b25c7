"""How a command's run ends when it is told to: a closed terminal, and the processes that its steps have started."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator

from orchestrator_dagster.processes import adopt_orphans, end_below

#: Seconds that processes are given to end by themselves, as steps are by the executor of threads.
GRACE = 2.0


@contextlib.contextmanager
def leading() -> Iterator[Callable[[], None]]:
    """While this process leads a run: a function that ends every process that the run has started.

    Ctrl-C and SIGTERM are taken by Dagster. SIGHUP ends the run in the same way, unless it is ignored (``nohup``).
    """
    adopt_orphans()  # what a step's process leaves behind when it is stopped would be nobody's otherwise
    number = getattr(signal, "SIGHUP", None)  # Windows has none
    takes = number is not None and signal.getsignal(number) is signal.SIG_DFL
    if takes and number is not None:
        signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield lambda: end_below(os.getpid(), GRACE)
    finally:
        if takes and number is not None:
            signal.signal(number, signal.SIG_DFL)
