"""Anybody's own corpus, in any of the formats."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ...modeling.schema_plmarker import PLMarkerError
from ..formats import FORMATS, ReadingOptions, guess_format
from .corpus import LDC_LICENSE, Corpus, CorpusBuilder

# What the name of a split's file or folder holds as a word.
SPLIT_WORDS = {"train": "train|training", "validation": "validation|valid|val|dev|development", "test": "test"}


# Files in these formats mostly come from the LDC.
LDC_FORMATS = ("ace", "conll2012")


class FilesBuilder(CorpusBuilder):
    """Documents from a file, or from a folder whose files, or folders, are named after their splits.

    A name is that of a split when it holds `train`, `validation`, `valid`, `val`, `dev` or `test` as a word, such as
    `emerging.dev.conll`. A file, and a folder without such names, is all `train`; so is one with documents of brat of
    which some have such names and others have not.

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
        self._files, others = _files_of_splits(source)
        first = next((path for paths in self._files.values() for path in paths), source)
        self.format = format or guess_format(first).name  # type: ignore[misc]
        # Instance attributes over the class's: what one's own files are is known here alone.
        self.corpus = Corpus(  # type: ignore[misc]
            title=title or source.resolve().name,
            source="own files",
            license=LDC_LICENSE if self.format in LDC_FORMATS else "unknown",
            license_id="other" if self.format in LDC_FORMATS else "unknown",
            restricted=self.format in LDC_FORMATS,
            language=(reading or ReadingOptions()).language,
        )
        found = FORMATS[self.format]
        self._others = [path for path in others if path.is_dir() or path.name.endswith(found.endings)]
        super().__init__(data_dir=data_dir, reading=reading or found.reading, config_name="documents", **options)

    def split_files(self) -> dict[str, list[Path]]:
        for path in self._others:
            self.report.problem(path, 0, "named after no split, left out", fatal=False)
        return self._files


def _files_of_splits(source: Path) -> tuple[dict[str, list[Path]], list[Path]]:
    """The files, or the folder, of each split, and what else lies beside them."""
    if not source.is_dir():
        return {"train": [source]}, []
    entries = _entries(source)
    # Archives often hold one folder, with all else in it.
    while len(entries) == 1 and entries[0].is_dir() and not any(_names(entries[0], split) for split in SPLIT_WORDS):
        entries = _entries(entries[0])
    annotations = [path for path in entries if path.suffix == ".ann"]
    if annotations:
        # Documents of brat: their names tell splits where all of them do, and a word such as test means nothing else.
        split_of = {path: [split for split in SPLIT_WORDS if _names(path, split)] for path in annotations}
        by_split = {split: [path for path in annotations if split in split_of[path]] for split in SPLIT_WORDS}
        if not by_split["train"] or any(len(splits) != 1 for splits in split_of.values()):
            return {"train": [source]}, []
        return {split: found for split, found in by_split.items() if found}, []
    files: dict[str, list[Path]] = {}
    for split in SPLIT_WORDS:
        found = [path for path in entries if _names(path, split)]
        if len(found) > 1:
            raise PLMarkerError(f"{source}: {' and '.join(path.name for path in found)} are both {split}")
        if found:
            files[split] = found
    if not files:
        return {"train": [source]}, []
    return files, [path for path in entries if not any(path in found for found in files.values())]


def _entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _names(path: Path, split: str) -> bool:
    """Whether a name holds a word for a split."""
    return bool(re.search(rf"(?<![a-z])(?:{SPLIT_WORDS[split]})(?![a-z])", path.name, re.IGNORECASE))
