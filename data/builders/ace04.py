"""ACE 2004, English, as LDC2005T09 ships it, in five folds."""

from __future__ import annotations

from pathlib import Path

from ..presets import load_preset
from .ace import READING, AceBuilder, document_names
from .corpus import LDC_LICENSE, Corpus, CorpusConfig

# The literature takes a share of each fold's training documents for development, and does not say which.
VALIDATION_EVERY = 7


class Ace04Builder(AceBuilder):
    """Broadcasts and news wire with 7 entity and 6 relation types, in the five folds of Miwa and Bansal (2016).

    Of a fold `test` is as published. Of the other documents, in the order of their names, every seventh is in
    `validation`, the others are in `train`. Relations of discourse (DISC) are left out. Entities are the mentions'
    heads; `reading=ReadingOptions(words="spacy", extent="full")` takes their full extents.
    """

    BUILDER_CONFIGS = [CorpusConfig(name=f"fold{number}", reading=READING) for number in range(5)]
    corpus = Corpus(
        title="ACE 2004",
        source="LDC2005T09, English, broadcast news and news wire",
        license=LDC_LICENSE,
        restricted=True,
        homepage="https://catalog.ldc.upenn.edu/LDC2005T09",
        citation="""@misc{mitchell-etal-2005-ace,
  title = {{ACE} 2004 Multilingual Training Corpus},
  author = {Mitchell, Alexis and Strassel, Stephanie and Huang, Shudong and Zakhary, Ramez},
  howpublished = {LDC2005T09, Linguistic Data Consortium, Philadelphia},
  year = {2005}
}""",
        schema=load_preset("ace04").schema,
    )

    def split_files(self) -> dict[str, list[Path]]:
        folds = document_names("ace04")
        others = sorted(name for fold, names in folds.items() if fold != self.config.name for name in names)
        validation = others[VALIDATION_EVERY - 1 :: VALIDATION_EVERY]
        train = sorted(set(others) - set(validation))
        names = {"train": train, "validation": validation, "test": folds[self.config.name]}
        return {split: self.files_of(documents, split) for split, documents in names.items()}
