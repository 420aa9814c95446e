"""Builder for the files of a user, in any of the formats."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from datasets import Features

from ...modeling.schema_plmarker import PLMarkerError
from ..formats import FORMATS, ReadingOptions, guess_format
from ..formats.json_entries import has_weights
from ..tables import DOCUMENT_FEATURES, WEIGHTED_FEATURES
from .corpus import LDC_LICENSE, Corpus, CorpusBuilder

# The name of a file or folder is assigned to a split if it contains one of these words.
SPLIT_WORDS = {
    "train": "train|training",
    # BC5CDR has "devel", CoNLL-2003 "testa" and "testb".
    "validation": "validation|valid|val|dev|devel|development|testa",
    "test": "test|testb",
}
# Files that describe a corpus lie beside its splits, and are no data.
DESCRIPTION = re.compile(
    r"(readme|licen[cs]e|copying|notice|citation|changelog).*|.*\.(md|rst|pdf|html|py|sh)", re.IGNORECASE
)

# Documents of these formats may have weights.
WEIGHTED_FORMATS = ("jsonl", "words", "mentions")
# Most files in these formats come from the LDC, so their texts must not be published.
LDC_FORMATS = ("ace", "conll2012")


class FilesBuilder(CorpusBuilder):
    """Builder of a dataset from the files of a user.

    A file or subfolder belongs to a split if its name contains one of these words: `train` or `training`; `validation`,
    `valid`, `val`, `dev`, `devel`, `development` or `testa`; `test` or `testb`. `emerging.dev.conll` and
    `wnut17train.conll` are examples. A word inside other letters does not count, as in `latest.conll`. Descriptions of
    the corpus, such as `README.md`, are passed over. Other files of the format are left out with a warning. If no name
    contains a word for a split, or if `data_dir` is a file, everything is `train`. The same holds for brat files if a
    name has words for no split or for two, or if no name has a word for `train`.

    Example:
        `FilesBuilder(data_dir="my_corpus", format="conll").download_and_prepare()`

    Args:
        data_dir: the file or folder.
        format: a key of `FORMATS` in data/formats; None guesses the format from the files.
        title: the name of the corpus; None takes the name of the file or folder.
        reading: settings that the files do not state; None takes the defaults of the format.
        options: further options of `datasets.GeneratorBasedBuilder`.

    Raises:
        PLMarkerError: if the path does not exist, if the format is unknown, or if a split has two files.
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
            raise PLMarkerError(f"there is no format {format!r}, expected one of {', '.join(FORMATS)}")
        self._files, others = _find_split_files(source)
        first = next((path for paths in self._files.values() for path in paths), source)
        self.format = format or guess_format(first).name  # type: ignore[misc]
        # Other builders define these as class attributes. Here they depend on the files.
        self.corpus = Corpus(  # type: ignore[misc]
            title=title or source.resolve().name,
            source="local files",
            license=LDC_LICENSE if self.format in LDC_FORMATS else "unknown",
            license_id="other" if self.format in LDC_FORMATS else "unknown",
            restricted=self.format in LDC_FORMATS,
            language=(reading or ReadingOptions()).language,
        )
        chosen = FORMATS[self.format]
        self._other_paths = [path for path in others if path.is_dir() or path.name.endswith(chosen.endings)]
        super().__init__(data_dir=data_dir, reading=reading or chosen.reading, config_name="documents", **options)

    def document_features(self) -> Features:
        if self.format not in WEIGHTED_FORMATS:
            return DOCUMENT_FEATURES
        paths = [path for paths in self._files.values() for path in paths]
        files = [file for path in paths for file in (path.rglob("*") if path.is_dir() else [path])]
        endings = FORMATS[self.format].endings
        weighted = any(file.name.endswith(endings) and has_weights(file) for file in files if file.is_file())
        return WEIGHTED_FEATURES if weighted else DOCUMENT_FEATURES

    def split_files(self) -> dict[str, list[Path]]:
        for path in self._other_paths:
            message = "left out because its name has no word for a split, expected train, dev or test"
            self.report.problem(path, 0, message, fatal=False)
        return self._files


def _find_split_files(source: Path) -> tuple[dict[str, list[Path]], list[Path]]:
    """Return the files or the folder of each split, and the other entries of the same folder."""
    if not source.is_dir():
        return {"train": [source]}, []
    entries = _visible_entries(source)
    # The files of an archive are often inside a single folder.
    while len(entries) == 1 and entries[0].is_dir() and not _splits_in_name(entries[0]):
        entries = _visible_entries(entries[0])
    annotations = [path for path in entries if path.suffix == ".ann"]
    if annotations:
        # Each brat file is a document, so a word such as "test" may be part of a title. The names are only trusted if
        # all of them name a split.
        splits_of = {path: _splits_in_name(path) for path in annotations}
        by_split = {split: [path for path in annotations if split in splits_of[path]] for split in SPLIT_WORDS}
        if not by_split["train"] or any(len(splits) != 1 for splits in splits_of.values()):
            return {"train": [source]}, []
        return {split: found for split, found in by_split.items() if found}, []
    files: dict[str, list[Path]] = {}
    for split in SPLIT_WORDS:
        found = [path for path in entries if split in _splits_in_name(path)]
        if len(found) > 1:
            names = " and ".join(path.name for path in found)
            raise PLMarkerError(f"{source}: {names} both belong to the split {split!r}, expected one file per split")
        if found:
            files[split] = found
    if not files:
        return {"train": [source]}, []
    return files, [path for path in entries if not any(path in found for found in files.values())]


def _visible_entries(folder: Path) -> list[Path]:
    """The entries of a folder without hidden ones and without files that describe the corpus."""
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    return [path for path in entries if path.is_dir() or not DESCRIPTION.fullmatch(path.name)]


def _splits_in_name(path: Path) -> list[str]:
    """Return the splits for which the name of a file or folder contains a word."""
    return [
        split
        for split, words in SPLIT_WORDS.items()
        if re.search(rf"(?<![a-z])(?:{words})(?![a-z])", path.name, re.IGNORECASE)
    ]
