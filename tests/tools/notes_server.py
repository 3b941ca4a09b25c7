"""A Model Context Protocol server for the tests: over standard input and output, or with a port over HTTP."""

import os
import sys
import time
from pathlib import Path

from mcp.server.mcpserver import MCPServer

server = MCPServer("notes")
notes: list[str] = []
if __name__ == "__main__":  # not where it is only looked through for examples
    with Path("pids.txt").open("a") as pids:
        pids.write(f"{os.getpid()}\n")
    print("the notes server is up", file=sys.stderr)


@server.tool()
def add_note(text: str, times: int = 1) -> dict[str, int]:
    """Keep a note."""
    notes.extend([text] * times)
    return {"count": len(notes)}


@server.tool()
def fail(why: str) -> str:
    """Fail."""
    raise ValueError(why)


@server.tool()
def die() -> str:
    """End the server in the middle of a call."""
    print("I am dying", file=sys.stderr, flush=True)
    os._exit(3)


@server.tool()
def wait(seconds: float) -> str:
    """Take long, with a child process."""
    import subprocess

    child = subprocess.Popen(["sleep", "300"])
    with Path("pids.txt").open("a") as file:
        file.write(f"{child.pid}\n")
    time.sleep(seconds)
    return "done"


@server.tool()
def variable(name: str) -> str:
    """The value of an environment variable."""
    return os.environ.get(name, "not set")


@server.resource("note://first")
def first() -> str:
    """The first note."""
    return "The pump leaks."


if __name__ == "__main__":
    if len(sys.argv) > 1:
        server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
    else:
        server.run()
