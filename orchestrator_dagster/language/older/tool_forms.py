"""How steps of the earlier dialect wrote the built-in tools: parameters, actions and fields of results, by tool.

Only spellings that today's tools do not know themselves stand here. A parameter that has no effect today is dropped
with the reason; one that would change what happens and that no tool honours stands nowhere, and is an error later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Form:
    """The older spelling of one action.

    Args:
        rename: Parameters, older name -> today's.
        drop: Parameters that change nothing today -> why.
        only: For parameters of ``drop``, the values for which that is so; any value when it is not named here.
        lift: Parameters that are maps of further parameters.
        settings: Parameters that are keys of the step.
        texts: A parameter that is a list of texts, each of which may have been a map.
        sections: Parameters that are sections of a report, under a title made of their name.
        values: Parameters with words that are called otherwise today, by today's name of the parameter.
        fields: Fields of the result -> the field of today; with ``{}`` an expression in which it is the step.
    """

    rename: Mapping[str, str] = field(default_factory=dict)
    drop: Mapping[str, str] = field(default_factory=dict)
    only: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    lift: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    texts: str = ""
    sections: tuple[str, ...] = ()
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)

    def over(self, other: Form) -> Form:
        """This form, and what another one says besides."""
        return Form(
            {**other.rename, **self.rename},
            {**other.drop, **self.drop},
            {**other.only, **self.only},
            (*self.lift, *other.lift),
            (*self.settings, *other.settings),
            self.texts or other.texts,
            self.sections or other.sections,
            {**other.values, **self.values},
            {**other.fields, **self.fields},
        )


@dataclass(frozen=True)
class ToolForm:
    """The older spelling of one tool: ``actions`` are older names of actions, ``forms`` go by today's names."""

    default: str
    common: Form = field(default_factory=Form)
    forms: Mapping[str, Form] = field(default_factory=dict)
    actions: Mapping[str, str] = field(default_factory=dict)

    def form(self, action: str) -> Form:
        """The form of an action of today."""
        own = self.forms.get(action)
        return own.over(self.common) if own else self.common


def _same(names: str, today: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), today)


_SEEN = "the format is seen from the data"
_TABLE = _same("processed_data output records filtered_data aggregated_data transformed_data merged_data rows", "data")
_TABLE |= _same("cleaned_data joined_data pivoted_data sorted_data", "data") | _same("count row_total", "row_count")
_PATHS = _same("file_path filepath filename file", "path")
_FOLDERS = _same("create_dirs make_dirs create_parents parents", "folders are made where they are missing")
_NO_SESSION = "a server is connected to when it is called"
#: How a model is chosen, older word -> today's.
STRATEGIES = {
    **_same("cost_optimized minimize_cost cheapest lowest_cost low_cost cost-optimized economy", "cost"),
    **_same("quality quality_optimized maximize_quality best best_quality quality-optimized", "performance"),
    **_same("balance capability_based", "balanced"),
}

FORMS: dict[str, ToolForm] = {
    "data_processing": ToolForm(
        "load",
        Form(
            rename=_same("input_data dataset input file_path filepath filename", "data")
            | _same("output_file", "output_path"),
            drop={"format": _SEEN, "input_format": _SEEN, "source_format": _SEEN, "from_format": _SEEN},
            lift=("operation", "config", "options"),
            fields=_TABLE,
        ),
        {
            "load": Form(rename=_same("input_format source_format", "format"), drop={}, fields={"content": "data"}),
            "save": Form(rename=_same("output_format to_format", "format") | _same("file_path filepath", "path")),
            "filter": Form(rename=_same("criteria filter filter_conditions", "conditions")),
            "aggregate": Form(rename=_same("group_by_columns groups", "group_by")),
            "transform": Form(rename=_same("transformation_spec transformation transform", "operations")),
            "convert": Form(
                rename=_same("output_format to_format target_format target", "format"),
                fields=_same("processed_data output converted_data data", "content"),
            ),
        },
        {
            "convert_format": "convert",
            "transform_data": "transform",
            "load_data": "load",
            "filter_data": "filter",
            "aggregate_data": "aggregate",
            "save_data": "save",
            "export": "save",
        },
    ),
    "validation": ToolForm(
        "validate",
        Form(fields=_same("is_valid validated passed", "valid") | _same("validation_errors error_messages", "errors")),
        {
            "validate": Form(
                rename={"mode": "strict", "input_data": "data"},
                values={"strict": {"strict": "true", "lenient": "false", "report_only": "false"}},
                fields={"validated_data": "data", "warnings": "([] if {}.valid else {}.errors)"},
            ),
            "quality_check": Form(fields={"quality_score": "score"}),
            "infer_schema": Form(fields=_same("inferred_schema", "schema")),
            "extract_structured": Form(fields=_same("extracted_data extracted structured_data", "data")),
        },
    ),
    "filesystem": ToolForm(
        "read",
        Form(rename=_PATHS | _same("directory dir folder", "path"), fields=_same("file_path filepath", "path")),
        {
            "read": Form(fields=_same("data text", "content")),
            "write": Form(
                rename=_same("data text", "content"),
                drop=_FOLDERS,
                fields=_same("bytes_written file_size bytes", "size"),
            ),
            "append": Form(rename=_same("data text", "content"), drop=_FOLDERS),
            "list": Form(
                fields=_same("files entries contents", "items") | _same("total file_count", "count"),
            ),
            "glob": Form(fields=_same("files matches", "items")),
            "copy": Form(rename=_same("source src from", "path") | _same("dest dst target to", "destination")),
            "move": Form(rename=_same("source src from", "path") | _same("dest dst target to", "destination")),
            "mkdir": Form(drop=_FOLDERS | {"exist_ok": "a folder that is there already is no error"}),
            "info": Form(fields=_same("file_size", "size") | _same("modified_time mtime", "modified")),
        },
        {
            "get_size": "info",
            "size": "info",
            "get_info": "info",
            "file_size": "info",
            "create": "write",
            "create_dir": "mkdir",
            "make_dir": "mkdir",
            "read_text": "read",
            "write_text": "write",
        },
    ),
    "web_search": ToolForm(
        "search",
        Form(
            rename=_same("search_query search_term", "query") | _same("n_results max limit_results", "max_results"),
            drop=_same("backend engine search_engine provider", "the project's settings say which service is asked"),
            fields=_same("search_results items", "results")
            | _same("total count num_results result_count total_count", "total_results"),
        ),
    ),
    "headless_browser": ToolForm(
        "fetch",
        Form(drop=_same("headless", "pages are always read without a window")),
        {
            "fetch": Form(
                rename=_same("page_url", "url"),
                fields=_same("accessible exists verified reachable", "success")
                | _same("page_title", "title")
                | _same("extracted_text page_content body", "text"),
            ),
            "screenshot": Form(fields=_same("screenshot_path file_path", "path")),
        },
        {"verify": "fetch", "verify_url": "fetch", "check": "fetch", "get": "fetch", "extract_content": "fetch"},
    ),
    "report_generator": ToolForm(
        "generate",
        Form(
            rename=_same("output_format", "format")
            | _same("body report_content", "content")
            | _same("include_toc toc table_of_contents", "contents")
            | _same("output_file save_to", "output_path"),
            drop={"report_type": "its sections say what it is"},
            sections=(
                "executive_summary",
                "summary",
                "introduction",
                "methodology",
                "findings",
                "key_findings",
                "results",
                "analysis",
                "insights",
                "data",
                "search_results",
                "quality_score",
                "recommendations",
                "conclusion",
                "conclusions",
                "sources",
                "references",
            ),
            fields=_same("markdown report report_content text html output", "content")
            | _same("file_path filepath output_path", "path"),
        ),
    ),
    "pdf_compiler": ToolForm(
        "compile",
        Form(
            drop={
                "install_if_missing": "nothing has to be installed to make a PDF",
                "format": "it makes a PDF",
                "output_format": "it makes a PDF",
                "cleanup": "it leaves no other files",
            },
            only={"format": ("pdf", "PDF"), "output_format": ("pdf", "PDF")},
            rename=_same("toc include_toc table_of_contents", "contents"),
            lift=("metadata",),
            fields=_same("pdf_path file_path output_file filepath", "path")
            | _same("file_size", "size")
            | _same("page_count", "pages"),
        ),
    ),
    "mcp": ToolForm(
        "call",
        Form(
            drop={"server_config": "the project's file mcp.yaml says how each server is started or reached"},
            fields=_same("connected disconnected", "{}.success"),
        ),
        {
            "list_tools": Form(fields=_same("capabilities available_tools", "tools")),
            "read_resource": Form(rename=_same("resource_uri", "uri")),
        },
        {"connect": "list_tools", "get_resource": "read_resource"},
    ),
    "mcp_memory": ToolForm(
        "retrieve",
        Form(),
        {
            "retrieve": Form(fields={"value": "{}.result.value", "data": "value"}),
            "list": Form(fields={"keys": "({}.items | map(attribute='key') | list)"}),
        },
    ),
    "user_prompt": ToolForm(
        "ask",
        Form(
            drop={"context": "where people answer is decided by the run"},
            only={"context": ("cli", "gui", "api", "web", "terminal")},
            rename=_same("default_value", "default") | _same("validation_pattern", "pattern"),
            values={
                "type": {
                    "bool": "boolean",
                    "string": "text",
                    "str": "text",
                    "int": "integer",
                    "float": "number",
                    "select": "choice",
                    "multi_choice": "choices",
                    "multiselect": "choices",
                }
            },
            fields=_same("value response user_input input", "answer"),
        ),
    ),
    "approval_gate": ToolForm(
        "request",
        Form(
            drop={
                "format": "the content is shown as it is",
                "require_reason": "a rejection may always say why",
                "allow_modifications": "false is the default",
            },
            only={"allow_modifications": (False,)},
            fields=_same("rejection_reason reason feedback", "comment")
            | _same("approver approved_by reviewer", "by")
            | _same("approved_at decided_at", "at")
            | {"decision": "('approved' if {}.approved else 'rejected')", "modified_content": "content"},
        ),
    ),
    "feedback_collection": ToolForm("collect", Form(fields=_same("feedback answers", "responses"))),
    "multi_model_routing": ToolForm(
        "route",
        Form(
            rename=_same("optimization_goal goal optimization routing_strategy", "strategy")
            | _same("tasks", "prompts"),
            values={"strategy": STRATEGIES},
            texts="prompts",
            fields=_same("selected_model recommended_model", "model")
            | _same("routing_reason reasoning reasons", "reason")
            | _same("total_estimated_cost total_cost", "estimated_cost")
            | _same("recommendations", "routes"),
        ),
        actions={"optimize_batch": "route", "route_request": "route", "recommend": "route"},
    ),
    "task_delegation": ToolForm(
        "delegate",
        Form(
            fields=_same("selected_model recommended_model", "model")
            | _same("task_analysis", "analysis")
            | _same("reason reasoning reasons", "model_reason")
        ),
    ),
    "prompt_optimization": ToolForm(
        "optimize",
        Form(
            settings=("model", "temperature", "max_tokens"),
            drop={"preserve_intent": "what the prompt asks for is always kept"},
            only={"preserve_intent": (True,)},
            fields=_same("optimized_prompt optimised_prompt", "optimized")
            | _same("original_prompt", "original")
            | _same("improvements", "changes"),
        ),
    ),
    "python_executor": ToolForm(
        "run",
        Form(
            drop={
                "capture_output": "what is printed is always kept",
                "packages": "none are named",
                "requirements": "none are named",
                "sandbox": "code always runs in a process of its own",
            },
            only={"packages": ([],), "requirements": ([],), "sandbox": (True,), "capture_output": (True,)},
            fields=_same("execution_time elapsed", "duration") | _same("exit_code returncode", "return_code"),
        ),
    ),
    "terminal": ToolForm(
        "run",
        Form(
            rename=_same("cmd", "command"),
            fields=_same("execution_time elapsed", "duration")
            | _same("exit_code returncode", "return_code")
            | _same("output", "stdout"),
        ),
    ),
    "http_client": ToolForm(
        "get",
        Form(
            fields=_same("data response response_data", "json")
            | _same("content", "text")
            | _same("code", "status_code")
        ),
    ),
    "pipeline_executor": ToolForm(
        "execute",
        Form(
            drop={
                "wait_for_completion": "the step always waits",
                "inherit_context": "a pipeline is given its inputs",
                "output_mapping": "its outputs are read as `<step>.outputs.<name>`",
                "async": "steps that do not wait for each other run at once",
            },
            only={"wait_for_completion": (True,)},
            fields=_same("results result_data", "outputs"),
        ),
    ),
    "image_analysis": ToolForm(
        "analyze",
        Form(
            rename=_same("image_path image_file path", "image") | _same("question", "prompt"),
            settings=("model", "temperature", "max_tokens"),
            drop={"detail_level": "how much is said is decided by the prompt"},
            values={
                "analysis_type": _same("describe description detailed comprehensive caption", "general")
                | _same("faces", "people")
                | _same("ocr", "text")
                | _same("detect_objects object_detection", "objects")
            },
            fields=_same("analysis description result_text caption extracted_text", "text"),
        ),
    ),
    "image_generation": ToolForm(
        "generate",
        Form(
            rename=_same("num_images n number_of_images", "count") | _same("output_file filename", "path"),
            settings=("model",),
            drop={"output_format": "pictures are files"},
            only={"output_format": ("file", "png", "path")},
        ),
    ),
    "audio_processing": ToolForm(
        "transcribe",
        Form(settings=("model",)),
        {
            "transcribe": Form(
                rename=_same("path audio_path audio_file file", "audio"),
                fields=_same("transcription transcript", "text"),
            ),
        },
    ),
    "checkpoint": ToolForm("save", Form(fields={"checkpoint_id": "name", "checkpoints": "items"})),
}
"""Every built-in tool with older spellings, by its name of today."""
