"""Check JSONL files and documents, and report every problem with its line."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

from ..modeling.schema_plmarker import NIL, LabelSchema
from ..modeling.text_plmarker import sentence_ranges
from .documents import (
    ANNOTATION_FIELDS,
    ENTITY_FIELDS,
    Document,
    lines_with_numbers,
    parse_line,
    raw_document,
    typed_document,
    usual_keys,
)
from .report import Problem, ReadingReport, raise_problems

# Keys without a warning. Corpora of the DyGIE family also have coreference and events, which this package does not use.
KNOWN_KEYS = {"doc_key", "sentences", "text", *ANNOTATION_FIELDS, "clusters", "dataset", "events", "weight"}


def read_jsonl(path: str | Path, report: ReadingReport, schema: LabelSchema | None = None) -> Iterator[Document]:
    """Stream the valid documents of a JSONL file.

    Args:
        path: the file.
        report: receives the problems with their lines.
        schema: the allowed labels; None allows all labels.

    Yields:
        Typed documents. Documents with fatal problems are left out.

    Raises:
        PLMarkerError: if the file does not exist or is not UTF-8 text.
    """
    line_of_key: dict[Any, int] = {}
    number = 0
    for number, line in lines_with_numbers(path):
        try:
            raw = usual_keys(parse_line(line))
        except ValueError as error:
            report.problem(path, number, str(error))
            continue
        if _check_document(raw, path, report, line_of_key, number, schema):
            # The typed form has no place for the scores that predictions may have behind the label.
            report.counts["scores of predictions that are not kept"] += sum(
                len(row) > len(fields)
                for name, fields in ANNOTATION_FIELDS.items()
                for rows in raw.get(name) or ()
                for row in rows
            )
            yield typed_document(raw)
    if not number:
        report.problem(path, 0, "zero documents, expected one document per line")


def check_file(
    path: str | Path, schema: LabelSchema | None = None, annotated: bool = True
) -> tuple[list[Document], list[Problem]]:
    """Read a JSONL file and collect all its problems.

    Example:
        `documents, problems = check_file("train.jsonl")`

    Args:
        path: the file.
        schema: the allowed labels; None allows all labels.
        annotated: if true, it is a problem if no document has a gold entity. Training and evaluation need some.

    Returns:
        The typed documents without fatal problems, and all problems in the order of the lines.

    Raises:
        PLMarkerError: if the file does not exist or is not UTF-8 text.
    """
    report = ReadingReport()
    documents = list(with_entities(read_jsonl(path, report, schema), path, report, annotated))
    return documents, report.problems


def stream_documents(path: str | Path, schema: LabelSchema | None = None, annotated: bool = True) -> Iterator[Document]:
    """Stream the documents of a JSONL file, and raise an error at the end if the file has fatal problems.

    Args:
        path: the file.
        schema: the allowed labels; None allows all labels.
        annotated: if true, it is a problem if no document has a gold entity.

    Yields:
        Typed documents.

    Raises:
        PLMarkerError: if the file has fatal problems. The message lists the first ten with file and line.
    """
    report = ReadingReport()
    yield from with_entities(read_jsonl(path, report, schema), path, report, annotated)
    raise_problems(report.fatal)


def read_documents(path: str | Path, schema: LabelSchema | None = None, annotated: bool = True) -> list[Document]:
    """Read a JSONL file without fatal problems.

    Example:
        `read_documents("train.jsonl", LabelSchema(("PER", "ORG")))`

    Args:
        path: the file.
        schema: the allowed labels; None allows all labels.
        annotated: if true, it is a problem if no document has a gold entity.

    Returns:
        Typed documents.

    Raises:
        PLMarkerError: if the file has fatal problems. The message lists the first ten with file and line.
    """
    return list(stream_documents(path, schema, annotated))


# A larger share of annotations inside words means that the words are not those of the annotators.
MOST_WIDENED = 0.03


def valid_documents(documents: Iterable[Document], source: str | Path, report: ReadingReport) -> Iterator[Document]:
    """Check the typed documents of a reader.

    Args:
        documents: typed documents.
        source: the file or folder that they come from.
        report: receives the problems. They name the document instead of a line.

    Yields:
        The documents without fatal problems.
    """
    line_of_key: dict[Any, int] = {}
    for document in documents:
        if _check_document(raw_document(document), source, report, line_of_key):
            yield document


def with_entities(
    documents: Iterable[Document], path: str | Path, report: ReadingReport, annotated: bool = True
) -> Iterator[Document]:
    """Yield all documents, and report a problem at the end if there is none, or none with a gold entity.

    Args:
        documents: typed documents.
        path: the file or folder that they come from.
        report: receives the problem.
        annotated: if false, gold entities are not required.
    """
    count, has_entities = 0, False
    labels: dict[str, set[str]] = {name: set() for name in ("ner", "relations")}
    for document in documents:
        count += 1
        has_entities = has_entities or any(document["ner"] or ())
        for name, found in labels.items():
            found.update(row["label"] for rows in document[name] or () for row in rows)
        yield document
    for name, found in labels.items():
        for same in similar_labels(found):
            listed = ", ".join(map(repr, same))
            message = f"the {name} labels {listed} differ only in case or spaces, and count as {len(same)} types"
            report.problem(path, 0, message, fatal=False)
    if not count and not report.fatal:
        reason = report.summary()
        report.problem(path, 0, f"zero documents{f': {reason}' if reason else ''}, expected at least one")
    widened, exact = report.counts["widened"], report.counts["exact"]
    if widened > MOST_WIDENED * (widened + exact):
        share = 100 * widened / (widened + exact)
        message = f"{widened} annotations ({share:.0f}%) cover a part of a word and are widened to whole words"
        message += report.example("widened")
        report.problem(path, 0, f"{message}; --words and --language cut words in another way", fatal=False)
    if annotated and count and not has_entities:
        report.problem(path, 0, f"zero gold entities in {count} documents, expected at least one")


def similar_labels(labels: Iterable[str]) -> list[list[str]]:
    """The labels that a person would take for one, in groups: they differ only in case or spaces.

    Example:
        >>> similar_labels(["PER", "LOC", "per", "LOC "])
        [['LOC', 'LOC '], ['PER', 'per']]
    """
    groups: dict[str, list[str]] = {}
    for label in sorted(labels):
        groups.setdefault("".join(label.casefold().split()), []).append(label)
    return [group for group in groups.values() if len(group) > 1]


def check_labels(document: Document, schema: LabelSchema | None, source: str | Path) -> None:
    """Raise `PLMarkerError` for a typed document with a label that a schema does not have."""
    problems = document_problems(raw_document(document), schema) if schema is not None else ()
    raise_problems(
        [Problem(str(source), 0, f"document {document['doc_key']!r}: {text}") for text, bad in problems if bad]
    )


def _check_document(
    raw: Document,
    source: str | Path,
    report: ReadingReport,
    line_of_key: dict[Any, int],
    line: int = 0,
    schema: LabelSchema | None = None,
) -> bool:
    """Report the problems of a document.

    Args:
        line_of_key: name -> line of the earlier documents of the source. This document is added.
        line: the line of the document; 0 if the source has no lines. Problems then name the document.

    Returns:
        True if there is no fatal problem.
    """
    problems = list(document_problems(raw, schema))
    key = raw.get("doc_key")
    if isinstance(key, str) and key in line_of_key:
        if line:
            message = f"doc_key {key!r} is also the doc_key of line {line_of_key[key]}, expected unique names"
        else:
            message = "a second document has this name, expected unique names"
        problems.append((message, True))
    elif isinstance(key, str):
        line_of_key[key] = line
    is_valid = not any(fatal for _, fatal in problems)
    if is_valid:
        problems += [(message, False) for message in _unreachable_annotations(raw)]
    for message, fatal in problems:
        report.problem(source, line, message if line else f"document {key!r}: {message}", fatal)
    return is_valid


def document_problems(raw: Mapping[str, Any], schema: LabelSchema | None = None) -> Iterator[tuple[str, bool]]:
    """Find the problems of one document.

    Example:
        >>> list(document_problems({"doc_key": "a", "sentences": [[]]}))
        [('sentence 0 is empty', False)]

    Args:
        raw: a document in the form of the JSONL.
        schema: the allowed labels; None allows all labels.

    Yields:
        (message, true if the problem is fatal).
    """
    missing = [name for name in ("doc_key", "sentences") if name not in raw]
    if missing:
        yield f"the key {missing[0]!r} is missing", True
        return
    key = raw.get("doc_key")
    if not isinstance(key, str) or not key or not is_unicode(key):
        yield f"doc_key must be a non-empty string, got {_shorten(key)}", True
    for name in raw:
        if name not in KNOWN_KEYS:
            expected = ", ".join(ANNOTATION_FIELDS)
            yield f"the unknown key {name!r} is not read, expected annotations as {expected}", False
    weight = raw.get("weight", 1.0)
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0.0 <= weight <= sys.float_info.max:
        yield f"weight must be a finite number from 0, got {_shorten(weight)}", True
    sentences = raw.get("sentences")
    if not isinstance(sentences, list) or not all(
        isinstance(sentence, list) and all(isinstance(word, str) for word in sentence) for sentence in sentences
    ):
        yield f"sentences must be a list of lists of words, got {_shorten(sentences)}", True
        return
    for number, sentence in enumerate(sentences):
        if not sentence:
            yield f"sentence {number} is empty", False
        for word in sentence:
            if not word.strip():
                yield f"sentence {number}: the word {word!r} is blank, expected a visible character", True
            if not is_unicode(word):
                yield f"sentence {number}: the word {word!r} has a lone surrogate, expected valid Unicode", True
    n_words = sum(len(sentence) for sentence in sentences)
    for name, fields in ANNOTATION_FIELDS.items():
        per_sentence = raw.get(name)
        if per_sentence is None:
            continue
        if not isinstance(per_sentence, list) or len(per_sentence) != len(sentences):
            found = f"{len(per_sentence)} lists" if isinstance(per_sentence, list) else _shorten(per_sentence)
            yield f"{name} must have one list per sentence, expected {len(sentences)} lists, got {found}", True
            continue
        for number, (rows, (first, last)) in enumerate(zip(per_sentence, sentence_ranges(sentences), strict=True)):
            if not isinstance(rows, list):
                yield f"{name} of sentence {number} must be a list, got {_shorten(rows)}", True
                continue
            seen = set()
            for row in rows:
                # A relation to another sentence is valid, but no model can find it. `_unreachable_annotations` reports
                # it.
                bounds = (first, last) if fields == ENTITY_FIELDS else (0, n_words - 1)
                message = _row_problem(name, row, fields, *bounds, schema)
                if message:
                    yield f"sentence {number}: {message}", True
                elif tuple(row[: len(fields)]) in seen:
                    yield f"sentence {number}: {name} has {row} twice, it is counted once", False
                else:
                    seen.add(tuple(row[: len(fields)]))


def _unreachable_annotations(raw: Mapping[str, Any]) -> Iterator[str]:
    """Find the annotations that no model can predict. They lower the recall.

    Args:
        raw: a document without fatal problems.

    Yields:
        A message for each annotation.
    """
    per_sentence = zip_longest(raw.get("ner") or (), raw.get("relations") or (), fillvalue=())
    for number, (entities, relations) in enumerate(per_sentence):
        distinct = {(start, end, label) for start, end, label in entities}
        for (start, end), count in Counter((start, end) for start, end, _ in distinct).items():
            if count > 1:
                yield f"sentence {number}: span {start}..{end} has {count} labels, but a model predicts one"
        spans = [row[:2] for row in entities]
        pairs: set[frozenset[tuple[int, ...]]] = set()
        for row in {tuple(row): row for row in relations}.values():
            pair = frozenset((tuple(row[:2]), tuple(row[2:4])))
            if raw.get("ner") is not None and not (row[:2] in spans and row[2:4] in spans):
                yield f"sentence {number}: relation {row} has an end that is not an entity of this sentence"
            elif len(pair) == 1:
                yield f"sentence {number}: relation {row} connects a span with itself"
            elif pair in pairs:
                yield f"sentence {number}: relation {row} is the second relation of its pair, but a model predicts one"
            pairs.add(pair)


def _row_problem(
    name: str, row: Any, fields: tuple[str, ...], first: int, last: int, schema: LabelSchema | None
) -> str | None:
    """Find the problem of one entity or relation.

    Args:
        name: a key of `ANNOTATION_FIELDS`.
        row: the annotation.
        fields: the expected fields of the row.
        first: the first word that a span may contain.
        last: the last word that a span may contain.
        schema: the allowed labels; None allows all labels.

    Returns:
        The message; None if there is no problem.
    """
    kind = "entity" if fields == ENTITY_FIELDS else "relation"
    # Predictions may have scores after the label. The typed form leaves them out.
    may_have_scores = name.startswith("predicted_")
    if not isinstance(row, list) or len(row) < len(fields) or (len(row) > len(fields) and not may_have_scores):
        return f"expected {kind} [{', '.join(fields)}], got {_shorten(row)}"
    *word_indices, label = row[: len(fields)]
    are_integers = all(isinstance(index, int) and not isinstance(index, bool) for index in word_indices)
    if not are_integers or not isinstance(label, str):
        return f"expected {kind} [{', '.join(fields)}] with integers and a string, got {_shorten(row)}"
    if label in ("", NIL):
        return f"{kind} {row}: {label!r} is not allowed as a label"
    for start, end in zip(word_indices[::2], word_indices[1::2], strict=True):
        if start > end:
            return f"{kind} {row}: span {start}..{end} ends before it starts"
        if start < first or end > last:
            place = "sentence" if kind == "entity" else "document"
            return f"{kind} {row}: span {start}..{end} is outside its {place}, which has the words {first}..{last}"
    if schema is not None:
        labels = schema.entity_labels if kind == "entity" else schema.relation_labels
        # The schema of an entity model has no relation labels. It must not reject documents with relations.
        if labels and label not in labels:
            return f"unknown {kind} label {label!r}; the schema has {list(labels)}"
    return None


def is_unicode(text: str) -> bool:
    r"""Return true if the text can be encoded as UTF-8.

    JSON can contain one half of a surrogate pair, which is not a character.

    Example:
        >>> is_unicode("\ud800")
        False
    """
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _shorten(value: Any) -> str:
    """Return the representation of a value in at most 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
