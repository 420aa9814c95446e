"""`plmarker data check PATH ...`: every problem, with line numbers, and the labels that occur."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

from ..data.formats import FORMATS, guess_format, read_corpus
from ..data.report import ReadingReport
from .options import chosen_reading, formats_help, reading_options


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command to `plmarker data`."""
    parser = commands.add_parser(
        "check",
        parents=[common, reading_options()],
        help="every problem of files, with its line",
        epilog=f"Formats: {formats_help()}.",
    )
    parser.add_argument("paths", nargs="+", metavar="PATH")
    parser.add_argument("--format", choices=FORMATS, metavar="NAME", help="(found from the file)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Any:
    """Check, print problems and labels, and return them."""
    report = ReadingReport()
    labels: dict[str, Counter[str]] = {"ner": Counter(), "relations": Counter()}
    n_documents = 0
    for path in options.paths:
        found = FORMATS[options.format] if options.format else guess_format(Path(path))
        for document in read_corpus(path, report, found.name, chosen_reading(options, found.reading)):
            n_documents += 1
            for name, counter in labels.items():
                counter.update(row["label"] for rows in document[name] or () for row in rows)
    for problem in report.problems:
        print(problem)
    for name, counter in labels.items():
        print(f"{name}: {', '.join(f'{label} {count}' for label, count in counter.most_common()) or 'none'}")
    if report.summary():
        print(report.summary())
    print(f"{n_documents} documents, {len(report.fatal)} problems")
    return {
        "documents": n_documents,
        "problems": [str(problem) for problem in report.fatal],
        "warnings": [str(problem) for problem in report.problems if not problem.fatal],
        "alignment": dict(report.counts),
    }
