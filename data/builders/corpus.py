"""What the builders have in common: files of a corpus in, typed documents out, counts compared with the published."""

from __future__ import annotations

import hashlib
import logging
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from datasets import BuilderConfig, DatasetInfo, GeneratorBasedBuilder, Split, SplitGenerator, Version

from ...modeling.schema_plmarker import LabelSchema, PLMarkerError
from ..documents import DOCUMENT_FEATURES, Document
from ..formats import ReadingOptions, read_corpus
from ..report import ReadingReport, raise_problems
from ..statistics import count_document

logger = logging.getLogger(__name__)

# Raise it when builders give other documents for the same files: datasets then prepares them anew.
BUILDER_VERSION = 1

LDC_LICENSE = "LDC User Agreement for Non-Members, or the member's; the texts may not be redistributed"

SPLITS = {"train": Split.TRAIN, "validation": Split.VALIDATION, "test": Split.TEST}


@dataclass(frozen=True)
class Corpus:
    """What is known of a corpus.

    Args:
        title: as its authors call it.
        source: where its files come from, with their version.
        license: in words; a dataset made from it has the same.
        citation: BibTeX.
        schema: labels, in the order of the original's classes.
        license_id: as the Hub names it.
        restricted: the licence does not allow to publish the texts.
        language: ISO 639-1 code.
        homepage: of the corpus.
        published: for each config and split what the literature counts, as `documents`, `sentences`, `entities`,
            `relations`.
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
    """A part of a corpus, such as a fold, and how its files are read.

    Args:
        reading: what the files do not say of themselves.
    """

    version: Version | str = field(default_factory=lambda: Version(f"{BUILDER_VERSION}.0.0"))
    reading: ReadingOptions = field(default_factory=ReadingOptions)


class CorpusBuilder(GeneratorBasedBuilder):
    """A dataset of documents from the files of a corpus, as their owners ship them.

    Example:
        `builder = Ace05Builder(data_dir="ace_2005_td_v7"); builder.download_and_prepare(); builder.as_dataset()`

    A builder prepared once is taken from the cache of `datasets` until its files change.

    Args:
        data_dir: the folder with the corpus's files, which the builder searches.
        config_name: one of `BUILDER_CONFIGS`; `documents` where there is but one.
        reading: how the files are read, a `ReadingOptions`.

    Attributes:
        report: after `download_and_prepare`, what was found wrong, changed or left out; empty when the dataset came
            from the cache.
        found: the counts of each split, as `report`.

    Raises:
        PLMarkerError: for a missing folder; from `download_and_prepare` for one without any file of the corpus, and, as
            the cause of datasets' own error, listing the first problems that make files unusable.
    """

    BUILDER_CONFIG_CLASS = CorpusConfig
    BUILDER_CONFIGS: ClassVar[Sequence[CorpusConfig]] = [CorpusConfig(name="documents")]
    # Sentences of words nest deeply: fewer of them at once keep memory low.
    DEFAULT_WRITER_BATCH_SIZE = 200

    corpus: ClassVar[Corpus]
    format: ClassVar[str]

    def __init__(self, *, data_dir: str | Path, config_name: str | None = None, **options: Any) -> None:
        self.source = Path(data_dir)
        if not self.source.exists():
            raise PLMarkerError(f"{data_dir}: no such file or folder")
        config_name = config_name or self.BUILDER_CONFIGS[0].name
        names = [config.name for config in self.BUILDER_CONFIGS]
        if config_name not in names:
            raise PLMarkerError(f"{self.corpus.title} has no part {config_name!r}, only {', '.join(names)}")
        state = _state_of_files(self.source, self.format)
        super().__init__(data_dir=str(data_dir), config_name=config_name, hash=state, **options)
        self.report = ReadingReport()
        self.found: dict[str, Counter[str]] = {}
        self._paths: dict[str, list[Path]] = {}

    @abstractmethod
    def split_files(self) -> dict[str, list[Path]]:
        """The files of each split; a split without files is left out."""

    def _info(self) -> DatasetInfo:
        corpus = self.corpus
        return DatasetInfo(
            description=f"{corpus.title}, {corpus.source}",
            features=DOCUMENT_FEATURES,
            homepage=corpus.homepage,
            license=corpus.license,
            citation=corpus.citation,
        )

    def _split_generators(self, dl_manager: Any) -> list[SplitGenerator]:
        self.report, self.found = ReadingReport(), {}
        self._paths = self.split_files()
        if not any(self._paths.values()):
            raise PLMarkerError(f"{self.source}: no files of {self.corpus.title} in it")
        for split, published in self.corpus.published.get(self.config.name, {}).items():
            if not self._paths.get(split):
                counts = ", ".join(f"{count} {what}" for what, count in published.items())
                self._deviation(split, f"no file of it in {self.source}; published are {counts}")
        return [
            SplitGenerator(name=SPLITS[split], gen_kwargs={"split": split})
            for split, paths in self._paths.items()
            if paths
        ]

    def _generate_examples(self, split: str) -> Iterator[tuple[int, Document]]:
        yield from enumerate(self._documents(split))
        if self.report.fatal:
            # Nothing will be written: all that is wrong is told at once.
            for other in self._paths:
                if other not in self.found:
                    for _ in self._documents(other):
                        pass
            raise_problems(self.report.fatal)

    def _documents(self, split: str) -> Iterator[Document]:
        """The documents of a split; their counts go to `found`, and what deviates from the published, to `report`."""
        counts: Counter[str] = Counter()
        self.found[split] = counts
        keys: set[str] = set()
        unknown: Counter[tuple[str, str]] = Counter()
        for path in self._paths[split]:
            for document in read_corpus(path, self.report, self.format, self.config.reading, annotated=False):
                if document["doc_key"] in keys:
                    self.report.problem(path, 0, f"a second document {document['doc_key']!r} in {split}")
                keys.add(document["doc_key"])
                counts += count_document(document)
                unknown.update(self._unknown_labels(document))
                yield document
        for (kind, label), count in unknown.items():
            self._deviation(split, f"{count} {kind} labelled {label!r}, which the published corpus does not have")
        for what, published in self.corpus.published.get(self.config.name, {}).get(split, {}).items():
            if counts[what] != published:
                self._deviation(split, f"{counts[what]} {what}, published are {published}")

    def _unknown_labels(self, document: Document) -> Iterator[tuple[str, str]]:
        schema = self.corpus.schema
        for kind, name in (("entities", "ner"), ("relations", "relations")):
            known = () if schema is None else schema.entity_labels if name == "ner" else schema.relation_labels
            for row in (row for rows in document[name] or () for row in rows):
                if known and row["label"] not in known:
                    yield kind, row["label"]

    def _deviation(self, split: str, message: str) -> None:
        self.report.problem(self.source, 0, f"{split}: {message}", fatal=False)
        logger.warning("%s, %s: %s", self.corpus.title, split, message)


def find_file(source: Path, *names: str) -> list[Path]:
    """The file of one of these names that lies least deep in a folder; empty where there is none."""
    found = [path for path in source.rglob("*") if path.name in names and path.is_file()]
    return sorted(found, key=lambda path: (len(path.parts), names.index(path.name), path))[:1]


def _state_of_files(source: Path, format: str) -> str:
    """Changes when a file or its format does, so that datasets does not take an earlier state from its cache."""
    files = sorted(path for path in source.rglob("*") if path.is_file()) if source.is_dir() else [source]
    state = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return hashlib.sha256(repr((BUILDER_VERSION, format, state)).encode()).hexdigest()
