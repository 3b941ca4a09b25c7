"""One call of every action of the built-in tools, and the files that they are made with."""

from __future__ import annotations

from typing import Any

#: The model that the examples name, and what a local server says in its place.
MODEL = "openai:gpt-5-mini"
_PLAN = '{"kind": "summary", "complexity": 1, "tools": [], "reason": "One sentence has to be shortened."}'
REPLIES: dict[tuple[str, str], list[str]] = {
    ("multi_model_routing", "ask"): ["Oak."],
    ("multi_model_routing", "compare"): ["Oak."],
    ("task_delegation", "analyze"): [_PLAN],
    ("task_delegation", "delegate"): [_PLAN, "The pump leaks."],
    ("prompt_optimization", "optimize"): [
        '{"prompt": "Write three sentences about {topic}.", "changes": ["Says how many sentences."]}'
    ],
}

NOTES_SERVER = '''\
from mcp.server.mcpserver import MCPServer

server = MCPServer("notes")
notes: list[str] = []


@server.tool()
def add_note(text: str) -> str:
    """Keep a note."""
    notes.append(text)
    return f"kept note {len(notes)}"


@server.tool()
def count_notes() -> int:
    """How many notes there are."""
    return len(notes)


@server.resource("note://1")
def first_note() -> str:
    """The first note."""
    return "The pump leaks."


if __name__ == "__main__":
    server.run()
'''

FILES = {
    "notes/march.md": "The pump leaks.\n",
    "notes/april.md": "The pump holds.\n",
    "sales.csv": "shop,product,units\nnorth,tea,12\nsouth,tea,7\nnorth,coffee,9\n",
    "kept/shops.json": '{"format": 1, "entries": [{"key": "north", "value": "sells tea", "tags": [], '
    '"stored_at": "2026-01-31T12:00:00.000+00:00", "expires_at": null}]}',
    "mcp.yaml": "servers:\n  notes: {command: python, args: [notes_server.py], description: Keeps notes.}\n",
    "notes_server.py": NOTES_SERVER,
    "kept/progress/000001.json": '{"format": 1, "name": "progress", "version": 1, "saved_at": '
    '"2026-01-31T12:00:00.000+00:00", "note": null, "data": {"page": 1}}',
    "shops.csv": "shop,manager\nnorth,Ana\nsouth,Ben\n",
}

CALLS: dict[tuple[str, str], dict[str, Any]] = {
    ("filesystem", "read"): {"path": "notes/march.md"},
    ("filesystem", "read_many"): {"path": "notes", "pattern": "*.md"},
    ("filesystem", "write"): {"path": "out/note.txt", "content": "The pump leaks again."},
    ("filesystem", "append"): {"path": "notes/march.md", "content": "A new seal is ordered.\n"},
    ("filesystem", "list"): {"path": "notes", "pattern": "*.md", "folders": False},
    ("filesystem", "glob"): {"pattern": "**/*.md"},
    ("filesystem", "copy"): {"path": "notes/march.md", "destination": "kept/"},
    ("filesystem", "move"): {"path": "notes/march.md", "destination": "notes/old.md"},
    ("filesystem", "delete"): {"path": "notes/march.md"},
    ("filesystem", "mkdir"): {"path": "out/charts"},
    ("filesystem", "exists"): {"path": "notes/march.md"},
    ("filesystem", "info"): {"path": "notes/march.md", "checksum": True},
    ("data_processing", "load"): {"data": "sales.csv", "dtypes": {"shop": "text"}},
    ("data_processing", "save"): {"data": "sales.csv", "path": "out/sales.json"},
    ("data_processing", "convert"): {"data": "shops.csv", "format": "json"},
    ("data_processing", "filter"): {"data": "sales.csv", "conditions": "units > 8 and product == 'tea'"},
    ("data_processing", "aggregate"): {
        "data": "sales.csv",
        "group_by": "shop",
        "aggregations": {"sales": {"column": "units", "function": "count"}, "units": "sum"},
    },
    ("data_processing", "merge"): {"left": "sales.csv", "right": "shops.csv", "on": "shop", "how": "left"},
    ("data_processing", "concat"): {"datasets": [[{"a": 1}], [{"a": 2, "b": 3}]]},
    ("data_processing", "pivot"): {
        "data": "sales.csv",
        "index": "shop",
        "columns": "product",
        "values": "units",
        "fill_value": 0,
    },
    ("data_processing", "unpivot"): {"data": [{"shop": "north", "tea": 12, "coffee": 9}], "id_columns": "shop"},
    ("data_processing", "profile"): {"data": "sales.csv", "columns": "units"},
    ("data_processing", "transform"): {
        "data": "sales.csv",
        "operations": [
            {"operation": "derive", "columns": {"crates": "round(units / 5, 1)"}},
            {"drop": ["product"]},
        ],
    },
    ("data_processing", "sort"): {"data": "sales.csv", "by": ["shop", "-units"]},
    ("data_processing", "deduplicate"): {"data": [{"a": 1}, {"a": 1}, {"a": 2}]},
    ("data_processing", "sample"): {"data": "sales.csv", "count": 2, "seed": 7},
    ("data_processing", "head"): {"data": "sales.csv", "count": 1},
    ("data_processing", "sql"): {
        "query": "SELECT shop, sum(units) AS units FROM data GROUP BY shop ORDER BY shop",
        "data": "sales.csv",
    },
    ("checkpoint", "save"): {"name": "progress", "data": {"page": 3, "seen": ["a", "b"]}, "note": "before the break"},
    ("checkpoint", "load"): {"name": "progress", "default": {"page": 0}},
    ("checkpoint", "list"): {"folder": "kept"},
    ("checkpoint", "delete"): {"name": "progress", "version": 1, "folder": "kept"},
    ("user_prompt", "ask"): {"prompt": "Which shop?", "choices": ["north", "south"], "answer": "north"},
    ("approval_gate", "request"): {"message": "Publish the report?", "approvers": ["ana"], "answer": True},
    ("feedback_collection", "collect"): {
        "message": "The report",
        "questions": [
            {"id": "clear", "question": "Was it clear?", "type": "rating"},
            {"id": "more", "question": "What is missing?", "required": False},
        ],
        "answer": {"clear": 4},
    },
    ("mcp_memory", "store"): {"key": "ana", "value": {"likes": "tea"}, "tags": ["people"], "ttl": "30d"},
    ("mcp_memory", "retrieve"): {"key": "ana", "default": {}},
    ("mcp_memory", "list"): {"namespace": "shops", "folder": "kept"},
    ("mcp_memory", "search"): {"query": "tea", "namespace": "shops", "folder": "kept"},
    ("mcp_memory", "delete"): {"key": "north", "namespace": "shops", "folder": "kept"},
    ("mcp_memory", "clear"): {"namespace": "shops", "folder": "kept"},
    ("mcp", "call"): {"server": "notes", "tool": "add_note", "arguments": {"text": "The pump leaks."}},
    ("mcp", "call_several"): {"server": "notes", "calls": [{"tool": "count_notes"}]},
    ("mcp", "list_tools"): {"server": "notes"},
    ("mcp", "list_servers"): {},
    ("mcp", "list_resources"): {"server": "notes"},
    ("mcp", "read_resource"): {"server": "notes", "uri": "note://1"},
    ("multi_model_routing", "route"): {"prompts": "Name a tree.", "models": [MODEL], "strategy": "cost"},
    ("multi_model_routing", "ask"): {"prompts": ["Name a tree."], "models": [MODEL]},
    ("multi_model_routing", "compare"): {"prompt": "Name a tree.", "models": [MODEL]},
    ("task_delegation", "analyze"): {"task": "Sum the notes up.", "data": "The pump leaks.", "models": [MODEL]},
    ("task_delegation", "delegate"): {"task": "Sum the notes up.", "data": "The pump leaks.", "models": [MODEL]},
    ("prompt_optimization", "analyze"): {"prompt": "Write some good sentences about {topic}."},
    ("prompt_optimization", "optimize"): {
        "prompt": "Write some good sentences about {topic}.",
        "criteria": ["specificity"],
    },
    ("pipeline_executor", "execute"): {
        "pipeline": {
            "id": "greet",
            "inputs": {"name": "world"},
            "steps": [{"id": "say", "action": "echo", "parameters": {"message": "Hello {{ name }}"}}],
            "outputs": {"line": "{{ say }}"},
        },
        "inputs": {"name": "Ana"},
    },
    ("pipeline_executor", "validate"): {
        "pipeline": "id: greet\nsteps:\n  - {id: say, action: eho}\n",
        "name": "draft.yaml",
    },
    ("report_generator", "generate"): {
        "title": "Tea and coffee",
        "sections": [
            {"title": "Sales", "content": "Units by shop:", "table": [{"shop": "north", "units": 21}]},
        ],
    },
}
