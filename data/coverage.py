"""What features cannot reach: nothing is dropped without being counted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass
class Coverage:
    """Annotations that no candidate of a model can match; they still count against recall.

    Args:
        entities: annotated entities.
        too_wide: entities of more words than `max_span_length`.
        entities_outside: other entities that no window holds.
        relations: annotated relations.
        without_entity: relations with an end that is not among the entities that the model is given.
        relations_outside: other relations whose ends no window holds together.
    """

    entities: int = 0
    too_wide: int = 0
    entities_outside: int = 0
    relations: int = 0
    without_entity: int = 0
    relations_outside: int = 0

    def __str__(self) -> str:
        parts = []
        for kind, total, losses in (
            ("entities", self.entities, ((self.too_wide, "too wide"), (self.entities_outside, "outside the window"))),
            (
                "relations",
                self.relations,
                (
                    (self.without_entity, "with an end that is no given entity"),
                    (self.relations_outside, "outside the window"),
                ),
            ),
        ):
            lost = sum(count for count, _ in losses)
            if lost:
                reasons = ", ".join(f"{count} {reason}" for count, reason in losses if count)
                parts.append(f"{lost} of {total} {kind} ({lost / total:.1%}) cannot be found: {reasons}")
        return "; ".join(parts) or "every annotation can be found"


def entity_coverage(features: Iterable[Mapping[str, Any]], max_span_length: int) -> Coverage:
    """Count the entities that no candidate span of `features` matches."""
    gold: dict[Any, list[Sequence[int]]] = defaultdict(list)
    candidates: dict[Any, set[tuple[int, ...]]] = defaultdict(set)
    for feature in features:
        key = feature["doc_key"], feature["sentence"]
        gold[key] += feature["gold"]
        candidates[key].update(zip(feature["word_starts"], feature["word_ends"], strict=True))
    coverage = Coverage()
    for key, rows in gold.items():
        for start, end, _ in rows:
            coverage.entities += 1
            if end - start + 1 > max_span_length:
                coverage.too_wide += 1
            elif (start, end) not in candidates[key]:
                coverage.entities_outside += 1
    return coverage


def relation_coverage(features: Iterable[Mapping[str, Any]]) -> Coverage:
    """Count the relations that no pair of subject and object in `features` matches."""
    gold: dict[Any, list[Sequence[int]]] = defaultdict(list)
    given: dict[Any, set[tuple[int, ...]]] = defaultdict(set)
    pairs: dict[Any, set[tuple[int, ...]]] = defaultdict(set)
    for feature in features:
        key = feature["doc_key"], feature["sentence"]
        gold[key] += feature["gold_relations"]
        given[key].update((start, end) for start, end, _ in feature["given"])
        subject = feature["subject_word_start"], feature["subject_word_end"]
        objects = zip(feature["object_word_starts"], feature["object_word_ends"], strict=True)
        pairs[key].update((*subject, *span) for span in objects)
    coverage = Coverage()
    for key, rows in gold.items():
        for *ends, _ in rows:
            coverage.relations += 1
            if not {tuple(ends[:2]), tuple(ends[2:])} <= given[key]:
                coverage.without_entity += 1
            elif tuple(ends) not in pairs[key]:
                coverage.relations_outside += 1
    return coverage
