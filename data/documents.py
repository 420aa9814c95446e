"""The exchange format: documents as JSONL.

Each line is one document, as in DyGIE and related projects. It has a name `doc_key` and `sentences` (lists of words).
`ner` has one list per sentence with rows `[start, end, label]`. `relations` has one list per sentence with rows
`[head_start, head_end, tail_start, tail_end, label]`. `predicted_ner` and `predicted_relations` hold the annotations of
a model in the same form. Word indices count from the first word of the document, and ends are inclusive. `weight` is
what the document counts in training, 1.0 where it is missing.

A typed document has the same content. Its annotations are dictionaries with named fields instead of lists.
"""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from ..modeling.schema_plmarker import PLMarkerError
from .files import has_ending, whole_file

Document = dict[str, Any]
# In place of a path.
STANDARD_INPUT = "-"

ENTITY_FIELDS = ("start", "end", "label")
RELATION_FIELDS = ("head_start", "head_end", "tail_start", "tail_end", "label")
ANNOTATION_FIELDS = {
    "ner": ENTITY_FIELDS,
    "relations": RELATION_FIELDS,
    "predicted_ner": ENTITY_FIELDS,
    "predicted_relations": RELATION_FIELDS,
}


# Other names of keys that published corpora have.
OTHER_KEYS = {"doc_id": "doc_key", "id": "doc_key", "ners": "ner", "rel": "relations", "rels": "relations"}


def usual_keys(raw: Document) -> Document:
    """A document whose keys have the names of this format. A name that is a number becomes text.

    Example:
        >>> usual_keys({"doc_id": 7, "sentences": [["Ada"]], "rel": [[]]})
        {'sentences': [['Ada']], 'doc_key': '7', 'relations': [[]]}
    """
    named = dict(raw)
    for other, usual in OTHER_KEYS.items():
        if usual not in named and other in named:
            named[usual] = named.pop(other)
    if "doc_key" not in raw and isinstance(named.get("doc_key"), int):
        named["doc_key"] = str(named["doc_key"])
    return named


def typed_document(raw: Mapping[str, Any]) -> Document:
    """Convert a document from the lists of the JSONL to the typed form.

    Example:
        >>> typed_document({"doc_key": "a", "sentences": [["Ada"]], "ner": [[[0, 0, "PER"]]]})["ner"]
        [[{'start': 0, 'end': 0, 'label': 'PER'}]]

    Args:
        raw: a valid document. It is not checked here.

    Returns:
        The typed document. Missing annotations are None.
    """
    document: Document = {"doc_key": raw["doc_key"], "sentences": raw["sentences"]}
    for name, fields in ANNOTATION_FIELDS.items():
        per_sentence = raw.get(name)
        # A prediction may have a score after its label. The typed form has no field for it.
        document[name] = per_sentence and [
            [dict(zip(fields, row, strict=False)) for row in sentence] for sentence in per_sentence
        ]
    return document | _weight(raw)


def raw_document(document: Mapping[str, Any]) -> Document:
    """Convert a typed document to the lists of the JSONL. Annotations that are None are left out.

    Example:
        >>> raw_document(typed_document({"doc_key": "a", "sentences": [["Ada"]], "ner": [[[0, 0, "PER"]]]}))["ner"]
        [[[0, 0, 'PER']]]
    """
    raw: Document = {"doc_key": document["doc_key"], "sentences": document["sentences"]}
    for name, fields in ANNOTATION_FIELDS.items():
        if document.get(name) is not None:
            raw[name] = [[[row[field] for field in fields] for row in sentence] for sentence in document[name]]
    return raw | _weight(document)


def _weight(document: Mapping[str, Any]) -> dict[str, Any]:
    """The weight of a document, where it has one. Corpora without weights have no such column."""
    weight = document.get("weight")
    return {} if weight is None else {"weight": weight}


def parse_json(line: str) -> Any:
    """Parse one line of JSON.

    Raises:
        ValueError: if the line is broken.
    """
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        reason = f"{error.msg.removesuffix(' at')} at column {error.colno}"
        raise ValueError(f"broken JSON: {reason}, expected one document per line") from None
    except RecursionError:
        raise ValueError("broken JSON: the values are nested too deeply") from None


def parse_line(line: str) -> Document:
    """Parse one line of JSONL. The content of the document is not checked.

    Raises:
        ValueError: if the line is not a JSON object.
    """
    document = parse_json(line)
    if not isinstance(document, dict):
        raise ValueError(f"a document must be a JSON object, got {type(document).__name__}")
    return document


def existing_file(path: str | Path) -> Path:
    """Return the path if it is a file or a pipe.

    Raises:
        PLMarkerError: if the path does not exist or is a folder.
    """
    path = Path(path)
    # A pipe is no regular file.
    if path.is_dir() or not path.exists():
        raise PLMarkerError(f"{path}: {'this is a folder, expected a file' if path.is_dir() else 'no such file'}")
    return path


def lines_with_numbers(path: str | Path, keep_empty: bool = False) -> Iterator[tuple[int, str]]:
    """Stream the lines of a text file with their numbers.

    Args:
        path: a UTF-8 file, a pipe, a file that gzip has packed (`.gz`), or `-` for standard input.
        keep_empty: if true, yield empty lines too.

    Yields:
        (line number from 1, text of the line with its line end).

    Raises:
        PLMarkerError: if the file does not exist, is not UTF-8 text, or is not a whole gzip file.
    """
    with _open_lines(path) as lines:
        try:
            for number, line in enumerate(lines, start=1):
                if keep_empty or line.strip():
                    yield number, line
        except UnicodeDecodeError as error:
            raise PLMarkerError(f"{path}: not UTF-8 text: {error.reason} at byte {error.start}") from None
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise PLMarkerError(f"{path}: not a whole gzip file: {error}") from None


def _open_lines(path: str | Path) -> TextIO:
    # Some editors on Windows write a byte order mark, which JSON does not allow.
    if str(path) == STANDARD_INPUT:
        return open(sys.stdin.fileno(), encoding="utf-8-sig", closefd=False)
    if has_ending(path, ".gz"):
        return gzip.open(existing_file(path), "rt", encoding="utf-8-sig")
    return existing_file(path).open(encoding="utf-8-sig")


def read_text(path: str | Path) -> str:
    """Read a text file. Line ends are not converted, so that character offsets stay valid.

    Raises:
        PLMarkerError: if the file does not exist or is not UTF-8 text.
    """
    path = existing_file(path)
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise PLMarkerError(f"{path}: not UTF-8 text: {error.reason} at byte {error.start}") from None


def write_documents(path: str | Path, documents: Iterable[Mapping[str, Any]]) -> None:
    """Write typed documents as JSONL.

    Example:
        `write_documents("train.jsonl", load_documents("sample")["train"])`

    Args:
        path: the file. It appears only after all documents are written.
        documents: typed documents.
    """
    with whole_file(path) as lines:
        for document in documents:
            lines.write(json.dumps(raw_document(document), ensure_ascii=False) + "\n")
