"""Read the `*_gold_conll` files of OntoNotes 5, in the layout of the CoNLL-2012 shared task.

A document begins with `#begin document (NAME); part N` and ends with `#end document`. The fourth column is the word.
The eleventh column has the named entities in brackets, such as `(PERSON*`, `*`, `*)` or `(GPE)`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ..documents import Document, lines_with_numbers
from ..report import ReadingReport
from ..tags import TaggedEntity
from .columns import document_of_words
from .options import ReadingOptions

DOCUMENT_BEGIN = re.compile(r"#begin document \((.*)\); part (\d+)")
WORD_COLUMN, ENTITY_COLUMN = 3, 10
# The shared task distributes its files with this placeholder in place of every word.
MISSING_WORD = "[WORD]"
_BRACKETS = re.compile(r"(\(([^()*]+))?\*?(\))?")


def is_conll2012(path: Path) -> bool:
    """Whether the first line of a file begins a document of CoNLL-2012."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return DOCUMENT_BEGIN.match(file.readline(1000).decode("utf-8", "replace")) is not None


def read_conll2012(path: Path, report: ReadingReport, options: ReadingOptions) -> Iterator[Document]:
    """Stream the documents of a file. Each part of a document becomes a document with the name `NAME_PART`.

    Args:
        path: the file.
        report: receives the problems with their lines.
        options: not used by this format.

    Yields:
        Typed documents without relations. A document without words is left out.

    Raises:
        PLMarkerError: if the file does not exist or is not UTF-8 text.
    """
    key: str | None = None
    sentences: list[list[str]] = []
    entities: list[list[TaggedEntity]] = []
    words: list[str] = []
    sentence_entities: list[TaggedEntity] = []
    # First word and label of the open entity.
    opened: tuple[int, str] | None = None
    has_words = False
    for number, line in lines_with_numbers(path, keep_empty=True):
        line = line.strip()
        if line.startswith("#begin document"):
            match = DOCUMENT_BEGIN.fullmatch(line)
            if match is None or key is not None:
                nested = f"a document begins inside document {key!r}, expected '#end document' first"
                malformed = f"expected '#begin document (NAME); part N', got {line!r}"
                report.problem(path, number, nested if match else malformed)
            key = f"{match[1]}_{int(match[2])}" if match else line
            sentences, entities, words, sentence_entities, opened = [], [], [], [], None
            continue
        is_end = line.startswith("#end document")
        if (is_end or not line) and words:
            if opened:
                message = f"entity {opened[1]!r} is not closed, expected ')' before the end of its sentence"
                report.problem(path, number, message)
            sentences.append(words)
            entities.append(sentence_entities)
            words, sentence_entities, opened = [], [], None
        if is_end and key is not None:
            if sentences:
                yield document_of_words(key, sentences, entities)
            key = None
        if is_end or not line:
            continue
        columns = line.split()
        if key is None or len(columns) <= ENTITY_COLUMN + 1:
            outside = "this line is outside a document, expected '#begin document (NAME); part N' first"
            too_few = f"a line has 12 or more columns, got {len(columns)}"
            report.problem(path, number, outside if key is None else too_few)
            continue
        has_words = True
        word, bracket = columns[WORD_COLUMN], columns[ENTITY_COLUMN]
        if word == MISSING_WORD:
            message = f"expected a word, got the placeholder {MISSING_WORD}; first add the words from OntoNotes"
            report.problem(path, number, message)
        match = _BRACKETS.fullmatch(bracket)
        if match is None or (match[1] and opened) or (match[3] and not match[1] and not opened):
            report.problem(path, number, f"the named entity {bracket!r} does not match the entity brackets before it")
            opened = None
        else:
            if match[1]:
                opened = (len(words), match[2])
            if match[3] and opened:
                sentence_entities.append((opened[0], len(words), opened[1]))
                opened = None
        words.append(word)
    if key is not None:
        report.problem(path, 0, f"document {key!r} has no '#end document'")
    if not has_words:
        report.problem(path, 0, "the file has no words, expected lines with 12 or more columns")
