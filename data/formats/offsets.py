"""Read JSON with character offsets, as Label Studio, Prodigy and Doccano export it.

A file is a JSON array, or has one JSON object per line. The keys of an object show its program:

    Label Studio    `data.text`, and `annotations[].result[]` with regions and relations.
                    JSON-MIN has `text` and a list of regions at the top level.
    Prodigy         `text`; `spans` with `start`, `end` and `label`; `relations` with `head_span` and `child_span`;
                    `answer`
    Doccano         `text`, and `label` with rows [start, end, label], or `entities` and `relations` with ids

Offsets count characters. The end of a span is exclusive.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from ..alignment import TextDocument, align, word_locator
from ..documents import Document, lines_with_numbers, parse_line, read_text
from ..report import ReadingReport
from .options import ReadingOptions


def read_offsets(path: Path, report: ReadingReport, options: ReadingOptions) -> Iterator[Document]:
    """Stream the documents of a file.

    `report.counts` has the counts of `align` and three more:

    - `rejected`: texts that the annotator rejected or skipped, and texts without an annotation in Label Studio.
    - `further annotations of a text`: in Label Studio, only the first annotation of a text is read.
    - `other annotations`: regions of Label Studio that are not labelled spans, such as choices.

    Args:
        path: the file.
        report: receives the problems with their lines, and the counts. An entry with a problem is left out.
        options: `words` and `language` apply.

    Yields:
        Typed documents. The id of an entry becomes the document name. The first entry of a file `export.json` is called
        `export-1` if it has no id.

    Raises:
        PLMarkerError: if the file does not exist or is not UTF-8 text, or if spaCy is required but not installed.
    """
    locate = word_locator(options.words, options.language)
    number = 0
    for number, (line, entry) in enumerate(_entries(path, report), start=1):
        try:
            document = _text_document(entry, f"{path.stem}-{number}", report)
            if document is None:
                report.counts["rejected"] += 1
                continue
            problems = list(_problems(document))
        except ValueError as error:
            problems = [str(error)]
        except (KeyError, TypeError, AttributeError, IndexError, OverflowError) as error:
            # Messages of Python would not help the user. Only the name of a missing key is useful.
            missing = f"; the key {error} is missing" if isinstance(error, KeyError) else ""
            problems = [f"expected an export of Label Studio, Prodigy or Doccano, got another structure{missing}"]
        for message in problems:
            report.problem(path, line, message)
        if not problems:
            assert document is not None
            yield align(document, locate, report)
    if not number:
        report.problem(path, 0, "the file has no documents")


def _problems(document: TextDocument) -> Iterator[str]:
    """Yield a message for each problem of the entities and relations of an entry."""
    for identifier, (start, end, label) in document.entities.items():
        if not (isinstance(start, int) and isinstance(end, int) and 0 <= start < end <= len(document.text)):
            length = len(document.text)
            yield f"entity {identifier!r}: {start} to {end} is not a span of the text, which has {length} characters"
        if not isinstance(label, str) or not label:
            yield f"entity {identifier!r}: expected a non-empty string as label, got {label!r}"
    for head, tail, label in document.relations:
        if not isinstance(label, str) or not label:
            yield f"relation from {head!r} to {tail!r}: expected a non-empty string as label, got {label!r}"
        for identifier in (head, tail):
            if identifier not in document.entities:
                yield f"relation from {head!r} to {tail!r}: {identifier!r} is not an entity of the text"


def _entries(path: Path, report: ReadingReport) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the line number and the JSON object of every entry."""
    if not _is_array(path):
        for number, text in lines_with_numbers(path):
            try:
                yield number, parse_line(text)
            except ValueError as error:
                report.problem(path, number, str(error))
        return
    # The array is decoded entry by entry, so that every entry gets its line number.
    text = read_text(path).removeprefix("\ufeff")
    decoder = json.JSONDecoder()
    position = text.index("[") + 1
    line, counted = 1, 0
    while True:
        position = _skip(text, position, " \t\r\n,")
        line, counted = line + text.count("\n", counted, position), position
        if text[position : position + 1] == "]":
            rest = text[position + 1 :].strip()
            if rest:
                report.problem(path, line, f"expected the end of the file after the array, got {rest[:40]!r}")
            return
        try:
            entry, position = decoder.raw_decode(text, position)
        except RecursionError:
            report.problem(path, line, "invalid JSON: it is nested too deeply")
            return
        except ValueError as error:
            # A plain ValueError without `msg` comes from a number with thousands of digits.
            report.problem(path, line, f"invalid JSON: {getattr(error, 'msg', error)}")
            return
        if isinstance(entry, dict):
            yield line, entry
        else:
            report.problem(path, line, f"expected a JSON object as entry, got {type(entry).__name__}")


def _is_array(path: Path) -> bool:
    return next((line.lstrip().startswith("[") for _, line in lines_with_numbers(path)), False)


def _skip(text: str, position: int, characters: str) -> int:
    while text[position : position + 1] and text[position] in characters:
        position += 1
    return position


def _text_document(entry: Mapping[str, Any], key: str, report: ReadingReport) -> TextDocument | None:
    """Convert an entry. The result is None if the entry is rejected.

    Raises:
        ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError: if the structure of the entry is
            unexpected.
    """
    if "data" in entry:
        return _label_studio(entry, key, report)
    text = _text(entry)
    document = TextDocument(str(entry.get("doc_key", entry.get("id", key))), text)
    if "annotation_id" in entry or _are_objects(entry.get("label")):
        # In JSON-MIN the labelling interface defines the key of the regions. The key is missing if there are none.
        for number, region in enumerate(chain.from_iterable(filter(_are_objects, entry.values()))):
            _add_region(document, number, region, report)
    elif "spans" in entry or "answer" in entry or "tokens" in entry:
        return _prodigy(entry, document)
    else:
        _doccano(entry, document)
    return document


def _are_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def _text(entry: Mapping[str, Any]) -> str:
    text = entry.get("text")
    if not isinstance(text, str):
        found = type(text).__name__ if "text" in entry else "no such key"
        raise ValueError(f"expected a string 'text', as Label Studio, Prodigy and Doccano export it, got {found}")
    return text


def _label_studio(entry: Mapping[str, Any], key: str, report: ReadingReport) -> TextDocument | None:
    data = entry["data"]
    # The labelling interface defines the key of the text.
    texts = [value for value in data.values() if isinstance(value, str)]
    text = texts[0] if "text" not in data and len(texts) == 1 else _text(data)
    document = TextDocument(str(entry.get("id", key)), text)
    annotations = [annotation for annotation in entry.get("annotations") or () if not annotation.get("was_cancelled")]
    if not annotations:
        return None
    if len(annotations) > 1:
        report.counts["further annotations of a text"] += len(annotations) - 1
    for region in annotations[0]["result"]:
        if region["type"] == "relation":
            ends = (region["from_id"], region["to_id"])
            head, tail = ends if region.get("direction") != "left" else ends[::-1]
            for label in region.get("labels") or ["RELATED"]:
                document.relations.append((head, tail, label))
        else:
            # Some regions, such as choices, have no id.
            _add_region(document, region.get("id", len(document.entities)), region["value"], report)
    return document


def _add_region(document: TextDocument, identifier: Any, value: Mapping[str, Any], report: ReadingReport) -> None:
    """Add the entities of a region of Label Studio, one per label."""
    labels = value.get("labels")
    if not labels or "start" not in value:
        report.counts["other annotations"] += 1
        return
    if not isinstance(labels, list):
        raise ValueError(f"region {identifier!r}: expected 'labels' as a list, got {labels!r}")
    try:
        start, end = int(value["start"]), int(value["end"])
    except ValueError:
        message = f"expected numbers as 'start' and 'end', got {value['start']!r} and {value['end']!r}"
        raise ValueError(f"region {identifier!r}: {message}") from None
    annotated, covered = value.get("text"), document.text[start:end]
    if isinstance(annotated, str) and annotated.split() != covered.split():
        raise ValueError(f"region {identifier!r}: the text at {start} to {end} is {covered!r}, expected {annotated!r}")
    for label in labels:
        # An id repeats if a region has several labels or several sets of labels. Relations refer to its first label.
        name = (identifier, len(document.entities)) if identifier in document.entities else identifier
        document.entities[name] = (start, end, label)


def _prodigy(entry: Mapping[str, Any], document: TextDocument) -> TextDocument | None:
    if entry.get("answer", "accept") != "accept":
        return None
    number_of_span: dict[tuple[int, int], int] = {}
    for number, span in enumerate(entry.get("spans") or ()):
        number_of_span.setdefault((span["start"], span["end"]), number)
        document.entities[number] = (span["start"], span["end"], span["label"])
    for relation in entry.get("relations") or ():
        ends = []
        for side in ("head_span", "child_span"):
            start, end = (relation[side]["start"], relation[side]["end"])
            if (start, end) not in number_of_span:
                raise ValueError(f"the {side} of a relation is {start} to {end}, expected one of the 'spans'")
            ends.append(number_of_span[start, end])
        document.relations.append((ends[0], ends[1], relation["label"]))
    return document


def _doccano(entry: Mapping[str, Any], document: TextDocument) -> None:
    if "entities" in entry:
        for entity in entry["entities"]:
            if entity["id"] in document.entities:
                raise ValueError(f"entity {entity['id']!r} is defined twice, expected unique ids")
            document.entities[entity["id"]] = (entity["start_offset"], entity["end_offset"], entity["label"])
        for relation in entry.get("relations") or ():
            document.relations.append((relation["from_id"], relation["to_id"], relation["type"]))
        return
    rows = entry["label"] if "label" in entry else entry["labels"]
    for number, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != 3:
            raise ValueError(f"expected an entity [start, end, label], got {row!r}")
        document.entities[number] = (row[0], row[1], row[2])
