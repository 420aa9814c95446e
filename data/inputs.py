"""The documents of the records that `plmarker predict` reads."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import Any

from ..modeling.given_plmarker import with_given
from ..modeling.schema_plmarker import LabelSchema, PLMarkerError
from ..modeling.text_plmarker import check_language, join_words, locate_words, located_document, split_sentences
from .documents import Document, parse_line
from .records import Record
from .validation import document_problems, is_unicode


def text_document(key: str, text: str, language: str = "en") -> Document:
    """A raw text as a document, see `located_document`."""
    return located_document(key, text, locate_words(text, partial(split_sentences, language=language)))


def with_checked_language(records: Iterator[Record], language: str) -> Iterator[Record]:
    """Make sure that a language other than English has an effect: the first record must be raw text.

    Returns:
        All records.

    Raises:
        PLMarkerError: for a record with sentences of words.
    """
    check_language(language)
    record = next(records, None) if language != "en" else None
    if record is None:
        return records
    if _has_words(record):
        raise PLMarkerError(
            f"{record.place}: the language {language!r} has no effect, it is for raw 'text', and this has 'sentences'"
        )
    return chain([record], records)


def _has_words(record: Record) -> bool:
    """Whether a record has words in place of raw text."""
    try:
        return record.is_json and "text" not in parse_line(record.line)
    except ValueError:
        # `document_of` says what is wrong.
        return False


def document_of(record: Record, language: str = "en", schema: LabelSchema | None = None) -> Document:
    """The document of a record, which has `sentences` of words or raw `text`.

    The text of pre-tokenized sentences is their words with one space between, one line a sentence.

    Args:
        record: what `Inputs.records` yields.
        language: ISO 639-1 code of raw texts.
        schema: read given entities, too, and check their labels. They are `entities` of a text, as (start, end, label)
            by characters, and `predicted_ner` of sentences, by words. The document has them as `predicted_ner`.

    Raises:
        PLMarkerError: for a bad document, with its place.
    """
    if not record.is_json:
        return text_document(record.key, record.line, language)
    try:
        raw = parse_line(record.line)
        key = str(raw.get("doc_key") or record.key)
        if isinstance(raw.get("text"), str):
            if not is_unicode(raw["text"]):
                raise ValueError("text is no valid Unicode, it holds a lone surrogate")
            document = text_document(key, raw["text"], language)
        elif "text" in raw and raw.get("sentences") is None:
            raise ValueError(f"expected a string as 'text', got {reprlib.repr(raw['text'])}")
        else:
            document = _words_document(key, raw.get("sentences"))
        return document if schema is None else _with_given(document, raw, schema)
    except ValueError as error:
        raise PLMarkerError(f"{record.place}: {error}") from None


def _words_document(key: str, sentences: Any) -> Document:
    """Sentences of words as a document. Raises `ValueError` for anything else."""
    problem = next((m for m, fatal in document_problems({"doc_key": key, "sentences": sentences}) if fatal), None)
    if problem:
        raise ValueError(f"expected 'text' or 'sentences': {problem}")
    return located_document(key, *join_words(sentences))


def _with_given(document: Document, raw: Document, schema: LabelSchema) -> Document:
    """A document with the entities that its line gives.

    Raises:
        ValueError: where the line gives none, or bad ones.
    """
    if "text" in raw:
        if not isinstance(raw.get("entities"), list):
            raise ValueError("given entities are expected under 'entities', as [start, end, label] each")
        return with_given(document, map(_row, raw["entities"]), schema, "entities")
    found = raw.get("predicted_ner")
    n_sentences = len(document["sentences"])
    if not isinstance(found, list) or len(found) != n_sentences or not all(isinstance(part, list) for part in found):
        raise ValueError("given entities are expected under 'predicted_ner', a list for each sentence")
    rows = [_row(entity) for part in found for entity in part]
    return with_given(document, rows, schema, "predicted_ner", by_words=True)


def _row(entity: Any) -> Any:
    """An entity as a row, where it is a mapping with a place."""
    if isinstance(entity, dict) and entity.keys() >= {"start", "end"}:
        return [entity.get("start"), entity.get("end"), entity.get("label")]
    return entity
