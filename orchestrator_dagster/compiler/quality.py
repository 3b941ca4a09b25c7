"""The judge of a pipeline: that there is one, and that what it is to judge is there and can be read by it."""

from __future__ import annotations

from orchestrator_dagster.compiler.bodies import Body
from orchestrator_dagster.language.read import Reading
from orchestrator_dagster.language.step import BYTES_FORMATS
from orchestrator_dagster.text import nearest_name


def check_quality(reading: Reading, top: Body, builtin: str = "builtin") -> None:
    """Note a ``qc`` that nobody can judge, or that names what is no product.

    Args:
        reading: The file.
        top: Its steps, with their products.
        builtin: The provider of the model that cannot judge.
    """
    pipeline, problems, document = reading.pipeline, reading.problems, reading.document
    assert pipeline is not None
    qc = pipeline.qc
    if qc is None or reading.lost((), "orchestrator"):
        return
    name = pipeline.orchestrator
    if name is None or name.replace("/", ":").partition(":")[0] == builtin:
        who = "the header has no `orchestrator`" if name is None else f"{name} only takes sentences from given text"
        problems.add(
            "no-orchestrator",
            f"nothing judges the products by the rubric of `qc`: {who}",
            document.key_span(("qc",)) if name is None else document.span(("orchestrator",)),
            severity="warning",
            hint="a run is refused until the header names a language model, such as `orchestrator: openai:gpt-5-mini`",
        )
    formats = {product.variable: product.format for draft in top.walk() for product in draft.products}
    for number, variable in enumerate(qc.products):
        place = ("qc", "products", number)
        where = document.span(place if document.has(place) else ("qc", "products"))
        if variable not in formats:
            near = nearest_name(variable, formats)
            problems.add(
                "unknown-variable",
                f'`qc.products` names "{variable}", and no product is made from a variable of that name'
                f"{f'; did you mean {chr(34)}{near}{chr(34)}?' if near else ''}",
                where,
                suggestion=near,
                hint=f"the products are {', '.join(formats)}" if formats else "no step has `products`",
            )
        elif formats[variable] in BYTES_FORMATS:
            problems.add(
                "product-format",
                f'`qc.products` names "{variable}", which is a picture or a PDF: the judge reads texts and tables',
                where,
                hint="name another product",
            )
    if not qc.products and not [one for one in formats.values() if one not in BYTES_FORMATS]:
        problems.add(
            "unknown-variable",
            "`qc` judges products, and no step has one that can be read",
            document.key_span(("qc",)),
            hint="give a step `products`",
        )
