"""What requests ask for as documents, and documents that are read together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..data.inputs import text_document
from ..data.validation import is_unicode
from ..modeling.given_plmarker import with_given
from ..modeling.schema_plmarker import PLMarkerError, Threshold
from ..modeling.task_plmarker import Document
from ..modeling.text_plmarker import join_words, located_document
from .limits import Limits
from .messages import DocumentBody, ExtractBody

# An explanation reads the window of a relation about this many times.
EXPLAINED_READINGS = 20


class TooLargeError(PLMarkerError):
    """A request that is larger than the server allows."""


@dataclass(frozen=True)
class Item:
    """One document of a request.

    Args:
        document: its words, and the given entities as `predicted_ner`.
        thresholds: of entities, of relations, and of the pruner.
        given_entities: whether the entities are given.
        constraints: whether the relations keep the constraints of the model's schema.
        explain: whether the relations get explanations.
        tokens: its subwords.
        work: the subwords of all its passes. Its number of relations is not known before it is read; one is assumed.
    """

    document: Document
    thresholds: tuple[Threshold | None, Threshold | None, float | None]
    given_entities: bool
    constraints: bool
    explain: bool
    tokens: int
    work: int


class Reader:
    """Prepares and reads documents; one thread may prepare while another one reads.

    Args:
        model: a model with `read_texts`. It is not changed.
        limits: what is too large.
    """

    def __init__(self, model: Any, limits: Limits) -> None:
        self.model, self.limits = model, limits
        self.schema = model.config.schema
        entity = model.readers[0]
        self.finds_entities = entity is not None
        self.finds_types = entity is not None and entity.task.scores_spans
        _, self.tokenize = model.checked_documents([], limits.batch_tokens)

    def prepare(self, body: ExtractBody) -> list[Item]:
        """The documents of a request, with all that can be wrong about one of them checked.

        Raises:
            TooLargeError: for too many documents, words, or given entities.
            PLMarkerError: for an unknown label, a bad threshold, a blank word, or a bad entity.
        """
        bodies = [body] if body.documents is None else body.documents
        if len(bodies) > self.limits.documents:
            raise TooLargeError(
                f"the request has {len(bodies)} documents, and the server takes at most {self.limits.documents}"
            )
        thresholds = (body.entity_threshold, body.relation_threshold, body.pruner_threshold)
        self.model.check_thresholds(*thresholds)
        items = []
        for number, one in enumerate(bodies):
            document = self._document(one, f"document {number}")
            words = [word for sentence in document["sentences"] for word in sentence]
            tokens = len(self.tokenize(words).ids)
            work = tokens * EXPLAINED_READINGS if body.explain else tokens
            given = one.entities is not None
            items.append(Item(document, thresholds, given, body.constraints, body.explain, tokens, work))
        return items

    def read(self, items: Sequence[Item]) -> list[dict[str, Any]]:
        """The extractions of documents, in their order, as `Extraction.to_dict` gives them.

        Documents with the same options are read together.

        Raises:
            PLMarkerError: for a given entity that fits in no window. Where one item is read, the message names it.
        """
        groups: dict[str, list[int]] = {}
        for number, item in enumerate(items):
            options = (item.thresholds, item.given_entities, item.constraints, item.explain)
            groups.setdefault(repr(options), []).append(number)
        found: dict[int, dict[str, Any]] = {}
        for numbers in groups.values():
            first = items[numbers[0]]
            documents = [items[number].document for number in numbers]
            chosen = (*first.thresholds, first.given_entities, first.constraints)
            extractions = self.model.read_texts(documents, self.limits.batch_tokens, *chosen, explain=first.explain)
            try:
                for number, (_, extraction) in zip(numbers, extractions, strict=True):
                    found[number] = extraction.to_dict()
            except PLMarkerError as error:
                raise PLMarkerError(f"{first.document['doc_key']}: {error}") from error
        return [found[number] for number in range(len(items))]

    def _document(self, body: DocumentBody, name: str) -> Document:
        """Words with their places in the text, and given entities."""
        if not all(map(is_unicode, [body.text or "", *(word for sentence in body.words or () for word in sentence)])):
            raise PLMarkerError(f"{name} is no valid Unicode: it holds a lone surrogate")
        if body.text is not None:
            document = text_document(name, body.text, body.language or "en")
        else:
            words = body.words or []
            for sentence, found in enumerate(words):
                if not all(word.strip() for word in found):
                    raise PLMarkerError(f"{name}, sentence {sentence}: a word is blank")
            document = located_document(name, *join_words(words))
        n_words = sum(map(len, document["sentences"]))
        if n_words > self.limits.words:
            raise TooLargeError(f"{name} has {n_words} words, and the server takes at most {self.limits.words}")
        if body.entities is not None:
            return self._with_entities(document, body, name)
        if not self.finds_entities:
            raise PLMarkerError(f"{name}: the model finds relations alone, so it needs 'entities'")
        return document

    def _with_entities(self, document: Document, body: DocumentBody, name: str) -> Document:
        rows = [(entity.start, entity.end, entity.label) for entity in body.entities or ()]
        document = with_given(document, rows, self.schema, name, by_words=body.text is None)
        most = max(map(len, document["predicted_ner"]), default=0)
        if most > self.limits.given_entities:
            raise TooLargeError(
                f"{name} gives {most} entities in one sentence, and the server takes at most "
                f"{self.limits.given_entities}"
            )
        if not self.finds_types and any(label is None for _, _, label in rows):
            raise PLMarkerError(f"{name}: the model scores no spans, so each entity needs a label")
        return document
