"""A step as ops: what runs in them, what they say of it, and what they leave as metadata."""
