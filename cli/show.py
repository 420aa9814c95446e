"""`plmarker show PREDICTIONS --out report.html`: predictions as a page."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ..data.extractions import read_extractions
from ..data.files import whole_file
from ..modeling.schema_plmarker import PLMarkerError
from ..reports.page import documents_page


def show(
    input: Annotated[
        str, typer.Argument(help="What predict has written; or annotated documents, JSONL with sentences.")
    ],
    out: Annotated[str, typer.Option(metavar="FILE", help="The page, such as report.html.")],
    gold: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Annotated documents with the same doc_keys, to compare with."),
    ] = None,
    title: Annotated[str | None, typer.Option(help="Heading of the page, by default the name of the file.")] = None,
    limit: Annotated[int | None, typer.Option(metavar="N", help="Show the first N documents alone.")] = None,
) -> Any:
    """Write a page that shows predictions."""
    documents: list[dict[str, Any]] = []
    for document in read_extractions(input):
        if limit is not None and len(documents) >= limit:
            break
        documents.append(document)
    if not documents:
        raise PLMarkerError(f"{input}: there are no documents to show")
    answers = None
    if gold is not None:
        answers = {str(document["doc_key"]): document for document in read_extractions(gold)}
        for document in documents:
            other = answers.get(str(document["doc_key"]))
            if other is not None and other["text"] != document["text"]:
                raise PLMarkerError(f"{gold}: document {document['doc_key']!r} has another text there")
    with whole_file(out) as file:
        file.write(documents_page(documents, title or input, answers))
    compared = "" if answers is None else f", {sum(str(d['doc_key']) in answers for d in documents)} of them compared"
    print(f"{out}: {len(documents)} documents{compared}")
    return {"out": out, "documents": len(documents)}
