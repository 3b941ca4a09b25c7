"""One call of every action of the built-in tools, and the files that they are made with."""

from __future__ import annotations

from typing import Any

FILES = {
    "notes/march.md": "The pump leaks.\n",
    "notes/april.md": "The pump holds.\n",
    "sales.csv": "shop,product,units\nnorth,tea,12\nsouth,tea,7\nnorth,coffee,9\n",
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
