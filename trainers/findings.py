"""Predictions beside what is annotated: which of them are right, with which score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..modeling.decoding_plmarker import ScoredRelation, ScoredSpan, remove_overlaps
from ..modeling.pair_tasks_plmarker import PairTask
from ..modeling.rows_plmarker import Annotations
from ..modeling.schema_plmarker import NIL, LabelSchema
from ..modeling.span_tasks_plmarker import SpanTask
from ..modeling.task_plmarker import Scored

# The least scores for which `scores_of` computes precision and recall.
LEAST_SCORES = [*(step / 20 for step in range(20)), 0.99]
# Scores of this many bins of equal width are compared with what is right.
BINS = 10


@dataclass(frozen=True)
class Found:
    """A prediction: its label, its score, and whether it is right."""

    label: str
    score: float
    is_right: bool


@dataclass(frozen=True)
class Findings:
    """What a model finds in one document, and how much of each label is annotated there.

    An annotation that is no candidate is counted here, and nothing that is found matches it.
    """

    found: list[Found]
    annotated: Counter[str]


def entity_findings(
    task: SpanTask, scored: Sequence[Scored[Any]], annotations: Annotations, n_sentences: int, least_nil: float = 0.0
) -> Findings:
    """The entities of a document, without overlaps. One is right where its span and its label are annotated.

    Args:
        least_nil: the least score of NIL, see `Threshold`.
    """
    decoded = task.decode(scored, n_sentences, least_nil)
    return matched_entities(task, [remove_overlaps(spans, task.config.flat) for spans in decoded], annotations)


def matched_entities(task: SpanTask, spans: Sequence[Sequence[ScoredSpan]], annotations: Annotations) -> Findings:
    """The entities of each sentence of a document beside what is annotated."""
    classes = task.config.schema.entity_classes
    found = []
    for sentence, kept in enumerate(spans):
        truth = {tuple(row) for row in annotations.entities(sentence)}
        found += [Found(classes[s.label], s.score, (s.start, s.end, s.label) in truth) for s in kept]
    return Findings(found, Counter(classes[row[-1]] for row in annotations.gold_entities))


def relation_findings(
    task: PairTask, scored: Sequence[Scored[Any]], annotations: Annotations, n_sentences: int, least_nil: float = 0.0
) -> Findings:
    """The relations of a document. One is right where its two spans and its label are annotated.

    A symmetric relation counts once, in whatever direction it is found or annotated.

    Args:
        least_nil: the least score of NIL, see `Threshold`.
    """
    decoded = task.decode(scored, n_sentences, task.config.entity_types, {NIL: least_nil})
    return matched_relations(task, decoded, annotations)


def matched_relations(
    task: PairTask, relations: Sequence[Sequence[ScoredRelation]], annotations: Annotations
) -> Findings:
    """The relations of each sentence of a document, best first, beside what is annotated."""
    schema = task.config.schema
    # A model of single directions may find a symmetric relation twice; the more probable one is first.
    found = {_key((*r.head, *r.tail, r.label), schema): r for rows in relations for r in reversed(rows)}
    truth = {_key(row[1:], schema) for row in annotations.gold_relations}
    classes = schema.relation_classes
    return Findings(
        [Found(classes[r.label], r.score, key in truth) for key, r in found.items()],
        Counter(classes[key[-1]] for key in truth),
    )


def _key(row: Sequence[int], schema: LabelSchema) -> tuple[int, ...]:
    """A relation, as words of the document and class. A symmetric one has one order."""
    head, tail, label = tuple(row[:2]), tuple(row[2:4]), row[4]
    if label < schema.n_symmetric and tail < head:
        head, tail = tail, head
    return (*head, *tail, label)


def counts_from(
    found: Sequence[Findings], thresholds: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How much that is right is returned, and how much in all; shape (thresholds, documents) each."""

    def above(scores: list[float]) -> NDArray[np.float64]:
        return np.asarray(len(scores) - np.searchsorted(np.sort(scores), thresholds, side="left"), dtype=np.float64)

    right = [above([one.score for one in document.found if one.is_right]) for document in found]
    returned = [above([one.score for one in document.found]) for document in found]
    return np.stack(right, axis=1), np.stack(returned, axis=1)


def score_bins(found: Sequence[Found]) -> list[tuple[float, float, int]]:
    """Mean score, share of right predictions, and number of predictions of each bin that has any."""
    members: dict[int, list[Found]] = {}
    for one in found:
        members.setdefault(min(int(one.score * BINS), BINS - 1), []).append(one)
    return [
        (float(np.mean([o.score for o in part])), float(np.mean([o.is_right for o in part])), len(part))
        for _, part in sorted(members.items())
    ]


def scores_of(findings: Sequence[Findings]) -> dict[str, list[tuple[float, ...]]]:
    """What the scores of findings say.

    Returns:
        `by_least_score`: a least score, and micro precision, recall and F1 of what has it, as long as anything has.
        `bins`: as `score_bins` gives them.
    """
    annotated = sum(document.annotated.total() for document in findings)
    rows: list[tuple[float, ...]] = []
    if findings:
        right, returned = (counts.sum(axis=1).tolist() for counts in counts_from(findings, LEAST_SCORES))
        rows = [
            (least, hits / n, hits / annotated if annotated else 0.0, 2 * hits / (n + annotated))
            for least, hits, n in zip(LEAST_SCORES, right, returned, strict=True)
            if n
        ]
    return {"by_least_score": rows, "bins": [*score_bins([one for document in findings for one in document.found])]}
