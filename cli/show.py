"""`plmarker show PREDICTIONS --out report.html`: predictions as a page."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from ..data.documents import lines_with_numbers, parse_line
from ..data.files import whole_file
from ..modeling.schema_plmarker import PLMarkerError
from ..modeling.text_plmarker import join_words
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
    for document in shown_documents(options.input):
        if options.limit is not None and len(documents) >= options.limit:
            break
        documents.append(document)
    if not documents:
        raise PLMarkerError(f"{options.input}: there are no documents to show")
    gold = None
    if options.gold is not None:
        gold = {str(document["doc_key"]): document for document in shown_documents(options.gold)}
        for document in documents:
            other = gold.get(str(document["doc_key"]))
            if other is not None and other["text"] != document["text"]:
                raise PLMarkerError(f"{options.gold}: document {document['doc_key']!r} has another text there")
    with whole_file(options.out) as file:
        file.write(documents_page(documents, options.title or str(options.input), gold))
    compared = "" if gold is None else f", {sum(str(d['doc_key']) in gold for d in documents)} of them compared"
    print(f"{options.out}: {len(documents)} documents{compared}")
    return {"out": str(options.out), "documents": len(documents)}


def shown_documents(path: str) -> Iterator[dict[str, Any]]:
    """Documents as `Extraction.to_dict` gives them: read back, or made of annotated sentences.

    Raises:
        PLMarkerError: for a line that is neither, naming file and line.
    """
    for number, line in lines_with_numbers(path):
        try:
            raw = parse_line(line)
            raw.setdefault("doc_key", f"line {number}")
            yield _annotated(raw) if "sentences" in raw else _checked(raw)
        except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
            what = "expected what predict writes, or sentences with ner and relations"
            raise PLMarkerError(f"{path}:{number}: {what}: {type(error).__name__} {error}") from None


def _checked(raw: dict[str, Any]) -> dict[str, Any]:
    text = raw["text"]
    entities = [{**e, "score": e.get("score")} for e in raw["entities"]]
    for entity in entities:
        if not 0 <= entity["start"] <= entity["end"] <= len(text) or not isinstance(entity["label"], str):
            raise ValueError(f"{entity['start']} to {entity['end']} is no entity of the text")
    relations = [{**r, "score": r.get("score")} for r in raw.get("relations") or ()]
    for relation in relations:
        if not all(0 <= relation[end] < len(entities) for end in ("head", "tail")):
            raise ValueError("a relation joins an entity that is not there")
    return {"doc_key": raw["doc_key"], "text": text, "entities": entities, "relations": relations}


def _annotated(raw: dict[str, Any]) -> dict[str, Any]:
    """Words with annotations as a text with annotations."""
    text, located = join_words(raw["sentences"])
    words = [offsets for sentence in located for offsets in sentence]
    entities: list[dict[str, Any]] = []
    numbers: dict[tuple[int, int], int] = {}
    for start, end, label, *_ in (row for rows in raw.get("ner") or () for row in rows):
        numbers.setdefault((start, end), len(entities))
        entities.append({"start": words[start][0], "end": words[end][1], "label": label, "score": None})
    relations = [
        {"head": numbers[a, b], "tail": numbers[c, d], "label": label, "score": None}
        for a, b, c, d, label, *_ in (row for rows in raw.get("relations") or () for row in rows)
    ]
    return {"doc_key": raw["doc_key"], "text": text, "entities": entities, "relations": relations}
