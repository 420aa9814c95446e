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

from ..data.formats import FORMATS
from ..data.presets import preset_names
from ..modeling.schema_plmarker import PLMarkerError
from .options import FORMATS_HELP, Reading, counts_line

ARCHIVES = (".tgz", ".tar.gz", ".tar", ".zip")


def build(
    corpus: Annotated[
        str,
        typer.Argument(help=f"One of {', '.join(preset_names())}; or the format of your own files: {FORMATS_HELP}."),
    ],
    source: Annotated[str, typer.Option(metavar="PATH", help="Folder, archive or file of the corpus.")],
    out: Annotated[str, typer.Option(metavar="FOLDER", help="Folder of the dataset, such as plmarker/ace05.")],
    reading: Reading,
    config: Annotated[str | None, typer.Option(help="Build this configuration alone, such as a fold.")] = None,
    title: Annotated[str | None, typer.Option(help="Title of your own corpus, for its card.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier build.")] = False,
) -> Any:
    """Build a dataset repository from the files of a corpus, which load_dataset reads."""
    from ..data.builders import BUILDERS, CorpusBuilder, FilesBuilder
    from ..data.repository import build_repository
    from .quiet import quiet_corpora

    known = [*BUILDERS, *FORMATS]
    if corpus not in known:
        raise PLMarkerError(f"there is no corpus or format {corpus!r}, only {', '.join(known)}")
    foreign = "config" if corpus in FORMATS else "title"
    if (config if foreign == "config" else title) is not None:
        raise PLMarkerError(f"--{foreign} means nothing for {corpus}")
    with unpacked(Path(source)) as folder, quiet_corpora():
        builders: list[CorpusBuilder] = []
        if corpus in FORMATS:
            name = title or Path(out).name
            chosen = reading.over(FORMATS[corpus].reading)
            builders.append(FilesBuilder(data_dir=folder, format=corpus, title=name, reading=chosen))
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
    result["warnings"] = [warning.replace(str(folder), source) for warning in result["warnings"]]
    for warning in result["warnings"]:
        print(warning)
    for builder in builders:
        name = builder.config.name
        if builder.report.counts:
            print(f"{name}: {builder.report.summary()}")
        for split, counts in result["splits"][name].items():
            print(f"{name}, {split}: {counts_line(counts)}")
        for line in builder.labels.lines():
            print(f"{name}, {line}")
    print(f'{out}: load_dataset("{out}")')
    return result


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
