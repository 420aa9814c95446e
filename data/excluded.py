"""Annotated relations that the constraints of a schema exclude: counted, with examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..modeling.schema_plmarker import LabelSchema

TYPES = "types"
ONE_PER_HEAD = "one_per_head"
ONE_PER_TAIL = "one_per_tail"
# Longer examples are cut.
EXAMPLE_LENGTH = 60


def excluded_relations(
    schema: LabelSchema, types: Mapping[Any, str], relations: Sequence[tuple[Any, Any, str]]
) -> Iterator[tuple[tuple[Any, Any, str], str]]:
    """The relations of a sentence that cannot all be kept, each with the constraint that it breaks.

    Args:
        types: the entity types of the spans. A relation of a span without a type breaks no constraint on types.
        relations: (head span, tail span, label) of each. Where an end may have one relation, the first one is kept.

    Yields:
        Each relation that is excluded, with `types`, `one_per_head` (of a symmetric label at either end) or
        `one_per_tail`.
    """
    taken: set[tuple[str, str, Any]] = set()
    seen: set[tuple[str, frozenset[Any]]] = set()
    for head, tail, label in relations:
        constraint = schema.constraints.get(label)
        if constraint is None:
            continue
        is_symmetric = label in schema.symmetric_labels
        if is_symmetric and (label, frozenset((head, tail))) in seen:
            # The same relation, annotated in its other direction.
            continue
        if head in types and tail in types and not schema.permits(label, types[head], types[tail]):
            yield (head, tail, label), TYPES
            continue
        ends = [(ONE_PER_HEAD, head)] * constraint.one_per_head + [(ONE_PER_TAIL, tail)] * constraint.one_per_tail
        broken = [kind for kind, span in ends if ("end" if is_symmetric else kind, label, span) in taken]
        if broken:
            yield (head, tail, label), ONE_PER_HEAD if is_symmetric else broken[0]
            continue
        seen.add((label, frozenset((head, tail))))
        taken.update(("end" if is_symmetric else kind, label, span) for kind, span in ends)


@dataclass
class ExcludedGold:
    """Counts of the annotated relations of documents that a schema excludes, and an example of each kind.

    Args:
        schema: the labels with their constraints.
        relations: how many relations were looked at.
        counts: by (label, constraint, types of head and tail).
        examples: the words of the first relation of each kind, and its document.

    Example:
        >>> schema = LabelSchema(("PER", "ORG"), ("OWNS",), constraints={"OWNS": {"types": [["PER", "ORG"]]}})
        >>> excluded = ExcludedGold(schema)
        >>> one, two = {"start": 0, "end": 0, "label": "ORG"}, {"start": 2, "end": 2, "label": "ORG"}
        >>> owns = {"head_start": 0, "head_end": 0, "tail_start": 2, "tail_end": 2, "label": "OWNS"}
        >>> words = {"doc_key": "d", "sentences": [["A", "owns", "B"]]}
        >>> excluded.add({**words, "ner": [[one, two]], "relations": [[owns]]})
        >>> excluded.lines()
        ['1 of 1 annotated relations are excluded by the constraints', '  OWNS types ORG -> ORG: 1 (A - B, in d)']
    """

    schema: LabelSchema
    relations: int = 0
    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    examples: dict[tuple[str, str, str], str] = field(default_factory=dict)

    def add(self, document: Mapping[str, Any]) -> None:
        """Count a typed document."""
        words: list[str] | None = None
        for entities, rows in zip(document.get("ner") or (), document.get("relations") or (), strict=False):
            types = {(e["start"], e["end"]): e["label"] for e in entities}
            found = [((r["head_start"], r["head_end"]), (r["tail_start"], r["tail_end"]), r["label"]) for r in rows]
            self.relations += len(found)
            for (head, tail, label), kind in excluded_relations(self.schema, types, found):
                key = (label, kind, f"{types.get(head, '?')} -> {types.get(tail, '?')}")
                self.counts[key] += 1
                if key not in self.examples:
                    words = words or [word for sentence in document["sentences"] for word in sentence]
                    ends = " - ".join(" ".join(words[start : end + 1]) for start, end in (head, tail))
                    text = ends if len(ends) <= EXAMPLE_LENGTH else ends[: EXAMPLE_LENGTH - 3] + "..."
                    self.examples[key] = f"{text}, in {document.get('doc_key', 'no doc_key')}"

    def lines(self, most: int = 10) -> list[str]:
        """The number of excluded relations, then each kind, the most frequent first. Empty where none is excluded.

        Args:
            most: how many kinds are listed.
        """
        if not self.counts:
            return []
        total = sum(self.counts.values())
        found = [f"{total} of {self.relations} annotated relations are excluded by the constraints"]
        for key, count in self.counts.most_common(most):
            found.append(f"  {' '.join(key)}: {count} ({self.examples[key]})")
        if len(self.counts) > most:
            found.append(f"  and {len(self.counts) - most} more kinds")
        return found

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        kinds = [
            {"label": key[0], "constraint": key[1], "types": key[2], "count": count, "example": self.examples[key]}
            for key, count in self.counts.most_common()
        ]
        return {"relations": self.relations, "excluded": sum(self.counts.values()), "kinds": kinds}
