"""The last module that the fork server of step processes loads: it keeps what was loaded by then, and where.

A module that the server cannot import it leaves out without a word, so step processes pay for it each time. Importing
this module does its only work: two constants.
"""

from __future__ import annotations

import os
import sys

#: The process that imported this module: the fork server, when it was preloaded.
PROCESS = os.getpid()
#: What was loaded there.
MODULES = frozenset(sys.modules)
