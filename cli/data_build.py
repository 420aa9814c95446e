"""`plmarker data build CORPUS --source PATH --out FOLDER`: a dataset repository that `load_dataset` reads."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from ..data.files import has_ending
from ..data.formats import FORMATS, common_format, folder_corpora
from ..data.presets import preset_names
from ..modeling.schema_plmarker import PLMarkerError
from .options import FORMATS_HELP, Reading, counts_line

ARCHIVES = (".tgz", ".tar.gz", ".tar", ".zip")


def build(
    source: Annotated[str, typer.Option(metavar="PATH", help="Folder, archive or file of the corpus.")],
    out: Annotated[str, typer.Option(metavar="FOLDER", help="Folder of the dataset, such as plmarker/ace05.")],
    reading: Reading,
    corpus: Annotated[
        str | None,
        typer.Argument(
            help=f"One of {', '.join(preset_names())}; or the format of your own files, by default found from them: "
            f"{FORMATS_HELP}.",
            show_default=False,
        ),
    ] = None,
    config: Annotated[str | None, typer.Option(help="Build this configuration alone, such as a fold.")] = None,
    title: Annotated[str | None, typer.Option(help="Title of your own corpus, for its card.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier build.")] = False,
) -> Any:
    """Build a dataset repository from the files of a corpus, which load_dataset reads."""
    from ..data.builders import BUILDERS, CorpusBuilder, FilesBuilder
    from ..data.repository import build_repository
    from .quiet import quiet_corpora

    known = [*BUILDERS, *FORMATS]
    if corpus is not None and corpus not in known:
        raise PLMarkerError(f"there is no corpus or format {corpus!r}, only {', '.join(known)}")
    if corpus in BUILDERS and title is not None:
        raise PLMarkerError(f"--title means nothing for {corpus}")
    with unpacked(Path(source)) as folder, quiet_corpora():
        builders: list[CorpusBuilder] = []
        if corpus is None or corpus in FORMATS:
            corpora = folder_corpora(folder, corpus)
            for name in _chosen_corpora(list(corpora), config, source):
                files = [path for paths in corpora[name].splits.values() for path in paths]
                format = corpus or common_format(files or [folder]).name
                builder = FilesBuilder(
                    data_dir=folder,
                    format=format,
                    corpus_folder=name,
                    title=title or Path(out).name,
                    reading=reading.over(FORMATS[format].reading),
                )
                builders.append(builder)
        else:
            builder_class = BUILDERS[corpus]
            for found in builder_class.BUILDER_CONFIGS:
                if config in (None, found.name):
                    chosen = reading.over(found.reading)
                    builders.append(builder_class(data_dir=folder, config_name=found.name, reading=chosen))
            if not builders:
                names = ", ".join(found.name for found in builder_class.BUILDER_CONFIGS)
                raise PLMarkerError(f"{corpus} has no configuration {config!r}, only {names}")
        result = build_repository(builders, out, overwrite)
    # An archive is named by its own name, not by the place where it was unpacked.
    named = str(Path(source))
    result["warnings"] = [warning.replace(str(folder), named) for warning in result["warnings"]]
    for builder in builders:
        if isinstance(builder, FilesBuilder):
            for line in builder.taken_for():
                print(line.replace(str(folder), named))
    for warning in result["warnings"]:
        print(warning)
    for builder in builders:
        name = builder.config.name
        before = f"{name}, " if len(builders) > 1 else ""
        if builder.report.summary():
            print(f"{before}annotations: {builder.report.summary()}")
        for split, counts in result["splits"][name].items():
            print(f"{before}{split}: {counts_line(counts)}")
        for line in builder.labels.lines():
            print(f"{before}{line}")
    print(f'{out}: load_dataset("{out}")')
    return result


def _chosen_corpora(names: list[str], config: str | None, source: str) -> list[str]:
    """The corpora of a folder that are built."""
    chosen = [name for name in names if config in (None, name)]
    if not chosen:
        found = ", ".join(filter(None, names)) or "one corpus alone"
        raise PLMarkerError(f"{source}: there is no folder {config!r} with splits, only {found}")
    return chosen


@contextmanager
def unpacked(source: Path) -> Iterator[Path]:
    """Unpack an archive into a folder that is removed afterwards: licensed text does not stay behind."""
    if not source.is_file() or not has_ending(source, ARCHIVES):
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="plmarker-") as folder:
        try:
            if has_ending(source, ".zip"):
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
