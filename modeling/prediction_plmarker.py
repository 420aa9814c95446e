"""Documents in, labelled spans and relations out: batches by tokens, answers in the order of the documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .configuration_plmarker import PLMarkerEntityConfig, PLMarkerRelationConfig, PLMarkerTaskConfig
from .decoding_plmarker import (
    ScoredRelation,
    ScoredSpan,
    decode_directed,
    decode_relations,
    label_spans,
    label_words,
    softmax,
    spans_of_tags,
)
from .packing_plmarker import shares_windows, split_by_tokens
from .processing_plmarker import Feature, features_of, pairs_of_feature
from .schema_plmarker import LabelSchema, Threshold, least_scores
from .windows_plmarker import WordTokenizer

if TYPE_CHECKING:
    from .modeling_plmarker import PLMarkerForEntityRecognition, PLMarkerForRelationExtraction

Document = Mapping[str, Any]
# A feature, and the logits that each head of the model gives its spans or pairs.
Scored = tuple[Feature, Sequence[Tensor]]

# On a CPU rows of this size are the fastest: their states stay in the cache.
BATCH_TOKENS = 2048
# The scores of a model's heads, in the order in which they are passed on; a model has one, two or three of them.
LOGITS = ("logits", "entity_logits", "subject_logits")
# Spans of a sentence that the first of two stages leaves to the second.
MAX_CANDIDATES = 256
# Documents are read ahead for this many rows, so that rows are full.
ROWS_AHEAD = 8


def as_annotations(spans: Sequence[ScoredSpan], classes: Sequence[str]) -> list[dict[str, Any]]:
    """Spans in the form that a document's `predicted_ner` has."""
    return [{"start": span.start, "end": span.end, "label": classes[span.label]} for span in spans]


def as_relation_annotations(relations: Sequence[ScoredRelation], schema: LabelSchema) -> list[dict[str, Any]]:
    """Relations in the form that a document's `predicted_relations` has."""
    names = ("head_start", "head_end", "tail_start", "tail_end", "label")
    return [dict(zip(names, (*r.head, *r.tail, schema.relation_classes[r.label]), strict=True)) for r in relations]


def split_logits(output: Any, features: Sequence[Feature]) -> Iterator[tuple[Tensor, ...]]:
    """The logits of each head, on the CPU in float32, for each feature of the row that gave `output`."""
    sizes = [len(feature["labels"]) for feature in features]
    heads = [output[name].float().cpu().split(sizes) for name in LOGITS if name in output]
    return zip(*heads, strict=True)


def predict_spans(
    model: PLMarkerForEntityRecognition,
    tokenize: WordTokenizer,
    documents: Iterable[Document],
    batch_tokens: int = BATCH_TOKENS,
    threshold: Threshold = 0.0,
) -> Iterator[tuple[Document, list[list[ScoredSpan]]]]:
    """Label the candidate spans of documents.

    Args:
        batch_tokens: most tokens of a packed row; a sentence with more makes a row of its own.
        threshold: least score of a span, by label too.

    Yields:
        Each document with, for each sentence, the spans whose class is not NIL, overlaps included.
    """
    least = least_scores(threshold, model.config.schema.entity_classes)
    for document, sentences in _score_sentences(model, tokenize, documents, batch_tokens):
        labelled = [label_sentence(scored, model.config) for scored in sentences]
        yield document, [[span for span in spans if span.score >= least[span.label]] for spans in labelled]


def label_sentence(scored: Sequence[Scored], config: PLMarkerEntityConfig) -> list[ScoredSpan]:
    """Label the spans of one sentence from its features and their logits; overlaps are not removed."""
    spans, logits = _spans_and_logits(scored)
    if config.method != "bio":
        return label_spans(spans, logits)
    if not spans:
        return []
    # A long sentence is read in several windows, and a word that is in none of them has no tag.
    first, last = min(spans)[0], max(spans)[0]
    tags = np.zeros((last - first + 1, logits.shape[1]), dtype=logits.dtype)
    tags[:, 0] = 1.0
    for (word, _), row in zip(spans, logits, strict=True):
        tags[word - first] = row
    return label_words(first, tags, config.tags)


def predict_candidates(
    model: PLMarkerForEntityRecognition,
    tokenize: WordTokenizer,
    documents: Iterable[Document],
    limit: int = MAX_CANDIDATES,
    batch_tokens: int = BATCH_TOKENS,
) -> Iterator[dict[str, Any]]:
    """Choose the spans that a second entity model is to score (the paper's two-stage model).

    Args:
        model: the first stage; of a tagger, a span is as probable as its tags.
        limit: most spans of a sentence: those with the least probability of NIL.

    Yields:
        Each document with `candidates`: for each sentence spans as [start, end], by start, then end.
    """
    for document, sentences in _score_sentences(model, tokenize, documents, batch_tokens):
        candidates = []
        for scored in sentences:
            spans, logits = _spans_and_logits(scored)
            if model.config.method == "bio" and spans:
                spans, scores = spans_of_tags(spans, logits, model.config.tags, model.config.max_span_length)
            else:
                scores = 1 - softmax(logits)[:, 0]
            best = np.argsort(-scores, kind="stable")[:limit]
            candidates.append(sorted(spans[number] for number in best))
        yield {**document, "candidates": candidates}


def _spans_and_logits(scored: Sequence[Scored]) -> tuple[list[tuple[int, int]], NDArray[np.floating]]:
    """The spans of one sentence, as words, and their logits, shape (spans, classes)."""
    spans = [span for feature, _ in scored for span in zip(feature["word_starts"], feature["word_ends"], strict=True)]
    if not spans:
        return [], np.zeros((0, 1))
    return spans, torch.cat([logits[0] for _, logits in scored]).numpy()


def predict_relations(
    model: PLMarkerForRelationExtraction,
    tokenize: WordTokenizer,
    documents: Iterable[Document],
    batch_tokens: int = BATCH_TOKENS,
    entity_types: str = "relation",
    threshold: Threshold = 0.0,
) -> Iterator[tuple[Document, list[list[ScoredRelation]]]]:
    """Find the relations between the given entities of documents (`predicted_ner`, else `ner`).

    Args:
        batch_tokens: most tokens of a packed row.
        entity_types: `relation` takes the relation model's own types, `input` those of the given entities.
        threshold: least score of a relation, by label too.

    Yields:
        Each document with, for each sentence, its relations, best first.
    """
    if entity_types not in ("relation", "input"):
        raise ValueError(f"entity_types is 'relation' or 'input', not {entity_types!r}")
    # A label that is mistyped is told of even where nothing is found.
    least_scores(threshold, model.config.schema.relation_classes[: model.config.schema.n_forward])
    for document, sentences in _score_sentences(model, tokenize, documents, batch_tokens):
        yield document, [decode_sentence(scored, model.config, entity_types, threshold) for scored in sentences]


def decode_sentence(
    scored: Sequence[Scored],
    config: PLMarkerRelationConfig,
    entity_types: str,
    threshold: Threshold = 0.0,
) -> list[ScoredRelation]:
    """Decode the relations of one sentence from its features and their logits.

    Args:
        entity_types: `relation` takes the model's own types, where it has any, `input` those of the given entities.
    """
    given = {(start, end): label for feature, _ in scored for start, end, label in feature["given"]}
    if config.has_quirk("last_group"):
        scored = scored[-1:]
    pairs = [pair for feature, _ in scored for pair in pairs_of_feature(feature)]
    if not pairs:
        return []
    subjects, objects = [subject for subject, _ in pairs], [entity for _, entity in pairs]
    heads = [torch.cat(parts).numpy() for parts in zip(*(logits for _, logits in scored), strict=True)]
    types_given = entity_types == "input" or not config.entity_head
    if config.adds_directions:
        return decode_relations(
            subjects,
            objects,
            heads[0],
            None if types_given else heads[1],
            config.schema,
            given_types=given if types_given else None,
            threshold=threshold,
            pair_scores=config.pair_scores,
            inverse_score=config.has_quirk("inverse_score"),
        )
    levitated = config.subject_markers == "levitated"
    object_types = [given[span] for span in objects] if types_given else heads[1].argmax(axis=-1).tolist()
    subject_types = heads[2].argmax(axis=-1).tolist() if levitated and not types_given else [given[s] for s in subjects]
    rows = [row for row, label in enumerate(object_types) if levitated or label]
    return decode_directed(
        [subjects[row] for row in rows],
        [objects[row] for row in rows],
        heads[0][rows],
        config.schema,
        [subject_types[row] for row in rows],
        [object_types[row] for row in rows],
        threshold=threshold,
        pair_scores=config.pair_scores,
        self_pairs=config.has_quirk("last_group"),
    )


@torch.inference_mode()
def score_features(
    model: Any, features: Sequence[Feature], batch_tokens: int | None
) -> list[tuple[Feature, tuple[Tensor, ...]]]:
    """Run the model over features, in rows of at most `batch_tokens` tokens.

    Returns:
        Each feature that has tokens with its logits, on the CPU in float32: (spans, classes) of an entity model;
        (objects, relation classes) and, for each of its other heads, (objects, entity classes) of a relation model.
    """
    scored: list[tuple[Feature, tuple[Tensor, ...]]] = []
    for batch in split_by_tokens(features, batch_tokens, shares_windows(model.config)):
        row = {name: tensor.to(model.device) for name, tensor in model.pack(batch).items() if "labels" not in name}
        scored += zip(batch, split_logits(model(**row), batch), strict=True)
    return scored


def _with_answers(config: PLMarkerTaskConfig, features: list[Feature]) -> list[Feature]:
    """Leave out sentences with a single entity, its own object: they have no relation, but to the original."""
    if config.finds_entities or config.has_quirk("last_group"):
        return features
    pairs: Counter[int] = Counter()
    for feature in features:
        pairs[feature["sentence"]] += sum(subject != entity for subject, entity in pairs_of_feature(feature))
    return [feature for feature in features if pairs[feature["sentence"]]]


def _score_sentences(
    model: Any, tokenize: WordTokenizer, documents: Iterable[Document], batch_tokens: int
) -> Iterator[tuple[Document, list[list[Scored]]]]:
    """Score documents a few rows at a time, so that a stream of any length takes bounded memory."""
    training = model.training
    model.eval()
    waiting: list[tuple[Document, list[Feature]]] = []
    n_tokens = 0
    try:
        for document in documents:
            features = _with_answers(model.config, features_of(model.config, document, tokenize))
            waiting.append((document, features))
            n_tokens += sum(feature["length"] for feature in features)
            if n_tokens >= ROWS_AHEAD * batch_tokens:
                yield from _score_waiting(model, waiting, batch_tokens)
                waiting, n_tokens = [], 0
        yield from _score_waiting(model, waiting, batch_tokens)
    finally:
        model.train(training)


def _score_waiting(
    model: Any, waiting: Sequence[tuple[Document, list[Feature]]], batch_tokens: int
) -> Iterator[tuple[Document, list[list[Scored]]]]:
    scored = score_features(model, [feature for _, features in waiting for feature in features], batch_tokens)
    logits_of = {id(feature): logits for feature, logits in scored}
    for document, features in waiting:
        sentences: list[list[Scored]] = [[] for _ in document["sentences"]]
        for feature in features:
            if id(feature) in logits_of:
                sentences[feature["sentence"]].append((feature, logits_of[id(feature)]))
        yield document, sentences
