"""Other thresholds for an extraction, without reading the text once more where that gives the same."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from ..modeling.extraction_plmarker import Extraction


def above(extraction: Extraction, entities: Mapping[str, float], relations: Mapping[str, float]) -> Extraction:
    """What of an extraction has at least the scores of its labels. Relations of a dropped entity are dropped.

    Args:
        entities, relations: the least score of each label; a label that is missing has none.
    """
    kept = [entity for entity in extraction.entities if entity.score >= entities.get(entity.label, 0.0)]
    spans = {(entity.start, entity.end) for entity in kept}
    linked = [
        relation
        for relation in extraction.relations
        if relation.score >= relations.get(relation.label, 0.0)
        and all((end.start, end.end) in spans for end in (relation.head, relation.tail))
    ]
    return Extraction(extraction.text, extraction.sentences, kept, linked)


def needs_new_reading(
    model: Any, extraction: Extraction, entities: Mapping[str, float], relations: Mapping[str, float]
) -> bool:
    """Whether [`above`] may give something else than the model with these thresholds.

    Entities compete where they overlap, and so do relations whose ends overlap, or that constraints limit to one at an
    end. What a threshold removes may have suppressed something else.

    Args:
        model: the model that found `extraction` without thresholds.
        entities, relations: the least score of each label.
    """
    entity, relation = model.readers
    schema = model.config.schema
    least = {entities.get(label, 0.0) for label in schema.entity_labels}
    is_limited = any(found.one_per_head or found.one_per_tail for found in schema.constraints.values())
    if relation is not None and is_limited and any((*least, *relations.values())):
        return True
    if not any(least):
        return False
    if relation is not None and getattr(model.config, "shared_encoder", False):
        # The markers of the entities of a sentence see each other.
        return True
    if entity.config.flat:
        # With one threshold for all labels, the better one of two spans is kept wherever the worse one is.
        return len(least) > 1
    places = sorted((found.start, found.end) for found in extraction.entities)
    overlap = any(start < end for (_, end), (start, _) in pairwise(places))
    return relation is not None and overlap
