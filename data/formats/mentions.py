"""Read texts with entities that are given by their texts alone, as language models give them.

A file is a JSON array, or has one JSON object per line:

    {"text": "BRCA1 causes breast cancer.",
     "entities": [{"text": "BRCA1", "label": "Gene"}, {"text": "breast cancer", "label": "Disease"}],
     "relations": [{"head": "BRCA1", "tail": "breast cancer", "label": "causes"}]}

The list of entities may have any name. `type` does for `label`, `name` for the `text` of an entity, `source` and
`target` for `head` and `tail`. An end of a relation may be an object, too, with `text` and perhaps `label`. `doc_key`
or `id` and `weight` are optional.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..alignment import TextDocument, align, word_locator
from ..documents import Document
from ..occurrences import Mention, place_mentions
from ..report import ReadingReport
from .json_entries import json_entries, name_of, unread_lists
from .options import ReadingOptions

# A key with one of these words names a place, such as `startIndex` and `char_span`.
PLACE_WORDS = {
    *("start", "starts", "begin", "begins", "end", "ends", "from", "to", "at", "index", "idx", "value"),
    *("offset", "offsets", "pos", "position", "span", "char", "loc", "location", "locations", "range", "boundaries"),
}
KEY_PARTS = re.compile(r"[\W_]+|(?<=[a-z])(?=[A-Z])")
# The keys of the ends of a relation.
ENDS = (("head", "tail"), ("source", "target"))
# Warnings of one kind that are written out. All are counted.
MOST_EXAMPLES = 10
EXPECTED = "expected a 'text' and a list of entities {'text': ..., 'label': ...}"


def has_mentions(entries: Iterator[Mapping[str, Any]]) -> bool:
    """Whether the first entities among JSON objects have texts and labels, and no offsets."""
    for entry in entries:
        rows = [row for key, value in entry.items() if key != "relations" and isinstance(value, list) for row in value]
        if any(isinstance(row, list) or (isinstance(row, dict) and _has_place(row)) for row in rows):
            return False
        named = entry.get("entities")
        # The reader says what is wrong with their labels.
        unlabelled = [row for row in named or () if isinstance(row, dict)] if isinstance(named, list) else []
        if any(map(_is_mention, rows)) or any(isinstance(row.get("text"), str) for row in unlabelled):
            return isinstance(entry.get("text"), str)
    return False


def read_mentions(path: Path, report: ReadingReport, options: ReadingOptions) -> Iterator[Document]:
    """Stream the documents of a file, with the places of their entities and relations, see `place_mentions`.

    `report.counts` counts entities as `found as written`, `found in another case` and `not found`; of those that were
    found `of them found several times`, `nested entities` and `occurrences inside a longer entity left out`; and
    `spans with several labels`, `overlapping entities`, `relations left out`, `relations across sentences`,
    `joined sentences` and `duplicates`. Warnings have examples with their lines.

    Args:
        path: the file.
        report: receives the problems with their lines, and the counts. An entry with a problem is left out.
        options: `words`, `language` and `occurrences` apply.

    Yields:
        Typed documents. The first entry of a file `silver.jsonl` is called `silver-1` if it has no name.

    Raises:
        PLMarkerError: if the file does not exist or is not UTF-8 text, or if spaCy is required but not installed.
    """
    locate = word_locator(options.words, options.language)
    examples: dict[str, int] = {}
    number = 0
    for number, (line, entry) in enumerate(json_entries(path, report), start=1):
        try:
            text, entities, relations, key = _parts(entry)
        except ValueError as error:
            report.problem(path, line, str(error))
            continue
        for name in unread_lists(entry, (key, "relations")):
            report.counts[f"texts whose key {name!r} is not read"] += 1

        def note(kind: str, message: str | None, line: int = line) -> None:
            report.counts[kind] += 1
            if message is not None:
                examples[kind] = examples.get(kind, 0) + 1
                if examples[kind] <= MOST_EXAMPLES:
                    report.problem(path, line, message, fatal=False)

        located = locate(text)
        placed, linked = place_mentions(text, located, entities, relations, options.occurrences, note)
        # A relation joins spans. Which of several labels of a span it joins makes no difference.
        names = {place: (place, label) for place, label in reversed(placed)}
        document = TextDocument(
            name_of(entry, f"{path.stem}-{number}"),
            text,
            {(place, label): (*place, label) for place, label in placed},
            [(names[head], names[tail], label) for head, tail, label in linked],
            located,
        )
        aligned = ReadingReport()
        found = align(document, locate, aligned)
        # All entities begin and end with words.
        report.counts.update({kind: count for kind, count in aligned.counts.items() if kind != "exact"})
        if entry.get("weight") is not None:
            found["weight"] = entry["weight"]
        yield found
    for kind, count in examples.items():
        if count > MOST_EXAMPLES:
            report.problem(path, 0, f"{kind}: {count - MOST_EXAMPLES} more", fatal=False)
    if not number:
        report.problem(path, 0, "the file has no documents")


def _has_place(row: Mapping[str, Any]) -> bool:
    """Whether an entity has a place: a number under a key that names one, also in a list or an object."""

    def has_number(value: Any) -> bool:
        if isinstance(value, dict):
            return any(map(has_number, value.values()))
        if isinstance(value, list):
            return any(map(has_number, value))
        return isinstance(value, int) and not isinstance(value, bool)

    return any(
        has_number(value) for key, value in row.items() if PLACE_WORDS & set(KEY_PARTS.sub(" ", key).lower().split())
    )


def _is_mention(row: Any) -> bool:
    return (
        isinstance(row, dict)
        and not _has_place(row)
        and isinstance(row.get("text", row.get("name")), str)
        and isinstance(row.get("label", row.get("type")), str)
    )


def _parts(entry: Mapping[str, Any]) -> tuple[str, list[Mention], list[tuple[Mention, Mention, str]], str]:
    """The text, the entities and the relations of an entry, and the key of its entities.

    Raises:
        ValueError: if the structure of the entry is unexpected.
    """
    text = entry.get("text")
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"{EXPECTED}, got the text {text!r}")
    rows, key = entry.get("entities"), "entities"
    if rows is None:
        lists = {key: value for key, value in entry.items() if isinstance(value, list) and key != "relations"}
        named = [key for key, value in lists.items() if any(map(_is_mention, value))] or list(lists)
        if len(named) != 1:
            raise ValueError(f"{EXPECTED}, got the keys {', '.join(map(str, entry))}")
        key = named[0]
        rows = lists[key]
    if not isinstance(rows, list):
        raise ValueError(f"{EXPECTED}, got {type(rows).__name__} as entities")
    entities = [_mention(row, f"entity {number}") for number, row in enumerate(rows)]
    relations = []
    found = entry.get("relations")
    if not isinstance(found, list | None):
        raise ValueError(f"expected a list of relations, got {type(found).__name__}")
    for number, row in enumerate(found or ()):
        name = f"relation {number}"
        ends_of = next((pair for pair in ENDS if isinstance(row, dict) and set(pair) <= row.keys()), None)
        if ends_of is None:
            raise ValueError(f"{name}: expected {{'head': ..., 'tail': ..., 'label': ...}}, got {_short(row)}")
        ends = [_mention(row[end], f"{name}, {end}", needs_label=False) for end in ends_of]
        relations.append((ends[0], ends[1], _label(row, name)))
    return text, entities, relations, key


def _mention(row: Any, name: str, needs_label: bool = True) -> Mention:
    if isinstance(row, str) and not needs_label:
        row = {"text": row}
    text = row.get("text", row.get("name")) if isinstance(row, dict) else None
    if not isinstance(text, str) or not text.strip():
        expected = "{'text': ..., 'label': ...}" if needs_label else "the text of an entity"
        raise ValueError(f"{name}: expected {expected}, got {_short(row)}")
    if _has_place(row):
        raise ValueError(f"{name} has a place, and the first entities have none, got {_short(row)}")
    has_label = needs_label or row.get("label", row.get("type")) is not None
    return Mention(" ".join(text.split()), _label(row, name) if has_label else None)


def _label(row: Mapping[str, Any], name: str) -> str:
    label = row.get("label", row.get("type"))
    if not isinstance(label, str) or not label.strip():
        raise ValueError(f"{name}: expected a non-empty string as label, got {_short(label)}")
    return label.strip()


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
