"""Read JSON with character offsets, as Label Studio, Prodigy and Doccano export it.

A file is a JSON array, or has one JSON object per line. The keys of an object show its program:

    Label Studio    `data.text`, and `annotations[].result[]` with regions and relations.
                    JSON-MIN has `text` and a list of regions at the top level.
    Prodigy         `text`; `spans` with `start`, `end` and `label`; `relations` with `head_span` and `child_span`;
                    `answer`
    Doccano         `text` (or `data`), and `label` with rows [start, end, label], or `entities` and `relations` with
                    ids
    others          `text`, and `entities` with rows [start, end, label], or objects with such keys as `start`, `end`,
                    `span`, `label` and `type`; pairs [text, {"entities": rows}] of spaCy

Offsets count characters. The end of a span is exclusive.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from ..alignment import TextDocument, align, word_locator
from ..documents import Document
from ..report import ReadingReport
from .json_entries import json_entries, name_of, unread_lists
from .options import ReadingOptions
from .places import differs, may_be_shifted, on_word_borders, other_counting

# How tools name the parts of an entity and of a relation.
STARTS = ("start_offset", "start", "begin", "startOffset", "beginOffset", "start_char", "start_idx", "start_pos",
          "startIndex", "from")  # fmt: skip
ENDS = ("end_offset", "end", "endOffset", "end_char", "end_idx", "end_pos", "endIndex", "to")
PLACES = ("span", "offset", "offsets", "pos", "position", "char_span")
LABELS = ("label", "tag", "entity_type", "type")
HEADS = ("from_id", "head", "source", "from")
TAILS = ("to_id", "tail", "target", "to")
# The keys of the text that an entity repeats.
TEXT_KEYS = ("text", "word", "mention", "surfaceform")
# Lists of entities.
ENTITY_KEYS = ("entities", "ents", "label", "labels")
# Other lists of objects that these tools write.
KNOWN_LISTS = {*ENTITY_KEYS, "relations", "spans", "tokens", "sents", "options", "annotations", "completions",
               "predictions", "result", "Comments", "comments"}  # fmt: skip
# A text that is only an address of the text.
ADDRESS = re.compile(r"(?:[a-z][a-z0-9+.-]*://|/)\S+")


# The name of a count. Some tools count such a character twice.
UNCHECKED = "entities without their text stand behind a character such as \U0001f600"


def read_offsets(path: Path, report: ReadingReport, options: ReadingOptions) -> Iterator[Document]:
    """Stream the documents of a file.

    `report.counts` has the counts of `align` and three more:

    - `rejected`: texts that the annotator rejected or skipped, and texts without an annotation in Label Studio.
      `predictions alone` counts those of them that have predictions.
    - `further annotations of a text`: in Label Studio, one annotation of a text is read: the ground truth, or else the
      newest one that is not cancelled.
    - `other annotations`: regions of Label Studio that are not labelled spans, such as choices.
    - `annotations of others`: with `annotator`, those of other people.
    - `texts of several annotators`: entries of Prodigy whose text another annotator annotated before. All are read
      without `annotator`.

    Args:
        path: the file.
        report: receives the problems with their lines, and the counts. An entry with a problem is left out.
        options: `words`, `language` and `annotator` apply.

    Yields:
        Typed documents. The id of an entry becomes the document name. The first entry of a file `export.json` is called
        `export-1` if it has no id.

    Raises:
        PLMarkerError: if the file does not exist or is not UTF-8 text, or if spaCy is required but not installed.
    """
    locate = word_locator(options.words, options.language)
    number = 0
    annotated: dict[str, set[str]] = {}
    for number, (line, entry) in enumerate(json_entries(path, report), start=1):
        try:
            document = _text_document(entry, f"{path.stem}-{number}", report, options.annotator)
            if document is None:
                report.counts["rejected"] += 1
                continue
            people = _annotators(entry)
            if people and annotated.setdefault(document.text, people).isdisjoint(people):
                report.counts["texts of several annotators"] += 1
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
        if type(start) is not int or type(end) is not int:
            yield f"entity {identifier!r}: expected whole numbers as start and end, got {start!r} and {end!r}"
        elif not 0 <= start < end <= len(document.text):
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


def _text_document(
    entry: Mapping[str, Any], key: str, report: ReadingReport, annotator: str | None
) -> TextDocument | None:
    """Convert an entry. The result is None if the entry is rejected, or if somebody else annotated it.

    Raises:
        ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError: if the structure of the entry is
            unexpected.
    """
    if "data" in entry and not isinstance(entry["data"], str | Mapping):
        raise TypeError
    if isinstance(entry.get("data"), Mapping):
        return _label_studio(entry, key, report, annotator)
    people = _annotators(entry)
    if annotator is not None and people and annotator not in people:
        report.counts["annotations of others"] += 1
        return None
    regions = [region for value in entry.values() if _are_objects(value) for region in value]
    text = entry["data"] if isinstance(entry.get("data"), str) and "text" not in entry else _text(entry, regions)
    document = TextDocument(name_of(entry, key), text)
    if "annotation_approver" in entry and "labels" not in entry:
        raise ValueError("this is Doccano's export with numbers of labels: export it with the text of labels")
    if "annotation_id" in entry or _are_objects(entry.get("label")):
        # In JSON-MIN the labelling interface defines the key of the regions. The key is missing if there are none.
        for number, region in enumerate(chain.from_iterable(filter(_are_objects, entry.values()))):
            _add_region(document, number, region, report)
        return document
    for name in unread_lists(entry, KNOWN_LISTS):
        report.counts[f"texts whose key {name!r} is not read"] += 1
    if entry.get("answer", "accept") != "accept":
        return None
    is_prodigy = "spans" in entry or "answer" in entry or "tokens" in entry
    if entry.get("spans") or (is_prodigy and not any(_are_entities(entry.get(name)) for name in ENTITY_KEYS)):
        _prodigy(entry, document, report)
    else:
        _doccano(entry, document, report)
    return document


def _are_entities(value: Any) -> bool:
    """Whether a value can be a list of entities. Prodigy has labels of the whole text, too."""
    return isinstance(value, list) and bool(value) and isinstance(value[0], list | dict)


def _are_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def _text(entry: Mapping[str, Any], regions: Sequence[Any] = ()) -> str:
    """The text of an entry. The labelling interface of Label Studio defines its key, so the regions may have to tell.

    Raises:
        ValueError: where no key holds the text, or where the text is an address.
    """
    texts = {key: value for key, value in entry.items() if isinstance(value, str)}
    if "text" in texts or "text" in entry:
        text = entry["text"]
    else:
        fitting = [text for text in texts.values() if regions and all(_fits(region, text) for region in regions)]
        text = next(iter(texts.values())) if len(texts) == 1 else fitting[0] if len(set(fitting)) == 1 else None
    if not isinstance(text, str):
        found = type(text).__name__ if "text" in entry else f"the keys {', '.join(map(str, entry))}"
        raise ValueError(f"expected a string 'text', as Label Studio, Prodigy and Doccano export it, got {found}")
    if ADDRESS.fullmatch(text):
        raise ValueError(f"the text is an address, {text!r}: export the text itself")
    return text


def _fits(region: Any, text: str) -> bool:
    """Whether the text that a region repeats is at its place in a text. A region without a text fits none."""
    value = region.get("value", region) if isinstance(region, Mapping) else {}
    if isinstance(region, Mapping) and (region.get("type") in ("relation", "choices") or "start" not in value):
        return True
    start, end, annotated = value.get("start"), value.get("end"), value.get("text")
    if not (isinstance(start, int) and isinstance(end, int) and isinstance(annotated, str) and annotated):
        return False
    return text[start:end].split() == annotated.split()


def _annotators(entry: Mapping[str, Any]) -> set[str]:
    """Who annotated an entry, by all names that a tool writes; empty where it writes none.

    Label Studio has an id or a mapping under `completed_by` or `annotator`, Prodigy `_annotator_id` and `_session_id`.
    """
    names: set[str] = set()
    for key in ("completed_by", "annotator", "_annotator_id", "_session_id"):
        value = entry.get(key)
        values = value.values() if isinstance(value, Mapping) else [value]
        names |= {str(found) for found in values if isinstance(found, str | int) and not isinstance(found, bool)}
    return names


def _label_studio(
    entry: Mapping[str, Any], key: str, report: ReadingReport, annotator: str | None
) -> TextDocument | None:
    # Exports before version 1.0 have "completions".
    given = entry.get("annotations") or entry.get("completions") or ()
    annotations = [annotation for annotation in given if not annotation.get("was_cancelled")]
    if not annotations:
        report.counts["predictions alone"] += bool(entry.get("predictions"))
        return None
    if annotator is not None:
        own = [annotation for annotation in annotations if annotator in _annotators(annotation)]
        if not own:
            report.counts["annotations of others"] += len(annotations)
            return None
        report.counts["annotations of others"] += len(annotations) - len(own)
        annotations = own
    if len(annotations) > 1:
        report.counts["further annotations of a text"] += len(annotations) - 1
    chosen = next((item for item in annotations if item.get("ground_truth")), None) or _newest(annotations)
    read_from = {str(region["to_name"]) for region in chosen["result"] if "labels" in region.get("value", {})
                 and "to_name" in region}  # fmt: skip
    if len(read_from) > 1:
        raise ValueError(f"its regions are of several texts, {', '.join(sorted(read_from))}: export one text a task")
    document = TextDocument(name_of(entry, key), _text(entry["data"], chosen["result"]))
    for region in chosen["result"]:
        if region["type"] == "relation":
            ends = (region["from_id"], region["to_id"])
            head, tail = ends if region.get("direction") != "left" else ends[::-1]
            report.counts["relations in both directions, read in one"] += region.get("direction") == "bi"
            for label in region.get("labels") or ["RELATED"]:
                document.relations.append((head, tail, label))
        else:
            # Some regions, such as choices, have no id.
            _add_region(document, region.get("id", len(document.entities)), region["value"], report)
    return document


def _newest(annotations: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The annotation with the latest time; the last one of the list where there are no times."""
    times = [str(item.get("updated_at") or item.get("created_at") or "") for item in annotations]
    return max(zip(times, range(len(times)), annotations, strict=True), key=lambda item: item[:2])[2]


def _add_region(document: TextDocument, identifier: Any, value: Mapping[str, Any], report: ReadingReport) -> None:
    """Add the entities of a region of Label Studio, one per label."""
    if "hypertextlabels" in value or str(value.get("start", "")).startswith("/"):
        message = f"regions of HyperText cannot be read, since their start is an XPath such as {value.get('start')!r}"
        raise ValueError(f"region {identifier!r}: {message}")
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
    is_other = isinstance(annotated, str) and differs(covered, annotated)
    related = (
        isinstance(annotated, str)
        and bool(annotated.strip())
        and (annotated.strip() in covered or covered in annotated)
    )
    if is_other and related and on_word_borders(document.text, start, end):
        # Label Studio writes a wrong text where words are selected as a whole (granularity "word").
        report.counts["regions whose text differs from that at their offsets"] += 1
    else:
        _check_text(f"region {identifier!r}", document.text, (start, end), annotated, report)
    for label in labels:
        # An id repeats if a region has several labels or several sets of labels. Relations refer to its first label.
        name = (identifier, len(document.entities)) if identifier in document.entities else identifier
        document.entities[name] = (start, end, label)


def _check_text(name: str, text: str, place: tuple[Any, Any], repeated: Any, report: ReadingReport) -> None:
    """Compare the text that an entity repeats with that at its place.

    Raises:
        ValueError: if they differ.
    """
    start, end = place
    if not isinstance(repeated, str):
        report.counts[UNCHECKED] += isinstance(end, int) and may_be_shifted(text, end)
    elif differs(text[start:end], repeated):
        other = other_counting(text, start, end, repeated)
        raise ValueError(f"{name}: the text at {start} to {end} is {text[start:end]!r}, expected {repeated!r}{other}")


def _prodigy(entry: Mapping[str, Any], document: TextDocument, report: ReadingReport) -> None:
    number_of_span: dict[tuple[int, int], int] = {}
    for number, span in enumerate(entry.get("spans") or ()):
        place = (span["start"], span["end"])
        _check_text(f"span {number}", document.text, place, span.get("text"), report)
        number_of_span.setdefault(place, number)
        document.entities[number] = (span["start"], span["end"], span["label"])
    for relation in entry.get("relations") or ():
        ends = []
        for side in ("head_span", "child_span"):
            start, end = (relation[side]["start"], relation[side]["end"])
            if (start, end) not in number_of_span:
                raise ValueError(f"the {side} of a relation is {start} to {end}, expected one of the 'spans'")
            ends.append(number_of_span[start, end])
        document.relations.append((ends[0], ends[1], relation["label"]))


def _doccano(entry: Mapping[str, Any], document: TextDocument, report: ReadingReport) -> None:
    rows = next((entry[name] for name in ENTITY_KEYS if name in entry), None)
    if rows is None:
        raise ValueError(f"expected a list of entities, such as 'entities', got the keys {', '.join(map(str, entry))}")
    for number, row in enumerate(rows):
        identifier, entity = _entity(row, number, document.text, report)
        if identifier in document.entities:
            raise ValueError(f"entity {identifier!r} is defined twice, expected unique ids")
        document.entities[identifier] = entity
    for row in entry.get("relations") or ():
        head, tail, label = (_first(row, names) for names in (HEADS, TAILS, LABELS[::-1]))
        document.relations.append((head, tail, label))


def _first(row: Mapping[str, Any], names: Sequence[str]) -> Any:
    """The value of the first key that an object has.

    Raises:
        KeyError: if it has none of them.
    """
    return row[next((name for name in names if name in row), names[0])]


def _entity(row: Any, number: int, text: str, report: ReadingReport) -> tuple[Any, tuple[Any, Any, Any]]:
    """The identifier of an entity, and its place and label.

    Raises:
        ValueError, KeyError, TypeError: for anything but an entity, and for one that repeats another text than that at
            its place.
    """
    if isinstance(row, list) and len(row) == 3:
        _check_text(f"entity {number}", text, (row[0], row[1]), None, report)
        return number, (row[0], row[1], row[2])
    if not isinstance(row, dict):
        raise ValueError(f"expected an entity [start, end, label], got {row!r}")
    place = next((row[name] for name in PLACES if isinstance(row.get(name), list)), None)
    start, end = place if place is not None and len(place) == 2 else (_first(row, STARTS), _first(row, ENDS))
    repeated = next((row[name] for name in TEXT_KEYS if isinstance(row.get(name), str)), None)
    _check_text(f"entity {row.get('id', number)!r}", text, (start, end), repeated, report)
    return row.get("id", number), (start, end, _first(row, LABELS))
