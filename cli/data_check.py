"""`plmarker data check PATH ...`: every problem, with line numbers, and the labels that occur."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..data.excluded import ExcludedGold
from ..data.formats import FORMATS, guess_format, read_corpus
from ..data.labels import LabelCounts
from ..data.presets import load_preset
from ..data.report import ReadingReport
from .options import chosen_reading, formats_help, reading_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = f"Formats: {formats_help()}."
    reading_options(parser)
    parser.add_argument("paths", nargs="+", metavar="PATH")
    parser.add_argument("--format", choices=FORMATS, metavar="NAME", help="(found from the file)")
    parser.add_argument(
        "--schema",
        metavar="FILE",
        help="a YAML or JSON file of labels, or the name of a known corpus: other labels are problems, and annotated "
        "relations that its constraints exclude are counted, with examples",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Any:
    """Check, print problems and labels, and return them."""
    report = ReadingReport()
    labels = LabelCounts()
    schema = load_preset(options.schema).schema if options.schema else None
    excluded = ExcludedGold(schema) if schema is not None else None
    n_documents = 0
    for path in options.paths:
        found = FORMATS[options.format] if options.format else guess_format(Path(path))
        for document in read_corpus(path, report, found.name, chosen_reading(options, found.reading)):
            n_documents += 1
            labels.add(document)
            if excluded is not None:
                excluded.add(document)
    if schema is not None:
        for known, counts in ((schema.entity_labels, labels.entities), (schema.relation_labels, labels.relations)):
            for label, count in counts.items():
                if label not in known:
                    report.problem(options.schema, 0, f"the schema has no label {label!r}, which occurs {count} times")
    for problem in report.problems:
        print(problem)
    for line in labels.lines():
        print(line)
    for line in excluded.lines() if excluded is not None else ():
        print(line)
    if report.summary():
        print(report.summary())
    print(f"{n_documents} documents, {len(report.fatal)} problems")
    return {
        "documents": n_documents,
        "problems": [str(problem) for problem in report.fatal],
        "warnings": [str(problem) for problem in report.problems if not problem.fatal],
        "alignment": dict(report.counts),
        **({} if excluded is None else {"excluded_gold": excluded.to_dict()}),
    }
