"""The JSON objects of a file: one object a line, an array, or objects that are spread over lines.

spaCy's training data has pairs `[text, {"entities": ...}]` in place of objects, perhaps under the key `annotations`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..documents import lines_with_numbers, parse_json, read_text
from ..files import has_ending
from ..report import ReadingReport


def json_entries(path: Path, report: ReadingReport) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the line number and the JSON object of every entry.

    Args:
        path: a UTF-8 file.
        report: receives invalid JSON, with its line.
    """
    if has_lines(path):
        for number, text in lines_with_numbers(path):
            try:
                entry = parse_json(text)
            except ValueError as error:
                report.problem(path, number, str(error))
                continue
            yield from _objects(entry, path, number, report)
        return
    # The file is decoded entry by entry, so that every entry gets its line number.
    text = read_text(path).removeprefix("\ufeff")
    is_array = text.lstrip().startswith("[")
    decoder = json.JSONDecoder()
    position = text.index("[") + 1 if is_array else 0
    line, counted = 1, 0
    while True:
        position = _skip(text, position, " \t\r\n,")
        line, counted = line + text.count("\n", counted, position), position
        if text[position : position + 1] == ("]" if is_array else ""):
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
        yield from _objects(entry, path, line, report)


def _objects(entry: Any, path: Path, line: int, report: ReadingReport) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The object of an entry; those of all pairs, where an object holds pairs."""
    if isinstance(entry, dict):
        pairs = entry.get("annotations")
        if set(entry) <= {"classes", "annotations"} and isinstance(pairs, list):
            for pair in pairs:
                # An annotator has left out these texts.
                if pair is not None:
                    yield from _objects(pair, path, line, report)
            return
        yield line, entry
    elif isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], str) and isinstance(entry[1], dict):
        yield line, {"text": entry[0], **entry[1]}
    else:
        report.problem(path, line, f"a document must be a JSON object, got {type(entry).__name__}")


def first_keys(path: Path) -> set[str]:
    """The keys of the first object of a file; empty where there is none."""
    return {str(key) for key in next((entry for _, entry in json_entries(path, ReadingReport())), {})}


def name_of(entry: Mapping[str, Any], other: str) -> str:
    """The name of a document: its `doc_key` or `id`, or else another name. A null is no name.

    Label Studio keeps what it was given beside a text in `data`, Prodigy in `meta`.

    Example:
        >>> name_of({"id": 0}, "silver-1"), name_of({"id": None}, "silver-1")
        ('0', 'silver-1')
        >>> name_of({"meta": {"doc_key": "report"}}, "silver-1")
        'report'
    """
    beside = [entry[name].get("doc_key") for name in ("data", "meta") if isinstance(entry.get(name), Mapping)]
    names = (entry.get("doc_key"), entry.get("id"), *beside)
    return str(next((name for name in names if name is not None), other))


def unread_lists(entry: Mapping[str, Any], known: Collection[str]) -> list[str]:
    """The keys of an entry whose lists of objects nobody reads: they may be annotations under another name.

    Example:
        >>> unread_lists({"text": "Ada", "triples": [{"head": "Ada"}], "tags": ["a"]}, {"entities"})
        ['triples']
    """
    return [
        name
        for name, value in entry.items()
        if name not in known and isinstance(value, list) and value and all(isinstance(row, dict) for row in value)
    ]


def has_weights(path: Path) -> bool:
    """Whether an object of a file has a `weight`. A file without that word is not parsed."""
    if not any('"weight"' in line for _, line in lines_with_numbers(path)):
        return False
    return any(entry.get("weight") is not None for _, entry in json_entries(path, ReadingReport()))


def has_lines(path: Path) -> bool:
    """Whether each line is an object of its own. The ending of the name and the first line decide."""
    first = next((line for _, line in lines_with_numbers(path)), "").strip()
    if first.startswith('["') and first.endswith("}]"):
        # A pair of spaCy.
        return True
    if has_ending(path, (".jsonl", ".jsonlines")):
        return not first.startswith("[")
    return not first.startswith("[") and first != "{" and not first.endswith((",", "[", ":"))


def _skip(text: str, position: int, characters: str) -> int:
    while text[position : position + 1] and text[position] in characters:
        position += 1
    return position
