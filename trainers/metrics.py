"""Ent, Rel and Rel+, by label and overall (paper, section 3).

Every annotation counts against recall, also where no candidate can match it. A symmetric relation counts twice: in
gold, in predictions and when it is right. Rel compares both spans and the label, Rel+ also both types.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..modeling.decoding_plmarker import ScoredRelation, ScoredSpan
from ..modeling.schema_plmarker import LabelSchema
from ..modeling.windows_plmarker import Span
from .span_f1.counting import Score

AnnotationRow = Sequence[int]
Metrics = dict[str, float]


class EntityMetrics:
    """Counts entities, sentence by sentence.

    Args:
        schema: the names of the classes.
    """

    def __init__(self, schema: LabelSchema) -> None:
        self.classes = schema.entity_classes
        self.kept = Score()
        self.labelled = Score()

    def add(self, gold: Sequence[AnnotationRow], labelled: Sequence[ScoredSpan], kept: Sequence[ScoredSpan]) -> None:
        """Count one sentence.

        Args:
            gold: annotated entities as [start, end, class].
            labelled: the spans whose class is not NIL.
            kept: these spans without overlaps.
        """
        truth = {tuple(row) for row in gold}
        for score, spans in ((self.labelled, labelled), (self.kept, kept)):
            predicted = {(span.start, span.end, span.label) for span in spans}
            score.add(*(_names(self.classes, rows) for rows in (truth, predicted, predicted & truth)))

    def merge(self, other: EntityMetrics) -> None:
        """Add the counts of another process."""
        self.kept.merge(other.kept)
        self.labelled.merge(other.labelled)

    def compute(self) -> Metrics:
        """`ent_precision`, `ent_recall`, `ent_f1`, by label, and `ent_f1_overlap`, before the removal of overlaps."""
        return {**self.kept.metrics("ent"), "ent_f1_overlap": self.labelled.figures()[2]}


class RelationMetrics:
    """Counts relations, sentence by sentence.

    Args:
        schema: the names of the classes, and which relations are symmetric.
        entity_types: `relation` takes the types that the relation model gives (the original's default), `input` those
            of the entities that it was given (the original's `use_ner_results`).
        directed: a symmetric relation must be found in both directions, each counts once (the original, for models
            that decide on each direction alone). Otherwise one direction counts for both.
    """

    def __init__(self, schema: LabelSchema, entity_types: str = "relation", directed: bool = False) -> None:
        self.schema = schema
        self.entity_types = entity_types
        self.directed = directed
        self.boundary = Score()
        self.strict = Score()
        self.retyped = Score()

    def add(
        self,
        gold: Sequence[AnnotationRow],
        gold_relations: Sequence[AnnotationRow],
        given: Sequence[AnnotationRow],
        relations: Sequence[ScoredRelation],
    ) -> None:
        """Count one sentence.

        Args:
            gold: annotated entities as [start, end, class].
            gold_relations: annotated relations as [head start, head end, tail start, tail end, class].
            given: the entities that the model was given, as [start, end, class].
            relations: what the model found, best first.
        """
        gold_types = {(start, end): label for start, end, label in gold}
        given_types = {(start, end): label for start, end, label in given}
        found_types = given_types if self.entity_types == "input" else types_from_relations(relations)
        truth = {
            key for hs, he, ts, te, label in gold_relations for key in self._both_directions((hs, he), (ts, te), label)
        }
        typed_truth = {
            (key, self._types(key, gold_types)) for key in truth if all(span in gold_types for span in key[:2])
        }
        predicted: set[tuple] = set()
        for r in relations:
            predicted.update(
                [(r.head, r.tail, r.label)] if self.directed else self._both_directions(r.head, r.tail, r.label)
            )
        typed = {(key, self._types(key, found_types)) for key in predicted}
        for score, right in (
            (self.boundary, predicted & truth),
            (self.strict, {key for key, _ in typed & typed_truth}),
        ):
            score.add(*(_names(self.schema.relation_classes, keys) for keys in (truth, predicted, right)))
        entities = {(*span, found_types.get(span, label)) for span, label in given_types.items()}
        rows = {tuple(row) for row in gold}
        self.retyped.add(*(_names(self.schema.entity_classes, found) for found in (rows, entities, entities & rows)))

    def merge(self, other: RelationMetrics) -> None:
        """Add the counts of another process."""
        for mine, theirs in (
            (self.boundary, other.boundary),
            (self.strict, other.strict),
            (self.retyped, other.retyped),
        ):
            mine.merge(theirs)

    def compute(self) -> Metrics:
        """`rel_*`, `rel_strict_*` (Rel+), by label, and `retyped_ent_f1`."""
        return {
            **self.boundary.metrics("rel"),
            **self.strict.metrics("rel_strict"),
            "retyped_ent_f1": self.retyped.figures()[2],
        }

    def _both_directions(self, head: tuple[int, int], tail: tuple[int, int], label: int) -> list[tuple]:
        """A relation, and the same from the other end where it is symmetric."""
        directions: list[tuple] = [(head, tail, label)]
        if label < self.schema.n_symmetric:
            directions.append((tail, head, label))
        return directions

    def _types(self, key: tuple, types: dict[tuple[int, int], int]) -> tuple[int, int]:
        return types[key[0]], types[key[1]]


def _names(classes: Sequence[str], keys: Iterable[tuple]) -> list[str]:
    """The labels of items whose class comes last."""
    return [classes[key[-1]] for key in keys]


def types_from_relations(relations: Sequence[ScoredRelation]) -> dict[Span, int]:
    """The type of each span that occurs in a relation, taken from its highest-scoring relation.

    Args:
        relations: best score first, as `decode_relations` returns them.
    """
    types: dict[Span, int] = {}
    for relation in relations:
        types.setdefault(relation.head, relation.head_label)
        types.setdefault(relation.tail, relation.tail_label)
    return types
