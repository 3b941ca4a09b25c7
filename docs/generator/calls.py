"""One call of every action of the built-in tools, and the files that they are made with."""

from __future__ import annotations

from typing import Any

from generator.service import ADDRESS

#: Calls that need what not every machine has: they are shown, and not made.
NOT_MADE = frozenset([
    ("headless_browser", "screenshot"),
    *(("image_analysis", action) for action in ("analyze", "describe", "extract_text", "compare")),
    ("image_generation", "generate"),
    *(("audio_processing", action) for action in ("transcribe", "speak")),
    *(("embeddings", action) for action in ("embed", "search")),
])  # fmt: skip
#: The model that the examples name, and what a local server says in its place.
MODEL = "openai:gpt-5-mini"
#: Models of those that are asked for something else than a text.
MODELS: dict[tuple[str, str], str] = {
    ("image_generation", "generate"): "openai:gpt-image-1",
    ("audio_processing", "transcribe"): "openai:whisper-1",
    ("audio_processing", "speak"): "openai:tts-1",
    ("embeddings", "embed"): "openai:text-embedding-3-small",
    ("embeddings", "search"): "openai:text-embedding-3-small",
}
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
    ("image_analysis", "analyze"): {"image": "photos/pump.png", "prompt": "Is the pump wet?"},
    ("image_analysis", "describe"): {"image": "photos/pump.png", "length": "short"},
    ("image_analysis", "extract_text"): {"image": "photos/label.png", "language": "German"},
    ("image_analysis", "compare"): {"images": ["photos/before.png", "photos/after.png"]},
    ("image_generation", "generate"): {"prompt": "A pump in a garden", "path": "out/pump.png", "size": "1024x1024"},
    ("audio_processing", "transcribe"): {"audio": "calls/monday.mp3", "language": "en"},
    ("audio_processing", "speak"): {"text": "The pump leaks.", "path": "out/pump.mp3"},
    ("embeddings", "embed"): {"texts": ["The pump leaks.", "The pump holds."]},
    ("embeddings", "search"): {"query": "leaks", "texts": ["The pump leaks.", "The pump holds."], "top_k": 1},
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
    ("visualization", "chart"): {
        "data": "sales.csv",
        "kind": "bar",
        "x": "shop",
        "y": "units",
        "aggregate": "sum",
        "title": "Units by shop",
        "output_path": "charts/units.svg",
    },
    ("visualization", "charts"): {
        "data": "sales.csv",
        "charts": [{"x": "shop", "y": "units", "title": "Shops"}, {"kind": "pie", "x": "product", "title": "Products"}],
    },
    ("visualization", "dashboard"): {
        "data": "sales.csv",
        "title": "Sales",
        "figures": {"sales": 3, "units": 28},
        "charts": [{"x": "shop", "y": "units"}, {"x": "product", "y": "units"}],
        "output_path": "charts/sales.html",
    },
    ("validation", "validate"): {
        "data": {"name": "Ana", "age": "five"},
        "schema": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
            "required": ["name", "age"],
        },
    },
    ("validation", "infer_schema"): {"path": "sales.csv", "ranges": True},
    ("validation", "quality_check"): {
        "data": "sales.csv",
        "rules": [
            {"column": ["shop", "product"], "unique": True},
            {"column": "units", "min": 8, "tolerance": 0.5},
            {"expression": "units < 10", "severity": "warning"},
        ],
    },
    ("validation", "extract_structured"): {
        "text": "**Name**: Ana\n- Age: 41\n",
        "schema": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
            "required": ["name"],
        },
    },
    ("pdf_compiler", "compile"): {
        "content": "# Tea and coffee\n\n| shop | units |\n| --- | --: |\n| north | 21 |\n",
        "author": "Ana",
        "output_path": "out/tea.pdf",
    },
    ("headless_browser", "fetch"): {"url": f"{ADDRESS}/beans"},
    ("headless_browser", "links"): {"url": f"{ADDRESS}/beans", "contains": "figures"},
    ("headless_browser", "tables"): {"url": f"{ADDRESS}/beans"},
    ("headless_browser", "screenshot"): {"url": f"{ADDRESS}/beans", "save_to": "out/beans.png"},
    ("http_client", "request"): {"url": f"{ADDRESS}/plots", "method": "OPTIONS", "timeout": 10},
    ("http_client", "get"): {"url": f"{ADDRESS}/plots/7", "params": {"fields": "state"}},
    ("http_client", "head"): {"url": f"{ADDRESS}/plots/7"},
    ("http_client", "post"): {"url": f"{ADDRESS}/plots", "json": {"plot": 7}, "auth": {"token": "{{ env.API_TOKEN }}"}},
    ("http_client", "put"): {"url": f"{ADDRESS}/plots/7", "json": {"state": "watered"}},
    ("http_client", "patch"): {"url": f"{ADDRESS}/plots/7", "json": {"state": "watered"}},
    ("http_client", "delete"): {"url": f"{ADDRESS}/plots/7", "allowed_status": [404]},
    ("python_executor", "run"): {
        "code": "print('adding')\nresult = {'sum': sum(numbers)}\n",
        "inputs": {"numbers": [1, 2, 3]},
        "timeout": 10,
    },
    ("terminal", "run"): {"command": ["grep", "-c", "tea", "sales.csv"]},
    ("web_search", "search"): {"query": "leaking pump", "folder": "notes"},
    ("report_generator", "generate"): {
        "title": "Tea and coffee",
        "sections": [
            {"title": "Sales", "content": "Units by shop:", "table": [{"shop": "north", "units": 21}]},
        ],
    },
}
