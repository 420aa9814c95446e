"""Predictions beside what is annotated: which of them are right, with which score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..modeling.decoding_plmarker import remove_overlaps
from ..modeling.pair_tasks_plmarker import PairTask
from ..modeling.rows_plmarker import Annotations
from ..modeling.schema_plmarker import LabelSchema
from ..modeling.span_tasks_plmarker import SpanTask
from ..modeling.task_plmarker import Scored


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
    classes = task.config.schema.entity_classes
    found = []
    for sentence, spans in enumerate(task.decode(scored, n_sentences, least_nil)):
        truth = {tuple(row) for row in annotations.entities(sentence)}
        kept = remove_overlaps(spans, task.config.flat)
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
    schema = task.config.schema
    decoded = task.decode(scored, n_sentences, task.config.entity_types, {"NIL": least_nil})
    # A model of single directions may find a symmetric relation twice; the more probable one is first.
    found = {_key((*r.head, *r.tail, r.label), schema): r for rows in decoded for r in reversed(rows)}
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
