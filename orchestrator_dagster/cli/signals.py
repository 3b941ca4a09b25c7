"""How a command's run ends when it is told to: a closed terminal, and the processes that its steps have started."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator

from orchestrator_dagster.processes import adopt_orphans, end_below

#: Seconds that processes are given to end by themselves, as steps are by the executor of threads.
GRACE = 2.0


@contextlib.contextmanager
def leading() -> Iterator[Callable[[], None]]:
    """While this process leads a run: a function that ends every process that the run has started.

    Ctrl-C and SIGTERM are taken by Dagster. SIGHUP ends the run in the same way, except where it is ignored, as by
    ``nohup``.
    """
    adopt_orphans()  # what a step's process leaves behind when it is stopped would be nobody's otherwise
    number = getattr(signal, "SIGHUP", signal.SIGTERM)  # Windows has none
    takes = hasattr(signal, "SIGHUP") and signal.getsignal(number) is signal.SIG_DFL
    if takes:
        signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield lambda: end_below(os.getpid(), GRACE)
    finally:
        if takes:
            signal.signal(number, signal.SIG_DFL)


def end_without_threads(code: int) -> None:
    """Let this process end with ``code`` also when threads that tools have started do not: Python waits for them.

    They are given :data:`GRACE` seconds after everything else is done.
    """

    def end() -> None:
        main = threading.main_thread()
        main.join()  # returns when only other threads keep the process
        until = time.monotonic() + GRACE
        while names := [one.name for one in threading.enumerate() if not one.daemon and one is not main]:
            if time.monotonic() > until:
                break
            time.sleep(0.05)
        if not names:
            return
        with contextlib.suppress(OSError, ValueError):
            print(f"left behind, because they do not end: {', '.join(names)}", file=sys.stderr, flush=True)
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        os._exit(code)

    threading.Thread(target=end, name="end", daemon=True).start()
