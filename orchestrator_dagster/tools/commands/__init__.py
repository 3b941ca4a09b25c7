"""Commands and Python code in processes of their own, within limits.

``running`` is the side of the tool: it starts a ``keeper`` and reads what the command says. The keeper is a process
that starts the command, watches what it and its children take, and ends all of them. ``terminal`` and ``python`` are
the tools.
"""
