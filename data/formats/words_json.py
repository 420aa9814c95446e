"""Read JSON whose annotations count words: GLiNER, GLiREL, SpERT, OneIE, and tokens with tags.

The keys of an object show its program:

    GLiNER, GLiREL  `tokenized_text`; `ner` with rows [first word, last word, label, ...]; `relations` with `head` and
                    `tail`, each with a `position`, and `relation_text`
    SpERT           `tokens`; `entities` with `type`, `start` and an exclusive `end`; `relations` with `type` and the
                    numbers of two entities as `head` and `tail`
    OneIE           `tokens`; `entity_mentions` with `entity_type`, `start` and an exclusive `end`; `relation_mentions`
    tokens          `tokens` or `words`, and `ner_tags` or `tags` with one tag per word, as text
    documents       the JSONL format of this library, in an array or spread over lines
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..documents import Document, typed_document, usual_keys
from ..report import ReadingReport
from ..tags import TAG_COLUMNS, entities_from_tags, guess_scheme, unlike_tags, usual_tags
from .json_entries import json_entries
from .options import ReadingOptions
from .places import differs, on_word_borders

WORD_KEYS = ("tokenized_text", "tokens", "words")
KEY_NAMES = ("doc_key", "orig_id", "wnd_id", "sent_id", "id")
EXPECTED = "expected an object of GLiNER, SpERT, OneIE, or tokens with tags"


def read_words_json(path: Path, report: ReadingReport, options: ReadingOptions) -> Iterator[Document]:
    """Stream the documents of a file. Every object is a document of one sentence.

    Args:
        path: the file.
        report: receives the problems with their lines. An object with a problem is left out.
        options: `scheme` applies to tags. `auto` guesses it from the tags of the whole file.

    Yields:
        Typed documents. Documents without a name are called `corpus-1`, `corpus-2` and so on in a file `corpus.json`.

    Raises:
        PLMarkerError: if the file does not exist or is not UTF-8 text.
    """
    scheme = options.scheme
    changes: dict[str, str] = {}
    sequences = [tags for _, entry in json_entries(path, ReadingReport()) if (tags := _tags(entry)) is not None]
    if sequences:
        changes, notes = usual_tags(Counter(tag for tags in sequences for tag in tags), scheme)
        for note in notes:
            report.problem(path, 0, f"{note}; --scheme names how tags are to be read", fatal=False)
        if scheme == "auto":
            scheme = guess_scheme([changes.get(tag, tag) for tag in tags] for tags in sequences)
            if reason := unlike_tags({changes.get(tag, tag) for tags in sequences for tag in tags}, scheme):
                report.problem(path, 0, reason)
                return
    number = 0
    for number, (line, entry) in enumerate(json_entries(path, report), start=1):
        key = str(next((entry[name] for name in KEY_NAMES if entry.get(name)), f"{path.stem}-{number}"))
        try:
            yield typed_document(_raw(entry, key, scheme, changes, path, line, report))
        except ValueError as error:
            report.problem(path, line, str(error))
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            missing = f"; the key {error} is missing" if isinstance(error, KeyError) else ""
            report.problem(path, line, f"{EXPECTED}, got another structure{missing}")
    if not number:
        report.problem(path, 0, "the file has no documents")


def counts_words(path: Path) -> bool:
    """Whether the first object of a file, which has words, has tags or places that can be those of words."""
    entry = next((entry for _, entry in json_entries(path, ReadingReport())), {})
    words: Any = next((entry[name] for name in WORD_KEYS if name in entry), [])
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        return False
    tags = _tags(entry)
    if tags is not None:
        return len(tags) == len(words)
    rows = [row for row in entry.get("entities") or () if isinstance(row, dict)]
    places: list[tuple[Any, Any]] = [(row.get("start"), row.get("end")) for row in rows]
    if not places or not all(isinstance(a, int) and isinstance(b, int) and b <= len(words) for a, b in places):
        return False
    # Places that begin and end with words of the text count characters.
    text = entry.get("text")
    return not (isinstance(text, str) and all(on_word_borders(text, a, b) for a, b in places))


def _tags(entry: Mapping[str, Any]) -> list[str] | None:
    """The tags of an object, one per word; None where it has spans."""
    for name in TAG_COLUMNS:
        value = entry.get(name)
        if isinstance(value, list) and value and all(isinstance(tag, str) for tag in value):
            return value
    return None


def _raw(
    entry: Mapping[str, Any],
    key: str,
    scheme: str,
    changes: Mapping[str, str],
    path: Path,
    line: int,
    report: ReadingReport,
) -> dict[str, Any]:
    """A document in the JSONL format.

    Raises:
        ValueError, KeyError, TypeError, AttributeError, IndexError: if the structure of the object is unexpected.
    """
    if "sentences" in entry:
        return {**usual_keys(dict(entry)), "doc_key": str(entry.get("doc_id") or key)}
    words = next((entry[name] for name in WORD_KEYS if name in entry), None)
    if words is None:
        raise ValueError(f"{EXPECTED}, got the keys {', '.join(map(str, entry))}")
    tags = _tags(entry)
    if tags is not None:
        if len(tags) != len(words):
            raise ValueError(f"expected one tag per word, got {len(words)} words and {len(tags)} tags")
        found, problems = entities_from_tags([changes.get(tag, tag) for tag in tags], scheme)
        for word, message, fatal in problems:
            report.problem(path, line, f"word {word}: {message}", fatal)
        if entry.get("relations"):
            message = f"{len(entry['relations'])} relations left out: entities that tags give have no numbers"
            report.problem(path, line, message, fatal=False)
        return {"doc_key": key, "sentences": [words], "ner": [[list(entity) for entity in found]]}
    if "tokenized_text" in entry:
        ner = [[row[0], row[1], row[2]] for row in entry["ner"]]
        for row in entry["ner"]:
            if len(row) > 3 and isinstance(row[3], str):
                _check_words(words, row[0], row[1] + 1, row[3], row[2])
        relations = [
            [*row["head"]["position"][:2], *row["tail"]["position"][:2], row["relation_text"]]
            for row in entry.get("relations") or ()
        ]
    elif "entities" in entry:
        ner = [_span(row, words, row["type"]) for row in entry["entities"]]
        relations = [
            [*_end(ner, row["head"]), *_end(ner, row["tail"]), row["type"]] for row in entry.get("relations") or ()
        ]
    elif "entity_mentions" in entry:
        mentions = {row["id"]: _span(row, words, row["entity_type"]) for row in entry["entity_mentions"]}
        ner = list(mentions.values())
        relations = []
        for row in entry.get("relation_mentions") or ():
            head, tail = (mentions[argument["entity_id"]][:2] for argument in row["arguments"])
            relations.append([*head, *tail, row["relation_type"]])
        report.counts["events"] += len(entry.get("event_mentions") or ())
    elif any(isinstance(entry.get(name), list) for name in TAG_COLUMNS):
        if any(isinstance(item, list) for name in TAG_COLUMNS for item in entry.get(name) or ()):
            raise ValueError("this object holds the columns of a whole table, expected an object for each sentence")
        if any(isinstance(item, dict) for name in TAG_COLUMNS for item in entry.get(name) or ()):
            raise ValueError(f"{EXPECTED}, got objects in place of tags; SpERT has them under 'entities'")
        raise ValueError("the tags are numbers, expected text; load it by datasets, with the names of its tags")
    else:
        raise ValueError(f"{EXPECTED}, got the keys {', '.join(map(str, entry))}")
    return {"doc_key": key, "sentences": [words], "ner": [ner], **({"relations": [relations]} if relations else {})}


def _end(entities: Sequence[list[Any]], number: Any) -> list[Any]:
    """The words of an end of a relation, which is the number of an entity. Python would count -1 from the end."""
    if type(number) is not int or not 0 <= number < len(entities):
        raise ValueError(f"a relation joins entity {number!r}, expected a number from 0 to {len(entities) - 1}")
    return entities[number][:2]


def _span(row: Mapping[str, Any], words: Sequence[str], label: str) -> list[Any]:
    """An entity whose end is exclusive, as [first word, last word, label].

    Raises:
        ValueError: if the entity repeats its text, and other words are at its place.
    """
    start, end, text = row["start"], row["end"], row.get("text")
    if isinstance(text, str):
        _check_words(words, start, end, text, label)
    return [start, end - 1, label]


def _check_words(words: Sequence[str], start: int, end: int, text: str, label: str) -> None:
    """Raise `ValueError` where an entity repeats another text than its words, from `start` to before `end`."""
    covered = " ".join(words[start:end])
    if differs(covered, text):
        raise ValueError(f"entity {label!r}: the words {start} to {end}, exclusive, are {covered!r}, expected {text!r}")
