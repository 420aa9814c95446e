"""Load documents by name: the sample corpus, a file, a folder, or a dataset of the Hub."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict, NamedSplit, get_dataset_split_names, load_dataset
from datasets.inspect import SplitsNotFoundError
from huggingface_hub import HfApi

from ..hub_access import check_reachable
from ..modeling.schema_plmarker import LabelSchema, PLMarkerError, one_sentence
from .documents import Document, raw_document, typed_document
from .formats import ReadingOptions, read_corpus
from .formats.json_entries import has_weights, json_entries
from .formats.mentions import has_mentions
from .progress import progress_bars_on_terminals
from .report import ReadingReport, raise_problems
from .tables import DOCUMENT_FEATURES, WEIGHTED_FEATURES, dataset_of, unwrap_generation_errors
from .tokens import documents_of_tokens, token_columns
from .validation import document_problems, stream_documents

logger = logging.getLogger(__name__)

# Increase this number if the same file gives other documents than before. The cache of `datasets` depends on it.
READING_VERSION = 1
SAMPLE = "sample"
SAMPLE_FOLDER = Path(__file__).parent / "sample"
SAMPLE_SYMMETRIC = ("SPOUSE_OF",)

# Possible file names of each split, without the ending.
SPLIT_FILE_STEMS = {"train": ("train",), "validation": ("validation", "valid", "dev"), "test": ("test",)}
JSONL_ENDINGS = (".jsonl", ".json")


def load_documents(
    name: str | Path,
    schema: LabelSchema | None = None,
    annotated: bool = True,
    split: str | None = None,
    config_name: str | None = None,
    occurrences: str = "all",
) -> DatasetDict:
    """Load typed documents.

    Example:
        >>> load_documents("sample")["test"].num_rows
        16

    Args:
        name: one of these:

            - `sample`, the sample corpus of this package.
            - A JSONL file. It becomes the split `train`. Its lines may be texts with entities by their texts alone, as
              language models give them, see `read_mentions`. The alignment is logged when a file is first read.
            - A folder with such files named `train`, `validation` (or `valid`, `dev`) and `test`. They end in `.jsonl`
              or `.json`.
            - A dataset for `datasets.load_dataset`: a Hub id, or a folder that `plmarker data build` made.
        schema: the allowed labels of JSONL files; None allows all labels.
        annotated: if true, it is an error if a JSONL file has no gold entity.
        split: read only this split, where there are several. If the data does not have it, all splits are read.
        config_name: a configuration of the dataset, such as a fold of ACE04. It is a configuration of a Hub dataset, or
            a subfolder of a local folder.
        occurrences: which occurrences of entities are annotated that are given by their texts alone: `all`, `nearest`
            or `first`, see `place_mentions`.

    Returns:
        Splits with `DOCUMENT_FEATURES`, and with a column `weight` where a document has a weight.

    Raises:
        PLMarkerError: if the file, folder or configuration does not exist, or if a file has problems. The message lists
            the problems.
    """
    path = SAMPLE_FOLDER if name == SAMPLE else Path(name)
    if config_name is not None and (path / config_name).is_dir():
        return load_documents(path / config_name, schema, annotated, split, occurrences=occurrences)
    if config_name is not None and path.exists():
        folders = sorted(folder.name for folder in path.iterdir() if folder.is_dir()) if path.is_dir() else []
        found = ", ".join(folders) or "files"
        raise PLMarkerError(f"{path}: there is no folder {config_name!r} in it, only {found}")
    if path.is_file() and path.suffix not in JSONL_ENDINGS:
        expected = " or ".join(JSONL_ENDINGS)
        raise PLMarkerError(f"{path}: expected a {expected} file; `plmarker data export` converts other formats")
    if path.is_file():
        return DatasetDict(train=_load_file(path, "train", schema, annotated, occurrences))
    files = _split_files(path)
    if split in files:
        files = {split: files[split]}
    if files:
        return DatasetDict(
            {split: _load_file(file, split, schema, annotated, occurrences) for split, file in files.items()}
        )
    if path.is_dir() and not any(path.glob("**/*.parquet")) and not (path / "README.md").exists():
        expected = ", ".join(f"{split}.jsonl" for split in SPLIT_FILE_STEMS)
        raise PLMarkerError(f"{path}: this folder has no data files, expected {expected} (.json and dev are allowed)")
    if not path.exists() and (path.suffix in JSONL_ENDINGS or len(path.parts) != 2 or path.is_absolute()):
        raise PLMarkerError(f"{path}: no such file or folder, and not a Hub id such as owner/name")
    check_reachable(str(name), "dataset")
    loaded = _load_dataset(str(name), config_name, split)
    return DatasetDict({split: _typed_dataset(dataset, f"{name}, {split}") for split, dataset in loaded.items()})


def _load_dataset(name: str, config_name: str | None, split: str | None) -> DatasetDict:
    """Load one split of a dataset, or all splits where it does not have that one."""
    try:
        if split is not None and split in _split_names(name, config_name):
            return DatasetDict({split: load_dataset(name, config_name, split=split)})
        loaded: DatasetDict = load_dataset(name, config_name)
    except Exception as error:
        # A dataset may be of any format, and each library that reads one has errors of its own.
        raise PLMarkerError(f"{name}: the dataset cannot be loaded: {one_sentence(error)}") from error
    return loaded


def _split_names(name: str, config_name: str | None) -> list[str]:
    """The splits of a dataset; none where they are known only after the data was read."""
    try:
        names: list[str] = get_dataset_split_names(name, config_name)
    except SplitsNotFoundError:
        return []
    return names


def dataset_revision(name: str | Path) -> str | None:
    """Return the current commit of a dataset on the Hub.

    Args:
        name: a name for `load_documents`.

    Returns:
        The commit hash; None if the data is local or if the Hub does not answer.
    """
    if name == SAMPLE or Path(name).exists():
        return None
    try:
        return HfApi().dataset_info(str(name)).sha
    # The revision is only metadata. A failing request must not stop a program that has its data already.
    except Exception:
        return None


def _load_file(
    path: Path, split: str, schema: LabelSchema | None, annotated: bool, occurrences: str = "all"
) -> Dataset:
    """Load a JSONL file into the cache of `datasets`. The results of `map` are then cached too."""
    state = path.stat()
    arguments: dict[str, Any] = {"path": str(path), "schema": schema, "annotated": annotated}
    if has_mentions(entry for _, entry in json_entries(path, ReadingReport())):
        arguments["reading"] = ReadingOptions(occurrences=occurrences)
    with unwrap_generation_errors(), progress_bars_on_terminals():
        dataset: Any = Dataset.from_generator(
            _generate_documents,
            features=WEIGHTED_FEATURES if has_weights(path) else DOCUMENT_FEATURES,
            split=NamedSplit(split),
            gen_kwargs={**arguments, "state": (state.st_size, state.st_mtime_ns), "version": READING_VERSION},
        )
    return dataset


def _generate_documents(
    path: str,
    schema: LabelSchema | None,
    annotated: bool,
    state: tuple[int, int],
    version: int,
    reading: ReadingOptions | None = None,
) -> Iterator[Document]:
    """Stream the documents of a file. `state` and `version` are only here because the cache key must depend on them."""
    documents = stream_documents(path, schema, annotated)
    if reading is not None:
        documents = _documents_of_mentions(path, schema, annotated, reading)
    for document in documents:
        yield {name: document.get(name) for name in WEIGHTED_FEATURES}


def _documents_of_mentions(
    path: str, schema: LabelSchema | None, annotated: bool, reading: ReadingOptions
) -> Iterator[Document]:
    """Stream the documents of a file whose entities are given by their texts, and log how they were aligned.

    Raises:
        PLMarkerError: if the file has fatal problems. The message lists the first ten.
    """
    report = ReadingReport()
    for document in read_corpus(path, report, "mentions", reading, annotated):
        for message, is_fatal in document_problems(raw_document(document), schema):
            if is_fatal:
                report.problem(path, 0, f"document {document['doc_key']!r}: {message}")
        yield document
    raise_problems(report.fatal)
    for problem in report.problems:
        logger.warning("%s", problem)
    logger.warning("%s: %s", path, report.summary())


def _typed_dataset(dataset: Dataset, name: str) -> Dataset:
    """Convert a dataset of the Hub to `DOCUMENT_FEATURES`."""
    if dataset.features in (DOCUMENT_FEATURES, WEIGHTED_FEATURES):
        return dataset
    if "sentences" not in dataset.column_names and token_columns(dataset.column_names):
        return documents_of_tokens(dataset, source=Path(name).name.replace(", ", "-"))
    missing = {"doc_key", "sentences"} - set(dataset.column_names)
    if missing:
        found = ", ".join(dataset.column_names)
        raise PLMarkerError(f"{name}: the column {sorted(missing)[0]!r} is missing, found only {found}")

    def raw(document: Document) -> Document:
        is_typed = any(isinstance(row, dict) for rows in document.get("ner") or () for row in rows)
        return raw_document(document) if is_typed else document

    try:
        return dataset_of(typed_document(raw(document)) for document in dataset)
    except (KeyError, TypeError, ValueError) as error:
        raise PLMarkerError(f"{name}: the annotations do not have the fields of `DOCUMENT_FEATURES`: {error}") from None


def load_split(name: str | Path, split: str, schema: LabelSchema | None = None, annotated: bool = True) -> Dataset:
    """Load one split.

    Example:
        >>> load_split("sample", "dev").num_rows
        16

    Args:
        name: a name for `load_documents`. A single file has only one split, which is returned for every `split`.
        split: `train`, `validation` (or `dev`), `test`, or another split of a Hub dataset.
        schema: the allowed labels of JSONL files; None allows all labels.
        annotated: if true, it is an error if a JSONL file has no gold entity.

    Raises:
        PLMarkerError: if the data cannot be loaded, or if it does not have the split. The message names the splits that
            exist.
    """
    split = "validation" if split == "dev" else split
    datasets = load_documents(name, schema, annotated, split)
    if split in datasets:
        return datasets[split]
    if Path(name).is_file():
        return datasets["train"]
    raise PLMarkerError(f"{name}: there is no split {split!r}, only {', '.join(map(repr, datasets))}")


def _split_files(folder: Path) -> dict[str, Path]:
    """Return the JSONL file of each split. The first possible name that exists is used."""
    files: dict[str, Path] = {}
    for split, stems in SPLIT_FILE_STEMS.items():
        for path in (folder / (stem + ending) for stem in stems for ending in JSONL_ENDINGS):
            if path.is_file():
                files.setdefault(split, path)
    return files
