"""The base class of the builders.

A builder finds the files of a corpus, converts them to typed documents, and compares the counts with the literature.
"""

from __future__ import annotations

import hashlib
import logging
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from datasets import BuilderConfig, DatasetInfo, Features, GeneratorBasedBuilder, Split, SplitGenerator, Version

from ...modeling.schema_plmarker import LabelSchema, PLMarkerError
from ..documents import Document
from ..formats import ReadingOptions, check_options, read_corpus
from ..labels import LabelCounts
from ..report import ReadingReport, raise_problems
from ..statistics import count_document
from ..tables import DOCUMENT_FEATURES

logger = logging.getLogger(__name__)

# Increase this number if a builder gives other documents for the same files. The cache of `datasets` depends on it.
BUILDER_VERSION = 1

LDC_LICENSE = "LDC User Agreement for Non-Members, or the member's; the texts may not be redistributed"

SPLITS = {"train": Split.TRAIN, "validation": Split.VALIDATION, "test": Split.TEST}


@dataclass(frozen=True)
class Corpus:
    """Description of a corpus.

    Args:
        title: the name that the authors gave to the corpus.
        source: the origin and version of the files.
        license: the licence in words. It also applies to a dataset that is built from the corpus.
        citation: a BibTeX entry.
        schema: the labels, in the order of the original's classes; None for the files of a user.
        license_id: the identifier of the licence on the Hub.
        restricted: true if the licence does not allow publishing the texts.
        language: ISO 639-1 code.
        homepage: the URL of the corpus.
        published: configuration name -> split -> counts in the literature. The names of the counts are `documents`,
            `sentences`, `entities` and `relations`.
    """

    title: str
    source: str
    license: str
    citation: str = ""
    schema: LabelSchema | None = None
    license_id: str = "other"
    restricted: bool = False
    language: str = "en"
    homepage: str = ""
    published: Mapping[str, Mapping[str, Mapping[str, int]]] = field(default_factory=dict)


@dataclass
class CorpusConfig(BuilderConfig):
    """A configuration of a corpus, such as a fold of ACE04.

    Args:
        version: the version of the builder.
        reading: settings that the files do not state.
    """

    version: Version | str = field(default_factory=lambda: Version(f"{BUILDER_VERSION}.0.0"))
    reading: ReadingOptions = field(default_factory=ReadingOptions)


class CorpusBuilder(GeneratorBasedBuilder):
    """Base class of the builders. A builder converts the files of a corpus to a dataset of typed documents.

    `datasets` caches the result until a file changes.

    Example:
        `builder = Ace05Builder(data_dir="ace_2005_td_v7"); builder.download_and_prepare(); builder.as_dataset()`

    Args:
        data_dir: the folder with the files of the corpus. Its subfolders are searched too.
        config_name: the name of a configuration in `BUILDER_CONFIGS`; None takes the first.
        options: further options of `datasets.GeneratorBasedBuilder`, and `reading`, a `ReadingOptions`.

    Attributes:
        report: the problems and counts. It is filled by `download_and_prepare`, and empty if the dataset came from the
            cache.
        split_counts: split -> counts of its documents, sentences, words, entities and relations. It is filled like
            `report`.

    Raises:
        PLMarkerError: if the folder or the configuration does not exist, or if the format of the corpus does not use an
            option of `reading`. `download_and_prepare` raises it if the folder
            has no file of the corpus. If files have problems, it raises the `DatasetGenerationError` of `datasets`, and
            its cause is a `PLMarkerError` with the first problems.
    """

    BUILDER_CONFIG_CLASS = CorpusConfig
    BUILDER_CONFIGS: ClassVar[Sequence[CorpusConfig]] = [CorpusConfig(name="documents")]
    # Deeply nested lists need much memory while they are converted to Arrow, so the batches are small.
    DEFAULT_WRITER_BATCH_SIZE = 200

    corpus: ClassVar[Corpus]
    format: ClassVar[str]

    def __init__(self, *, data_dir: str | Path, config_name: str | None = None, **options: Any) -> None:
        self.source = Path(data_dir)
        if not self.source.exists():
            raise PLMarkerError(f"{data_dir}: no such file or folder")
        config_name = config_name or self.BUILDER_CONFIGS[0].name
        names = [config.name for config in self.BUILDER_CONFIGS]
        if names and config_name not in names:
            raise PLMarkerError(f"{self.corpus.title} has no configuration {config_name!r}, only {', '.join(names)}")
        file_hash = _hash_files(self.source, self.format)
        super().__init__(data_dir=str(data_dir), config_name=config_name, hash=file_hash, **options)
        check_options(self.source, self.format, self.config.reading)
        self.report, self.labels = ReadingReport(), LabelCounts()
        self.split_counts: dict[str, Counter[str]] = {}
        self._split_paths: dict[str, list[Path]] = {}

    @abstractmethod
    def split_files(self) -> dict[str, list[Path]]:
        """Return the files of each split. A split without files is left out of the dataset."""

    def document_features(self) -> Features:
        """Return the columns of the dataset."""
        return DOCUMENT_FEATURES

    def _info(self) -> DatasetInfo:
        corpus = self.corpus
        return DatasetInfo(
            description=f"{corpus.title}, {corpus.source}",
            features=self.document_features(),
            homepage=corpus.homepage,
            license=corpus.license,
            citation=corpus.citation,
        )

    def _split_generators(self, dl_manager: Any) -> list[SplitGenerator]:
        self.report, self.split_counts, self.labels = ReadingReport(), {}, LabelCounts()
        self._split_paths = self.split_files()
        if not any(self._split_paths.values()):
            raise PLMarkerError(f"{self.source}: no files of {self.corpus.title} were found here")
        for split, published in self.corpus.published.get(self.config.name, {}).items():
            if not self._split_paths.get(split):
                counts = ", ".join(f"{count} {name}" for name, count in published.items())
                self._warn(split, f"no file of this split was found; the published counts are {counts}")
        return [
            SplitGenerator(name=SPLITS.get(split, split), gen_kwargs={"split": split})
            for split, paths in self._split_paths.items()
            if paths
        ]

    def _generate_examples(self, split: str) -> Iterator[tuple[int, Document]]:
        for number, document in enumerate(self._read_split(split)):
            yield number, {name: document.get(name) for name in self.info.features or ()}
        if self.report.fatal:
            # The error stops the build. The other splits are read first, so that it can list their problems too.
            for other in self._split_paths:
                if other not in self.split_counts:
                    for _ in self._read_split(other):
                        pass
            raise_problems(self.report.fatal)

    def _read_split(self, split: str) -> Iterator[Document]:
        """Stream the documents of a split, count them, and report differences from the published counts."""
        counts: Counter[str] = Counter()
        self.split_counts[split] = counts
        keys: set[str] = set()
        unknown: Counter[tuple[str, str]] = Counter()
        for path in self._split_paths[split]:
            for document in read_corpus(path, self.report, self.format, self.config.reading, annotated=False):
                if document["doc_key"] in keys:
                    message = f"{split} has a second document {document['doc_key']!r}, expected unique names"
                    self.report.problem(path, 0, message)
                keys.add(document["doc_key"])
                counts += count_document(document)
                self.labels.add(document)
                unknown.update(self._unknown_labels(document))
                yield document
        for (kind, label), count in unknown.items():
            self._warn(split, f"{count} {kind} have the label {label!r}, which the published corpus does not have")
        for name, published in self.corpus.published.get(self.config.name, {}).get(split, {}).items():
            if counts[name] != published:
                self._warn(split, f"found {counts[name]} {name}, but the published count is {published}")

    def _unknown_labels(self, document: Document) -> Iterator[tuple[str, str]]:
        """Yield `entities` or `relations` with the label, for each annotation whose label is not in the schema."""
        schema = self.corpus.schema
        for kind, name in (("entities", "ner"), ("relations", "relations")):
            known = () if schema is None else schema.entity_labels if name == "ner" else schema.relation_labels
            for row in (row for rows in document[name] or () for row in rows):
                if known and row["label"] not in known:
                    yield kind, row["label"]

    def _warn(self, split: str, message: str) -> None:
        self.report.problem(self.source, 0, f"{split}: {message}", fatal=False)
        logger.warning("%s, %s: %s", self.corpus.title, split, message)


def find_file(source: Path, *names: str) -> list[Path]:
    """Search a folder with all its subfolders for a file.

    Args:
        source: the folder.
        names: the possible names of the file.

    Returns:
        A list with the file in the fewest subfolders. Earlier names win on the same level. The list is empty if there
        is no such file.
    """
    found = [path for path in source.rglob("*") if path.name in names and path.is_file()]
    return sorted(found, key=lambda path: (len(path.parts), names.index(path.name), path))[:1]


def _hash_files(source: Path, format: str) -> str:
    """Return a hash for the cache of `datasets`. It changes if a file or the format changes."""
    files = sorted(path for path in source.rglob("*") if path.is_file()) if source.is_dir() else [source]
    state = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return hashlib.sha256(repr((BUILDER_VERSION, format, state)).encode()).hexdigest()
