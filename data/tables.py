"""Documents as tables of `datasets`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from datasets import Dataset, Features, List, Value, concatenate_datasets
from datasets.exceptions import DatasetGenerationError
from pyarrow import ArrowException

from ..modeling.schema_plmarker import PLMarkerError, one_sentence
from .documents import ANNOTATION_FIELDS
from .files import has_ending, visible_files
from .formats.json_entries import has_weights
from .formats.unread import JSON_ENDINGS

DOCUMENTS_PER_CHUNK = 1000


def _list_per_sentence(fields: tuple[str, ...]) -> List:
    types = {name: Value("string") if name == "label" else Value("int32") for name in fields}
    return List(List(types))


DOCUMENT_FEATURES = Features(
    doc_key=Value("string"),
    sentences=List(List(Value("string"))),
    **{name: _list_per_sentence(fields) for name, fields in ANNOTATION_FIELDS.items()},
)

# Of a corpus in which a document has a weight. Others keep their columns, and so what `map` has cached for them.
WEIGHTED_FEATURES = Features({**DOCUMENT_FEATURES, "weight": Value("float64")})


def features_of_files(paths: Sequence[Path]) -> Features:
    """The columns of the documents of files or folders: with `weight`, if a JSON file has weights."""
    files = [file for path in paths for file in (visible_files(path) if path.is_dir() else [path])]
    weighted = any(has_ending(file, JSON_ENDINGS) and has_weights(file) for file in files if file.is_file())
    return WEIGHTED_FEATURES if weighted else DOCUMENT_FEATURES


def dataset_of(documents: Iterable[Mapping[str, Any]]) -> Dataset:
    """Build a `Dataset` with `DOCUMENT_FEATURES`, or with `WEIGHTED_FEATURES` where a document has a `weight`.

    Example:
        >>> dataset_of([typed_document({"doc_key": "a", "sentences": [["Ada", "sings"]]})]).num_rows
        1

    Args:
        documents: valid typed documents. They are converted to Arrow in chunks, so a generator saves memory.

    Raises:
        PLMarkerError: if there are no documents, or if they are not typed.
    """
    stream = iter(documents)
    chunks = []
    while chunk := list(islice(stream, DOCUMENTS_PER_CHUNK)):
        is_weighted = any(document.get("weight") is not None for document in chunk)
        features = WEIGHTED_FEATURES if is_weighted else DOCUMENT_FEATURES
        rows = [{name: document.get(name) for name in features} for document in chunk]
        try:
            chunks.append(Dataset.from_list(rows, features=features))
        except (AttributeError, TypeError, ValueError, ArrowException) as error:
            message = "expected typed documents, such as typed_document gives for the rows of JSONL"
            raise PLMarkerError(f"{message}: {one_sentence(error)}") from error
    if not chunks:
        raise PLMarkerError("there are zero documents, expected at least one")
    # A chunk without the column gets one of empty values.
    return concatenate_datasets(chunks)


@contextmanager
def unwrap_generation_errors() -> Iterator[None]:
    """Raise a `PLMarkerError` from a generator of `datasets` without the general error that `datasets` puts around it.

    Raises:
        PLMarkerError: if the generator raised it.
        DatasetGenerationError: if the generator raised another error.
    """
    try:
        yield
    except DatasetGenerationError as error:
        if isinstance(error.__cause__, PLMarkerError):
            raise error.__cause__ from None
        raise
