"""``builtin:extractive``: a model without weights, key or network, so that a fresh machine can run pipelines.

It answers only with what stands in the text it is given: whole sentences, words, names, numbers, and statistics of
these. The same request has the same answer on every machine. What it does:

- *Summary* (also when nothing else is recognised): the sentences that are most central to the text and to the topic of
  the instruction, without repetitions, in the order of the documents. Length as the instruction says ("in 5 sentences",
  "about 200 words", "max 100 words", "two paragraphs", "as 5 bullet points"), else five sentences.
- *Report* ("report", "sections", "markdown"): title, summary, a section for each document (for a single one: its own
  sections, else key points), key terms, sources; the source's name in brackets behind what was taken from it.
- *Key terms* ("keywords", "key terms", "main topics"): words and two-word phrases.
- *Question* ("…?", "what/when/why …"): the sentences that say most about it, up to three, the best first.
- *JSON* for ``request.schema``: see ``schema_filling``.

System prompts count only for the length they ask for. It cannot call tools, translate, rephrase, make code or invent:
such requests are refused. Nothing is sampled, so temperature, ``seed``, ``top_p`` and the like change nothing.
"""

from __future__ import annotations

from orchestrator_dagster.models.extractive.model import ExtractiveModel

__all__ = ["ExtractiveModel"]
