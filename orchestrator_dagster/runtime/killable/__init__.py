"""A tool's action in a process of its own, which can be stopped whatever it does.

``call`` is the side of the run: it sends the work and waits. ``servers`` keeps, for a run's process, one helper process
that has the tools loaded. ``server`` is that helper: it has one thread, so it can be forked. For each call it forks a
keeper, which forks the ``worker`` that calls the tool; the keeper ends the worker and all that it has started when the
run says so, or is gone.
"""
