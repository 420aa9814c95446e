"""The input and output of `plmarker predict`: texts or documents in, one JSON line for each out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from ..modeling.schema_plmarker import PLMarkerError
from ..modeling.text_plmarker import join_words, locate_words, split_sentences
from .documents import STANDARD_INPUT, Document, lines_with_numbers, parse_line
from .files import sole_writer, write_json
from .validation import document_problems, is_unicode


def text_document(key: str, text: str, language: str = "en") -> Document:
    """A raw text as a document: `text`, `located` (character offsets of its words) and `sentences`."""
    located = locate_words(text, partial(split_sentences, language=language))
    sentences = [[text[start:end] for start, end in sentence] for sentence in located]
    return {"doc_key": key, "text": text, "located": located, "sentences": sentences}


def read_inputs(path: str | Path, language: str = "en") -> Iterator[Document]:
    """Stream the documents of a file.

    A `.jsonl` or `.json` file holds one document a line, with `sentences` of words or with raw `text`; of any other
    file each line that is not empty is a raw text. Standard input holds documents if its first line begins with `{`.
    The text of pre-tokenized sentences is their words with one space between, one line a sentence.

    Args:
        path: the file; `.gz` at the end of its name is unpacked. `-` is standard input.
        language: ISO 639-1 code of raw texts.

    Raises:
        PLMarkerError: for a missing file or a bad line, with file and line.
    """
    name = Path(str(path).removesuffix(".gz"))
    is_json = name.suffix in (".jsonl", ".json")
    stem = "stdin" if str(path) == STANDARD_INPUT else name.stem
    for place, (number, line) in enumerate(lines_with_numbers(path)):
        if place == 0 and str(path) == STANDARD_INPUT:
            is_json = line.lstrip().startswith("{")
        key = f"{stem}-{number}"
        if not is_json:
            yield text_document(key, line.rstrip("\n"), language)
            continue
        try:
            raw = parse_line(line)
            key = str(raw.get("doc_key") or key)
            if isinstance(raw.get("text"), str):
                if not is_unicode(raw["text"]):
                    raise ValueError("text is no valid Unicode, it holds a lone surrogate")
                yield text_document(key, raw["text"], language)
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
    path: str | Path,
    items: Iterable[Document],
    process: Callable[[Iterator[Document]], Iterator[dict[str, Any]]],
    settings: dict[str, Any],
) -> int:
    """Write one JSON line for each item. Lines of an interrupted call are not computed again.

    Args:
        path: the file, which appears when all lines are written. Until then they are in `PATH.partial`.
        items: the inputs, in the same order in every call. The results repeat their `doc_key` and `text`.
        process: yields a result for each item, in order.
        settings: further values that the results depend on, such as the model. They are in `PATH.partial.settings`.

    Returns:
        Lines in the finished file.

    Raises:
        PLMarkerError: when the partial file was begun with other inputs or settings, or another process writes the
            file.
    """
    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    settings_file = path.with_name(path.name + ".partial.settings")
    with sole_writer(path):
        earlier = _earlier_settings(settings_file)
        if partial.exists() and earlier is None:
            # Nobody knows any more which model gave these lines.
            partial.unlink()
        elif partial.exists() and earlier != json.loads(json.dumps(settings)):
            raise PLMarkerError(f"{partial}: begun with another model or other options; remove it to start anew")
        write_json(settings_file, settings)
        partial.touch()
        total = _cut_last_line(partial)
        with partial.open("a", encoding="utf-8") as lines:
            for result in process(_skip(iter(items), partial, total)):
                lines.write(json.dumps(result, ensure_ascii=False) + "\n")
                lines.flush()
                total += 1
        partial.replace(path)
        settings_file.unlink()
    return total


def _earlier_settings(path: Path) -> Any:
    """The settings of an interrupted call; None where there are none, or where the file was cut off."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _cut_last_line(partial: Path) -> int:
    """Remove a line that an interruption has cut off, perhaps inside a character. Count the whole lines."""
    count = end = 0
    with partial.open("rb+") as lines:
        for line in lines:
            if not line.endswith(b"\n"):
                break
            count, end = count + 1, end + len(line)
        lines.truncate(end)
    return count


def _skip(items: Iterator[Document], partial: Path, count: int) -> Iterator[Document]:
    """Skip the items whose results are in the partial file, and make sure that the results belong to them."""
    with partial.open(encoding="utf-8") as lines:
        for number, line in enumerate(islice(lines, count), start=1):
            item = next(items, None)
            try:
                result = json.loads(line)
                same = item is not None and all(result[name] == item[name] for name in ("doc_key", "text"))
            except (ValueError, KeyError, TypeError):
                same = False
            if not same:
                raise PLMarkerError(f"{partial}:{number}: begun with another input; remove it to start anew")
    yield from items
