"""ACE 2005, English, in the layout of LDC2006T06."""

from __future__ import annotations

from pathlib import Path

from ..presets import load_preset
from .ace import ACE_READING, AceBuilder, document_names
from .corpus import LDC_LICENSE, Corpus, CorpusConfig


class Ace05Builder(AceBuilder):
    """Builder of ACE 2005: broadcasts, news and web logs with 7 entity types and 6 relation types.

    The splits are those of Miwa and Bansal (2016). They do not contain the conversations (`cts`) and usenet (`un`).
    Entities are the heads of the mentions, as in the literature. The option
    `reading=ReadingOptions(words="spacy", extent="full")` takes the full extents.

    Example:
        `Ace05Builder(data_dir="ace_2005_td_v7").download_and_prepare()`
    """

    BUILDER_CONFIGS = [CorpusConfig(name="documents", reading=ACE_READING)]
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
        return {split: self.source_files(names, split) for split, names in document_names("ace05").items()}
