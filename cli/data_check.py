"""`plmarker data check PATH ...`: every problem, with line numbers, and the labels that occur."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..data.formats import FORMATS, guess_format, read_corpus
from ..data.labels import LabelCounts
from ..data.report import ReadingReport
from .options import Format, Reading


def check(
    paths: Annotated[list[str], typer.Argument(metavar="PATH", help="Files or folders.", show_default=False)],
    reading: Reading,
    format: Format = None,
) -> Any:
    """Report every problem of files, with its line, and the labels that occur."""
    report = ReadingReport()
    labels = LabelCounts()
    n_documents = 0
    for path in paths:
        found = FORMATS[format] if format else guess_format(Path(path))
        for document in read_corpus(path, report, found.name, reading.over(found.reading)):
            n_documents += 1
            labels.add(document)
    for problem in report.problems:
        print(problem)
    for line in labels.lines():
        print(line)
    if report.summary():
        print(report.summary())
    print(f"{n_documents} documents, {len(report.fatal)} problems")
    return {
        "documents": n_documents,
        "problems": [str(problem) for problem in report.fatal],
        "warnings": [str(problem) for problem in report.problems if not problem.fatal],
        "alignment": dict(report.counts),
    }
