"""Few-NERD: `train.txt`, `dev.txt` and `test.txt` in the folders `supervised`, `inter` and `intra`."""

from __future__ import annotations

from pathlib import Path

from ..formats import ReadingOptions
from ..presets import load_preset
from .corpus import Corpus, CorpusBuilder, CorpusConfig, find_file


class FewNerdBuilder(CorpusBuilder):
    """Builder of Few-NERD: Wikipedia sentences with 66 fine entity types.

    The configurations are `supervised`, `inter` and `intra`. The tags have no scheme, so adjacent words of the same
    type form one entity. Each sentence is a document.

    Example:
        `FewNerdBuilder(data_dir="fewnerd", config_name="inter").download_and_prepare()`
    """

    format = "conll"
    BUILDER_CONFIGS = [
        CorpusConfig(name=name, reading=ReadingOptions(scheme="none")) for name in ("supervised", "inter", "intra")
    ]
    corpus = Corpus(
        title="Few-NERD",
        source="the release of 2021",
        license="CC BY-SA 4.0",
        license_id="cc-by-sa-4.0",
        homepage="https://ningding97.github.io/fewnerd/",
        citation="""@inproceedings{ding-etal-2021-nerd,
  title = {Few-{NERD}: A Few-shot Named Entity Recognition Dataset},
  author = {Ding, Ning and Xu, Guangwei and Chen, Yulin and Wang, Xiaobin and Han, Xu and Xie, Pengjun and
    Zheng, Haitao and Liu, Zhiyuan},
  booktitle = {Proceedings of ACL-IJCNLP 2021},
  year = {2021}
}""",
        schema=load_preset("fewnerd").schema,
        published={
            "supervised": {
                "train": {"sentences": 131767, "entities": 340387},
                "validation": {"sentences": 18824, "entities": 48770},
                "test": {"sentences": 37648, "entities": 96902},
            }
        },
    )

    def split_files(self) -> dict[str, list[Path]]:
        # `data_dir` may be the folder of the configuration or a folder above it.
        folders = [path for path in self.source.rglob(self.config.name) if path.is_dir()]
        folder = min(folders, key=lambda path: len(path.parts), default=None)
        if folder is None and self.source.name != self.config.name:
            return {}
        names = {"train": "train.txt", "validation": "dev.txt", "test": "test.txt"}
        return {split: find_file(folder or self.source, name) for split, name in names.items()}
