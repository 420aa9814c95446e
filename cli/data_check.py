"""`plmarker data check PATH ...`: every problem, with line numbers, and the labels that occur."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..data.formats import FORMATS, guess_format, read_corpus
from ..data.labels import LabelCounts
from ..data.report import ReadingReport
from .options import chosen_reading, formats_help, reading_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = f"Formats: {formats_help()}."
    reading_options(parser)
    parser.add_argument("paths", nargs="+", metavar="PATH")
    parser.add_argument("--format", choices=FORMATS, metavar="NAME", help="(found from the file)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Any:
    """Check, print problems and labels, and return them."""
    report = ReadingReport()
    labels = LabelCounts()
    n_documents = 0
    for path in options.paths:
        found = FORMATS[options.format] if options.format else guess_format(Path(path))
        for document in read_corpus(path, report, found.name, chosen_reading(options, found.reading)):
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
