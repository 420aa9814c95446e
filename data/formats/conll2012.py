"""The `*_gold_conll` files of OntoNotes 5, as the CoNLL-2012 shared task laid them out.

`#begin document (NAME); part N` and `#end document` enclose a document; the fourth column is the word, the eleventh
the bracketed named entities, such as `(PERSON*`, `*`, `*)` or `(GPE)`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ..documents import Document, numbered_lines
from ..report import ReadingReport
from ..tags import TagSpan
from .columns import document_of_words
from .options import ReadingOptions

BEGIN = re.compile(r"#begin document \((.*)\); part (\d+)")
WORD_COLUMN, ENTITY_COLUMN = 3, 10
MISSING_WORD = "[WORD]"
_BRACKETS = re.compile(r"(\(([^()*]+))?\*?(\))?")


def read_conll2012(path: Path, report: ReadingReport, options: ReadingOptions) -> Iterator[Document]:
    """Stream the documents of a file; each part of a document is one, named `NAME_PART`."""
    key: str | None = None
    sentences: list[list[str]] = []
    entities: list[list[TagSpan]] = []
    words: list[str] = []
    spans: list[TagSpan] = []
    # The entity that is open: its first word and label.
    opened: tuple[int, str] | None = None
    empty = True
    for number, line in numbered_lines(path, empty=True):
        line = line.strip()
        if line.startswith("#begin document"):
            match = BEGIN.fullmatch(line)
            if match is None or key is not None:
                problem = "a document begins inside another" if match else "expected '#begin document (NAME); part N'"
                report.problem(path, number, problem)
            key = f"{match[1]}_{int(match[2])}" if match else line
            sentences, entities, words, spans, opened = [], [], [], [], None
            continue
        is_end = line.startswith("#end document")
        if (is_end or not line) and words:
            if opened:
                report.problem(path, number, f"entity of type {opened[1]!r} is not closed in its sentence")
            sentences.append(words)
            entities.append(spans)
            words, spans, opened = [], [], None
        if is_end and key is not None:
            if sentences:
                yield document_of_words(key, sentences, entities)
            key = None
        if is_end or not line:
            continue
        columns = line.split()
        if key is None or len(columns) <= ENTITY_COLUMN + 1:
            problem = "a word outside any document" if key is None else f"{len(columns)} columns, expected 12 or more"
            report.problem(path, number, problem)
            continue
        empty = False
        word, bracket = columns[WORD_COLUMN], columns[ENTITY_COLUMN]
        if word == MISSING_WORD:
            report.problem(path, number, f"{MISSING_WORD} in place of a word; first fill the skeleton with OntoNotes")
        match = _BRACKETS.fullmatch(bracket)
        if match is None or (match[1] and opened) or (match[3] and not match[1] and not opened):
            report.problem(path, number, f"named entity {bracket!r} does not fit what is open before it")
            opened = None
        else:
            if match[1]:
                opened = (len(words), match[2])
            if match[3] and opened:
                spans.append((opened[0], len(words), opened[1]))
                opened = None
        words.append(word)
    if key is not None:
        report.problem(path, 0, f"document {key!r} has no '#end document'")
    if empty:
        report.problem(path, 0, "zero words")
