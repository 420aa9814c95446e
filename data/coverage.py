"""What features cannot reach: nothing is dropped without being counted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..modeling.configuration_plmarker import PLMarkerEntityConfig, PLMarkerRelationConfig
from ..modeling.processing_plmarker import pairs_of_feature
from ..modeling.tagging_plmarker import entities_of_tags, tags_of_entities


@dataclass
class Coverage:
    """Annotations that no candidate of a model can match; they still count against recall.

    Args:
        entities: annotated entities.
        too_wide: entities of more words than `max_span_length`.
        entities_outside: other entities that no window holds.
        second_entity_label: entities whose span has another label too; a model gives one.
        untaggable: other entities that overlap a wider one, or touch one, so that tags of words cannot say both.
        relations: annotated relations.
        without_entity: relations with an end that is not among the entities that the model is given.
        relations_outside: other relations whose ends no window holds together.
        second_relation_label: relations of a pair that has another one too, and relations of a span with itself; a
            model gives a pair one relation.
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

    @property
    def lost(self) -> int:
        """How many annotations cannot be found."""
        entities = self.too_wide + self.entities_outside + self.second_entity_label + self.untaggable
        return entities + self.without_entity + self.relations_outside + self.second_relation_label

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
                },
            ),
        ):
            lost = sum(losses.values())
            if lost:
                reasons = ", ".join(f"{count} {reason}" for reason, count in losses.items() if count)
                parts.append(f"{lost} of {total} {kind} ({lost / total:.1%}) cannot be found: {reasons}")
        return "; ".join(parts) or "every annotation can be found"


def entity_coverage(features: Iterable[Mapping[str, Any]], config: PLMarkerEntityConfig) -> Coverage:
    """Count the entities that no candidate span of `features` matches, or no sequence of tags."""
    gold: dict[Any, list[Sequence[int]]] = defaultdict(list)
    candidates: dict[Any, set[tuple[int, ...]]] = defaultdict(set)
    for feature in features:
        key = feature["doc_key"], feature["sentence"]
        gold[key] += feature["gold"]
        candidates[key].update(zip(feature["word_starts"], feature["word_ends"], strict=True))
    coverage = Coverage()
    by_words = config.method == "bio"
    for key, rows in gold.items():
        seen: set[tuple[int, ...]] = set()
        taggable = _taggable(rows, config.tags) if by_words else rows
        for start, end, label in rows:
            coverage.entities += 1
            spans = {(word, word) for word in range(start, end + 1)} if by_words else {(start, end)}
            if (start, end) in seen:
                coverage.second_entity_label += 1
            elif not by_words and end - start + 1 > config.max_span_length:
                coverage.too_wide += 1
            elif not spans <= candidates[key]:
                coverage.entities_outside += 1
            elif [start, end, label] not in taggable:
                coverage.untaggable += 1
            seen.add((start, end))
    return coverage


def _taggable(entities: Sequence[Sequence[int]], tags: str) -> list[list[int]]:
    """The entities that come back from the tags of a sentence."""
    if not entities:
        return []
    first, last = min(start for start, _, _ in entities), max(end for _, end, _ in entities)
    return entities_of_tags(tags_of_entities(entities, first, last, tags), first, tags)


def relation_coverage(features: Iterable[Mapping[str, Any]], config: PLMarkerRelationConfig) -> Coverage:
    """Count the relations that no pair of subject and object in `features` matches.

    A model that decides on both directions of a pair together gives it one relation; one that decides on each
    direction alone gives each one.
    """
    gold: dict[Any, list[Sequence[int]]] = defaultdict(list)
    given: dict[Any, set[tuple[int, ...]]] = defaultdict(set)
    pairs: dict[Any, set[tuple[int, ...]]] = defaultdict(set)
    for feature in features:
        key = feature["doc_key"], feature["sentence"]
        gold[key] += feature["gold_relations"]
        given[key].update((start, end) for start, end, _ in feature["given"])
        pairs[key].update((*subject, *entity) for subject, entity in pairs_of_feature(feature))
    coverage = Coverage()
    for key, rows in gold.items():
        linked: set[Any] = set()
        for *ends, _ in rows:
            coverage.relations += 1
            head, tail = tuple(ends[:2]), tuple(ends[2:])
            pair = frozenset((head, tail)) if config.adds_directions else (head, tail)
            if pair in linked or (head == tail and not config.has_quirk("last_group")):
                coverage.second_relation_label += 1
                continue
            linked.add(pair)
            if not {head, tail} <= given[key]:
                coverage.without_entity += 1
            elif tuple(ends) not in pairs[key]:
                coverage.relations_outside += 1
    return coverage
