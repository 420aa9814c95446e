"""`extract` and `predict` of all models: texts and documents in, extractions and labelled documents out."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from tqdm.auto import tqdm

from .decoding_plmarker import ScoredRelation, ScoredSpan, remove_overlaps
from .extraction_plmarker import Extraction, build_extraction
from .given_plmarker import with_given
from .joint_plmarker import JointScorer
from .prediction_plmarker import (
    BATCH_TOKENS,
    as_annotations,
    check_pruner_threshold,
    predict_relations,
    predict_spans,
    predict_types,
)
from .schema_plmarker import NIL, LabelSchema, PLMarkerError, Threshold, least_scores
from .task_plmarker import Document
from .text_plmarker import SentenceSplitter, check_language, join_words, locate_words, located_document, split_sentences
from .windows_plmarker import WordTokenizer

# A document with the entities and the relations of each of its sentences, as words and classes.
Prediction = tuple[Document, list[list[ScoredSpan]], list[list[ScoredRelation]]]


class ExtractsFromText:
    """A model that finds entities in raw text, and relations between them where it has a relation model."""

    config: Any
    checked_documents: Any
    # The package sets it, see `plmarker.reports.explanation`.
    explainer: ClassVar[Callable[..., Extraction] | None] = None

    @property
    def readers(self) -> tuple[Any, Any]:
        """The entity model, and the relation model or None."""
        raise NotImplementedError

    def check_thresholds(
        self, entity_threshold: Threshold | None, relation_threshold: Threshold | None, pruner_threshold: float | None
    ) -> None:
        """Make sure that `predict` can take these thresholds.

        Raises:
            PLMarkerError: for a bad number, an unknown label, and a threshold of what the model does not find.
        """
        entity, relation = self.readers
        schema: LabelSchema = self.config.schema
        forward = schema.relation_classes[: schema.n_forward] if relation is not None else [NIL]
        given = (entity, entity_threshold, schema.entity_classes), (relation, relation_threshold, forward)
        for part, threshold, classes in given:
            least_scores(chosen_threshold(part, threshold), classes, math.inf if threshold is None else 1.0)
        check_pruner_threshold(entity, pruner_threshold)

    def predict(
        self,
        documents: Iterable[Document],
        batch_tokens: int = BATCH_TOKENS,
        entity_threshold: Threshold | None = None,
        relation_threshold: Threshold | None = None,
        pruner_threshold: float | None = None,
        given_entities: bool = False,
        constraints: bool = True,
    ) -> Iterator[Prediction]:
        """Find entities, and the relations between them, in a stream of documents.

        Args:
            documents: mappings with `sentences` of words. Annotations are not read.
            given_entities: take the entities from `predicted_ner` of the documents, and look for no others. They have
                the score 1. An entity whose label is None gets its most probable type, and that type's probability.
            batch_tokens: most text tokens of a batch.
            entity_threshold, relation_threshold: least score of what is found, for all labels or by label. None takes
                those of the model, which `plmarker calibrate` fits; 0.0 has none.
            pruner_threshold: in place of the config's, for a model with a pruner; 0.0 gives all spans markers.
            constraints: keep the constraints of the model's schema, if it has any. False decodes without them.

        Returns:
            A generator of each document, in order, with the entities and the relations of each of its sentences. An
            entity model finds no relations.

        Raises:
            PLMarkerError: for a bad document or argument, and for a model without its tokenizer.
        """
        thresholds = entity_threshold, relation_threshold, pruner_threshold
        return self.read_documents(documents, batch_tokens, *thresholds, given_entities, constraints)

    def read_documents(
        self,
        documents: Iterable[Document],
        batch_tokens: int,
        entity_threshold: Threshold | None,
        relation_threshold: Threshold | None,
        pruner_threshold: float | None,
        given_entities: bool,
        constraints: bool = True,
    ) -> Iterator[Prediction]:
        """See `predict`. A relation model, too, has this method."""
        entity, relation = self.readers
        entity_threshold = chosen_threshold(entity, entity_threshold)
        relation_threshold = chosen_threshold(relation, relation_threshold)
        documents, tokenize = self.checked_documents(documents, batch_tokens)
        self.check_thresholds(entity_threshold, relation_threshold, pruner_threshold)
        if given_entities:
            given = predict_types(entity, tokenize, documents, self.config.schema, batch_tokens)
            if relation is None:
                return ((document, spans, [[] for _ in spans]) for document, spans in given)
            read = (_with_entities(document, spans, self.config.schema) for document, spans in given)
            linked = predict_relations(relation, tokenize, read, batch_tokens, "input", relation_threshold, constraints)
            return ((document["source"], document["spans"], relations) for document, relations in linked)

        def with_entities() -> Iterator[dict[str, Any]]:
            found = predict_spans(entity, tokenize, documents, batch_tokens, entity_threshold, pruner_threshold)
            for document, sentences in found:
                spans = [remove_overlaps(sentence, entity.config.flat) for sentence in sentences]
                yield _with_entities(document, spans, entity.config.schema)

        if relation is not None and getattr(self.config, "shared_encoder", False):
            thresholds = entity_threshold, relation_threshold, pruner_threshold
            return self._predict_jointly(documents, tokenize, batch_tokens, *thresholds, constraints)
        if relation is None:
            return ((read["source"], read["spans"], [[] for _ in read["spans"]]) for read in with_entities())
        linked = predict_relations(
            relation, tokenize, with_entities(), batch_tokens, None, relation_threshold, constraints
        )
        return ((read["source"], read["spans"], relations) for read, relations in linked)

    def _predict_jointly(
        self,
        documents: Iterable[Document],
        tokenize: WordTokenizer,
        batch_tokens: int,
        entity_threshold: Threshold,
        relation_threshold: Threshold,
        pruner_threshold: float | None,
        constraints: bool,
    ) -> Iterator[Prediction]:
        """As `predict`, with one text pass for entities and relations."""
        scorer = JointScorer(self, batch_tokens, entity_threshold, pruner_threshold)
        rows = ((d, scorer.task.spans.rows(d, tokenize, annotated=False), len(d["sentences"])) for d in documents)
        for document, found in scorer.stream(rows):
            n_sentences = len(document["sentences"])
            relations = scorer.task.pairs.decode(found.pairs, n_sentences, "input", relation_threshold, constraints)
            yield document, found.entities, relations

    def extract(
        self,
        text: str | Sequence[str] | None = None,
        *,
        words: Sequence[Sequence[str]] | Sequence[Sequence[Sequence[str]]] | None = None,
        entities: Sequence[Any] | None = None,
        batch_tokens: int = BATCH_TOKENS,
        show_progress: bool = False,
        entity_threshold: Threshold | None = None,
        relation_threshold: Threshold | None = None,
        sentence_splitter: SentenceSplitter = split_sentences,
        pruner_threshold: float | None = None,
        language: str | None = None,
        constraints: bool = True,
        explain: bool = False,
    ) -> Extraction | list[Extraction]:
        """Find entities and relations in raw text. The model is not changed: threads may share it.

        Args:
            text: one text, or several.
            words: in place of text, the sentences of one document, already cut into words; or several such documents.
            entities: the entities, as (start, end, label), and no others are looked for. Start and end are characters
                of the text, end exclusive, or the first and last word of the document, with `words`. Without a label,
                (start, end) gets the type that the model gives it. For several texts, a list for each of them. Words
                are cut where an entity begins or ends; that is reported.
            batch_tokens: most text tokens of a batch. More is faster on GPUs, up to their memory.
            show_progress: show a progress bar over the texts.
            entity_threshold, relation_threshold: least score of what is returned: a number, or a number for each
                label, as `{"Person": 0.8}`. A label that is not named has no threshold. None takes those of the
                model, which `plmarker calibrate` fits; 0.0 has none.
            sentence_splitter: returns the sentences of a text.
            pruner_threshold: in place of the config's, for a model with a pruner; 0.0 gives all spans markers.
            language: ISO 639-1 code of the text, for `split_sentences`; by default English.
            constraints: keep the constraints of the model's schema, if it has any: the relations are the best-scoring
                ones that keep them. False returns what the model says without them.
            explain: give each relation the words that it was read from, see [`Explanation`]. For each relation its
                window is read about twenty times more.

        Returns:
            One [`Extraction`], or a list in the order of the texts where several were given.

        Raises:
            PLMarkerError: for a threshold of an unknown label, a model without its tokenizer, and given entities that
                are not in the text or whose label the model does not know.

        Example:
            >>> model.extract("Ines Tavarro sings.").entities  # doctest: +SKIP
            [Entity(text='Ines Tavarro', label='Person', start=0, end=12, score=0.97, sentence=0)]
        """
        if (text is None) == (words is None):
            raise PLMarkerError("extract takes either text or words=")
        for name, value in (("constraints", constraints), ("explain", explain)):
            if not isinstance(value, bool):
                raise PLMarkerError(f"{name} is True or False, got {value!r}")
        if not callable(sentence_splitter):
            raise PLMarkerError(f"sentence_splitter is a function, got {sentence_splitter!r}")
        if language is not None:
            check_language(language)
            if sentence_splitter is not split_sentences:
                raise PLMarkerError("language is for the default sentence_splitter; yours knows its language")
            sentence_splitter = partial(split_sentences, language=language)
        is_one = isinstance(text, str) if words is None else not _are_documents(words)
        if words is not None:
            located_texts = [join_words(_sentences(item)) for item in ([words] if is_one else words)]
        else:
            located_texts = [(item, locate_words(item, sentence_splitter)) for item in _texts(text)]
        documents = [located_document(str(number), *found) for number, found in enumerate(located_texts)]
        if entities is not None:
            lists = [entities] if is_one else list(entities)
            if len(lists) != len(documents):
                raise PLMarkerError(f"entities= has {len(lists)} lists for {len(documents)} texts")
            documents = [
                with_given(document, given, self.config.schema, f"text {number}", by_words=words is not None)
                for number, (document, given) in enumerate(zip(documents, lists, strict=True))
            ]
        thresholds = entity_threshold, relation_threshold, pruner_threshold
        found = self.read_texts(
            documents, batch_tokens, *thresholds, entities is not None, constraints, explain=explain
        )
        progress = tqdm(found, total=len(documents), disable=not show_progress, unit="text")
        results = [extraction for _, extraction in progress]
        return results[0] if is_one else results

    def read_texts(
        self, documents: Iterable[Document], *options: Any, explain: bool = False
    ) -> Iterator[tuple[Document, Extraction]]:
        """`extract` for a stream of documents.

        Args:
            documents: what `located_document` or, for given entities, `with_given` returns. They may have more keys.
            options: the further arguments of `read_documents`, in its order.

        Yields:
            Each document, in order, with its extraction.
        """
        if explain and self.explainer is None:
            raise PLMarkerError("explain=True needs the package plmarker: import plmarker")
        for document, spans, relations in self.read_documents(documents, *options):
            located = document["located"]
            extraction = build_extraction(document["text"], located, spans, relations, self.config.schema)
            if explain and self.explainer is not None:
                extraction = self.explainer(extraction, located)
            yield document, extraction


def chosen_threshold(part: Any | None, threshold: Threshold | None) -> Threshold:
    """A threshold that a call names, or else that of the model."""
    if threshold is not None:
        return threshold
    return {} if part is None else dict(part.config.thresholds)


def _with_entities(document: Document, spans: list[list[ScoredSpan]], schema: LabelSchema) -> dict[str, Any]:
    """What the relation model reads of a document, with the document and its entities beside it."""
    return {
        "doc_key": document.get("doc_key", ""),
        "sentences": document["sentences"],
        "predicted_ner": [as_annotations(sentence, schema.entity_classes) for sentence in spans],
        "source": document,
        "spans": spans,
    }


def _are_documents(words: Any) -> bool:
    """Whether words are those of several documents, and not the sentences of one."""
    for item in words if isinstance(words, Sequence) and not isinstance(words, str | bytes) else ():
        if isinstance(item, str | bytes | Mapping) or not isinstance(item, Sequence):
            return False
        for inner in item:
            return isinstance(inner, Sequence) and not isinstance(inner, str | bytes)
    return False


def _sentences(words: Any) -> list[list[str]]:
    """The sentences of a document that is already cut into words."""
    wrong = f"words= is a list of sentences, each a list of words, got {reprlib.repr(words)}"
    if isinstance(words, str | bytes | Mapping) or not isinstance(words, Iterable):
        raise PLMarkerError(wrong)
    sentences = []
    for sentence in words:
        if isinstance(sentence, str | bytes | Mapping) or not isinstance(sentence, Iterable):
            raise PLMarkerError(wrong)
        sentences.append(list(sentence))
    if not all(isinstance(word, str) for sentence in sentences for word in sentence):
        raise PLMarkerError(wrong)
    for number, sentence in enumerate(sentences):
        if not all(word.strip() for word in sentence):
            raise PLMarkerError(f"words=, sentence {number}: a word is blank")
    return sentences


def _texts(given: Any) -> list[str]:
    """One text or several, as a list."""
    if isinstance(given, str):
        return [given]
    texts = list(given) if isinstance(given, Iterable) and not isinstance(given, bytes | Mapping) else [given]
    if not all(isinstance(text, str) for text in texts):
        raise PLMarkerError(f"extract takes a text or a list of texts, got {reprlib.repr(given)}")
    return texts
