"""The input and output of `plmarker predict`: texts or documents in, one JSON line for each out."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from ..modeling.given_plmarker import align_given, checked_given, given_words
from ..modeling.schema_plmarker import LabelSchema, PLMarkerError
from ..modeling.text_plmarker import join_words, locate_words, split_sentences
from .documents import STANDARD_INPUT, Document, lines_with_numbers, parse_line
from .files import sole_writer, write_json
from .validation import document_problems, is_unicode


def text_document(key: str, text: str, language: str = "en") -> Document:
    """A raw text as a document: `text`, `located` (character offsets of its words) and `sentences`."""
    located = locate_words(text, partial(split_sentences, language=language))
    sentences = [[text[start:end] for start, end in sentence] for sentence in located]
    return {"doc_key": key, "text": text, "located": located, "sentences": sentences}


def read_inputs(path: str | Path, language: str = "en", schema: LabelSchema | None = None) -> Iterator[Document]:
    """Stream the documents of a file.

    A `.jsonl` or `.json` file holds one document a line, with `sentences` of words or with raw `text`; of any other
    file each line that is not empty is a raw text. Standard input holds documents if its first line begins with `{`.
    The text of pre-tokenized sentences is their words with one space between, one line a sentence.

    Args:
        path: the file; `.gz` at the end of its name is unpacked. `-` is standard input.
        language: ISO 639-1 code of raw texts.
        schema: read given entities, too, and check their labels. They are `entities` of a text, as (start, end, label)
            by characters, and `predicted_ner` of sentences, by words. The documents have them as `predicted_ner`.

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
                document = text_document(key, raw["text"], language)
            else:
                document = _words_document(key, raw.get("sentences"))
            document = document if schema is None else _with_given(document, raw, schema)
        except ValueError as error:
            raise PLMarkerError(f"{path}:{number}: {error}") from None
        yield document


def _words_document(key: str, sentences: Any) -> Document:
    """Sentences of words as a document. Raises `ValueError` for anything else."""
    problem = next((m for m, fatal in document_problems({"doc_key": key, "sentences": sentences}) if fatal), None)
    if problem:
        raise ValueError(f"expected 'text' or 'sentences': {problem}")
    text, located = join_words(sentences)
    return {"doc_key": key, "text": text, "located": located, "sentences": sentences}


def _with_given(document: Document, raw: Document, schema: LabelSchema) -> Document:
    """A document with the entities that its line gives.

    Raises:
        ValueError: where the line gives none, or bad ones.
    """
    text, located = document["text"], document["located"]
    if "text" in raw:
        if not isinstance(raw.get("entities"), list):
            raise ValueError("given entities are expected under 'entities', as [start, end, label] each")
        entities = checked_given([_row(entity) for entity in raw["entities"]], len(text), schema, "entities")
        located, given = align_given(text, located, entities, document["doc_key"])
        sentences = [[text[start:end] for start, end in sentence] for sentence in located]
        return {**document, "located": located, "sentences": sentences, "predicted_ner": given}
    found = raw.get("predicted_ner")
    if not isinstance(found, list) or len(found) != len(located) or not all(isinstance(part, list) for part in found):
        raise ValueError("given entities are expected under 'predicted_ner', a list for each sentence")
    rows = [_row(entity) for part in found for entity in part]
    entities = checked_given(rows, sum(map(len, located)) - 1, schema, "predicted_ner")
    return {**document, "predicted_ner": given_words(located, entities, "predicted_ner")}


def _row(entity: Any) -> Any:
    """An entity as a row, where it is a mapping."""
    if isinstance(entity, dict):
        return [entity.get("start"), entity.get("end"), entity.get("label")]
    return entity


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
            `PATH.partial.words` has a checksum of the words of each item: two documents may have one text, and other
            words.

    Returns:
        Lines in the finished file.

    Raises:
        PLMarkerError: when the partial file was begun with other inputs or settings, or another process writes the
            file.
    """
    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    settings_file = path.with_name(path.name + ".partial.settings")
    words_file = path.with_name(path.name + ".partial.words")
    with sole_writer(path):
        earlier = _earlier_settings(settings_file)
        if partial.exists() and earlier is None:
            # Nobody knows any more which model gave these lines.
            partial.unlink()
        elif partial.exists() and earlier != json.loads(json.dumps(settings)):
            raise PLMarkerError(f"{partial}: begun with another model or other options; remove it to start anew")
        write_json(settings_file, settings)
        partial.touch()
        words_file.touch()
        total = _cut_last_line(partial)
        # A line that has no checksum yet is computed again.
        total = _cut_lines(partial, min(total, _cut_last_line(words_file)))
        _cut_lines(words_file, total)
        with partial.open("a", encoding="utf-8") as lines, words_file.open("a", encoding="utf-8") as sums:

            def noted(documents: Iterator[Document]) -> Iterator[Document]:
                for document in documents:
                    sums.write(_checksum(document) + "\n")
                    sums.flush()
                    yield document

            for result in process(noted(_skip(iter(items), partial, words_file, total))):
                lines.write(json.dumps(result, ensure_ascii=False) + "\n")
                lines.flush()
                total += 1
        partial.replace(path)
        settings_file.unlink()
        words_file.unlink()
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


def _cut_lines(path: Path, count: int) -> int:
    """Keep the first lines of a file; return their number."""
    with path.open("rb+") as lines:
        end = sum(map(len, islice(lines, count)))
        lines.truncate(end)
    return count


def _checksum(item: Document) -> str:
    """A short checksum of the words and the given entities of an item."""
    read = json.dumps([item.get("sentences"), item.get("predicted_ner")], ensure_ascii=False)
    return f"{zlib.crc32(read.encode('utf-8', 'surrogatepass')):08x}"


def _skip(items: Iterator[Document], partial: Path, words_file: Path, count: int) -> Iterator[Document]:
    """Skip the items whose results are in the partial file, and make sure that the results belong to them."""
    with partial.open(encoding="utf-8") as lines, words_file.open(encoding="utf-8") as sums:
        for number, (line, checksum) in enumerate(islice(zip(lines, sums, strict=False), count), start=1):
            item = next(items, None)
            try:
                result = json.loads(line)
                same = item is not None and all(result[name] == item[name] for name in ("doc_key", "text"))
                same = same and item is not None and checksum.strip() == _checksum(item)
            except (ValueError, KeyError, TypeError):
                same = False
            if not same:
                raise PLMarkerError(f"{partial}:{number}: begun with another input; remove it to start anew")
    yield from items
