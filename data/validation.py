"""What can be wrong with a JSONL file: every problem, with its line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

from ..modeling.processing_plmarker import sentence_ranges
from ..modeling.schema_plmarker import NIL, LabelSchema
from .documents import ANNOTATIONS, ENTITY_FIELDS, Document, numbered_lines, parse_line, raw_document, typed_document
from .report import Problem, ReadingReport, raise_problems

# What documents of the DyGIE family have; coreference and the like are not read here, and no cause for a warning.
KNOWN_KEYS = {"doc_key", "sentences", "text", *ANNOTATIONS, "clusters", "dataset", "events", "weight"}


def read_jsonl(path: str | Path, report: ReadingReport, schema: LabelSchema | None = None) -> Iterator[Document]:
    """Stream the documents of a JSONL file that are right; `report` gets everything that is wrong, by line.

    Args:
        schema: where given, labels outside it are problems.

    Raises:
        PLMarkerError: for a missing file, or one that is not UTF-8.
    """
    lines: dict[Any, int] = {}
    number = 0
    for number, line in numbered_lines(path):
        try:
            raw = parse_line(line)
        except ValueError as error:
            report.problem(path, number, str(error))
            continue
        if _is_right(raw, path, report, lines, number, schema):
            yield typed_document(raw)
    if not number:
        report.problem(path, 0, "zero documents")


def check_file(
    path: str | Path, schema: LabelSchema | None = None, annotated: bool = True
) -> tuple[list[Document], list[Problem]]:
    """Read a JSONL file and list everything that is wrong with it.

    Args:
        schema: where given, labels outside it are problems.
        annotated: a file without a single gold entity is a problem (for training and evaluation).

    Returns:
        The typed documents without fatal problems, and all problems in the order of the lines.

    Raises:
        PLMarkerError: for a missing file, or one that is not UTF-8.
    """
    report = ReadingReport()
    documents = list(with_entities(read_jsonl(path, report, schema), path, report, annotated))
    return documents, report.problems


def stream_documents(path: str | Path, schema: LabelSchema | None = None, annotated: bool = True) -> Iterator[Document]:
    """Stream a JSONL file that must be right.

    Args:
        schema, annotated: as `check_file` takes them.

    Raises:
        PLMarkerError: at the end, listing the first problems with file and line, and how many there are.
    """
    report = ReadingReport()
    yield from with_entities(read_jsonl(path, report, schema), path, report, annotated)
    raise_problems(report.fatal)


def read_documents(path: str | Path, schema: LabelSchema | None = None, annotated: bool = True) -> list[Document]:
    """Read a JSONL file that must be right.

    Raises:
        PLMarkerError: listing the first problems with file and line, and how many there are.
    """
    return list(stream_documents(path, schema, annotated))


def right_documents(documents: Iterable[Document], source: str | Path, report: ReadingReport) -> Iterator[Document]:
    """Pass on the typed documents of a reader that can be used; `report` gets what is wrong with the others."""
    keys: dict[Any, int] = {}
    for document in documents:
        if _is_right(raw_document(document), source, report, keys):
            yield document


def with_entities(
    documents: Iterable[Document], path: str | Path, report: ReadingReport, annotated: bool = True
) -> Iterator[Document]:
    """Pass on typed documents; where none of them has a gold entity, and `annotated`, that is a problem."""
    count, any_entity = 0, False
    for document in documents:
        count += 1
        any_entity = any_entity or any(document["ner"] or ())
        yield document
    if annotated and count and not any_entity:
        report.problem(path, 0, f"zero gold entities in {count} documents")


def _is_right(
    raw: Document,
    source: str | Path,
    report: ReadingReport,
    lines: dict[Any, int],
    line: int = 0,
    schema: LabelSchema | None = None,
) -> bool:
    """Whether a document can be used; `report` gets what is wrong with it.

    Args:
        lines: the lines of the documents before it, by their names; gets this one's.
        line: 0 where the source has none; then problems name the document.
    """
    found = list(document_problems(raw, schema))
    key = raw.get("doc_key")
    if isinstance(key, str) and key in lines:
        again = f"doc_key {key!r} stands at line {lines[key]} too; every document needs its own"
        found.append((again if line else "a second document of this name; every one needs its own", True))
    elif isinstance(key, str):
        lines[key] = line
    is_right = not any(fatal for _, fatal in found)
    if is_right:
        found += [(message, False) for message in _unreachable(raw)]
    for message, fatal in found:
        report.problem(source, line, message if line else f"document {key!r}: {message}", fatal)
    return is_right


def document_problems(raw: Mapping[str, Any], schema: LabelSchema | None = None) -> Iterator[tuple[str, bool]]:
    """Message, and whether it is fatal, of everything that is wrong with one document."""
    key = raw.get("doc_key")
    if not isinstance(key, str) or not key or not is_unicode(key):
        yield f"doc_key is a non-empty string, got {_short(key)}", True
    for name in raw:
        if name not in KNOWN_KEYS:
            yield f"unknown key {name!r} is not read; annotations are {', '.join(ANNOTATIONS)}", False
    sentences = raw.get("sentences")
    if not isinstance(sentences, list) or not all(
        isinstance(sentence, list) and all(isinstance(word, str) for word in sentence) for sentence in sentences
    ):
        yield f"sentences is a list of lists of words, got {_short(sentences)}", True
        return
    for number, sentence in enumerate(sentences):
        if not sentence:
            yield f"sentence {number} is empty", False
        for word in sentence:
            if not word.strip():
                yield f"sentence {number}: word {word!r} is empty", True
            if not is_unicode(word):
                yield f"sentence {number}: word {word!r} is no valid Unicode, it holds a lone surrogate", True
    n_words = sum(len(sentence) for sentence in sentences)
    for name, fields in ANNOTATIONS.items():
        per_sentence = raw.get(name)
        if per_sentence is None:
            continue
        if not isinstance(per_sentence, list) or len(per_sentence) != len(sentences):
            found = f"{len(per_sentence)} lists" if isinstance(per_sentence, list) else _short(per_sentence)
            yield f"{name} has one list for each of the {len(sentences)} sentences, got {found}", True
            continue
        for number, (rows, (first, last)) in enumerate(zip(per_sentence, sentence_ranges(sentences), strict=True)):
            if not isinstance(rows, list):
                yield f"{name} of sentence {number} is a list, got {_short(rows)}", True
                continue
            seen = set()
            for row in rows:
                # A relation may end in another sentence: it is reported, and counted as missed.
                bounds = (first, last) if fields == ENTITY_FIELDS else (0, n_words - 1)
                message = _row_problem(name, row, fields, *bounds, schema)
                if message:
                    yield f"sentence {number}: {message}", True
                elif tuple(row[: len(fields)]) in seen:
                    yield f"sentence {number}: {name} {row} is given twice, counted once", False
                else:
                    seen.add(tuple(row[: len(fields)]))


def _unreachable(raw: Mapping[str, Any]) -> Iterator[str]:
    """Annotations of a document without fatal problems that no model can give; they count as missed."""
    per_sentence = zip_longest(raw.get("ner") or (), raw.get("relations") or (), fillvalue=())
    for number, (entities, relations) in enumerate(per_sentence):
        labels = {(start, end, label) for start, end, label in entities}
        for span, count in Counter((start, end) for start, end, _ in labels).items():
            if count > 1:
                yield f"sentence {number}: span {span[0]}..{span[1]} has {count} labels, a model gives one"
        spans = [row[:2] for row in entities]
        pairs: set[frozenset[tuple[int, ...]]] = set()
        for row in {tuple(row): row for row in relations}.values():
            pair = frozenset((tuple(row[:2]), tuple(row[2:4])))
            if raw.get("ner") is not None and not (row[:2] in spans and row[2:4] in spans):
                yield f"sentence {number}: relation {row} has an end that is no entity of the sentence"
            elif len(pair) == 1:
                yield f"sentence {number}: relation {row} holds between a span and itself"
            elif pair in pairs:
                yield f"sentence {number}: relation {row} is the second one of its pair, a model gives one"
            pairs.add(pair)


def _row_problem(
    name: str, row: Any, fields: tuple[str, ...], first: int, last: int, schema: LabelSchema | None
) -> str | None:
    """What is wrong with one entity or relation of a sentence that spans the words `first` to `last`."""
    kind = "entity" if fields == ENTITY_FIELDS else "relation"
    # A model's annotations may have scores behind the label; they are not kept.
    scored = name.startswith("predicted_")
    if not isinstance(row, list) or len(row) < len(fields) or (len(row) > len(fields) and not scored):
        return f"{kind} is [{', '.join(fields)}], got {_short(row)}"
    *ends, label = row[: len(fields)]
    if not all(isinstance(end, int) and not isinstance(end, bool) for end in ends) or not isinstance(label, str):
        return f"{kind} is [{', '.join(fields)}], word indices and a string, got {_short(row)}"
    if label in ("", NIL):
        return f"{kind} {row}: {label!r} cannot be a label"
    for start, end in zip(ends[::2], ends[1::2], strict=True):
        if start > end:
            return f"{kind} {row}: span {start}..{end} ends before it starts"
        if start < first or end > last:
            place = "sentence" if kind == "entity" else "document"
            return f"{kind} {row}: span {start}..{end} is outside its {place}, words {first}..{last}"
    if schema is not None:
        labels = schema.entity_labels if kind == "entity" else schema.relation_labels
        # An entity model alone has no relation labels, and does not mind.
        if labels and label not in labels:
            return f"unknown {kind} label {label!r}; the schema has {list(labels)}"
    return None


def is_unicode(text: str) -> bool:
    """Whether a string can be written: JSON may hold half of a surrogate pair, which is no character."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
