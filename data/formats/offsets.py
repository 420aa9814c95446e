"""Character-offset JSON: what Label Studio, Prodigy and Doccano export.

A file is a JSON array or one object on every line. Each kind of object is told by its keys:

    Label Studio    `data.text` and `annotations[].result[]`, regions and relations between them
                    (its JSON-MIN: `text` and a list of regions beside it)
    Prodigy         `text`, `spans` with `start`, `end`, `label`; `relations` by `head_span` and `child_span`; `answer`
    Doccano         `text`, `label` as [start, end, label], or `entities` and `relations` with ids
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from ..alignment import TextDocument, align, word_locator
from ..documents import Document, numbered_lines, parse_line, read_text
from ..report import ReadingReport
from .options import ReadingOptions


def read_offsets(path: Path, report: ReadingReport, options: ReadingOptions) -> Iterator[Document]:
    """Stream the documents of a file.

    `report.counts` gets what `align` counts, `rejected` texts (Prodigy's answer, Label Studio's cancelled
    annotations), and `other annotations`, such as choices, which are not read.
    """
    locate = word_locator(options.words, options.language)
    number = 0
    for number, (line, item) in enumerate(_items(path, report), start=1):
        try:
            document = _text_document(item, f"{path.stem}-{number}", report)
            if document is None:
                report.counts["rejected"] += 1
                continue
            wrong = list(_mistakes(document))
        except ValueError as error:
            wrong = [str(error)]
        except (KeyError, TypeError, AttributeError, IndexError, OverflowError) as error:
            # What Python says of it means nothing to who exported it, but for the name of what is missing.
            missing = f"; no {error}" if isinstance(error, KeyError) else ""
            wrong = [f"not as Label Studio, Prodigy or Doccano export it{missing}"]
        for message in wrong:
            report.problem(path, line, message)
        if not wrong:
            assert document is not None
            yield align(document, locate, report)
    if not number:
        report.problem(path, 0, "zero documents")


def _mistakes(document: TextDocument) -> Iterator[str]:
    """Everything that is wrong with the spans and relations of an entry."""
    for identifier, (start, end, label) in document.entities.items():
        if not (isinstance(start, int) and isinstance(end, int) and 0 <= start < end <= len(document.text)):
            yield f"entity {identifier!r}: {start} to {end} is no span of {len(document.text)} characters"
        if not isinstance(label, str) or not label:
            yield f"entity {identifier!r}: a label is a non-empty string, got {label!r}"
    for head, tail, label in document.relations:
        if not isinstance(label, str) or not label:
            yield f"a relation's label is a non-empty string, got {label!r}"
        for end in (head, tail):
            if end not in document.entities:
                yield f"a relation refers to {end!r}, which is no entity"


def _items(path: Path, report: ReadingReport) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Line number and object of every entry."""
    if not _is_array(path):
        for number, entry in numbered_lines(path):
            try:
                yield number, parse_line(entry)
            except ValueError as error:
                report.problem(path, number, str(error))
        return
    # An array is one JSON value; entry by entry, so that each has its line.
    text = read_text(path).removeprefix("\ufeff")
    decoder = json.JSONDecoder()
    place = text.index("[") + 1
    line, counted = 1, 0
    while True:
        place = _skip(text, place, " \t\r\n,")
        line, counted = line + text.count("\n", counted, place), place
        if text[place : place + 1] == "]":
            if text[place + 1 :].strip():
                report.problem(path, line, "something stands behind the end of the array; a file is one array")
            return
        try:
            item, place = decoder.raw_decode(text, place)
        except RecursionError:
            report.problem(path, line, "broken JSON, nested too deeply")
            return
        except ValueError as error:
            # Not only what is no JSON: Python reads no numbers of thousands of digits.
            report.problem(path, line, f"broken JSON, {getattr(error, 'msg', error)}")
            return
        if isinstance(item, dict):
            yield line, item
        else:
            report.problem(path, line, f"an entry is a JSON object, got {type(item).__name__}")


def _is_array(path: Path) -> bool:
    return next((line.lstrip().startswith("[") for _, line in numbered_lines(path)), False)


def _skip(text: str, place: int, characters: str) -> int:
    while text[place : place + 1] and text[place] in characters:
        place += 1
    return place


def _text_document(item: Mapping[str, Any], key: str, report: ReadingReport) -> TextDocument | None:
    """One entry; None for a rejected one.

    Raises:
        ValueError, KeyError, TypeError: for an entry that is not as its program writes it.
    """
    if "data" in item:
        return _label_studio(item, key, report)
    text = _text(item)
    document = TextDocument(str(item.get("doc_key", item.get("id", key))), text)
    if "annotation_id" in item or _are_objects(item.get("label")):
        # JSON-MIN calls the regions as the labelling interface calls them, and leaves them out where there are none.
        for number, region in enumerate(chain.from_iterable(filter(_are_objects, item.values()))):
            _add_region(document, number, region, report)
    elif "spans" in item or "answer" in item or "tokens" in item:
        return _prodigy(item, document)
    else:
        _doccano(item, document)
    return document


def _are_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def _text(item: Mapping[str, Any]) -> str:
    text = item.get("text")
    if not isinstance(text, str):
        raise ValueError("no 'text', which is a string; expected an export of Label Studio, Prodigy or Doccano")
    return text


def _label_studio(item: Mapping[str, Any], key: str, report: ReadingReport) -> TextDocument | None:
    data = item["data"]
    # The labelling interface says what the text is called.
    texts = [value for value in data.values() if isinstance(value, str)]
    text = texts[0] if "text" not in data and len(texts) == 1 else _text(data)
    document = TextDocument(str(item.get("id", key)), text)
    annotations = [found for found in item.get("annotations") or () if not found.get("was_cancelled")]
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
            # Choices and the like need no name.
            _add_region(document, region.get("id", len(document.entities)), region["value"], report)
    return document


def _add_region(document: TextDocument, identifier: Any, value: Mapping[str, Any], report: ReadingReport) -> None:
    """A region of Label Studio; one with several labels is several entities."""
    labels = value.get("labels")
    if not labels or "start" not in value:
        report.counts["other annotations"] += 1
        return
    if not isinstance(labels, list):
        raise ValueError(f"region {identifier!r}: labels is a list, got {labels!r}")
    start, end = int(value["start"]), int(value["end"])
    said = value.get("text")
    if isinstance(said, str) and said.split() != document.text[start:end].split():
        raise ValueError(f"region {identifier!r}: {start} to {end} covers {document.text[start:end]!r}, not {said!r}")
    for label in labels:
        # Further labels of a region, or another set of labels over it.
        name = (identifier, len(document.entities)) if identifier in document.entities else identifier
        document.entities[name] = (start, end, label)


def _prodigy(item: Mapping[str, Any], document: TextDocument) -> TextDocument | None:
    if item.get("answer", "accept") != "accept":
        return None
    by_place: dict[tuple[int, int], int] = {}
    for number, span in enumerate(item.get("spans") or ()):
        by_place.setdefault((span["start"], span["end"]), number)
        document.entities[number] = (span["start"], span["end"], span["label"])
    for relation in item.get("relations") or ():
        ends = []
        for side in ("head_span", "child_span"):
            place = (relation[side]["start"], relation[side]["end"])
            if place not in by_place:
                raise ValueError(f"a relation's {side} {place[0]} to {place[1]} is none of the spans")
            ends.append(by_place[place])
        document.relations.append((ends[0], ends[1], relation["label"]))
    return document


def _doccano(item: Mapping[str, Any], document: TextDocument) -> None:
    if "entities" in item:
        for entity in item["entities"]:
            if entity["id"] in document.entities:
                raise ValueError(f"entity {entity['id']!r} is given twice")
            document.entities[entity["id"]] = (entity["start_offset"], entity["end_offset"], entity["label"])
        for relation in item.get("relations") or ():
            document.relations.append((relation["from_id"], relation["to_id"], relation["type"]))
        return
    rows = item["label"] if "label" in item else item["labels"]
    for number, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != 3:
            raise ValueError(f"a label is [start, end, label], got {row!r}")
        document.entities[number] = (row[0], row[1], row[2])
