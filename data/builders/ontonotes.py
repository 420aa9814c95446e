"""OntoNotes 5, English: the `*_gold_conll` files of the CoNLL-2012 layout."""

from __future__ import annotations

from pathlib import Path

from ..presets import load_preset
from .corpus import LDC_LICENSE, Corpus, CorpusBuilder

# Distributions of the corpus name the validation folder differently.
SPLIT_FOLDERS = {"train": {"train"}, "validation": {"development", "dev"}, "test": {"test"}}
# This folder has the Old and the New Testament, which have no entity annotations.
UNANNOTATED_FOLDER = "pt"


class OntoNotesBuilder(CorpusBuilder):
    """Builder of OntoNotes 5: news, conversations and web text with 18 entity types.

    Each part of a document becomes a document. The folder `pt` and the languages Arabic and Chinese are left out.

    Example:
        `OntoNotesBuilder(data_dir="conll-2012").download_and_prepare()`
    """

    format = "conll2012"
    corpus = Corpus(
        title="OntoNotes 5",
        source="LDC2013T19 in the layout of CoNLL-2012 (v12), English, without pt/",
        license=LDC_LICENSE,
        restricted=True,
        homepage="https://catalog.ldc.upenn.edu/LDC2013T19",
        citation="""@inproceedings{pradhan-etal-2013-towards,
  title = {Towards Robust Linguistic Analysis using {OntoNotes}},
  author = {Pradhan, Sameer and Moschitti, Alessandro and Xue, Nianwen and Ng, Hwee Tou and Bj{\\"o}rkelund, Anders and
    Uryupina, Olga and Zhang, Yuchen and Zhong, Zhi},
  booktitle = {Proceedings of CoNLL 2013},
  year = {2013}
}""",
        schema=load_preset("ontonotes").schema,
        published={
            "documents": {
                "train": {"sentences": 59924, "entities": 81828},
                "validation": {"sentences": 8528, "entities": 11066},
                "test": {"sentences": 8262, "entities": 11257},
            }
        },
    )

    def split_files(self) -> dict[str, list[Path]]:
        files: dict[str, list[Path]] = {split: [] for split in SPLIT_FOLDERS}
        for path in sorted(self.source.rglob("*gold_conll")):
            folders = path.relative_to(self.source).parts[:-1]
            if {"arabic", "chinese"} & set(folders):
                continue
            for split, names in SPLIT_FOLDERS.items():
                if names & set(folders):
                    if UNANNOTATED_FOLDER in folders:
                        self.report.counts[f"files of {UNANNOTATED_FOLDER}/, left out"] += 1
                    else:
                        files[split].append(path)
        return files
