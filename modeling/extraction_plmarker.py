"""What `extract` returns: entities and relations with character offsets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from .decoding_plmarker import ScoredRelation, ScoredSpan
from .schema_plmarker import LabelSchema
from .text_plmarker import Offsets


@dataclass(frozen=True)
class Entity:
    """An entity in a text: `text[start:end] == entity.text`.

    Args:
        text: the characters of the entity.
        label: its type.
        start, end: character offsets into the input, end exclusive.
        score: probability of the type, between 0 and 1.
        sentence: index of the sentence.
    """

    text: str
    label: str
    start: int
    end: int
    score: float
    sentence: int


@dataclass(frozen=True)
class Relation:
    """A relation between two entities of one sentence; the direction of a symmetric one means nothing.

    Args:
        head, tail: the entities.
        label: the relation type.
        score: geometric mean of the probabilities from both directions, between 0 and 1.
    """

    head: Entity
    tail: Entity
    label: str
    score: float


@dataclass(frozen=True)
class Extraction:
    """Everything found in one text.

    Args:
        text: the text that the offsets count in; for pre-tokenized input its words with spaces between.
        sentences: the words that the model read.
        entities: by sentence, then by place.
        relations: by sentence, then best first.
    """

    text: str
    sentences: list[list[str]] = field(default_factory=list)
    entities: list[Entity] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: relations name their head and tail by index into `entities`."""
        index = {id(entity): number for number, entity in enumerate(self.entities)}
        return {
            "text": self.text,
            "entities": [asdict(entity) for entity in self.entities],
            "relations": [
                {"head": index[id(r.head)], "tail": index[id(r.tail)], "label": r.label, "score": r.score}
                for r in self.relations
            ],
        }


def build_extraction(
    text: str,
    located: Sequence[Sequence[Offsets]],
    spans: Sequence[Sequence[ScoredSpan]],
    relations: Sequence[Sequence[ScoredRelation]],
    schema: LabelSchema,
) -> Extraction:
    """Turn spans of words into spans of characters.

    Args:
        located: character offsets of the words of every sentence.
        spans, relations: what was found in every sentence, by words of the document.
    """
    words = [offsets for sentence in located for offsets in sentence]
    result = Extraction(text, [[text[start:end] for start, end in sentence] for sentence in located])
    for sentence, (found, linked) in enumerate(zip(spans, relations, strict=True)):
        entity_of: dict[tuple[int, int], Entity] = {}
        # Of one span with several labels, relations mean the more probable.
        for span in sorted(found, key=lambda span: (span.start, span.end, -span.score)):
            start, end = words[span.start][0], words[span.end][1]
            label = schema.entity_classes[span.label]
            entity = Entity(text[start:end], label, start, end, span.score, sentence)
            result.entities.append(entity)
            entity_of.setdefault((span.start, span.end), entity)
        seen: set[tuple] = set()
        for relation in linked:
            # A model of single directions may find a symmetric relation twice.
            if relation.label < schema.n_symmetric and (relation.tail, relation.head, relation.label) in seen:
                continue
            seen.add((relation.head, relation.tail, relation.label))
            label = schema.relation_classes[relation.label]
            head, tail = entity_of[relation.head], entity_of[relation.tail]
            result.relations.append(Relation(head, tail, label, relation.score))
    return result
