"""ACE 2005, English, as LDC2006T06 ships it."""

from __future__ import annotations

from pathlib import Path

from ..presets import load_preset
from .ace import READING, AceBuilder, document_names
from .corpus import LDC_LICENSE, Corpus, CorpusConfig


class Ace05Builder(AceBuilder):
    """Broadcasts, news and web logs with 7 entity and 6 relation types, in the split of Miwa and Bansal (2016).

    Conversations (`cts`) and usenet (`un`) are in none of the splits. Entities are the mentions' heads, as in the
    literature; `reading=ReadingOptions(words="spacy", extent="full")` takes their full extents.
    """

    BUILDER_CONFIGS = [CorpusConfig(name="documents", reading=READING)]
    corpus = Corpus(
        title="ACE 2005",
        source="LDC2006T06, English, stage timex2norm",
        license=LDC_LICENSE,
        restricted=True,
        homepage="https://catalog.ldc.upenn.edu/LDC2006T06",
        citation="""@misc{walker-etal-2006-ace,
  title = {{ACE} 2005 Multilingual Training Corpus},
  author = {Walker, Christopher and Strassel, Stephanie and Medero, Julie and Maeda, Kazuaki},
  howpublished = {LDC2006T06, Linguistic Data Consortium, Philadelphia},
  year = {2006}
}""",
        schema=load_preset("ace05").schema,
    )

    def split_files(self) -> dict[str, list[Path]]:
        return {split: self.files_of(names, split) for split, names in document_names("ace05").items()}
