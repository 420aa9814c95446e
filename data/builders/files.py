"""Anybody's own corpus, in any of the formats."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ...modeling.schema_plmarker import PLMarkerError
from ..formats import FORMATS, ReadingOptions, guess_format
from .corpus import Corpus, CorpusBuilder

# What the name of a split's file or folder holds as a word.
SPLIT_WORDS = {"train": "train|training", "validation": "validation|valid|val|dev|development", "test": "test"}


class FilesBuilder(CorpusBuilder):
    """Documents from a file, or from a folder whose files, or folders, are named after their splits.

    A name is that of a split when it holds `train`, `validation`, `valid`, `val`, `dev` or `test` as a word, such as
    `emerging.dev.conll`. A file, and a folder without such names, is all `train`.

    Args:
        data_dir: the file or folder.
        format: one of `FORMATS` in data/formats; None to tell it from the files.
        title: what the corpus is called; by default the name of the file or folder.
        reading: how the files are read, a `ReadingOptions`.

    Raises:
        PLMarkerError: for a missing file, an unknown format, and for two files of one split.
    """

    def __init__(
        self,
        *,
        data_dir: str | Path,
        format: str | None = None,
        title: str | None = None,
        reading: ReadingOptions | None = None,
        **options: Any,
    ) -> None:
        source = Path(data_dir)
        if format is not None and format not in FORMATS:
            raise PLMarkerError(f"there is no format {format!r}, only {', '.join(FORMATS)}")
        # Instance attributes over the class's: what one's own files are is known here alone.
        self.corpus = Corpus(  # type: ignore[misc]
            title=title or source.resolve().name,
            source="own files",
            license="unknown",
            license_id="unknown",
            language=(reading or ReadingOptions()).language,
        )
        self._files = _files_of_splits(source, format)
        first = next((path for paths in self._files.values() for path in paths), source)
        self.format = format or guess_format(first).name  # type: ignore[misc]
        super().__init__(data_dir=data_dir, reading=reading or ReadingOptions(), config_name="documents", **options)

    def split_files(self) -> dict[str, list[Path]]:
        return self._files


def _files_of_splits(source: Path, format: str | None) -> dict[str, list[Path]]:
    if not source.is_dir():
        return {"train": [source]}
    entries = sorted(path for path in source.iterdir() if not path.name.startswith("."))
    files: dict[str, list[Path]] = {}
    for split, words in SPLIT_WORDS.items():
        pattern = re.compile(rf"(?<![a-z])(?:{words})(?![a-z])", re.IGNORECASE)
        found = [path for path in entries if pattern.search(path.name)]
        if found and all(path.suffix in (".txt", ".ann") and path.with_suffix(".ann") in found for path in found):
            # Documents of brat that are called so.
            continue
        if len(found) > 1:
            raise PLMarkerError(f"{source}: {' and '.join(path.name for path in found)} are both {split}")
        if found:
            files[split] = found
    return files or {"train": [source]}
