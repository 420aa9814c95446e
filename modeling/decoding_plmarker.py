"""Scores to entities and relations: pure functions on arrays (paper, section 3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .constraints_plmarker import Constraints
from .schema_plmarker import LabelSchema, Threshold, least_scores
from .tagging_plmarker import entities_of_tags
from .windows_plmarker import Span

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
    """A relation that the relation model finds. The head of a symmetric relation is the span that was seen first.

    Args:
        head, tail: spans of words.
        label: class index, forward and never NIL.
        score: geometric mean of the probabilities of the two directions, between 0 and 1.
        head_label, tail_label: entity classes of the two spans.
    """

    head: Span
    tail: Span
    label: int
    score: float
    head_label: int
    tail_label: int


# Gives the score by which a relation is sorted: from the added scores of a pair, the winner and its forward class.
SortingScore = Callable[[Array, int, int], float]


def winning_score(scores: Array, winner: int, label: int) -> float:
    """The score of the winning class, which may be an inverse one."""
    return float(scores[winner])


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


def without_weak_nil(scores: Array, nil_scores: Array, least_nil: float) -> Array:
    """Scores in which NIL is the worst class where its own score is below the least one. So another class is best.

    Args:
        scores: shape (rows, classes), NIL first.
        nil_scores: the probability of NIL; shape (rows,).
    """
    if least_nil <= 0.0:
        return scores
    weak = nil_scores < least_nil
    return np.concatenate([np.where(weak, scores.min(axis=-1) - 1.0, scores[:, 0])[:, None], scores[:, 1:]], axis=1)


def label_spans(spans: Sequence[Span], logits: Array, least_nil: float = 0.0) -> list[ScoredSpan]:
    """The spans whose best class is not NIL, in the given order.

    Args:
        logits: shape (spans, classes), NIL first.
        least_nil: the least score of NIL, see `without_weak_nil`.
    """
    if not len(spans):
        return []
    probabilities = softmax(np.asarray(logits, dtype=np.float64))
    labels = without_weak_nil(probabilities, probabilities[:, 0], least_nil).argmax(axis=-1)
    return [
        ScoredSpan(int(spans[row][0]), int(spans[row][1]), int(labels[row]), float(probabilities[row, labels[row]]))
        for row in labels.nonzero()[0].tolist()
    ]


def label_words(first_word: int, logits: Array, tags: str) -> list[ScoredSpan]:
    """The entities that a sequence tagger finds in a sentence.

    Args:
        first_word: the first word of the sentence, at document level.
        logits: shape (words, tag classes), see `tag_classes`.

    Returns:
        The entities by place; the score of one is the mean probability of its words' tags.
    """
    if not len(logits):
        return []
    probabilities = softmax(np.asarray(logits, dtype=np.float64))
    best = probabilities.max(axis=-1)
    return [
        ScoredSpan(start, end, label, float(best[start - first_word : end - first_word + 1].mean()))
        for start, end, label in entities_of_tags(probabilities.argmax(axis=-1).tolist(), first_word, tags)
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
    entity_logits: Array | None,
    schema: LabelSchema,
    given_types: Mapping[Span, int] | None = None,
    threshold: Threshold = 0.0,
    pair_scores: str = "log_softmax",
    sorting_score: SortingScore = winning_score,
    constraints: Constraints | None = None,
    constrained_types: Mapping[Span, int] | None = None,
) -> list[ScoredRelation]:
    """Relations of one sentence, from both directions of every pair (paper, section 3.3).

    Unordered pairs are read in first-seen order. The scores of the two directions are added, after forward and inverse
    classes of the second one are swapped. A pair with a NIL type at an end gives no relation. A relation is dropped
    where a better one has the same label, and overlapping subjects and overlapping objects.

    Args:
        subjects, objects: the pair of each row. A row with subject = object only gives the type.
        relation_logits: shape (pairs, relation classes), inverse classes included.
        entity_logits: shape (pairs, entity classes), of the object; None only with `given_types`.
        given_types: the entity classes to take in place of the model's own.
        threshold: least score of a relation that is kept, by label too.
        pair_scores: the form of the scores: `log_softmax`, `softmax` or `raw`.
        sorting_score: the score by which relations are sorted, from the added scores of a pair, the winning class and
            its forward class.
        constraints: what the relations must keep. Then the classes of the pairs are the set with the highest sum of
            scores among those that keep them. Relations below the threshold hold no place of others.
        constrained_types: the entity classes that the constraints look at; only with `constraints`.

    Returns:
        The relations, best first.
    """
    if not len(subjects):
        return []
    scores, log_scores = _pair_scores(relation_logits, pair_scores)
    least = least_scores(threshold, schema.relation_classes[: schema.n_forward])
    types = [given_types[span] for span in objects] if given_types is not None else _best_classes(entity_logits)
    row_of_pair = {pair: row for row, pair in enumerate(zip(subjects, objects, strict=True))}
    pairs: list[tuple[Span, Span, int, int]] = []
    for (head, tail), row in row_of_pair.items():
        back = row_of_pair.get((tail, head))
        if head == tail or back is None or back < row or types[back] == 0 or types[row] == 0:
            continue
        pairs.append((head, tail, row, back))
    if not pairs:
        return []
    rows, backs = (np.array([pair[place] for pair in pairs]) for place in (2, 3))
    both = scores[rows] + scores[backs][:, schema.inverse_order]
    log_both = log_scores[rows] + log_scores[backs][:, schema.inverse_order]
    known = without_weak_nil(both, np.exp(log_both[:, 0] / 2), least[0])
    labels = known.argmax(axis=-1)
    if constraints is not None:
        returned = np.exp(log_both / 2) >= np.array([least[min(c, schema.inverse(c))] for c in range(both.shape[1])])
        ends = [pair[:2] for pair in pairs]
        labels = constraints.best_classes(ends, constrained_types or {}, known, returned)
    found: list[tuple[float, ScoredRelation]] = []
    for (head, tail, row, back), added, log_added, winner in zip(pairs, both, log_both, labels.tolist(), strict=True):
        if winner == 0:
            continue
        label, head_label, tail_label = winner, types[back], types[row]
        if label >= schema.n_forward:
            label = schema.inverse(label)
            head, tail, head_label, tail_label = tail, head, tail_label, head_label
        score = float(np.exp(log_added[winner] / 2))
        if score >= least[label]:
            rank = sorting_score(added, winner, label)
            found.append((rank, ScoredRelation(head, tail, label, score, head_label, tail_label)))
    return _without_overlaps(found)


def decode_directed(
    subjects: Sequence[Span],
    objects: Sequence[Span],
    relation_logits: Array,
    schema: LabelSchema,
    subject_types: Sequence[int],
    object_types: Sequence[int],
    threshold: Threshold = 0.0,
    pair_scores: str = "log_softmax",
    self_pairs: bool = False,
    constraints: Constraints | None = None,
    constrained_types: Mapping[Span, int] | None = None,
) -> list[ScoredRelation]:
    """Relations of one sentence, each direction of a pair by itself. A symmetric relation may be found in both.

    Args:
        subjects, objects: the pair of each row.
        relation_logits: shape (pairs, relation classes). A row whose best class is an inverse one gives no relation.
        subject_types, object_types: entity classes of each row's subject and object.
        threshold: least probability of a relation that is kept, by label too.
        pair_scores: the scores by which relations are sorted: `log_softmax`, `softmax` or `raw`.
        self_pairs: keep a relation of a span with itself.
        constraints, constrained_types: as in `decode_relations`.

    Returns:
        The relations, best first, without those that overlap a better one of their label.
    """
    if not len(subjects):
        return []
    scores, log_scores = _pair_scores(relation_logits, pair_scores)
    least = least_scores(threshold, schema.relation_classes[: schema.n_forward])
    known = without_weak_nil(scores, np.exp(log_scores[:, 0]), least[0])
    labels = known.argmax(axis=-1)
    pairs = list(zip(subjects, objects, strict=True))
    if constraints is not None:
        returned = np.zeros(scores.shape, dtype=bool)
        returned[:, : schema.n_forward] = np.exp(log_scores[:, : schema.n_forward]) >= np.array(least)
        returned[[not self_pairs and head == tail for head, tail in pairs]] = False
        labels = constraints.best_classes(pairs, constrained_types or {}, known, returned, directed=True)
    found: list[tuple[float, ScoredRelation]] = []
    rows = zip(pairs, labels.tolist(), scores, log_scores, subject_types, object_types, strict=True)
    for (head, tail), label, row, log_row, head_label, tail_label in rows:
        score = float(np.exp(log_row[label]))
        if 0 < label < schema.n_forward and score >= least[label] and (self_pairs or head != tail):
            found.append((row[label], ScoredRelation(head, tail, label, score, int(head_label), int(tail_label))))
    return _without_overlaps(found)


def _best_classes(logits: Array | None) -> list[int]:
    if logits is None:
        raise ValueError("entity types come from given_types or from entity_logits")
    classes: list[int] = np.asarray(logits).argmax(axis=-1).tolist()
    return classes


def _pair_scores(logits: Array, form: str) -> tuple[Array, Array]:
    """Logits in the form in which they are added up and compared, and as log-probabilities."""
    logits = np.asarray(logits, dtype=np.float64)
    log_scores = log_softmax(logits)
    return {"log_softmax": log_scores, "softmax": np.exp(log_scores), "raw": logits}[form], log_scores


def _without_overlaps(found: Sequence[tuple[float, ScoredRelation]]) -> list[ScoredRelation]:
    """The relations by rank, without those of the same label and overlapping ends as a better one."""
    kept: list[ScoredRelation] = []
    for _, relation in sorted(found, key=lambda item: -item[0]):
        if not any(
            relation.label == other.label
            and overlaps(relation.head, other.head)
            and overlaps(relation.tail, other.tail)
            for other in kept
        ):
            kept.append(relation)
    return kept
