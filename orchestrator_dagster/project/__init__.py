"""The project around pipeline files: what is in it, compiled, and kept for the next time."""
