"""`plmarker data export PATH --out PATH`: documents to another format, or to an annotation tool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from ..data.documents import Document
from ..data.extractions import TOOLS, read_extractions, uncertainty
from ..data.files import has_ending
from ..data.formats import FORMATS, folder_corpora, guess_format, read_corpus
from ..data.labels import LabelCounts
from ..data.report import ReadingReport, raise_problems
from ..modeling.schema_plmarker import PLMarkerError
from .options import Format, Reading, counts_line, one_of

WRITABLE = [name for name, found in FORMATS.items() if found.write]


def export(
    path: Annotated[str, typer.Argument(help="A file, or a folder.")],
    out: Annotated[str, typer.Option(metavar="PATH", help="A file, or a folder for brat.")],
    reading: Reading,
    format: Format = None,
    to: Annotated[
        str | None,
        one_of("--to", WRITABLE, "Format of the output, by default found from its ending; a folder is brat."),
    ] = None,
    tool: Annotated[
        str | None,
        one_of(
            "--tool",
            TOOLS,
            "Write tasks of an annotation tool: of what predict has written, or of annotated documents. Readers read "
            "what the tool exports (brat has --to).",
        ),
    ] = None,
    order: Annotated[str, one_of("--order", ("file", "uncertainty"), "Order of the tasks.")] = "file",
) -> Any:
    """Write documents in another format, or as tasks of an annotation tool."""
    if tool is not None:
        given = {"to": to, "format": format, **asdict(reading)}
        if unused := [f"--{option}" for option, value in given.items() if value is not None]:
            raise PLMarkerError(f"{unused[0]} means nothing with --tool, which takes JSONL as predict writes it")
        return _export_tasks(path, Path(out), tool, order)
    if order != "file":
        raise PLMarkerError("--order needs --tool")
    return _convert(Path(path), Path(out), reading, format, to)


def _convert(source: Path, out: Path, chosen: Reading, format: str | None, to: str | None) -> Any:
    if not source.exists():
        raise PLMarkerError(f"{source}: no such file or folder")
    target = FORMATS[to] if to else format_of_output(out)
    if target.write is None:
        writable = ", ".join(found.name for found in FORMATS.values() if found.write)
        raise PLMarkerError(f"{target.name} can be read but not written; these can be written: {writable}")
    if out.exists() and not (target.folders and out.is_dir() and not any(out.iterdir())):
        raise PLMarkerError(f"{out}: exists; converting would write over it")
    name = format or guess_format(source).name
    reading = chosen.over(FORMATS[name].reading)
    # The corpus is read twice, to check it and to write it, so that one document is held at a time.
    report = ReadingReport()
    for _ in read_corpus(source, report, name, reading, annotated=False):
        pass
    raise_problems(report.fatal)
    from ..data.statistics import count_document

    try:
        splits = {split for corpus in folder_corpora(source, name).values() for split in corpus.splits}
    except PLMarkerError:
        # Two files of one split are no problem here: all files become one.
        splits = set()
    if len(splits) > 1:
        message = f"the splits {', '.join(sorted(splits))} are written as one; `plmarker data build` keeps them apart"
        report.problem(source, 0, message, fatal=False)
    counts: Counter[str] = Counter()
    n_weights: Counter[str] = Counter()
    labels = LabelCounts()

    def documents() -> Iterator[Document]:
        for document in read_corpus(source, ReadingReport(), name, reading, annotated=False):
            n_weights["weights"] += document.get("weight") is not None
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
    if n_weights["weights"] and target.name != "jsonl":
        print(f"{out}: {n_weights['weights']} documents lose their weights, which {target.name} cannot hold")
    print(f"{out}: {counts_line(counts)}")
    return {"out": str(out), **counts, "alignment": dict(report.counts)}


def _export_tasks(path: str, out: Path, tool: str, order: str) -> Any:
    if out.exists():
        raise PLMarkerError(f"{out}: exists; exporting would write over it")
    documents = list(read_extractions(path))
    if not documents:
        raise PLMarkerError(f"{path}: there are no documents")
    if order == "uncertainty":
        documents.sort(key=uncertainty, reverse=True)
    TOOLS[tool](out, documents)
    counts = {kind: sum(len(document[kind]) for document in documents) for kind in ("entities", "relations")}
    print(f"{out}: {len(documents)} tasks, {counts['entities']} entities, {counts['relations']} relations")
    return {"out": str(out), "documents": len(documents), **counts}


def format_of_output(out: Path) -> Any:
    if not out.suffix:
        return FORMATS["brat"]
    for found in FORMATS.values():
        if found.write and not found.folders and has_ending(out, found.endings):
            return found
    raise PLMarkerError(f"{out}: the ending names no format; name one with --to")
