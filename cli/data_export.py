"""`plmarker data export PATH --out PATH`: documents to another format, or to an annotation tool."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..data.documents import Document
from ..data.extractions import TOOLS, read_extractions, uncertainty
from ..data.formats import FORMATS, folder_corpora, guess_format, read_corpus
from ..data.labels import LabelCounts
from ..data.report import ReadingReport, raise_problems
from ..data.statistics import count_document
from ..modeling.schema_plmarker import PLMarkerError
from .options import chosen_reading, counts_line, formats_help, reading_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = f"Formats: {formats_help()}."
    reading_options(parser)
    parser.add_argument("path")
    parser.add_argument("--out", required=True, metavar="PATH", help="a file, or a folder for brat")
    parser.add_argument("--format", choices=FORMATS, metavar="NAME", help="format of the input (found from the file)")
    writable = [name for name, found in FORMATS.items() if found.write]
    parser.add_argument("--to", choices=writable, help="format of the output (found from its ending; a folder is brat)")
    parser.add_argument(
        "--tool",
        choices=TOOLS,
        help="write tasks of an annotation tool: of what predict has written, or of annotated documents; readers read "
        "what the tool exports (brat has --to)",
    )
    parser.add_argument(
        "--order", choices=("file", "uncertainty"), default="file", help="order of the tasks (%(default)s)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Any:
    """Convert, print counts, and return them."""
    source, out = Path(options.path), Path(options.out)
    if options.tool is not None:
        return _export_tasks(options, out)
    if options.order != "file":
        raise PLMarkerError("--order needs --tool")
    if not source.exists():
        raise PLMarkerError(f"{source}: no such file or folder")
    target = FORMATS[options.to] if options.to else format_of_output(out)
    if target.write is None:
        writable = ", ".join(found.name for found in FORMATS.values() if found.write)
        raise PLMarkerError(f"{target.name} can be read but not written; these can be written: {writable}")
    if out.exists() and not (target.folders and out.is_dir() and not any(out.iterdir())):
        raise PLMarkerError(f"{out}: exists; converting would write over it")
    name = options.format or guess_format(source).name
    reading = chosen_reading(options, FORMATS[name].reading)
    # The corpus is read twice, to check it and to write it, so that one document is held at a time.
    report = ReadingReport()
    for _ in read_corpus(source, report, name, reading, annotated=False):
        pass
    raise_problems(report.fatal)
    splits = {split for corpus in folder_corpora(source, name).values() for split in corpus.splits}
    if len(splits) > 1:
        message = f"the splits {', '.join(sorted(splits))} are written as one; `plmarker data build` keeps them apart"
        report.problem(source, 0, message, fatal=False)
    counts: Counter[str] = Counter()
    labels = LabelCounts()

    def documents() -> Iterator[Document]:
        for document in read_corpus(source, ReadingReport(), name, reading, annotated=False):
            counts.update(count_document(document))
            labels.add(document)
            yield document

    target.write(out, documents())
    for problem in report.problems:
        print(problem)
    if report.summary():
        print(report.summary())
    for line in labels.lines():
        print(line)
    print(f"{out}: {counts_line(counts)}")
    return {"out": str(out), **counts, "alignment": dict(report.counts)}


def _export_tasks(options: argparse.Namespace, out: Path) -> Any:
    if out.exists():
        raise PLMarkerError(f"{out}: exists; exporting would write over it")
    documents = list(read_extractions(options.path))
    if not documents:
        raise PLMarkerError(f"{options.path}: there are no documents")
    if options.order == "uncertainty":
        documents.sort(key=uncertainty, reverse=True)
    TOOLS[options.tool](out, documents)
    counts = {kind: sum(len(document[kind]) for document in documents) for kind in ("entities", "relations")}
    print(f"{out}: {len(documents)} tasks, {counts['entities']} entities, {counts['relations']} relations")
    return {"out": str(out), "documents": len(documents), **counts}


def format_of_output(out: Path) -> Any:
    if not out.suffix:
        return FORMATS["brat"]
    for found in FORMATS.values():
        if found.write and not found.folders and out.suffix in found.endings:
            return found
    raise PLMarkerError(f"{out}: the ending names no format; name one with --to")
