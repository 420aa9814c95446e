"""The exchange format: documents as JSONL, typed as `datasets.Features`.

A line of the JSONL of the DyGIE family is one document: `doc_key`, `sentences` (lists of words), `ner` and
`relations` (for each sentence, lists `[start, end, label]` and `[head start, head end, tail start, tail end, label]`),
and, where a model made them, `predicted_ner` and `predicted_relations`. Word indices count through the whole document;
both ends are inclusive. In a `Dataset` the annotations are objects with named, typed fields.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from datasets import Dataset, Features, List, Value, concatenate_datasets

from ..modeling.schema_plmarker import PLMarkerError
from .files import whole_file

Document = dict[str, Any]
DOCUMENTS_AT_ONCE = 1000

ENTITY_FIELDS = ("start", "end", "label")
RELATION_FIELDS = ("head_start", "head_end", "tail_start", "tail_end", "label")
ANNOTATIONS = {
    "ner": ENTITY_FIELDS,
    "relations": RELATION_FIELDS,
    "predicted_ner": ENTITY_FIELDS,
    "predicted_relations": RELATION_FIELDS,
}


def _per_sentence(fields: tuple[str, ...]) -> List:
    types = {name: Value("string") if name == "label" else Value("int32") for name in fields}
    return List(List(types))


DOCUMENT_FEATURES = Features(
    doc_key=Value("string"),
    sentences=List(List(Value("string"))),
    **{name: _per_sentence(fields) for name, fields in ANNOTATIONS.items()},
)


def typed_document(raw: Mapping[str, Any]) -> Document:
    """Turn a checked line of the JSONL into the typed form; annotations that it lacks become None."""
    document: Document = {"doc_key": raw["doc_key"], "sentences": raw["sentences"]}
    for name, fields in ANNOTATIONS.items():
        per_sentence = raw.get(name)
        document[name] = per_sentence and [
            [dict(zip(fields, row, strict=False)) for row in sentence] for sentence in per_sentence
        ]
    return document


def raw_document(document: Mapping[str, Any]) -> Document:
    """Turn a typed document into the lists of the JSONL; annotations that are None are left out."""
    raw: Document = {"doc_key": document["doc_key"], "sentences": document["sentences"]}
    for name, fields in ANNOTATIONS.items():
        if document.get(name) is not None:
            raw[name] = [[[row[field] for field in fields] for row in sentence] for sentence in document[name]]
    return raw


def parse_line(line: str) -> Document:
    """Parse one line of JSONL, unchecked.

    Raises:
        ValueError: when it is no JSON object.
    """
    try:
        document = json.loads(line)
    except json.JSONDecodeError as error:
        message = f"broken JSON, {error.msg.removesuffix(' at')} at column {error.colno}; each line is one document"
        raise ValueError(message) from None
    except RecursionError:
        raise ValueError("broken JSON, nested too deeply") from None
    if not isinstance(document, dict):
        raise ValueError(f"a document is a JSON object, got {type(document).__name__}")
    return document


def existing_file(path: str | Path) -> Path:
    """The path. Raises `PLMarkerError` where no file is."""
    path = Path(path)
    if not path.is_file():
        raise PLMarkerError(f"{path}: {'a folder, expected a file' if path.is_dir() else 'no such file'}")
    return path


def numbered_lines(path: str | Path, empty: bool = False) -> Iterator[tuple[int, str]]:
    """Number (from 1) and text of each line of a file.

    Args:
        empty: with the empty lines, which are passed over else.

    Raises:
        PLMarkerError: for a missing file, or one that is not UTF-8.
    """
    path = existing_file(path)
    # Editors on Windows write a byte order mark; JSON knows none.
    with path.open(encoding="utf-8-sig") as lines:
        try:
            for number, line in enumerate(lines, start=1):
                if empty or line.strip():
                    yield number, line
        except UnicodeDecodeError as error:
            raise PLMarkerError(f"{path}: not UTF-8 text, {error.reason} at byte {error.start}") from None


def read_text(path: str | Path) -> str:
    """The whole text of a file, with its line ends as they are, so that character offsets hold.

    Raises:
        PLMarkerError: for a missing file, or one that is not UTF-8.
    """
    path = existing_file(path)
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise PLMarkerError(f"{path}: not UTF-8 text, {error.reason} at byte {error.start}") from None


def dataset_of(documents: Iterable[Mapping[str, Any]]) -> Dataset:
    """A typed dataset of checked documents; as it is built, few documents are held beside their Arrow form."""
    stream = iter(documents)
    parts = []
    while chunk := list(islice(stream, DOCUMENTS_AT_ONCE)):
        parts.append(Dataset.from_list(chunk, features=DOCUMENT_FEATURES))
    return concatenate_datasets(parts) if parts else Dataset.from_list([], features=DOCUMENT_FEATURES)


def write_documents(path: str | Path, documents: Iterable[Mapping[str, Any]]) -> None:
    """Write typed documents as JSONL. The file appears whole or not at all."""
    with whole_file(path) as lines:
        for document in documents:
            lines.write(json.dumps(raw_document(document), ensure_ascii=False) + "\n")
