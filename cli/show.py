"""`plmarker show PREDICTIONS --out report.html`: predictions as a page."""

from __future__ import annotations

import argparse
from typing import Any

from ..data.extractions import read_extractions
from ..data.files import whole_file
from ..modeling.schema_plmarker import PLMarkerError
from ..reports.page import documents_page


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("input", help="what predict has written; or annotated documents, JSONL with sentences")
    parser.add_argument("--out", required=True, metavar="FILE", help="the page, such as report.html")
    parser.add_argument("--gold", metavar="FILE", help="annotated documents with the same doc_keys, to compare with")
    parser.add_argument("--title", help="heading of the page (the name of the file)")
    parser.add_argument("--limit", type=int, metavar="N", help="show the first N documents alone")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Any:
    """Write the page, and return the number of documents."""
    documents: list[dict[str, Any]] = []
    for document in read_extractions(options.input):
        if options.limit is not None and len(documents) >= options.limit:
            break
        documents.append(document)
    if not documents:
        raise PLMarkerError(f"{options.input}: there are no documents to show")
    gold = None
    if options.gold is not None:
        gold = {str(document["doc_key"]): document for document in read_extractions(options.gold)}
        for document in documents:
            other = gold.get(str(document["doc_key"]))
            if other is not None and other["text"] != document["text"]:
                raise PLMarkerError(f"{options.gold}: document {document['doc_key']!r} has another text there")
    with whole_file(options.out) as file:
        file.write(documents_page(documents, options.title or str(options.input), gold))
    compared = "" if gold is None else f", {sum(str(d['doc_key']) in gold for d in documents)} of them compared"
    print(f"{options.out}: {len(documents)} documents{compared}")
    return {"out": str(options.out), "documents": len(documents)}
