"""ACE 2004, English, in the layout of LDC2005T09."""

from __future__ import annotations

from pathlib import Path

from ..presets import load_preset
from .ace import ACE_READING, AceBuilder, document_names
from .corpus import LDC_LICENSE, Corpus, CorpusConfig

# The literature also takes some training documents of each fold for validation. It does not publish the choice.
VALIDATION_EVERY = 7


class Ace04Builder(AceBuilder):
    """Builder of ACE 2004: broadcast news and news wire with 7 entity types and 6 relation types.

    The configurations `fold0` to `fold4` are the five folds of Miwa and Bansal (2016). `test` has the published
    documents of the fold. The other documents are sorted by name. Every seventh of them is in `validation`, and the
    rest is in `train`. Discourse relations (DISC) are left out. Entities are the heads of the mentions. The option
    `reading=ReadingOptions(words="spacy", extent="full")` takes the full extents.

    Example:
        `Ace04Builder(data_dir="LDC2005T09", config_name="fold1").download_and_prepare()`
    """

    BUILDER_CONFIGS = [CorpusConfig(name=f"fold{number}", reading=ACE_READING) for number in range(5)]
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
        return {split: self.source_files(documents, split) for split, documents in names.items()}
