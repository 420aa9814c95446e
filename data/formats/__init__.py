"""File formats of annotated corpora: one reader each, and writers where others read what is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...modeling.schema_plmarker import PLMarkerError
from ..documents import Document, numbered_lines, parse_line, write_documents
from ..report import ReadingReport
from ..validation import read_jsonl, right_documents, with_entities
from .ace import read_ace
from .brat import read_brat, write_brat
from .columns import ENDINGS as COLUMN_ENDINGS
from .columns import read_columns, write_columns
from .conll2012 import read_conll2012
from .docbin import read_docbin
from .offsets import read_offsets
from .options import Extent, ReadingOptions
from .tokens import documents_of_tokens

__all__ = ["FORMATS", "Extent", "Format", "ReadingOptions", "documents_of_tokens", "guess_format", "read_corpus"]


@dataclass(frozen=True)
class Format:
    """A way in which corpora lie on disk.

    Args:
        name: as commands take it.
        description: what it is, in a few words.
        read: streams the documents of a file, or of a folder, and notes what is wrong in the report.
        endings: of its files; empty for what the ending does not tell.
        folders: a corpus is a folder, not a file.
        write: writes typed documents, where that is possible.
        reading: how its files are read where nobody says otherwise.
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
    found.name: found
    for found in (
        Format("jsonl", "one document a line", _read_jsonl, (".jsonl", ".json"), write=write_documents),
        Format("conll", "words and tags in columns", read_columns, COLUMN_ENDINGS,
               write=write_columns),
        Format("brat", ".txt and .ann files", read_brat, (".ann",), folders=True, write=write_brat),
        Format("offsets", "Label Studio, Prodigy or Doccano", read_offsets, (".jsonl", ".json")),
        Format("docbin", "spaCy's DocBin", read_docbin, (".spacy",)),
        Format("conll2012", "OntoNotes' gold_conll files", read_conll2012, ("gold_conll",)),
        # spaCy also cuts at hyphens, inside which many mentions end.
        Format("ace", ".sgm and .apf.xml files", read_ace, (".sgm",), folders=True,
               reading=ReadingOptions(words="spacy")),
    )
}  # fmt: skip


def guess_format(path: Path) -> Format:
    """Tell the format of a file or folder from its name, and of JSON from its first object.

    Raises:
        PLMarkerError: for a missing path, and for one whose format cannot be told.
    """
    if path.is_dir():
        for found in FORMATS.values():
            if found.folders and any(next(path.rglob(f"*{ending}"), None) for ending in found.endings):
                return found
        for file in sorted(path.rglob("*")):
            if file.is_file() and any(file.name.endswith(found.endings) for found in FORMATS.values()):
                return guess_format(file)
    elif not path.exists():
        raise PLMarkerError(f"{path}: no such file or folder")
    elif path.suffix in FORMATS["jsonl"].endings:
        first = next((line for _, line in numbered_lines(path)), "")
        if first.lstrip().startswith("["):
            return FORMATS["offsets"]
        try:
            keys = set(parse_line(first))
        except ValueError:
            keys = set()
        return FORMATS["offsets" if "sentences" not in keys and keys & {"text", "data"} else "jsonl"]
    elif path.suffix == ".txt" and path.with_suffix(".ann").is_file():
        return FORMATS["brat"]
    else:
        for found in FORMATS.values():
            if path.name.endswith(found.endings):
                return found
    raise PLMarkerError(f"{path}: which format it has cannot be told; it is one of {', '.join(FORMATS)}")


def read_corpus(
    path: str | Path,
    report: ReadingReport,
    format: str | None = None,
    options: ReadingOptions | None = None,
    annotated: bool = True,
) -> Iterator[Document]:
    """Stream the documents of a file or folder in any of the `FORMATS`; of a folder, those of all its files.

    Args:
        report: gets everything that is wrong, changed or left out.
        format: its name; None to tell it from the file.
        options: how to read what the format leaves open; by default as the format says.
        annotated: documents without a single gold entity among them are a problem.

    Raises:
        PLMarkerError: for a missing file, one that is not text, and a format that is unknown or cannot be told.
    """
    path = Path(path)
    if format is not None and format not in FORMATS:
        raise PLMarkerError(f"there is no format {format!r}, only {', '.join(FORMATS)}")
    if not path.exists():
        raise PLMarkerError(f"{path}: no such file or folder")
    found = guess_format(path) if format is None else FORMATS[format]
    if path.suffix == ".txt" and found.name == "brat":
        path = path.with_suffix(".ann")
    files = [path]
    if path.is_dir() and not found.folders:
        files = sorted(file for file in path.rglob("*") if file.is_file() and file.name.endswith(found.endings))
        if not files:
            raise PLMarkerError(f"{path}: no file that ends in {' or '.join(found.endings)}")
    documents = (document for file in files for document in found.read(file, report, options or found.reading))
    # The JSONL's own reader has checked each line.
    checked = documents if found.name == "jsonl" else right_documents(documents, path, report)
    yield from with_entities(checked, path, report, annotated)
