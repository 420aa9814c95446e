"""File formats of annotated corpora.

Every format has a reader. JSONL, CoNLL columns and brat also have a writer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...modeling.schema_plmarker import PLMarkerError
from ..documents import Document, write_documents
from ..files import has_ending, partner, visible_files
from ..report import ReadingReport
from ..validation import read_jsonl, valid_documents, with_entities
from .ace import read_ace
from .brat import read_brat, write_brat
from .columns import COLUMN_ENDINGS, SPLIT_ENDINGS, is_wikiner, read_columns, write_columns
from .conll2012 import is_conll2012, read_conll2012
from .docbin import read_docbin
from .folders import DESCRIPTION, CorpusFolder, find_corpora, joined_splits
from .genia import is_genia, read_genia
from .json_entries import first_keys, has_lines, json_entries
from .mentions import has_mentions, read_mentions
from .offsets import read_offsets
from .options import Extent, ReadingOptions
from .pubtator import is_pubtator, read_pubtator
from .unread import JSON_ENDINGS, LABELS_NAME, unread_kind
from .webanno import is_webanno, read_webanno
from .words_json import WORD_KEYS, counts_words, read_words_json

__all__ = [
    "FORMATS",
    "Extent",
    "Format",
    "ReadingOptions",
    "check_options",
    "common_format",
    "folder_corpora",
    "guess_format",
    "read_corpus",
]


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
        uses: the names of the fields of `ReadingOptions` that `read` uses.
    """

    name: str
    description: str
    read: Callable[[Path, ReadingReport, ReadingOptions], Iterator[Document]]
    endings: tuple[str, ...] = ()
    folders: bool = False
    write: Callable[[Path, Iterable[Mapping[str, Any]]], None] | None = None
    reading: ReadingOptions = field(default_factory=ReadingOptions)
    uses: tuple[str, ...] = ()


def _read_jsonl(path: Path, report: ReadingReport, options: ReadingOptions) -> Iterator[Document]:
    return read_jsonl(path, report)


# Files of a folder without a known ending that are looked at.
MOST_LOOKED_AT = 100
# The options of formats whose words are found in raw text.
OF_TEXT = ("words", "language")
FORMATS = {
    format.name: format
    for format in (
        Format("jsonl", "one document per line", _read_jsonl, JSON_ENDINGS, write=write_documents),
        Format("conll", "words and tags in columns", read_columns, (*COLUMN_ENDINGS, *SPLIT_ENDINGS),
               write=write_columns, uses=("scheme", "columns")),
        Format("brat", ".txt and .ann files", read_brat, (".ann",), folders=True, write=write_brat, uses=OF_TEXT),
        Format("offsets", "Label Studio, Prodigy or Doccano", read_offsets, JSON_ENDINGS, uses=(*OF_TEXT, "annotator")),
        Format("mentions", "entities by their texts, as language models give them", read_mentions, JSON_ENDINGS,
               uses=(*OF_TEXT, "occurrences")),
        Format("words", "JSON of GLiNER, SpERT or OneIE, or tokens with tags", read_words_json, JSON_ENDINGS,
               uses=("scheme",)),
        Format("webanno", "WebAnno TSV 3", read_webanno, (".tsv",)),
        Format("pubtator", "PubTator", read_pubtator, (".pubtator.txt", ".pubtator"), uses=OF_TEXT),
        Format("genia", "GENIA's XML", read_genia, (".xml",), uses=OF_TEXT),
        Format("docbin", "spaCy's DocBin", read_docbin, (".spacy",), uses=("language",)),
        Format("conll2012", "OntoNotes' gold_conll files", read_conll2012, ("gold_conll",)),
        # Many ACE mentions end at a hyphen inside a word, and spaCy splits words there.
        Format("ace", ".sgm and .apf.xml files", read_ace, (".sgm",), folders=True,
               reading=ReadingOptions(words="spacy"), uses=(*OF_TEXT, "extent")),
    )
}  # fmt: skip


ALL_ENDINGS = tuple(ending for format in FORMATS.values() for ending in format.endings)

# Formats that the first lines of a file show.
SHOWN = {"webanno": is_webanno, "pubtator": is_pubtator, "genia": is_genia, "conll2012": is_conll2012}


def guess_format(path: Path) -> Format:
    """Guess the format of a file or folder.

    The name decides. A JSON file can be in two formats, so its first object decides between them.

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
        visible = visible_files(path)
        for format in FORMATS.values():
            if format.folders and any(has_ending(file, format.endings) for file in visible):
                return format
        files, _ = _data_files(path, ALL_ENDINGS)
        for file in files:
            if unread_kind(file) is None:
                return guess_format(file)
        for file in files or [file for file in visible if not DESCRIPTION.fullmatch(file.name)][:MOST_LOOKED_AT]:
            if kind := unread_kind(file):
                raise PLMarkerError(f"{file}: this is {kind}")
    elif not path.exists():
        raise PLMarkerError(f"{path}: no such file or folder")
    elif kind := unread_kind(path):
        raise PLMarkerError(f"{path}: this is {kind}")
    elif has_ending(path, JSON_ENDINGS):
        keys, in_lines = first_keys(path), has_lines(path)
        if "sentences" in keys:
            return FORMATS["jsonl" if in_lines else "words"]
        if keys.intersection(WORD_KEYS) and ("text" not in keys or counts_words(path)):
            return FORMATS["words"]
        if "text" in keys and has_mentions(entry for _, entry in json_entries(path, ReadingReport())):
            return FORMATS["mentions"]
        if keys <= {"entities", "relations"} and keys:
            raise PLMarkerError(f"{path}: this names the labels of a corpus and has no documents")
        return FORMATS["offsets" if keys & {"text", "data", "annotation_id"} or not in_lines else "jsonl"]
    elif has_ending(path, ".csv"):
        # Some have tabs all the same: a format that is named is read.
        raise PLMarkerError(
            f"{path}: this is a table of comma-separated values: write tabs between the columns (.tsv); if it has "
            "tabs, name the format conll"
        )
    elif has_ending(path, ".txt") and partner(path, ".txt", ".ann").is_file():
        return FORMATS["brat"]
    elif has_ending(path, ".gz"):
        raise PLMarkerError(f"{path}: this file is packed: unpack it, since only `plmarker predict` reads .gz")
    else:
        for name, shows in SHOWN.items():
            if shows(path):
                return FORMATS[name]
        for format in FORMATS.values():
            if has_ending(path, format.endings):
                return format
        if is_wikiner(path):
            return FORMATS["conll"]
    kind = "folder" if path.is_dir() else "file"
    raise PLMarkerError(f"{path}: cannot guess the format of this {kind}, expected one of {', '.join(FORMATS)}")


def common_format(paths: Sequence[Path]) -> Format:
    """Guess the one format of files or folders.

    Raises:
        PLMarkerError: where the format of the first one is unknown, or where two of them have different formats.
    """
    first = guess_format(paths[0])
    for path in paths[1:]:
        try:
            found = guess_format(path)
        except PLMarkerError:
            # The reader of the first format says what is wrong, if anything is.
            continue
        if first.folders and path.is_dir() and all(has_ending(file, ".txt") for file in visible_files(path)):
            # Texts whose annotations are missing.
            continue
        # A file of JSON without annotations may be in several formats.
        if found.endings != first.endings:
            raise PLMarkerError(
                f"{paths[0]} is read as {first.name}, and {path} as {found.name}, expected one format for all splits; "
                "`plmarker data export` changes that of a file"
            )
    return first


def check_options(path: str | Path, format: str, options: ReadingOptions) -> None:
    """Make sure that a format uses all options that differ from their defaults.

    Example:
        `check_options("train.conll", "conll", ReadingOptions(language="de"))` raises an error.

    Args:
        path: what is read, for the message.
        format: a key of `FORMATS`.
        options: how it is read.

    Raises:
        PLMarkerError: for an option that would have no effect, naming the formats that use it.
    """
    for name in options.changed():
        if name not in FORMATS[format].uses:
            users = ", ".join(found.name for found in FORMATS.values() if name in found.uses)
            raise PLMarkerError(
                f"{path}: the option {name} has no effect on the format {format}; it is for the formats {users}"
            )


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
        PLMarkerError: if a file does not exist or is not text, if the format is unknown or cannot be guessed, or if it
            does not use an option that differs from its default.
    """
    path = Path(path)
    if format is not None and format not in FORMATS:
        raise PLMarkerError(f"there is no format {format!r}, only {', '.join(FORMATS)}")
    if not path.exists():
        raise PLMarkerError(f"{path}: no such file or folder")
    chosen = guess_format(path) if format is None else FORMATS[format]
    options = options or chosen.reading
    check_options(path, chosen.name, options)
    if has_ending(path, ".txt") and chosen.name == "brat":
        path = partner(path, ".txt", ".ann")
    files = [path]
    if path.is_dir() and not chosen.folders:
        files = []
        found, left_out = _data_files(path, ALL_ENDINGS)
        for file, reason in left_out.items():
            report.problem(file, 0, f"left out: {reason}", fatal=False)
        for file in found:
            is_shown = chosen.name in SHOWN and SHOWN[chosen.name](file)
            if not (has_ending(file, chosen.endings) or is_shown or (not file.suffix and chosen.name == "conll")):
                report.problem(file, 0, f"left out: this folder is read as {chosen.name}", fatal=False)
            elif kind := unread_kind(file):
                report.problem(file, 0, f"left out: this is {kind}", fatal=False)
            else:
                files.append(file)
        if not files:
            raise PLMarkerError(f"{path}: this folder has no file that ends in {' or '.join(chosen.endings)}")
    if path.is_dir() and chosen.folders:
        _note_other_files(path, chosen, report)
    if path.is_dir():
        # The names of brat's and ACE's files are titles of documents.
        _note_joined_splits(path, [] if chosen.folders else files, report)
    for file in files:
        _check_kind(file, chosen.name)
    documents = _documents(path, files, chosen, report, options)
    # The JSONL reader has already checked each line.
    checked = documents if chosen.name == "jsonl" else valid_documents(documents, path, report)
    yield from with_entities(checked, path, report, annotated)


def folder_corpora(source: Path, format: str | None = None) -> dict[str, CorpusFolder]:
    """The corpora of a folder with their splits, as `find_corpora` finds them. A file is one corpus without splits.

    Args:
        source: the file or folder.
        format: a key of `FORMATS`; None allows all of them.

    Raises:
        PLMarkerError: if the path does not exist, or if two files could be the same split.
    """
    if not source.exists():
        raise PLMarkerError(f"{source}: no such file or folder")
    if not source.is_dir():
        return {"": CorpusFolder()}
    formats = FORMATS.values() if format is None else [FORMATS[format]]
    endings = tuple(ending for found in formats for ending in found.endings)
    return find_corpora(source, lambda path: _may_be_read(path, endings))


def _may_be_read(path: Path, endings: tuple[str, ...]) -> bool:
    """Whether a file may be one of a corpus. Many tools write XML beside a corpus, which is none."""
    return has_ending(path, endings) and (not has_ending(path, ".xml") or is_genia(path))


def _data_files(folder: Path, endings: tuple[str, ...]) -> tuple[list[Path], dict[Path, str]]:
    """The files of a folder and its subfolders, without descriptions.

    Returns:
        The files that are read, and with a reason those that are not: lists of labels, and files that repeat a split.
    """
    files = [
        path
        for path in visible_files(folder)
        if (_may_be_read(path, endings) or (not path.suffix and is_wikiner(path)))
        and not DESCRIPTION.fullmatch(path.name)
    ]
    left_out = {path: "it names the labels" for path in files if LABELS_NAME.fullmatch(path.name)}
    for paths in _by_folder(files).values():
        left_out |= joined_splits(paths)[0]
    return [path for path in files if path not in left_out], left_out


def _note_other_files(folder: Path, format: Format, report: ReadingReport) -> None:
    """Warn of files of other formats in a folder whose reader takes the whole folder."""
    # Texts belong to these formats, and their readers name those that have no annotations.
    other = tuple(ending for ending in ALL_ENDINGS if ending not in (*format.endings, ".txt"))
    files = _data_files(folder, other)[0]
    if files:
        more = "" if len(files) == 1 else f", and {len(files) - 1} more"
        report.problem(files[0], 0, f"left out{more}: this folder is read as {format.name}", fatal=False)


def _note_joined_splits(folder: Path, files: list[Path], report: ReadingReport) -> None:
    """Warn where a file or subfolder joins splits that are beside it."""
    folders = [path for path in folder.rglob("*") if path.is_dir()]
    for paths in _by_folder([*folders, *files]).values():
        repeating, overlapping = joined_splits(paths)
        for path, reason in overlapping.items():
            report.problem(path, 0, reason, fatal=False)
        for path, reason in repeating.items():
            report.problem(path, 0, f"{reason}: its documents may be read twice", fatal=False)


def _by_folder(paths: Iterable[Path]) -> dict[Path, list[Path]]:
    found: dict[Path, list[Path]] = {}
    for path in paths:
        found.setdefault(path.parent, []).append(path)
    return found


def _check_kind(path: Path, format: str) -> None:
    """Raise `PLMarkerError` for a file that is shown to be of another format than the one that it is read in."""
    if kind := unread_kind(path):
        raise PLMarkerError(f"{path}: this is {kind}")
    for name, shows in SHOWN.items():
        # The rows of CoNLL-2012 are columns as well.
        if name not in (format, "conll2012") and shows(path):
            raise PLMarkerError(
                f"{path}: this is {FORMATS[name].description}, expected {format}; the format {name} reads it"
            )


def _documents(
    path: Path, files: list[Path], format: Format, report: ReadingReport, options: ReadingOptions
) -> Iterator[Document]:
    """The documents of all files. A name that an earlier file has too gets the name of its file before it."""
    earlier: set[str] = set()
    for file in files:
        names = set()
        for document in format.read(file, report, options):
            name = document["doc_key"]
            if name in earlier:
                document = {**document, "doc_key": f"{file.relative_to(path).with_suffix('').as_posix()}/{name}"}
                report.counts["names that two files have"] += 1
            names.add(name)
            yield document
        earlier |= names


def __getattr__(name: str) -> Any:
    """Load `documents_of_tokens` when it is asked for: it needs `datasets`, which the readers of files do not."""
    if name == "documents_of_tokens":
        from ..tokens import documents_of_tokens

        return documents_of_tokens
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
