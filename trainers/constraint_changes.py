"""What constraints did to the relations that a model finds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from ..data.excluded import ONE_PER_HEAD, ONE_PER_TAIL, TYPES
from ..modeling.decoding_plmarker import ScoredRelation
from ..modeling.schema_plmarker import LabelSchema
from .metrics import AnnotationRow

# A relation that no constraint excludes, of a pair that took another class, or that a new relation overlaps.
OTHER = "other"


class ConstraintChanges:
    """Counts what constraints remove, change and add, sentence by sentence.

    Args:
        schema: the labels with their constraints.
    """

    def __init__(self, schema: LabelSchema) -> None:
        self.schema = schema
        # By label and constraint: how many relations were removed or changed, and how many of them were right.
        self.counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self.added: Counter[str] = Counter()

    def add(
        self,
        gold_relations: Sequence[AnnotationRow],
        given: Sequence[AnnotationRow],
        free: Sequence[ScoredRelation],
        kept: Sequence[ScoredRelation],
    ) -> None:
        """Count one sentence.

        Args:
            gold_relations: annotated relations as [head start, head end, tail start, tail end, class].
            given: the entities that the model was given, as [start, end, class].
            free, kept: the relations that the model finds without and with the constraints.
        """
        truth = {self._key((hs, he), (ts, te), label) for hs, he, ts, te, label in gold_relations}
        types = {(start, end): self.schema.entity_classes[label] for start, end, label in given}
        remaining = {self._key(r.head, r.tail, r.label): r for r in kept}
        before = {self._key(r.head, r.tail, r.label): r for r in free}
        pairs = {frozenset((r.head, r.tail)) for r in kept}
        for key, relation in before.items():
            if key in remaining:
                continue
            kind = self._constraint(relation, types, kept)
            what = "changed" if frozenset((relation.head, relation.tail)) in pairs else "removed"
            counts = self.counts[self.schema.relation_classes[relation.label], kind]
            counts.update([what, f"{what}_right"] if key in truth else [what])
        new = [key for key in remaining if key not in before]
        self.added.update({"added": len(new), "added_right": sum(key in truth for key in new)})

    def merge(self, other: ConstraintChanges) -> None:
        """Add what another process has counted."""
        for key, counts in other.counts.items():
            self.counts[key].update(counts)
        self.added.update(other.added)

    def metrics(self) -> dict[str, float]:
        """`constraints_removed`, `constraints_changed` and `constraints_added`, numbers of relations."""
        total = sum(self.counts.values(), Counter[str]())
        names = ("removed", "changed")
        return {**{f"constraints_{n}": float(total[n]) for n in names}, "constraints_added": float(self.added["added"])}

    def rows(self) -> list[dict[str, Any]]:
        """For each label and constraint the number of relations that it removed or changed, and how many were right."""
        names = ("removed", "removed_right", "changed", "changed_right")
        return [
            {"label": label, "constraint": kind, **{name: counts[name] for name in names}}
            for (label, kind), counts in sorted(self.counts.items())
        ]

    def _constraint(self, relation: ScoredRelation, types: Mapping[Any, str], kept: Sequence[ScoredRelation]) -> str:
        """The constraint that a relation breaks together with those that are kept."""
        label = self.schema.relation_classes[relation.label]
        if not self.schema.permits(label, types.get(relation.head, ""), types.get(relation.tail, "")):
            return TYPES
        constraint = self.schema.constraints.get(label)
        rivals = [other for other in kept if other.label == relation.label]
        if constraint is None:
            return OTHER
        if label in self.schema.symmetric_labels:
            ends = {relation.head, relation.tail}
            return ONE_PER_HEAD if constraint.one_per_head and any(ends & {r.head, r.tail} for r in rivals) else OTHER
        if constraint.one_per_head and any(other.head == relation.head for other in rivals):
            return ONE_PER_HEAD
        if constraint.one_per_tail and any(other.tail == relation.tail for other in rivals):
            return ONE_PER_TAIL
        return OTHER

    def _key(self, head: Any, tail: Any, label: int) -> tuple[Any, ...]:
        """A relation. The ends of a symmetric one have no order."""
        return (frozenset((head, tail)), label) if label < self.schema.n_symmetric else (head, tail, label)
