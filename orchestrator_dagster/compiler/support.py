"""What the language has and this release does not run, and the codes of what a run is refused for.

A file that says such things compiles, so that it can be checked and drawn; a run and a code location refuse it.
"""

from __future__ import annotations

#: Codes of what a run is refused for.
REFUSED = frozenset(("not-supported", "no-orchestrator"))
#: Tools that the language names and that this release does not bring; a project may have one of its own.
LATER_TOOLS = frozenset(("video_processing",))
