"""Files of the published scripts: `ent_pred_SPLIT.json` and `pred_results.json`.

`ent_pred_test.json` is a corpus in the exchange format, one document a line, with `predicted_ner`. All functions for
documents read it, and `write_documents` writes it. `pred_results.json` is one JSON object for a whole corpus: for the
number of each document a list of [sentence, relations], each relation as [[head start, head end], [tail start, tail
end], label].
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..data.documents import RELATION_FIELDS, Document
from ..data.files import whole_file
from ..modeling.schema_plmarker import PLMarkerError


def write_relation_results(path: str | Path, documents: Iterable[Mapping[str, Any]]) -> None:
    """Write the `predicted_relations` of documents as the original's `pred_results.json`.

    Only sentences with entities are listed, as in the original. The file appears whole or not at all.

    Raises:
        PLMarkerError: for a document without `predicted_relations`.
    """
    results: dict[str, list[Any]] = {}
    for number, document in enumerate(documents):
        if document.get("predicted_relations") is None:
            raise PLMarkerError(f"document {document['doc_key']!r} has no predicted_relations")
        given = document["ner"] if document.get("predicted_ner") is None else document["predicted_ner"]
        sentences = []
        for sentence, (entities, relations) in enumerate(zip(given, document["predicted_relations"], strict=True)):
            if entities:
                rows = [
                    [[r["head_start"], r["head_end"]], [r["tail_start"], r["tail_end"]], r["label"]] for r in relations
                ]
                sentences.append([sentence, rows])
        if sentences:
            results[str(number)] = sentences
    with whole_file(path) as file:
        json.dump(results, file)


def read_relation_results(path: str | Path, documents: Sequence[Mapping[str, Any]]) -> list[Document]:
    """Read the original's `pred_results.json` into the `predicted_relations` of the documents that it belongs to.

    Args:
        documents: the corpus, in the order of the file that the results were made from.

    Raises:
        PLMarkerError: for a missing or broken file, or one that is not of these documents.
    """
    path = Path(path)
    if not path.is_file():
        raise PLMarkerError(f"{path}: no such file")
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
        found = {int(number): dict(sentences) for number, sentences in results.items()}
        rows_of = {
            number: {sentence: [_relation(row) for row in rows] for sentence, rows in sentences.items()}
            for number, sentences in found.items()
        }
    except (ValueError, TypeError, AttributeError) as error:
        raise PLMarkerError(f"{path}: not as pred_results.json is, {error}") from None
    completed = []
    for number, document in enumerate(documents):
        sentences = rows_of.pop(number, {})
        outside = [sentence for sentence in sentences if sentence not in range(len(document["sentences"]))]
        if outside:
            raise PLMarkerError(f"{path}: document {number} has no sentence {outside[0]!r}")
        relations = [sentences.get(sentence, []) for sentence in range(len(document["sentences"]))]
        completed.append({**document, "predicted_relations": relations})
    if rows_of:
        raise PLMarkerError(f"{path}: results for document {min(rows_of)}, of {len(documents)}")
    return completed


def _relation(row: Any) -> dict[str, Any]:
    (head_start, head_end), (tail_start, tail_end), label = row
    return dict(zip(RELATION_FIELDS, (head_start, head_end, tail_start, tail_end, label), strict=True))
