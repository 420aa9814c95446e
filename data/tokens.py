"""Convert token-classification datasets of the Hub, with a column of words and a column of tags, into documents."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby
from typing import Any

from datasets import ClassLabel, Dataset, List

from ..modeling.schema_plmarker import PLMarkerError
from .documents import Document
from .formats.columns import document_of_words
from .formats.options import ReadingOptions
from .report import ReadingReport, raise_problems
from .tables import dataset_of
from .tags import TAG_COLUMNS, entities_from_tags, guess_scheme, unlike_tags
from .validation import valid_documents

logger = logging.getLogger(__name__)

WORD_COLUMNS = ("tokens", "words")
DOCUMENT_COLUMNS = ("document_id", "doc_id", "doc_key", "document")


def token_columns(columns: Iterable[str]) -> tuple[str, str, str | None] | None:
    """Find the columns of words, tags and document names by their usual names.

    Example:
        >>> token_columns(["id", "tokens", "ner_tags"])
        ('tokens', 'ner_tags', None)

    Args:
        columns: the column names of a dataset.

    Returns:
        The names (words, tags, document), with None for a missing document column. The result is None if the words or
        the tags have no usual name.
    """
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
    """Convert a token-classification dataset into documents, in the form that `load_documents` returns.

    Example:
        >>> dataset = Dataset.from_dict({"tokens": [["Ada", "sings"]], "ner_tags": [["B-PER", "O"]]})
        >>> documents_of_tokens(dataset)[0]["ner"]
        [[{'start': 0, 'end': 0, 'label': 'PER'}]]

    Args:
        dataset: a dataset with one sentence per row.
        words: the column of the words. None takes the first of `tokens` and `words`.
        tags: the column of the tags: class labels, strings or integers. None takes the first of `ner_tags`, `ner`,
            `tags` and `labels`.
        document: the column of the document names. None takes the first of `document_id`, `doc_id`, `doc_key` and
            `document`. The rows of a document must follow each other. Without this column every row is a document.
        scheme: the tagging scheme, one of `SCHEMES` in data/tags.py. `auto` guesses it from the tags.
        names: the names of integer tags, by index. None takes the names of the class labels.
        source: the name of the dataset in messages and in document names.

    Returns:
        A dataset of typed documents without relations. A warning names the other columns that hold lists, such as a
        second layer of tags or relations: they are not read.

    Raises:
        PLMarkerError: if the scheme is unknown, if a column is missing, if integer tags have no names, or if rows have
            problems. The message lists the first problems with their row numbers, which count from 1.
    """
    if not isinstance(dataset, Dataset):
        raise PLMarkerError(f"expected a Dataset, such as one split of a DatasetDict, got {type(dataset).__name__}")
    scheme = ReadingOptions(scheme).scheme
    usual = token_columns(dataset.column_names) or (None, None, None)
    words, tags, document = words or usual[0], tags or usual[1], document or usual[2]
    for kind, column in (("words", words), ("tags", tags), ("documents", document)):
        if (column is None and kind != "documents") or (column is not None and column not in dataset.column_names):
            missing = f"no column {column!r}" if column else "no column with a usual name"
            existing = ", ".join(dataset.column_names)
            raise PLMarkerError(f"{source}: {missing} for the {kind}, expected one of the columns {existing}")
    assert words is not None
    assert tags is not None
    feature = getattr(dataset.features[tags], "feature", None)
    if names is None and isinstance(feature, ClassLabel):
        names = feature.names

    def tags_of(row: Mapping[str, Any]) -> list[str]:
        row_tags = row[tags] or []
        if all(isinstance(tag, str) for tag in row_tags):
            return row_tags
        if names is None:
            raise PLMarkerError(f"{source}: the tags of column {tags!r} are numbers, expected their names as `names`")
        unknown = [tag for tag in row_tags if not isinstance(tag, int) or not 0 <= tag < len(names)]
        if unknown:
            expected = f"expected a number from 0 to {len(names) - 1}"
            raise PLMarkerError(f"{source}: tag {unknown[0]!r} of column {tags!r} has no name, {expected}")
        return [names[tag] for tag in row_tags]

    if scheme == "auto":
        scheme = guess_scheme(tags_of(row) for row in dataset.select_columns([tags]))
        if reason := unlike_tags({tag for row in dataset.select_columns([tags]) for tag in tags_of(row)}, scheme):
            raise PLMarkerError(f"{source}, column {tags!r}: {reason}")
    other_lists = [
        name for name, kind in dataset.features.items() if isinstance(kind, List) and name not in (words, tags)
    ]
    if other_lists:
        listed = ", ".join(other_lists)
        logger.warning("%s: the words are read from %r and the tags from %r, not: %s", source, words, tags, listed)
    report = ReadingReport()
    seen: set[str] = set()

    def key_of(numbered_row: tuple[int, Mapping[str, Any]]) -> str:
        number, row = numbered_row
        # A row without a document name is a separate document.
        return f"{source}-{number}" if document is None or row[document] is None else str(row[document])

    def documents() -> Iterator[Document]:
        numbered = enumerate(dataset, start=1)
        for key, rows in groupby(numbered, key=key_of):
            sentences, entities = [], []
            for index, (number, row) in enumerate(rows):
                if not index and key in seen:
                    message = f"document {key!r} ended in an earlier row, expected all its rows together"
                    report.problem(source, number, message)
                sentence, sentence_tags = row[words] or [], tags_of(row)
                if len(sentence) != len(sentence_tags):
                    message = f"expected one tag per word, got {len(sentence)} words and {len(sentence_tags)} tags"
                    report.problem(source, number, message)
                    continue
                sentence_entities, problems = entities_from_tags(sentence_tags, scheme)
                for word, message, fatal in problems:
                    report.problem(source, number, f"word {word}: {message}", fatal)
                sentences.append(list(sentence))
                entities.append(sentence_entities)
            if key not in seen:
                yield document_of_words(key, sentences, entities)
            seen.add(key)

    checked = valid_documents(documents(), source, report)
    first = next(checked, None)
    if first is None:
        raise_problems(report.fatal)
        raise PLMarkerError(f"{source}: there are zero documents, expected at least one row with words")
    typed = dataset_of(chain([first], checked))
    raise_problems(report.fatal)
    return typed
