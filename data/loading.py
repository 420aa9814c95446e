"""Load documents by name: the sample corpus, a file, a folder, or a dataset of the Hub."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict, NamedSplit, get_dataset_split_names, load_dataset
from datasets.inspect import SplitsNotFoundError
from huggingface_hub import HfApi

from ..hub_access import check_reachable
from ..modeling.schema_plmarker import LabelSchema, PLMarkerError, one_sentence
from .documents import Document, raw_document, typed_document
from .files import has_ending
from .formats import FORMATS, ReadingOptions, check_options, folder_corpora, guess_format, read_corpus
from .progress import progress_bars_on_terminals
from .report import ReadingReport, raise_problems
from .tables import (
    DOCUMENT_FEATURES,
    WEIGHTED_FEATURES,
    dataset_of,
    features_of_files,
    unwrap_generation_errors,
)
from .tokens import documents_of_tokens, token_columns
from .validation import check_labels, stream_documents

logger = logging.getLogger(__name__)

# Increase this number if the same file gives other documents than before. The cache of `datasets` depends on it.
READING_VERSION = 2
SAMPLE = "sample"
SAMPLE_FOLDER = Path(__file__).parent / "sample"
SAMPLE_SYMMETRIC = ("SPOUSE_OF",)

SPLITS = ("train", "validation", "test")
# Files of a folder that `save_to_disk` has written.
SAVED_DATASETS = (("dataset_dict.json",), ("state.json", "dataset_info.json"))
ENDINGS = tuple(ending for format in FORMATS.values() for ending in format.endings)


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
            - A file in one of the formats of `plmarker.data.formats`, such as JSONL. It becomes the split `train`.
            - A folder with such files or folders for `train`, `validation` (or `dev`) and `test`, as `FilesBuilder`
              finds them.
            - A dataset for `datasets.load_dataset`: a Hub id, or a folder that `plmarker data build` made.
        schema: the allowed labels of files; None allows all labels.
        annotated: if true, it is an error if a file has no gold entity.
        split: read only this split, where there are several. If the data does not have it, all splits are read.
        config_name: a configuration of the dataset, such as a fold of ACE04. It is a configuration of a Hub dataset, or
            a subfolder of a local folder.
        occurrences: which occurrences of entities are annotated that are given by their texts alone: `all`, `nearest`
            or `first`, see `place_mentions`.

    Returns:
        Splits with `DOCUMENT_FEATURES`, and with a column `weight` where a document has a weight.

    Raises:
        PLMarkerError: if the file, folder or configuration does not exist, if its format does not use `occurrences`, or
            if a file has problems. The message lists the problems.
    """
    if not isinstance(name, str | Path):
        raise PLMarkerError(f"expected a file, a folder or a Hub id, got {type(name).__name__}")
    path = SAMPLE_FOLDER if name == SAMPLE else Path(name)
    if any(all((path / file).is_file() for file in files) for files in SAVED_DATASETS):
        raise PLMarkerError(f"{path}: save_to_disk wrote this folder; datasets.load_from_disk reads it")
    if config_name is not None and (path / config_name).is_dir():
        return load_documents(path / config_name, schema, annotated, split, occurrences=occurrences)
    if config_name is not None and path.exists():
        folders = sorted(folder.name for folder in path.iterdir() if folder.is_dir()) if path.is_dir() else []
        found = ", ".join(folders) or "files"
        raise PLMarkerError(f"{path}: there is no folder {config_name!r} in it, only {found}")
    if path.is_file():
        return DatasetDict(train=_load_files([path], "train", schema, annotated, occurrences))
    files = _split_files(path)
    if split in files:
        files = {split: files[split]}
    if files:
        return DatasetDict(
            {split: _load_files(found, split, schema, annotated, occurrences) for split, found in files.items()}
        )
    if path.is_dir() and not any(path.glob("**/*.parquet")) and not (path / "README.md").exists():
        expected = ", ".join(f"{split}.jsonl" for split in SPLITS)
        raise PLMarkerError(
            f"{path}: this folder has no files of splits, expected {expected} (other formats and dev are allowed)"
        )
    if not path.exists() and (has_ending(path, ENDINGS) or len(path.parts) != 2 or path.is_absolute()):
        raise PLMarkerError(f"{path}: no such file or folder, and not a Hub id such as owner/name")
    if occurrences != ReadingOptions.occurrences:
        raise PLMarkerError(f"{name}: the option occurrences has no effect on a dataset of the Hub or of Parquet files")
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


def _load_files(
    paths: list[Path], split: str, schema: LabelSchema | None, annotated: bool, occurrences: str
) -> Dataset:
    """Load the files of a split into the cache of `datasets`. The results of `map` are then cached too."""
    for path in paths if occurrences != ReadingOptions.occurrences else ():
        check_options(path, guess_format(path).name, ReadingOptions(occurrences=occurrences))
    files = [file for path in paths for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    states = [(file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    arguments = {
        # `datasets` takes a list for one that it may read in parts.
        "paths": tuple(str(path) for path in paths),
        "schema": schema,
        "annotated": annotated,
        "occurrences": occurrences,
    }
    with unwrap_generation_errors(), progress_bars_on_terminals():
        dataset: Any = Dataset.from_generator(
            _generate_documents,
            features=features_of_files(files),
            split=NamedSplit(split),
            gen_kwargs={**arguments, "states": tuple(states), "version": READING_VERSION},
        )
    return dataset


def _generate_documents(
    paths: tuple[str, ...],
    schema: LabelSchema | None,
    annotated: bool,
    occurrences: str,
    states: tuple[tuple[int, int], ...],
    version: int,
) -> Iterator[Document]:
    """Stream the documents of files. `states` and `version` are only here because the cache key must depend on them."""
    for path in paths:
        if Path(path).is_file() and _is_jsonl(Path(path)):
            documents = stream_documents(path, schema, annotated)
        else:
            documents = _documents_of_format(path, schema, annotated, occurrences)
        for document in documents:
            yield {name: document.get(name) for name in WEIGHTED_FEATURES}


def _documents_of_format(
    path: str, schema: LabelSchema | None, annotated: bool, occurrences: str
) -> Iterator[Document]:
    """Stream the documents of a file or folder, and log warnings and how annotations were aligned.

    Raises:
        PLMarkerError: if there are fatal problems. The message lists the first ten.
    """
    report = ReadingReport()
    found = guess_format(Path(path))
    options = replace(found.reading, occurrences=occurrences)
    for document in read_corpus(path, report, found.name, options, annotated):
        check_labels(document, schema, path)
        yield document
    raise_problems(report.fatal)
    for problem in report.problems:
        logger.warning("%s", problem)
    if report.summary():
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


def _split_files(folder: Path) -> dict[str, list[Path]]:
    """The files of each split of a folder; none where it is a dataset that `datasets` reads.

    Raises:
        PLMarkerError: if the folder has several corpora.
    """
    if not folder.is_dir() or any(folder.glob("**/*.parquet")):
        return {}
    corpora = folder_corpora(folder)
    if "" not in corpora:
        raise PLMarkerError(f"{folder}: several corpora are in this folder, {', '.join(corpora)}: name one of them")
    splits = corpora[""].splits
    card = folder / "README.md"
    has_card = card.is_file() and card.read_bytes().startswith(b"---")
    if has_card and not all(_is_jsonl(path) for paths in splits.values() for path in paths):
        # A dataset with a card, whose files are described there.
        return {}
    # The folder of the sample also has a raw text.
    for path, reason in corpora[""].left_out.items() if folder != SAMPLE_FOLDER else ():
        logger.warning("%s: left out: %s", path, reason)
    for path, reason in corpora[""].overlapping.items():
        logger.warning("%s: %s", path, reason)
    return splits


def _is_jsonl(path: Path) -> bool:
    try:
        return guess_format(path).name == "jsonl"
    except PLMarkerError:
        return False
