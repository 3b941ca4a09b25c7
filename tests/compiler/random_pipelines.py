"""Pipelines made by chance: loops in loops, routes, handlers, sub-pipelines, older spellings, values of wrong types."""

from __future__ import annotations

from random import Random
from typing import Any

IDS = ("a", "b", "c", "d", "e", "f-g", "load", "write", "Ä", "a b", "fail", "item", "1", "x" * 70)
NAMES = ("a", "b", "c", "d", "f-g", "load", "item", "index", "loop", "doc", "page", "topic", "items", "score", "text")
FIELDS = ("result", "value", "status", "results", "iterations", "iteration", "items", "content", "score", "x", "failed")
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 10**30, "", " ", "x", [], {}, [None], [[]], {"a": None}, {"": 1}, "{{", "}}", "{% if %}",
    "<AUTO>x</AUTO>", "<AUTO>", "2m", "None", ["a", 1], [{"a": 1}, {"a": 2}], "{{ file:x.txt }}", "<< x.txt >>", "\x00", "☃",
)  # fmt: skip
KEYS = (
    "id", "name", "description", "dependencies", "depends_on", "tool", "action", "parameters", "prompt", "instruction",
    "tools", "pipeline", "inputs", "model", "expert", "personality", "temperature", "vars", "products", "condition", "if",
    "on_false", "on_success", "goto", "on_failure", "failure_handlers", "retries", "timeout", "for_each", "as", "while",
    "until", "max_parallel", "max_iterations", "on_item_failure", "on_limit", "steps", "tags", "metadata", "foreach",
    "action_loop", "create_parallel_queue", "type", "items", "max_concurrent", "loop_name", "loop_condition", "on_error",
    "continue_on_error", "retry", "retry_config", "max_retries", "produces", "location", "requires_model", "requires-model",
    "template", "then", "else", "x-note", "nonsense",
)  # fmt: skip
HEADER = (
    "id", "name", "version", "inputs", "parameters", "steps", "outputs", "constants", "config", "context", "variables", "data",
    "failure_handlers", "global_error_handlers", "retries", "timeout", "output_dir", "output_path", "experts",
    "default_model", "personality", "selection_schema", "schedule", "tags", "owners", "metadata",
)  # fmt: skip


class Maker:
    """Makes trees of a pipeline file, about half of them nearly right."""

    def __init__(self, random: Random, files: tuple[str, ...] = ()) -> None:
        self.random = random
        self.files = files
        self.wrong = random.choice((0.0, 0.0, 0.0, 0.02, 0.1, 0.4))
        self.blind = random.choice((0.0, 0.0, 0.05, 0.3))
        self.seen = ["topic"]  # names that exist where the next text stands

    def one(self, *options: Any) -> Any:
        return self.random.choice(options)

    def chance(self, part: float) -> bool:
        return self.random.random() < part

    def pipeline(self) -> Any:
        """The tree of a file."""
        made: dict[str, Any] = {"id": "p", "default_model": "builtin:extractive"}
        if self.chance(0.98):
            made["inputs"] = {"topic": self.one("x", "None", {"type": "array", "default": ["x"]})}
        made["steps"] = self.body(self.random.randint(1, 6), 0)
        if self.chance(0.4):
            made["outputs"] = {"o": self.text(), "q": "{{ outputs.o }}"}
        if self.chance(0.2):
            made[self.one("failure_handlers", "global_error_handlers")] = self.handlers()
        while self.chance(self.wrong):
            made[self.one(*HEADER)] = self.odd()
        return made if not self.chance(self.wrong / 10) else self.odd()

    def body(self, count: int, depth: int) -> Any:
        ids = [
            self.one(*IDS[:7]) if self.chance(self.blind / 5) else f"{IDS[at % 7]}{depth or ''}" for at in range(count)
        ]
        around = self.seen
        self.seen = list(around)
        made = []
        for number, one in enumerate(ids):
            made.append(self.step(one, ids[: number + 1 if self.chance(self.blind) else number], ids, depth))
            self.seen.append(one)
        self.seen = around
        return made if not self.chance(self.wrong / 5) else self.odd()

    def step(self, own: str, before: list[str], ids: list[str], depth: int) -> Any:
        made: dict[str, Any] = {"id": own}
        around = self.seen
        self.seen = list(around)
        self.work(made, depth)
        self.seen = around
        if self.chance(0.3) and before:
            ways = [self.other(before), self.other(before)]
            made[self.one("dependencies", "depends_on")] = self.one(ways[0], ways, ", ".join(ways))
        if self.chance(0.2):
            made[self.one("condition", "if")] = self.condition()
        later = ids[ids.index(own) + 1 :]
        for key in ("on_success", "on_false", "on_failure"):
            if self.chance(0.15) and (key != "on_false" or "condition" in made or "if" in made) and later:
                policies = (
                    ("skip", "continue", "retry", "fail") if key == "on_failure" or self.chance(self.blind) else ()
                )
                made[key] = self.one(self.other(later), self.other(later), *policies)
        if self.chance(0.1):
            made[self.one("failure_handlers", "failure_handlers", "on_error")] = self.handlers(later)
        if self.chance(0.25):
            own_name = own.replace("-", "_")
            names = self.one([f"v_{own_name}"], [f"v_{own_name}", f"w_{own_name}"], [own_name], ["score"])
            made["vars"] = {name: self.one("words", {"type": "number"}, {"type": "array"}) for name in names}
            if self.chance(0.5):
                made["products"] = {names[0]: self.one(f"{own}_{{{{ index }}}}.json", f"{own}.txt", f"{own}.txt")}
        while self.chance(self.wrong):
            made[self.one(*KEYS)] = self.odd()
        return made if not self.chance(self.wrong / 10) else self.odd()

    def work(self, made: dict[str, Any], depth: int) -> None:
        kind = self.random.randint(0, 9)
        if kind < 3 and depth < 4:
            self.loop(made, depth)
            made[self.one("steps", "steps", "steps", "action_loop")] = self.body(self.random.randint(1, 3), depth + 1)
            return
        if kind > 3 and self.chance(0.25):
            self.loop(made, depth)
        if kind == 3 and self.files:
            made |= {
                "pipeline": self.one(*self.files), "inputs": {"topic" if not self.chance(self.blind) else "x": self.text()}
            }  # fmt: skip
        elif kind == 4:
            made |= {"tool": "filesystem", "action": "list", "parameters": {"path": self.text()}}
        elif kind == 5:
            made |= {
                "action": self.one("generate", "echo hello", "debug", "say it in words"),
                "parameters": {"prompt": self.text()},
            }
        else:
            made["prompt"] = self.text()
        if self.chance(self.blind / 3):
            made["create_parallel_queue"] = {"on": self.text(), "action_loop": [{"prompt": self.text()}]}

    def loop(self, made: dict[str, Any], depth: int) -> None:
        """Repeat a step; what is seen inside is seen from now on."""
        over = self.random.randint(0, 4) < 3
        if over:
            made[self.one("for_each", "for_each", "foreach")] = self.one(self.whole(), [1, 2], "[1]", self.whole())
            if self.chance(0.5):
                made["as"] = self.one("doc", "page") + str(depth) if not self.chance(self.blind) else self.one(*NAMES)
                self.seen.append(made["as"])
            self.seen += ["item", "index", "is_first", "length"]
        self.seen += ["iteration", "loop.index", f"{made['id']}.iteration"]
        if not over:
            made[self.one("while", "until", "loop_condition")] = self.condition()
        for key, value in (
            ("max_iterations", 3), ("max_parallel", 2), ("on_item_failure", "skip"), ("on_limit", "continue"),
            ("loop_name", "rounds"),
        ):  # fmt: skip
            fits = over if key in ("max_parallel", "on_item_failure") else not over
            if self.chance(0.15) and (fits or self.chance(self.blind)):
                made[key] = value

    def handlers(self, ids: list[str] | None = None) -> Any:
        """Handlers of failures that go to one of these steps, or nowhere."""
        ways = [*(ids or ()), "continue", "skip", "fail", "retry"]
        today = (
            {"goto": self.one(*ways)}, {"errors": "ValueError", "goto": self.one(*ways)}, {"fallback": self.text()},
            {"message": "m"},
        )  # fmt: skip
        older = ({"handler_task_id": self.one(*ways)}, {"handler_action": "explain it"})
        count = self.random.randint(1, 3)
        return [self.one(*today, *(older if self.chance(self.blind) else ())) for _ in range(count)]

    def name(self) -> str:
        """A name with fields; one that is there, or any."""
        if not self.chance(self.blind):
            made = self.one(*self.seen)
            if made in IDS and made != "item" and self.chance(0.5):
                made = (
                    self.one("", "steps.", "results.", "previous_results.") + made + self.one("", ".result", ".status")
                )
            return made
        made = self.one(*NAMES)
        for _ in range(self.random.randint(0, 2)):
            made += self.one("", "[0]", "[-1]") if self.chance(0.3) else f".{self.one(*FIELDS)}"
        return self.one("", "", "", "$", "steps.", "results.", "previous_results.", "inputs.") + made

    def whole(self) -> str:
        """A value that is one expression."""
        return f"{{{{ {self.name()} }}}}"

    def text(self) -> str:
        """A text, most of them with a template."""
        name = self.name()
        return str(
            self.one(
                "words", f"{{{{ {name} }}}}", f"about {{{{ {name} | default('x') }}}}", f"{{{{ {name} | length }}}}",
                f"{{% for one in {name} %}}{{{{ one }}}} {{{{ loop.index }}}}{{% endfor %}}",
                f"{{{{ {name} }}}} and {{{{ {self.name()} }}}}", f"{{% if {name} is defined %}}{{{{ {name} }}}}{{% endif %}}",
                *(("{{ broken", f"<AUTO>best of {{{{ {name} }}}}</AUTO>") if self.chance(self.blind) else ()),
            )
        )  # fmt: skip

    def condition(self) -> Any:
        """A condition."""
        name = self.name()
        return self.one(
            True, f"{name} is not None", f"{{{{ {name} }}}}", f"{{{{ {name} }}}} == 'x' and not {self.name()}",
            f"{name} in [1, 2]", f"{name} is None",
            *(("<AUTO>is it good?</AUTO>", f"{name} <", "score < 0.5", f"len({name}) < 3") if self.chance(self.blind) else ()),
        )  # fmt: skip

    def other(self, ids: list[str]) -> str:
        return str(self.one(*ids) if not self.chance(self.blind / 3) else self.one(*IDS))

    def odd(self, depth: int = 0) -> Any:
        """A value of any type."""
        kind = self.random.randint(0, 5)
        if kind == 0 and depth < 3:
            return {self.one(*KEYS, "goto", "path"): self.odd(depth + 1) for _ in range(self.random.randint(0, 3))}
        if kind == 1 and depth < 3:
            return [self.odd(depth + 1) for _ in range(self.random.randint(0, 3))]
        return self.one(self.text(), self.condition(), *ODD, *IDS)
