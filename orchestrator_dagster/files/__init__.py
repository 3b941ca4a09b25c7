"""Files: the part of the file system that a pipeline may touch, and how this package keeps files of its own."""
