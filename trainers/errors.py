"""Errors by kind, for a person to read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..modeling.decoding_plmarker import ScoredRelation, ScoredSpan, overlaps
from .metrics import AnnotationRow


def entity_errors(gold: Sequence[AnnotationRow], kept: Sequence[ScoredSpan]) -> Counter[str]:
    """Count a sentence's wrong and missed entities.

    Returns:
        Wrong predictions as `wrong label` (right span), `wrong boundaries` (overlaps a gold entity of the label),
        `wrong boundaries and label` or `spurious`; gold entities that no prediction overlaps as `missed`.
    """
    errors: Counter[str] = Counter()
    truth = {(start, end, label) for start, end, label in gold}
    for span in kept:
        if (span.start, span.end, span.label) in truth:
            continue
        near = [row for row in truth if overlaps((span.start, span.end), (row[0], row[1]))]
        if any(row[:2] == (span.start, span.end) for row in near):
            errors["wrong label"] += 1
        elif any(row[2] == span.label for row in near):
            errors["wrong boundaries"] += 1
        else:
            errors["wrong boundaries and label" if near else "spurious"] += 1
    for start, end, _ in truth:
        if not any(overlaps((start, end), (span.start, span.end)) for span in kept):
            errors["missed"] += 1
    return errors


def relation_errors(
    gold_relations: Sequence[AnnotationRow],
    given: Sequence[AnnotationRow],
    relations: Sequence[ScoredRelation],
    n_symmetric: int,
) -> Counter[str]:
    """Count a sentence's wrong and missed relations, by spans and label.

    Args:
        n_symmetric: classes below this have no direction.

    Returns:
        Wrong predictions as `wrong direction`, `wrong label` (of a related pair), `an end is in no gold relation` or
        `spurious`; gold relations whose pair is in no prediction as `missed` or `missed, an entity is missing`.
    """
    errors: Counter[str] = Counter()
    truth = {((hs, he), (ts, te), label) for hs, he, ts, te, label in gold_relations}
    gold_pairs = {frozenset((head, tail)) for head, tail, _ in truth}
    ends = {span for pair in gold_pairs for span in pair}
    predicted_pairs = {frozenset((relation.head, relation.tail)) for relation in relations}
    for relation in relations:
        swapped = (relation.tail, relation.head, relation.label)
        if (relation.head, relation.tail, relation.label) in truth:
            continue
        if swapped in truth:
            if relation.label >= n_symmetric:
                errors["wrong direction"] += 1
        elif frozenset((relation.head, relation.tail)) in gold_pairs:
            errors["wrong label"] += 1
        else:
            errors["spurious" if {relation.head, relation.tail} <= ends else "an end is in no gold relation"] += 1
    spans = {(start, end) for start, end, _ in given}
    for head, tail, _ in truth:
        if frozenset((head, tail)) not in predicted_pairs:
            errors["missed" if {head, tail} <= spans else "missed, an entity is missing"] += 1
    return errors
