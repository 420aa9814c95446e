"""SciERC: `train.json`, `dev.json` and `test.json` of its processed JSON."""

from __future__ import annotations

from pathlib import Path

from ..presets import load_preset
from .corpus import Corpus, CorpusBuilder, find_file


class SciERCBuilder(CorpusBuilder):
    """Builder of SciERC: scientific abstracts with 6 entity types and 7 relation types.

    `data_dir` is the folder of the processed JSON or a folder above it.

    Example:
        `SciERCBuilder(data_dir="sciERC_processed").download_and_prepare()`
    """

    format = "jsonl"
    corpus = Corpus(
        title="SciERC",
        source="sciERC_processed, 2018",
        license="not stated; abstracts of AI conference papers from the Semantic Scholar corpus",
        license_id="unknown",
        homepage="http://nlp.cs.washington.edu/sciIE/",
        citation="""@inproceedings{luan-etal-2018-multi,
  title = {Multi-Task Identification of Entities, Relations, and Coreference for Scientific Knowledge Graph
    Construction},
  author = {Luan, Yi and He, Luheng and Ostendorf, Mari and Hajishirzi, Hannaneh},
  booktitle = {Proceedings of EMNLP 2018},
  year = {2018}
}""",
        schema=load_preset("scierc").schema,
        published={
            "documents": {
                "train": {"sentences": 1861, "entities": 5598, "relations": 3219},
                "validation": {"sentences": 275, "entities": 811, "relations": 455},
                "test": {"sentences": 551, "entities": 1685, "relations": 974},
            }
        },
    )

    def split_files(self) -> dict[str, list[Path]]:
        names = {"train": "train.json", "validation": "dev.json", "test": "test.json"}
        return {split: find_file(self.source, name) for split, name in names.items()}
