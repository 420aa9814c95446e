"""CoNLL columns: a word and its tag on every line, an empty line after every sentence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, groupby
from pathlib import Path
from typing import Any

from ...modeling.schema_plmarker import PLMarkerError
from ..documents import Document, numbered_lines
from ..files import whole_file
from ..report import ReadingReport
from ..tags import OUTSIDE, TagSpan, guess_scheme, iob2_tags, spans_of_tags
from .options import ReadingOptions

ENDINGS = (".conll", ".iob", ".iob2", ".bio", ".tsv", ".txt")
DOCUMENT_START = "-DOCSTART-"
# A comment of CoNLL-U, which keeps the names of documents.
DOCUMENT_NAME = "# newdoc id = "
# Other comments, as CoNLL-U and MultiCoNER have them before a sentence; a word "#" has but a tag behind it.
COMMENT = re.compile(r"# (?!newdoc id = )(?:\S+ = |id \S)")

# Line number, word and tag.
Row = tuple[int, str, str]


def read_columns(path: Path, report: ReadingReport, options: ReadingOptions) -> Iterator[Document]:
    """Stream the documents of a file of columns: the word in the first, the tag in the last.

    Columns are parted by tabs, or by spaces in a line without one. Documents begin at `-DOCSTART-`, or at a
    comment `# newdoc id = NAME`; in a file without either every sentence is a document, as its neighbours may be
    anything. The scheme of the tags, where `options.scheme` is `auto`, is told from the whole file.
    """
    scheme = options.scheme
    if scheme == "auto":
        # What is wrong is noted in the second reading.
        scheme = guess_scheme([tag for _, _, tag in rows] for _, rows in _sentences(path, ReadingReport()))
    # Of `eng.testa` the ending says which split it is.
    stem = path.stem if path.suffix in ENDINGS else path.name
    for (number, name), group in groupby(_sentences(path, report), key=lambda sentence: sentence[0]):
        sentences: list[list[str]] = []
        entities: list[list[TagSpan]] = []
        for _, rows in group:
            spans, mistakes = spans_of_tags([tag for _, _, tag in rows], scheme)
            for word, message, fatal in mistakes:
                report.problem(path, rows[word][0], message, fatal)
            sentences.append([word for _, word, _ in rows])
            entities.append(spans)
        yield document_of_words(name or f"{stem}-{number}", sentences, entities)


def document_of_words(key: str, sentences: list[list[str]], entities: Iterable[Iterable[TagSpan]]) -> Document:
    """A typed document.

    Args:
        entities: for each sentence (start, end inclusive, label), counted from its first word.
    """
    ner, first = [], 0
    for words, spans in zip(sentences, entities, strict=True):
        ner.append([{"start": first + start, "end": first + end, "label": label} for start, end, label in spans])
        first += len(words)
    return {
        "doc_key": key,
        "sentences": sentences,
        "ner": ner,
        "relations": None,
        "predicted_ner": None,
        "predicted_relations": None,
    }


def write_columns(path: str | Path, documents: Iterable[Mapping[str, Any]]) -> None:
    """Write the entities of flat documents in IOB2, a tab between word and tag; empty sentences are left out.

    Raises:
        PLMarkerError: for what columns cannot hold: nested entities, relations, white space in a word, and what would
            be read as the start of a document.
    """
    with whole_file(path) as file:
        for document in documents:
            key = document["doc_key"]
            if not any(document["sentences"]):
                raise PLMarkerError(f"document {key!r}: without words, which columns cannot hold")
            if any(document["relations"] or ()):
                raise PLMarkerError(f"document {key!r}: relations cannot be written as columns of tags")
            if any(character in key for character in "\r\n\t") or key != key.strip():
                raise PLMarkerError(f"document {key!r}: its name cannot stand in a line")
            file.write(f"{DOCUMENT_NAME}{key}\n")
            first = 0
            ner = document["ner"] or [[] for _ in document["sentences"]]
            for words, rows in zip(document["sentences"], ner, strict=True):
                entities = [(row["start"] - first, row["end"] - first, row["label"]) for row in rows]
                try:
                    tags = iob2_tags(entities, len(words))
                except ValueError as error:
                    raise PLMarkerError(f"document {key!r}: {error}") from None
                for word, tag in zip(words, tags, strict=True):
                    if word.split() != [word] or word == DOCUMENT_START or tag.split() != [tag]:
                        raise PLMarkerError(f"document {key!r}: {word!r}, tagged {tag!r}, cannot stand in a column")
                    file.write(f"{word}\t{tag}\n")
                file.write("\n" if words else "")
                first += len(words)


def _sentences(path: Path, report: ReadingReport) -> Iterator[tuple[tuple[int, str], list[Row]]]:
    """Number (from 1) and name of the document, and the lines of every sentence; the name may be empty."""
    document, name, marked = 0, "", False
    rows: list[Row] = []
    empty = True
    for number, line in chain(numbered_lines(path, empty=True), [(0, "")]):
        # A space that does not break belongs to a word.
        columns = line.rstrip("\r\n").split("\t") if "\t" in line else line.strip(" \r\n").split(" ")
        word = columns[0].strip() if columns else ""
        if not rows and COMMENT.match(line):
            report.counts["comments"] += 1
            continue
        is_mark = line.startswith(DOCUMENT_NAME) or word == DOCUMENT_START
        if rows and (is_mark or not line.strip()):
            document += not marked
            yield (document, name), rows
            rows = []
        if is_mark:
            document, marked = document + 1, True
            name = line[len(DOCUMENT_NAME) :].strip() if line.startswith(DOCUMENT_NAME) else ""
        elif line.strip() and (len(columns) < 2 or not word or not columns[-1].strip()):
            found = f"{word!r} alone" if word else "no word"
            report.problem(path, number, f"a line is a word and its tag in columns, got {found}")
        elif line.strip():
            empty = False
            rows.append((number, word, columns[-1].strip()))
    if empty:
        report.problem(path, 0, f"zero words with a tag, such as {OUTSIDE!r}")
