"""What `plmarker predict` reads and writes: texts or documents in, one JSON line for each out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from ..modeling.schema_plmarker import PLMarkerError
from ..modeling.text_plmarker import join_words, locate_words
from .documents import Document, numbered_lines, parse_line
from .validation import document_problems


def text_document(key: str, text: str) -> Document:
    """A raw text as a document: `text`, `located` (character offsets of its words) and `sentences`."""
    located = locate_words(text)
    sentences = [[text[start:end] for start, end in sentence] for sentence in located]
    return {"doc_key": key, "text": text, "located": located, "sentences": sentences}


def read_inputs(path: str | Path) -> Iterator[Document]:
    """Stream the documents of a file.

    A `.jsonl` or `.json` file holds one document a line, with `sentences` of words or with raw `text`; of any other
    file each line that is not empty is a raw text. The text of pre-tokenized sentences is their words with one space
    between, one line a sentence.

    Raises:
        PLMarkerError: for a missing file or a bad line, with file and line.
    """
    path = Path(path)
    is_json = path.suffix in (".jsonl", ".json")
    for number, line in numbered_lines(path):
        key = f"{path.stem}-{number}"
        if not is_json:
            yield text_document(key, line.rstrip("\n"))
            continue
        try:
            raw = parse_line(line)
            key = str(raw.get("doc_key") or key)
            if isinstance(raw.get("text"), str):
                yield text_document(key, raw["text"])
                continue
            problem = next(
                (m for m, fatal in document_problems({"doc_key": key, "sentences": raw.get("sentences")}) if fatal),
                None,
            )
            if problem:
                raise ValueError(f"expected 'text' or 'sentences': {problem}")
        except ValueError as error:
            raise PLMarkerError(f"{path}:{number}: {error}") from None
        text, located = join_words(raw["sentences"])
        yield {"doc_key": key, "text": text, "located": located, "sentences": raw["sentences"]}


def write_resumable(
    path: str | Path, items: Iterable[Document], process: Callable[[Iterator[Document]], Iterator[dict[str, Any]]]
) -> int:
    """Write one JSON line for each item; what an interrupted call has written is not computed again.

    Args:
        path: appears when all is written; until then the lines are in `PATH.partial`.
        items: the inputs, in the same order in every call.
        process: yields a result for each item, in order.

    Returns:
        Lines in the finished file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("a+", encoding="utf-8") as lines:
        done = _complete_lines(lines)
        total = len(done)
        for result in process(_skip(iter(items), done, partial)):
            lines.write(json.dumps(result, ensure_ascii=False) + "\n")
            lines.flush()
            total += 1
    partial.replace(path)
    return total


def _complete_lines(lines: TextIO) -> list[str]:
    """The `doc_key` of each whole line of a file; what an interruption left of the next line is cut off."""
    lines.seek(0)
    keys: list[str] = []
    end = 0
    while (line := lines.readline()).endswith("\n"):
        keys.append(json.loads(line)["doc_key"])
        end = lines.tell()
    lines.seek(end)
    lines.truncate()
    return keys


def _skip(items: Iterator[Document], keys: list[str], partial: Path) -> Iterator[Document]:
    for number, key in enumerate(keys, start=1):
        item = next(items, None)
        if item is None or item["doc_key"] != key:
            raise PLMarkerError(f"{partial}:{number}: begun with another input, {key!r}; remove it to start anew")
    yield from items
