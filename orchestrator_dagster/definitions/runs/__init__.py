"""Runs: led by the command and Python, read back, resumed, removed."""
