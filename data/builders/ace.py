"""What ACE 2004 and ACE 2005 have in common: files by name, and the splits of the literature."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import yaml

from ..formats import FORMATS
from ..formats.ace import SOURCE_ENDING
from .corpus import CorpusBuilder

SPLITS_FILE = Path(__file__).parent / "ace_splits.yaml"
READING = FORMATS["ace"].reading


@lru_cache
def document_names(corpus: str) -> dict[str, list[str]]:
    """Names of the documents of each split or fold of `ace04` or `ace05`, sorted."""
    splits = yaml.safe_load(SPLITS_FILE.read_text(encoding="utf-8"))[corpus]
    return {split: names.split() for split, names in splits.items()}


class AceBuilder(CorpusBuilder):
    """Finds the documents of a split by name, wherever in the folder they lie.

    Of several copies of a document, as ACE 2005 has them for its stages of annotation, the one in `timex2norm`, which
    is the last stage, is taken.
    """

    format = "ace"

    def files_of(self, names: list[str], split: str) -> list[Path]:
        """The source files of these documents; how many are missing is told."""
        found: dict[str, Path] = {}
        for path in sorted(self.source.rglob(f"*{SOURCE_ENDING}")):
            name = path.name.removesuffix(SOURCE_ENDING)
            if name not in found or path.parent.name == "timex2norm":
                found[name] = path
        missing = [name for name in names if name not in found]
        if missing:
            self._deviation(split, f"{len(missing)} of {len(names)} documents are not there, such as {missing[0]}")
        return [found[name] for name in names if name in found]
