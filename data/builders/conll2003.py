"""CoNLL-2003, English: `eng.train`, `eng.testa`, `eng.testb`, or `train.txt`, `valid.txt`, `test.txt`."""

from __future__ import annotations

from pathlib import Path

from ..presets import load_preset
from .corpus import Corpus, CorpusBuilder, find_file


class Conll2003Builder(CorpusBuilder):
    """Builder of CoNLL-2003: Reuters news with 4 entity types.

    A document begins at `-DOCSTART-`. The tags are IOB1 or IOB2.

    Example:
        `Conll2003Builder(data_dir="conll2003").download_and_prepare()`
    """

    format = "conll"
    corpus = Corpus(
        title="CoNLL-2003",
        source="shared task data, English, made with the Reuters Corpus (RCV1)",
        license="Reuters Corpus agreement (NIST); the texts may not be redistributed",
        restricted=True,
        homepage="https://www.clips.uantwerpen.be/conll2003/ner/",
        citation="""@inproceedings{tjong-kim-sang-de-meulder-2003-introduction,
  title = {Introduction to the {CoNLL}-2003 Shared Task: Language-Independent Named Entity Recognition},
  author = {Tjong Kim Sang, Erik F. and De Meulder, Fien},
  booktitle = {Proceedings of CoNLL at HLT-NAACL 2003},
  year = {2003}
}""",
        schema=load_preset("conll2003").schema,
        published={
            "documents": {
                "train": {"sentences": 14041, "entities": 23499},
                "validation": {"sentences": 3250, "entities": 5942},
                "test": {"sentences": 3453, "entities": 5648},
            }
        },
    )

    def split_files(self) -> dict[str, list[Path]]:
        return {
            "train": find_file(self.source, "eng.train", "train.txt", "train.conll"),
            "validation": find_file(self.source, "eng.testa", "valid.txt", "dev.txt", "valid.conll", "dev.conll"),
            "test": find_file(self.source, "eng.testb", "test.txt", "test.conll"),
        }
