"""Token-classification datasets of the Hub: a column of words and a column of tags."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from datasets import ClassLabel, Dataset

from ...modeling.schema_plmarker import PLMarkerError
from ..documents import Document, dataset_of
from ..report import ReadingReport, raise_problems
from ..tags import guess_scheme, spans_of_tags
from ..validation import right_documents
from .columns import document_of_words
from .options import ReadingOptions

WORD_COLUMNS = ("tokens", "words")
TAG_COLUMNS = ("ner_tags", "tags", "labels", "ner")
DOCUMENT_COLUMNS = ("document_id", "doc_id", "doc_key", "document")


def token_columns(columns: Iterable[str]) -> tuple[str, str, str | None] | None:
    """The columns of words, tags and document ids by their usual names; None where words or tags are not among them."""
    columns = list(columns)
    words = next((name for name in WORD_COLUMNS if name in columns), None)
    tags = next((name for name in TAG_COLUMNS if name in columns), None)
    document = next((name for name in DOCUMENT_COLUMNS if name in columns), None)
    return None if words is None or tags is None else (words, tags, document)


def documents_of_tokens(
    dataset: Dataset,
    words: str | None = None,
    tags: str | None = None,
    document: str | None = None,
    scheme: str = "auto",
    names: Sequence[str] | None = None,
    source: str = "dataset",
) -> Dataset:
    """Turn a token-classification dataset into documents, as `load_documents` gives them.

    Example:
        `documents_of_tokens(load_dataset("tner/wnut2017", split="train"), names=[...])`

    Args:
        dataset: one row is a sentence.
        words: column of the words; by default the first of `tokens`, `words`.
        tags: column of the tags, as ClassLabel, strings or numbers; by default the first of `ner_tags`, `tags`,
            `labels`, `ner`.
        document: column of a document's name; by default the first of `document_id`, `doc_id`, `doc_key`,
            `document`. Rows of one document stand together. Without such a column every row is a document.
        scheme: of the tags, one of `SCHEMES` in data/tags.py, or `auto`.
        names: of tags that are numbers without names.
        source: what the dataset is called in errors and in the names of documents.

    Raises:
        PLMarkerError: for an unknown scheme, missing columns, numbers without names, and tags outside the scheme, with
            their rows.
    """
    scheme = ReadingOptions(scheme).scheme
    usual = token_columns(dataset.column_names) or (None, None, None)
    words, tags, document = words or usual[0], tags or usual[1], document or usual[2]
    for kind, column in (("words", words), ("tags", tags), ("documents", document)):
        if (column is None and kind != "documents") or (column is not None and column not in dataset.column_names):
            there = ", ".join(dataset.column_names)
            raise PLMarkerError(f"{source}: no column {column or ''!r} of {kind}, only {there}; name it")
    assert words is not None
    assert tags is not None
    feature = getattr(dataset.features[tags], "feature", None)
    if names is None and isinstance(feature, ClassLabel):
        names = feature.names

    def tags_of(row: Mapping[str, Any]) -> list[str]:
        found = row[tags] or []
        if all(isinstance(tag, str) for tag in found):
            return found
        if names is None:
            raise PLMarkerError(f"{source}: the tags of column {tags!r} are numbers; give their names")
        unknown = [tag for tag in found if not isinstance(tag, int) or not 0 <= tag < len(names)]
        if unknown:
            raise PLMarkerError(
                f"{source}: there are names for the tags 0 to {len(names) - 1}, none for {unknown[0]!r}"
            )
        return [names[tag] for tag in found]

    if scheme == "auto":
        scheme = guess_scheme(tags_of(row) for row in dataset.select_columns([tags]))
    report = ReadingReport()
    seen: set[str] = set()

    def name_of(numbered_row: tuple[int, Mapping[str, Any]]) -> str:
        number, row = numbered_row
        # A row without an id is a document of its own.
        return f"{source}-{number}" if document is None or row[document] is None else str(row[document])

    def documents() -> Iterator[Document]:
        numbered = enumerate(dataset, start=1)
        for key, rows in groupby(numbered, key=name_of):
            sentences, entities = [], []
            for index, (number, row) in enumerate(rows):
                if not index and key in seen:
                    report.problem(source, number, f"document {key!r} began in an earlier row; its rows stand together")
                sentence, sentence_tags = row[words] or [], tags_of(row)
                if len(sentence) != len(sentence_tags):
                    report.problem(source, number, f"{len(sentence)} words, {len(sentence_tags)} tags")
                    continue
                spans, mistakes = spans_of_tags(sentence_tags, scheme)
                for word, message, fatal in mistakes:
                    report.problem(source, number, f"word {word}: {message}", fatal)
                sentences.append(list(sentence))
                entities.append(spans)
            if key not in seen:
                yield document_of_words(key, sentences, entities)
            seen.add(key)

    typed = dataset_of(right_documents(documents(), source, report))
    raise_problems(report.fatal)
    return typed
