"""`plmarker data check PATH ...`: every problem, with line numbers, and the labels that occur."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..data.excluded import ExcludedGold
from ..data.formats import FORMATS, guess_format, read_corpus
from ..data.labels import LabelCounts
from ..data.report import ReadingReport
from .options import Format, Reading


def check(
    paths: Annotated[list[str], typer.Argument(metavar="PATH", help="Files or folders.", show_default=False)],
    reading: Reading,
    format: Format = None,
    schema: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The labels: a known corpus, a YAML or JSON file, or a dataset. Other labels are problems, and "
            "annotated relations that its constraints exclude are counted, with examples.",
        ),
    ] = None,
) -> Any:
    """Report every problem of files, with its line, and the labels that occur."""
    report = ReadingReport()
    labels = LabelCounts()
    allowed = None
    if schema is not None:
        from ..data.schemas import load_schema

        allowed = load_schema(schema).schema
    excluded = ExcludedGold(allowed) if allowed is not None else None
    n_documents = 0
    for path in paths:
        found = FORMATS[format] if format else guess_format(Path(path))
        for document in read_corpus(path, report, found.name, reading.over(found.reading)):
            n_documents += 1
            labels.add(document)
            if excluded is not None:
                excluded.add(document)
    if allowed is not None:
        for known, counts in ((allowed.entity_labels, labels.entities), (allowed.relation_labels, labels.relations)):
            for label, count in counts.items():
                if label not in known:
                    report.problem(str(schema), 0, f"the schema has no label {label!r}, which occurs {count} times")
    for problem in report.problems:
        print(problem)
    for line in [*labels.lines(), *(excluded.lines() if excluded is not None else ())]:
        print(line)
    if report.summary():
        print(f"annotations: {report.summary()}")
    print(f"{n_documents} documents, {len(report.fatal)} problems")
    return {
        "documents": n_documents,
        "problems": [str(problem) for problem in report.fatal],
        "warnings": [str(problem) for problem in report.problems if not problem.fatal],
        "alignment": dict(report.counts),
        **({} if excluded is None else {"excluded_gold": excluded.to_dict()}),
    }
