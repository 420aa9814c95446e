"""Documents in, labelled spans and relations out: batches by tokens, answers in the order of the documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .decoding_plmarker import ScoredRelation, ScoredSpan, decode_relations, label_spans
from .packing_plmarker import split_by_tokens
from .processing_plmarker import Feature, entity_features, relation_features
from .windows_plmarker import WordTokenizer

if TYPE_CHECKING:
    from .modeling_plmarker import PLMarkerForEntityRecognition, PLMarkerForRelationExtraction

Document = Mapping[str, Any]

# On a CPU rows of this size are the fastest: their states stay in the cache.
BATCH_TOKENS = 2048
# Documents are read ahead for this many rows, so that rows are full.
ROWS_AHEAD = 8


def as_annotations(spans: Sequence[ScoredSpan], classes: Sequence[str]) -> list[dict[str, Any]]:
    """Spans in the form that a document's `predicted_ner` has."""
    return [{"start": span.start, "end": span.end, "label": classes[span.label]} for span in spans]


def split_logits(output: Any, features: Sequence[Feature]) -> Iterator[tuple[Tensor, ...]]:
    """The logits of each head, on the CPU in float32, for each feature of the row that gave `output`."""
    sizes = [len(feature["labels"]) for feature in features]
    heads = [output[name].float().cpu().split(sizes) for name in ("logits", "entity_logits") if name in output]
    return zip(*heads, strict=True)


def predict_spans(
    model: PLMarkerForEntityRecognition,
    tokenize: WordTokenizer,
    documents: Iterable[Document],
    batch_tokens: int = BATCH_TOKENS,
    threshold: float = 0.0,
) -> Iterator[tuple[Document, list[list[ScoredSpan]]]]:
    """Label the candidate spans of documents.

    Args:
        batch_tokens: most tokens of a packed row; a sentence with more makes a row of its own.
        threshold: least probability of a span.

    Yields:
        Each document with, for each sentence, the spans whose class is not NIL, overlaps included.
    """
    config = model.config

    def features_of(document: Document) -> list[Feature]:
        return entity_features(document, tokenize, config.schema, config.max_seq_length, config.max_span_length)

    for document, scored in _score_documents(model, features_of, documents, batch_tokens):
        found: list[list[ScoredSpan]] = [[] for _ in document["sentences"]]
        for feature, (logits,) in scored:
            spans = list(zip(feature["word_starts"], feature["word_ends"], strict=True))
            found[feature["sentence"]] += label_spans(spans, logits.numpy(), threshold)
        yield document, found


def predict_relations(
    model: PLMarkerForRelationExtraction,
    tokenize: WordTokenizer,
    documents: Iterable[Document],
    batch_tokens: int = BATCH_TOKENS,
    entity_types: str = "relation",
    threshold: float = 0.0,
) -> Iterator[tuple[Document, list[list[ScoredRelation]]]]:
    """Find the relations between the given entities of documents (`predicted_ner`, else `ner`).

    Args:
        batch_tokens: most tokens of a packed row.
        entity_types: `relation` takes the relation model's own types, `input` those of the given entities.
        threshold: least score of a relation.

    Yields:
        Each document with, for each sentence, its relations, best first.
    """
    if entity_types not in ("relation", "input"):
        raise ValueError(f"entity_types is 'relation' or 'input', not {entity_types!r}")
    config = model.config
    schema = config.schema

    def features_of(document: Document) -> list[Feature]:
        features = relation_features(document, tokenize, schema, config.max_seq_length)
        # A sentence with a single entity, its own object, has no relation.
        entities = Counter(feature["sentence"] for feature in features)
        return [f for f in features if entities[f["sentence"]] > 1 or len(f["object_starts"]) > 1]

    for document, scored in _score_documents(model, features_of, documents, batch_tokens):
        rows: list[list[tuple[Feature, tuple[Tensor, ...]]]] = [[] for _ in document["sentences"]]
        for feature, logits in scored:
            rows[feature["sentence"]].append((feature, logits))
        yield document, [decode_sentence(sentence, schema, entity_types, threshold) for sentence in rows]


def decode_sentence(
    scored: Sequence[tuple[Feature, Sequence[Tensor]]], schema: Any, entity_types: str, threshold: float = 0.0
) -> list[ScoredRelation]:
    """Decode the relations of one sentence from the features of its subjects and their two logits."""
    if not scored:
        return []
    subjects, objects = [], []
    for feature, _ in scored:
        spans = list(zip(feature["object_word_starts"], feature["object_word_ends"], strict=True))
        objects += spans
        subjects += [(feature["subject_word_start"], feature["subject_word_end"])] * len(spans)
    given = {(start, end): label for feature, _ in scored for start, end, label in feature["given"]}
    return decode_relations(
        subjects,
        objects,
        torch.cat([logits[0] for _, logits in scored]).numpy(),
        torch.cat([logits[1] for _, logits in scored]).numpy(),
        schema,
        given_types=given if entity_types == "input" else None,
        threshold=threshold,
    )


@torch.inference_mode()
def score_features(
    model: Any, features: Sequence[Feature], batch_tokens: int | None
) -> list[tuple[Feature, tuple[Tensor, ...]]]:
    """Run the model over features, in rows of at most `batch_tokens` tokens.

    Returns:
        Each feature that has tokens with its logits, on the CPU in float32: (spans, classes) of an entity model;
        (objects, relation classes) and (objects, entity classes) of a relation model.
    """
    scored: list[tuple[Feature, tuple[Tensor, ...]]] = []
    for batch in split_by_tokens(features, batch_tokens):
        row = {name: tensor.to(model.device) for name, tensor in model.pack(batch).items() if "labels" not in name}
        scored += zip(batch, split_logits(model(**row), batch), strict=True)
    return scored


def _score_documents(
    model: Any, features_of: Any, documents: Iterable[Document], batch_tokens: int
) -> Iterator[tuple[Document, list[tuple[Feature, tuple[Tensor, ...]]]]]:
    """Score documents a few rows at a time, so that a stream of any length takes bounded memory."""
    training = model.training
    model.eval()
    waiting: list[tuple[Document, list[Feature]]] = []
    n_tokens = 0
    try:
        for document in documents:
            features = features_of(document)
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
) -> Iterator[tuple[Document, list[tuple[Feature, tuple[Tensor, ...]]]]]:
    scored = score_features(model, [feature for _, features in waiting for feature in features], batch_tokens)
    logits_of = {id(feature): logits for feature, logits in scored}
    for document, features in waiting:
        yield document, [(feature, logits_of[id(feature)]) for feature in features if id(feature) in logits_of]
