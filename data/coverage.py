"""Annotations that no candidate of a model can match: nothing is dropped without being counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from ..modeling.joint_plmarker import JointRow, JointTask
from ..modeling.pair_tasks_plmarker import PairTask
from ..modeling.rows_plmarker import Annotations, PairRow, SpanRow
from ..modeling.span_tasks_plmarker import SpanTask, TagTask
from ..modeling.tagging_plmarker import entities_of_tags, tags_of_entities
from .excluded import excluded_relations


@dataclass
class Coverage:
    """Annotations that no candidate of a model can match; they still count against recall.

    Args:
        entities: annotated entities.
        too_wide: entities of more words than `max_span_length`.
        entities_outside: other entities that no window holds.
        second_entity_label: entities whose span has another label too. A model gives a span one label.
        untaggable: other entities that overlap or touch an entity, so that tags of words cannot say both.
        relations: annotated relations.
        without_entity: relations with an end that is not among the given entities.
        relations_outside: other relations whose ends no window holds together.
        second_relation_label: relations of a pair that has another relation too, and relations of a span with itself.
            A model gives a pair one relation.
        excluded: other relations that the constraints of the schema exclude.
    """

    entities: int = 0
    too_wide: int = 0
    entities_outside: int = 0
    second_entity_label: int = 0
    untaggable: int = 0
    relations: int = 0
    without_entity: int = 0
    relations_outside: int = 0
    second_relation_label: int = 0
    excluded: int = 0

    def __add__(self, other: Coverage) -> Coverage:
        return Coverage(*(getattr(self, item.name) + getattr(other, item.name) for item in fields(self)))

    @property
    def unreachable(self) -> int:
        """How many annotations no candidate can match."""
        entities = self.too_wide + self.entities_outside + self.second_entity_label + self.untaggable
        return entities + self.without_entity + self.relations_outside + self.second_relation_label + self.excluded

    def __str__(self) -> str:
        outside = "outside the window"
        parts = []
        for kind, total, losses in (
            (
                "entities",
                self.entities,
                {
                    "too wide": self.too_wide,
                    outside: self.entities_outside,
                    "second labels of a span": self.second_entity_label,
                    "too near to another for tags of words": self.untaggable,
                },
            ),
            (
                "relations",
                self.relations,
                {
                    "with an end that is no given entity": self.without_entity,
                    outside: self.relations_outside,
                    "second relations of a pair": self.second_relation_label,
                    "excluded by constraints": self.excluded,
                },
            ),
        ):
            unreachable = sum(losses.values())
            if unreachable:
                reasons = ", ".join(f"{count} {reason}" for reason, count in losses.items() if count)
                parts.append(f"{unreachable} of {total} {kind} ({unreachable / total:.1%}) cannot be found: {reasons}")
            elif total:
                parts.append(f"all {total} {kind} can be found")
        return "; ".join(parts) or "there are no annotations"


def entity_coverage(task: SpanTask, rows: Sequence[SpanRow], annotations: Annotations) -> Coverage:
    """Count the entities of a document that no candidate span of its rows matches, or no sequence of tags."""
    candidates = {span for row in rows for span in row.spans}
    by_words = isinstance(task, TagTask)
    coverage = Coverage()
    for sentence in sorted({entity[0] for entity in annotations.gold_entities}):
        entities = annotations.entities(sentence)
        taggable = _taggable(entities, task.config.tags) if by_words else entities
        seen: set[tuple[int, int]] = set()
        for start, end, label in entities:
            coverage.entities += 1
            spans = {(word, word) for word in range(start, end + 1)} if by_words else {(start, end)}
            if (start, end) in seen:
                coverage.second_entity_label += 1
            elif not by_words and end - start + 1 > task.config.max_span_length:
                coverage.too_wide += 1
            elif not spans <= candidates:
                coverage.entities_outside += 1
            elif [start, end, label] not in taggable:
                coverage.untaggable += 1
            seen.add((start, end))
    return coverage


def _taggable(entities: Sequence[Sequence[int]], tags: str) -> list[list[int]]:
    """The entities that come back from the tags of a sentence."""
    first, last = min(start for start, _, _ in entities), max(end for _, end, _ in entities)
    return entities_of_tags(tags_of_entities(entities, first, last, tags), first, tags)


def relation_coverage(task: PairTask, rows: Sequence[PairRow], annotations: Annotations) -> Coverage:
    """Count the relations of a document that no pair of its rows matches.

    A model that decides on both directions of a pair together gives the pair one relation. A model that decides on each
    direction alone gives each direction one.
    """
    pairs = {(*subject, *entity) for row in rows for subject, entity in zip(row.subjects, row.objects, strict=True)}
    coverage, schema = Coverage(), task.config.schema
    for sentence in sorted({relation[0] for relation in annotations.gold_relations}):
        given = {(start, end): schema.entity_classes[label] for start, end, label in annotations.given(sentence)}
        gold = [
            ((hs, he), (ts, te), schema.relation_classes[label])
            for hs, he, ts, te, label in annotations.relations(sentence)
        ]
        excluded = {relation for relation, _ in excluded_relations(schema, given, gold)}
        linked: set[Any] = set()
        for *ends, label in annotations.relations(sentence):
            coverage.relations += 1
            head, tail = tuple(ends[:2]), tuple(ends[2:])
            pair = frozenset((head, tail)) if task.config.adds_directions else (head, tail)
            if pair in linked or (head == tail and not task.keeps_self_pairs):
                coverage.second_relation_label += 1
                continue
            linked.add(pair)
            if not {head, tail} <= given.keys():
                coverage.without_entity += 1
            elif tuple(ends) not in pairs:
                coverage.relations_outside += 1
            elif (head, tail, schema.relation_classes[label]) in excluded:
                coverage.excluded += 1
    return coverage


def joint_coverage(task: JointTask, rows: Sequence[JointRow], annotations: Annotations) -> Coverage:
    """As `entity_coverage`, and in training as `relation_coverage`. Evaluation pairs the entities that it finds."""
    coverage = entity_coverage(task.spans, rows, annotations)
    if any(row.pair_labels for row in rows):
        coverage += relation_coverage(task.pairs, [row.pair_row for row in rows], annotations)
    return coverage
