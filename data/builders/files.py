"""Builder for the files of a user, in any of the formats."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from datasets import Features

from ...modeling.schema_plmarker import PLMarkerError
from ..files import has_ending
from ..formats import FORMATS, ReadingOptions, common_format, folder_corpora
from ..tables import features_of_files
from .corpus import LDC_LICENSE, Corpus, CorpusBuilder, CorpusConfig

# Most files in these formats come from the LDC, so their texts must not be published.
LDC_FORMATS = ("ace", "conll2012")


class FilesBuilder(CorpusBuilder):
    """Builder of a dataset from the files of a user.

    A file or subfolder belongs to a split if its name contains one of these words: `train` or `training`; `validation`,
    `valid`, `val`, `dev`, `devel`, `development` or `testa`; `test` or `testb`. `emerging.dev.conll`,
    `wnut17train.conll` and `CDR_TestSet.PubTator.txt` are examples. A word inside other letters does not count, as in
    `latest.conll`. A file with a longer name beside that of a split is a split of its own: `test_ood.jsonl` beside
    `test.jsonl`. A file that joins two splits, such as `train_dev.tsv`, is left out if `train` is there. Otherwise it
    is `train`, with a warning if `dev` is there. Descriptions of the corpus, such as `README.md`, are passed over.
    Other files are left out with a warning. If no name contains a word for a split, or if `data_dir` is a file,
    everything is `train`. The same holds for brat files if a name has words for no split or for two, or if no name has
    a word for `train`.

    Example:
        `FilesBuilder(data_dir="my_corpus", format="conll").download_and_prepare()`

    Args:
        data_dir: the file or folder.
        format: a key of `FORMATS` in data/formats; None guesses the format from the files.
        corpus_folder: which corpus, if `data_dir` has several folders with splits of their own, see
            `folder_corpora`. It is the name of the configuration.
        title: the name of the corpus; None takes the name of the file or folder.
        reading: settings that the files do not state; None takes the defaults of the format.
        options: further options of `datasets.GeneratorBasedBuilder`.

    Raises:
        PLMarkerError: if the path does not exist, if the format is unknown, or if a split has two files.
    """

    # The folder decides.
    BUILDER_CONFIGS: ClassVar[Sequence[CorpusConfig]] = []

    def __init__(
        self,
        *,
        data_dir: str | Path,
        format: str | None = None,
        corpus_folder: str = "",
        title: str | None = None,
        reading: ReadingOptions | None = None,
        **options: Any,
    ) -> None:
        source = Path(data_dir)
        if format is not None and format not in FORMATS:
            raise PLMarkerError(f"there is no format {format!r}, expected one of {', '.join(FORMATS)}")
        corpora = folder_corpora(source, format)
        if corpus_folder not in corpora:
            names = ", ".join(corpora)
            raise PLMarkerError(f"{source}: there are several corpora in this folder, {names}: name one of them")
        self._found = corpora[corpus_folder]
        self._files = self._found.splits or {"train": [source]}
        files = [path for paths in self._files.values() for path in paths]
        self.format = format or common_format(files).name  # type: ignore[misc]
        # Other builders define these as class attributes. Here they depend on the files.
        self.corpus = Corpus(  # type: ignore[misc]
            title=title or source.resolve().name,
            source="local files",
            license=LDC_LICENSE if self.format in LDC_FORMATS else "unknown",
            license_id="other" if self.format in LDC_FORMATS else "unknown",
            restricted=self.format in LDC_FORMATS,
            language=(reading or ReadingOptions()).language,
        )
        reading = reading or FORMATS[self.format].reading
        if "language" not in FORMATS[self.format].uses:
            # The card names the language, also where reading does not depend on it.
            reading = replace(reading, language=ReadingOptions.language)
        name = re.sub(r"\W+", "_", corpus_folder) or "documents"
        super().__init__(data_dir=data_dir, reading=reading, config_name=name, **options)

    def document_features(self) -> Features:
        return features_of_files([path for paths in self._files.values() for path in paths])

    def split_files(self) -> dict[str, list[Path]]:
        endings = FORMATS[self.format].endings
        for path, reason in self._found.left_out.items():
            # Pictures and such are no news.
            if path.is_dir() or has_ending(path, endings) or not reason.startswith("its name"):
                self.report.problem(path, 0, f"left out: {reason}", fatal=False)
        for path, reason in self._found.overlapping.items():
            self.report.problem(path, 0, reason, fatal=False)
        return self._files

    def taken_for(self) -> list[str]:
        """A line for each file that was read: its split and its format."""
        kind = f"{self.format} ({FORMATS[self.format].description})"
        return [f"{path}: {split}, read as {kind}" for split, paths in self._files.items() for path in paths]
