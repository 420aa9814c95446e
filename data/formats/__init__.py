"""File formats of annotated corpora.

Every format has a reader. JSONL, CoNLL columns and brat also have a writer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...modeling.schema_plmarker import PLMarkerError
from ..documents import Document, write_documents
from ..report import ReadingReport
from ..validation import read_jsonl, valid_documents, with_entities
from .ace import read_ace
from .brat import read_brat, write_brat
from .columns import COLUMN_ENDINGS, read_columns, write_columns
from .conll2012 import read_conll2012
from .docbin import read_docbin
from .json_entries import first_keys, has_lines, json_entries
from .mentions import has_mentions, read_mentions
from .offsets import read_offsets
from .options import Extent, ReadingOptions
from .webanno import is_webanno, read_webanno
from .words_json import WORD_KEYS, read_words_json

__all__ = ["FORMATS", "Extent", "Format", "ReadingOptions", "guess_format", "read_corpus"]


@dataclass(frozen=True)
class Format:
    """A file format of annotated corpora.

    Args:
        name: the name of the format in commands and in `FORMATS`.
        description: a few words for help texts.
        read: streams the documents of one file, or of one folder if `folders` is true. It adds problems and counts to
            the report.
        endings: how the names of its files end. They are used to guess a format and to find files in a folder.
        folders: true if `read` takes a whole folder.
        write: writes typed documents to a file, or to a folder if `folders` is true; None if the format has no writer.
        reading: the default reading options of the format.
    """

    name: str
    description: str
    read: Callable[[Path, ReadingReport, ReadingOptions], Iterator[Document]]
    endings: tuple[str, ...] = ()
    folders: bool = False
    write: Callable[[Path, Iterable[Mapping[str, Any]]], None] | None = None
    reading: ReadingOptions = field(default_factory=ReadingOptions)


def _read_jsonl(path: Path, report: ReadingReport, options: ReadingOptions) -> Iterator[Document]:
    return read_jsonl(path, report)


FORMATS = {
    format.name: format
    for format in (
        Format("jsonl", "one document per line", _read_jsonl, (".jsonl", ".json"), write=write_documents),
        Format("conll", "words and tags in columns", read_columns, COLUMN_ENDINGS, write=write_columns),
        Format("brat", ".txt and .ann files", read_brat, (".ann",), folders=True, write=write_brat),
        Format("offsets", "Label Studio, Prodigy or Doccano", read_offsets, (".jsonl", ".json")),
        Format("mentions", "entities by their texts, as language models give them", read_mentions, (".jsonl", ".json")),
        Format("words", "JSON of GLiNER or SpERT, or tokens with tags", read_words_json, (".jsonl", ".json")),
        Format("webanno", "WebAnno TSV 3", read_webanno, (".tsv",)),
        Format("docbin", "spaCy's DocBin", read_docbin, (".spacy",)),
        Format("conll2012", "OntoNotes' gold_conll files", read_conll2012, ("gold_conll",)),
        # Many ACE mentions end at a hyphen inside a word, and spaCy splits words there.
        Format("ace", ".sgm and .apf.xml files", read_ace, (".sgm",), folders=True,
               reading=ReadingOptions(words="spacy")),
    )
}  # fmt: skip


def guess_format(path: Path) -> Format:
    """Guess the format of a file or folder.

    The name decides. A JSON file can be in several formats, so its first objects decide between them.

    Example:
        `guess_format(Path("corpus/train.conll")).name` is `"conll"`.

    Args:
        path: an existing file or folder.

    Returns:
        The format. A folder has the format brat or ACE if it contains such files. Otherwise its first file with a known
        ending decides.

    Raises:
        PLMarkerError: if the path does not exist, or if the format is unknown.
    """
    if path.is_dir():
        for format in FORMATS.values():
            if format.folders and any(next(path.rglob(f"*{ending}"), None) for ending in format.endings):
                return format
        for file in sorted(path.rglob("*")):
            if file.is_file() and any(file.name.endswith(format.endings) for format in FORMATS.values()):
                return guess_format(file)
    elif not path.exists():
        raise PLMarkerError(f"{path}: no such file or folder")
    elif path.suffix in FORMATS["jsonl"].endings:
        keys, in_lines = first_keys(path), has_lines(path)
        if "sentences" in keys:
            return FORMATS["jsonl" if in_lines else "words"]
        if "text" not in keys and keys.intersection(WORD_KEYS):
            return FORMATS["words"]
        if "text" in keys and has_mentions(entry for _, entry in json_entries(path, ReadingReport())):
            return FORMATS["mentions"]
        return FORMATS["offsets" if keys & {"text", "data", "annotation_id"} or not in_lines else "jsonl"]
    elif path.suffix == ".txt" and path.with_suffix(".ann").is_file():
        return FORMATS["brat"]
    elif is_webanno(path):
        return FORMATS["webanno"]
    else:
        for format in FORMATS.values():
            if path.name.endswith(format.endings):
                return format
    kind = "folder" if path.is_dir() else "file"
    raise PLMarkerError(f"{path}: cannot guess the format of this {kind}, expected one of {', '.join(FORMATS)}")


def read_corpus(
    path: str | Path,
    report: ReadingReport,
    format: str | None = None,
    options: ReadingOptions | None = None,
    annotated: bool = True,
) -> Iterator[Document]:
    """Stream the documents of a file or folder in one of the `FORMATS`.

    A folder is read with all its subfolders. The documents are incomplete if `report.fatal` has problems after the last
    one.

    Example:
        >>> report = ReadingReport()
        >>> documents = list(read_corpus("data/sample/train.jsonl", report))
        >>> report.problems
        []

    Args:
        path: the file or folder.
        report: receives the problems and counts. Look at it after the last document.
        format: a key of `FORMATS`. None guesses the format from the file.
        options: settings that the files do not state. None takes the defaults of the format.
        annotated: if true, a corpus without a gold entity is a problem.

    Yields:
        Typed documents.

    Raises:
        PLMarkerError: if a file does not exist or is not text, if the format is unknown, or if it cannot be guessed.
    """
    path = Path(path)
    if format is not None and format not in FORMATS:
        raise PLMarkerError(f"there is no format {format!r}, only {', '.join(FORMATS)}")
    if not path.exists():
        raise PLMarkerError(f"{path}: no such file or folder")
    chosen = guess_format(path) if format is None else FORMATS[format]
    if path.suffix == ".txt" and chosen.name == "brat":
        path = path.with_suffix(".ann")
    files = [path]
    if path.is_dir() and not chosen.folders:
        files = sorted(file for file in path.rglob("*") if file.is_file() and file.name.endswith(chosen.endings))
        if not files:
            raise PLMarkerError(f"{path}: this folder has no file that ends in {' or '.join(chosen.endings)}")
    documents = (document for file in files for document in chosen.read(file, report, options or chosen.reading))
    # The JSONL reader has already checked each line.
    checked = documents if chosen.name == "jsonl" else valid_documents(documents, path, report)
    yield from with_entities(checked, path, report, annotated)
