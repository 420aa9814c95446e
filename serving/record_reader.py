"""Records in, lines of JSON out: what one worker does, in this process or on another machine."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ..data.documents import Document
from ..data.inputs import document_of
from ..data.outputs import Answer
from ..data.records import Record
from ..modeling.schema_plmarker import Threshold


@dataclass(frozen=True)
class ExtractionOptions:
    """How documents are read, as the methods of a model take it.

    Args:
        batch_documents: documents that are read together, and that one worker gets at a time. The last digits of a
            score depend on the batches that it was computed in, so all engines cut the same groups.
        given_entities: take the entities that documents give, and look for no others.
        language: ISO 639-1 code of raw text.
        constraints: keep the constraints of the model's schema, if it has any.
        explain: give each relation the words that it was read from.
    """

    batch_tokens: int
    batch_documents: int
    entity_threshold: Threshold | None = None
    relation_threshold: Threshold | None = None
    pruner_threshold: float | None = None
    given_entities: bool = False
    language: str = "en"
    constraints: bool = True
    explain: bool = False


@dataclass(frozen=True)
class RecordReader:
    """Extracts from records.

    Args:
        model: a model with its tokenizer.
        options: how documents are read.
    """

    model: Any
    options: ExtractionOptions

    def __call__(self, records: Iterable[Record]) -> Iterator[Answer]:
        """The checksum of each record, in order, and what was found in its document as JSON.

        Raises:
            PLMarkerError: for a bad document, with its place.
        """
        options = self.options
        given = self.model.config.schema if options.given_entities else None

        def documents() -> Iterator[Document]:
            for record in records:
                yield {**document_of(record, options.language, given), "checksum": record.checksum}

        found = self.model.read_texts(
            documents(),
            options.batch_tokens,
            options.entity_threshold,
            options.relation_threshold,
            options.pruner_threshold,
            options.given_entities,
            options.constraints,
            explain=options.explain,
        )
        for document, extraction in found:
            result = {"doc_key": document["doc_key"], **extraction.to_dict()}
            yield document["checksum"], json.dumps(result, ensure_ascii=False)
