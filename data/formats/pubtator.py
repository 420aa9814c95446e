"""Read PubTator, as BC5CDR and NCBI Disease are published.

A document is a title `ID|t|TEXT`, an abstract `ID|a|TEXT`, and rows of annotations, separated by tabs: the ID, two
character offsets, the text, the type, and the concept. The offsets count in title and abstract with one character
between them. An empty line ends a document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ..alignment import TextDocument, align, word_locator
from ..documents import Document, lines_with_numbers
from ..report import ReadingReport
from .options import ReadingOptions
from .places import other_counting

PASSAGE = re.compile(r"([^|\t]+)\|([ta])\|(.*)")


def is_pubtator(path: Path) -> bool:
    """Whether a file begins with the title of a document of PubTator."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        first = next((line for line in iter(lambda: file.readline(500), b"") if line.strip()), b"")
    return re.match(rb"(?:\xef\xbb\xbf)?[^|\t]+\|t\|", first) is not None


def read_pubtator(path: Path, report: ReadingReport, options: ReadingOptions) -> Iterator[Document]:
    """Stream the documents of a file.

    `report.counts` has the counts of `align`, and `relations between concepts`: BC5CDR relates concepts of a whole
    document, not mentions, so they are left out.

    Args:
        path: the file.
        report: receives the problems with their lines, and the counts.
        options: `words` and `language` apply.

    Yields:
        Typed documents, named by their IDs.
    """
    locate = word_locator(options.words, options.language)
    document: TextDocument | None = None
    before = report.counts["relations between concepts"]
    for number, line in lines_with_numbers(path):
        line = line.rstrip("\r\n")
        passage = PASSAGE.fullmatch(line)
        if passage and passage[2] == "t":
            if document is not None:
                yield align(document, locate, report)
            document = TextDocument(passage[1], passage[3])
        elif document is None or (line.split("\t")[0] != document.key and not passage):
            report.problem(path, number, f"expected a title 'ID|t|TEXT' first, got {line[:60]!r}")
        elif passage:
            document.text += f" {passage[3]}"
        elif message := _annotation(line.split("\t"), document, report):
            report.problem(path, number, message)
    if document is None:
        report.problem(path, 0, "the file has no documents")
        return
    yield align(document, locate, report)
    left_out = report.counts["relations between concepts"] - before
    if left_out:
        report.problem(path, 0, f"{left_out} relations join concepts and not mentions; they are left out", fatal=False)


def _annotation(cells: list[str], document: TextDocument, report: ReadingReport) -> str | None:
    """Add an annotation; return what is wrong with it."""
    if len(cells) >= 4 and cells[1].isidentifier():
        report.counts["relations between concepts"] += 1
        return None
    if len(cells) < 5 or not (cells[1].isdecimal() and cells[2].isdecimal()) or not cells[4].strip():
        return f"expected 'ID<tab>START<tab>END<tab>TEXT<tab>TYPE<tab>CONCEPT', got {'<tab>'.join(cells)!r}"
    start, end = int(cells[1]), int(cells[2])
    covered = document.text[start:end]
    if covered.split() != cells[3].split():
        other = other_counting(document.text, start, end, cells[3])
        return f"the text at {start} to {end} is {covered!r}, expected {cells[3]!r}{other}"
    document.entities[len(document.entities)] = (start, end, cells[4].strip())
    return None
