"""A dataset by name: a Hub id, a folder, a file, or the sample corpus."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict, load_dataset
from huggingface_hub import HfApi

from ..modeling.schema_plmarker import LabelSchema, PLMarkerError
from .documents import DOCUMENT_FEATURES, Document, dataset_of, raw_document, typed_document
from .formats.tokens import documents_of_tokens, token_columns
from .progress import bars_on_terminals
from .report import own_errors
from .validation import stream_documents

# Raise it when the same file gives other documents.
READING_VERSION = 1
SAMPLE = "sample"
SAMPLE_FOLDER = Path(__file__).parent / "sample"
SAMPLE_SYMMETRIC = ("SPOUSE_OF",)

# File names of a split, without the ending.
SPLIT_NAMES = {"train": ("train",), "validation": ("validation", "valid", "dev"), "test": ("test",)}
ENDINGS = (".jsonl", ".json")


def load_documents(
    name: str | Path,
    schema: LabelSchema | None = None,
    annotated: bool = True,
    split: str | None = None,
    part: str | None = None,
) -> DatasetDict:
    """Load documents as a typed `DatasetDict`.

    Args:
        name: `sample`, a JSONL file (one split, `train`), a folder with `train`, `dev` or `validation`, and `test`
            as `.jsonl` or `.json`, or whatever `datasets.load_dataset` takes.
        schema: where given, labels outside it are errors.
        annotated: a file without gold entities is an error.
        split: of a folder of JSONL files, read this one alone, where it is there.
        part: of a dataset in parts, such as the folds of ACE04, one of them: a folder in it, or a configuration of a
            Hub dataset.

    Raises:
        PLMarkerError: for a missing folder or file, and for files with problems, which it lists.
    """
    path = SAMPLE_FOLDER if name == SAMPLE else Path(name)
    if part is not None and (path / part).is_dir():
        return load_documents(path / part, schema, annotated, split)
    if part is not None and path.exists():
        there = ", ".join(sorted(folder.name for folder in path.iterdir() if folder.is_dir())) if path.is_dir() else ""
        raise PLMarkerError(f"{path}: no folder {part!r} in it, only {there or 'files'}")
    if path.is_file() and path.suffix not in ENDINGS:
        raise PLMarkerError(f"{path}: not {' or '.join(ENDINGS)}; `plmarker data convert` makes it from other formats")
    if path.is_file():
        return DatasetDict(train=_from_file(path, schema, annotated))
    files = _split_files(path)
    if split in files:
        files = {split: files[split]}
    if files:
        return DatasetDict({split: _from_file(file, schema, annotated) for split, file in files.items()})
    if path.is_dir() and not any(path.glob("**/*.parquet")) and not (path / "README.md").exists():
        names = ", ".join(f"{split}.jsonl" for split in SPLIT_NAMES)
        raise PLMarkerError(f"{path}: no {names} (or .json, or dev for validation) in this folder")
    if not path.exists() and (path.suffix in ENDINGS or len(path.parts) != 2 or path.is_absolute()):
        raise PLMarkerError(f"{path}: no such file or folder, nor a Hub id of the form owner/name")
    loaded = load_dataset(str(name), part) if part is not None else load_dataset(str(name))
    return DatasetDict({split: _typed(dataset, f"{name}, {split}") for split, dataset in loaded.items()})


def dataset_revision(name: str | Path) -> str | None:
    """The commit that a dataset's Hub repository is at; None for what lies elsewhere, and where the Hub is silent."""
    if name == SAMPLE or Path(name).exists():
        return None
    try:
        return HfApi().dataset_info(str(name)).sha
    except Exception:  # The data is there already: whatever keeps the Hub from answering is no reason to stop.
        return None


def _from_file(path: Path, schema: LabelSchema | None, annotated: bool) -> Dataset:
    """The documents of a JSONL file, on disk in datasets' cache: what is made of them by `map` is cached there too."""
    state = path.stat()
    arguments = {"path": str(path), "schema": schema, "annotated": annotated}
    with own_errors(), bars_on_terminals():
        made: Any = Dataset.from_generator(
            _documents,
            features=DOCUMENT_FEATURES,
            gen_kwargs={**arguments, "state": (state.st_size, state.st_mtime_ns), "version": READING_VERSION},
        )
    return made


def _documents(
    path: str, schema: LabelSchema | None, annotated: bool, state: tuple[int, int], version: int
) -> Iterator[Document]:
    """A file's documents; `state` and `version` are part of what datasets finds them by."""
    yield from stream_documents(path, schema, annotated)


def _typed(dataset: Dataset, name: str) -> Dataset:
    """A dataset from elsewhere with the columns and types of `DOCUMENT_FEATURES`; lists become objects."""
    if dataset.features == DOCUMENT_FEATURES:
        return dataset
    if "sentences" not in dataset.column_names and token_columns(dataset.column_names):
        return documents_of_tokens(dataset, source=Path(name).name.replace(", ", "-"))
    missing = {"doc_key", "sentences"} - set(dataset.column_names)
    if missing:
        raise PLMarkerError(f"{name}: no column {sorted(missing)[0]!r}, only {', '.join(dataset.column_names)}")

    def raw(document: Document) -> Document:
        is_typed = any(isinstance(row, dict) for rows in document.get("ner") or () for row in rows)
        return raw_document(document) if is_typed else document

    try:
        return dataset_of(typed_document(raw(document)) for document in dataset)
    except (KeyError, TypeError, ValueError) as error:
        raise PLMarkerError(f"{name}: annotations are not as plmarker's documents have them, {error}") from None


def load_split(name: str | Path, split: str, schema: LabelSchema | None = None, annotated: bool = True) -> Dataset:
    """Load one split; `dev` means `validation`, and a single file is whatever split it is asked for.

    Args:
        name, schema, annotated: as `load_documents` takes them.

    Raises:
        PLMarkerError: as `load_documents` does, and naming the splits that there are where this one is not.
    """
    split = "validation" if split == "dev" else split
    datasets = load_documents(name, schema, annotated, split)
    if split in datasets:
        return datasets[split]
    if Path(name).is_file():
        return datasets["train"]
    raise PLMarkerError(f"{name}: no split {split!r}, only {', '.join(map(repr, datasets))}")


def _split_files(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for split, stems in SPLIT_NAMES.items():
        for path in (folder / (stem + ending) for stem in stems for ending in ENDINGS):
            if path.is_file():
                found.setdefault(split, path)
    return found
