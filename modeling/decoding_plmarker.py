"""Scores to entities and relations: pure functions on arrays (SPEC, sections 3 and 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .schema_plmarker import LabelSchema

Span = tuple[int, int]
Array = NDArray[np.floating]


@dataclass(frozen=True)
class ScoredSpan:
    """A span that the entity model labels.

    Args:
        start, end: words of the document, both inclusive.
        label: class index, never NIL.
        score: its softmax probability.
    """

    start: int
    end: int
    label: int
    score: float


@dataclass(frozen=True)
class ScoredRelation:
    """A relation that the relation model finds; of a symmetric one the head is the span that was seen first.

    Args:
        head, tail: spans of words.
        label: class index, forward and never NIL.
        score: geometric mean of the probabilities that the two directions give, between 0 and 1.
        head_label, tail_label: entity classes of the two spans.
    """

    head: Span
    tail: Span
    label: int
    score: float
    head_label: int
    tail_label: int


def softmax(logits: Array) -> Array:
    """Softmax over the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def log_softmax(logits: Array) -> Array:
    """Logarithm of the softmax over the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def overlaps(first: Span, second: Span) -> bool:
    """Whether two spans share a word."""
    return first[0] <= second[1] and second[0] <= first[1]


def label_spans(spans: Sequence[Span], logits: Array, threshold: float = 0.0) -> list[ScoredSpan]:
    """The spans whose best class is not NIL, in the given order.

    Args:
        logits: shape (spans, classes), NIL first.
        threshold: least probability of a span that is kept.
    """
    if not len(spans):
        return []
    probabilities = softmax(np.asarray(logits, dtype=np.float64))
    labels = probabilities.argmax(axis=-1)
    return [
        ScoredSpan(int(start), int(end), int(label), float(row[label]))
        for (start, end), label, row in zip(spans, labels, probabilities, strict=True)
        if label > 0 and row[label] >= threshold
    ]


def remove_overlaps(spans: Sequence[ScoredSpan], flat: bool) -> list[ScoredSpan]:
    """Keep the more probable of overlapping spans.

    Args:
        flat: True removes a span that overlaps any kept one, False only one of the same label.

    Returns:
        The kept spans by start, then end.
    """
    kept: list[ScoredSpan] = []
    for span in sorted(spans, key=lambda span: -span.score):
        rivals = kept if flat else [other for other in kept if other.label == span.label]
        if not any(overlaps((span.start, span.end), (other.start, other.end)) for other in rivals):
            kept.append(span)
    return sorted(kept, key=lambda span: (span.start, span.end))


def decode_relations(
    subjects: Sequence[Span],
    objects: Sequence[Span],
    relation_logits: Array,
    entity_logits: Array,
    schema: LabelSchema,
    given_types: Mapping[Span, int] | None = None,
    threshold: float = 0.0,
) -> list[ScoredRelation]:
    """Relations of one sentence, from both directions of every pair (paper, section 3.3).

    For an unordered pair, in first-seen order, the log-probabilities of the two directions are added, the second
    with forward and inverse classes swapped. A pair with a NIL type at an end gives nothing; of relations with the
    same label and overlapping subjects and objects the one with the best score stays.

    Args:
        subjects, objects: the pair of each row; a row with subject = object says only what it says of the type.
        relation_logits: shape (pairs, relation classes), inverse classes included.
        entity_logits: shape (pairs, entity classes), of the object.
        given_types: take these entity classes in place of the model's own.
        threshold: least score of a relation that is kept.

    Returns:
        The relations, best score first.
    """
    if not len(subjects):
        return []
    scores = log_softmax(np.asarray(relation_logits, dtype=np.float64))
    types = np.asarray(entity_logits).argmax(axis=-1)
    row_of_pair = {pair: row for row, pair in enumerate(zip(subjects, objects, strict=True))}
    found: list[ScoredRelation] = []
    for (head, tail), row in row_of_pair.items():
        back = row_of_pair.get((tail, head))
        if head == tail or back is None or back < row:
            continue
        head_label = given_types[head] if given_types else int(types[back])
        tail_label = given_types[tail] if given_types else int(types[row])
        if head_label == 0 or tail_label == 0:
            continue
        both = scores[row] + scores[back][schema.inverse_order]
        label = int(both.argmax())
        score = float(np.exp(both[label] / 2))
        if label == 0 or score < threshold:
            continue
        if label >= schema.n_forward:
            label = schema.inverse(label)
            head, tail, head_label, tail_label = tail, head, tail_label, head_label
        found.append(ScoredRelation(head, tail, label, score, head_label, tail_label))
    kept: list[ScoredRelation] = []
    for relation in sorted(found, key=lambda relation: -relation.score):
        if not any(
            relation.label == other.label
            and overlaps(relation.head, other.head)
            and overlaps(relation.tail, other.tail)
            for other in kept
        ):
            kept.append(relation)
    return kept


def types_from_relations(relations: Sequence[ScoredRelation]) -> dict[Span, int]:
    """The type of each span that occurs in a relation: the one from its highest-scoring relation.

    Args:
        relations: best score first, as `decode_relations` returns them.
    """
    types: dict[Span, int] = {}
    for relation in relations:
        types.setdefault(relation.head, relation.head_label)
        types.setdefault(relation.tail, relation.tail_label)
    return types
