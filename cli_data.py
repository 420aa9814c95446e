"""The command `plmarker data`: build, push, check, stats, convert."""

from __future__ import annotations

import argparse
import logging
import shutil
import tarfile
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from .data.alignment import WORDS
from .data.builders import BUILDERS, CorpusBuilder, FilesBuilder
from .data.documents import Document
from .data.formats import FORMATS, ReadingOptions, guess_format, read_corpus
from .data.loading import load_documents
from .data.picture import draw_statistics
from .data.progress import bars_on_terminals
from .data.report import ReadingReport, raise_problems
from .data.repository import build_repository, push_repository
from .data.statistics import collect_statistics, count_document, statistics_table
from .data.tags import SCHEMES
from .modeling.encoders_plmarker import load_tokenizer
from .modeling.schema_plmarker import PLMarkerError
from .modeling.windows_plmarker import WordTokenizer

ARCHIVES = (".tgz", ".tar.gz", ".tar", ".zip")


def build(options: argparse.Namespace) -> Any:
    """`plmarker data build CORPUS --source PATH --out FOLDER`: a dataset repository that `load_dataset` reads."""
    known = [*BUILDERS, *FORMATS]
    if options.corpus not in known:
        raise PLMarkerError(f"there is no corpus or format {options.corpus!r}, only {', '.join(known)}")
    foreign = "config" if options.corpus in FORMATS else "title"
    if getattr(options, foreign) is not None:
        raise PLMarkerError(f"--{foreign} means nothing for {options.corpus}")
    with _unpacked(Path(options.source)) as source, _quiet():
        builders: list[CorpusBuilder] = []
        if options.corpus in FORMATS:
            title = options.title or Path(options.out).name
            reading = _reading(options, FORMATS[options.corpus].reading)
            builders.append(FilesBuilder(data_dir=source, format=options.corpus, title=title, reading=reading))
        else:
            corpus = BUILDERS[options.corpus]
            for config in corpus.BUILDER_CONFIGS:
                if options.config in (None, config.name):
                    reading = _reading(options, config.reading)
                    builders.append(corpus(data_dir=source, config_name=config.name, reading=reading))
            if not builders:
                names = ", ".join(config.name for config in corpus.BUILDER_CONFIGS)
                raise PLMarkerError(f"{options.corpus} has no part {options.config!r}, only {names}")
        result = build_repository(builders, options.out, options.overwrite)
    # Of an archive its own name, not that of the place where it was unpacked.
    result["warnings"] = [warning.replace(str(source), options.source) for warning in result["warnings"]]
    for warning in result["warnings"]:
        print(warning)
    for builder in builders:
        config = builder.config.name
        if builder.report.counts:
            print(f"{config}: {builder.report.summary()}")
        for split, counts in result["splits"][config].items():
            print(f"{config}, {split}: {_counts(counts)}")
    print(f'{options.out}: load_dataset("{options.out}")')
    return result


def push(options: argparse.Namespace) -> Any:
    """`plmarker data push FOLDER --repo OWNER/NAME`: upload what `build` made, privately."""
    result = push_repository(options.folder, options.repo, options.public)
    print(f"{result['url']}: {'private' if result['private'] else 'public'}")
    return result


def check(options: argparse.Namespace) -> Any:
    """`plmarker data check PATH ...`: every problem, with line numbers, and the labels that occur."""
    report = ReadingReport()
    labels: dict[str, Counter[str]] = {"ner": Counter(), "relations": Counter()}
    n_documents = 0
    for path in options.paths:
        found = FORMATS[options.format] if options.format else guess_format(Path(path))
        for document in read_corpus(path, report, found.name, _reading(options, found.reading)):
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


def stats(options: argparse.Namespace) -> Any:
    """`plmarker data stats DATASET`: what is in it, what limits would lose, and a picture."""
    tokenizer = WordTokenizer(load_tokenizer(options.encoder)) if options.encoder else None
    with _quiet():
        loaded = load_documents(options.dataset, annotated=False, part=options.part)
    found = {split: collect_statistics(documents, tokenizer) for split, documents in loaded.items()}
    print(statistics_table(found))
    if tokenizer is None:
        print("\nwhat windows would lose: give --encoder")
    if options.picture:
        draw_statistics(options.picture, found, title=str(options.dataset))
        print(f"\n{options.picture}")
    return {split: statistics.to_dict() for split, statistics in found.items()}


def convert(options: argparse.Namespace) -> Any:
    """`plmarker data convert PATH --out PATH`: documents from one format to another."""
    source, out = Path(options.path), Path(options.out)
    if not source.exists():
        raise PLMarkerError(f"{source}: no such file or folder")
    target = FORMATS[options.to] if options.to else _format_of_output(out)
    if target.write is None:
        writable = ", ".join(found.name for found in FORMATS.values() if found.write)
        raise PLMarkerError(f"{target.name} is read, not written; written are {writable}")
    if out.exists() and not (target.folders and out.is_dir() and not any(out.iterdir())):
        raise PLMarkerError(f"{out}: exists; converting would write over it")
    name = options.format or guess_format(source).name
    reading = _reading(options, FORMATS[name].reading)
    # Once to know that all of it is right, once to write it: no more than one document is held at a time.
    report = ReadingReport()
    for _ in read_corpus(source, report, name, reading, annotated=False):
        pass
    raise_problems(report.fatal)
    counts: Counter[str] = Counter()

    def documents() -> Iterator[Document]:
        for document in read_corpus(source, ReadingReport(), name, reading, annotated=False):
            counts.update(count_document(document))
            yield document

    target.write(out, documents())
    for problem in report.problems:
        print(problem)
    if report.summary():
        print(report.summary())
    print(f"{out}: {_counts(counts)}")
    return {"out": str(out), **counts, "alignment": dict(report.counts)}


def add_data_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add `data` and its commands to the parser of `plmarker`."""
    command = commands.add_parser("data", help="build, push, check, describe and convert corpora")
    data_commands = command.add_subparsers(dest="data_command", required=True)
    reading = argparse.ArgumentParser(add_help=False)
    reading.add_argument("--scheme", choices=("auto", *SCHEMES), help="of the tags of a column file (told from it)")
    reading.add_argument("--words", choices=WORDS, help="how raw text is cut into words (plmarker; for ACE, spacy)")
    reading.add_argument("--extent", choices=("head", "full"), help="of ACE's mentions (head)")
    reading.add_argument("--language", metavar="CODE", help="ISO 639-1 code of raw text (en)")
    formats = ", ".join(f"{name} ({found.description})" for name, found in FORMATS.items())

    command = data_commands.add_parser(
        "build",
        parents=[common, reading],
        help="a dataset repository from a corpus's files, which load_dataset reads",
        epilog=f"Formats of one's own files: {formats}.",
    )
    command.add_argument("corpus", help=f"one of {', '.join(BUILDERS)}, or the format of your own files")
    command.add_argument("--source", required=True, metavar="PATH", help="folder, archive or file of the corpus")
    command.add_argument("--out", required=True, metavar="FOLDER", help="such as plmarker/ace05")
    command.add_argument("--config", help="build this part alone, such as a fold")
    command.add_argument("--title", help="of your own corpus, for its card")
    command.add_argument("--overwrite", action="store_true", help="replace an earlier build")
    command.set_defaults(run=build)

    command = data_commands.add_parser("push", parents=[common], help="upload what build made, privately")
    command.add_argument("folder")
    command.add_argument("--repo", required=True, metavar="OWNER/NAME")
    visibility = command.add_mutually_exclusive_group()
    visibility.add_argument("--private", action="store_true", help="the default")
    visibility.add_argument("--public", action="store_true", help="anybody may read it; check its licence first")
    command.set_defaults(run=push)

    command = data_commands.add_parser(
        "check",
        parents=[common, reading],
        help="every problem of files, with its line",
        epilog=f"Formats: {formats}.",
    )
    command.add_argument("paths", nargs="+", metavar="PATH")
    command.add_argument("--format", choices=FORMATS, metavar="NAME", help="(told from the file)")
    command.set_defaults(run=check)

    command = data_commands.add_parser("stats", parents=[common], help="counts, what limits lose, and a picture")
    command.add_argument("dataset", help="a Hub id, a folder, a file, or sample")
    command.add_argument("--part", help="of a dataset in parts, such as a fold")
    command.add_argument("--encoder", help="count in its subwords what windows lose: a Hub id, a folder, or minilm")
    command.add_argument("--picture", metavar="FILE", help="such as corpus.png")
    command.set_defaults(run=stats)

    command = data_commands.add_parser(
        "convert",
        parents=[common, reading],
        help="documents from one format to another",
        epilog=f"Formats: {formats}.",
    )
    command.add_argument("path")
    command.add_argument("--out", required=True, metavar="PATH", help="a file, or for brat a folder")
    command.add_argument("--format", choices=FORMATS, metavar="NAME", help="of the input (told from it)")
    writable = [name for name, found in FORMATS.items() if found.write]
    command.add_argument("--to", choices=writable, help="format of the output (told from its ending; a folder is brat)")
    command.set_defaults(run=convert)


def _reading(options: argparse.Namespace, defaults: ReadingOptions) -> ReadingOptions:
    given = {name: getattr(options, name, None) for name in ("scheme", "words", "language", "extent")}
    return replace(defaults, **{name: value for name, value in given.items() if value is not None})


def _format_of_output(out: Path) -> Any:
    if not out.suffix:
        return FORMATS["brat"]
    for found in FORMATS.values():
        if found.write and not found.folders and out.suffix in found.endings:
            return found
    raise PLMarkerError(f"{out}: which format is meant cannot be told; --to says it")


def _counts(counts: Any) -> str:
    return ", ".join(f"{counts.get(what, 0)} {what}" for what in ("documents", "sentences", "entities", "relations"))


@contextmanager
def _unpacked(source: Path) -> Iterator[Path]:
    """An archive's folder for as long as it is needed; licensed text does not stay behind."""
    if not source.is_file() or not source.name.endswith(ARCHIVES):
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="plmarker-") as folder:
        try:
            if source.suffix == ".zip":
                # It keeps what it unpacks inside the folder, whatever the names in the archive say.
                with zipfile.ZipFile(source) as archive:
                    archive.extractall(folder)
            else:
                # The filter refuses links and paths that lead outside.
                shutil.unpack_archive(source, folder, filter="data")
        except (shutil.ReadError, tarfile.TarError, zipfile.BadZipFile, OSError, EOFError, RuntimeError) as error:
            raise PLMarkerError(f"{source}: no archive that can be unpacked, {error}") from None
        try:
            yield Path(folder)
        except PLMarkerError as error:
            raise PLMarkerError(str(error).replace(folder, str(source))) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Without progress bars that nobody sees, and without warnings that the command prints itself."""
    builders = logging.getLogger(f"{__package__}.data.builders")
    level = builders.level
    builders.setLevel(logging.ERROR)
    try:
        with bars_on_terminals():
            yield
    finally:
        builders.setLevel(level)
