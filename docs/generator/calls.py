"""One call of every action of the built-in tools, and the files that they are made with."""

from __future__ import annotations

from typing import Any

from generator.service import ADDRESS

#: Calls that need what not every machine has: they are shown, and not made.
NOT_MADE = frozenset([("headless_browser", "screenshot")])

FILES = {
    "notes/march.md": "The pump leaks.\n",
    "notes/april.md": "The pump holds.\n",
    "sales.csv": "shop,product,units\nnorth,tea,12\nsouth,tea,7\nnorth,coffee,9\n",
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
    ("http_client", "post"): {"url": f"{ADDRESS}/plots", "json": {"plot": 7}, "auth": {"token": "{{ token }}"}},
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
