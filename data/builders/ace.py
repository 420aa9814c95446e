"""The common part of ACE 2004 and ACE 2005: the splits of the literature, and the search for files by name."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import yaml

from ..files import files_with_ending
from ..formats import FORMATS
from ..formats.ace import SOURCE_ENDING
from .corpus import CorpusBuilder

SPLITS_FILE = Path(__file__).parent / "ace_splits.yaml"
ACE_READING = FORMATS["ace"].reading


@lru_cache
def document_names(corpus: str) -> dict[str, list[str]]:
    """Return the document names of each split.

    Example:
        >>> len(document_names("ace05")["train"])
        351

    Args:
        corpus: `ace04` or `ace05`. The splits of `ace04` are its five test folds.

    Returns:
        split -> sorted document names.
    """
    splits = yaml.safe_load(SPLITS_FILE.read_text(encoding="utf-8"))[corpus]
    return {split: names.split() for split, names in splits.items()}


class AceBuilder(CorpusBuilder):
    """Base class of the ACE builders. It searches a folder with all its subfolders for documents by name.

    ACE 2005 has a copy of a document for each stage of its annotation. The builder takes the copy of the last stage,
    which is in `timex2norm`.
    """

    format = "ace"

    def source_files(self, names: list[str], split: str) -> list[Path]:
        """Return the source files of documents.

        Args:
            names: the names of the documents. A missing document is reported as a warning.
            split: the name of the split for the warning.
        """
        found: dict[str, Path] = {}
        for path in files_with_ending(self.source, SOURCE_ENDING):
            name = path.name[: -len(SOURCE_ENDING)]
            if name not in found or path.parent.name == "timex2norm":
                found[name] = path
        missing = [name for name in names if name not in found]
        if missing:
            self._warn(split, f"{len(missing)} of {len(names)} documents are missing, such as {missing[0]}")
        return [found[name] for name in names if name in found]
