"""`plmarker data build CORPUS --source PATH --out FOLDER`: a dataset repository that `load_dataset` reads."""

from __future__ import annotations

import argparse
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..data.builders import BUILDERS, CorpusBuilder, FilesBuilder
from ..data.formats import FORMATS, folder_corpora, guess_format
from ..data.repository import build_repository
from ..modeling.schema_plmarker import PLMarkerError
from .options import chosen_reading, counts_line, formats_help, reading_options
from .quiet import quiet

ARCHIVES = (".tgz", ".tar.gz", ".tar", ".zip")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = f"Formats of your own files: {formats_help()}."
    reading_options(parser)
    parser.add_argument(
        "corpus",
        nargs="?",
        help=f"one of {', '.join(BUILDERS)}, or the format of your own files (found from the files)",
    )
    parser.add_argument("--source", required=True, metavar="PATH", help="folder, archive or file of the corpus")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="such as plmarker/ace05")
    parser.add_argument("--config", help="build this configuration alone, such as a fold")
    parser.add_argument("--title", help="title of your own corpus, for its card")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier build")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Any:
    """Build, print warnings and counts, and return them."""
    known = [*BUILDERS, *FORMATS]
    if options.corpus is not None and options.corpus not in known:
        raise PLMarkerError(f"there is no corpus or format {options.corpus!r}, only {', '.join(known)}")
    if options.corpus in BUILDERS and options.title is not None:
        raise PLMarkerError(f"--title means nothing for {options.corpus}")
    with unpacked(Path(options.source)) as source, quiet():
        builders: list[CorpusBuilder] = []
        if options.corpus not in BUILDERS:
            builders += _files_builders(options, source)
        else:
            corpus = BUILDERS[options.corpus]
            for config in corpus.BUILDER_CONFIGS:
                if options.config in (None, config.name):
                    reading = chosen_reading(options, config.reading)
                    builders.append(corpus(data_dir=source, config_name=config.name, reading=reading))
            if not builders:
                names = ", ".join(config.name for config in corpus.BUILDER_CONFIGS)
                raise PLMarkerError(f"{options.corpus} has no configuration {options.config!r}, only {names}")
        result = build_repository(builders, options.out, options.overwrite)
    # An archive is named by its own name, not by the place where it was unpacked.
    result["warnings"] = [warning.replace(str(source), options.source) for warning in result["warnings"]]
    for builder in builders:
        if isinstance(builder, FilesBuilder):
            for line in builder.taken_for():
                print(line.replace(str(source), options.source))
    for warning in result["warnings"]:
        print(warning)
    for builder in builders:
        config = builder.config.name
        if builder.report.summary():
            print(f"{config}: {builder.report.summary()}")
        for split, counts in result["splits"][config].items():
            print(f"{config}, {split}: {counts_line(counts)}")
        for line in builder.labels.lines():
            print(f"{config}, {line}")
    print(f'{options.out}: load_dataset("{options.out}")')
    return result


def _files_builders(options: argparse.Namespace, source: Path) -> list[FilesBuilder]:
    """A builder for each corpus in the folder of a user."""
    corpora = folder_corpora(source, options.corpus)
    chosen = [name for name in corpora if options.config in (None, name)]
    if list(corpora) == [""] and options.config is not None:
        raise PLMarkerError(f"--config means nothing for {options.corpus or 'your own files'} in one folder")
    if not chosen:
        raise PLMarkerError(f"{options.source}: there is no corpus {options.config!r} in it, only {', '.join(corpora)}")
    builders: list[FilesBuilder] = []
    for name in chosen:
        files = [path for paths in corpora[name].splits.values() for path in paths]
        format = options.corpus or guess_format(files[0] if files else source).name
        reading = chosen_reading(options, FORMATS[format].reading)
        title = options.title or Path(options.out).name
        builders.append(FilesBuilder(data_dir=source, format=format, corpus_folder=name, title=title, reading=reading))
    return builders


@contextmanager
def unpacked(source: Path) -> Iterator[Path]:
    """Unpack an archive into a folder that is removed afterwards: licensed text does not stay behind."""
    if not source.is_file() or not source.name.endswith(ARCHIVES):
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="plmarker-") as folder:
        try:
            if source.suffix == ".zip":
                # zipfile keeps everything inside the folder, also where names in the archive lead outside.
                with zipfile.ZipFile(source) as archive:
                    archive.extractall(folder)
            else:
                # The filter refuses links and paths that lead outside.
                shutil.unpack_archive(source, folder, filter="data")
        except (shutil.ReadError, tarfile.TarError, zipfile.BadZipFile, OSError, EOFError, RuntimeError) as error:
            raise PLMarkerError(f"{source}: the archive cannot be unpacked, {error}") from None
        try:
            yield Path(folder)
        except PLMarkerError as error:
            raise PLMarkerError(str(error).replace(folder, str(source))) from None
