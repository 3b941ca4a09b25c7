"""A server of the Model Context Protocol with two tools, over standard input and output."""

from mcp.server.mcpserver import MCPServer

STOCK = {"oak": 12, "beech": 4, "pine": 0}

server = MCPServer("stock")


@server.tool()
def in_stock(tree: str) -> dict[str, int]:
    """How many trees of a kind there are."""
    if tree not in STOCK:
        raise ValueError(f"{tree} is not sold here")
    return {"count": STOCK[tree]}


@server.tool()
def kinds() -> list[str]:
    """The kinds of trees that are sold."""
    return sorted(STOCK)


if __name__ == "__main__":
    server.run()
