"""A small valid pipeline for each section of the pipeline file's page; the tests compile them."""

from __future__ import annotations

SECTIONS = {
    "quality": """\
orchestrator: openai:gpt-5-mini
default_model: builtin:extractive
alignment: {ignore: The summary is made by hand for now.}
qc:
  rubric: Every finding names its source, and says one thing.
  products: [findings]
  threshold: 0.8
  budget: {cost: 0.02}
steps:
  - id: find
    prompt: Extract findings about water.
    parameters: {notes: Trees need water.}
    vars:
      - findings: {type: array, items: string}
    products:
      - findings: findings.json
""",
    "header": """\
id: weekly_notes
name: Weekly notes
description: Puts the notes of a week together
version: "1.0"
owners: [team:garden, ana@example.com]
tags: {domain: garden}
default_model: builtin:extractive
output_dir: outputs/notes
inputs:
  - folder: notes
steps:
  - id: read
    tool: filesystem
    action: read_many
    parameters: {path: "{{ folder }}", pattern: "*.md"}
outputs:
  count: "{{ read.count }}"
""",
    "inputs": """\
inputs:
  - topic: None                      # required
  - style: plain                     # a text, by default "plain"
  - tags: {type: array, items: string, default: [garden, water]}
  - most: {type: integer, default: 5, minimum: 1, maximum: 20, description: Findings at most}
  - level: {type: string, default: short, enum: [short, long]}
  - token: {type: secret, default: WIKI_TOKEN, description: Variable that holds the key of the wiki}
steps:
  - id: say
    action: echo
    parameters: {message: "{{ most }} findings about {{ topic }}, {{ style }} and {{ level }}"}
""",
    "steps": """\
default_model: builtin:extractive
steps:
  - id: read
    tool: filesystem
    action: read
    parameters: {path: notes/march.md}

  - id: summarise
    description: Put the notes into two sentences
    prompt: Summarise in 2 sentences what the notes say about water.
    parameters: {notes: "{{ read.content }}"}
    vars:
      - summary: What the notes say about water

  - id: announce
    action: log
    parameters: {message: "{{ summary }}"}
""",
    "variables": """\
default_model: builtin:extractive
steps:
  - id: read
    tool: filesystem
    action: read_many
    parameters: {path: notes, pattern: "*.md"}
    vars:
      - notes: "{{ result.items }}"                        # an expression over the tool's result
      - count: integer                                     # the field of that name

  - id: extract
    prompt: Extract findings about water from the notes.
    parameters: {notes: "{{ notes }}"}
    vars:
      - summary: One sentence on all of them               # a description: a text
      - score: {type: number, minimum: 0, maximum: 1}
      - findings:
          type: array
          items: {finding: string, source: string}         # objects with two texts
""",
    "products": """\
default_model: builtin:extractive
inputs:
  - topic: water
steps:
  - id: read
    tool: filesystem
    action: read_many
    parameters: {path: notes, pattern: "*.md"}
    products:
      - notes: notes.json
  - id: extract
    prompt: Extract findings about {{ topic }}.
    parameters: {notes: "{{ read.items }}"}
    vars:
      - findings: {type: array, items: {finding: string, source: string}}
      - terms: {type: array, items: string}
    products:
      - findings: {path: "{{ topic | slugify }}.csv", description: Findings with their sources}
      - terms: {path: terms.txt, key: [garden, terms], owners: [team:garden]}
""",
    "flow": """\
inputs:
  - units: 3
steps:
  - id: order
    condition: units < 5
    on_false: rest
    tool: filesystem
    action: write
    parameters: {path: outputs/order.txt, content: "{{ 5 - units }} units"}
    on_failure: tell
  - id: rest
    action: echo
    parameters: {message: nothing to order}
  - id: tell
    action: echo
    parameters: {message: "Nothing was ordered: {{ error.message }}"}
""",
    "loops": """\
default_model: builtin:extractive
inputs:
  - paths: {type: array, items: string, default: [notes/march.md, notes/april.md]}
steps:
  - id: each_note
    for_each: "{{ paths }}"
    as: path
    max_parallel: 2
    on_item_failure: skip
    steps:
      - id: read
        tool: filesystem
        action: read
        parameters: {path: "{{ path }}"}
      - id: sum_up
        prompt: Summarise in 1 sentence.
        parameters: {note: "{{ read.content }}"}
  - id: shorten
    until: len(short) < 200
    max_iterations: 4
    prompt: Summarise in {{ 4 - iteration }} sentences.
    parameters: {text: "{{ short | default(each_note.results | join(' ')) }}"}
    vars:
      - short: The text that is left
""",
    "failure_handlers": """\
failure_handlers:
  - {errors: [ModelError], message: See the page of the provider's status}
steps:
  - id: read
    tool: filesystem
    action: read
    parameters: {path: notes/march.md}
    failure_handlers:
      - {errors: [FileMissingError], fallback: {content: no notes}}
      - {errors: [StepTimeoutError], goto: give_up}
    timeout: 10
  - id: give_up
    action: echo
    parameters: {message: "{{ error.message }}"}
""",
    "retries": """\
default_model: openai:gpt-4o-mini
retries: 1
steps:
  - id: ask
    prompt: Name one tree.
    retries: {max: 4, delay: 2s, backoff: exponential, jitter: full}
    timeout: 30s
""",
    "experts": """\
default_model: builtin:extractive
experts:
  - analyst: {model: gpt-4o, provider: openai, temperature: 0.1, personality: analyst}
  - writer: anthropic:claude-sonnet-4-5
steps:
  - id: look
    expert: analyst
    prompt: Name one tree.
""",
    "optional": """\
default_model: openai:gpt-4o-mini
steps:
  - id: read_mail
    prompt: What does the mail say about the order?
    parameters: {mail: "Order 1001 is late."}
    vars:
      - order:
          schema:
            type: object
            properties:
              number: {type: string, pattern: "^[0-9]{4}$"}
              refund: {type: number, minimum: 0}
            required: [number]
    products:
      - order: order.json
""",
    "selection": """\
selection_schema: {strategy: cost, fallback: [openai:gpt-4.1-mini], max_cost_per_call: 0.05, timeout: 90s}
steps:
  - id: look
    prompt: Name one tree.
    requires_model: {capabilities: [json_schema], min_size: 7b}
""",
    "budget": """\
default_model: openai:gpt-4o-mini
budget: {cost: 0.50, calls: 50}
steps:
  - id: look
    prompt: Name one tree.
    budget: {tokens: 2000}
""",
    "schedules": """\
schedule:
  - {cron: "0 6 * * 1-5", timezone: Europe/Berlin, inputs: {topic: energy}}
  - {cron: "@monthly", enabled: true, inputs: {topic: "the month before {{ current_date }}"}}
inputs:
  - topic: None
steps:
  - id: say
    action: echo
    parameters: {message: "{{ topic }}"}
""",
    "triggers": """\
triggers:
  - files: "data/inbox/*.csv"
    inputs: {source: "{{ file.path }}"}
  - asset: accounts/table
    inputs: {source: "{{ asset.path }}"}
inputs:
  - source: None
steps:
  - id: load
    tool: data-processing
    action: load
    parameters: {data: "{{ source }}"}
""",
    "partitions": """\
partitions: {daily: 2026-01-01}
automation: on_missing
steps:
  - id: say
    action: echo
    parameters: {message: "The day is {{ partition.key }}"}
    products:
      - said: "{{ partition.key }}.txt"
""",
}
